"""Empties the outbox at the pace that Telegram allows, through outages and refusals, beside everything else."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final

from tradecore_notify_telegram.outbox import Outbox
from tradecore_notify_telegram.pace import Pace
from tradecore_notify_telegram.port import Api, Refused, Throttled, Trouble, WrongToken
from tradecore_notify_telegram.words import LONGEST, cut, plain, units

_BACKOFF_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_TOKEN_S: Final = 300.0
_TOGETHER: Final = 40
_LOG: Final = logging.getLogger("tradecore_notify_telegram")


class Health:
    """Whether Telegram can be reached."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.why = ""
        """What is wrong; empty while nothing is."""
        self.since_s = 0.0
        self._now_s: Final = now_s

    def lasting_s(self) -> float:
        """Seconds of the wall since it went wrong."""
        return self._now_s() - self.since_s if self.why else 0.0

    def ill(self, why: str) -> None:
        """Something went wrong; told to the log once."""
        if not self.why:
            self.since_s = self._now_s()
            _LOG.warning("telegram: %s", why)
        self.why = why

    def well(self) -> None:
        """It works."""
        if self.why:
            _LOG.info("telegram: it works again after %.0f s", self._now_s() - self.since_s)
        self.why = ""


class Sender:
    """Sends what waits. One task.

    Args:
        api: Telegram.
        outbox: What waits.
        health: Is told how it goes.
        now_s: Seconds of the wall.
        sleep: Waits, s of the wall.
    """

    def __init__(
        self, api: Api, outbox: Outbox, health: Health, now_s: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:  # fmt: skip
        self.sent = 0
        """Messages that arrived, joined ones counted once."""
        self.refused = 0
        """Messages that Telegram would not take."""
        self._api: Final = api
        self._outbox: Final = outbox
        self._health: Final = health
        self._now_s: Final = now_s
        self._sleep: Final = sleep
        self._pace: Final = Pace()
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
            try:
                wait_s = await self.step()
            except sqlite3.Error as error:
                self._health.ill(f"the outbox cannot be read: {error}")
                wait_s = 10.0
            if wait_s is None or self._health.why:
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
        chats = self._outbox.chats()
        if not chats:
            return None
        now_s = self._now_s()
        waits = [(self._pace.wait_s(chat, now_s), place, chat) for place, chat in enumerate(chats)]
        wait_s, _, chat = min(waits)
        if wait_s > 0:
            return wait_s
        text, numbers = self._next(chat)
        self._pace.add(chat, now_s)
        try:
            await self._api.send(chat, text)
        except Refused as error:
            _LOG.warning("telegram: chat %d takes no message: %s", chat, error)
            self.refused += len(numbers)
            self._outbox.done(numbers, "failed")
            return 0.0
        except Trouble as error:
            return self._failed(error)
        self.sent += 1
        self._failures = 0
        self._health.well()
        self._outbox.done(numbers, "sent")
        return 0.0

    def _next(self, chat: int) -> tuple[str, list[int]]:
        """Join the oldest messages of a chat into one, as many as it holds."""
        text = ""
        numbers: list[int] = []
        for number, one in self._outbox.waiting(chat, _TOGETHER):
            joined = f"{text}\n\n{one}" if text else cut(plain(one))
            if numbers and units(plain(joined)) > LONGEST:
                break
            text = cut(plain(joined))
            numbers.append(number)
        return text, numbers

    def _failed(self, error: Trouble) -> float:
        """Take note of trouble; returns how long to wait before the same message is tried again."""
        self._health.ill(str(error))
        if isinstance(error, Throttled):
            return error.retry_after_s
        if isinstance(error, WrongToken):
            return _TOKEN_S
        self._failures += 1
        return _BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1]
