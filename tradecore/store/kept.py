"""One unchanging picture of a store for whoever compares it, beside a running process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final

from tradecore.model.intent import IntentRow, Reservation
from tradecore.model.order import Attempt
from tradecore.model.position import Position
from tradecore.model.records import Posting
from tradecore.store.database import Database
from tradecore.store.load import sum_balances
from tradecore.store.lookups import Lookups
from tradecore.store.queries import checked, database_of
from tradecore.store.tables import ACTIVE, LIVE_INTENT, UNSETTLED

_PAGE: Final = 1_000


def open_kept(place: str | Path) -> KeptStore:
    """Open a store for reading, as it stands now and however long it is read.

    Args:
        place: Database URL, or path of a SQLite file.
    Raises:
        StateFolderError: If there is no such file.
        SchemaMismatch: If the database has another schema.
        StoreError: If it cannot be reached.
    """
    database = database_of(place)
    checked(database)
    return KeptStore(database)


class KeptStore(Lookups):
    """Look-ups within one transaction. Use it in a ``with`` block, in one thread."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, database.connect())
        self._reader.execute("PRAGMA query_only = ON" if database.sqlite else "SET default_transaction_read_only = on")
        self._reader.execute("BEGIN" if database.sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self.last_sequence()  # SQLite takes its picture at the first read

    def last_sequence(self) -> int:
        """Sequence of the newest event; 0 for none."""
        return int(self._read(lambda raw: self._sql.rows(raw, "SELECT max(sequence) FROM event"))[0][0] or 0)

    def legs_of(self, posting_id: str) -> Sequence[Posting]:
        """The legs of one ledger transaction, in order."""
        where = "WHERE posting_id = ? ORDER BY leg"
        return self._read(lambda raw: self._sql.fetch(raw, Posting, where, (posting_id,)))

    def counts(self) -> tuple[int, int]:
        """Fills and ledger transactions."""
        fills = self._read(lambda raw: self._sql.rows(raw, "SELECT count(*) FROM fill"))[0][0]
        entries = self._read(lambda raw: self._sql.rows(raw, "SELECT count(*) FROM posting WHERE leg = 0"))[0][0]
        return int(fills), int(entries)

    def balances(self) -> Mapping[tuple[str, str], Decimal]:
        """Ledger balance by (account, currency), exact."""
        return self._read(lambda raw: sum_balances(raw, self._sql))

    def live_intents(self) -> Sequence[IntentRow]:
        """Intents that have not ended."""
        return self._read(lambda raw: self._sql.fetch(raw, IntentRow, f"WHERE {LIVE_INTENT}"))

    def live_attempts(self) -> Sequence[Attempt]:
        """Attempts that are not settled."""
        return self._read(lambda raw: self._sql.fetch(raw, Attempt, f"WHERE {UNSETTLED}"))

    def active_reservations(self) -> Sequence[Reservation]:
        """Money set aside."""
        return self._read(lambda raw: self._sql.fetch(raw, Reservation, f"WHERE {ACTIVE}"))

    def positions(self) -> Iterator[Position]:
        """All positions, closed ones too, by id."""
        after = ""
        while True:
            where = "WHERE position_id > ? ORDER BY position_id LIMIT ?"
            page = self._page(where, after)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].position_id

    def _page(self, where: str, after: str) -> Sequence[Position]:
        return self._read(lambda raw: self._sql.fetch(raw, Position, where, (after, _PAGE)))

    def close(self) -> None:
        """Let go of the database. May be called twice."""
        self._db.try_close(self._reader)

    def __enter__(self) -> KeptStore:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
