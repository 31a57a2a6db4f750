"""What the engine asks of a lease: the right to write one store, which another process may have taken meanwhile."""

from __future__ import annotations

from typing import Protocol


class Lease(Protocol):
    """One writer's right, numbered. Every transaction of the store proves it; no other can be committed (INV-14)."""

    @property
    def epoch(self) -> int:
        """Number of this taking; each taker's is higher than the one's before."""

    @property
    def renew_s(self) -> float:
        """How often it is to be renewed, seconds of the wall."""

    @property
    def fresh(self) -> bool:
        """True while nobody else can have taken it, by our own clock of the wall: looked at right before a send."""

    async def renew(self) -> None:
        """Renew it in a transaction of its own.

        Raises:
            LeaseLost: Somebody else holds it.
            StoreError: The store did not answer.
        """
