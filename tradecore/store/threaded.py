"""The store of the wall clock: one writer thread that folds waiting transactions into one commit.

The loop never waits for a disk or a lock: it hands a transaction over and awaits its own durable moment.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from tradecore.errors import StoreError
from tradecore.model.events import BookedEvent, Stamped
from tradecore.model.records import Command, Row
from tradecore.store.database import Database, first_line
from tradecore.store.inline import Follower
from tradecore.store.lease import Renewing, StoreLease
from tradecore.store.lookups import Lookups, closed_error
from tradecore.store.retention import Deleted, delete_ended
from tradecore.store.writer import Answer, Transaction, Writer

QUEUE_MAX: Final = 1_000
"""Transactions that may wait; a further caller waits for room first."""
BATCH_MAX: Final = 64
"""Transactions in one commit."""
T = TypeVar("T")


class _Item(NamedTuple):
    """A transaction, or another piece of work for the writer; neither ends the thread."""

    work: Transaction | Callable[[Writer], Any] | None
    done: asyncio.Future[Any]


class ThreadedStore(Lookups):
    """Writes through one thread; reads on the loop's thread through a connection of their own.

    Args:
        follower: Takes the events of each transaction after its commit, in order, on the loop's thread.
        lease: Proven by every commit; ``None``: nobody else can write this store.
    """

    def __init__(
        self,
        database: Database,
        follower: Follower | None,
        queue_max: int = QUEUE_MAX,
        *,
        lease: StoreLease | None = None,
    ) -> None:
        super().__init__(database, database.connect())
        self._writer = Writer(database, database.connect(), lease=lease)
        self._lease = lease
        self._follower = follower
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(queue_max)
        self._waiting: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[Any] | None = None
        # A daemon, so that a process that crashed without close() ends; what was acknowledged is on disk.
        self._thread = threading.Thread(target=self._run, name="tradecore-store", daemon=True)
        self._thread.start()

    async def commit(self, rows: Sequence[Row], events: Sequence[Stamped]) -> Sequence[BookedEvent]:
        """Write all rows and events as one transaction; it is durable when this returns.

        A caller that is cancelled stops waiting; the transaction goes its way and its events reach the follower.

        Raises:
            DuplicateRecord: What may exist once only exists. Nothing was written.
            StoreError: Nothing was written.
        """
        answer: Sequence[BookedEvent] = await self._hand_over(Transaction(tuple(rows), tuple(events)))
        return answer

    async def asked_commands(self) -> Sequence[Command]:
        """Operator rows in state ASKED, oldest first. Read by the writer, so that no lock can hold the loop."""
        answer: Sequence[Command] = await self._hand_over(lambda writer: writer.read(self._asked))
        return answer

    async def retention(self, before_ms: int, journalled: int) -> Deleted:
        """Delete what ended before a moment (`retention.delete_ended`)."""
        work = functools.partial(delete_ended, sql=self._sql, before_ms=before_ms, journalled=journalled)
        answer: Deleted = await self._hand_over(lambda writer: writer.run(work))
        return answer

    @property
    def lease(self) -> Renewing | None:
        """The right to write; ``None``: it was opened without one."""
        return Renewing(self._lease, self._renew) if self._lease is not None else None

    async def _renew(self) -> None:
        await self._hand_over(Writer.renew)

    def raise_sequence(self, least: int) -> None:
        """Number the next event above `least` (INV-16); call it before the first commit."""
        self._writer.raise_sequence(least)

    async def close(self) -> None:
        """Finish what is queued, give the lease back, end the thread, close. May be called twice."""
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
            if self._waiting:
                await asyncio.wait(self._waiting)
            self._queue.put(_Item(None, self._ended))
        await asyncio.shield(self._ended)
        self._thread.join()
        self._db.finish(self._reader)

    async def _hand_over(self, work: Transaction | Callable[[Writer], Any]) -> Any:
        if self._ended is not None or not self._thread.is_alive():
            raise closed_error()
        item = _Item(work, asyncio.get_running_loop().create_future())
        if not self._room.locked():
            await self._room.acquire()  # there is room, so this does not wait
            self._queue.put(item)
        else:
            task = asyncio.get_running_loop().create_task(self._put_when_room(item))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        try:
            return await asyncio.shield(item.done)
        except asyncio.CancelledError:
            item.done.add_done_callback(_hear)  # nobody else will, and asyncio complains of what nobody heard
            raise

    async def _put_when_room(self, item: _Item) -> None:
        await self._room.acquire()
        self._queue.put(item)

    def _deliver(self, answers: Sequence[tuple[_Item, Any]]) -> None:
        """Wake the callers and feed the follower, on the loop's thread; callers run after this returns."""
        for item, answer in answers:
            self._room.release()
            if item.done.done():
                continue
            if isinstance(answer, StoreError):
                item.done.set_exception(answer)
            else:
                item.done.set_result(answer)
        if self._follower is not None:
            for item, answer in answers:
                if isinstance(item.work, Transaction) and answer and not isinstance(answer, StoreError):
                    self._follower(answer)

    # From here on the writer's thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        item: _Item | None = None
        while True:
            item = item or self._queue.get()
            if item.work is None:
                self._guarded(Writer.leave)
                break
            if not isinstance(item.work, Transaction):
                self._answer([(item, self._guarded(item.work))])
                item = None
                continue
            batch, item = self._gather(item)
            transactions = [each.work for each in batch if isinstance(each.work, Transaction)]
            found = self._guarded(functools.partial(_write, transactions))
            answers = [found] * len(batch) if isinstance(found, StoreError) else found
            self._answer(list(zip(batch, answers, strict=True)))
        self._db.try_close(self._writer.raw)
        self._answer([(item, None)])

    def _gather(self, first: _Item) -> tuple[list[_Item], _Item | None]:
        """Take what else waits, up to something that is no transaction, which is handed back."""
        batch = [first]
        while len(batch) < BATCH_MAX:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, None
            if not isinstance(item.work, Transaction):
                return batch, item
            batch.append(item)
        return batch, None

    def _guarded(self, work: Callable[[Writer], Any]) -> Any:
        try:
            return work(self._writer)
        except StoreError as error:
            return error
        except Exception as error:  # noqa: BLE001 -- a bug here must reach the callers: a dead thread would leave them waiting
            self._writer.reset()
            failure = StoreError(f"expected the writer to work, was {type(error).__name__}: {first_line(error)}")
            failure.__cause__ = error
            return failure

    def _answer(self, answers: Sequence[tuple[_Item, Any]]) -> None:
        # A store may outlive a loop; each caller is woken on its own.
        for loop, group in itertools.groupby(answers, lambda answer: answer[0].done.get_loop()):
            try:
                loop.call_soon_threadsafe(self._deliver, list(group))
            except RuntimeError:
                # Nobody waits on a closed loop. What was committed is durable and is loaded at the next start.
                assert loop.is_closed()


def _hear(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()


def _write(transactions: Sequence[Transaction], writer: Writer) -> Sequence[Answer]:
    return writer.write(transactions)
