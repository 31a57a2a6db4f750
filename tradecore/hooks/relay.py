"""Carries events to `on_event` guests beside the trading path: a bounded queue and one task."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from tradecore.hooks.calls import Calls
from tradecore.model.events import HookTrace, LateCall, Stamped, kind_of


class EventRelay:
    """Takes events without ever waiting and tells them one by one.

    Args:
        calls: Tells the guests.
        capacity: Events that may wait, >= 1; further ones are dropped and counted.
        virtual: On virtual time nothing is dropped and `stop` waits for all: time stands still until they are told.
        time_scale: Seconds of the loop per second of the wall, > 0.
    """

    def __init__(self, calls: Calls, *, capacity: int = 1_000, virtual: bool, time_scale: float = 1.0) -> None:
        self.dropped = 0
        """Events that found the queue full."""
        self.told = 0
        self.wanted: Final = frozenset(kind for guest in calls.guests for kind in guest.events)
        """Kinds that any guest asked for."""
        self._calls: Final = calls
        self._capacity: Final = capacity
        self._virtual: Final = virtual
        self._scale: Final = time_scale
        self._queue: Final[deque[Stamped]] = deque()
        self._wake: Final = asyncio.Event()
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    @property
    def depth(self) -> int:
        """Events that wait."""
        return len(self._queue)

    def offer(self, event: Stamped) -> bool:
        """Take an event if any guest wants its kind; False where it was not taken."""
        if self._ending or kind_of(event.event).name not in self.wanted or _own(event.event):
            return False
        if len(self._queue) >= self._capacity and not self._virtual:
            self.dropped += 1
            return False
        self._queue.append(event)
        self._wake.set()
        return True

    def start(self) -> None:
        """Begin to tell; does nothing where no guest wants an event."""
        if self.wanted and self._task is None:
            self._task = asyncio.create_task(self._run(), name="event-relay")

    async def stop(self, timeout_s: float) -> bool:
        """Tell what waits, then end; False where the time (of the wall) ran out and the rest was dropped."""
        self._ending = True
        self._wake.set()
        if self._task is None:
            return not self._queue
        timeout = None if self._virtual else timeout_s * self._scale
        done, _ = await asyncio.wait({self._task}, timeout=timeout)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task})
            self.dropped += len(self._queue)
            self._queue.clear()
        self._task = None
        return bool(done)

    async def _run(self) -> None:
        while True:
            while self._queue:
                await self._calls.tell("on_event", self._queue.popleft())
                self.told += 1
                # a plain guest never waits: without this a full queue would hold the loop until it is empty
                await asyncio.sleep(0)
            if self._ending:
                return
            self._wake.clear()
            await self._wake.wait()


def _own(event: object) -> bool:
    """True for what telling an event gives rise to each time: told in turn, it would never come to an end."""
    return isinstance(event, HookTrace | LateCall) and event.hook == "on_event"
