"""One growing file, and what is needed of it so that a failed write never leaves half a line behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Sink(Protocol):
    """Bytes added at the end of something. Every method may raise OSError."""

    def size(self) -> int:
        """Bytes in it now."""

    def write(self, block: memoryview) -> int:
        """Add bytes at the end. Returns how many were taken, which may be fewer."""

    def truncate(self, size: int) -> None:
        """Cut everything behind `size` bytes off."""

    def sync(self) -> None:
        """Return when all bytes survive a power cut."""

    def close(self) -> None:
        """Give it back."""


OpenSink = Callable[[Path], Sink]


class FileSink:
    """A file opened for appending, without any buffer of its own."""

    def __init__(self, path: Path) -> None:
        # Readable for the operator's group, not for the world: a journal tells what an account holds.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def size(self) -> int:
        """Bytes in it now."""
        return os.fstat(self._file).st_size

    def write(self, block: memoryview) -> int:
        """Add bytes at the end."""
        return os.write(self._file, block)

    def truncate(self, size: int) -> None:
        """Cut everything behind `size` bytes off."""
        os.ftruncate(self._file, size)

    def sync(self) -> None:
        """Flush the file to the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class Tail:
    """Appends whole blocks to a sink, or nothing.

    A write that fails half-way is cut off before the next one, so that half a line is never followed by a new line.
    Cutting works on a full disk, where filling up with a line feed would not.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._good = sink.size()
        self._dirty = False

    def append(self, block: bytes) -> None:
        """Write a block of whole lines.

        Raises:
            OSError: If it could not be written; nothing of it counts, and the same block may be tried again.
        """
        if self._dirty:
            self._sink.truncate(self._good)
        self._dirty = True
        view = memoryview(block)
        done = 0
        while done < len(view):
            taken = self._sink.write(view[done:])
            if taken <= 0:
                raise OSError(errno.EIO, "the sink took no byte")
            done += taken
        self._good += len(view)
        self._dirty = False

    def sync(self) -> None:
        """Make what was written survive a power cut."""
        self._sink.sync()

    def close(self) -> None:
        """Cut a half-written block off and close the sink.

        Raises:
            OSError: If cutting or closing failed; the sink counts as closed all the same.
        """
        try:
            if self._dirty:
                self._sink.truncate(self._good)
        finally:
            self._sink.close()
