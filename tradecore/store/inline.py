"""The store of virtual time: everything happens inside the call.

A writer thread would let virtual time run away while it commits (DESIGN.md), so nothing here awaits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tradecore.errors import StoreError
from tradecore.model.events import BookedEvent, Stamped
from tradecore.model.records import Command, Row
from tradecore.store.database import Database
from tradecore.store.lease import Renewing, StoreLease
from tradecore.store.lookups import Lookups, closed_error
from tradecore.store.retention import Deleted, delete_ended
from tradecore.store.writer import Transaction, Writer

Follower = Callable[[Sequence[BookedEvent]], None]
"""Takes the events of each transaction after its commit, in order, on the loop's thread."""


class InlineStore(Lookups):
    """One connection for reads and writes, used by the loop's thread alone.

    Args:
        lease: Proven by every transaction; ``None``: nobody else can write this store.
    """

    def __init__(self, database: Database, follower: Follower | None, lease: StoreLease | None = None) -> None:
        raw = database.connect()
        super().__init__(database, raw)
        self._writer = Writer(database, raw, lease=lease)
        self._lease = lease
        self._follower = follower
        self._closed = False

    async def commit(self, rows: Sequence[Row], events: Sequence[Stamped]) -> Sequence[BookedEvent]:
        """Write all rows and events as one transaction; it is durable when this returns.

        Raises:
            DuplicateRecord: What may exist once only exists. Nothing was written.
            StoreError: Nothing was written.
        """
        if self._closed:
            raise closed_error()
        answer = self._writer.write((Transaction(rows, events),))[0]
        if isinstance(answer, StoreError):
            raise answer
        if self._follower is not None and answer:
            self._follower(answer)
        return answer

    async def asked_commands(self) -> Sequence[Command]:
        """Operator rows in state ASKED, oldest first."""
        return self._read(self._asked)

    async def retention(self, before_ms: int, journalled: int) -> Deleted:
        """Delete what ended before a moment (`retention.delete_ended`)."""
        return self._writer.run(lambda raw: delete_ended(raw, self._sql, before_ms, journalled))

    @property
    def lease(self) -> Renewing | None:
        """The right to write; ``None``: it was opened without one."""
        return Renewing(self._lease, self._renew) if self._lease is not None else None

    async def _renew(self) -> None:
        if self._closed:
            raise closed_error()
        self._writer.renew()

    def raise_sequence(self, least: int) -> None:
        """Number the next event above `least` (INV-16); call it before the first commit."""
        self._writer.raise_sequence(least)

    async def close(self) -> None:
        """Give the lease back, fold the write-ahead file into the database and close. May be called twice."""
        if not self._closed:
            self._closed = True
            self._writer.leave()
            self._db.finish(self._reader)
