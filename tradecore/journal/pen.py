"""What both journals share: encode, hold until written, write in order, turn the day, report own trouble.

Only one thread at a time may use a pen. It never raises for the disk's sake: what could not be written is held and
tried again at the next drain.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from tradecore.journal.encode import Encoder
from tradecore.journal.files import Folder, day_of
from tradecore.journal.recover import BOOKED_TAXONOMIES, Place
from tradecore.model.events import NO_IDS, BookedEvent, Ids, JournalFault, Taxonomy, kind_of

GROUP_BYTES: Final = 1 << 18
"""Most bytes handed to a file at once."""


class _Ready(NamedTuple):
    """A line of a booked taxonomy; these are written in the order of their line numbers across files."""

    taxonomy: Taxonomy
    line: bytes
    sequence: int
    """0 for a diagnostic."""


class _Batch:
    """Lines of one market day that wait to be written."""

    def __init__(self, day: int) -> None:
        self.day = day
        self.loose: dict[Taxonomy, list[bytes]] = {}
        """Lines of taxonomies without booked events: order between files means nothing."""
        self.strict: deque[_Ready] = deque()


class Pen:
    """Writes lines into a folder for one session.

    Args:
        folder: The files.
        encoder: Makes the lines.
        place: Where the folder stands; line numbers go on from there.
    """

    def __init__(self, folder: Folder, encoder: Encoder, place: Place) -> None:
        self._folder = folder
        self._encoder = encoder
        self._seq = place.head.seq
        self._batches: deque[_Batch] = deque()
        self._last_at_ns = 0
        self._troubles: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
        self._details: dict[str, str] = {}
        self._upkeep_seen = 0
        self.written = place.head.sequence
        """Sequence of the newest booked event in the files."""
        self.held_lines = 0
        self.held_bytes = 0
        folder.go_on_from(place.head)
        for what, detail in place.troubles:
            self.trouble(what, detail)

    @property
    def over_cap(self) -> bool:
        """True where the cap on disk leaves room for booked events only."""
        return self._folder.over_cap

    @property
    def faults(self) -> Counter[str]:
        """How often each kind of trouble happened, as in `JournalFault.what`."""
        return self._totals

    def trouble(self, what: str, detail: str, count: int = 1) -> None:
        """Count trouble; it is reported as an event once writing works again."""
        self._troubles[what] += count
        self._totals[what] += count
        self._details[what] = detail

    def take(self, at_ns: int, event: Any, ids: Ids = NO_IDS) -> None:
        """Encode a diagnostic event and hold its line. An event that cannot be encoded is counted."""
        self._take(at_ns, event, ids, None)

    def take_booked(self, booked: BookedEvent) -> None:
        """Encode a booked event and hold its line. They must come in the order of their sequence."""
        at_ns, event, ids = booked.stamped
        self._take(at_ns, event, ids, booked.sequence)

    def _take(self, at_ns: int, event: Any, ids: Ids, sequence: int | None) -> None:
        try:
            taxonomy = kind_of(event).taxonomy
            line = self._encoder.line(self._seq + 1, at_ns, event, ids, sequence)
        # Whatever a wrongly made event raises, it may cost its own line only: note() never raises.
        except Exception as error:  # noqa: BLE001 - see above; counted and reported
            self.trouble("unencodable", f"{type(event).__name__}: {error}")
            return
        self._seq += 1
        self._last_at_ns = at_ns
        self._hold(self._batch(day_of(at_ns)), taxonomy, line, sequence or 0)

    def _batch(self, day: int) -> _Batch:
        if not self._batches or day > self._batches[-1].day:
            self._batches.append(_Batch(max(day, self._folder.day)))
        return self._batches[-1]

    def _hold(self, batch: _Batch, taxonomy: Taxonomy, line: bytes, sequence: int) -> None:
        if taxonomy in BOOKED_TAXONOMIES:
            batch.strict.append(_Ready(taxonomy, line, sequence))
        else:
            batch.loose.setdefault(taxonomy, []).append(line)
        self.held_lines += 1
        self.held_bytes += len(line)

    def drain(self) -> bool:
        """Write all that is held.

        Returns:
            False where the disk refused; the rest is held, and the next drain goes on with it.
        """
        try:
            self._drain()
            if self._report_trouble():
                self._drain()
        except OSError as error:
            # Without the path: an event must not name a folder of this machine.
            self.trouble("sink_error", error.strerror or type(error).__name__)
            return False
        return True

    def _drain(self) -> None:
        while self._batches:
            batch = self._batches[0]
            if batch.day > self._folder.day or not self._folder.turned:
                self._report(self._folder.turn(batch.day, self.written))
            self._write(batch)
            if self._folder.wants_room:
                self._report(self._folder.make_room())
                self._write(batch)
            # Only an empty batch may go, and the day stays open for the lines that follow.
            self._batches.popleft()

    def _report(self, events: Iterable[Any]) -> None:
        for event in events:
            self._seq += 1
            line = self._encoder.line(self._seq, self._last_at_ns, event, NO_IDS)
            # Behind all that has a number already: in each file the numbers rise.
            self._hold(self._batches[-1], kind_of(event).taxonomy, line, 0)
        if self._folder.over_cap:
            self.trouble("cap", "no file is left to delete, diagnostics are dropped")

    def _write(self, batch: _Batch) -> None:
        for taxonomy in list(batch.loose):
            lines = batch.loose[taxonomy]
            while lines:
                count = _fitting(lines)
                self._append(taxonomy, lines[:count])
                del lines[:count]
            del batch.loose[taxonomy]
        strict = batch.strict
        while strict:
            taxonomy = strict[0].taxonomy
            group: list[_Ready] = []
            size = 0
            for ready in strict:
                size += len(ready.line)
                if ready.taxonomy is not taxonomy or (group and size > GROUP_BYTES):
                    break
                group.append(ready)
            self._append(taxonomy, [ready.line for ready in group])
            for ready in group:
                self.written = ready.sequence or self.written
                strict.popleft()

    def _append(self, taxonomy: Taxonomy, lines: list[bytes]) -> None:
        self._folder.append(taxonomy, lines)
        self.held_lines -= len(lines)
        self.held_bytes -= sum(map(len, lines))

    def _report_trouble(self) -> bool:
        new_upkeep = self._folder.upkeep_errors - self._upkeep_seen
        if new_upkeep:
            self._upkeep_seen += new_upkeep
            self.trouble("upkeep_error", "a file could not be packed, deleted or closed", new_upkeep)
        # Before the first line there is no market time to give the report.
        if not self._troubles or not self._last_at_ns:
            return False
        troubles, self._troubles = self._troubles, Counter()
        for what in sorted(troubles):
            self.take(self._last_at_ns, JournalFault(what, troubles[what], self._totals[what], self._details[what]))
        return True

    def sync(self) -> bool:
        """Make what was written survive a power cut. Returns False where the disk refused."""
        try:
            self._folder.sync(self.written)
        except OSError as error:
            self.trouble("sink_error", error.strerror or type(error).__name__)
            return False
        return True

    def close(self) -> None:
        """Close the files. What could not be written is lost here; booked events are in the store."""
        self._folder.close(self.written)


def _fitting(lines: list[bytes]) -> int:
    """How many lines go into one write, at least one."""
    size = 0
    for count, line in enumerate(lines):
        size += len(line)
        if count and size > GROUP_BYTES:
            return count
    return len(lines)
