"""Transactions of rows and events into the database, synchronously: the heart of both stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from tradecore.errors import StoreError, UnitError
from tradecore.model.events import BookedEvent, Stamped
from tradecore.model.intent import IntentRow
from tradecore.model.records import Memory, Row
from tradecore.store.database import Database
from tradecore.store.moves import Pair, check_repeat, check_replacement
from tradecore.store.rows import event_apart, shape_of
from tradecore.store.statements import Raw

_BAD_VALUES: Final = (UnitError, TypeError, ValueError, OverflowError)
"""What conversions raise for a value that no column takes."""


class Transaction(NamedTuple):
    """Rows and events that become durable together or not at all."""

    rows: Sequence[Row]
    events: Sequence[Stamped]


T = TypeVar("T")
Answer = Sequence[BookedEvent] | StoreError


class _BatchBroken(Exception):
    """The database gave the whole batch up; each transaction is tried again alone."""


class Writer:
    """The only writer of rows; used by one thread at a time.

    Event numbers are given in commit order, and a transaction that fails gives its numbers back, so that there is no
    hole. Another process writes at most a command row.
    """

    def __init__(self, database: Database, raw: Raw) -> None:
        self.raw = raw
        self._db = database
        self._sql = database.statements
        self._begin = "BEGIN IMMEDIATE" if database.sqlite else "BEGIN"
        self._event_insert = self._sql.event.insert
        self.sequence = self._stored_sequence()

    def _stored_sequence(self) -> int:
        found = self.raw.execute("SELECT max(sequence) FROM event").fetchone()
        return int(found[0] or 0)

    def write(self, batch: Sequence[Transaction]) -> list[Answer]:
        """Write transactions in order with one commit; each succeeds or fails by itself.

        Returns:
            For each transaction its events with their numbers, or why nothing of it was written.
        """
        if len(batch) == 1:
            return [self._alone(batch[0])]
        start = self.sequence
        try:
            return self._together(batch)
        except _BatchBroken:
            self.sequence = start
            return [self._alone(transaction) for transaction in batch]

    def _together(self, batch: Sequence[Transaction]) -> list[Answer]:
        db, raw = self._db, self.raw
        try:
            raw.execute(self._begin)
        except db.error as error:
            raise _BatchBroken from error
        answers: list[Answer] = []
        for transaction in batch:
            start = self.sequence
            try:
                raw.execute("SAVEPOINT one")
                answers.append(self._apply(transaction))
            except StoreError as error:
                self.sequence = start
                answers.append(error)
                if not db.try_run(raw, "ROLLBACK TO SAVEPOINT one"):
                    db.try_run(raw, "ROLLBACK")
                    raise _BatchBroken from error
            except db.error as error:
                db.try_run(raw, "ROLLBACK")
                raise _BatchBroken from error
            if not db.try_run(raw, "RELEASE SAVEPOINT one"):
                db.try_run(raw, "ROLLBACK")
                raise _BatchBroken
        try:
            raw.execute("COMMIT")
        except db.error as error:
            db.try_run(raw, "ROLLBACK")
            raise _BatchBroken from error
        return answers

    def _alone(self, transaction: Transaction) -> Answer:
        db, raw, start = self._db, self.raw, self.sequence
        try:
            raw.execute(self._begin)
            booked = self._apply(transaction)
            raw.execute("COMMIT")
        except StoreError as error:
            db.try_run(raw, "ROLLBACK")
            self.sequence = start
            return error
        except db.error as error:
            db.try_run(raw, "ROLLBACK")
            self.sequence = start
            return db.named(error, "expected to commit")
        return booked

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

    def run(self, work: Callable[[Raw], T]) -> T:
        """Call `work` with the connection inside one transaction of its own.

        Raises:
            StoreError: Nothing was written.
        """
        db = self._db
        try:
            self.raw.execute(self._begin)
            answer = work(self.raw)
            self.raw.execute("COMMIT")
        except db.error as error:
            db.try_run(self.raw, "ROLLBACK")
            raise db.named(error, "expected to commit") from error
        return answer
