"""The way into the program: a signal is answered from its first line on, before anything heavy is imported.

Until a run has opened its loop a signal ends the process where it stands, with one line and exit code 128 + its
number: no exception is raised in the middle of somebody's import, where it could be swallowed. What was begun by then
is undone. Before this file is read it is Python that answers: nothing of ours has begun.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_OWNED = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal ends the command; whatever is open is closed on the way out.

    Args:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


class EarlySignals:
    """What SIGINT and SIGTERM do before somebody else takes them."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []
        self._raises = False

    def take(self) -> None:
        """Answer both from now on; one that was ignored when the process began stays so, as nohup wants it."""
        for number in _OWNED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._came)

    def undo(self, work: Callable[[], object]) -> None:
        """Have `work` done where a signal ends the process; it must not raise."""
        self._undo.append(work)

    def raise_next(self) -> None:
        """Raise `Stopped` at the next signal instead: by now there is something to be closed. A second ends at once."""
        self._raises = True

    def ignore(self) -> None:
        """Let nothing cut the last words."""
        for number in _OWNED:
            signal.signal(number, signal.SIG_IGN)

    def _came(self, number: int, frame: FrameType | None) -> None:
        if self._raises:
            self._raises = False
            raise Stopped(number)
        try:
            while self._undo:
                self._undo.pop()()
            os.write(2, f"tradecore: interrupted by {signal.Signals(number).name} before the run began\n".encode())
        finally:
            os._exit(128 + number)


def main() -> NoReturn:
    """Run the command line; leaves the process with its exit code."""
    early = EarlySignals()
    early.take()
    from tradecore.cli.main import main as command

    try:
        command(obj=early)
    finally:
        early.ignore()
    sys.exit(0)
