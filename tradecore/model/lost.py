"""What a journal tells of orders that the store does not know: the store was put back to an older copy, or torn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tradecore.model.intent import Intent
from tradecore.model.order import Attempt

STORE_BEHIND = "store_behind"
"""Key of the fact that the store was found behind its journal and that no operator has resumed since."""

OPENING_DUE = "opening_due"
"""Key of the fact that an empty store takes its opening balances once the trades of lost orders are booked."""


class LostOrder(NamedTuple):
    """One order as the journal tells it."""

    intent: Intent | None
    """``None`` where the journal begins after it."""
    attempt: Attempt
    """UNKNOWN; where the journal tells its end SETTLED without a fill, CLOSED with fills that are to be found again.
    Its wire id is left empty."""


class Behind(NamedTuple):
    """A store that is behind its journal."""

    store: int
    """Sequence of the newest event in the store; 0 for an empty one."""
    journal: int
    """Sequence of the newest booked event in the journal: the high-water mark."""
    run_number: int
    """Newest run that the journal knows of."""
    orders: Sequence[LostOrder]
    """In the order in which they were prepared."""

    @property
    def text(self) -> str:
        """Both numbers, for people."""
        return f"store at event {self.store}, journal at {self.journal}"
