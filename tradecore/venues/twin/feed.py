"""The twin's market data behind the feed port: rows as they close, prices between closes, the newest book."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from tradecore.market.frame import Array, MarketFrame
from tradecore.market.hours import Hours
from tradecore.market.path import Step
from tradecore.market.source import RowSource
from tradecore.model.book import Book
from tradecore.ports.clock import Clock
from tradecore.venues.twin.market import TwinMarket

_LOOK_BACK: Final = 4096
"""Rows read at once where a symbol's last price lies far back."""


def start_row_of(source: RowSource, market_time_ms: int) -> int:
    """The first row that had not closed at a moment; 0 on a fresh file (moment 0)."""
    if market_time_ms < source.first_close_ms:
        return 0
    row = (market_time_ms - source.first_close_ms) // source.timeframe_ms + 1
    return row if source.rows is None else min(row, source.rows)


class TwinFeed:
    """Rows of a source, one at a time (ports/feed.py). Keeps no rows itself.

    Args:
        source: Rows, files or generated.
        market: Prices between closes and books of the same rows.
        clock: Market time, for the newest book and price.
        start_row: Rows before it count as history that was taken in an earlier run.
    """

    def __init__(self, source: RowSource, market: TwinMarket, clock: Clock, start_row: int = 0) -> None:
        self._source: Final = source
        self._market: Final = market
        self._clock: Final = clock
        self._row = start_row
        self._gaps = 0
        self._column: Final = {symbol: i for i, symbol in enumerate(source.symbols)}
        self._closes: Final[Array] = np.full(len(source.symbols), np.nan)
        """Newest close of each symbol among the rows taken in this run."""
        self._first_row: Final = start_row
        self._hours: Final = Hours(source)

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, in frame order."""
        return self._source.symbols

    @property
    def timeframe_ms(self) -> int:
        """Length of a row."""
        return self._source.timeframe_ms

    @property
    def row(self) -> int:
        """Number of the next row."""
        return self._row

    @property
    def next_close_ms(self) -> int | None:
        """When the next row closes; ``None`` at the end of the data."""
        rows = self._source.rows
        if rows is not None and self._row >= rows:
            return None
        return self._source.first_close_ms + self._row * self._source.timeframe_ms

    @property
    def foresees(self) -> bool:
        """Always: the row under way is known."""
        return True

    def block(self, warmup: int, rows: int) -> MarketFrame | None:
        """Look at `warmup` closed rows and the next `rows`; ``None`` at the end of the data."""
        if self.next_close_ms is None:
            return None
        return self._source.read(max(0, self._row - warmup), self._row + rows)

    def take(self) -> int | None:
        """Close the next row. Returns its close; ``None`` at the end of the data."""
        close_ms = self.next_close_ms
        if close_ms is None:
            return None
        frame, at = self._market.cells(self._row)
        closes = frame.close[at]
        there = ~np.isnan(closes)
        self._closes[there] = closes[there]
        self._gaps += len(closes) - int(np.count_nonzero(there))
        self._row += 1
        return close_ms

    def history(self, rows: int) -> MarketFrame:
        """The last `rows` closed rows, fewer at the start."""
        return self._source.read(max(0, self._row - rows), self._row)

    def hours(self, count: int) -> MarketFrame:
        """The last `count` whole hours that have closed, fewer at the start of the data."""
        return self._hours.until(self._row, count)

    def steps(self, symbol: str, after_ms: int) -> tuple[Step, ...]:
        """Prices of one symbol after a moment, up to and with the next close; empty where it does not trade."""
        if self.next_close_ms is None:
            return ()
        first = min(self._row, max(0, self._market.row_at(after_ms + 1)))
        found = [
            s for row in range(first, self._row + 1) for s in self._market.steps(symbol, row) if s.at_ms > after_ms
        ]
        return tuple(found)

    def book(self, symbol: str) -> Book | None:
        """The book at this moment; ``None`` for an unknown symbol or before the data start."""
        return self._market.book(symbol, self._clock.now_ms())

    def last_price(self, symbol: str) -> float | None:
        """The newest price: of this moment, else the newest close before it; ``None`` where it never traded."""
        column = self._column.get(symbol)
        if column is None:
            return None
        step = self._market.step(symbol, self._clock.now_ms())
        if step is not None:
            return step.price
        if np.isnan(self._closes[column]):
            self._closes[column] = self._earlier_close(column)
        price = float(self._closes[column])
        return None if np.isnan(price) else price

    def newest(self, symbol: str) -> Step | None:
        """The newest price at this moment, whenever it was made; ``None`` where the symbol never traded."""
        price = self.last_price(symbol)
        return None if price is None else Step(self._clock.now_ms(), price)

    def on_price(self, listener: Callable[[str], None]) -> None:
        """Nobody is told: every price between closes is known beforehand."""

    def attend(self, symbols: frozenset[str]) -> None:
        """Every price is as fresh as the next."""

    def gaps(self) -> int:
        """Cells (row x symbol) taken so far in which there was no data."""
        return self._gaps

    def _earlier_close(self, column: int) -> float:
        """The newest close before this run began; NaN where there is none."""
        stop = self._first_row
        while stop > 0:
            start = max(0, stop - _LOOK_BACK)
            closes = self._source.read(start, stop).close[:, column]
            there = np.flatnonzero(~np.isnan(closes))
            if len(there):
                return float(closes[there[-1]])
            stop = start
        return float("nan")
