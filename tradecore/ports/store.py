"""What the engine asks of a store: transactions of rows and events, and one picture at start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from tradecore.model.events import BookedEvent, Stamped
from tradecore.model.fill import Fill
from tradecore.model.intent import IntentRow, Reservation
from tradecore.model.order import Attempt
from tradecore.model.position import ClosedPosition, Position
from tradecore.model.records import Command, Memory, Posting, Row, Run, TradingRecord


class Loaded(NamedTuple):
    """What a start needs: everything that has not ended, and sums of the rest."""

    intents: Sequence[IntentRow]
    """Live ones."""
    attempts: Sequence[Attempt]
    """All of live intents, and any that is not SETTLED."""
    reservations: Sequence[Reservation]
    """Active ones."""
    positions: Sequence[Position]
    """Not closed."""
    closed: Sequence[ClosedPosition]
    """The newest 1,000, oldest first."""
    balances: Mapping[tuple[str, str], Decimal]
    """Ledger balance by (account, currency), summed exactly over all postings."""
    memory: Mapping[str, Memory]
    trading: TradingRecord | None
    """``None`` on a fresh state."""
    last_run: Run | None
    """``None`` on a fresh state."""
    last_sequence: int
    """Sequence of the newest booked event; 0 on a fresh state."""
    dusty: Sequence[Position]
    """Closed positions that left something behind that no later one has taken along, oldest first."""
    recent: Sequence[Attempt] = ()
    """Settled attempts of the 24 hours before the newest one, in the order in which they were settled."""


class Store(Protocol):
    """Durable rows. Inline on virtual time; one writer thread elsewhere."""

    async def commit(self, rows: Sequence[Row], events: Sequence[Stamped]) -> Sequence[BookedEvent]:
        """Write all rows and events as one transaction; it is durable when this returns.

        Returns:
            The events with their sequence numbers. They are also handed to the follower, in order.
        Raises:
            DuplicateRecord: An append-only row exists with other contents, the client order id or the signal id
                is taken, or a second live entry (per symbol) or live exit (per position) was put. Nothing was written.
            StoreError: Nothing was written.
        """

    def load(self) -> Loaded:
        """Read the picture for a start."""

    def fill_exists(self, account: str, symbol: str, venue_trade_id: str) -> bool:
        """Tell whether a venue trade is booked."""

    def fill(self, account: str, symbol: str, venue_trade_id: str) -> Fill | None:
        """One venue trade as it was booked; ``None``: it is not booked."""

    def postings_of(self, posting_id: str) -> Sequence[Posting]:
        """Legs of one ledger transaction, in order; empty: it was never posted."""

    def attempt_by_wire_id(self, wire_id: str) -> Attempt | None:
        """Find an attempt by the id that the venue echoes; ``None``: no row of ours explains that id."""

    def attempt_by_venue_order_id(self, symbol: str, venue_order_id: str) -> Attempt | None:
        """Find an attempt by the venue's own id, for venues whose trades name no client id; ``None``: none has it."""

    def attempts_of(self, intent_id: str) -> Sequence[Attempt]:
        """All attempts of one intent, in order, settled ones too."""

    def newest_entries(self, limit: int) -> Sequence[Attempt]:
        """Newest settled attempts of entries that were sent, the newest first, `limit` at most."""

    def intent(self, intent_id: str) -> IntentRow | None:
        """One intent, ended or not; ``None``: there is none."""

    def position(self, position_id: str) -> Position | None:
        """One position, closed or not; ``None``: there is none."""

    def fills_of(self, client_order_id: str) -> Sequence[Fill]:
        """All fills booked on one attempt."""

    def events_after(self, sequence: int, limit: int) -> Sequence[BookedEvent]:
        """Booked events with a higher sequence, in order: how the journal catches up after a crash."""

    async def asked_commands(self) -> Sequence[Command]:
        """Operator rows in state ASKED, oldest first."""

    async def retention(self, before_ms: int, journalled: int) -> Sequence[int]:
        """Delete ended rows older than `before_ms`; postings and open things stay.

        Args:
            journalled: Sequence of the newest event in the journal's files: no later event is deleted.
        Returns:
            Rows deleted, by table in the store's own order.
        """

    async def close(self) -> None:
        """Finish what is queued and close. May be called twice."""
