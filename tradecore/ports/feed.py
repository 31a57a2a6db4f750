"""What the engine asks of a market feed: rows as they close, and prices between closes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tradecore.market.frame import MarketFrame
from tradecore.market.path import Step
from tradecore.model.book import Book

__all__ = ["Feed", "Step"]


class Feed(Protocol):
    """Market data by rows. A row closes on an even grid; a symbol without data in a row is NaN there."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, in frame order."""

    @property
    def timeframe_ms(self) -> int:
        """Length of a row."""

    @property
    def next_close_ms(self) -> int | None:
        """When the next row closes; ``None`` at the end of the data."""

    @property
    def foresees(self) -> bool:
        """True where the prices up to the next close are known; False on the wall clock: `steps` is empty there."""

    def block(self, warmup: int, rows: int) -> MarketFrame | None:
        """Look at `warmup` closed rows and the next `rows` that have not been taken yet.

        On recorded and generated data the rows to come are known, and `signal` is asked for many at once; a
        wall-clock feed hands over one at most. Nothing but `signal` may be asked with rows not yet taken.

        Returns:
            A frame with up to `warmup` + `rows` rows; ``None`` at the end of the data.
        """

    def take(self) -> int | None:
        """Close the next row: it becomes history. Returns its close; ``None`` at the end of the data."""

    def history(self, rows: int) -> MarketFrame:
        """The last `rows` closed rows, fewer at the start."""

    def hours(self, count: int) -> MarketFrame:
        """The last `count` whole hours that have closed, as rows of an hour; fewer at the start.

        On the wall clock as many as guests have declared to need of the frame ``1h``; empty where none has.
        """

    def steps(self, symbol: str, after_ms: int) -> tuple[Step, ...]:
        """Prices of one symbol after a moment, up to and with the next close; empty where it does not trade."""

    def book(self, symbol: str) -> Book | None:
        """The newest book known here without asking anybody; ``None`` where there is none."""

    def last_price(self, symbol: str) -> float | None:
        """The newest price and nothing invented, to decide by.

        ``None`` where the symbol never traded and, on the wall clock, where the price is too old to decide by.
        """

    def newest(self, symbol: str) -> Step | None:
        """The newest price however old, with its moment, to value what is held; ``None`` where there never was one."""

    def on_price(self, listener: Callable[[str], None]) -> None:
        """Have `listener` told of each symbol whose price came in anew; it must not wait.

        Where prices are foreseen nobody is told: their moments are known beforehand.
        """

    def attend(self, symbols: frozenset[str]) -> None:
        """Name the symbols whose prices matter most now: positions and live intents. The last word counts."""

    def gaps(self) -> int:
        """Cells (row x symbol) so far in which there was no data."""
