"""One process per state folder: a lock that the kernel gives back when its holder dies (R19)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from tradecore.errors import StateFolderError
from tradecore.store.holder import kernel

LOCK_NAME: Final = "instance.lock"
_TEXT_MAX: Final = 4_096


class InstanceLock:
    """The right to use a state folder, from `take` to `release` or to the death of the process.

    The file stays behind: deleting it would let two processes lock two files of one name.

    Args:
        folder: State folder; made if it is missing.
        run: What is written beside the process id, for people.
    """

    def __init__(self, folder: Path, run: str = "") -> None:
        self._folder = folder
        self._run = run
        self._handle: int | None = None

    def take(self) -> None:
        """Lock the folder.

        Raises:
            StateFolderError: If it cannot be written, or another process holds it, named by its id.
        """
        path = self._folder / LOCK_NAME
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # A bare descriptor: a file object would give the lock back when nobody refers to it any more.
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StateFolderError(f"expected a folder that can be written at {self._folder}, was: {error}") from error
        try:
            # flock and not lockf: the latter is lost as soon as the process closes any other handle on the file.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = os.read(handle, _TEXT_MAX).decode("utf-8", "replace")
            os.close(handle)
            holder = " ".join(text.split()) or "a process that has not named itself yet"
            raise StateFolderError(f"expected {self._folder} to be free, was in use by {holder}") from error
        except OSError as error:
            os.close(handle)
            raise StateFolderError(f"expected a folder that can be locked at {self._folder}, was: {error}") from error
        self._handle = handle
        try:
            os.ftruncate(handle, 0)
            os.write(handle, f"pid {os.getpid()} run {self._run or '-'}\n".encode())
        except OSError as error:
            self.release()
            raise StateFolderError(f"expected a folder that can be written at {self._folder}, was: {error}") from error

    @property
    def identity(self) -> str:
        """What tells this lock from every other: the kernel, and the file as it knows it; empty while it is not held.

        Whoever held a lock of this identity before has ended. Copies of a folder have others.
        """
        if self._handle is None:
            return ""
        found = os.fstat(self._handle)
        return f"{kernel()}/{found.st_dev}/{found.st_ino}"

    def release(self) -> None:
        """Give the folder back. May be called twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> InstanceLock:
        self.take()
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()
