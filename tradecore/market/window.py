"""A window of rows that slides over a market too long to hold.

Sources decode or generate many rows at once, readers ask for a few and mostly move forward. The window stands between
them: what was read last and the rows around it are kept, everything else is let go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from tradecore.market.frame import COLUMNS, Array, MarketFrame

_ROWS_MIN: Final = 64

Fill = Callable[[int, int, Mapping[str, Array]], None]
"""(start, stop, columns): write rows start to stop into arrays [stop - start, symbols] that hold NaN so far."""


def blank(rows: int, symbols: int) -> dict[str, Array]:
    """Make columns of NaN, each symbol's history contiguous."""
    return {name: np.full((rows, symbols), np.nan, order="F") for name in COLUMNS}


def row_bytes(symbols: int) -> int:
    """Memory of one row."""
    return 8 * len(COLUMNS) * symbols


class RowWindow:
    """Rows around what was read last.

    Args:
        symbols: Names, in frame order.
        timeframe_ms: Length of a row.
        first_close_ms: Close of row 0.
        rows: Rows there are; ``None`` where there is no end.
        fill: Writes rows.
        budget_bytes: Memory for one window, > 0. While it slides, two are held for a moment.
    """

    def __init__(
        self,
        *,
        symbols: tuple[str, ...],
        timeframe_ms: int,
        first_close_ms: int,
        rows: int | None,
        fill: Fill,
        budget_bytes: int,
    ) -> None:
        self._symbols: Final = symbols
        self._timeframe_ms: Final = timeframe_ms
        self._first_close_ms: Final = first_close_ms
        self._rows: Final = rows
        self._fill: Final = fill
        held = max(_ROWS_MIN, budget_bytes // row_bytes(len(symbols)))
        self._ahead: Final = held * 3 // 4
        self._behind: Final = held // 4
        self._start = 0
        self._stop = 0
        self._columns = blank(0, len(symbols))

    def read(self, start: int, stop: int) -> MarketFrame:
        """Rows start to stop, fewer at the end; views where they are at hand.

        Raises:
            ValueError: If `start` is negative or above `stop`.
        """
        if not 0 <= start <= stop:
            raise ValueError(f"expected 0 <= start <= stop, was start={start}, stop={stop}")
        if self._rows is not None:
            start, stop = min(start, self._rows), min(stop, self._rows)
        if start < self._start or stop > self._stop:
            self._slide(start, stop)
        low, high = start - self._start, stop - self._start
        columns = {name: column[low:high] for name, column in self._columns.items()}
        times = self._first_close_ms + self._timeframe_ms * np.arange(start, stop, dtype=np.int64)
        return MarketFrame(self._timeframe_ms, times, self._symbols, columns)

    def _slide(self, start: int, stop: int) -> None:
        """Move the window over start to stop and some rows more; rows already here are not made again."""
        first = max(0, start - self._behind)
        last = stop + self._ahead
        if self._rows is not None:
            last = min(last, self._rows)
        columns = blank(last - first, len(self._symbols))
        kept_from, kept_to = max(first, self._start), min(last, self._stop)
        if kept_from >= kept_to:
            self._ask(first, last, first, columns)
        else:
            for name, column in columns.items():
                held = self._columns[name][kept_from - self._start : kept_to - self._start]
                column[kept_from - first : kept_to - first] = held
            self._ask(first, kept_from, first, columns)
            self._ask(kept_to, last, first, columns)
        self._start, self._stop, self._columns = first, last, columns

    def _ask(self, start: int, stop: int, origin: int, columns: Mapping[str, Array]) -> None:
        if start < stop:
            self._fill(start, stop, {name: column[start - origin : stop - origin] for name, column in columns.items()})
