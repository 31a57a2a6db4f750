"""One taxonomy's chain, line by line; where it breaks, what was done there.

A break is found as the lines go by. What it means is decided at the end, when all breaks are known: a line whose
predecessor stands nowhere shows that lines were removed before it; one whose predecessor stands elsewhere was moved; a
line that is there twice, or that the next line knows nothing of, was put in.
"""

from __future__ import annotations

import bisect
import enum
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tradecore.journal.chain import Seal, link_after, seq_of, unseal
from tradecore.journal.raw import RawFile


class What(enum.StrEnum):
    """What was done to a journal."""

    CHANGED = "changed"
    """A line is not what was written."""
    REMOVED = "removed"
    """Lines are missing before this one."""
    INSERTED = "inserted"
    """A line that was never written here."""
    REORDERED = "reordered"
    """A line stands elsewhere than where it was written."""
    CUT = "cut"
    """A file ends before its end."""
    TORN = "torn"
    """An unfinished last line that nobody vouched for: tolerated, mended at the next start."""
    MISSING_FILE = "missing_file"
    """A file is gone that no policy took."""
    DAMAGED = "damaged"
    """A packed file cannot be unpacked to its end."""
    HEAD = "head"
    """The head is missing or changed."""


class Finding(NamedTuple):
    """One thing that is wrong."""

    what: What
    taxonomy: str
    """Empty for the head."""
    file: str
    """From the journal's folder."""
    line: int
    """In the file, from 1; 0 where it is the file itself."""
    seq: int
    """Number of the line, as far as it is known."""
    detail: str


class FileEnd(enum.Enum):
    """How a file ended."""

    WHOLE = "whole"
    TORN = "torn"
    NO_LINE_FEED = "no line feed"
    DAMAGED = "damaged"


class End(NamedTuple):
    """A line's number and link."""

    seq: int
    link: bytes


class _Break(NamedTuple):
    """A sound line that does not follow from the one before it."""

    file: str
    line: int
    end: End
    body: bytes
    before: End
    """Of the line that stands before it."""
    before_that: End
    """Of the line before the break before, where that is the line before this one; else of `before`."""
    blind: bool
    """True where the line before is changed or missing anyway: then the break has its reason."""


class Links:
    """Follows a taxonomy's chain over its files.

    Args:
        taxonomy: Its name.
        before: What stood before the first line; an empty link: unknown, the first line is taken on trust.
        vouched: A line that the head knows.
    """

    def __init__(self, taxonomy: str, before: End, vouched: End) -> None:
        self._taxonomy = taxonomy
        self._vouched = vouched
        self._anchor = before
        self._candidates: tuple[bytes, ...] = (before.link,) if before.link else ()
        self._blind = not before.link
        self._breaks: list[_Break] = []
        self._run_before = before
        self.end = before
        """The newest sound line."""
        self.ends_changed = False
        """True where a changed line came after it."""
        self.reached_seq = before.seq
        """Highest number of a sound line."""
        self.lines = 0
        self.found: list[Finding] = []
        """Changed lines so far."""
        self._last_changed = ("", 0)

    def skip(self, link: bytes) -> None:
        """Take note that something before the next line is known to be missing.

        Args:
            link: Of the last line that is missing; empty: unknown.
        """
        self._candidates = (link,) if link else ()
        self._blind = True

    def take(self, place: str, raw: RawFile) -> FileEnd:
        """Follow the chain through a file.

        Args:
            place: The file's name in findings.
        """
        number = 0
        for line in raw.read():
            number += 1
            if line[-1] != 10:
                return self._without_feed(place, number, line)
            taken = unseal(line)
            if taken is None or not taken.sound:
                self._changed(place, number, line, taken)
                continue
            self._sound(place, number, taken)
        return FileEnd.DAMAGED if raw.damaged else FileEnd.WHOLE

    def _sound(self, place: str, number: int, taken: Seal) -> None:
        self.lines += 1
        link = taken.link
        end = End(seq_of(taken.body), link)
        if not any(link_after(before, taken.body) == link for before in self._candidates):
            self._breaks.append(_Break(place, number, end, taken.body, self.end, self._run_before, self._blind))
            self._run_before = self.end
        if end.seq == self._vouched.seq and end != self._vouched:
            text = "is not the line that the head knows"
            self.found.append(Finding(What.CHANGED, self._taxonomy, place, number, end.seq, text))
        self._candidates, self._blind = (link,), False
        self.end, self.ends_changed = end, False
        self.reached_seq = max(self.reached_seq, end.seq)

    def _changed(self, place: str, number: int, line: bytes, taken: Seal | None) -> None:
        self.lines += 1
        # Lines that lie side by side are one finding: a line feed put into a line makes two of it.
        if self._last_changed != (place, number - 1):
            seq = min(seq_of(line) or self.end.seq + 1, 2**63)
            self.found.append(Finding(What.CHANGED, self._taxonomy, place, number, seq, f"after line {self.end.seq}"))
        self._last_changed = (place, number)
        if taken is not None:
            # Either the link is what it was and the body is not, or the other way round.
            self._candidates = (taken.link, *(link_after(before, taken.body) for before in self._candidates))
        self._blind = self.ends_changed = True

    def _without_feed(self, place: str, number: int, line: bytes) -> FileEnd:
        whole = unseal(line + b"\n")
        if whole is not None and whole.sound:
            self._sound(place, number, whole)
            return FileEnd.NO_LINE_FEED
        other = unseal(line[:-1] + b"\n")
        if other is not None and other.sound:
            self._changed(place, number, line, other)  # its line feed was overwritten
            return FileEnd.WHOLE
        return FileEnd.TORN

    def resolve(self, files: Callable[[], Iterable[RawFile]]) -> list[Finding]:
        """Decide what the breaks mean.

        Args:
            files: Opens the taxonomy's files once more; called only where the chain is broken.
        """
        breaks = [one for one in self._breaks if not one.blind]
        if not breaks:
            return self.found
        known = _look_up([one.end for one in breaks], self._anchor, files())
        findings = list(self.found)
        for number, one in enumerate(breaks):
            after = breaks[number + 1] if number + 1 < len(breaks) else None
            what, detail = _meaning(one, known[number], after)
            if what is not None:
                findings.append(Finding(what, self._taxonomy, one.file, one.line, one.end.seq, detail))
        return findings


class _Known(NamedTuple):
    """What the rest of the files says of a line."""

    twins: int
    """How often the very line is there."""
    before: End
    """The line with the next lower number: what it was written behind, if that is still there."""


def _look_up(wanted: Sequence[End], anchor: End, files: Iterable[RawFile]) -> list[_Known]:
    """Find each line's copies and the line that has the next lower number."""
    order = sorted(range(len(wanted)), key=lambda at: wanted[at].seq)
    seqs = [wanted[at].seq for at in order]
    twins = dict.fromkeys(wanted, 0)
    before = [anchor] * len(wanted)
    for file in files:
        for line in file.read():
            taken = unseal(line)
            if taken is None or not taken.sound:
                continue
            end = End(seq_of(taken.body), taken.link)
            if end in twins:
                twins[end] += 1
            at = bisect.bisect_right(seqs, end.seq)
            while at < len(seqs) and end.seq > before[order[at]].seq:
                before[order[at]] = end
                at += 1
    return [_Known(twins[end], before[at]) for at, end in enumerate(wanted)]


def _meaning(one: _Break, known: _Known, after: _Break | None) -> tuple[What | None, str]:
    """Say what a break means; ``None``: another break tells it."""
    if known.twins > 1:
        return What.INSERTED, "a copy of another line"
    if known.before.link and link_after(known.before.link, one.body) == one.end.link:
        if one.before_that == known.before:
            return None, ""  # it is in its place: what stands between the two is not
        return What.REORDERED, f"was written behind line {known.before.seq}, stands behind line {one.before.seq}"
    if one.before_that.link and link_after(one.before_that.link, one.body) == one.end.link:
        return None, ""
    if after is not None and link_after(one.before.link, after.body) == after.end.link:
        return What.INSERTED, f"the line after it was written behind line {one.before.seq}"
    if one.end.seq == one.before.seq + 1:
        # no line can have stood between two numbers without one between them: somebody wrote a line anew, check and all
        return What.CHANGED, f"it, or line {one.before.seq} before it, is not what was written"
    return What.REMOVED, f"what stood between lines {one.before.seq} and {one.end.seq} is missing"
