"""Reading orders: one by our id, the open ones, the recent ones. The raw body speaks, ccxt only asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.order import OrderReport
from tradecore.ports.limiter import Priority
from tradecore.venues.ccxt.client import Asked, Client
from tradecore.venues.ccxt.parsed import order_facts, rows_in, says_none, texts_in
from tradecore.venues.ccxt.stretches import whole
from tradecore.venues.classify import digest_of, read_order, read_orders
from tradecore.venues.payload import parse_json, report_of, same_symbol


class OrderReads:
    """Reads of orders at one exchange; the caller has taken the turn of the first request.

    Args:
        client: The exchange; its markets are known.
    """

    def __init__(self, client: Client) -> None:
        self._client: Final = client

    def symbols(self) -> Mapping[str, str]:
        """Our name of each spot symbol by the venue's."""
        markets: Mapping[str, Any] = self._client.exchange.markets or {}
        return {str(one["id"]): str(one["symbol"]) for one in markets.values() if one.get("spot")}

    async def one(self, symbol: str, wire_id: str) -> OrderReport | None:
        """Read one order by our id; ``None``: the venue says that it has no such order."""
        client, ways = self._client, self._client.ways
        if not ways.look_up:
            return await self._search(symbol, wire_id)
        params = {ways.look_up: ways.sent_id(wire_id), **ways.look_up_more}
        asked = await client.ask("order", symbol, lambda exchange: exchange.fetch_order(None, symbol, params))
        if client.rules.raw:
            client.doubt_clock_of(asked)
            return read_order(asked.read, client.rules, symbol, wire_id)
        try:
            result = client.usable(asked, f"order {symbol}")
        except VenueRefused as refused:
            if refused.code in client.rules.missing_codes or "OrderNotFound" in asked.kinds:
                return None
            raise
        [report] = self._reports(asked, [result], f"order {symbol}")
        if report.wire_id != wire_id or not same_symbol(report.symbol, symbol):
            raise RetryableVenueError(f"order {symbol}: expected {wire_id}, was {report.wire_id or 'no id'}")
        return report

    async def _search(self, symbol: str, wire_id: str) -> OrderReport | None:
        """Look for our id in the open and then in the ended orders."""
        ways = self._client.ways
        params = {ways.list_key: ways.sent_id(wire_id)} if ways.list_key else {}
        for report in await self._open(symbol, params):
            if report.wire_id == wire_id and same_symbol(report.symbol, symbol):
                return report
        for report in await self._ended(symbol, None, params):
            if report.wire_id == wire_id and same_symbol(report.symbol, symbol):
                return report
        return None

    async def open(self, symbol: str | None) -> Sequence[OrderReport]:
        """Read open orders, foreign ones too."""
        return await self._open(symbol, {})

    async def _open(self, symbol: str | None, params: Mapping[str, Any]) -> Sequence[OrderReport]:
        what = f"open orders {symbol or 'of all symbols'}"
        return await self._list(
            "open_orders", symbol or "", what,
            lambda exchange: exchange.fetch_open_orders(symbol, None, None, dict(params)),
        )  # fmt: skip

    async def _ended(self, symbol: str, since_ms: int | None, params: Mapping[str, Any]) -> Sequence[OrderReport]:
        has = self._client.exchange.has
        limit = self._client.ways.order_page

        def call(exchange: Any) -> Awaitable[Any]:
            if has.get("fetchClosedOrders"):
                return exchange.fetch_closed_orders(symbol, since_ms, limit, dict(params))  # type: ignore[no-any-return]
            return exchange.fetch_orders(symbol, since_ms, limit, dict(params))  # type: ignore[no-any-return]

        found = list(await self._list("recent_orders", symbol, f"ended orders {symbol}", call))
        if has.get("fetchClosedOrders") and has.get("fetchCanceledOrders") is True:
            found += await self._list(
                "recent_orders", symbol, f"cancelled orders {symbol}",
                lambda exchange: exchange.fetch_canceled_orders(symbol, since_ms, limit, dict(params)),
            )  # fmt: skip
        return found

    async def recent(self, symbol: str, since_ms: int) -> Sequence[OrderReport]:
        """Read orders of one symbol since a moment, whatever their state; none is cut off unseen."""
        client = self._client
        if not client.exchange.has.get("fetchOrders"):
            return [*await self._open(symbol, {}), *await self._ended(symbol, since_ms, {})]
        now_ms = client.clock.now_ms() + client.offset_ms
        span_ms, page = client.ways.order_span_ms, client.ways.order_page
        first_request = True

        async def read(start_ms: int, end_ms: int) -> tuple[Sequence[OrderReport], bool]:
            nonlocal first_request
            if not first_request:
                await client.turn("recent_orders", Priority.RECONCILE)
            first_request = False
            asked = await client.ask(
                "recent_orders", symbol,
                lambda exchange: exchange.fetch_orders(symbol, max(0, start_ms - 1), page, {"until": end_ms + 1}),
            )  # fmt: skip
            rows = self._listed(asked, f"orders {symbol}")
            return rows, rows_in(parse_json(asked.read.body)) >= page

        found: dict[str, OrderReport] = {}
        start_ms = since_ms
        while start_ms <= now_ms:
            end_ms = min(start_ms + span_ms, now_ms)
            for report in await whole(read, start_ms, end_ms, f"orders {symbol}"):
                found[report.venue_order_id] = report
            start_ms = end_ms + 1
        return list(found.values())

    async def _list(
        self, operation: str, symbol: str, what: str, call: Callable[[Any], Awaitable[Any]]
    ) -> Sequence[OrderReport]:
        return self._listed(await self._client.ask(operation, symbol, call), what)

    def _listed(self, asked: Asked, what: str) -> Sequence[OrderReport]:
        client = self._client
        if client.rules.raw:
            client.doubt_clock_of(asked)
            return read_orders(asked.read, client.rules, self.symbols(), what)
        result = client.usable(asked, what)
        if not isinstance(result, list) or not (result or says_none(asked.read.body)):
            raise RetryableVenueError(f"{what}: expected a list of orders, was {type(result).__name__}")
        return self._reports(asked, result, what)

    def _reports(self, asked: Asked, orders: Sequence[Any], what: str) -> list[OrderReport]:
        rules, body = self._client.rules, asked.read.body
        try:
            said, digest = texts_in(parse_json(body)), digest_of(body)
            facts = [order_facts(order, said) for order in orders]
            return [report_of(one, rules, str(one.get("symbol") or ""), digest) for one in facts]
        except ValueError as error:  # an answer that is no JSON, or an amount that is none
            raise RetryableVenueError(f"{what}: {error}") from error
