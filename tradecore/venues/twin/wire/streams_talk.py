"""Binance's side of the conversation: market streams by SUBSCRIBE, the account stream by a signed request.

Source: binance-spot-api-docs a5e0bc3, web-socket-streams.md, web-socket-api.md, user-data-stream.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from aiohttp import web

from tradecore.venues.twin.records import EngineEvent
from tradecore.venues.twin.wire.auth import check_age
from tradecore.venues.twin.wire.desk import WireDesk
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.streams_account import account_messages
from tradecore.venues.twin.wire.streams_binance import BinanceWords, dumps
from tradecore.venues.twin.wire.streams_channel import Channel, Payload
from tradecore.venues.twin.wire.streams_faults import FEED, STREAM
from tradecore.venues.twin.wire.streams_hub import Hub, Subscription
from tradecore.venues.twin.wire.streams_market import Market
from tradecore.venues.twin.wire.words import WireError, no

STREAMS_MAX: Final = 1_024
"""Streams of one connection."""
_MESSAGES_PER_S: Final = 5
"""What a customer may say in a second on a market connection; with one more the connection ends."""
_WINDOW_MS: Final = 5_000
_WINDOW_MOST_MS: Final = 60_000
_API: Final = "/ws-api/v3"


class BinanceTalk:
    """What Binance hears and says.

    Args:
        desk: The venue.
    """

    pings = True

    def __init__(self, desk: WireDesk) -> None:
        self._desk: Final = desk
        self.hub: Final = Hub(desk, Market(desk, BinanceWords(desk)), self._account, self._ended, self._valid)
        self._said: Final[dict[Channel, deque[float]]] = {}

    def routes(self) -> list[tuple[str, Callable[[Channel, str], None]]]:
        """Paths. ``/stream/ws`` is ``/ws`` for clients that know the spot venue by ``stream`` in its address."""
        paths = ("/ws", "/ws/{name}", "/stream/ws", "/stream/ws/{name}", "/stream")
        return [*((path, self._hear_market) for path in paths), (_API, self._hear_api)]

    def side_of(self, request: web.Request) -> str:
        """Which faults hit a connection."""
        return STREAM if request.path == _API else FEED

    def joined(self, channel: Channel, request: web.Request) -> None:
        """Subscribe to what the address of a new connection names."""
        if request.path == "/stream":
            channel.combined = True
            names = request.query.get("streams", "").split("/")
        else:
            names = [request.match_info.get("name", "")]
        for name in names:
            if name:
                self.hub.watch(name, channel)

    def left(self, channel: Channel) -> None:
        """Forget a connection."""
        self._said.pop(channel, None)

    def shutdown(self, channel: Channel) -> None:
        """Say that the server goes down."""
        channel.say(dumps({"event": {"e": "serverShutdown", "E": self._desk.now_ms()}}))

    # Market streams -----------------------------------------------------------------------------------------

    def _hear_market(self, channel: Channel, text: str) -> None:
        now_s = self._desk.clock.monotonic_s()
        said = self._said.setdefault(channel, deque(maxlen=_MESSAGES_PER_S + 1))
        said.append(now_s)
        if len(said) > _MESSAGES_PER_S and now_s - said[0] < 1:
            channel.cut()
            return
        asked = _object(text)
        if asked is None:
            channel.say(_wrong(None, 3, "Invalid JSON: expected an object"))
            return
        number, method, params = asked.get("id"), asked.get("method"), asked.get("params", [])
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            channel.say(_wrong(number, 2, "Invalid request: params must be an array of strings"))
        elif method == "SUBSCRIBE":
            self._subscribe(channel, params, number)
        elif method == "UNSUBSCRIBE":
            for name in params:
                self.hub.unwatch(name, channel)
            channel.say(dumps({"result": None, "id": number}))
        elif method == "LIST_SUBSCRIPTIONS":
            channel.say(dumps({"result": self.hub.watched(channel), "id": number}))
        else:
            channel.say(_wrong(number, 2, f"Invalid request: unknown variant `{method}`"))

    def _subscribe(self, channel: Channel, names: Iterable[str], number: object) -> None:
        wanted = set(names)
        if len(wanted | set(self.hub.watched(channel))) > STREAMS_MAX:
            channel.say(_wrong(number, 2, f"Invalid request: more than {STREAMS_MAX} streams"))
            return
        for name in sorted(wanted):  # a name that means nothing is taken and never pushed
            self.hub.watch(name, channel)
        channel.say(dumps({"result": None, "id": number}))

    # Account stream -----------------------------------------------------------------------------------------

    def _hear_api(self, channel: Channel, text: str) -> None:
        asked = _object(text) or {}
        number, method = asked.get("id"), asked.get("method")
        params = asked.get("params", {})
        try:
            if not isinstance(params, dict):
                raise no("binance", "missing", "params")
            result = self._answer(channel, str(method), params)
        except WireError as error:
            facts = {"code": error.code, "msg": error.message}
            channel.say(dumps({"id": number, "status": error.status, "error": facts, "rateLimits": []}))
            return
        channel.say(dumps({"id": number, "status": 200, "result": result, "rateLimits": []}))

    def _answer(self, channel: Channel, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "ping":
            return {}
        if method == "time":
            return {"serverTime": self._desk.now_ms()}
        mine = [item for item in self.hub.accounts if item.channel is channel]
        if method == "userDataStream.subscribe.signature":
            key = self._key_of(params)
            if any(item.key == key.name for item in mine):
                raise WireError(400, -2035, "Subscription already active on this connection.")
            subscription = Subscription(channel, len(mine), key.name)
            self.hub.accounts.append(subscription)
            return {"subscriptionId": subscription.number}
        if method == "userDataStream.unsubscribe":
            for subscription in mine:
                self.hub.accounts.remove(subscription)
            return {}
        raise WireError(400, -1020, "This operation is not supported.")

    def _key_of(self, params: dict[str, Any]) -> ApiKey:
        """Check key, signature and time: the signature covers all other parameters in the order of their names."""
        name, signature = str(params.get("apiKey", "")), str(params.get("signature", ""))
        for needed in ("apiKey", "signature", "timestamp"):
            if not params.get(needed):
                raise no("binance", "missing", needed)
        key = self._desk.keys.find(name)
        if key is None or key.revoked or not key.address_ok:
            raise no("binance", "key_unknown")
        text = "&".join(f"{item}={params[item]}" for item in sorted(params) if item != "signature")
        if not key.signed(text, signature):
            raise no("binance", "signature")
        try:
            sent_ms, window_ms = int(params["timestamp"]), int(params.get("recvWindow", _WINDOW_MS))
        except (TypeError, ValueError) as error:
            raise no("binance", "illegal", "timestamp", "^[0-9]{1,20}$") from error
        if not 0 < window_ms <= _WINDOW_MOST_MS:
            raise no("binance", "window")
        check_age(self._desk, sent_ms, window_ms, {})
        return key

    def _account(self, event: EngineEvent, subscription: Subscription) -> list[Payload]:
        messages = account_messages(event, self._desk.manners, self._desk.now_ms())
        return [dumps({"subscriptionId": subscription.number, "event": message}) for message in messages]

    def _valid(self, subscription: Subscription) -> bool:
        key = self._desk.keys.find(subscription.key)
        return key is not None and not key.revoked and key.address_ok

    def _ended(self, subscription: Subscription) -> Payload:
        event = {"e": "eventStreamTerminated", "E": self._desk.now_ms()}
        return dumps({"subscriptionId": subscription.number, "event": event})


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _wrong(number: object, code: int, message: str) -> str:
    return dumps({"error": {"code": code, "msg": message}, "id": number})
