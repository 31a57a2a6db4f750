"""Waits for messages and has each answered once, whatever Telegram tells again."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final

from tradecore_notify_telegram.answering import Answering
from tradecore_notify_telegram.outbox import Outbox
from tradecore_notify_telegram.port import Api, Incoming, Throttled, Trouble, WrongToken
from tradecore_notify_telegram.sender import Health

_BACKOFF_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_TOKEN_S: Final = 300.0
_WEEK_MS: Final = 6 * 86_400_000
"""After a week without updates Telegram may number them anew (Bot API, Update, update_id)."""
_LOG: Final = logging.getLogger("tradecore_notify_telegram")


class Receiver:
    """Polls Telegram. One task.

    Args:
        api: Telegram.
        outbox: Remembers updates, and takes replies.
        answering: Makes replies.
        health: Is told how it goes.
        wall_ms: The wall's clock.
        sleep: Waits, s of the wall.
        wait_s: Seconds of the wall that one poll waits for a message.
        wake: Has the outbox looked at.
    """

    def __init__(
        self, api: Api, outbox: Outbox, answering: Answering, health: Health, *, wall_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]], wait_s: int, wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self.acted = 0
        """Updates that were looked at."""
        self.repeated = 0
        """Updates that had been looked at before."""
        self._api: Final = api
        self._outbox: Final = outbox
        self._answering: Final = answering
        self._health: Final = health
        self._wall_ms: Final = wall_ms
        self._sleep: Final = sleep
        self._wait_s: Final = wait_s
        self._wake: Final = wake
        self._failures = 0

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            pause_s = await self.step()
            # also where all went well: a server that answers at once with what it told before must not hold the loop
            await self._sleep(max(pause_s, 0.05))

    async def step(self) -> float:
        """Ask once; returns seconds to wait before the next time."""
        try:
            if not self._answering.bot:
                self._answering.bot = await self._api.open()
            found = await self._api.updates(self._offset(), self._wait_s)
            self._failures = 0
            self._health.well()
            for message in found:
                await self._take(message)
        except Trouble as error:
            self._health.ill(str(error))
            if isinstance(error, Throttled):
                return error.retry_after_s
            if isinstance(error, WrongToken):
                return _TOKEN_S
        except sqlite3.Error as error:
            # what cannot be noted as done is not done
            self._health.ill(f"the outbox cannot be written: {error}")
        else:
            return 0.0
        self._failures += 1
        return _BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1]

    def _offset(self) -> int | None:
        newest = self._outbox.newest_update()
        if newest is None or self._wall_ms() - newest[1] > _WEEK_MS:
            return None
        return newest[0] + 1

    async def _take(self, message: Incoming) -> None:
        """Answer one message, after noting that it is: a kill in between loses it, nothing carries it out twice."""
        if not self._outbox.take(message.update_id, self._wall_ms()):
            self.repeated += 1
            return
        self.acted += 1
        try:
            reply = await self._answering.answer(message)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - one message must not end the conversation; its text stays out of the log
            _LOG.warning("telegram: a message could not be answered: %s", type(error).__name__)
            reply = "that went wrong, nothing was done"
        if reply is not None:
            self._outbox.put(f"reply/{message.update_id}", message.chat_id, reply)
            self._wake()
