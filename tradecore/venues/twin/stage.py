"""What the twin's engine asks of a market: prices, books, and whether a resting order is met.

Two stand behind it: `TwinMarket`, made from rows, and `PaperMarket`, which shows a real exchange's live books.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from tradecore.market.path import Step
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.model.units import Side
from tradecore.venues.twin.depth import Depth


class Meeting(enum.Enum):
    """What a step does to an order that rests."""

    NONE = "none"
    TOUCHED = "touched"
    """The market traded at its limit: others may stand before it."""
    THROUGH = "through"
    """The market traded beyond its limit, or somebody stands there who would have had to pass it."""


class Stage(Protocol):
    """A market in which orders of one account are matched."""

    instruments: dict[str, Instrument]
    """What can be traded now; it may change while the twin runs (halts, new filters)."""

    def change(self, instrument: Instrument) -> None:
        """Put new filters or a halt into force for one symbol."""

    def row_at(self, at_ms: int) -> int:
        """Number of the piece of time that covers a moment."""

    def steps(self, symbol: str, row: int) -> Sequence[Step]:
        """All steps of one piece of time, in order."""

    def step(self, symbol: str, at_ms: int) -> Step | None:
        """The newest price at a moment; ``None`` where the symbol does not trade."""

    def meets(self, symbol: str, step: Step, side: Side, limit: Decimal) -> Meeting:
        """Tell what a step does to an order of `side` that rests at `limit`."""

    def flow(self, symbol: str, step: Step) -> Decimal:
        """Base units that a step traded, beside what stands in the book."""

    def depth(self, symbol: str, at_ms: int) -> Depth | None:
        """What stands in the book at a moment, less what was taken; ``None`` where nobody trades."""

    def book(self, symbol: str, at_ms: int) -> Book | None:
        """The same as a book; ``None`` for an unknown symbol or before anything was known."""

    def note_taken(self, symbol: str, depth: Depth) -> tuple[int, Mapping[str, Decimal]]:
        """Remember what was taken of a book. Returns what a restart needs."""

    def restore_taken(self, symbol: str, step_ms: int, taken: dict[str, Decimal]) -> None:
        """Take over what had been taken before a restart."""

    def draw(self, purpose: str, symbol: str, at_ms: int) -> float:
        """A number in [0, 1): how far up its queue a touched order stood."""
