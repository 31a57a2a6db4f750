"""The newest quote of every symbol, the one price that it says, and the book that it shows.

The price of a quote is the last trade, held within bid and ask: the median of the three. So it is a price at which
somebody traded or would trade now, it follows the book where nobody trades, and it does not jump between bid and ask
where many do. Where the venue names no trade, or none of the last two seconds, it is the middle of bid and ask: an old
trade would hold the price to the one side that the market has since left. A quote with one side, or a crossed one, has
a price only where a trade came with it. Everything else has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from tradecore.market.path import Step
from tradecore.model.book import Book, Level
from tradecore.model.units import ZERO, price_of
from tradecore.ports.quotes import Quote

_NAN: Final = float("nan")
_INF: Final = float("inf")
_TRADE_MS: Final = 2_000
"""Age up to which a trade that an earlier quote told of still moves the price within a newer book."""
_DEEP_MS: Final = 2_000
"""Age up to which a whole book still tells what stands behind a newer quote."""


def price_in(bid: float, ask: float, last: float) -> float:
    """Tell the price of a two-sided quote; NaN where it has none. All quote per base; NaN for unknown."""
    if not 0.0 < bid <= ask < _INF:
        return _NAN
    if not 0.0 < last < _INF:
        return (bid + ask) / 2
    return min(max(last, bid), ask)


class _Line:
    """What is known of one symbol."""

    __slots__ = ("book", "column", "deep", "last", "last_ms", "price", "price_ms", "quote")

    def __init__(self, column: int) -> None:
        self.column: Final = column
        self.quote: Quote | None = None
        self.last = _NAN
        """Price of the newest trade that any quote told of."""
        self.last_ms = -1
        """When a quote told of it last."""
        self.price = _NAN
        self.price_ms = -1
        self.book: Book | None = None
        """Made of `quote`, once somebody asks."""
        self.deep: Book | None = None
        """Read whole."""


class Quotes:
    """Keeps quotes.

    Args:
        symbols: Names, in frame order.
        stale_ms: A price older than this decides nothing.
    """

    def __init__(self, symbols: Sequence[str], stale_ms: int) -> None:
        self._lines: Final = {symbol: _Line(column) for column, symbol in enumerate(symbols)}
        self._stale_ms: Final = stale_ms
        self._shut: frozenset[str] = frozenset()
        self.on_quote: Callable[[int, float, float], None] = _nobody
        """Told of each price: column, price, 24 h volume in quote."""

    def note(self, quote: Quote, now_ms: int) -> bool:
        """Take a quote unless a newer one of its symbol is known.

        Returns:
            True where it brought a price.
        """
        line = self._lines.get(quote.symbol)
        if line is None:
            return False
        known = line.quote
        # A quote from the future was known before the clock went back: it cannot keep the new ones out.
        if known is not None and quote.received_ms < known.received_ms <= now_ms:
            return False
        line.quote, line.book = quote, None
        last = quote.last
        moved = 0.0 < last < _INF and last != line.last
        first = not line.last > 0.0
        if 0.0 < last < _INF:
            line.last, line.last_ms = last, quote.received_ms
        young = quote.received_ms - line.last_ms <= _TRADE_MS
        price = price_in(quote.bid, quote.ask, line.last if young else _NAN)
        if not price > 0.0:
            if not moved or first:
                return False  # whether the last trade is of now or of last week nobody knows
            price = last
        line.price, line.price_ms = price, quote.received_ms
        if now_ms - quote.received_ms <= self._stale_ms:
            self.on_quote(line.column, price, quote.volume_24h_quote)
        return True

    def note_book(self, book: Book) -> None:
        """Take a whole book that was read."""
        line = self._lines.get(book.symbol)
        if line is not None and (line.deep is None or book.received_ms >= line.deep.received_ms):
            line.deep, line.book = book, None

    def shut(self, symbols: frozenset[str]) -> None:
        """Name the symbols that cannot be traded now: they have neither price nor book."""
        self._shut = symbols

    def quote(self, symbol: str) -> Quote | None:
        """The newest quote; ``None`` where none came in."""
        line = self._lines.get(symbol)
        return None if line is None else line.quote

    def fresh(self, symbol: str, now_ms: int) -> float | None:
        """The newest price to decide by; ``None`` where it is too old, of an unknown age, or cannot be traded."""
        line = self._lines.get(symbol)
        if line is None or line.price_ms < 0 or symbol in self._shut:
            return None
        return line.price if 0 <= now_ms - line.price_ms <= self._stale_ms else None

    def newest(self, symbol: str) -> Step | None:
        """The newest price however old, with its moment; ``None`` where there never was one."""
        line = self._lines.get(symbol)
        return None if line is None or line.price_ms < 0 else Step(line.price_ms, line.price)

    def book(self, symbol: str) -> Book | None:
        """The newest book known; ``None`` where there is none, or the symbol cannot be traded now.

        A quote younger than the book read last shows the best level of each side; what that book, if it is no more than
        two seconds older, had behind them still counts.
        """
        line = self._lines.get(symbol)
        if line is None or symbol in self._shut:
            return None
        quote, deep = line.quote, line.deep
        if quote is None or (deep is not None and deep.received_ms >= quote.received_ms):
            return deep
        if line.book is None:
            line.book = book_of(quote)
            if deep is not None and quote.received_ms - deep.received_ms <= _DEEP_MS:
                line.book = _with_behind(line.book, deep)
        return line.book

    def older_than(self, age_ms: int, now_ms: int) -> tuple[str, ...]:
        """Symbols whose newest quote is older, or that have none."""
        limit = now_ms - age_ms
        return tuple(
            symbol
            for symbol, line in self._lines.items()
            if line.quote is None or line.quote.received_ms < limit or line.quote.received_ms > now_ms
        )


def _nobody(column: int, price: float, volume_24h_quote: float) -> None:
    """Tell nobody."""


def book_of(quote: Quote) -> Book:
    """Show a quote as a book of one level a side; empty where it is crossed.

    A level whose quantity the venue does not say has 0: a price that is known, and nothing that could be counted on.
    """
    if quote.bid > quote.ask:
        return Book(quote.symbol, quote.received_ms, (), (), quote.source)
    bids, asks = _level(quote.bid, quote.bid_quantity), _level(quote.ask, quote.ask_quantity)
    return Book(quote.symbol, quote.received_ms, bids, asks, quote.source)


def _with_behind(book: Book, deep: Book) -> Book:
    """Put the levels of an older, whole book behind the best ones of a quote."""
    if not book.bids or not book.asks:
        return book
    bids = tuple(level for level in deep.bids if level.price < book.bids[0].price)
    asks = tuple(level for level in deep.asks if level.price > book.asks[0].price)
    return book._replace(bids=book.bids + bids, asks=book.asks + asks)


def _level(price: float, quantity: float) -> tuple[Level, ...]:
    if not 0.0 < price < _INF:
        return ()
    units: Decimal = price_of(quantity) if math.isfinite(quantity) and quantity > 0 else ZERO
    return (Level(price_of(price), units),)
