"""Where a journal folder stands at start: its torn ends mended, its last line number and last booked sequence found."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from tradecore.errors import StateFolderError
from tradecore.journal.files import DayFile, list_files
from tradecore.model.events import REGISTRY, Taxonomy

BOOKED_TAXONOMIES: Final = frozenset(kind.taxonomy for kind in REGISTRY.values() if kind.booked)
_BLOCK: Final = 1 << 16


class Place(NamedTuple):
    """How far a journal has come."""

    seq: int
    """Number of the last line; 0 for none."""
    sequence: int
    """The store's number of the last booked event, by line order; 0 for none."""
    torn_lines: int
    """Ends of files that a crash had left without a line feed."""


def recover(folder: Path) -> Place:
    """Mend torn ends and find the place to go on from.

    The last booked event is looked for by line number, not by the highest sequence: after a store was put back to an
    earlier state, higher sequences stand further up. Lines are written in sequence order over both booked taxonomies,
    so nothing before the last one is missing.

    Raises:
        StateFolderError: If a file cannot be read or mended.
    """
    torn = 0
    seq = 0
    booked_at, sequence = 0, 0
    try:
        for taxonomy in Taxonomy:
            files = list_files(folder, taxonomy)
            torn += sum(_mend(file.path) for file in files if not file.packed)
            last = _last(files, lambda line: True)
            seq = max(seq, last["seq"] if last else 0)
            booked = _last(files, lambda line: "store_seq" in line) if taxonomy in BOOKED_TAXONOMIES else None
            if booked is not None and booked["seq"] > booked_at:
                booked_at, sequence = booked["seq"], booked["store_seq"]
    except (OSError, EOFError, zlib.error) as error:
        raise StateFolderError(f"expected journal files that can be read in {folder}: {error}") from error
    return Place(seq, sequence, torn)


def _mend(path: Path) -> bool:
    """Finish a whole last line, cut off a torn one. Returns whether there was anything to mend."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        tail = b""
        start = size
        while start > 0 and b"\n" not in tail:
            start = max(0, start - _BLOCK)
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


def _last(files: list[DayFile], wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """Find the last line that is wanted; ``None``: there is none."""
    for file in reversed(files):
        if file.packed:
            found = None
            with gzip.open(file.path, "rb") as lines:
                for raw in lines:
                    line = _parse(raw)
                    found = line if line is not None and wanted(line) else found
            if found is not None:
                return found
        else:
            for raw in _backwards(file.path):
                line = _parse(raw)
                if line is not None and wanted(line):
                    return line
    return None


def _parse(raw: bytes) -> dict[str, Any] | None:
    """Read a line; ``None`` where it is not a line of ours."""
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("seq"), int) and "data" in line else None


def _backwards(path: Path) -> Iterator[bytes]:
    """Yield a file's lines from its end, holding a block at a time."""
    with path.open("rb") as file:
        start = file.seek(0, os.SEEK_END)
        rest = b""
        while start > 0:
            size = min(_BLOCK, start)
            start -= size
            file.seek(start)
            lines = (file.read(size) + rest).split(b"\n")
            rest = lines[0]
            yield from (line for line in reversed(lines[1:]) if line)
        if rest:
            yield rest
