"""The venue's clock beside ours: beyond half the receive window entries are halted until it is good again (R21).

Our own time never steps back (ports/clock.py): a wall clock that is set back moves no timer of ours, and what then
differs from the venue is seen here. Where the wall's clock and the venue's both say that ours is behind, by the same
time, it is moved on: a virtual machine that was paused, for one, knows of its pause only when somebody sets its clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tradecore.engine.desk import Desk
from tradecore.engine.halts import halt_entries, lift_halt
from tradecore.errors import RetryableVenueError, StartRefused, VenueRefused
from tradecore.model.events import ClockSkew

_AGREE_MS = 1_000
"""So near the wall's clock must be to the venue's for the two to prove that ours is behind."""
_READS = 3
"""Reads at most until one is quick enough to tell."""
CAUSE = "clock"


class Skew(NamedTuple):
    """What one comparison showed, milliseconds."""

    skew_ms: int
    """The venue's clock less ours."""
    error_ms: int
    """By so much the figure may be wrong: the venue looked at its clock at some moment between the two of ours."""

    @property
    def least_ms(self) -> int:
        """The difference that is proven, >= 0."""
        return max(0, abs(self.skew_ms) - self.error_ms)


class SkewWatch:
    """Measures, at the start and at each `clock_check_s`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.newest: Skew | None = None
        """``None`` until the first answer."""
        self.moved: list[Callable[[int], None]] = []
        """Told by how much our clock was moved on, ms; they must not wait."""

    @property
    def limit_ms(self) -> int:
        """Half the receive window: beyond it entries are halted."""
        return self._desk.venue.timing.receive_window_ms // 2

    async def measure(self) -> Skew:
        """Read the venue's clock; a read that took too long to prove anything is made again.

        Raises:
            RetryableVenueError: The venue did not answer.
            VenueRefused: The venue said no.
        """
        clock, best = self._desk.clock, None
        for _ in range(_READS):
            before = clock.now_ms()
            server = await self._desk.venue.server_time_ms()
            after = clock.now_ms()
            found = Skew(server - (before + after) // 2, (after - before + 1) // 2)
            best = found if best is None or found.error_ms < best.error_ms else best
            if best.error_ms <= self.limit_ms // 4:
                break
        assert best is not None, "at least one read was made or raised"
        self.newest = best
        return best

    async def check_start(self) -> str:
        """Refuse to start with a clock that is off; lift an earlier run's halt where it is good.

        Returns:
            What was found, in words.
        Raises:
            StartRefused: The clocks differ by more than the venue's times allow for.
            RetryableVenueError: The venue did not answer.
            VenueRefused: The venue said no.
        """
        found = await self.measure()
        # a venue whose times leave nothing for the clocks is one of ours: then the running limit holds
        limit = self._desk.venue.timing.clock_error_ms or self.limit_ms
        if found.least_ms > limit:
            self._desk.note(ClockSkew(found.skew_ms, found.error_ms, limit, ok=False))
            raise StartRefused(
                f"clock: expected at most {limit} ms between ours and the venue's, was {found.skew_ms} ms: "
                "set this machine's clock (NTP) and start again"
            )
        await lift_halt(self._desk, CAUSE, f"clock is {found.skew_ms} ms off the venue's")
        return f"skew {found.skew_ms} ms, known to {found.error_ms} ms, limit {limit} ms"

    async def check(self) -> str:
        """Compare while running: halt entries beyond the limit, let them go on within it.

        Returns:
            What was found, in words; no answer of the venue changes nothing.
        """
        desk = self._desk
        try:
            found = await self.measure()
        except (RetryableVenueError, VenueRefused) as error:
            desk.heed(error)
            return f"no answer: {error}"
        if self._move_on(found):
            return await self.check()
        ok = found.least_ms <= self.limit_ms
        text = f"clock is {found.skew_ms} ms off the venue's, limit {self.limit_ms} ms"
        desk.note(ClockSkew(found.skew_ms, found.error_ms, self.limit_ms, ok))
        if ok:
            await lift_halt(desk, CAUSE, text)
        else:
            await halt_entries(desk, CAUSE, text)
        return text

    def _move_on(self, found: Skew) -> bool:
        """Move our clock on to where both others are, if they agree that it is behind; True where it was."""
        desk = self._desk
        if desk.machine is None or found.skew_ms - found.error_ms <= max(_AGREE_MS, desk.venue.timing.clock_error_ms):
            return False
        behind_ms = desk.machine.behind_ms()
        if abs(behind_ms - found.skew_ms) > found.error_ms + _AGREE_MS:
            return False
        by_ms = min(behind_ms, found.skew_ms)
        desk.machine.move_on(by_ms)
        for listener in self.moved:
            listener(by_ms)
        return True
