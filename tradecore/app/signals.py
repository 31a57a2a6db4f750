"""Who is told of SIGINT and SIGTERM while a run is opened, trades and is closed (R24)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

OWNED: Final = (signal.SIGINT, signal.SIGTERM)


class ProcessSignals:
    """Owns SIGINT and SIGTERM from before anything is opened until everything is closed.

    At first a signal ends the start at whatever it waits for; once an engine is led, that one is asked for its end.

    Args:
        start: The task that opens everything, and closes what it has opened where it is cancelled.
    """

    def __init__(self, start: asyncio.Task[Any]) -> None:
        self._start: Final = start
        self._act: Callable[[str], object] = self._end_start
        self._interrupt: Callable[[], object] | None = None
        self._caught = 0
        self._found: Final[dict[signal.Signals, Any]] = {}
        self.ended_start = ""
        """Name of the signal that ended the start; empty: none did."""

    def own(self) -> None:
        """Take both signals."""
        loop = asyncio.get_running_loop()
        for number in OWNED:
            self._found[number] = signal.getsignal(number)
            loop.add_signal_handler(number, self._heard, number.name)
            # in the place of the loop's own empty handler: its pipe is written all the same
            signal.signal(number, self._catch)
            signal.siginterrupt(number, False)

    def lead(self, act: Callable[[str], object], interrupt: Callable[[], object]) -> None:
        """Have an engine asked from now on.

        Args:
            act: Told the signal's name, on the loop.
            interrupt: Breaks whatever holds the loop; called from the second signal on, between two bytecodes, and may
                raise there. On virtual time no watchdog would do it.
        """
        self._act, self._interrupt = act, interrupt

    def disown(self, *, last: bool = False) -> None:
        """Give the signals back as they were found: who is started with SIGINT ignored has it ignored again.

        Args:
            last: The process ends with this run: what comes now must not cut its last words.
        """
        loop = asyncio.get_running_loop()
        for number, found in self._found.items():
            loop.remove_signal_handler(number)
            # None: installed by something that is not Python
            signal.signal(number, signal.SIG_IGN if last or found is None else found)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self._caught += 1
        if self._caught > 1 and self._interrupt is not None:
            self._interrupt()

    def _heard(self, name: str) -> None:
        self._act(name)

    def _end_start(self, name: str) -> None:
        self.ended_start = self.ended_start or name
        self._start.cancel()
