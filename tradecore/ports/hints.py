"""What a venue pushes about our account: a hint to read, never evidence by itself (reference orders.md 2.12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol


class OrderHint(NamedTuple):
    """Something happened to an order."""

    symbol: str
    wire_id: str
    """Our id as the venue pushed it; empty where it did not say."""
    venue_order_id: str
    received_ms: int


class AccountHints(Protocol):
    """The venue's private stream."""

    async def start(self, on_order: Callable[[OrderHint], None], on_connected: Callable[[], None]) -> None:
        """Connect and stay connected, with back-off, until `close`. Returns at once.

        Args:
            on_order: Told of each push; must not wait.
            on_connected: Told after each connection made, the first too: what happened meanwhile was not pushed.
        """

    @property
    def alive(self) -> bool:
        """True while connected."""

    async def close(self) -> None:
        """Let go. May be called twice."""
