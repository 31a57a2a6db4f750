"""Moments in which nothing ran: a machine that slept, a process that was stopped, a wall clock that was set.

Three clocks of the system tell them apart. The monotonic one stands still while the machine sleeps; Linux counts that
sleep in another; the wall's is moved by people and by NTP. A sleep that the kernel has counted is proven: so much
time has passed. A wall clock that went ahead by itself proves nothing: a paused virtual machine looks the same as a
hand that set the clock, and somebody else's clock has to be asked.

Source: clock_gettime(2), CLOCK_MONOTONIC and CLOCK_BOOTTIME.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

_NS_IN_MS: Final = 1_000_000
_TORN_NS: Final = 1_000_000
"""Readings that took longer were torn apart by whoever stopped us in the middle: they are taken again."""
_TRIES: Final = 5
_SLEPT_NS: Final = 10_000_000
"""A sleep is the difference of two readings and no more exact than they are: shorter ones are added up first."""
TOLD_MS: Final = 1_000
"""Sleeps and steps from here on are told, milliseconds of the wall."""
STALLED_MS: Final = 5_000
"""So late the loop must be before it is told to have stood still, milliseconds of the wall."""


def _asleep_ns() -> int:
    """Nanoseconds that the kernel counted as asleep since it booted; 0 where it does not say."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()


class MachineTime(NamedTuple):
    """The clocks of the machine, nanoseconds."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall_ns: Callable[[], int] = time.time_ns
    asleep_ns: Callable[[], int] = _asleep_ns


class Reading(NamedTuple):
    """What one look showed, milliseconds of the wall."""

    stalled_ms: int
    """The loop was so much later than it had asked for, the sleep included."""
    asleep_ns: int
    """Nanoseconds of it that the kernel counted as sleep: the monotonic clock stood still meanwhile."""
    ahead_ms: int
    """By so much the wall clock moved by itself; negative where it was set back."""

    @property
    def telling(self) -> bool:
        """Whether somebody should know of it."""
        return (
            self.stalled_ms >= STALLED_MS
            or self.asleep_ns >= TOLD_MS * _NS_IN_MS
            or abs(self.ahead_ms) >= TOLD_MS
        )  # fmt: skip


class GapMeter:
    """Looks at the three clocks, once in each round of a loop."""

    def __init__(self, machine: MachineTime) -> None:
        self._machine: Final = machine
        self._seen: tuple[int, int, int] | None = self._read()

    def look(self, asked_s: float) -> Reading | None:
        """Compare with the look before.

        Args:
            asked_s: How long the loop wanted to wait at most, s of the wall; infinite where it had nothing to wait for.
        Returns:
            ``None`` where the clocks could not be read in one go: the next look compares with the same one before.
        """
        seen, now = self._seen, self._read()
        if now is None:
            return None
        self._seen = now
        if seen is None:
            return None
        passed, slept, moved = (new - old for new, old in zip(now, seen, strict=True))
        if slept < _SLEPT_NS:
            slept, self._seen = 0, (now[0], seen[1], now[2])
        late_ns = passed + slept - asked_s * 1e9
        stalled_ms = int(late_ns / _NS_IN_MS) if 0 < late_ns < float("inf") else 0
        return Reading(stalled_ms, slept, int((moved - passed - slept) / _NS_IN_MS))

    def _read(self) -> tuple[int, int, int] | None:
        """Read monotonic, sleep and wall clock as of one moment; ``None`` where we were stopped in each try."""
        monotonic_ns, wall_ns, asleep_ns = self._machine
        for _ in range(_TRIES):
            began, before = monotonic_ns(), asleep_ns()
            wall = wall_ns()
            after, ended = asleep_ns(), monotonic_ns()
            if ended - began < _TORN_NS and abs(after - before) < _TORN_NS:
                return began, before, wall
        return None
