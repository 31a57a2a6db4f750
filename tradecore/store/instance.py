"""One process per state folder: a lock that the kernel gives back when its holder dies (R19)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final, TextIO

from tradecore.errors import StateFolderError

LOCK_NAME: Final = "instance.lock"


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
        self._file: TextIO | None = None

    def take(self) -> None:
        """Lock the folder.

        Raises:
            StateFolderError: If it cannot be written, or another process holds it, named by its id.
        """
        path = self._folder / LOCK_NAME
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise StateFolderError(f"expected a folder that can be written at {self._folder}, was: {error}") from error
        try:
            # flock and not lockf: the latter is lost as soon as the process closes any other handle on the file.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = " ".join(file.read().split()) or "a process that has not named itself yet"
            file.close()
            raise StateFolderError(f"expected {self._folder} to be free, was in use by {holder}") from error
        except OSError as error:
            file.close()
            raise StateFolderError(f"expected a folder that can be locked at {self._folder}, was: {error}") from error
        file.truncate(0)
        file.write(f"pid {os.getpid()} run {self._run or '-'}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the folder back. May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> InstanceLock:
        self.take()
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()
