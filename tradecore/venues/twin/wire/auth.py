"""Who asks, and when: keys, signatures, receive windows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from tradecore.venues.twin.wire.call import Call, Params
from tradecore.venues.twin.wire.desk import WireDesk
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.words import no

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SIGNATURE: Final = re.compile(r"(?:^|&)signature=([^&]*)$")
_HEADERS: Final = {"binance": "X-MBX-APIKEY", "mexc": "X-MEXC-APIKEY"}
_WINDOW_MS: Final = 5_000
_WINDOW_MOST_MS: Final = 60_000
_AHEAD_MS: Final = 1_000


class Request(NamedTuple):
    """A request as it came, nothing decoded."""

    method: str
    path: str
    query: str
    body: str
    headers: Mapping[str, str]
    """Looked up without regard to case."""

    @property
    def text(self) -> str:
        """Query and body as one list of parameters."""
        return f"{self.query}&{self.body}" if self.query and self.body else self.query + self.body


class Admitted(NamedTuple):
    """A signed request that may be answered."""

    key: ApiKey
    params: Params
    sent_ms: int
    """When it says that it was sent, on the venue's clock."""
    window_ms: int


def admit(
    desk: WireDesk, request: Request, hits: Mapping[str, float] | None = None, *, trades: bool = False
) -> Admitted:  # fmt: skip
    """Let a signed request in.

    Args:
        hits: Faults of this request.
        trades: True where the key needs the right to trade.
    Raises:
        WireError: If key, signature, time or rights are not in order.
    Source: reference orders.md 2.9, 3.1: the signature covers query and body as they were sent, up to itself.
    """
    wire, hits = desk.wire, hits or {}
    key = _key(desk, request.headers.get(_HEADERS[wire], ""), hits)
    params = Params(wire, request.text)
    params.need("timestamp")
    signature = params.need("signature")
    last = request.body or request.query
    found = _SIGNATURE.search(last)
    if found is None:
        raise no(wire, "signature")
    signed = (request.query if request.body else "") + last[: found.start()]
    if not key.signed(signed, signature):
        raise no(wire, "signature")
    if wire == "mexc" and request.method == "POST" and "json" not in request.headers.get("Content-Type", ""):
        raise no(wire, "content_type", "Content-Type")
    window_ms = params.whole("recvWindow", _WINDOW_MS)
    if not 0 < window_ms <= _WINDOW_MOST_MS:
        raise no(wire, "window")
    admitted = Admitted(key, params, params.whole("timestamp"), window_ms)
    check_age(desk, admitted.sent_ms, window_ms, hits)
    if (trades and not key.trade) or "permission_removed" in hits:
        raise no(wire, "permission")
    return admitted


def check_age(desk: WireDesk, sent_ms: int, window_ms: int, hits: Mapping[str, float]) -> None:
    """Refuse what comes too late or from the future: on arrival, and again before the engine.

    Raises:
        WireError: If it does.
    Source: Binance rest-api.md, timing security: more than one second ahead is refused whatever the window.
    """
    now_ms = desk.now_ms() + int(hits.get("clock_skew", 0))
    if sent_ms >= now_ms + _AHEAD_MS:
        raise no(desk.wire, "ahead")
    if now_ms - sent_ms > window_ms:
        raise no(desk.wire, "outside")


def check_call(call: Call) -> None:
    """Refuse a call that waited too long on its way to the engine.

    Raises:
        WireError: If it did.
    """
    check_age(call.desk, call.sent_ms + call.desk.skew_ms, call.window_ms, call.hits)


def _key(desk: WireDesk, name: str, hits: Mapping[str, float]) -> ApiKey:
    wire = desk.wire
    if not name:
        raise no(wire, "key_missing")
    if not _KEY.fullmatch(name):
        raise no(wire, "key_format")
    key = desk.keys.find(name)
    if key is None or key.revoked or "key_revoked" in hits:
        raise no(wire, "key_unknown")
    if not key.address_ok or "ip_changed" in hits:
        raise no(wire, "address")
    return key
