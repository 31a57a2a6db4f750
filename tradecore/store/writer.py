"""Transactions of rows and events into the database, synchronously: the heart of both stores."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from tradecore.errors import StoreError, UnitError
from tradecore.model.events import BookedEvent, Stamped
from tradecore.model.intent import IntentRow
from tradecore.model.position import Position
from tradecore.model.records import Memory, Row
from tradecore.store.database import Database, first_line
from tradecore.store.lease import StoreLease
from tradecore.store.moves import Pair, check_repeat, check_replacement
from tradecore.store.rows import event_apart, shape_of
from tradecore.store.statements import Raw

_BAD_VALUES: Final = (UnitError, TypeError, ValueError, OverflowError)
"""What conversions raise for a value that no column takes."""

_PROOF_WAITS_S: Final = (0.0, 0.1, 0.5, 2.0)
"""Pauses before each question to a server that lost us; real time, on the writer's thread."""


class Transaction(NamedTuple):
    """Rows and events that become durable together or not at all."""

    rows: Sequence[Row]
    events: Sequence[Stamped]


T = TypeVar("T")
Answer = Sequence[BookedEvent] | StoreError


_DERIVED: Final = frozenset({"day", "status"})
"""Keys of memory that are made from other rows and made again."""


def is_derived(transaction: Transaction) -> bool:
    """Tell whether a transaction holds nothing but figures that follow from rows of data: peaks, levels, the day's.

    Whatever moves money or has an event is not among them.
    """
    return not transaction.events and all(
        isinstance(row, Position) or (isinstance(row, Memory) and row.key in _DERIVED) for row in transaction.rows
    )


class _BatchBroken(Exception):
    """The database gave the whole batch up; each transaction is tried again alone."""


class Writer:
    """The only writer of rows; used by one thread at a time.

    Event numbers are given in commit order, and a transaction that fails gives its numbers back, so that there is no
    hole. Another process writes at most a command row.

    Args:
        lease: Proven by every transaction; ``None``: whoever opened it writes commands only, or is alone by itself.
    """

    def __init__(
        self,
        database: Database,
        raw: Raw,
        pause: Callable[[float], None] = time.sleep,
        *,
        lease: StoreLease | None = None,
    ) -> None:
        self.raw = raw
        self._pause = pause
        self._lease = lease
        self._unknown = ""
        """Why the end of the last commit is not known; empty as long as every end was."""
        self._db = database
        self._sql = database.statements
        self._begin = "BEGIN IMMEDIATE" if database.sqlite else "BEGIN"
        if lease is not None:
            self._bound()
        self._event_insert = self._sql.event.insert
        self._relaxed = False
        self._least = 0
        self.sequence = self._stored_sequence()

    def _stored_sequence(self) -> int:
        found = self.raw.execute("SELECT max(sequence) FROM event").fetchone()
        return max(self._least, int(found[0] or 0))

    def raise_sequence(self, least: int) -> None:
        """Number the next event above `least`: a number that was told once is never given again (INV-16)."""
        self._least = least
        self.sequence = max(self.sequence, least)

    def write(self, batch: Sequence[Transaction]) -> list[Answer]:
        """Write transactions in order with one commit; each succeeds or fails by itself.

        Returns:
            For each transaction its events with their numbers, or why nothing of it was written.
        """
        self._promise(all(map(is_derived, batch)))
        if len(batch) == 1:
            return [self._alone(batch[0])]
        start = self.sequence
        try:
            return self._together(batch)
        except _BatchBroken:
            self.sequence = start
            return [self._alone(transaction) for transaction in batch]

    def _promise(self, derived: bool) -> None:
        """Set SQLite's promise for the next commit: derived figures alone need not wait for the disk.

        A kill loses nothing either way; after a power cut such a commit may be missing, never one with an order, money
        or an event in it. The next full commit makes it lasting too.
        """
        if derived != self._relaxed and self._db.relaxes:
            self.raw.execute("PRAGMA synchronous = NORMAL" if derived else "PRAGMA synchronous = FULL")
            self._relaxed = derived

    def _together(self, batch: Sequence[Transaction]) -> list[Answer]:
        db = self._db
        try:
            mark = self._open()
        except (StoreError, db.error) as error:
            db.try_run(self.raw, "ROLLBACK")
            raise _BatchBroken from error
        answers: list[Answer] = []
        for transaction in batch:
            start = self.sequence
            try:
                self.raw.execute("SAVEPOINT one")
                answers.append(self._apply(transaction))
                self.raw.execute("RELEASE SAVEPOINT one")
            except StoreError as error:
                self.sequence = start
                answers.append(error)
                if not db.try_run(self.raw, "ROLLBACK TO SAVEPOINT one", "RELEASE SAVEPOINT one"):
                    db.try_run(self.raw, "ROLLBACK")
                    raise _BatchBroken from error
            except db.error as error:
                db.try_run(self.raw, "ROLLBACK")
                raise _BatchBroken from error
        failed = self._commit(mark)
        if failed is not None:
            raise _BatchBroken from failed
        return answers

    def _alone(self, transaction: Transaction) -> Answer:
        db, start = self._db, self.sequence
        try:
            mark = self._open()
            booked = self._apply(transaction)
        except (StoreError, db.error) as error:
            db.try_run(self.raw, "ROLLBACK")
            self.sequence = start
            return error if isinstance(error, StoreError) else db.named(error, "expected to write")
        failed = self._commit(mark)
        if failed is not None:
            self.sequence = start
            return db.named(failed, "expected to commit")
        return booked

    def _bound(self) -> None:
        """Have a server end our transaction where we stand still in it: the lease's row would stay locked."""
        assert self._lease is not None
        if not self._db.sqlite:
            self.raw.execute(f"SET idle_in_transaction_session_timeout = {self._lease.length_ms}")

    def _commit(self, mark: str) -> Exception | None:
        """Commit what was begun; ``None``: it is durable, else why it is not."""
        try:
            self.raw.execute("COMMIT")
        except self._db.error as error:
            self._db.try_run(self.raw, "ROLLBACK")
            if not self._is_committed(mark, error):
                return error
        if self._lease is not None:
            self._lease.confirm()
        return None

    def _open(self, *, renew: bool = False) -> str:
        """Begin a transaction and prove the lease; a server's connection that was lost is made anew, once.

        Args:
            renew: Renew the lease in any case.
        Returns:
            PostgreSQL's number of the transaction; empty on SQLite.
        Raises:
            LeaseLost: Another process writes the store.
        """
        if self._unknown:
            raise StoreError(f"expected a known end of the last commit, was {self._unknown}; start again")
        try:
            self.raw.execute(self._begin)
        except self._db.error:
            if not self._db.is_lost(self.raw):
                raise
            self.raw = self._db.connect()
            if self._lease is not None:
                self._bound()
            self.raw.execute(self._begin)
        if self._lease is not None:
            return self._lease.prove(self.raw, renew=renew)
        return "" if self._db.sqlite else str(self.raw.execute("SELECT pg_current_xact_id()::text").fetchone()[0])

    def _is_committed(self, mark: str, error: Exception) -> bool:
        """Tell whether a commit that was answered by an error happened all the same.

        SQLite's answer is the truth. A server may have committed before its answer was lost: it is asked by the
        transaction's number. Where that cannot be found out, nothing more is written by this process, because the
        callers' picture and the database's may differ; the next start loads what is there.
        """
        if not self._db.is_lost(self.raw):
            return False
        for wait_s in _PROOF_WAITS_S:
            self._pause(wait_s)
            try:
                self.raw = self._db.connect()
                status = self.raw.execute("SELECT pg_xact_status(%s::text::xid8)", (mark,)).fetchone()[0]
            except (StoreError, self._db.error):
                continue
            if status in ("committed", "aborted"):
                return bool(status == "committed")
        self._unknown = first_line(error)
        return False

    def reset(self) -> None:
        """Leave whatever was begun, after a bug."""
        self._db.try_run(self.raw, "ROLLBACK")
        if not self._db.is_lost(self.raw):
            self.sequence = self._stored_sequence()

    def _apply(self, transaction: Transaction) -> list[BookedEvent]:
        try:
            # Intents first: their reservations and attempts refer to them, in whatever order they were put.
            for row in transaction.rows:
                if type(row) is IntentRow:
                    self._put(row)
            for row in transaction.rows:
                if type(row) is not IntentRow:
                    self._put(row)
            return [self._book(stamped) for stamped in transaction.events]
        except _BAD_VALUES as error:
            raise self._db.named(error, "expected values that columns take") from error

    def _put(self, row: Row) -> None:
        shape = shape_of(row)
        sql = self._sql.tables[shape.record]
        new = sql.into(shape.apart(row))
        try:
            old = self.raw.execute(sql.select, sql.key_of(new)).fetchone()
            if shape.record is Memory and not row.text:  # type: ignore[union-attr]  # just looked at
                self.raw.execute(sql.delete, sql.key_of(new))
            elif old is None:
                self.raw.execute(sql.insert, sql.for_insert(new))
            elif shape.append_only:
                check_repeat(shape.record, Pair(sql.at, old, new))
            else:
                check_replacement(shape.record, Pair(sql.at, old, new))
                self.raw.execute(sql.update, sql.for_update(new))
        except self._db.error as error:
            if self._db.is_constraint(error):
                what = f"expected room for {shape.record.__name__} {sql.key_of(new)[0]}"
                raise self._db.named(error, what) from error
            raise

    def _book(self, stamped: Stamped) -> BookedEvent:
        number = self.sequence + 1
        values = self._sql.event.into(event_apart(number, stamped))
        self.raw.execute(self._event_insert, values)
        self.sequence = number
        return BookedEvent(number, stamped)

    def run(self, work: Callable[[Raw], T], *, renew: bool = False) -> T:
        """Call `work` with the connection inside one transaction of its own.

        Args:
            renew: Renew the lease in it.
        Raises:
            StoreError: Nothing was written.
        """
        db = self._db
        try:
            mark = self._open(renew=renew)
            answer = work(self.raw)
        except db.error as error:
            db.try_run(self.raw, "ROLLBACK")
            raise db.named(error, "expected to write") from error
        except StoreError:
            db.try_run(self.raw, "ROLLBACK")
            raise
        failed = self._commit(mark)
        if failed is not None:
            raise db.named(failed, "expected to commit") from failed
        return answer

    def renew(self) -> None:
        """Renew the lease in a transaction of its own; nothing where there is none.

        Raises:
            LeaseLost: Another process writes the store.
            StoreError: Nothing was written.
        """
        if self._lease is not None:
            self.run(lambda raw: None, renew=True)

    def leave(self) -> None:
        """Give the lease back at the end; where that fails its holder is found dead by the next start."""
        if self._lease is not None and not self._lease.lost and not self._unknown:
            try:
                self.run(self._lease.release)
            except StoreError as error:
                self._unknown = first_line(error)

    def read(self, ask: Callable[[Raw], T]) -> T:
        """Read on the writer's connection.

        Raises:
            StoreError: If there is no answer.
        """
        try:
            return ask(self.raw)
        except self._db.error as error:
            if self._db.is_lost(self.raw):
                self.raw = self._db.connect()
            raise self._db.named(error, "expected to read") from error
