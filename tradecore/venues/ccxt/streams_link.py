"""One connection that is kept: dialled, watched, given up where it is deaf or silent, and dialled again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from tradecore.ports.clock import Clock
from tradecore.venues.ccxt.streams_wire import Ears, let_go, reason_of

_MOST_DOUBLINGS: Final = 16


class LinkTimes(NamedTuple):
    """Patience with a connection, market seconds, all > 0."""

    answer_s: float = 10.0
    """From the dial to the venue's first answer."""
    ping_s: float = 10.0
    """Pause between our pings."""
    deaf_s: float = 30.0
    """Without a frame of any kind, pongs too, the connection is half open."""
    silence_s: float = 30.0
    """Without news, though pings are answered, the connection is made anew."""
    first_wait_s: float = 1.0
    """Before the second dial; doubles from dial to dial."""
    longest_wait_s: float = 60.0
    steady_s: float = 60.0
    """A connection that lived so long begins with `first_wait_s` again."""


class StreamNote(NamedTuple):
    """What became of a connection, for logs and events."""

    stream: str
    """``quotes`` or ``account``, and the number of the connection."""
    what: str
    """``connected`` or ``lost``."""
    why: str
    wait_s: float
    """Until the next dial; 0 where connected."""


class Backoff:
    """Waits between dials: exponential, with jitter, never longer than a limit.

    Args:
        times: First and longest wait.
        generator: Seeded; one draw a wait.
    """

    def __init__(self, times: LinkTimes, generator: random.Random) -> None:
        self._times: Final = times
        self._generator: Final = generator
        self._failed = 0

    def next_s(self) -> float:
        """The next wait: from half of its full length to all of it, seconds."""
        full = min(self._times.first_wait_s * 2 ** min(self._failed, _MOST_DOUBLINGS), self._times.longest_wait_s)
        self._failed += 1
        return float(full * (0.5 + self._generator.random() / 2))

    def reset(self) -> None:
        """Begin anew: the last connection was a good one."""
        self._failed = 0


class Link:
    """One connection of a stream.

    Args:
        name: For notes.
        make: Makes an exchange object for one connection; may raise, which counts as a failed dial.
        watch: Subscribes and tells of news by `pushed`; runs until it is cancelled or the connection breaks.
        clock: Market time.
        generator: Seeded, for the jitter.
        times: Patience.
        note: Told of each connection made and lost; must not wait.
        on_connected: Told when the venue answered the subscription; must not wait.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[Ears], Awaitable[Any]],
        watch: Callable[[Any, Link], Awaitable[None]],
        *,
        clock: Clock,
        generator: random.Random,
        times: LinkTimes,
        note: Callable[[StreamNote], None],
        on_connected: Callable[[], None],
    ) -> None:  # fmt: skip
        self.name: Final = name
        self._make: Final = make
        self._watch: Final = watch
        self._clock: Final = clock
        self._backoff: Final = Backoff(times, generator)
        self._times: Final = times
        self._note: Final = note
        self._on_connected: Final = on_connected
        self._ears: Ears | None = None
        self._up = False
        self._news_s = 0.0
        self.connections = 0
        """Times that the venue answered our subscription."""

    @property
    def alive(self) -> bool:
        """True while the venue answered, is heard, and has news."""
        return self._ears is not None and self._up and not self._complaint(self._ears)

    def pushed(self) -> None:
        """Note that the venue pushed news."""
        self._news_s = self._clock.monotonic_s()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            began_s = self._clock.monotonic_s()
            why = await self._connection()
            if self._clock.monotonic_s() - began_s >= self._times.steady_s:
                self._backoff.reset()
            wait_s = self._backoff.next_s()
            self._note(StreamNote(self.name, "lost", why, wait_s))
            await self._clock.sleep(wait_s)

    async def _connection(self) -> str:
        """Live through one connection. Returns why it ended."""
        ears = Ears(self._clock, asyncio.get_running_loop())
        try:
            exchange = await self._make(ears)
        except Exception as error:  # noqa: BLE001 - markets that could not be read: a failed dial like any other
            return reason_of(error)
        watching: asyncio.Task[None] = ears.keeper.create_task(_run(self._watch(exchange, self)))
        self._ears = ears
        try:
            return await self._until_broken(ears, watching)
        finally:
            self._ears, self._up = None, False
            await let_go(exchange)

    async def _until_broken(self, ears: Ears, watching: asyncio.Task[None]) -> str:
        began_s = self._clock.monotonic_s()
        self._news_s = began_s
        waiting: asyncio.Task[bool] = ears.keeper.create_task(ears.spoke.wait())
        await _any_of([waiting, watching, ears.broken], self._times.answer_s)
        # An answer that says no ends the subscription within a few turns of the loop: not yet connected then.
        for _ in range(10):
            await self._clock.sleep(0)
        if not ears.spoke.is_set() and not ears.broken.done() and not watching.done():
            return f"venue did not answer within {self._times.answer_s:g} s"
        if not ears.broken.done() and not watching.done():
            self.connections += 1
            self._up = True
            self._note(StreamNote(self.name, "connected", "", 0.0))
            self._on_connected()
        tick_s = min(self._times.deaf_s, self._times.silence_s) / 10
        while not ears.broken.done() and not watching.done():
            await _any_of([watching, ears.broken], tick_s)
            complaint = self._complaint(ears)
            if complaint:
                ears.give_up(complaint)
        return _ending(ears, watching)

    def _complaint(self, ears: Ears) -> str:
        """Why the connection is of no use; empty while it is."""
        now_s = self._clock.monotonic_s()
        if ears.broken.done():
            return ears.broken.result()
        if now_s - ears.heard_s > self._times.deaf_s:
            return f"nothing heard for {self._times.deaf_s:g} s"
        if now_s - self._news_s > self._times.silence_s:
            return f"no news for {self._times.silence_s:g} s"
        return ""


async def _any_of(futures: list[asyncio.Future[Any]], longest_s: float) -> None:
    await asyncio.wait(futures, timeout=longest_s, return_when=asyncio.FIRST_COMPLETED)


async def _run(work: Awaitable[None]) -> None:
    await work


def _ending(ears: Ears, watching: asyncio.Task[None]) -> str:
    if ears.broken.done():
        # What was heard says more than what ccxt made of it: a refused signature ends in a KeyError there.
        return ears.broken.result()
    error = watching.exception() if watching.done() and not watching.cancelled() else None
    return "subscription ended" if error is None else reason_of(error)


async def end_tasks(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks, wait until they ended, and empty the list.

    Raises:
        Exception: What a task had raised by itself, the first of it.
    """
    ending, tasks[:] = list(tasks), []
    for task in ending:
        task.cancel()
    outcomes = await asyncio.gather(*ending, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
