"""One websocket of a customer: a bounded queue of what is to be pushed, and the faults on its way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import web

from tradecore.ports.clock import Clock
from tradecore.venues.twin.faults import Faults

QUEUE_MAX: Final = 5_000
"""Messages that wait for a slow customer; with one more the venue cuts the connection, as Binance does."""
_HELD_S: Final = 1.0
"""An event that waits for the one behind it goes out alone after this."""
_GARBAGE: Final = '{"e":"executionReport","E":'
Payload = str | bytes


class Channel:
    """What goes out on one websocket.

    Args:
        socket: Prepared.
        abort: Cuts the connection without a goodbye.
        side: ``stream`` or ``feed``: which faults can hit.
        faults: What goes wrong.
        clock: Market time.
    """

    def __init__(
        self, socket: web.WebSocketResponse, abort: Callable[[], None], side: str, faults: Faults, clock: Clock
    ) -> None:  # fmt: skip
        self.socket: Final = socket
        self.opened_s: Final = clock.monotonic_s()
        self.heard_s = self.opened_s
        """The last frame of the customer."""
        self.deaf = False
        """True: half open."""
        self.silent = False
        """True: pushes nothing more, answers pings."""
        self.gone = False
        self.combined = False
        """True: news of the market come with the name of their stream."""
        self._abort: Final = abort
        self._side: Final = side
        self._faults: Final = faults
        self._clock: Final = clock
        self._queue: Final[deque[Payload]] = deque()
        self._waiting: Final = asyncio.Event()
        self._held: list[tuple[float, Payload]] = []
        self._late: list[tuple[float, Payload]] = []

    def say(self, payload: Payload) -> None:
        """Send an answer: no fault of the pushes hits it."""
        if self.gone or self.deaf:
            return
        if len(self._queue) >= QUEUE_MAX:
            self.cut()
            return
        self._queue.append(payload)
        self._waiting.set()

    def push(self, payload: Payload) -> dict[str, float]:
        """Send news, or let a fault have it. Returns the faults that hit."""
        if self.gone or self.deaf or self.silent:
            return {}
        hits = {name.partition("_")[2]: value for name, value in self._faults.draw(self._side).items()}
        if "half_open" in hits:
            self.deaf = True
        elif "silent" in hits or "terminated" in hits:
            self.silent = True
        elif "cut" in hits:
            self.cut()
        elif "garbage" in hits:
            self.say(_GARBAGE if isinstance(payload, str) else b"\xff\xff\xff")
        elif "late" in hits:
            self._late.append((self._clock.monotonic_s() + hits["late"] / 1_000, payload))
        elif "swapped" in hits:
            self._held.append((self._clock.monotonic_s() + _HELD_S, payload))
        elif "dropped" not in hits:
            self.say(payload)
            if "duplicated" in hits:
                self.say(payload)
            held, self._held = self._held, []
            for _, waiting in held:
                self.say(waiting)
        return hits

    def tick(self) -> None:
        """Send what a fault held back for long enough."""
        now_s = self._clock.monotonic_s()
        if self.silent:
            self._late, self._held = [], []
        due = [item for item in (*self._late, *self._held) if item[0] <= now_s]
        if due:
            self._late = [item for item in self._late if item[0] > now_s]
            self._held = [item for item in self._held if item[0] > now_s]
            for _, payload in sorted(due, key=lambda item: item[0]):
                self.say(payload)

    def cut(self) -> None:
        """End the connection without a goodbye; what waits is lost."""
        self.gone = True
        self._queue.clear()
        self._waiting.set()
        self._abort()

    async def pump(self) -> None:
        """Send what waits, in order, until the connection ends or this is cancelled."""
        while not self.gone:
            await self._waiting.wait()
            self._waiting.clear()
            while self._queue and not self.gone:
                payload = self._queue.popleft()
                try:
                    await (
                        self.socket.send_str(payload)
                        if isinstance(payload, str)
                        else self.socket.send_bytes(payload)
                    )  # fmt: skip
                except (ConnectionError, RuntimeError):
                    # The customer is gone; the reader of this connection notices the same.
                    self.gone = True
