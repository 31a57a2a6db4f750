"""Looks a whole journal through: is every line there, unchanged, in its place, and if not, what happened to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from tradecore.errors import DataError
from tradecore.journal.chain import origin
from tradecore.journal.files import DayFile, day_from, list_files
from tradecore.journal.head import HEAD_FILE, Head, Reach, fresh_reach, read_head
from tradecore.journal.links import End, FileEnd, Finding, Links, What
from tradecore.journal.raw import RawFile
from tradecore.model.events import JournalRetention, JournalRotated, Taxonomy

TOLERATED: Final = frozenset({What.TORN})


class Gone(NamedTuple):
    """What retention deleted of one taxonomy, and reported."""

    taxonomy: str
    files: int
    through_seq: int
    """Number of the last line that is gone."""


class Verified(NamedTuple):
    """What a look through a journal found."""

    files: int
    lines: int
    findings: Sequence[Finding]
    """In the order of line numbers as far as they are known."""
    gone: Sequence[Gone]
    """By policy: no fault."""
    reached_seq: int
    """Highest line number found."""
    links: Mapping[str, str]
    """Taxonomy to the link of its last line: what is worth writing down elsewhere."""

    @property
    def ok(self) -> bool:
        """True where nothing is wrong but ends that a crash left torn."""
        return all(finding.what in TOLERATED for finding in self.findings)


class _Reports(NamedTuple):
    """What the audit files say about files."""

    packed: Mapping[tuple[str, int], JournalRotated]
    """By taxonomy and day."""
    deleted: frozenset[tuple[str, int]]


def verify(folder: Path) -> Verified:
    """Look a journal through, one line after the other; memory does not grow with its size.

    A journal under way may be looked at: lines behind the head are no fault, and the last may be torn.

    Args:
        folder: The journal's folder; one that does not exist is an empty journal.
    Raises:
        DataError: If a file cannot be opened.
    """
    findings: list[Finding] = []
    head: Head | None = None
    files = {taxonomy: list_files(folder, taxonomy) for taxonomy in Taxonomy}
    try:
        head = read_head(folder)
        if head is None and any(files.values()):
            findings.append(Finding(What.HEAD, "", HEAD_FILE, 0, 0, "the head is missing: ends cannot be proven"))
    except DataError as error:
        findings.append(Finding(What.HEAD, "", HEAD_FILE, 0, 0, str(error)))
    reports = _reports(files[Taxonomy.AUDIT])
    lines = 0
    gone: list[Gone] = []
    links: dict[str, str] = {}
    reached = 0
    for taxonomy in Taxonomy:
        reach = head.reaches.get(taxonomy) if head is not None else None
        family = _Family(taxonomy, files[taxonomy], reach, reports)
        findings += family.look()
        lines += family.links.lines
        reached = max(reached, family.links.reached_seq)
        links[taxonomy.value] = family.links.end.link.decode("ascii", "replace")
        if reach is not None and reach.gone_files:
            gone.append(Gone(taxonomy.value, reach.gone_files, reach.gone_seq))
    findings.sort(key=lambda finding: finding.seq)
    return Verified(sum(map(len, files.values())), lines, tuple(findings), tuple(gone), reached, links)


class _Family:
    """One taxonomy's files, oldest first.

    Args:
        reach: What the head says; ``None`` where there is no head.
    """

    def __init__(self, taxonomy: Taxonomy, files: Sequence[DayFile], reach: Reach | None, reports: _Reports) -> None:
        self._taxonomy = taxonomy
        self._files = files
        self._reach = reach if reach is not None else fresh_reach(taxonomy)
        self._known = reach is not None
        self._reports = reports
        self._repacked: list[tuple[str, int]] = []
        """Packed files that are not the bytes that were reported, with the number of their first line."""
        trusted = not self._known and _begins_later(taxonomy, files, reports)
        before = End(0, b"" if trusted else origin(taxonomy))
        if self._reach.gone_files:
            before = End(self._reach.gone_seq, self._reach.gone_link)
        self.links = Links(taxonomy.value, before, End(self._reach.seq, self._reach.link))

    def look(self) -> list[Finding]:
        """Read all files; returns what is wrong."""
        missing = self._missing()
        findings = [finding for _, finding in missing]
        waiting = sorted(day for day, _ in missing)
        for number, file in enumerate(self._files):
            if waiting and waiting[0] < file.day:
                while waiting and waiting[0] < file.day:
                    waiting.pop(0)
                self.links.skip(self._link_of_packed_before(file.day))
            newest = number == len(self._files) - 1
            findings += self._file(file, newest)
        findings += self.links.resolve(lambda: [RawFile(file.path, file.packed) for file in self._files])
        findings += self._packing(findings)
        last = self._place(self._files[-1]) if self._files else ""
        ended = self.links.ends_changed or any(
            finding.file == last and finding.what in (What.CUT, What.DAMAGED) for finding in findings
        )
        if (
            self._known
            and not waiting
            and not ended
            and self.links.reached_seq < self._reach.seq > self._reach.gone_seq
        ):
            name = self._reach.file or "its files"
            findings.append(
                Finding(
                    What.CUT, self._taxonomy.value, f"{self._taxonomy.value}/{name}", 0, self._reach.seq,
                    f"the head reaches line {self._reach.seq}, the files line {self.links.reached_seq}",
                )
            )  # fmt: skip
        return findings

    def _packing(self, findings: Sequence[Finding]) -> list[Finding]:
        """Packed files whose bytes changed though each line is as it was: no reader would notice."""
        places = [self._place(file) for file in self._files]
        explained = {finding.file for finding in findings}
        found = []
        for place, seq in self._repacked:
            # Lines removed at a file's end are found at the begin of the next.
            around = places[places.index(place) :][:2]
            if not explained.intersection(around):
                found.append(Finding(What.CHANGED, self._taxonomy.value, place, 0, seq, "in its packing"))
        return found

    def _place(self, file: DayFile) -> str:
        return f"{self._taxonomy.value}/{file.path.name}"

    def _missing(self) -> list[tuple[int, Finding]]:
        """Files that the audit files or the head name, that are not there, and that no policy took."""
        here = {file.day for file in self._files}
        named = {
            day: f"{report.lines} lines, {report.first_seq} to {report.last_seq}"
            for (taxonomy, day), report in self._reports.packed.items()
            if taxonomy == self._taxonomy.value
            and (taxonomy, day) not in self._reports.deleted
            and not (self._known and report.last_seq <= self._reach.gone_seq)
        }
        if self._known and self._reach.file and self._reach.seq > self._reach.gone_seq:
            named.setdefault(day_from(self._reach.file), f"the newest, to line {self._reach.seq}")
        found = []
        for day in sorted(named.keys() - here):
            report = self._reports.packed.get((self._taxonomy.value, day))
            name = report.file if report is not None else self._reach.file
            seq = report.first_seq if report is not None else self._reach.seq
            place = f"{self._taxonomy.value}/{name}"
            found.append((day, Finding(What.MISSING_FILE, self._taxonomy.value, place, 0, seq, named[day])))
        return found

    def _file(self, file: DayFile, newest: bool) -> list[Finding]:
        """Read one file through."""
        place = self._place(file)
        report = self._reports.packed.get((self._taxonomy.value, file.day)) if file.packed else None
        raw = RawFile(file.path, file.packed)
        end = self.links.take(place, raw)
        found: list[Finding] = []
        if end is FileEnd.WHOLE and report is not None and raw.digest != report.digest:
            self._repacked.append((place, report.first_seq))
        elif end is FileEnd.DAMAGED:
            cut = raw.size_bytes < report.packed_bytes if report is not None else raw.ends_early
            what, why = (What.CUT, "the packed file ends early") if cut else (What.DAMAGED, "cannot be unpacked")
            after = f"{why} after line {self.links.end.seq}" if self.links.end.seq else why
            found.append(Finding(what, self._taxonomy.value, place, raw.lines, self.links.end.seq + 1, after))
            self.links.skip(report.link.encode() if report is not None else b"")
        elif end is FileEnd.TORN:
            vouched = self._known and self.links.reached_seq < self._reach.seq
            if newest and not vouched:
                text = "an unfinished last line: a crash, or a writer at work"
                found.append(Finding(What.TORN, self._taxonomy.value, place, raw.lines, self.links.end.seq + 1, text))
            else:
                text = f"ends in half a line after line {self.links.end.seq}"
                found.append(Finding(What.CUT, self._taxonomy.value, place, raw.lines, self.links.end.seq + 1, text))
                self.links.skip(b"")
        elif end is FileEnd.NO_LINE_FEED:
            text = "whole, without its line feed"
            found.append(Finding(What.TORN, self._taxonomy.value, place, raw.lines, self.links.end.seq, text))
        return found

    def _link_of_packed_before(self, day: int) -> bytes:
        """The link at the end of the newest file before a day that was reported as packed; empty: none was."""
        days = [at for name, at in self._reports.packed if name == self._taxonomy.value and at < day]
        return self._reports.packed[self._taxonomy.value, max(days)].link.encode() if days else b""


def _begins_later(taxonomy: Taxonomy, files: Sequence[DayFile], reports: _Reports) -> bool:
    """Tell whether a journal without a head has lost files to its policy: then its first line is on trust."""
    first = files[0].day if files else 0
    return any(name == taxonomy.value and day < first for name, day in reports.deleted)


def _reports(files: Sequence[DayFile]) -> _Reports:
    """Read what the audit files report of packed and deleted files."""
    packed: dict[tuple[str, int], JournalRotated] = {}
    deleted: set[tuple[str, int]] = set()
    for file in files:
        for raw in RawFile(file.path, file.packed).read():
            if b'"kind":"journal_r' not in raw[:100]:
                continue
            try:
                line = orjson.loads(raw)
                if line["kind"] == "journal_rotated":
                    report = JournalRotated(**line["data"])
                    packed[report.journal, day_from(report.file)] = report
                elif line["kind"] == "journal_retention":
                    gone = JournalRetention(**line["data"])
                    deleted.add((gone.journal, day_from(gone.file)))
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                continue  # the look through the links names the line
    return _Reports(packed, frozenset(deleted))
