"""The journal of virtual time: no thread and no clock of its own, so that the same run gives the same bytes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from tradecore.journal.follow import Follower, Reader
from tradecore.journal.pen import Pen
from tradecore.journal.sample import Sampler
from tradecore.model.events import NO_IDS, BookedEvent, Ids, JournalDrops
from tradecore.ports.clock import Clock

FLUSH_BYTES: Final = 1 << 16
"""Lines are written when so many bytes are held."""
HELD_BYTES_MAX: Final = 1 << 24
"""With a disk that refuses, diagnostics are dropped from here on and booked events stay in the store."""
_PATIENCE: Final = 1_000
"""Events between two tries on a disk that refuses."""


class InlineJournal:
    """Writes on the caller's thread. Its queue never drops; only a disk that refuses for long makes it drop.

    Args:
        pen: Writes the lines.
        clock: Stamps diagnostics.
        sampler: Thins tracer events out.
        sequence: Of the newest booked event in the files.
        flush_bytes: Bytes held before they are written, >= 1.
    """

    def __init__(
        self, pen: Pen, clock: Clock, sampler: Sampler, sequence: int, *, flush_bytes: int = FLUSH_BYTES
    ) -> None:
        self._pen = pen
        self._clock = clock
        self._sampler = sampler
        self._follower = Follower(sequence, 10_000, pen.trouble)
        self._flush_bytes = flush_bytes
        # A library may log from within our own call (a finaliser does), or from another thread: such an event waits
        # in the inbox, and whoever holds the lock takes it along.
        self._inbox: deque[tuple[int, Any, Ids]] = deque()
        self._lock = threading.Lock()
        self._patience = 0
        self._dropped = 0
        self._drops_told = 0
        self._closed = False

    def note(self, event: Any, ids: Ids = NO_IDS) -> None:
        """Take one diagnostic event, stamped now. Never raises."""
        if self._closed:
            self._dropped += 1
        elif self._sampler.keep(event):
            self._inbox.append((self._clock.now_ns(), event, ids))
            self._work()

    def follow(self, events: Sequence[BookedEvent]) -> None:
        """Take events that the store has committed, in order. They are never dropped."""
        if not self._closed:
            self._follower.put(events)
            self._work()

    def catch_up(self, reader: Reader) -> None:
        """Write what the store committed and no file holds; keep the reader for whenever memory is full.

        Call it once after opening, before the run's own events: until then, booked events of a folder that has
        lines already are held back.
        """
        self._follower.attach(reader)
        self._work()

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
        return len(self._inbox) + self._pen.held_lines + self._follower.waiting

    @property
    def faults(self) -> dict[str, int]:
        """Own troubles so far, by `JournalFault.what`."""
        return dict(self._pen.faults)

    async def flush(self, timeout_s: float) -> bool:
        """Write all that is held, at once; False where the disk refuses."""
        return self._flush()

    async def close(self, timeout_s: float) -> bool:
        """Flush and close the files; False where events could not be written. May be called twice."""
        if self._closed:
            return not self._pen.held_lines
        self._follower.accept_holes()
        written = self._flush()
        self._closed = True
        self._pen.close()
        return written

    def _flush(self) -> bool:
        if self._closed:
            return not self._pen.held_lines
        with self._lock:
            self._take_inbox()
            while True:
                drained = self._drain()
                self._take_booked()
                if not drained or not self._pen.held_lines:
                    return drained and self._pen.sync() and self._follower.caught_up

    def _work(self) -> None:
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._take_inbox()
            self._take_booked()
            if self._pen.held_bytes >= self._flush_bytes:
                self._patience -= 1
                if self._patience < 0:
                    self._drain()
        finally:
            self._lock.release()

    def _take_inbox(self) -> None:
        while self._inbox:
            at_ns, event, ids = self._inbox.popleft()
            if self._pen.held_bytes > HELD_BYTES_MAX or self._pen.over_cap:
                self._dropped += 1
            else:
                self._pen.take(at_ns, event, ids)

    def _take_booked(self) -> None:
        while not self._follower.caught_up and self._pen.held_bytes <= HELD_BYTES_MAX:
            try:
                events = self._follower.ready()
            # The reader is the store's; whatever it raises must not reach whoever noted an event.
            except Exception as error:  # noqa: BLE001 - see above; counted, reported, asked again next time
                self._pen.trouble("reader_error", f"{type(error).__name__}: {error}")
                return
            if not events:
                return
            for booked in events:
                self._pen.take_booked(booked)

    def _drain(self) -> bool:
        if self._dropped > self._drops_told and not self._pen.over_cap:
            self._pen.take(self._clock.now_ns(), JournalDrops(self._dropped - self._drops_told, self._dropped), NO_IDS)
            self._drops_told = self._dropped
        drained = self._pen.drain()
        self._patience = 0 if drained else _PATIENCE
        return drained
