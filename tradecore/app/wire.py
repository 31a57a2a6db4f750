"""Events on their way: from engine and store to the journal, and to the guests that asked for their kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tradecore.engine.engine import Engine
from tradecore.hooks.relay import EventRelay
from tradecore.journal.opening import EventJournal
from tradecore.model.events import NO_IDS, BookedEvent, Ids, Stamped, UncaughtException
from tradecore.ports.clock import Clock


class Wire:
    """The journal as the engine sees it (ports/journal.py); the store's follower too.

    The store must exist before the run has a number, and the journal needs the run's id: `connect` closes the ring
    before anything is committed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._journal: EventJournal | None = None
        self._relay: EventRelay | None = None
        self.listeners: list[Callable[[Any], None]] = []
        """Told of each diagnostic event; they must not wait."""
        self.errors: Counter[str] = Counter()
        """Exceptions that parts beside the engine met, by class: they belong into the run's summary like its own."""

    def connect(self, journal: EventJournal) -> None:
        """Put the journal behind the wire."""
        self._journal = journal

    def relay_to(self, relay: EventRelay) -> None:
        """Offer events to guests from now on."""
        self._relay = relay

    @property
    def journal(self) -> EventJournal:
        """The journal behind the wire."""
        assert self._journal is not None, "connect comes first"
        return self._journal

    def note(self, event: Any, ids: Ids = NO_IDS) -> None:
        """Take one diagnostic event, stamped now; it may be dropped, counted."""
        self.journal.note(event, ids)
        for listener in self.listeners:
            listener(event)
        if self._relay is not None:
            self._relay.offer(Stamped(self._clock.now_ns(), event, ids))

    def report(self, event: Any) -> None:
        """Take an event of a part beside the engine, as feed and venue are, and count it where it is an exception."""
        if isinstance(event, UncaughtException):
            self.errors[event.error_class] += 1
        self.note(event)

    def follow(self, events: Sequence[BookedEvent]) -> None:
        """Take events that the store has committed, in order."""
        self.journal.follow(events)
        if self._relay is not None:
            for event in events:
                self._relay.offer(event.stamped)

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest booked event in the files."""
        return self.journal.last_sequence

    @property
    def dropped(self) -> int:
        """Diagnostics dropped so far, by the journal or on the way to guests."""
        return self.journal.dropped + (self._relay.dropped if self._relay is not None else 0)

    @property
    def depth(self) -> int:
        """Events waiting to be written."""
        return self.journal.depth

    async def flush(self, timeout_s: float) -> bool:
        """Wait until all taken events are on disk; False if the time ran out."""
        return await self.journal.flush(timeout_s)

    async def close(self, timeout_s: float) -> bool:
        """Flush and end the journal; False if the time ran out."""
        return await self.journal.close(timeout_s)


class Door:
    """Carries quarantines to the engine, which is made after the door is."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.engine: Engine | None = None

    def quarantined(self, plugin: str, hook: str, faults: int, last: str) -> None:
        """Hand a quarantine on."""
        assert self.engine is not None, "guests are asked by the engine"
        self.engine.quarantined(plugin, hook, faults, last)
