"""Rows of an hour, added up from shorter ones: what universe guests judge volume, volatility and age by.

An hour closes on the hour, UTC, and holds the rows that closed after the hour before. Each is added up once and kept.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tradecore.market.frame import COLUMNS, Array, MarketFrame
from tradecore.market.source import RowSource
from tradecore.market.window import blank

HOUR_MS: Final = 3_600_000
HOURS: Final = "1h"
"""Name of the frame under which guests declare how much of it they need."""
_AT_ONCE: Final = 24
"""Hours whose rows are read together."""


class Hours:
    """Whole hours of a row source.

    Args:
        source: Rows, of files or generated.
    """

    def __init__(self, source: RowSource) -> None:
        self._source: Final = source
        self._kept: dict[int, Array] = {}
        """Hour, counted from 1970 by its close, to its columns by symbol."""

    def until(self, row: int, count: int) -> MarketFrame:
        """The last `count` hours that have closed before a row, fewer at the start of the data.

        Args:
            row: First row that is not looked at.
        """
        source = self._source
        closed_ms = source.first_close_ms + (row - 1) * source.timeframe_ms
        first = -(-source.first_close_ms // HOUR_MS)
        end = closed_ms // HOUR_MS if row > 0 else first - 1
        start = max(first, end - count + 1)
        missing = [hour for hour in range(start, end + 1) if hour not in self._kept]
        for at in range(0, len(missing), _AT_ONCE):
            self._read(missing[at : at + _AT_ONCE])
        self._kept = {hour: self._kept[hour] for hour in range(start, end + 1)}
        times = HOUR_MS * np.arange(start, end + 1, dtype=np.int64)
        columns = blank(len(times), len(source.symbols))
        for at, hour in enumerate(range(start, end + 1)):
            for place, name in enumerate(COLUMNS):
                columns[name][at] = self._kept[hour][place]
        return MarketFrame(HOUR_MS, times, source.symbols, columns)

    def _read(self, hours: list[int]) -> None:
        """Add up hours that follow on each other."""
        source = self._source
        frame = source.read(self._row_after(hours[0] - 1), self._row_after(hours[-1]))
        ends = np.searchsorted(frame.timestamps, [hour * HOUR_MS for hour in hours], side="right")
        begin = 0
        for hour, end in zip(hours, ends, strict=True):
            self._kept[hour] = _added(frame, begin, int(end))
            begin = int(end)

    def _row_after(self, hour: int) -> int:
        """The first row that closes after an hour does."""
        source = self._source
        return max(0, (hour * HOUR_MS - source.first_close_ms) // source.timeframe_ms + 1)


def _added(frame: MarketFrame, start: int, stop: int) -> Array:
    """Open, high, low, close and volume of some rows together; NaN for a symbol that has none of them."""
    made = np.full((len(COLUMNS), len(frame.symbols)), np.nan)
    close = frame.close[start:stop]
    there = ~np.isnan(close)
    traded = np.flatnonzero(there.any(axis=0))
    if not len(traded):
        return made
    here = there[:, traded]
    first = np.argmax(here, axis=0)
    last = stop - start - 1 - np.argmax(here[::-1], axis=0)
    made[0, traded] = frame.open[start:stop][first, traded]
    made[1, traded] = np.nanmax(frame.high[start:stop][:, traded], axis=0)
    made[2, traded] = np.nanmin(frame.low[start:stop][:, traded], axis=0)
    made[3, traded] = close[last, traded]
    made[4, traded] = np.nansum(frame.volume[start:stop][:, traded], axis=0)
    return made
