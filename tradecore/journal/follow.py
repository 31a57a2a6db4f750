"""Booked events on their way from the store to the files: in order, without a hole, each once.

Nothing is ever dropped here because the store holds it all: what does not fit into memory, and what an earlier run
committed but did not write, is read from the store again by its sequence number.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from tradecore.model.events import BookedEvent

Reader = Callable[[int, int], Sequence[BookedEvent]]
"""The store's `events_after`: (sequence, limit) to the events with a higher sequence, in order. It is called from the
journal's writer thread where there is one."""
Trouble = Callable[[str, str], None]
"""Takes what happened and its detail."""
_PAGE: Final = 1_000


class Follower:
    """Hands booked events out by sequence.

    `put` and `attach` may be called from any thread, `ready` from one at a time.

    Args:
        taken: Sequence of the newest event in the files.
        limit: Most events kept in memory once a reader is known, >= 1.
        trouble: Is told of holes and of a store that is behind the files, from within `ready`.
    """

    def __init__(self, taken: int, limit: int, trouble: Trouble) -> None:
        self.taken = taken
        """Sequence of the newest event handed out."""
        self.newest = taken
        """Sequence of the newest event known."""
        self._limit = limit
        self._trouble = trouble
        self._lock = threading.Lock()
        self._waiting: deque[BookedEvent] = deque()
        self._reader: Reader | None = None
        self._asking = False
        self._behind = ""
        # With lines in the files nobody knows what the store holds in between until a reader is there.
        self._held_back = taken > 0

    @property
    def caught_up(self) -> bool:
        """True where every event known has been handed out."""
        return not self._asking and self.taken >= self.newest

    @property
    def waiting(self) -> int:
        """Events known and not handed out."""
        return max(0, self.newest - self.taken)

    def put(self, events: Sequence[BookedEvent]) -> None:
        """Take events that the store committed; those that do not fit are read from the store later."""
        if not events:
            return
        with self._lock:
            self.newest = max(self.newest, events[-1].sequence)
            room = len(events) if self._reader is None else max(0, self._limit - len(self._waiting))
            self._waiting.extend(events[:room])

    def attach(self, reader: Reader) -> None:
        """Name the store's reader; from now on holes are filled from it, the one left by a crash first.

        A store that was put back to an earlier state, or made anew, holds less than the files: then its events
        are followed from there on, and the repeated sequence numbers are reported.
        """
        taken = self.taken
        behind = taken > 0 and not reader(taken - 1, 1)
        held = _newest(reader, taken - 1) if behind else taken
        with self._lock:
            if self._waiting and self._waiting[0].sequence <= min(taken, held):
                # What is followed was committed in this run, so the store began to count again.
                held = self._waiting[0].sequence - 1
            if held < taken:
                self._behind = f"files reach {taken}, the store {held}"
                self.taken = held
                self.newest = self._waiting[-1].sequence if self._waiting else held
            self._reader = reader
            self._asking = True
            self._held_back = False

    def accept_holes(self) -> None:
        """Hand out what is there even where no reader can fill a hole: the end is near."""
        with self._lock:
            self._held_back = False
            if self._reader is None:
                self._reader = _nothing

    def ready(self, limit: int = _PAGE) -> Sequence[BookedEvent]:
        """Hand out the next events, at most `limit`; empty where there is none yet.

        Raises:
            Exception: Whatever the reader raises; nothing was handed out then.
        """
        with self._lock:
            if self._behind:
                self._trouble("store_behind", self._behind)
                self._behind = ""
            if self._held_back:
                return ()
            while self._waiting and self._waiting[0].sequence <= self.taken:
                self._waiting.popleft()
            events = self._run(self.taken + 1, limit)
            reader = self._reader
            wanted = self._asking or self.newest > self.taken
        if not events and wanted and reader is not None:
            # Not under the lock: the store's own thread may be handing events over at this moment.
            events = [event for event in reader(self.taken, limit) if event.sequence > self.taken]
            if not events:
                events = self._give_up_asking(limit)
        if not events:
            return ()
        if events[0].sequence > self.taken + 1:
            self._trouble("sequence_gap", f"{self.taken + 1} to {events[0].sequence - 1} are not in the store")
        self.taken = events[-1].sequence
        return events

    def _run(self, first: int, limit: int) -> list[BookedEvent]:
        """Take events off the front as long as they are in sequence from `first`."""
        run: list[BookedEvent] = []
        while self._waiting and self._waiting[0].sequence == first + len(run) and len(run) < limit:
            run.append(self._waiting.popleft())
        return run

    def _give_up_asking(self, limit: int) -> list[BookedEvent]:
        """The store has no more: go on with what is in memory, over a hole if there is one."""
        with self._lock:
            self._asking = False
            if self._waiting:
                return self._run(self._waiting[0].sequence, limit)
            self.newest = self.taken
            return []


def _newest(reader: Reader, below: int) -> int:
    """Find the store's newest sequence, known to be at most `below`, by halving."""
    low, high = 0, below
    while low < high:
        middle = (low + high) // 2
        if reader(middle, 1):
            low = middle + 1
        else:
            high = middle
    return low


def _nothing(sequence: int, limit: int) -> Sequence[BookedEvent]:
    return ()
