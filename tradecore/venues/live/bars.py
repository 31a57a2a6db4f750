"""Rows made of prices as they come in: the row under way, and a bounded past of closed ones.

A row runs from after its open up to and with its close; closes lie on the grid of the row's length since 1970. A bar
holds nothing but prices that came in within its row: a symbol that nobody quoted in it is NaN there, however near its
last price may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from tradecore.market.frame import COLUMNS, Array, MarketFrame
from tradecore.market.window import blank

_DAY_MS: Final = 86_400_000
_NAN: Final = float("nan")
_SPARE_MIN: Final = 64
"""Rows of room beside the past that is kept, so that it is moved once in so many rows."""


class Cell(NamedTuple):
    """One bar of one symbol."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    """Base units; NaN where it is not known."""


class Bars:
    """The row under way and the past.

    Args:
        symbols: Names, in frame order.
        row_ms: Length of a row, > 0.
        keep_rows: Closed rows that are always at hand, >= 1.
        now_ms: Market time: the next row that closes is the first.
        past_rows: Rows before the row under way that count as history, to be filled by `fill_past`.
        from_start: Whether the row under way at the start is built of what comes in from now on; False leaves it to
            `fill_past` as a whole.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        row_ms: int,
        keep_rows: int,
        now_ms: int,
        past_rows: int = 0,
        *,
        from_start: bool = True,
    ) -> None:
        self.symbols: Final = symbols
        self.row_ms: Final = row_ms
        self.row = now_ms // row_ms + 1
        """Number of the row under way; row n closes at n x row_ms."""
        self.first_row: Final = self.row if from_start else self.row + 1
        """The first row that this run builds."""
        self._oldest: Final = self.row - past_rows
        self._keep: Final = max(1, keep_rows, past_rows)
        self._room: Final = self._keep + max(_SPARE_MIN, self._keep // 4)
        self._base = self.row - self._keep
        self._columns = blank(self._room, len(symbols))
        self._shut: set[int] = set()
        self._pace: Final = [_NAN] * len(symbols)
        """Quote units traded in 24 h, newest figure."""
        self._clear()

    def _clear(self) -> None:
        size = len(self.symbols)
        self._open = [_NAN] * size
        self._high = [_NAN] * size
        self._low = [_NAN] * size
        self._close = [_NAN] * size
        self._empty = True

    @property
    def oldest(self) -> int:
        """The oldest row at hand."""
        return max(self._oldest, self._base)

    def close_ms(self, row: int) -> int:
        """When a row closes."""
        return row * self.row_ms

    def note(self, column: int, price: float, volume_24h_quote: float) -> None:
        """Take a price into the row under way.

        Args:
            price: Quote per base, finite, > 0.
            volume_24h_quote: As the venue documents it; NaN keeps the figure known.
        """
        if volume_24h_quote >= 0.0:
            self._pace[column] = volume_24h_quote
        if column in self._shut:
            return
        self._close[column] = price
        self._empty = False
        if not self._open[column] > 0.0:
            self._open[column] = self._high[column] = self._low[column] = price
        elif price > self._high[column]:
            self._high[column] = price
        elif price < self._low[column]:
            self._low[column] = price

    def shut(self, columns: Iterable[int]) -> None:
        """Name the symbols that cannot be traded now: their bars are NaN from the row under way on."""
        self._shut = set(columns)
        for column in self._shut:
            self._open[column] = self._high[column] = self._low[column] = self._close[column] = _NAN

    def advance(self, to_row: int) -> None:
        """Close all rows before `to_row`, which is the one under way from now on. Never goes back."""
        if to_row <= self.row:
            return
        if not self._empty:
            if self.row >= self.first_row:
                self._write(self.row)
            self._clear()
        self.row = to_row
        if self.row >= self._base + self._room:
            self._move(self.row - self._keep)

    def _write(self, row: int) -> None:
        at = row - self._base
        close = np.array(self._close)
        self._columns["open"][at] = self._open
        self._columns["high"][at] = self._high
        self._columns["low"][at] = self._low
        self._columns["close"][at] = close
        self._columns["volume"][at] = np.array(self._pace) / close * (self.row_ms / _DAY_MS)

    def _move(self, base: int) -> None:
        """Let go of rows before `base`. New memory: frames that were handed out keep the old."""
        columns = blank(self._room, len(self.symbols))
        start, stop = max(base, self._base), min(self.row, self._base + self._room)
        if start < stop:
            for name, column in columns.items():
                column[start - base : stop - base] = self._columns[name][start - self._base : stop - self._base]
        self._base, self._columns = base, columns

    def holds(self, row: int) -> bool:
        """Tell whether a closed row at hand has data of any symbol."""
        at = row - self._base
        return 0 <= at < self._room and bool((~np.isnan(self._columns["close"][at])).any())

    def missing(self, row: int) -> int:
        """Symbols without data in a closed row."""
        at = row - self._base
        if not 0 <= at < self._room:
            return len(self.symbols)
        return int(np.count_nonzero(np.isnan(self._columns["close"][at])))

    def frame(self, start: int, stop: int, other: Mapping[str, MarketFrame] | None = None) -> MarketFrame:
        """Closed rows start to stop as a frame of views, fewer where they are not at hand; `other`: slower frames."""
        stop = min(stop, self.row)
        start = min(max(start, self.oldest), stop)
        low, high = start - self._base, stop - self._base
        columns: Mapping[str, Array] = {name: self._columns[name][low:high] for name in COLUMNS}
        times = self.row_ms * np.arange(start, stop, dtype=np.int64)
        return MarketFrame(self.row_ms, times, self.symbols, columns, other)

    def fill_past(self, cells: Mapping[int, Sequence[tuple[int, Cell]]]) -> None:
        """Write bars of rows before this run's first into cells that hold nothing yet.

        Args:
            cells: By column, (row, bar). Rows that are not at hand, or that this run builds, are left out.
        """
        columns = {name: column.copy(order="F") for name, column in self._columns.items()}
        for column, bars in cells.items():
            for row, cell in bars:
                at = row - self._base
                if not self.oldest <= row < self.first_row or not np.isnan(columns["close"][at, column]):
                    continue
                for name, value in zip(COLUMNS, cell, strict=True):
                    columns[name][at, column] = value
        self._columns = columns
