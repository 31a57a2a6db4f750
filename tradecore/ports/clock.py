"""Time and chance, handed in (idea 5): nothing in the core reads a clock or draws a number elsewhere."""

from __future__ import annotations

import random
from typing import Protocol


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


class Ids(Protocol):
    """The one source of ids: a hash of (seed, run number, counter) on virtual time, else random."""

    def new(self, kind: str) -> str:
        """Make a fresh id of 26 characters or fewer. `kind` is one word, as ``intent``."""


class Chance(Protocol):
    """The one source of randomness; seeded."""

    def generator(self, purpose: str) -> random.Random:
        """Make a generator of its own for `purpose`: draws elsewhere never disturb it."""
