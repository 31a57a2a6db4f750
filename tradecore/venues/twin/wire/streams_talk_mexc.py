"""MEXC's side of the conversation: listen keys over HTTP, subscriptions as JSON, news as protobuf.

Source: MEXC spot v3, websocket market streams and user data streams.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web

from tradecore.venues.twin.records import EngineEvent
from tradecore.venues.twin.wire.auth import Request, admit
from tradecore.venues.twin.wire.desk import WireDesk
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.streams_binance import dumps
from tradecore.venues.twin.wire.streams_channel import Channel, Payload
from tradecore.venues.twin.wire.streams_faults import FEED, STREAM
from tradecore.venues.twin.wire.streams_hub import Hub, Subscription
from tradecore.venues.twin.wire.streams_market import Market
from tradecore.venues.twin.wire.streams_mexc import ACCOUNT, DEALS, ORDERS, MexcWords, account_frames, available
from tradecore.venues.twin.wire.words import WireError, no

STREAMS_MAX: Final = 30
"""Channels of one connection."""
KEY_LIFE_MS: Final = 3_600_000
"""A listen key that is not renewed for so long is no longer valid."""
LISTEN_KEYS: Final = "/api/v3/userDataStream"
_PRIVATE: Final = frozenset({ORDERS, DEALS, ACCOUNT})


@dataclass(slots=True)
class _Listen:
    """One listen key."""

    text: str
    key: str
    until_ms: int


class MexcTalk:
    """What MEXC hears and says.

    Args:
        desk: The venue.
    """

    pings = False

    def __init__(self, desk: WireDesk) -> None:
        self._desk: Final = desk
        self.hub: Final = Hub(desk, Market(desk, MexcWords(desk)), self._account, self._ended, self._goes_on)
        self._keys: Final[dict[str, _Listen]] = {}
        self._made = 0

    def routes(self) -> list[tuple[str, Callable[[Channel, str], None]]]:
        """Paths. One address serves the market and, with a listen key, the account; none without protobuf."""
        return [("/ws", self._hear)] if available() else []

    def side_of(self, request: web.Request) -> str:
        """Which faults hit a connection."""
        return STREAM if request.query.get("listenKey") else FEED

    def joined(self, channel: Channel, request: web.Request) -> None:
        """Tell a customer with a wrong listen key so; one with a right one has an account stream."""
        text = request.query.get("listenKey", "")
        if not text:
            return
        listen = self._valid(text)
        if listen is None:
            channel.say("Invalid listen key")
            channel.silent = True
            return
        self.hub.accounts.append(Subscription(channel, 0, listen.text))

    def left(self, channel: Channel) -> None:
        """Nothing more to forget."""

    def shutdown(self, channel: Channel) -> None:
        """MEXC says nothing: the connection just ends."""

    # Listen keys --------------------------------------------------------------------------------------------

    async def listen_keys(self, request: web.Request) -> web.Response:
        """POST makes a key, PUT renews it, DELETE ends it, GET lists all; all of them signed."""
        body = await request.text()
        raw = Request(request.method, request.path, request.rel_url.raw_query_string, body, request.headers)
        try:
            if "all" in self._desk.cut or LISTEN_KEYS in self._desk.cut:
                raise no("mexc", "maintenance")
            admitted = admit(self._desk, raw)
            answer = self._changed(request.method, admitted.key, admitted.params.get("listenKey"))
        except WireError as error:
            return web.Response(status=error.status, text=error.answer.body, content_type="application/json")
        return web.Response(text=dumps(answer), content_type="application/json")

    def _changed(self, method: str, key: ApiKey, text: str) -> dict[str, Any]:
        now_ms = self._desk.clock.now_ms()
        mine = [item for item in self._keys.values() if item.key == key.name and item.until_ms > now_ms]
        if method == "GET":
            return {"listenKey": [item.text for item in mine]}
        if method == "POST":
            if not mine:
                self._made += 1
                made = hashlib.blake2b(f"{key.name} {now_ms} {self._made}".encode(), digest_size=32).hexdigest()
                mine = [self._keys.setdefault(made, _Listen(made, key.name, 0))]
            mine[0].until_ms = now_ms + KEY_LIFE_MS
            return {"listenKey": mine[0].text}
        if text not in [item.text for item in mine]:
            raise WireError(400, 730100, "listenKey does not exist")
        if method == "DELETE":
            del self._keys[text]  # its connection is ended at the next look
        else:
            self._keys[text].until_ms = now_ms + KEY_LIFE_MS
        return {"listenKey": text}

    def _goes_on(self, subscription: Subscription) -> bool:
        return self._valid(subscription.key) is not None

    def _valid(self, text: str) -> _Listen | None:
        listen = self._keys.get(text)
        key = self._desk.keys.find(listen.key) if listen is not None else None
        if (
            listen is None
            or key is None
            or key.revoked
            or not key.address_ok
            or listen.until_ms <= self._desk.clock.now_ms()
        ):
            return None
        return listen

    # Conversation -------------------------------------------------------------------------------------------

    def _hear(self, channel: Channel, text: str) -> None:
        try:
            asked = orjson.loads(text)
        except orjson.JSONDecodeError:
            asked = None
        if not isinstance(asked, dict):
            channel.say(_said("msg format invalid"))
            return
        method, names = str(asked.get("method", "")).upper(), asked.get("params", [])
        if method == "PING":
            channel.say(_said("PONG"))
        elif method == "SUBSCRIPTION" and isinstance(names, list):
            self._subscribe(channel, [str(name) for name in names])
        elif method == "UNSUBSCRIPTION" and isinstance(names, list):
            for name in names:
                self.hub.unwatch(str(name), channel)
                for subscription in self._of(channel):
                    subscription.topics.discard(str(name))
            channel.say(_said(",".join(str(name) for name in names)))
        else:
            channel.say(_said("Not Subscribed successfully! [method]. Reason: Blocked! "))

    def _subscribe(self, channel: Channel, names: list[str]) -> None:
        account = self._of(channel)
        topics = {topic for item in account for topic in item.topics}
        taken: list[str] = []
        refused: list[str] = []
        for name in names:
            full = len(self.hub.watched(channel)) + len(topics) >= STREAMS_MAX
            if name in _PRIVATE and account and not full:
                topics.add(name)
                account[0].topics.add(name)
            elif name in _PRIVATE or full or not self.hub.watch(name, channel):
                refused.append(name)
                continue
            taken.append(name)
        if taken:
            channel.say(_said(",".join(taken)))
        if refused:
            channel.say(_said(f"Not Subscribed successfully! [{','.join(refused)}]. Reason: Blocked! "))

    def _of(self, channel: Channel) -> list[Subscription]:
        return [item for item in self.hub.accounts if item.channel is channel]

    def _account(self, event: EngineEvent, subscription: Subscription) -> list[Payload]:
        frames = account_frames(event, self._desk.manners, self._desk.now_ms())
        return [frame for topic, frame in frames if topic in subscription.topics]

    def _ended(self, subscription: Subscription) -> None:
        """MEXC says nothing: the connection ends."""
        subscription.channel.cut()


def _said(message: str) -> str:
    return dumps({"id": 0, "code": 0, "msg": message})
