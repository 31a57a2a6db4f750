"""Where rows come from: recorded files and generated markets, by row number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tradecore.market.frame import MarketFrame
from tradecore.model.instrument import Instrument


class RowSource(Protocol):
    """A market of rows on an even grid, read by row number. The same arguments always give the same rows."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, in frame order."""

    @property
    def timeframe_ms(self) -> int:
        """Length of a row."""

    @property
    def first_close_ms(self) -> int:
        """Close of row 0. Row n closes n x timeframe later."""

    @property
    def rows(self) -> int | None:
        """Number of rows; ``None`` where the market never ends."""

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Tick, lot, minimum and fees per symbol."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of the data, one line each (derived ticks, gaps, unread files)."""

    def read(self, start: int, stop: int) -> MarketFrame:
        """Read rows start to stop, fewer at the end of the data, NaN where a symbol has none.

        Memory does not grow with the number of rows: nothing is kept but a window around what was read last.
        """
