"""Differences as they are found, and what a store is asked for when it is compared."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from tradecore.engine.replaying import Difference
from tradecore.model.events import BookedEvent
from tradecore.model.fill import Fill
from tradecore.model.intent import IntentRow, Reservation
from tradecore.model.order import Attempt
from tradecore.model.position import Position
from tradecore.model.records import Posting
from tradecore.model.units import canonical

_KEPT: Final = 1_000


class Kept(Protocol):
    """What is asked of the store: one unchanging picture of it."""

    def last_sequence(self) -> int:
        """Sequence of the newest event; 0 for none."""

    def events_after(self, sequence: int, limit: int) -> Sequence[BookedEvent]:
        """Events with a higher sequence, in order."""

    def fills_of(self, client_order_id: str) -> Sequence[Fill]:
        """All fills of one attempt."""

    def legs_of(self, posting_id: str) -> Sequence[Posting]:
        """The legs of one ledger transaction, in order."""

    def counts(self) -> tuple[int, int]:
        """Fills and ledger transactions."""

    def balances(self) -> Mapping[tuple[str, str], Decimal]:
        """Ledger balance by (account, currency)."""

    def live_intents(self) -> Sequence[IntentRow]:
        """Intents that have not ended."""

    def live_attempts(self) -> Sequence[Attempt]:
        """Attempts that are not settled."""

    def active_reservations(self) -> Sequence[Reservation]:
        """Money set aside."""

    def positions(self) -> Iterator[Position]:
        """All positions, closed ones too."""

    def intent(self, intent_id: str) -> IntentRow | None:
        """One intent; ``None``: there is none, or retention deleted it."""

    def attempts_of(self, intent_id: str) -> Sequence[Attempt]:
        """All attempts of an intent."""


class Compared(NamedTuple):
    """What a comparison found."""

    differences: Sequence[Difference]
    """The first thousand, by event; the first is the one to look at."""
    total: int
    """All of them."""

    @property
    def equal(self) -> bool:
        """True where nothing differs."""
        return not self.total


class Differences:
    """Keeps the first differences, whatever order they come in, and counts the rest."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Difference]] = []
        self.count = 0

    def add(self, difference: Difference) -> None:
        """Take a difference; one that no event tells of comes behind the others."""
        self.count += 1
        # The heap holds the earliest ones, the latest of these on top.
        entry = (-(difference.sequence or 2**62), -self.count, difference)
        if len(self._heap) < _KEPT:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def done(self) -> Compared:
        """The result."""
        return Compared([entry[2] for entry in sorted(self._heap, reverse=True)], self.count)

    def differs(self, sequence: int, what: str, journal: str, other: str, where: str = "store") -> None:
        """Take a difference by its parts, as `Difference`."""
        self.add(Difference(sequence, what, journal, other, where))


def text_of(value: object) -> str:
    """Write one side of a difference."""
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, tuple):
        return " ".join(text_of(item) for item in value)
    return str(value)
