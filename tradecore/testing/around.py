"""A store around a store: hands everything on, so that a test changes one thing and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from tradecore.model.events import BookedEvent, Stamped
from tradecore.model.fill import Fill
from tradecore.model.intent import IntentRow
from tradecore.model.order import Attempt
from tradecore.model.position import Position
from tradecore.model.records import Command, Posting, Row
from tradecore.ports.store import Loaded, Store


class AroundStore:
    """Hands every call on to the store inside (ports/store.py)."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    async def commit(self, rows: Sequence[Row], events: Sequence[Stamped]) -> Sequence[BookedEvent]:
        """Write rows and events as one transaction."""
        return await self._inner.commit(rows, events)

    def load(self) -> Loaded:
        """Read the picture for a start."""
        return self._inner.load()

    def fill_exists(self, account: str, symbol: str, venue_trade_id: str) -> bool:
        """Tell whether a venue trade is booked."""
        return self._inner.fill_exists(account, symbol, venue_trade_id)

    def fill(self, account: str, symbol: str, venue_trade_id: str) -> Fill | None:
        """One venue trade as it was booked; ``None``: it is not booked."""
        return self._inner.fill(account, symbol, venue_trade_id)

    def postings_of(self, posting_id: str) -> Sequence[Posting]:
        """Legs of one ledger transaction; empty: it was never posted."""
        return self._inner.postings_of(posting_id)

    def attempt_by_wire_id(self, wire_id: str) -> Attempt | None:
        """Find an attempt by the id that the venue echoes; ``None``: no row explains that id."""
        return self._inner.attempt_by_wire_id(wire_id)

    def attempt_by_venue_order_id(self, symbol: str, venue_order_id: str) -> Attempt | None:
        """Find an attempt by the venue's own id; ``None``: none has it."""
        return self._inner.attempt_by_venue_order_id(symbol, venue_order_id)

    def attempts_of(self, intent_id: str) -> Sequence[Attempt]:
        """All attempts of one intent."""
        return self._inner.attempts_of(intent_id)

    def newest_entries(self, limit: int) -> Sequence[Attempt]:
        """Newest settled attempts of entries that were sent."""
        return self._inner.newest_entries(limit)

    def intent(self, intent_id: str) -> IntentRow | None:
        """One intent; ``None``: there is none."""
        return self._inner.intent(intent_id)

    def position(self, position_id: str) -> Position | None:
        """One position; ``None``: there is none."""
        return self._inner.position(position_id)

    def fills_of(self, client_order_id: str) -> Sequence[Fill]:
        """All fills booked on one attempt."""
        return self._inner.fills_of(client_order_id)

    def events_after(self, sequence: int, limit: int) -> Sequence[BookedEvent]:
        """Booked events with a higher sequence."""
        return self._inner.events_after(sequence, limit)

    async def asked_commands(self) -> Sequence[Command]:
        """Operator rows in state ASKED."""
        return await self._inner.asked_commands()

    async def retention(self, before_ms: int, journalled: int) -> Sequence[int]:
        """Delete ended rows older than a moment."""
        return await self._inner.retention(before_ms, journalled)

    async def close(self) -> None:
        """Close the store inside."""
        await self._inner.close()
