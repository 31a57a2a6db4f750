"""A file's sound lines for whoever asks why: what is damaged is left out and named, the rest is answered from.

`verify.py` proves a journal and refuses; here an answer is owed, and one changed byte in a month must not take it.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from tradecore.journal.chain import unsound_lines
from tradecore.journal.day_index import DayIndex, LeftOut, keep_index, kept_index, mark_of, place_of
from tradecore.journal.files import PACKED, PLAIN, DayFile

_CHANGED: Final = "not what was written"
_TORN: Final = "an unfinished last line: a crash, or a writer at work"
_PACKING: Final = "the packed file is damaged"
_STEP: Final = 256
_GZIP_HEAD: Final = 10
_GZIP_TAIL: Final = 8


class Sound(NamedTuple):
    """What can be read of a file."""

    data: bytes
    """Its sound lines with their line feeds, in order."""
    left_out: tuple[LeftOut, ...]
    mark: str
    """What a sum made of it is kept under; empty where it could not be read to its end: then none is kept."""


def read_sound(file: DayFile, left_out: list[LeftOut] | None = None) -> bytes:
    """Read a file's sound lines.

    Args:
        left_out: Is given what is left out; ``None``: nobody wants to know.
    """
    found = sound_of(file)
    tell(left_out, found.left_out)
    return found.data


def tell(left_out: list[LeftOut] | None, found: Iterable[LeftOut]) -> None:
    """Name what is left out, each once; ``None``: nobody wants to know."""
    if left_out is not None:
        left_out += [one for one in found if one not in left_out]


def sound_of(file: DayFile) -> Sound:
    """Read a file's sound lines; of a packed one without an index the index is made on the way."""
    return _sound(file)[0]


def index_of(file: DayFile) -> DayIndex | None:
    """Say which ids stand in a file, from its index, or else from the file.

    Returns:
        ``None`` for a plain file, and for one that cannot be read to its end: only a look into it tells.
    """
    if not file.packed:
        return None
    found = kept_index(file)
    return found if found is not None else _sound(file)[1]


def _sound(file: DayFile) -> tuple[Sound, DayIndex | None]:
    try:
        try:
            mark, raw = mark_of(file), file.path.read_bytes()
        except FileNotFoundError:
            # the writer packed it between the listing and now
            file = file._replace(path=file.path.with_name(file.path.name.removesuffix(PLAIN) + PACKED), packed=True)
            mark, raw = mark_of(file), file.path.read_bytes()
    except OSError as error:
        return Sound(b"", (LeftOut(place_of(file), 0, 0, str(error)),), ""), None
    if not file.packed:
        return Sound(*_checked(file, raw, True), mark), None
    data, whole = _unpacked(raw)
    if not whole:
        return Sound(*_checked(file, data, False), ""), None
    index = kept_index(file)
    if index is not None and not index.left_out:
        return Sound(data, (), mark), index  # proven when the index was made, and its checksum is as it was then
    found = _checked(file, data, True)
    return Sound(*found, mark), index if index is not None else keep_index(file, mark, *found)


def _checked(file: DayFile, data: bytes, whole: bool) -> tuple[bytes, tuple[LeftOut, ...]]:
    """Take out the lines that are not what was written."""
    place = place_of(file)
    end = data.rfind(b"\n") + 1
    torn, data = end < len(data), data[:end]
    bad = unsound_lines(data)
    found = _runs(place, bad)
    lines = data.count(b"\n")
    if bad:
        wrong = set(bad)
        kept = [raw for number, raw in enumerate(data.split(b"\n")[:-1], 1) if number not in wrong]
        data = b"".join([raw + b"\n" for raw in kept])
    if not whole:
        found.append(LeftOut(place, lines + 1, 0, _PACKING))
    elif torn:
        found.append(LeftOut(place, lines + 1, 1, _TORN))
    return data, tuple(found)


def _runs(place: str, numbers: list[int]) -> list[LeftOut]:
    """Name lines that follow each other together."""
    found: list[LeftOut] = []
    for number in numbers:
        if found and number == found[-1].line + found[-1].lines:
            found[-1] = found[-1]._replace(lines=found[-1].lines + 1)
        else:
            found.append(LeftOut(place, number, 1, _CHANGED))
    return found


def _unpacked(raw: bytes) -> tuple[bytes, bool]:
    """Unpack as far as it goes; the second is False where that is not to the end, or not to what was packed."""
    try:
        return gzip.decompress(raw), bool(raw)
    except (OSError, EOFError, zlib.error):
        parts: list[bytes] = []
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)  # without the checksum: each line has its own
    try:
        for at in range(_GZIP_HEAD, len(raw) - _GZIP_TAIL, _STEP):
            parts.append(unpacker.decompress(raw[at : at + _STEP]))
    except zlib.error:
        return b"".join(parts), False
    return b"".join(parts), False
