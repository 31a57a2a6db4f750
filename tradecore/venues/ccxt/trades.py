"""Own trades with a gap-free cursor: by rising ids where a venue has them, else by overlapping stretches of time.

A cursor is text, opaque to the caller and durable: ``i:ID`` asks from an id on, ``t:MS`` from a moment on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from tradecore.errors import RetryableVenueError, UnitError
from tradecore.model.fill import VenueTrade
from tradecore.ports.limiter import Priority
from tradecore.ports.venue import TradePage
from tradecore.venues.ccxt.client import Asked, Client
from tradecore.venues.ccxt.parsed import holds_list, rows_in, texts_in, trade_facts
from tradecore.venues.ccxt.stretches import whole
from tradecore.venues.classify import classify_read
from tradecore.venues.payload import parse_json, trade_of


class Cursor(NamedTuple):
    """Where to go on."""

    from_id: int | None
    from_ms: int

    @property
    def text(self) -> str:
        """As it is kept."""
        return f"t:{self.from_ms}" if self.from_id is None else f"i:{self.from_id}"


def cursor_of(text: str, since_ms: int) -> Cursor:
    """Read a kept cursor; an empty one starts at `since_ms`, one that nobody can read too: rather twice than never."""
    kind, _, value = text.partition(":")
    if value.isascii() and value.isdigit():
        if kind == "i":
            return Cursor(int(value), 0)
        if kind == "t":
            return Cursor(None, int(value))
    return Cursor(None, since_ms)


class TradeReads:
    """Reads of own trades at one exchange; the caller has taken the turn of the first request.

    Args:
        overlap_ms: By how much a stretch of time reaches back over the last: trades may show up late by as much.
    """

    def __init__(self, client: Client, overlap_ms: int) -> None:
        self._client: Final = client
        self._overlap_ms: Final = overlap_ms

    async def page(self, symbol: str, cursor: str, since_ms: int) -> TradePage:
        """Read own trades after a cursor, oldest first; those of an overlap come again."""
        start = cursor_of(cursor, since_ms)
        if self._client.ways.trade_cursor == "from_id":
            return await self._by_id(symbol, start)
        return await self._by_time(symbol, start)

    async def _by_id(self, symbol: str, start: Cursor) -> TradePage:
        """Source: reference orders.md 2.8: by ``fromId`` nothing is skipped; ``startTime`` alone gives the oldest."""
        size = self._client.ways.trade_page
        since, params = (start.from_ms, {}) if start.from_id is None else (None, {"fromId": start.from_id})
        asked = await self._client.ask(
            "trades", symbol, lambda exchange: exchange.fetch_my_trades(symbol, since, size, params)
        )
        found = self._trades(asked, symbol)
        if not found:
            return TradePage((), start.text, False)
        newest = max(int(trade.venue_trade_id) for trade in found if trade.venue_trade_id.isdigit())
        return TradePage(found, Cursor(newest + 1, 0).text, len(found) >= size)

    async def _by_time(self, symbol: str, start: Cursor) -> TradePage:
        client = self._client
        now_ms = client.clock.now_ms() + client.offset_ms
        from_ms = max(0, start.from_ms - self._overlap_ms)
        end_ms = min(from_ms + client.ways.trade_span_ms, now_ms)
        first_request = True

        async def read(first_ms: int, last_ms: int) -> tuple[Sequence[VenueTrade], bool]:
            nonlocal first_request
            if not first_request:
                await client.turn("trades", Priority.RECONCILE)
            first_request = False
            size = client.ways.trade_page
            asked = await client.ask(
                "trades", symbol,
                lambda exchange: exchange.fetch_my_trades(
                    symbol, max(0, first_ms - 1), size, {"until": last_ms + 1}
                ),
            )  # fmt: skip
            rows = self._trades(asked, symbol)
            return rows, rows_in(parse_json(asked.read.body)) >= size

        found = {trade.venue_trade_id: trade for trade in await whole(read, from_ms, end_ms, f"trades {symbol}")}
        ordered = sorted(found.values(), key=lambda trade: (trade.traded_ms, trade.venue_trade_id))
        # Never back: a clock that was set back must not make the next stretch begin before this one did.
        return TradePage(ordered, Cursor(None, max(end_ms, start.from_ms)).text, end_ms < now_ms)

    def _trades(self, asked: Asked, symbol: str) -> list[VenueTrade]:
        client, what = self._client, f"trades {symbol}"
        try:
            rows = self._raw_rows(asked, what) if client.rules.raw else self._parsed_rows(asked, what)
            return [trade_of(row, client.rules, symbol) for row in rows]
        except ValueError as error:  # a malformed amount, or a body that is no JSON
            raise RetryableVenueError(f"{what}: {error}") from error

    def _raw_rows(self, asked: Asked, what: str) -> Sequence[Any]:
        self._client.doubt_clock_of(asked)
        rows = classify_read(asked.read, self._client.rules, what)
        if not isinstance(rows, list):
            raise UnitError(f"expected a list, was {type(rows).__name__}")
        names = {str(row.get("symbol") or "") for row in rows if isinstance(row, Mapping)} - {""}
        if len(names) > 1:
            raise UnitError(f"expected trades of one symbol, were of {sorted(names)}")
        return rows

    def _parsed_rows(self, asked: Asked, what: str) -> Sequence[Any]:
        rows = self._client.usable(asked, what)
        if not isinstance(rows, list):
            raise UnitError(f"expected a list, was {type(rows).__name__}")
        body = parse_json(asked.read.body)
        if not rows and not holds_list(body):
            raise UnitError("expected a list of trades, was none")
        said = texts_in(body)
        return [trade_facts(row, said) for row in rows]
