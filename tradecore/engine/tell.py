"""Tells guests what happened, after it is durable, in order and beside the trading path."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tradecore.engine.desk import Desk
from tradecore.engine.settle import Booked
from tradecore.model.intent import IntentRow

_QUEUE_MAX = 10_000


class Teller:
    """One queue, one task: `on_fill` once per venue trade, `on_fail` once per intent without a fill."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._queue: asyncio.Queue[tuple[str, tuple[Any, ...]]] = asyncio.Queue(_QUEUE_MAX)
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0

    def start(self) -> None:
        """Begin to tell."""
        self._task = self._desk.spawn(self._run(), "teller")

    def fills(self, booked: Sequence[Booked]) -> None:
        """Queue one `on_fill` per trade."""
        for one in booked:
            trade = one.fill.trade
            event_id = f"fill/{one.fill.account}/{trade.symbol}/{trade.venue_trade_id}"
            self._put("on_fill", (one.fill, one.intent, one.position, event_id))

    def intent_ended(self, row: IntentRow) -> None:
        """Queue `on_fail` where an intent ended without a fill."""
        if row.executed_quantity == 0 and row.reason is not None:
            self._put("on_fail", (row.intent, row.reason, row.detail, f"fail/{row.intent.intent_id}"))

    def _put(self, hook: str, arguments: tuple[Any, ...]) -> None:
        if not self._desk.calls.has(hook):
            return
        try:
            self._queue.put_nowait((hook, arguments))
        except asyncio.QueueFull:
            self.dropped += 1
            self._desk.alert("teller_full", "warning", f"{hook}: dropped {self.dropped}")

    async def _run(self) -> None:
        while True:
            hook, arguments = await self._queue.get()
            try:
                await self._desk.calls.tell(hook, *arguments)
            finally:
                self._queue.task_done()

    async def drain(self, seconds: float) -> bool:
        """Wait until all is told; False if the time ran out."""
        try:
            async with asyncio.timeout(seconds):
                await self._queue.join()
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """End the task; what is still queued comes again after no restart (it is told, not booked)."""
        if self._task is not None:
            self._task.cancel()
