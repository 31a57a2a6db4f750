"""What is done to a file whose day is over: packed, with all that its report says of it, or read for its last line."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tradecore.journal.chain import seq_of, unseal
from tradecore.model.events import JournalRotated, Taxonomy

BLOCK: Final = 1 << 16


class LastLine(NamedTuple):
    """Where a file ends."""

    seq: int
    """0 in an empty file."""
    link: bytes
    """Empty where the line carries no chain, or an empty file has none."""


def last_line(path: Path, packed: bool) -> LastLine:
    """Read where a file ends; a packed one is read through.

    Raises:
        OSError, EOFError, zlib.error: If it cannot be read.
    """
    last = b""
    if packed:
        with gzip.open(path, "rb") as lines:
            for raw in lines:
                last = raw
    else:
        last = next(backwards(path), b"") + b"\n"
    return _end_of(last)


def _end_of(line: bytes) -> LastLine:
    taken = unseal(line)
    return LastLine(seq_of(line), taken.link if taken is not None else b"")


def backwards(path: Path) -> Iterator[bytes]:
    """Yield a file's lines from its end, without line feeds, holding a block at a time."""
    with path.open("rb") as file:
        start = file.seek(0, os.SEEK_END)
        rest = b""
        while start > 0:
            size = min(BLOCK, start)
            start -= size
            file.seek(start)
            lines = (file.read(size) + rest).split(b"\n")
            rest = lines[0]
            yield from (line for line in reversed(lines[1:]) if line)
        if rest:
            yield rest


def pack(path: Path, taxonomy: Taxonomy) -> JournalRotated:
    """Put a packed file in a plain one's place.

    A packed file holds neither time nor name, so that the same lines give the same bytes.

    Raises:
        OSError: If that failed; the plain file is still there, and a draft that stays is overwritten by the next try.
    """
    target = path.with_name(path.name + ".gz")
    draft = path.with_name(path.name + ".gz.tmp")
    lines = first_seq = size = 0
    last = b""
    with path.open("rb") as source, draft.open("wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packer:
            for line in source:
                first_seq = first_seq or seq_of(line)
                lines, size, last = lines + 1, size + len(line), line
                packer.write(line)
        raw.flush()
        os.fsync(raw.fileno())
    packed, digest = digest_of(draft)
    draft.chmod(0o640)
    draft.replace(target)
    path.unlink()
    end = _end_of(last)
    return JournalRotated(
        taxonomy.value, target.name, size, packed, lines, first_seq, end.seq, end.link.decode("ascii", "replace"),
        digest,
    )  # fmt: skip


def digest_of(path: Path) -> tuple[int, str]:
    """Size and BLAKE2b-16 of a file's bytes.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
        return file.tell(), digest.hexdigest()
