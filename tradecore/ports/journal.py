"""What the engine asks of a journal: to take events without ever waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tradecore.model.events import NO_IDS, BookedEvent, Ids


class Journal(Protocol):
    """Event files. Diagnostics may be dropped, counted; booked events follow the store by sequence."""

    def note(self, event: Any, ids: Ids = NO_IDS) -> None:
        """Take one diagnostic event, stamped now. Never blocks, never raises; drops when the queue is full."""

    def follow(self, events: Sequence[BookedEvent]) -> None:
        """Take events that the store has committed, in order. They are never dropped."""

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest booked event in the files; 0 for none."""

    @property
    def dropped(self) -> int:
        """Diagnostics dropped so far."""

    @property
    def depth(self) -> int:
        """Events waiting to be written."""

    async def flush(self, timeout_s: float) -> bool:
        """Wait until all taken events are on disk; False if the time ran out."""

    async def close(self, timeout_s: float) -> bool:
        """Flush, end the writer, close the files; False if the time ran out. May be called twice."""
