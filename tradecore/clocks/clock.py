"""Clocks behind the port: the wall's, and a market loop's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from tradecore.clocks.loop import MarketLoop
from tradecore.ports.clock import Gap

_NS_IN_MS: Final = 1_000_000
_RECHECK_S: Final = 30.0
"""The wall clock may be stepped while one sleeps, so long sleeps look at it again."""


class SystemClock:
    """Wall time."""

    @property
    def virtual(self) -> bool:
        """Never."""
        return False

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        return time.time_ns() // _NS_IN_MS

    def now_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def sleep_until_ms(self, at_ms: int) -> None:
        """Wait until the wall clock shows `at_ms`, also where it is stepped meanwhile."""
        while (left_ms := at_ms - self.now_ms()) > 0:  # noqa: ASYNC110 - waits for a clock; nobody could set an event
            await asyncio.sleep(min(left_ms / 1000, _RECHECK_S))


class LoopClock:
    """Market time of a loop, counted from an epoch. Making one attaches it to the loop.

    On virtual time a sleep until a moment ends exactly then; on a scaled loop never before it.

    Args:
        loop: The loop that the program runs on.
        epoch_ms: Market time at the loop's second 0, milliseconds since 1970 UTC.
    Raises:
        RuntimeError: If the loop has a clock with another epoch: a program has one time.
    """

    def __init__(self, loop: MarketLoop, epoch_ms: int) -> None:
        if loop.epoch_ms not in (None, epoch_ms):
            raise RuntimeError(f"expected one epoch a loop, was {loop.epoch_ms} and {epoch_ms}")
        loop.epoch_ms = epoch_ms
        self.epoch_ms: Final = epoch_ms
        self._epoch_ns: Final = epoch_ms * _NS_IN_MS
        self._loop: Final = loop

    @property
    def virtual(self) -> bool:
        """True where time jumps."""
        return self._loop.virtual

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC, market time."""
        return (self._epoch_ns + self._loop.now_ns()) // _NS_IN_MS

    def now_ns(self) -> int:
        """Nanoseconds since 1970 UTC, market time."""
        return self._epoch_ns + self._loop.now_ns()

    def monotonic_s(self) -> float:
        """Seconds of market time since the loop was made."""
        return self._loop.time()

    def on_gap(self, listener: Callable[[Gap], object]) -> None:
        """Have `listener` told of each gap."""
        self._loop.gap_listeners.append(listener)

    def behind_ms(self) -> int:
        """By how much the wall clock has gone ahead of ours since the loop was made, market ms."""
        return self._loop.behind_ns() // _NS_IN_MS

    def move_on(self, by_ms: int) -> None:
        """Move the loop's time on."""
        self._loop.move_on(by_ms * _NS_IN_MS)

    async def sleep(self, seconds: float) -> None:
        """Wait in market time; 0 lets others go first."""
        await asyncio.sleep(seconds)

    async def sleep_until_ms(self, at_ms: int) -> None:
        """Wait until market time `at_ms`; returns at once if it has passed."""
        while (left_ns := at_ms * _NS_IN_MS - self.now_ns()) > 0:
            done = self._loop.create_future()
            # The moment itself is scheduled, not a difference to now: the sum of two floats would miss it.
            timer = self._loop.call_at((at_ms - self.epoch_ms) / 1000, _wake, done)
            try:
                await done
            finally:
                timer.cancel()
            assert left_ns > at_ms * _NS_IN_MS - self.now_ns(), "time must move on while one sleeps"


def _wake(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
