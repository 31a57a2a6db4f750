"""The booked events of a journal in the order in which they were committed, one after the other."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tradecore.errors import DataError
from tradecore.journal.chain import seq_of, unseal
from tradecore.journal.files import DayFile, list_files
from tradecore.journal.raw import RawFile
from tradecore.journal.read import decode, parse
from tradecore.journal.recover import BOOKED_TAXONOMIES
from tradecore.journal.upkeep import backwards
from tradecore.model.events import BookedEvent, Taxonomy

_MARK: Final = b'"store_seq":'
_FRAME_MAX: Final = 700
"""Bytes within which the frame of a line ends: the mark of a booked line stands in it."""
_POLL_S: Final = 0.05


def read_booked(folder: Path) -> Iterator[BookedEvent]:
    """Read booked events in the order of their lines, over all runs; memory does not grow with the journal.

    A torn last line is passed over. A changed line is read as far as it makes sense: `verify` finds what was done.

    Raises:
        DataError: If a line is no line of a journal, or holds another event than its kind says; names file and line.
    """
    for _, booked in heapq.merge(*(_family(folder, one) for one in Taxonomy if one in BOOKED_TAXONOMIES)):
        yield booked


def _family(folder: Path, taxonomy: Taxonomy) -> Iterator[tuple[tuple[int, str], BookedEvent]]:
    for file in list_files(folder, taxonomy):
        raw = RawFile(file.path, file.packed)
        number = 0
        for line in raw.read():
            number += 1
            if _MARK not in line[:_FRAME_MAX] or not _whole(line):
                continue
            try:
                found = parse(line)
                if found.store_seq is not None:
                    # The name decides between two equal numbers, so that two events are never compared.
                    yield (found.seq, f"{taxonomy} {number}"), BookedEvent(found.store_seq, decode(found))
            except DataError as error:
                raise DataError(f"{file.path}:{number}: {error}") from error


def _whole(line: bytes) -> bool:
    """Tell a line from the rest of one that a crash left: that has no line feed."""
    return line.endswith(b"\n") or unseal(line + b"\n") is not None


def wait_for(folder: Path, sequence: int, timeout_s: float) -> bool:
    """Wait until a running process has written a booked event; False if the time ran out.

    Args:
        sequence: The store's number.
        timeout_s: Real seconds.
    """
    deadline = time.monotonic() + timeout_s
    while _newest(folder) < sequence:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _newest(folder: Path) -> int:
    """The newest booked event of the newest plain files; 0 where there is none."""
    found = (0, 0)
    for taxonomy in BOOKED_TAXONOMIES:
        files = list_files(folder, taxonomy)
        if files and not files[-1].packed:
            found = max(found, _last_booked(files[-1]))
    return found[1]


def _last_booked(file: DayFile) -> tuple[int, int]:
    try:
        for line in backwards(file.path):
            if _MARK in line[:_FRAME_MAX] and _whole(line):
                return seq_of(line), parse(line).store_seq or 0
    except (DataError, FileNotFoundError):
        return 0, 0
    return 0, 0
