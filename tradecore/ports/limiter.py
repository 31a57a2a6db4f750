"""What the engine asks of a request limiter: its turn, by priority, before anything is sent."""

from __future__ import annotations

import enum
from typing import Protocol


class Priority(enum.IntEnum):
    """Who goes first when requests must wait."""

    CANCEL = 0
    RECONCILE = 1
    ORDER = 2
    DATA = 3


class Limiter(Protocol):
    """Requests a minute, the venue's ban, and order of priority; on the monotonic market clock."""

    async def acquire(self, priority: Priority, *, weight: int = 1, deadline_ms: int | None = None) -> bool:
        """Wait for a turn.

        Args:
            weight: What the request costs, >= 1.
            deadline_ms: Market time after which a turn is of no use; ``None`` waits for as long as it takes.
        Returns:
            True when the request may be sent now; False where the deadline comes first. A cancelled waiter
            costs nothing and stalls nobody.
        """

    def penalize(self, retry_after_s: float | None) -> None:
        """Take note of a 429 or 418: nobody is let through before it is over. ``None``: the venue named no time."""

    def observe(self, used_weight: int) -> None:
        """Take note of what the venue has counted for our address in this minute, by whoever used it."""

    @property
    def banned_until_ms(self) -> int:
        """End of the ban in market time; 0 where there is none."""
