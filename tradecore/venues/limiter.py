"""Our own request limiter: turns by priority, exact in each window of the venue, on the monotonic market clock.

ccxt's throttle dies with its task, stalls when the wall clock steps back, charges cancelled waiters and knows
nothing of ``Retry-After`` (reference orders.md 2.10). This one has no task of its own: whoever is first in the queue
waits for the moment himself, and who leaves the queue wakes the next.
"""

from __future__ import annotations

import asyncio
import bisect
import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from tradecore.ports.clock import Clock
from tradecore.ports.limiter import Priority
from tradecore.venues.windows import Spent, Window

_MINUTE_S: Final = 60.0
_FIRST_BAN_S: Final = 10.0
"""Where the venue names no time; doubles with each further ban."""
_LONGEST_BAN_S: Final = 3 * 24 * 3600.0
"""However long a venue says (reference orders.md F15)."""
_LATER_S: Final = 1.0
"""Asked again so much after a ban is over: venues name whole seconds, and who comes too soon is banned for longer."""
_FORGIVEN_S: Final = 600.0
"""Quiet time after a ban that makes the next one a first one again."""
SHARES: Final[Mapping[Priority, float]] = MappingProxyType(
    {Priority.CANCEL: 1.0, Priority.RECONCILE: 0.98, Priority.ORDER: 0.95, Priority.DATA: 0.8}
)
"""How much of a window each may use up: a cancel must not wait because data or orders were read."""


class _Waiter:
    __slots__ = ("key", "wake")

    def __init__(self, key: tuple[int, int]) -> None:
        self.key: Final = key
        """Priority, then order of arrival."""
        self.wake = asyncio.Event()


class RequestLimiter:
    """Requests in each window, bans and priorities (ports/limiter.py).

    Args:
        clock: Market time; only its monotonic side is waited on.
        requests_per_minute: Most requests in any 60 s, >= 1: what we allow ourselves. Where no window of the venue is
            known, what weighs more counts as so many.
        windows: What the venue allows (`weights.windows_of`).
    Raises:
        ValueError: If `requests_per_minute` or a window allows nothing.
    """

    def __init__(self, clock: Clock, requests_per_minute: int, windows: Sequence[Window] = ()) -> None:
        self._clock: Final = clock
        self._minute: Final = Spent(Window(requests_per_minute, _MINUTE_S))
        self._weighed: Final = [Spent(window) for window in windows if not window.orders_only]
        self._orders: Final = [Spent(window) for window in windows if window.orders_only]
        self._queue: Final[list[_Waiter]] = []
        self._arrivals = 0
        self._banned_until_s = -math.inf
        self._strikes = 0

    async def acquire(self, priority: Priority, *, weight: int = 1, deadline_ms: int | None = None) -> bool:
        """Wait for a turn; with room and nobody waiting it returns without yielding to the loop.

        Args:
            weight: What the request costs, >= 1.
            deadline_ms: Market time after which a turn is of no use; ``None`` waits for as long as it takes.
        Returns:
            True when the request may be sent now; False where the deadline comes first.
        """
        assert weight >= 1, weight
        if deadline_ms is not None and self._clock.now_ms() >= deadline_ms:
            return False
        if not self._queue and self._delay(priority, weight) <= 0:
            self._charge(priority, weight)
            return True
        self._arrivals += 1
        waiter = _Waiter((int(priority), self._arrivals))
        bisect.insort(self._queue, waiter, key=lambda item: item.key)
        try:
            return await self._wait(waiter, priority, weight, deadline_ms)
        finally:
            self._queue.remove(waiter)
            if self._queue:
                self._queue[0].wake.set()

    def penalize(self, retry_after_s: float | None) -> None:
        """Take note of a 429 or 418; several at once count as one, one after another grow."""
        now_s = self._clock.monotonic_s()
        told_s = None
        if retry_after_s is not None and retry_after_s >= 0:  # less than nothing, and no number, tell nothing
            told_s = min(retry_after_s, _LONGEST_BAN_S) + _LATER_S
        if now_s < self._banned_until_s:
            if told_s is not None:
                self._banned_until_s = max(self._banned_until_s, now_s + told_s)
            return
        self._strikes = 1 if now_s - self._banned_until_s > _FORGIVEN_S else self._strikes + 1
        grown_s = min(_FIRST_BAN_S * 2 ** min(self._strikes - 1, 20), _LONGEST_BAN_S)
        # The venue's word holds; who is banned again all the same waits longer than it says.
        least_s = 0.0 if told_s is not None and self._strikes == 1 else grown_s
        self._banned_until_s = now_s + max(told_s or 0.0, least_s)

    def observe(self, used_weight: int) -> None:
        """Charge what the venue counted beyond our own figure: other programs on the address, or a weight too low.

        A venue counts from the start of its minute, we over any 60 s, so its figure is never above ours by ourselves.

        Args:
            used_weight: In its minute, as the venue's header says, >= 0; of windows of other lengths it tells nothing.
        """
        now_s = self._clock.monotonic_s()
        for spent in self._weighed or [self._minute]:
            if spent.window.seconds < _MINUTE_S:
                continue
            spent.forget(now_s)
            if used_weight > spent.weight:
                spent.charge(now_s, used_weight - spent.weight)

    @property
    def banned_until_ms(self) -> int:
        """End of the ban in market time; 0 where there is none."""
        left_s = self._banned_until_s - self._clock.monotonic_s()
        return self._clock.now_ms() + math.ceil(left_s * 1000) if left_s > 0 else 0

    @property
    def left(self) -> int:
        """Requests that may still be sent in this minute, >= 0."""
        return self._minute.left(self._clock.monotonic_s())

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._queue)

    async def _wait(self, waiter: _Waiter, priority: Priority, weight: int, deadline_ms: int | None) -> bool:
        while True:
            left_s = math.inf if deadline_ms is None else (deadline_ms - self._clock.now_ms()) / 1000
            if left_s <= 0:
                return False
            first = self._queue[0] is waiter
            delay_s = self._delay(priority, weight) if first else math.inf
            if delay_s <= 0:
                self._charge(priority, weight)
                return True
            waiter.wake.clear()
            # A rounding error of the clock must not become a wait of no length, for ever.
            await self._pause(waiter, min(max(delay_s, 0.001), left_s))

    async def _pause(self, waiter: _Waiter, seconds: float) -> None:
        """Wait for a time or until woken, whichever comes first."""
        if seconds == math.inf:
            await waiter.wake.wait()
            return
        woken = asyncio.ensure_future(waiter.wake.wait())
        slept = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((woken, slept), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            slept.cancel()

    def _delay(self, priority: Priority, weight: int) -> float:
        """Seconds until a request could go if nobody else went; 0 or less where it can go now."""
        now_s = self._clock.monotonic_s()
        waits = [
            spent.wait_s(now_s, needed, SHARES[priority] if spent not in self._orders else 1.0)
            for spent, needed in self._needs(priority, weight)
        ]
        return max(self._banned_until_s - now_s, *waits)

    def _charge(self, priority: Priority, weight: int) -> None:
        now_s = self._clock.monotonic_s()
        for spent, needed in self._needs(priority, weight):
            spent.charge(now_s, needed)

    def _needs(self, priority: Priority, weight: int) -> Iterator[tuple[Spent, int]]:
        """Each count that a request adds to, and how much."""
        yield self._minute, 1 if self._weighed else weight
        for spent in self._weighed:
            yield spent, weight
        for spent in self._orders if priority is Priority.ORDER else ():
            yield spent, 1
