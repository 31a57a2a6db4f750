"""The way out of a channel: one outbox, its senders, their tasks, from start to shutdown."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from tradecore.channels.line import Line
from tradecore.channels.news import Item
from tradecore.channels.outbox import Outbox
from tradecore.channels.pace import Pace
from tradecore.channels.sender import Bounds, Health, Sender
from tradecore.model.alert import Alert

_O = TypeVar("_O", bound=Outbox)
_DOWN_S: Final = 300.0
_QUIET_MS: Final = 21_600_000
"""Losses are told again after so long at the earliest, market time: a place that refuses refuses that message, too."""
_LAST_S: Final = 1.2
"""Seconds of the wall that the last messages have: one a second goes to a place."""
_LOG: Final = logging.getLogger("tradecore_channels")


def open_outbox(kind: Callable[[Path | None, Callable[[], int]], _O], path: Path, wall_ms: Callable[[], int]) -> _O:
    """Open an outbox, in memory where the disk does not let it.

    Args:
        kind: What to open; a guest that keeps more in the file has a kind of its own.
        path: The file.
        wall_ms: The wall's clock.
    """
    try:
        return kind(path, wall_ms)
    except sqlite3.Error as error:
        _LOG.warning("%s cannot be opened, messages do not survive a restart: %s", path.name, error)
        return kind(None, wall_ms)


class Push:
    """Takes news from hooks, which never wait, and has it sent by tasks of its own.

    Args:
        name: The guest, for the log.
        outbox: What waits; closed at the end.
        scale: Seconds of the loop per second of the wall.
        wall_ms: The wall's clock.
    """

    def __init__(self, name: str, outbox: Outbox, *, scale: float, wall_ms: Callable[[], int]) -> None:
        self.name: Final = name
        self.outbox: Final = outbox
        self.scale: Final = scale
        self.wall_ms: Final = wall_ms
        self._loop: Final = asyncio.get_running_loop()
        self._senders: Final[list[Sender]] = []
        self._places: Final[list[int]] = []
        self._others: Final[list[Health]] = []
        self._works: Final[list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def now_s(self) -> float:
        """Seconds of the wall that never run backwards."""
        return self._loop.time() / self.scale

    async def sleep(self, seconds: float) -> None:
        """Wait, s of the wall."""
        await asyncio.sleep(seconds * self.scale)

    def health(self, name: str) -> Health:
        """A line to look after that is no sender's."""
        made = Health(f"{self.name}: {name}", self.now_s)
        self._others.append(made)
        return made

    def add(self, line: Line, places: Sequence[int], pace: Pace, bounds: Bounds, *, only: int | None = None) -> Sender:
        """Give places a line.

        Args:
            line: Carries their messages.
            places: Those that are told all news.
            pace: How fast the line may be used.
            bounds: What the line takes.
            only: The one place of the outbox that the line serves; ``None``: all that are there.
        """
        health = Health(f"{self.name}: place {len(self._senders) + 1}", self.now_s)
        sender = Sender(
            line, self.outbox, health, pace, bounds, now_s=self.now_s, wall_ms=self.wall_ms, sleep=self.sleep, only=only
        )  # fmt: skip
        self._senders.append(sender)
        self._places.extend(places)
        self._works.append((f"{self.name}-sender-{len(self._senders)}", sender.run))
        return sender

    def begin(self, *further: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start to send, and what else the guest has to do meanwhile; it ends first."""
        works = [(f"{self.name}-task-{number}", work) for number, work in enumerate(further)] + self._works
        self._tasks = [asyncio.create_task(work(), name=name) for name, work in works]

    def say(self, item: Item | None) -> None:
        """Put news into the outbox for each place; ``None``: there is none."""
        if item is None:
            return
        for place in self._places:
            self.outbox.put(item.key, place, item.text)
        self.wake()

    def wake(self) -> None:
        """Have the outbox looked at."""
        for sender in self._senders:
            sender.wake()

    async def end(self) -> None:
        """Send what can be sent within a moment, then end; the rest waits for the next run."""
        further = self._tasks[: len(self._tasks) - len(self._senders)]
        for task in further:
            task.cancel()
        try:
            async with asyncio.timeout(_LAST_S * self.scale):
                await asyncio.gather(*(sender.emptied() for sender in self._senders))
        except TimeoutError:
            _LOG.info("%s: what is left is sent by the next run", self.name)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.outbox.close()

    def watch(self, kept: Mapping[str, object], now_ms: int) -> tuple[list[Alert], dict[str, object]]:
        """Look after the lines, for the answer of a job; other channels may still reach people.

        Args:
            kept: The job's last durable answer.
            now_ms: Market time.
        Returns:
            Alerts, and what has to be kept in the answer's state: both empty where nothing changed.
        """
        alerts: list[Alert] = []
        state: dict[str, object] = {}
        ill = [one for one in [*(sender.health for sender in self._senders), *self._others] if one.why]
        long = [one for one in ill if one.lasting_s() >= _DOWN_S]
        down = bool(long)
        if down != bool(kept.get("down")) and (down or not ill):
            text = long[0].why if down else "everything can be reached again"
            alerts.append(Alert("chat_down", "warning", text, resolved=not down))
            state["down"] = down
        lost = sum(sender.refused for sender in self._senders) + self.outbox.dropped
        told_ms = kept.get("lost_ms", 0)
        if lost and now_ms - (told_ms if isinstance(told_ms, int) else 0) >= _QUIET_MS:
            refusals = "; ".join(sender.refusal for sender in self._senders if sender.refusal)
            text = f"{lost} messages were given up: {refusals or 'too many waited'}"
            alerts.append(Alert("chat_lost", "warning", text[:300]))
            state["lost_ms"] = now_ms
            self.outbox.dropped = 0
            for sender in self._senders:
                sender.refused, sender.refusal = 0, ""
        return alerts, state


async def quietly(call: Awaitable[object], seconds: float, name: str) -> None:
    """Await what ends a connection for so many seconds of the loop; whatever it does, the run ends."""
    try:
        async with asyncio.timeout(seconds):
            await call
    except Exception as error:  # noqa: BLE001 - a closing connection may raise anything
        _LOG.info("%s: closing failed: %s", name, type(error).__name__)
