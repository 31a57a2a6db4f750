"""Notices a guest that holds the program, interrupts it, and ends the process where that does not help.

Everything runs on one thread, so a synchronous guest that hangs stops trading, exits included. A second thread looks at
the breadcrumb that `Calls` leaves before it asks. An interrupt is a signal to the main thread whose handler
raises inside the guest: sleeps and Python loops end at once. A guest inside a C function that gives the interpreter
no chance returns late or never; then the quarantine is written down and the process ends with 75 (temporary
failure), for the supervisor to start it again without that guest. One case is out of reach: C code that never lets
go of the interpreter's lock stops this thread too; only the supervisor's own watchdog sees that.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

EXIT_HUNG: Final = 75
"""EX_TEMPFAIL of sysexits.h: start me again."""
TICK_S: Final = 0.02
NAMED_AFTER_S: Final = 0.2
"""A guest that holds the program for so long is named, though it is interrupted at the limit only: the loop's lag is to
stay below 250 ms, and whoever makes it longer is to be known."""
WATCHDOG_NAME: Final = "watchdog"


class Breadcrumb:
    """Who is being asked right now. Written on the main thread for every call, read by the watchdog."""

    __slots__ = ("at", "since_ns")

    def __init__(self) -> None:
        self.at: tuple[str, str] | None = None
        """Guest and hook; ``None`` while nobody is asked."""
        self.since_ns = 0
        """When the hook's round began: tells one call of a guest from its next."""


class Overrun(BaseException):
    """Raised inside a guest by the watchdog. Not an Exception, so that a guest's own handlers let it pass."""


def interrupt(crumb: Breadcrumb, why: str) -> None:
    """Raise inside the guest that holds the program, if one does; for a signal's handler on the main thread."""
    if crumb.at is not None:
        raise Overrun(f"was interrupted: {why}")


class Watchdog:
    """Watches one breadcrumb. Make, start and stop it on the main thread, for runs on the wall clock only.

    Args:
        crumb: What `Calls` writes.
        limit_s: Longest time that one guest may hold the program, s, > 0.
        hang_s: Time after the limit in which interrupts must have helped, s, > 0.
        on_overrun: Told from the watchdog's thread, once per call, at the limit or after 0.2 s if that is earlier:
            guest, hook, seconds so far.
        on_hang: Told from the watchdog's thread before the process ends: guest, hook. It writes the quarantine down
            somewhere that needs no lock of the main thread.
        end: Ends the process with an exit code.
    """

    def __init__(
        self,
        crumb: Breadcrumb,
        *,
        limit_s: float,
        hang_s: float,
        on_overrun: Callable[[str, str, float], None],
        on_hang: Callable[[str, str], None],
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._crumb: Final = crumb
        self._limit_s: Final = limit_s
        self._hang_s: Final = hang_s
        self._on_overrun: Final = on_overrun
        self._on_hang: Final = on_hang
        self._end: Final = end
        self._target: tuple[tuple[str, str], int] | None = None
        self._stop: Final = threading.Event()
        self._thread: threading.Thread | None = None
        self._old_handler: Any = None

    def start(self) -> None:
        """Take SIGUSR1 over and begin to watch."""
        assert threading.current_thread() is threading.main_thread(), "signals reach the main thread only"
        assert self._thread is None, "a watchdog is started once"
        self._old_handler = signal.signal(signal.SIGUSR1, self._interrupt)
        self._thread = threading.Thread(target=self._watch, name=WATCHDOG_NAME, daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> bool:
        """Stop watching and give SIGUSR1 back; False where the thread did not end in time. May be called twice."""
        if self._thread is None:
            return True
        self._stop.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        # The thread sends no more signals: the handler can go without one arriving that nobody handles.
        self._target = None
        signal.signal(signal.SIGUSR1, self._old_handler)
        self._thread = None
        return True

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Raise inside the guest, if it is still the same call: a signal may arrive after the guest returned."""
        target, crumb = self._target, self._crumb
        if target is None or (crumb.at, crumb.since_ns) != target:
            return
        self._target = None
        raise Overrun(f"overran {self._limit_s:g} s and was interrupted")

    def _watch(self) -> None:
        seen: tuple[tuple[str, str], int] | None = None
        first_s = 0.0
        reported = False
        while not self._stop.wait(TICK_S):
            call = self._look()
            now_s = time.monotonic()
            if call is None or call != seen:
                seen, first_s, reported = call, now_s, False
                continue
            over_s = now_s - first_s
            (plugin, hook), _ = call
            if not reported and over_s >= min(NAMED_AFTER_S, self._limit_s):
                reported = True
                self._told(self._on_overrun, plugin, hook, over_s)
            if over_s < self._limit_s:
                continue
            if over_s >= self._limit_s + self._hang_s:
                self._told(self._on_hang, plugin, hook)
                self._end(EXIT_HUNG)
                return
            # Sent again at every look: a guest may have caught the one before, or was inside of C.
            self._target = call
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def _look(self) -> tuple[tuple[str, str], int] | None:
        """The call under way; ``None`` where there is none or it changed while it was read."""
        at, since_ns = self._crumb.at, self._crumb.since_ns
        return None if at is None or self._crumb.at is not at else (at, since_ns)

    @staticmethod
    def _told(callback: Callable[..., None], *facts: object) -> None:
        try:
            callback(*facts)
        except Exception:  # noqa: BLE001 - a failing report must not keep a hung program alive
            os.write(2, b"watchdog: a report failed\n")
