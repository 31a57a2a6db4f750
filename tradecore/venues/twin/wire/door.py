"""The way of one request through the venue: network, limits, keys, engine, and back. No HTTP library in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tradecore.venues.twin.gate import Refused
from tradecore.venues.twin.manners import Answer
from tradecore.venues.twin.network import stopped
from tradecore.venues.twin.wire.accepts import check_names
from tradecore.venues.twin.wire.auth import Request, admit, check_call
from tradecore.venues.twin.wire.binance import BinanceDialect
from tradecore.venues.twin.wire.call import Call, Endpoint, Params
from tradecore.venues.twin.wire.desk import WireDesk
from tradecore.venues.twin.wire.dialect import Dialect
from tradecore.venues.twin.wire.mexc import MexcDialect
from tradecore.venues.twin.wire.public import Public
from tradecore.venues.twin.wire.routes import Routes, routes_of
from tradecore.venues.twin.wire.spoil import Reply, cut, hang, page, reply_of
from tradecore.venues.twin.wire.tape import Tape
from tradecore.venues.twin.wire.words import WireError, asked_for, no

_NOT_FOUND: Final = "<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>"
_TEN_S: Final = 10_000
_DAY_MS: Final = 86_400_000


class Door:
    """Everything between a client's bytes and the engine.

    Args:
        desk: The twin behind the wire.
        tape: The market's past.
        latency_ms: Of each request, there and back together, market time, >= 0.
    """

    def __init__(self, desk: WireDesk, tape: Tape, latency_ms: int = 0) -> None:
        self._desk: Final = desk
        self._travel_s: Final = latency_ms / 2_000
        self.dialect: Final[Dialect] = (
            MexcDialect(desk.manners) if desk.wire == "mexc" else BinanceDialect(desk.manners)
        )
        self.routes: Final[Routes] = routes_of(desk.wire, Public(tape))

    async def serve(self, request: Request) -> Reply:
        """Answer one request, or let its connection end or hang."""
        endpoint = self.routes.get((request.method, request.path))
        if endpoint is None:
            return page(404, _NOT_FOUND)
        if self._is_cut(endpoint):
            return cut()
        desk = self._desk
        hits = desk.faults.draw(endpoint.operation)
        way_s = self._travel_s + hits.get("slow_request", 0.0) / 1_000
        if way_s:
            await desk.clock.sleep(way_s)
        reply = await self._arrive(endpoint, request, hits)
        way_s = self._travel_s + hits.get("slow_answer", 0.0) / 1_000
        if way_s:
            await desk.clock.sleep(way_s)
        return reply

    def is_known(self, name: str) -> bool:
        """Tell whether something can be cut: an endpoint, a path, an operation, ``stream`` or ``all``."""
        parts = {part for item in self.routes.values() for part in (item.name, item.path, item.operation)}
        return name in parts or name in ("all", "stream")

    def _is_cut(self, endpoint: Endpoint) -> bool:
        return not self._desk.cut.isdisjoint({endpoint.name, endpoint.path, endpoint.operation, "all"})

    async def _arrive(self, endpoint: Endpoint, request: Request, hits: Mapping[str, float]) -> Reply:
        """What the venue makes of a request that has reached its network."""
        desk = self._desk
        now_ms = desk.lead()
        if "not_sent" in hits or "cut_request" in hits:
            return cut()
        if "hang" in hits:
            return hang(hits["hang"])
        stop = stopped(hits)
        if stop is not None:
            return hang() if stop.answer is None else page(*stop.answer)
        try:
            params = Params(desk.wire, request.text)
            refused = self._weigh(endpoint, params, now_ms, hits)
            if refused is not None:
                return self._turned_away(endpoint, refused, now_ms)
            self._closed(hits, now_ms)
            if "refused_with" in hits:
                raise asked_for(desk.wire, hits["refused_with"])
            call = Call(desk, self.dialect, params, hits, now_ms)
            if endpoint.signed:
                admitted = admit(desk, request, hits, trades=endpoint.trades)
                call.key, call.window_ms = admitted.key, admitted.window_ms
                call.sent_ms = admitted.sent_ms - desk.skew_ms
            check_names(desk.wire, endpoint, params)
            if endpoint.path.endswith("/order") and endpoint.method == "POST":
                self._count_orders(now_ms)
            if "slow_engine" in hits:
                await desk.clock.sleep(hits["slow_engine"] / 1_000)
                call.now_ms = desk.lead()
            if endpoint.signed:
                check_call(call)
            answer = endpoint.handler(call)
        except WireError as error:
            return self._reply(endpoint, error.answer, hits)
        finally:
            desk.settle()
        if answer is None:
            return hang()
        if "accepted_with" in hits and answer.status == 200:
            answer = asked_for(desk.wire, hits["accepted_with"]).answer
        return self._reply(endpoint, answer, hits)

    def _reply(self, endpoint: Endpoint, answer: Answer, hits: Mapping[str, float]) -> Reply:
        return reply_of(answer, hits, self._headers(endpoint))

    # Limits -------------------------------------------------------------------------------------------------

    def _weigh(
        self, endpoint: Endpoint, params: Params, now_ms: int, hits: Mapping[str, float]
    ) -> Refused | None:  # fmt: skip
        gate = self._desk.gate
        for name, status in (("rate_limited", 429), ("banned", 418)):
            if name in hits:
                return gate.shut(now_ms, status, hits[name])
        return gate.enter(now_ms, endpoint.weight(params) if endpoint.counts else 0)

    def _turned_away(self, endpoint: Endpoint, refused: Refused, now_ms: int) -> Reply:
        desk = self._desk
        answer = desk.manners.too_many(refused.status)
        if desk.wire == "binance":
            until_ms = desk.now_ms() + refused.retry_after_s * 1_000
            text = (
                f"Way too much request weight used; IP banned until {until_ms}. Please use WebSocket Streams for live"
                " updates to avoid bans."
                if refused.status == 418
                else f"Too much request weight used; current limit is {desk.limits.weight_per_minute} request weight"
                " per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."
            )
            answer = WireError(refused.status, -1003, text).answer
        headers = {**self._headers(endpoint), "Retry-After": str(refused.retry_after_s)}
        return reply_of(answer, {}, headers)

    def _closed(self, hits: Mapping[str, float], now_ms: int) -> None:
        desk = self._desk
        if "maintenance" in hits:
            desk.maintained_until_ms = now_ms + int(hits["maintenance"])
            raise no(desk.wire, "maintenance")
        if now_ms < desk.maintained_until_ms:
            raise no(desk.wire, "maintenance")

    def _count_orders(self, now_ms: int) -> None:
        limits, taken = self._desk.limits, self._desk.orders_taken
        while taken and taken[0] <= now_ms - _DAY_MS:
            taken.popleft()
        day = len(taken)
        if limits.orders_per_10_s is not None and self._lately() >= limits.orders_per_10_s:
            raise no(self._desk.wire, "orders_rate", limits.orders_per_10_s, "10 SECOND")
        if limits.orders_per_day is not None and day >= limits.orders_per_day:
            raise no(self._desk.wire, "orders_rate", limits.orders_per_day, "1 DAY")

    def _lately(self) -> int:
        """Orders taken in the last ten seconds."""
        since_ms, count = self._desk.clock.now_ms() - _TEN_S, 0
        for at_ms in reversed(self._desk.orders_taken):
            if at_ms <= since_ms:
                break
            count += 1
        return count

    def _headers(self, endpoint: Endpoint) -> dict[str, str]:
        desk = self._desk
        if desk.wire != "binance":
            return {}
        if not endpoint.counts:
            return {"X-SAPI-USED-IP-WEIGHT-1M": "1"}
        desk.gate.forget(desk.clock.now_ms())
        used = str(desk.gate.used)
        headers = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        if endpoint.operation == "place":
            headers |= {
                "X-MBX-ORDER-COUNT-10S": str(self._lately()), "X-MBX-ORDER-COUNT-1D": str(len(desk.orders_taken)),
            }  # fmt: skip
        return headers
