"""Waits for messages and has each answered once, whatever Telegram tells again."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final

from tradecore.channels.line import Throttled, Trouble, WrongToken
from tradecore.channels.sender import BACKOFF_S, TOKEN_S, Health
from tradecore_notify_telegram.answering import Answering
from tradecore_notify_telegram.outbox import Notebook
from tradecore_notify_telegram.port import Api, Contested, Incoming

_PATIENCE_S: Final = 1.0
"""Seconds of the wall that one answer may hold up the next message: somebody else may want to halt."""
_UNDER_WAY_MAX: Final = 20
_SLEPT_S: Final = 0.05
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
        self, api: Api, outbox: Notebook, answering: Answering, health: Health, *, wall_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]], wait_s: int, wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self.acted = 0
        """Updates that were looked at."""
        self.repeated = 0
        """Updates that had been looked at before."""
        self.contested = 0
        """Polls that ended because somebody else listens with the same token."""
        self._api: Final = api
        self._outbox: Final = outbox
        self._answering: Final = answering
        self._health: Final = health
        self._wall_ms: Final = wall_ms
        self._sleep: Final = sleep
        self._wait_s: Final = wait_s
        self._wake: Final = wake
        self._failures = 0
        self._next: int | None = None
        """The first update that is wanted, once this process has had any: the wall's clock has no say in it then."""
        self._under_way: Final[set[asyncio.Task[None]]] = set()

    async def run(self) -> None:
        """Poll for ever."""
        try:
            while True:
                pause_s = await self.step()
                # also where all went well: a server that tells at once what it told before must not hold the loop
                await self._sleep(max(pause_s, _SLEPT_S))
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

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
            if found:
                self._next = max(message.update_id for message in found) + 1
        except Trouble as error:
            self._health.ill(str(error))
            if isinstance(error, Throttled):
                return error.retry_after_s
            if isinstance(error, WrongToken):
                return TOKEN_S
            self.contested += isinstance(error, Contested)
        except sqlite3.Error as error:
            # what cannot be noted as done is not done
            self._health.ill(f"the outbox cannot be written: {error}")
        else:
            return 0.0
        self._failures += 1
        return BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1]

    def _offset(self) -> int | None:
        if self._next is not None:
            return self._next
        newest = self._outbox.newest_update()
        if newest is None or self._wall_ms() - newest[1] > _WEEK_MS:
            return None
        return newest[0] + 1

    async def _take(self, message: Incoming) -> None:
        """Answer one message, after noting that it is: a kill in between loses it, nothing carries it out twice.

        Messages of strangers are not noted: a flood of them must not push out the notes of commands.
        """
        if not self._answering.knows(message):
            return
        if not self._outbox.take(message.update_id, self._wall_ms()):
            self.repeated += 1
            return
        self.acted += 1
        if len(self._under_way) >= _UNDER_WAY_MAX:
            self._reply(message, "too much is under way, nothing was done: send it again")
            return
        task = asyncio.create_task(self._answer(message), name="telegram-answer")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        patience = asyncio.ensure_future(self._sleep(_PATIENCE_S))
        try:
            await asyncio.wait({task, patience}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()
            await asyncio.gather(patience, return_exceptions=True)

    async def _answer(self, message: Incoming) -> None:
        try:
            reply = await self._answering.answer(message)
        except Exception as error:  # noqa: BLE001 - one message must not end the conversation; its text stays out of the log
            _LOG.warning("telegram: a message could not be answered: %s", type(error).__name__)
            reply = "that went wrong, nothing was done"
        if reply is not None:
            self._reply(message, reply)

    def _reply(self, message: Incoming, text: str) -> None:
        self._outbox.put(f"reply/{message.update_id}", message.chat_id, text)
        self._wake()
