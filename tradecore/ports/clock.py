"""Time and chance, handed in (idea 5): nothing in the core reads a clock or draws a number elsewhere."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple, Protocol


class Clock(Protocol):
    """Market time. On a virtual or scaled loop it runs faster than the wall."""

    @property
    def virtual(self) -> bool:
        """True where time jumps: queues do not drop, deadlines are reported but never act."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC, market time."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970 UTC, market time."""

    def monotonic_s(self) -> float:
        """Seconds that never run backwards, for intervals; market time."""

    async def sleep(self, seconds: float) -> None:
        """Wait in market time."""

    async def sleep_until_ms(self, at_ms: int) -> None:
        """Wait until market time `at_ms`; returns at once if it has passed."""


class Gap(NamedTuple):
    """Time in which nothing ran, or by which a clock was moved. Milliseconds of market time."""

    stalled_ms: int
    """For so long the program stood still: stopped, held, or asleep with its machine."""
    moved_ms: int
    """Our clock was moved on by so much, since it is proven that it passed; 0: it had gone on."""
    ahead_ms: int
    """The wall clock went ahead of ours by itself: nothing is proven by that. Negative: it was set back."""


class Machine(Protocol):
    """What the machine's own clocks say of ours; on time that does not jump."""

    def on_gap(self, listener: Callable[[Gap], object]) -> None:
        """Have `listener` told of each gap, on the loop, before anything else of that round; it must not wait."""

    def behind_ms(self) -> int:
        """By how much the wall clock has gone ahead of ours since the start, market ms; negative: it was set back."""

    def move_on(self, by_ms: int) -> None:
        """Move our clock on by so much, timers included; it is the caller who has proof that so much time has passed.

        Args:
            by_ms: Market ms, > 0: no clock of ours runs back.
        """


class Ids(Protocol):
    """The one source of ids: a hash of (seed, run number, counter) on virtual time, else random."""

    def new(self, kind: str) -> str:
        """Make a fresh id of 26 characters or fewer. `kind` is one word, as ``intent``."""


class Chance(Protocol):
    """The one source of randomness; seeded."""

    def generator(self, purpose: str) -> random.Random:
        """Make a generator of its own for `purpose`: draws elsewhere never disturb it."""
