"""The folder: ``<taxonomy>/YYYY-MM-DD.jsonl`` by market day (UTC), packed when the day is over, deleted in time.

A file's day is that of the newest market time seen when the line was written, and days only go forward: a line that
comes late (a clock set back, a crash's missing lines) goes into the open file. Packed files hold neither time nor
name, so that the same lines give the same bytes.
"""

from __future__ import annotations

import datetime
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tradecore.errors import DataError, StateFolderError
from tradecore.journal.chain import seal, seq_of
from tradecore.journal.head import Head, fresh_head, write_head
from tradecore.journal.sink import FileSink, OpenSink, Tail
from tradecore.journal.upkeep import LastLine, last_line, pack
from tradecore.model.events import JournalRetention, Taxonomy

DAY_NS: Final = 86_400 * 10**9
RETENTION_DAYS: Final[Mapping[Taxonomy, int]] = {
    Taxonomy.DECISION: 365,
    Taxonomy.ORDER: 365,
    Taxonomy.TRACER: 60,
    Taxonomy.AUDIT: 730,
    Taxonomy.HEALTH: 30,
}
"""Starting values of R39, in days."""
PLAIN: Final = ".jsonl"
PACKED: Final = ".jsonl.gz"
_EPOCH_ORDINAL: Final = datetime.date(1970, 1, 1).toordinal()
_NAME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})\.jsonl(\.gz)?")
# When the cap asks for room, the least missed goes first among files of the same day.
_GOES_FIRST: Final = (Taxonomy.TRACER, Taxonomy.HEALTH, Taxonomy.DECISION, Taxonomy.ORDER, Taxonomy.AUDIT)


def day_of(at_ns: int) -> int:
    """Days since 1970 UTC of a market time in nanoseconds."""
    return at_ns // DAY_NS


def day_text(day: int) -> str:
    """Write a day as ``YYYY-MM-DD``."""
    return datetime.date.fromordinal(_EPOCH_ORDINAL + day).isoformat()


def day_from(name: str) -> int:
    """Read the day out of a file's name; -1 where it is no file of a journal."""
    match = _NAME.fullmatch(name)
    return datetime.date.fromisoformat(match[1]).toordinal() - _EPOCH_ORDINAL if match is not None else -1


class DayFile(NamedTuple):
    """One file of the journal."""

    day: int
    """Days since 1970 UTC."""
    taxonomy: Taxonomy
    path: Path
    packed: bool


def list_files(folder: Path, taxonomy: Taxonomy) -> list[DayFile]:
    """List a taxonomy's files, oldest day first; empty where there is no such folder.

    A crash while packing can leave both forms of a day: then the plain one is whole, and the packed one is left out.
    """
    found: dict[int, DayFile] = {}
    try:
        names = sorted(entry.name for entry in os.scandir(folder / taxonomy.value))
    except FileNotFoundError:
        return []
    for name in names:  # "x.jsonl" sorts before "x.jsonl.gz"
        match = _NAME.fullmatch(name)
        if match is not None:
            day = datetime.date.fromisoformat(match[1]).toordinal() - _EPOCH_ORDINAL
            found.setdefault(day, DayFile(day, taxonomy, folder / taxonomy.value / name, match[2] is not None))
    return [found[day] for day in sorted(found)]


class Folder:
    """The journal's files and their upkeep. Not thread-safe: one writer.

    Args:
        folder: Where the five folders are.
        retention_days: Days that a file is kept after its own, >= 1, by taxonomy.
        cap_bytes: Most bytes that all files together may have, > 0.
        open_sink: Opens a file for appending.
        packed: Is called with the folder and each file that was packed; ``None``: nobody wants to know.
    Raises:
        StateFolderError: If the folders cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        retention_days: Mapping[Taxonomy, int] = RETENTION_DAYS,
        cap_bytes: int = 2048 * 2**20,
        open_sink: OpenSink = FileSink,
        packed: Callable[[Path, DayFile], None] | None = None,
    ) -> None:
        self._folder = folder
        self._retention_days = {**RETENTION_DAYS, **retention_days}
        self._cap_bytes = cap_bytes
        self._open_sink = open_sink
        self._packed = packed
        self._tails: dict[Taxonomy, Tail] = {}
        self._unsynced: set[Taxonomy] = set()
        try:
            for taxonomy in Taxonomy:
                (folder / taxonomy.value).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateFolderError(f"expected a journal folder that can be written, was {folder}: {error}") from error
        files = list(self._all())
        # A packed day is over: writing into it again would put a second file beside the packed one.
        self.day = max((file.day + file.packed for file in files), default=-1)
        """The earliest day that may be written; -1 in an empty folder."""
        self.turned = False
        """True once a day was opened in this run: only then have leftovers of earlier days been looked after."""
        self.total_bytes = sum(_size(file.path) for file in files)
        """Of all files of the journal."""
        self.upkeep_errors = 0
        """Files that could not be packed or deleted, so far."""
        self._nothing_to_delete = False
        self._head = fresh_head()
        self._reaches = dict(self._head.reaches)
        self._saved: Head | None = None

    def go_on_from(self, head: Head) -> None:
        """Take up the chain where it stands; call it before the first line."""
        self._head = head
        self._reaches = dict(head.reaches)

    @property
    def over_cap(self) -> bool:
        """True where the cap is passed and only files that must stay are left."""
        return self._nothing_to_delete and self.total_bytes > self._cap_bytes

    @property
    def wants_room(self) -> bool:
        """True where the cap is passed and nobody has looked for old files since."""
        return self.total_bytes > self._cap_bytes and not self._nothing_to_delete

    def append(self, taxonomy: Taxonomy, lines: Sequence[bytes]) -> None:
        """Chain whole lines and add them to the open day's file.

        Args:
            lines: At least one.
        Raises:
            OSError: If nothing was written; the same lines may be tried again.
        """
        name = day_text(self.day) + PLAIN
        tail = self._tails.get(taxonomy)
        if tail is None:
            tail = self._tails[taxonomy] = Tail(self._open_sink(self._folder / taxonomy.value / name))
        reach = self._reaches[taxonomy]
        block, link = seal(lines, reach.link)
        tail.append(block)
        self._reaches[taxonomy] = reach._replace(seq=seq_of(lines[-1]), link=link, file=name)
        self.total_bytes += len(block)
        self._unsynced.add(taxonomy)

    def turn(self, day: int, sequence: int) -> list[Any]:
        """Go on to a later day: pack what is older, delete what is too old.

        Trouble with old files is counted and tried again at the next turn: it must not stop the new day.

        Args:
            day: Days since 1970 UTC.
            sequence: As for `sync`.
        Returns:
            Events that report each file packed or deleted.
        """
        self.day = day
        self.turned = True
        self.close(sequence)
        events: list[Any] = []
        for file in list(self._all()):
            if file.day < day and not file.packed:
                events += self._pack(file)
        failed: set[Taxonomy] = set()
        for file in list(self._removable()):
            if file.day < day - self._retention_days[file.taxonomy]:
                events += self._delete(file, "age", failed)
        self._nothing_to_delete = False
        return events + self.make_room()

    def make_room(self) -> list[Any]:
        """Delete the oldest files until the cap holds. Returns events that report each."""
        events: list[Any] = []
        failed: set[Taxonomy] = set()
        for file in sorted(self._removable(), key=lambda file: (file.day, _GOES_FIRST.index(file.taxonomy))):
            if self.total_bytes <= self._cap_bytes:
                return events
            events += self._delete(file, "cap", failed)
        self._nothing_to_delete = self.total_bytes > self._cap_bytes
        return events

    def sync(self, sequence: int) -> None:
        """Make what was written survive a power cut, then the head that speaks of it.

        Args:
            sequence: The store's number of the newest booked event in the files.
        Raises:
            OSError: If the disk refuses.
        """
        for taxonomy in tuple(self._unsynced):
            tail = self._tails.get(taxonomy)
            if tail is not None:
                tail.sync()
            self._unsynced.discard(taxonomy)
        self._save_head(sequence)

    def _save_head(self, sequence: int) -> None:
        seq = max([self._head.seq, *(reach.seq for reach in self._reaches.values())])
        head = Head(seq, sequence, dict(self._reaches))
        if head != self._saved:
            write_head(self._folder, head)
            self._head = self._saved = head

    def close(self, sequence: int) -> None:
        """Close all files; they open again at the next line.

        Args:
            sequence: As for `sync`.
        """
        # A head that spoke of lines which the disk did not take would call them missing.
        if self._close_tails():
            try:
                self._save_head(sequence)
            except OSError:
                self.upkeep_errors += 1

    def _close_tails(self) -> bool:
        errors = self.upkeep_errors
        for tail in self._tails.values():
            try:
                tail.sync()
            except OSError:
                self.upkeep_errors += 1
            try:
                tail.close()
            except OSError:
                self.upkeep_errors += 1
        self._tails.clear()
        self._unsynced.clear()
        return self.upkeep_errors == errors

    def _all(self) -> Iterator[DayFile]:
        for taxonomy in Taxonomy:
            yield from list_files(self._folder, taxonomy)

    def _removable(self) -> Iterator[DayFile]:
        """All files but each taxonomy's newest: the place that the journal has reached is read from those."""
        for taxonomy in Taxonomy:
            yield from (file for file in list_files(self._folder, taxonomy)[:-1] if file.day < self.day)

    def _pack(self, file: DayFile) -> list[Any]:
        try:
            report = pack(file.path, file.taxonomy)
        except OSError:
            self.upkeep_errors += 1
            return []
        self.total_bytes += report.packed_bytes - report.size_bytes
        if self._packed is not None:
            target = file.path.with_name(file.path.name.removesuffix(PLAIN) + PACKED)
            try:
                self._packed(self._folder, file._replace(path=target, packed=True))
            except (DataError, OSError):
                self.upkeep_errors += 1  # who asks later sums the day up then
        return [report]

    def _delete(self, file: DayFile, reason: str, failed: set[Taxonomy]) -> list[Any]:
        """Delete a taxonomy's oldest file; the head says so first, or a crash would make it look stolen.

        Args:
            failed: Taxonomies of which a file could not be deleted: what is left of a chain must hang together.
        """
        if file.taxonomy in failed:
            return []
        reach = self._reaches[file.taxonomy]
        size = _size(file.path)
        try:
            end = last_line(file.path, file.packed)
        except (OSError, EOFError, zlib.error):
            end = LastLine(0, b"")  # damaged, and to be deleted all the same: what is left begins on trust
        gone = reach._replace(
            gone_seq=max(reach.gone_seq, end.seq), gone_link=end.link, gone_files=reach.gone_files + 1
        )
        try:
            self._reaches[file.taxonomy] = gone
            self.sync(self._head.sequence)
            file.path.unlink()
        except OSError:
            self._reaches[file.taxonomy] = reach
            self.upkeep_errors += 1
            failed.add(file.taxonomy)
            return []
        self.total_bytes -= size
        link = end.link.decode("ascii", "replace")
        return [JournalRetention(file.taxonomy.value, file.path.name, size, reason, end.seq, link)]


def _size(path: Path) -> int:
    """Bytes of a file; 0 where another process took it away."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
