"""What is done when nothing had run for a while: the machine slept, was paused, or the process was stopped (F36).

What stood in memory is old then, and the venue has gone on: all is read anew, as after a reconnect. Our clock is
moved on only by proof, never back: the kernel's count of a sleep, or the venue's clock and the wall's saying the same.
A fence that was counted on the old clock is counted anew from there on: no order is taken for absent too soon.
"""

from __future__ import annotations

from collections.abc import Callable

from tradecore.engine.desk import Desk
from tradecore.engine.jobs import Jobs
from tradecore.engine.skew import SkewWatch
from tradecore.engine.sweeping import WAKE
from tradecore.model.events import ClockGap
from tradecore.ports.clock import Gap

FENCES_FROM = "fences_from"
"""Fact: moment at which our clock was moved on last, ms."""


class WakeWatch:
    """Hears of gaps and has done what follows.

    Args:
        sweep: Has everything read anew; must not wait.
    """

    def __init__(self, desk: Desk, jobs: Jobs, skew: SkewWatch, sweep: Callable[[str], None]) -> None:
        self._desk = desk
        self._jobs = jobs
        self._skew = skew
        self._sweep = sweep
        self._begun = False
        self._owed = False
        """A gap in the middle of a start: what had been read by then may be old."""
        skew.moved.append(self._moved)
        if desk.machine is not None:
            desk.machine.on_gap(self.gap)

    def start(self) -> None:
        """Begin to have all read anew after a gap: the start has read all, unless there was one in the middle of it."""
        self._begun = True
        if self._owed:
            self._read_anew()

    def _read_anew(self) -> None:
        self._owed = not self._begun
        if self._begun and not self._desk.stopping:
            self._sweep(WAKE)

    def gap(self, gap: Gap) -> None:
        """Take a gap; called before anything else of the loop's round, so it must not wait."""
        desk = self._desk
        self._jobs.forgive(gap.stalled_ms)
        desk.note(ClockGap(gap.stalled_ms, gap.moved_ms, gap.ahead_ms, "kernel" if gap.moved_ms else ""))
        if gap.moved_ms:
            self._count_fences_anew()
        if gap.stalled_ms:
            text = f"nothing ran for {gap.stalled_ms / 1_000:.0f} s"
            if gap.moved_ms:
                text += f", the machine slept for {gap.moved_ms / 1_000:.0f} s of it"
            desk.alert("woken", "warning", f"{text}: orders, fills and balances are read anew")
            self._read_anew()  # compares the clocks too
        elif gap.ahead_ms:
            way = "ahead" if gap.ahead_ms > 0 else "back"
            text = f"the wall clock went {way} by {abs(gap.ahead_ms)} ms; ours goes on as it was"
            desk.alert("wall_clock_set", "warning", text)
            if self._begun and not desk.stopping:
                desk.spawn(self._compare(), "clocks after a step")

    async def _compare(self) -> None:
        await self._skew.check()

    def _moved(self, by_ms: int) -> None:
        """Our clock was behind the wall's and the venue's, and has been moved on."""
        self._desk.note(ClockGap(0, by_ms, 0, "venue and wall"))
        self._desk.alert("clock_moved", "warning", f"our clock was {by_ms} ms behind wall and venue: moved on")
        self._count_fences_anew()
        self._read_anew()

    def _count_fences_anew(self) -> None:
        desk = self._desk
        desk.fences_from_ms = now_ms = desk.clock.now_ms()
        desk.spawn(desk.remember(FENCES_FROM, str(now_ms)), "fences after a gap")


def restore_fences(desk: Desk, *, clock_was_off: bool) -> None:
    """Count fences of an earlier run from when its clock was moved; from now on where it ended with a wrong one."""
    recalled = int(desk.recall(FENCES_FROM) or 0)
    desk.fences_from_ms = desk.clock.now_ms() if clock_was_off else recalled
