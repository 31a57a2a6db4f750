"""Whether the venue answers at all: lost after some looks without an answer, all read anew on its return (F23).

While it is lost entries are halted and it is asked more rarely; orders under way, exits and cancels are tried at their
own back-off. Nothing that it did not say is assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tradecore.engine.desk import Desk
from tradecore.engine.halts import halt_entries, lift_halt

CAUSE = "venue"
_LOST_AFTER = 3
"""Looks in a row without an answer."""
_LONGEST_S = 60.0


class Contact:
    """Judges each look at the venue.

    Args:
        returned: Has everything read anew; must not wait.
    """

    def __init__(self, desk: Desk, returned: Callable[[], None]) -> None:
        self._desk = desk
        self._returned = returned
        self._missed = 0
        self._lost_s = 0.0
        self._next_s = 0.0

    @property
    def lost(self) -> bool:
        """True while the venue does not answer."""
        return self._missed >= _LOST_AFTER

    def due(self) -> bool:
        """Tell whether a look is due: a lost venue is asked more and more rarely."""
        return self._desk.clock.monotonic_s() >= self._next_s

    async def judge(self, missing: Sequence[str]) -> None:
        """Take what one look got no answer to."""
        desk = self._desk
        now_s = desk.clock.monotonic_s()
        if not missing:
            if self.lost:
                desk.alert("venue_back", "info", f"{desk.venue.name} answers again after {now_s - self._lost_s:.0f} s")
                await lift_halt(desk, CAUSE, "the venue answers again")
                self._returned()
            self._missed, self._next_s = 0, 0.0
            return
        self._missed += 1
        if self._missed == 1:
            self._lost_s = now_s
        if not self.lost:
            return
        self._next_s = now_s + min(_LONGEST_S, 5.0 * 2 ** min(self._missed - _LOST_AFTER, 10)) * desk.config.time_scale
        if self._missed == _LOST_AFTER:
            text = f"{desk.venue.name} has not answered for {now_s - self._lost_s:.0f} s: {', '.join(missing)}"
            desk.alert("venue_lost", "critical", text)
            await halt_entries(desk, CAUSE, text)
