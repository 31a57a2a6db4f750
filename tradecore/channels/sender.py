"""Empties the outbox at the pace that is allowed, through outages and refusals, beside everything else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tradecore.channels.line import Line, Refused, Throttled, Trouble, Unreachable, WrongToken
from tradecore.channels.outbox import Outbox, Waiting
from tradecore.channels.pace import Pace
from tradecore.channels.words import cut, plain, units

BACKOFF_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""Seconds of the wall between tries; the last one for all further."""
TOKEN_S: Final = 300.0
"""Seconds between tries where only people can help."""
_TOGETHER: Final = 40
_ALONE_AFTER: Final = 3
"""Failures after which messages go one by one: among many, one may be what is not taken."""
_LATE_MS: Final = 120_000
"""A message that waited so long says when it was written."""
_LOG: Final = logging.getLogger("tradecore_channels")


class Health:
    """Whether a line works.

    Args:
        name: For the log.
        now_s: Seconds of the wall.
    """

    def __init__(self, name: str, now_s: Callable[[], float]) -> None:
        self.why = ""
        """What is wrong; empty while nothing is."""
        self.since_s = 0.0
        self._name: Final = name
        self._now_s: Final = now_s

    def lasting_s(self) -> float:
        """Seconds of the wall since it went wrong."""
        return self._now_s() - self.since_s if self.why else 0.0

    def ill(self, why: str) -> None:
        """Something went wrong; told to the log once."""
        if not self.why:
            self.since_s = self._now_s()
            _LOG.warning("%s: %s", self._name, why)
        self.why = why

    def well(self) -> None:
        """It works."""
        if self.why:
            _LOG.info("%s: it works again after %.0f s", self._name, self._now_s() - self.since_s)
        self.why = ""


class Bounds(NamedTuple):
    """What a line takes."""

    longest: int
    """UTF-16 code units of one message."""
    tries_max: int | None = None
    """Tries after which the oldest message is given up, so that it does not stand in the way of others for ever;
    ``None``: the line says itself what it refuses."""


class Sender:
    """Sends what waits. One task.

    Args:
        line: Carries messages.
        outbox: What waits.
        health: Is told how it goes.
        pace: How fast they may go.
        bounds: What the line takes.
        now_s: Seconds of the wall.
        wall_ms: The wall's clock.
        sleep: Waits, s of the wall.
        only: The one place that it serves; ``None``: all of the outbox.
    """

    def __init__(
        self, line: Line, outbox: Outbox, health: Health, pace: Pace, bounds: Bounds, *, now_s: Callable[[], float],
        wall_ms: Callable[[], int], sleep: Callable[[float], Awaitable[None]], only: int | None = None,
    ) -> None:  # fmt: skip
        self.health: Final = health
        self.sent = 0
        """Messages that arrived, joined ones counted once."""
        self.refused = 0
        """Messages that were not taken and are given up."""
        self.refusal = ""
        """The words of the newest refusal."""
        self._line: Final = line
        self._outbox: Final = outbox
        self._pace: Final = pace
        self._bounds: Final = bounds
        self._now_s: Final = now_s
        self._wall_ms: Final = wall_ms
        self._sleep: Final = sleep
        self._only: Final = only
        self._failures = 0
        self._wake: Final = asyncio.Event()
        self._idle: Final = asyncio.Event()

    def wake(self) -> None:
        """Look at the outbox again."""
        self._idle.clear()
        self._wake.set()

    async def emptied(self) -> None:
        """Wait until nothing waits to be sent, or until it goes wrong."""
        await self._idle.wait()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            self._wake.clear()
            self._idle.clear()
            wait_s = await self.step()
            if wait_s is None or self.health.why:
                self._idle.set()
            if wait_s is None:
                await self._wake.wait()
            elif wait_s > 0:
                await self._sleep(wait_s)

    async def step(self) -> float | None:
        """Send one message if one may go out.

        Returns:
            Seconds until the next may; ``None``: nothing waits.
        """
        places = [place for place in self._outbox.places() if self._only in {None, place}]
        if not places:
            return None
        now_s = self._now_s()
        wait_s, _, place = min((self._pace.wait_s(place, now_s), rank, place) for rank, place in enumerate(places))
        if wait_s > 0:
            return wait_s
        text, numbers = self._next(place)
        if not numbers:
            return BACKOFF_S[-1]  # the disk names a place and hands nothing out
        self._pace.add(place, now_s)
        try:
            await self._send(place, text)
        except Refused as error:
            self._give_up(numbers, f"{place}: {error}")
            return 0.0
        except Trouble as error:
            return self._failed(error, numbers)
        self.sent += 1
        self._failures = 0
        self.health.well()
        self._outbox.done(numbers, "sent")
        return 0.0

    async def _send(self, place: int, text: str) -> None:
        try:
            await self._line.send(place, text)
        except Trouble:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a library raises, messages go on; its words may hold a secret
            trouble = Unreachable(type(error).__name__)
        else:
            return
        raise trouble

    def _next(self, place: int) -> tuple[str, list[int]]:
        """Join the oldest messages of a place into one, as many as it holds."""
        longest = self._bounds.longest
        text = ""
        numbers: list[int] = []
        most = 1 if self._failures > _ALONE_AFTER and self._bounds.tries_max is not None else _TOGETHER
        for one in self._outbox.waiting(place, most):
            words = self._dated(one)
            joined = f"{text}\n\n{words}" if text else cut(plain(words), longest)
            if numbers and units(plain(joined)) > longest:
                break
            text = cut(plain(joined), longest)
            numbers.append(one.number)
        return text, numbers

    def _dated(self, one: Waiting) -> str:
        if not one.at_ms or abs(self._wall_ms() - one.at_ms) < _LATE_MS:
            return one.text
        return f"[{datetime.fromtimestamp(one.at_ms / 1_000, UTC):%m-%d %H:%M} UTC] {one.text}"

    def _give_up(self, numbers: list[int], why: str) -> None:
        _LOG.warning("a message was not taken: %s", why)
        self.refused += len(numbers)
        self.refusal = why
        self._outbox.done(numbers, "failed")

    def _failed(self, error: Trouble, numbers: list[int]) -> float:
        """Take note of trouble; returns how long to wait before the same message is tried again."""
        self.health.ill(str(error))
        if isinstance(error, Throttled):
            return error.retry_after_s
        if isinstance(error, WrongToken):
            return TOKEN_S
        self._failures += 1
        most = self._bounds.tries_max
        if most is not None and self._failures % most == 0:
            self._give_up(numbers, f"{error}, {most} times")
        return BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1]
