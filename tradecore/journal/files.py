"""The folder: ``<taxonomy>/YYYY-MM-DD.jsonl`` by market day (UTC), packed when the day is over, deleted in time.

A file's day is that of the newest market time seen when the line was written, and days only go forward: a line that
comes late (a clock set back, a crash's missing lines) goes into the open file. Packed files hold neither time nor
name, so that the same lines give the same bytes.
"""

from __future__ import annotations

import datetime
import gzip
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tradecore.errors import StateFolderError
from tradecore.journal.sink import FileSink, OpenSink, Tail
from tradecore.model.events import JournalRetention, JournalRotated, Taxonomy

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
    ) -> None:
        self._folder = folder
        self._retention_days = {**RETENTION_DAYS, **retention_days}
        self._cap_bytes = cap_bytes
        self._open_sink = open_sink
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

    @property
    def over_cap(self) -> bool:
        """True where the cap is passed and only files that must stay are left."""
        return self._nothing_to_delete and self.total_bytes > self._cap_bytes

    @property
    def wants_room(self) -> bool:
        """True where the cap is passed and nobody has looked for old files since."""
        return self.total_bytes > self._cap_bytes and not self._nothing_to_delete

    def append(self, taxonomy: Taxonomy, block: bytes) -> None:
        """Add whole lines to the open day's file.

        Raises:
            OSError: If nothing was written; the same block may be tried again.
        """
        tail = self._tails.get(taxonomy)
        if tail is None:
            path = self._folder / taxonomy.value / (day_text(self.day) + PLAIN)
            tail = self._tails[taxonomy] = Tail(self._open_sink(path))
        tail.append(block)
        self.total_bytes += len(block)
        self._unsynced.add(taxonomy)

    def turn(self, day: int) -> list[Any]:
        """Go on to a later day: pack what is older, delete what is too old.

        Trouble with old files is counted and tried again at the next turn: it must not stop the new day.

        Returns:
            Events that report each file packed or deleted.
        """
        self.day = day
        self.turned = True
        self._close_tails()
        events: list[Any] = []
        for file in list(self._all()):
            if file.day < day and not file.packed:
                events += self._pack(file)
        for file in list(self._removable()):
            if file.day < day - self._retention_days[file.taxonomy]:
                events += self._delete(file, "age")
        self._nothing_to_delete = False
        return events + self.make_room()

    def make_room(self) -> list[Any]:
        """Delete the oldest files until the cap holds. Returns events that report each."""
        events: list[Any] = []
        for file in sorted(self._removable(), key=lambda file: (file.day, _GOES_FIRST.index(file.taxonomy))):
            if self.total_bytes <= self._cap_bytes:
                return events
            events += self._delete(file, "cap")
        self._nothing_to_delete = self.total_bytes > self._cap_bytes
        return events

    def sync(self) -> None:
        """Make what was written survive a power cut.

        Raises:
            OSError: If the disk refuses.
        """
        for taxonomy in tuple(self._unsynced):
            tail = self._tails.get(taxonomy)
            if tail is not None:
                tail.sync()
            self._unsynced.discard(taxonomy)

    def close(self) -> None:
        """Close all files; they open again at the next line."""
        self._close_tails()

    def _close_tails(self) -> None:
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

    def _all(self) -> Iterator[DayFile]:
        for taxonomy in Taxonomy:
            yield from list_files(self._folder, taxonomy)

    def _removable(self) -> Iterator[DayFile]:
        """All files but each taxonomy's newest: the place that the journal has reached is read from those."""
        for taxonomy in Taxonomy:
            yield from (file for file in list_files(self._folder, taxonomy)[:-1] if file.day < self.day)

    def _pack(self, file: DayFile) -> list[Any]:
        target = file.path.with_name(file.path.name + ".gz")
        draft = file.path.with_name(file.path.name + ".gz.tmp")
        try:
            size = _size(file.path)
            with file.path.open("rb") as source, draft.open("wb") as raw:
                with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packer:
                    shutil.copyfileobj(source, packer, 1 << 20)
                raw.flush()
                os.fsync(raw.fileno())
            draft.chmod(0o640)
            draft.replace(target)
            file.path.unlink()
        except OSError:
            self.upkeep_errors += 1  # a draft that stays behind is overwritten by the next try
            return []
        packed = _size(target)
        self.total_bytes += packed - size
        return [JournalRotated(file.taxonomy.value, target.name, size, packed)]

    def _delete(self, file: DayFile, reason: str) -> list[Any]:
        size = _size(file.path)
        try:
            file.path.unlink()
        except OSError:
            self.upkeep_errors += 1
            return []
        self.total_bytes -= size
        return [JournalRetention(file.taxonomy.value, file.path.name, size, reason)]


def _size(path: Path) -> int:
    """Bytes of a file; 0 where another process took it away."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
