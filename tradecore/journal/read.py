"""Reading a journal back: lines of all taxonomies in the order of market time, and each line's typed event."""

from __future__ import annotations

import gzip
import heapq
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from tradecore.errors import DataError
from tradecore.journal.encode import FRAME
from tradecore.journal.files import PACKED, PLAIN, DayFile, day_of, list_files
from tradecore.journal.shapes import shape_of
from tradecore.model.events import REGISTRY, Ids, Stamped, Taxonomy

_FAMILIES: Final[Mapping[str, Taxonomy]] = {taxonomy.value: taxonomy for taxonomy in Taxonomy}
_WINDOW: Final = 4_096
"""Lines of one taxonomy that may be written out of the order of time: a crash's missing lines come late."""


class Line(NamedTuple):
    """One line of a journal. See `journal/encode.py` for the keys."""

    at_ns: int
    seq: int
    kind: str
    taxonomy: Taxonomy
    session: str
    ids: Ids
    store_seq: int | None
    """``None`` for a diagnostic."""
    data: Mapping[str, Any]
    """Fields as JSON has them; `decode` gives the typed event."""


class Torn(NamedTuple):
    """A last line that a crash or a running writer left unfinished."""

    path: Path
    size_bytes: int


def read_journal(
    folder: Path,
    taxonomy: Taxonomy | None = None,
    kinds: Collection[str] | None = None,
    since: int | None = None,
    torn: list[Torn] | None = None,
) -> Iterator[Line]:
    """Read lines in the order of (market time, line number).

    Args:
        folder: The journal's folder; one that does not exist is an empty journal.
        taxonomy: Only this family; ``None`` merges all five.
        kinds: Only these kinds; ``None`` for all.
        since: Nanoseconds since 1970 UTC; only lines from then on. ``None`` for all.
        torn: Is given each unfinished last line that was passed over; ``None``: nobody wants to know.
    Raises:
        DataError: If any other line is not a line of a journal, or a packed file is damaged; names file and line.
    """
    families = list(Taxonomy) if taxonomy is None else [taxonomy]
    if kinds is not None:
        wanted = {REGISTRY[kind].taxonomy for kind in kinds if kind in REGISTRY}
        # A kind of another version may stand anywhere.
        families = (
            families if any(kind not in REGISTRY for kind in kinds) else [one for one in families if one in wanted]
        )
    streams = [_in_order(_family(folder, family, since, torn)) for family in families]
    for line in heapq.merge(*streams, key=_when):
        if (kinds is None or line.kind in kinds) and (since is None or line.at_ns >= since):
            yield line


def decode(line: Line) -> Stamped:
    """Build a line's event again.

    Raises:
        DataError: If its kind is not registered or its data does not fit the kind's schema.
    """
    kind = REGISTRY.get(line.kind)
    if kind is None:
        raise DataError(f"expected a registered event kind, was {line.kind}")
    return Stamped(line.at_ns, shape_of(kind.schema).unpack(line.data), line.ids)


def parse(raw: bytes) -> Line:
    """Read one line.

    Raises:
        DataError: If it is not a line of a journal.
    """
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise DataError(f"expected a line of JSON: {error}") from error
    if not isinstance(found, dict) or any(key not in found for key in (*FRAME, "data")):
        raise DataError(f"expected the keys {', '.join(FRAME)} and data")
    numbers = (found["seq"], found["at_ns"], found.get("store_seq", 0))
    texts = [found[key] for key in FRAME[2:]]
    if not all(type(number) is int for number in numbers) or not all(isinstance(text, str) for text in texts):
        raise DataError("expected numbers for seq, at_ns and store_seq, and text for the other keys but data")
    taxonomy = _FAMILIES.get(found["taxonomy"])
    if taxonomy is None or not isinstance(found["data"], dict):
        raise DataError(f"expected a taxonomy and an object of data, was {found['taxonomy']}")
    ids = Ids(*texts[3:])
    return Line(found["at_ns"], found["seq"], texts[0], taxonomy, texts[2], ids, found.get("store_seq"), found["data"])


def _when(line: Line) -> tuple[int, int]:
    return line.at_ns, line.seq


def _in_order(lines: Iterable[Line]) -> Iterator[Line]:
    """Put lines that came late in their place, as long as they came within the window."""
    window: list[tuple[int, int, int, Line]] = []
    for arrived, line in enumerate(lines):
        # The place of arrival decides between equal line numbers: two folders thrown together have those.
        entry = (line.at_ns, line.seq, arrived, line)
        if len(window) < _WINDOW:
            heapq.heappush(window, entry)
        else:
            yield heapq.heappushpop(window, entry)[-1]
    while window:
        yield heapq.heappop(window)[-1]


def _family(folder: Path, taxonomy: Taxonomy, since: int | None, torn: list[Torn] | None) -> Iterator[Line]:
    for file in list_files(folder, taxonomy):
        # Lines come late into a file, never early: none of a day's file is younger than its day.
        if since is None or file.day >= day_of(since):
            yield from _lines(file, torn)


def _lines(file: DayFile, torn: list[Torn] | None) -> Iterator[Line]:
    number = 0
    try:
        for raw in _raw(file):
            number += 1
            if not raw.endswith(b"\n") and not file.packed:
                if torn is not None:
                    torn.append(Torn(file.path, len(raw)))
                return
            yield parse(raw)
    except DataError as error:
        raise DataError(f"{file.path}:{number}: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"expected a journal file that can be read, was {file.path}: {error}") from error


def _raw(file: DayFile) -> Iterator[bytes]:
    if not file.packed:
        try:
            with file.path.open("rb") as lines:
                yield from lines
            return
        except FileNotFoundError:
            # The writer packed it between the listing and now.
            packed = file.path.with_name(file.path.name.removesuffix(PLAIN) + PACKED)
    else:
        packed = file.path
    with gzip.open(packed, "rb") as lines:
        yield from lines
