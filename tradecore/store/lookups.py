"""The look-ups of the port, on a connection of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tradecore.errors import StoreError
from tradecore.model.events import BookedEvent
from tradecore.model.fill import Fill
from tradecore.model.intent import IntentRow
from tradecore.model.order import Attempt, AttemptState
from tradecore.model.position import Position
from tradecore.model.records import Command, Posting
from tradecore.ports.store import Loaded
from tradecore.store.database import Database
from tradecore.store.load import load_picture
from tradecore.store.statements import Raw
from tradecore.store.tables import ASKED

T = TypeVar("T")


class Lookups:
    """Reads. SQLite's readers never wait for its writer (WAL)."""

    def __init__(self, database: Database, raw: Raw) -> None:
        self._db = database
        self._sql = database.statements
        self._reader = raw

    def _read(self, ask: Callable[[Raw], T]) -> T:
        """Ask the database; a connection that was lost is made anew once.

        Raises:
            StoreError: If there is no answer.
        """
        try:
            return ask(self._reader)
        except self._db.error as error:
            if self._db.sqlite:
                raise self._db.named(error, "expected to read") from error
        self._db.try_close(self._reader)
        self._reader = self._db.connect()
        try:
            return ask(self._reader)
        except self._db.error as error:
            raise self._db.named(error, "expected to read") from error

    def load(self) -> Loaded:
        """Read the picture for a start."""
        return self._read(lambda raw: load_picture(raw, self._sql))

    def fill_exists(self, account: str, symbol: str, venue_trade_id: str) -> bool:
        """Tell whether a venue trade is booked."""
        query = "SELECT 1 FROM fill WHERE account = ? AND symbol = ? AND venue_trade_id = ?"
        return bool(self._read(lambda raw: self._sql.rows(raw, query, (account, symbol, venue_trade_id))))

    def fill(self, account: str, symbol: str, venue_trade_id: str) -> Fill | None:
        """One venue trade as it was booked; ``None``: it is not booked."""
        where = "WHERE account = ? AND symbol = ? AND venue_trade_id = ?"
        return self._first(self._read(lambda raw: self._sql.fetch(raw, Fill, where, (account, symbol, venue_trade_id))))

    def postings_of(self, posting_id: str) -> Sequence[Posting]:
        """Legs of one ledger transaction, in order; empty: it was never posted."""
        where = "WHERE posting_id = ? ORDER BY leg"
        return self._read(lambda raw: self._sql.fetch(raw, Posting, where, (posting_id,)))

    def attempt_by_wire_id(self, wire_id: str) -> Attempt | None:
        """Find an attempt by the id that the venue echoes; ``None``: no row of ours explains that id."""
        return self._first(self._read(lambda raw: self._sql.fetch(raw, Attempt, "WHERE wire_id = ?", (wire_id,))))

    def attempt_by_venue_order_id(self, symbol: str, venue_order_id: str) -> Attempt | None:
        """Find an attempt by the venue's own id; ``None``: no row of ours has it."""
        where = "WHERE symbol = ? AND venue_order_id = ?"
        return self._first(self._read(lambda raw: self._sql.fetch(raw, Attempt, where, (symbol, venue_order_id))))

    def attempts_of(self, intent_id: str) -> Sequence[Attempt]:
        """All attempts of one intent, in order, settled ones too."""
        where = "WHERE intent_id = ? ORDER BY number"
        return self._read(lambda raw: self._sql.fetch(raw, Attempt, where, (intent_id,)))

    def newest_entries(self, limit: int) -> Sequence[Attempt]:
        """Newest settled attempts of entries that were sent, the newest first, `limit` at most."""
        where = "WHERE state = ? AND NOT reduces AND sent_ms IS NOT NULL"
        where += " ORDER BY prepared_ms DESC, intent_id, number DESC LIMIT ?"
        settled = str(AttemptState.SETTLED)
        return self._read(lambda raw: self._sql.fetch(raw, Attempt, where, (settled, limit)))

    def intent(self, intent_id: str) -> IntentRow | None:
        """One intent, ended or not; ``None``: there is none."""
        return self._first(self._read(lambda raw: self._sql.fetch(raw, IntentRow, "WHERE intent_id = ?", (intent_id,))))

    def position(self, position_id: str) -> Position | None:
        """One position, closed or not; ``None``: there is none."""
        where = "WHERE position_id = ?"
        return self._first(self._read(lambda raw: self._sql.fetch(raw, Position, where, (position_id,))))

    def fills_of(self, client_order_id: str) -> Sequence[Fill]:
        """All fills booked on one attempt, oldest first."""
        where = "WHERE client_order_id = ? ORDER BY traded_ms, venue_trade_id"
        return self._read(lambda raw: self._sql.fetch(raw, Fill, where, (client_order_id,)))

    def events_after(self, sequence: int, limit: int) -> Sequence[BookedEvent]:
        """Booked events with a higher sequence, in order, `limit` at most."""
        rest = "WHERE sequence > ? ORDER BY sequence LIMIT ?"
        return self._read(lambda raw: self._sql.fetch_events(raw, rest, (sequence, limit)))

    def _asked(self, raw: Raw) -> Sequence[Command]:
        return self._sql.fetch(raw, Command, f"WHERE {ASKED} ORDER BY number")

    @staticmethod
    def _first(found: Sequence[T]) -> T | None:
        return found[0] if found else None


def closed_error() -> StoreError:
    """The answer to whoever still writes after the end."""
    return StoreError("expected an open store, was closed")
