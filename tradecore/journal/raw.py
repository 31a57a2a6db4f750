"""A file's lines as bytes, read as far as it can be read, whatever was done to it."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tradecore.errors import DataError

_BLOCK: Final = 1 << 18


class RawFile:
    """One file of a journal. Read it once.

    Args:
        path: The file; where it has been packed meanwhile, its packed form is read.
        packed: True for ``.jsonl.gz``.
    """

    def __init__(self, path: Path, packed: bool) -> None:
        self._path = path
        self._packed = packed
        self.lines = 0
        """Lines read so far, the last one perhaps unfinished."""
        self.damaged = False
        """True where a packed file could not be unpacked to its end."""
        self.ends_early = False
        """True where it could not because bytes are missing at its end."""
        self.size_bytes = 0
        """Bytes of the packed file as they were read."""
        self.digest = ""
        """BLAKE2b-16 of the packed file; known once all lines are read."""

    def read(self) -> Iterator[bytes]:
        """Yield the lines with their line feeds.

        Raises:
            DataError: If the file cannot be opened or read.
        """
        try:
            for line in self._unpacked() if self._packed else self._plain():
                self.lines += 1
                yield line
        except OSError as error:
            raise DataError(f"expected a journal file that can be read, was {self._path}: {error}") from error

    def _plain(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb", buffering=_BLOCK) as lines:
                yield from lines
        except FileNotFoundError:
            # The writer packed it between the listing and now.
            self._path = self._path.with_name(self._path.name + ".gz")
            self._packed = True
            yield from self._unpacked()

    def _unpacked(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            watched = _Watched(file)
            try:
                with gzip.GzipFile(fileobj=watched, mode="rb") as packer:
                    yield from packer
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                self.damaged = True
                self.ends_early = isinstance(error, EOFError)
            while watched.read(_BLOCK):
                continue
            self.size_bytes, self.digest = watched.size, watched.digest.hexdigest()
        if not self.size_bytes:
            self.damaged = self.ends_early = True


class _Watched(io.RawIOBase):
    """Hands a file's bytes on and takes their digest, each once."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.digest = hashlib.blake2b(digest_size=16)
        self.size = 0

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        block = self._file.read(size)
        self.digest.update(block)
        self.size += len(block)
        return block
