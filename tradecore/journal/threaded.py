"""The journal of real time: a bounded queue and one writer thread; nobody who notes an event waits for a disk."""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tradecore.errors import StateFolderError
from tradecore.journal.follow import Follower, Reader
from tradecore.journal.pen import Pen
from tradecore.journal.sample import Sampler
from tradecore.model.events import NO_IDS, BookedEvent, Ids, JournalDrops, Stamped
from tradecore.ports.clock import Clock

HELD_BYTES_MAX: Final = 1 << 24
"""With a disk that refuses, the writer takes no more events than these; the queue fills and drops."""
_GATHER_S: Final = 0.02
"""Events are written in groups: a write for each one would cost the loop a change of threads each time."""
_ROUND: Final = 2_000
"""Most events of each sort in one round."""
_RETRY_S: Final = (0.05, 2.0)
"""First and longest wait before a disk that refused is tried again."""
_DROPS_EVERY_NS: Final = 10**9
_HEAD_EVERY_S: Final = 5.0
"""How often the files are made durable and vouched for while lines are written."""
_POLL_S: Final = 0.005


class _Mark(NamedTuple):
    """Stands in the queue behind the events that a flush waits for."""

    reached: threading.Event


class ThreadedJournal:
    """Writes on a thread of its own.

    Times that are waited for here are real seconds, whatever the market clock says: they are about a thread and a disk.

    Args:
        pen: Writes the lines; only the writer thread uses it from `start` on.
        clock: Stamps diagnostics; its `now_ns` must be callable from any thread.
        sampler: Thins tracer events out.
        sequence: Of the newest booked event in the files.
        queue: Most diagnostics that wait, >= 1; also most booked events kept in memory.
    """

    def __init__(self, pen: Pen, clock: Clock, sampler: Sampler, sequence: int, *, queue: int = 10_000) -> None:
        self._pen = pen
        self._clock = clock
        self._sampler = sampler
        self._follower = Follower(sequence, queue, pen.trouble)
        self._queue: deque[Stamped | _Mark] = deque()
        self._limit = queue
        self._marks: list[_Mark] = []
        self._drop_lock = threading.Lock()
        self._dropped = 0
        self._drops_told = 0
        self._drops_told_ns = 0
        self._wake = threading.Event()
        self._alive = threading.Event()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._done = threading.Event()
        self._clean = False
        self._vouched_s = time.monotonic()
        # A daemon: a disk that hangs for ever must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="tradecore-journal", daemon=True)

    def start(self, timeout_s: float = 5.0) -> None:
        """Start the writer and see it alive: without it nothing may trade (R25).

        Raises:
            StateFolderError: If it does not come up in time.
        """
        try:
            self._thread.start()
        except RuntimeError as error:
            raise StateFolderError(f"expected the journal's writer to start, was {error}") from error
        if not self._alive.wait(timeout_s):
            raise StateFolderError(f"expected the journal's writer alive within {timeout_s} s, it is not")

    def note(self, event: Any, ids: Ids = NO_IDS) -> None:
        """Take one diagnostic event, stamped now. Never blocks, never raises; drops when the queue is full."""
        if not self._sampler.keep(event):
            return
        if len(self._queue) >= self._limit or self._closing.is_set():
            with self._drop_lock:
                self._dropped += 1
            return
        self._queue.append(Stamped(self._clock.now_ns(), event, ids))
        if not self._wake.is_set():
            self._wake.set()

    def follow(self, events: Sequence[BookedEvent]) -> None:
        """Take events that the store has committed, in order. They are never dropped."""
        self._follower.put(events)
        self._wake.set()

    def catch_up(self, reader: Reader) -> None:
        """Have everything written that the store committed and no file holds; keep the reader for a full memory.

        Call it once after opening, before the run's own events: until then, booked events of a folder that has
        lines already are held back. `flush` tells when it is done.

        Args:
            reader: Is called here once and later from the writer thread.
        """
        self._follower.attach(reader)
        self._wake.set()

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest booked event in the files; 0 for none."""
        return self._pen.written

    @property
    def dropped(self) -> int:
        """Diagnostics dropped so far."""
        return self._dropped

    @property
    def depth(self) -> int:
        """Events waiting to be written."""
        return len(self._queue) + self._pen.held_lines + self._follower.waiting

    @property
    def faults(self) -> dict[str, int]:
        """Own troubles so far, by `JournalFault.what`."""
        return dict(self._pen.faults)

    async def flush(self, timeout_s: float) -> bool:
        """Wait until all taken events are on disk; False if the time ran out.

        Args:
            timeout_s: Real seconds.
        """
        mark = _Mark(threading.Event())
        if self._done.is_set():
            return self._clean
        self._queue.append(mark)
        self._wake.set()
        return await _reached(mark.reached, timeout_s)

    async def close(self, timeout_s: float) -> bool:
        """Flush, end the writer, close the files; False if the time ran out or something could not be written.

        After a False the writer thread ends by itself as soon as its disk lets go of it; booked events that are
        not in the files are in the store, and the next start writes them. May be called twice.

        Args:
            timeout_s: Real seconds.
        """
        self._follower.accept_holes()
        self._closing.set()
        self._wake.set()
        if not await _reached(self._done, timeout_s):
            self._abandoned.set()
            return False
        self._thread.join()
        return self._clean

    def _run(self) -> None:
        self._alive.set()
        pause = 0.0
        while not self._abandoned.is_set():
            self._wake.wait()
            self._wake.clear()
            # A close cuts every wait short but the one between two tries on a disk that refuses.
            if self._closing.is_set():
                self._abandoned.wait(pause)
            else:
                self._closing.wait(pause or _GATHER_S)
            try:
                drained, more = self._round()
            # The writer outlives whatever a sink, a reader or an event does; without it nothing may trade.
            except Exception as error:  # noqa: BLE001 - see above; counted and reported
                self._pen.trouble("writer_error", f"{type(error).__name__}: {error}")
                drained, more = False, True
            pause = 0.0 if drained else min(max(2 * pause, _RETRY_S[0]), _RETRY_S[1])
            if more or not drained:
                self._wake.set()
            elif self._closing.is_set():
                break
        self._clean = not self._pen.held_lines and not self._queue and self._follower.caught_up
        self._pen.close()
        self._done.set()

    def _round(self) -> tuple[bool, bool]:
        """Take what waits and write it. Returns whether the disk took it all, and whether more may be waiting."""
        notes: Sequence[Stamped | BookedEvent] = ()
        booked: Sequence[Stamped | BookedEvent] = ()
        readable = True
        if self._pen.held_bytes <= HELD_BYTES_MAX:
            booked, readable = self._take_booked()
            notes = self._take_notes()
        # Each of the two is in order; together they read in the order of market time.
        for item in heapq.merge(notes, booked, key=_at_ns):
            if isinstance(item, BookedEvent):
                self._pen.take_booked(item)
            else:
                self._pen.take(item.at_ns, item.event, item.ids)
        self._tell_drops()
        drained = self._pen.drain()
        if drained and self._follower.caught_up and self._marks and self._pen.sync():
            self._vouched_s = time.monotonic()
            for mark in self._marks:
                mark.reached.set()
            self._marks.clear()
        elif drained and time.monotonic() - self._vouched_s > _HEAD_EVERY_S:
            self._vouched_s = time.monotonic()
            self._pen.sync()
        return drained and readable, bool(booked or self._queue or self._marks)

    def _take_booked(self) -> tuple[Sequence[BookedEvent], bool]:
        """Ask for booked events. Returns them, and whether the store could be read."""
        try:
            return self._follower.ready(_ROUND), True
        # The reader is the store's; whatever it raises, the diagnostics are written all the same.
        except Exception as error:  # noqa: BLE001 - see above; counted, reported, asked again after a wait
            self._pen.trouble("reader_error", f"{type(error).__name__}: {error}")
            return (), False

    def _take_notes(self) -> list[Stamped]:
        notes: list[Stamped] = []
        while self._queue and len(notes) < _ROUND:
            item = self._queue.popleft()
            if isinstance(item, _Mark):
                self._marks.append(item)
            elif self._pen.over_cap:
                with self._drop_lock:
                    self._dropped += 1
            else:
                notes.append(item)
        return notes

    def _tell_drops(self) -> None:
        """Report drops, once a second of market time at most while they go on."""
        dropped = self._dropped
        if dropped == self._drops_told or self._pen.over_cap or self._pen.held_bytes > HELD_BYTES_MAX:
            return
        now_ns = self._clock.now_ns()
        if self._queue and now_ns - self._drops_told_ns < _DROPS_EVERY_NS:
            return
        self._pen.take(now_ns, JournalDrops(dropped - self._drops_told, dropped))
        self._drops_told, self._drops_told_ns = dropped, now_ns


def _at_ns(item: Stamped | BookedEvent) -> int:
    return item.stamped.at_ns if isinstance(item, BookedEvent) else item.at_ns


async def _reached(event: threading.Event, timeout_s: float) -> bool:
    """Wait for a thread without holding the loop up; real seconds."""
    deadline = time.monotonic() + timeout_s
    while not event.is_set():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True
