"""Where a journal folder stands at start: torn ends mended, the chain's ends and the last booked sequence found.

The files are compared with the head. What the head knows of and the files no longer hold stays visible for good: the
chain goes on from the head's link, so that the break is found by every later look, and the start reports it.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from tradecore.errors import DataError, StateFolderError
from tradecore.journal.chain import link_after, origin, unseal
from tradecore.journal.files import DayFile, list_files
from tradecore.journal.head import Head, Reach, fresh_reach, read_head
from tradecore.journal.upkeep import BLOCK, backwards
from tradecore.model.events import REGISTRY, Taxonomy

BOOKED_TAXONOMIES: Final = frozenset(kind.taxonomy for kind in REGISTRY.values() if kind.booked)
_UNKNOWN: Final = b"0" * 32
"""Stands for the link of a last line that carries none: what follows is on trust, and shows as a break."""


class Place(NamedTuple):
    """How far a journal has come."""

    head: Head
    """Where to go on: from the files, and from the old head where that went further."""
    troubles: Sequence[tuple[str, str]]
    """What was found wrong, as `JournalFault.what` and its detail."""


class _Last(NamedTuple):
    """A last line as it was found."""

    seq: int
    sequence: int
    """0 for a diagnostic."""
    link: bytes
    """Empty where it carries none."""
    file: str


def recover(folder: Path) -> Place:
    """Mend torn ends and find the place to go on from.

    The last booked event is looked for by line number, not by the highest sequence: after a store was put back to an
    earlier state, higher sequences stand further up. Lines are written in sequence order over both booked taxonomies,
    so nothing before the last one is missing.

    Raises:
        StateFolderError: If a file cannot be read or mended.
    """
    troubles: list[tuple[str, str]] = []
    reaches: dict[Taxonomy, Reach] = {}
    booked_at, sequence = 0, 0
    head, wrong = _old_head(folder)
    try:
        for taxonomy in Taxonomy:
            files = list_files(folder, taxonomy)
            for file in files:
                if not file.packed and _mend(file.path):
                    troubles.append(("torn_line", f"{taxonomy.value}/{file.path.name}: mended at start"))
            last = _last(files, lambda line: True)
            reach, found = _reach(taxonomy, files, last, head)
            reaches[taxonomy] = reach
            troubles += found
            booked = _last(files, lambda line: "store_seq" in line) if taxonomy in BOOKED_TAXONOMIES else None
            if booked is not None and booked.seq > booked_at:
                booked_at, sequence = booked.seq, booked.sequence
    except (OSError, EOFError, zlib.error) as error:
        raise StateFolderError(f"expected journal files that can be read in {folder}: {error}") from error
    seq = max([head.seq if head is not None else 0, *(reach.seq for reach in reaches.values())])
    if wrong is not None and seq:
        troubles.insert(0, wrong)
    return Place(Head(seq, sequence, reaches), troubles)


def _old_head(folder: Path) -> tuple[Head | None, tuple[str, str] | None]:
    """Read the head, and what to say where it cannot be used."""
    try:
        head = read_head(folder)
    except DataError as error:
        return None, ("head_changed", f"{error}; a new one is made from the files")
    return head, None if head is not None else ("head_missing", "a new one is made from the files")


def _reach(
    taxonomy: Taxonomy, files: Sequence[DayFile], last: _Last | None, head: Head | None
) -> tuple[Reach, list[tuple[str, str]]]:
    """Decide from where a taxonomy's chain goes on."""
    if head is None:
        if last is None:
            return fresh_reach(taxonomy), []
        # Nobody knows any more what stood before the first line that is left.
        return Reach(last.seq, last.link or _UNKNOWN, last.file, gone_files=_first_unknown(taxonomy, files)), []
    old = head.reaches.get(taxonomy) or fresh_reach(taxonomy)
    if last is None or last.seq < old.seq:
        if old.seq <= old.gone_seq or not old.seq:
            return old, []
        reached = last.seq if last is not None else 0
        return old, [("lines_missing", f"{taxonomy.value}: the head reaches line {old.seq}, the files {reached}")]
    if last.seq == old.seq and last.link != old.link:
        return old, [("line_changed", f"{taxonomy.value}: line {old.seq} is not what the head knows")]
    return old._replace(seq=last.seq, link=last.link or _UNKNOWN, file=last.file), []


def _first_unknown(taxonomy: Taxonomy, files: Sequence[DayFile]) -> int:
    """1 where the first line that is left does not begin the chain, so that something before it is gone."""
    first = files[0]
    with gzip.open(first.path, "rb") if first.packed else first.path.open("rb") as lines:
        taken = unseal(next(iter(lines), b""))
    begins = taken is not None and taken.link == link_after(origin(taxonomy), taken.body)
    return 0 if begins else 1


def _mend(path: Path) -> bool:
    """Finish a whole last line, cut off a torn one. Returns whether there was anything to mend."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        tail = b""
        start = size
        while start > 0 and b"\n" not in tail:
            start = max(0, start - BLOCK)
            file.seek(start)
            tail = file.read(size - start)
        if not tail or tail.endswith(b"\n"):
            return False
        torn = tail[tail.rfind(b"\n") + 1 :]
        if _parse(torn) is None:
            file.truncate(size - len(torn))
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
    return True


def _last(files: Sequence[DayFile], wanted: Callable[[dict[str, Any]], bool]) -> _Last | None:
    """Find the last line that is wanted; ``None``: there is none."""
    for file in reversed(files):
        found = None
        if file.packed:
            with gzip.open(file.path, "rb") as lines:
                for raw in lines:
                    line = _parse(raw)
                    found = (line, raw) if line is not None and wanted(line) else found
        else:
            for raw in backwards(file.path):
                line = _parse(raw)
                if line is not None and wanted(line):
                    found = (line, raw + b"\n")
                    break
        if found is not None:
            line, raw = found
            taken = unseal(raw)
            link = taken.link if taken is not None else b""
            return _Last(line["seq"], line.get("store_seq", 0), link, file.path.name)
    return None


def _parse(raw: bytes) -> dict[str, Any] | None:
    """Read a line; ``None`` where it is not a line of ours."""
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("seq"), int) and "data" in line else None
