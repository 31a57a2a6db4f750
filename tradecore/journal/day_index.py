"""Which ids stand in a packed file, kept beside the journal (``index/<taxonomy>-YYYY-MM-DD.ids``).

A reader who looks for an id, a position's too, reads only the files in which it stands. The index is there for speed
alone: it names the size and the end of the file that it was made of, where a packed file has the checksum and the
length of its lines, and where either is another, or the index is damaged or absent, it is made again from the file.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from tradecore.journal.files import DayFile, day_text

FOLDER: Final = "index"
_VERSION: Final = 2
_END: Final = 64
_KEY: Final = 8
_TEXT: Final = rb'"((?:[^"\\]|\\.)*)"'
_IDS: Final = re.compile(
    rb'"decision":%b,"intent":%b,"client_order":%b,"venue_order":%b,"(?:store_seq|data)":' % ((_TEXT,) * 4)
)
"""The frame's own keys: inside of a text their quotes would stand behind backslashes."""
_POSITIONS: Final = re.compile(rb'"position_id":%b' % _TEXT)


class LeftOut(NamedTuple):
    """Lines that an answer is given without."""

    file: str
    """From the journal's folder."""
    line: int
    """The first, from 1; 0 where the file could not be opened."""
    lines: int
    """How many; 0: all from there on."""
    detail: str

    @property
    def where(self) -> str:
        """The place in words."""
        if not self.line:
            return self.file
        if not self.lines:
            return f"{self.file} from line {self.line} on"
        last = f" to {self.line + self.lines - 1}" if self.lines > 1 else ""
        return f"{self.file} line{'s' if last else ''} {self.line}{last}"


class DayIndex(NamedTuple):
    """What is kept of one packed file."""

    keys: bytes
    """Sorted hashes of the ids, eight bytes each."""
    left_out: tuple[LeftOut, ...]
    """Lines that are not what was written: whether an id stood in one of them cannot be told."""

    def may_hold(self, *names: str) -> bool:
        """Tell whether one of some ids may stand in the file; False is certain."""
        keys = _Keys(self.keys)
        for name in names:
            key = _key(orjson.dumps(name)[1:-1])
            at = bisect.bisect_left(keys, key)
            if at < len(keys) and keys[at] == key:
                return True
        return False


class _Keys(Sequence[bytes]):
    """Eight bytes after the other as a row of keys."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def __len__(self) -> int:
        return len(self._raw) // _KEY

    def __getitem__(self, at: int) -> bytes:  # type: ignore[override]  # bisect asks for single keys alone
        return self._raw[at * _KEY : (at + 1) * _KEY]


def _key(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=_KEY).digest()


def place_of(file: DayFile) -> str:
    """A file's path from the journal's folder."""
    return f"{file.taxonomy.value}/{file.path.name}"


def mark_of(file: DayFile) -> str:
    """What a kept sum or index says of the file that it was made of: size and last bytes.

    Raises:
        OSError: If the file cannot be read.
    """
    with file.path.open("rb") as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(max(0, size - _END))
        return f"{size} {raw.read().hex()}"


def ids_path(file: DayFile) -> Path:
    """Where the index of a file is kept."""
    return file.path.parent.parent / FOLDER / f"{file.taxonomy.value}-{day_text(file.day)}.ids"


def kept_index(file: DayFile) -> DayIndex | None:
    """Read the index of a packed file; ``None`` where there is none, or it is not of this file as it is now."""
    try:
        head, keys = ids_path(file).read_bytes().split(b"\n", 1)
        known = orjson.loads(head)
        if known["version"] != _VERSION or known["check"] != zlib.crc32(keys) or known["mark"] != mark_of(file):
            return None
        return DayIndex(keys, tuple([LeftOut(*one) for one in known["left_out"]]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # whatever is wrong with it, it can be made again from the file itself


def keep_index(file: DayFile, mark: str, data: bytes, left_out: Sequence[LeftOut]) -> DayIndex:
    """Make the index of a packed file and keep it; where it cannot be written it is made again the next time.

    Args:
        mark: Of the file, taken before it was read.
        data: Its sound lines.
        left_out: The others.
    """
    texts = {text for row in set(_IDS.findall(data)) for text in row if text} | set(_POSITIONS.findall(data)) - {b""}
    keys = b"".join(sorted(map(_key, texts)))
    head = {
        "version": _VERSION, "mark": mark, "check": zlib.crc32(keys), "left_out": [list(one) for one in left_out],
    }  # fmt: skip
    write_kept(ids_path(file), orjson.dumps(head) + b"\n" + keys)
    return DayIndex(keys, tuple(left_out))


def write_kept(path: Path, content: bytes) -> None:
    """Write a sum or an index beside the journal, whole or not at all.

    In a folder that is only read nothing is kept: the answer is the same, only slower.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError:
        _dropped(draft)


def _dropped(draft: Path) -> None:
    try:
        draft.unlink(missing_ok=True)
    except OSError:
        return  # what could not be written cannot be taken away either
