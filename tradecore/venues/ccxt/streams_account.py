"""Pushes of our own orders through ccxt.pro: each one a hint to read, none of them evidence."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Any, Final

from tradecore.ports.clock import Clock
from tradecore.ports.hints import OrderHint
from tradecore.venues.ccxt.streams_link import Link, LinkTimes, StreamNote, end_tasks
from tradecore.venues.ccxt.streams_source import StreamSource

ACCOUNT_TIMES: Final = LinkTimes(silence_s=900.0)
"""An account without orders is silent by right, so a connection is only made anew, and the sweep after it run, when
nothing came for this long."""


class CcxtAccountHints:
    """The private stream of an exchange (ports/hints.AccountHints).

    What ccxt makes of a push is looked at for its names alone: symbol, our id, the venue's id. Its amounts and states
    are references to objects that later pushes change (reference orders.md 2.12), so they are never read.

    Args:
        source: Where connections come from; with keys.
        clock: Market time.
        generator: Seeded, for the jitter of the back-off.
        times: Patience.
        note: Told of each connection made and lost; must not wait.
    """

    def __init__(
        self,
        source: StreamSource,
        clock: Clock,
        generator: random.Random,
        times: LinkTimes = ACCOUNT_TIMES,
        note: Callable[[StreamNote], None] = lambda _: None,
    ) -> None:
        self._source: Final = source
        self._clock: Final = clock
        self._generator: Final = generator
        self._times: Final = times
        self._note: Final = note
        self._on_order: Callable[[OrderHint], None] = lambda _: None
        self._link: Link | None = None
        self._tasks: Final[list[asyncio.Task[None]]] = []

    async def start(self, on_order: Callable[[OrderHint], None], on_connected: Callable[[], None]) -> None:
        """Connect and stay connected until `close`. Returns at once.

        Raises:
            RuntimeError: If it was started before.
        """
        if self._link is not None:
            raise RuntimeError("expected a stream that was not started")
        self._on_order = on_order
        self._link = Link(
            "account", self._source.connect, self._watch, clock=self._clock, generator=self._generator,
            times=self._times, note=self._note, on_connected=on_connected,
        )  # fmt: skip
        self._tasks.append(asyncio.create_task(self._link.run()))

    @property
    def alive(self) -> bool:
        """True while the venue took our subscription and is heard."""
        return self._link is not None and self._link.alive

    @property
    def reconnects(self) -> int:
        """Times that the connection was made again."""
        return max(0, self._link.connections - 1) if self._link is not None else 0

    async def close(self) -> None:
        """End the connection. May be called twice."""
        try:
            await end_tasks(self._tasks)
        finally:
            await self._source.close()

    async def _watch(self, exchange: Any, link: Link) -> None:
        orders = bool(exchange.has.get("watchOrders"))
        call = exchange.watch_orders if orders else exchange.watch_my_trades
        while True:
            pushed = await call()
            link.pushed()
            for hint in hints_of(pushed, self._clock.now_ms(), trades=not orders):
                self._on_order(hint)


def hints_of(pushed: Iterable[Any], now_ms: int, *, trades: bool = False) -> list[OrderHint]:
    """Name the orders of a push, each once; what names no order is left out.

    Args:
        pushed: ccxt's orders, or its trades.
        now_ms: When they came in.
        trades: True where they are trades: the id of the order has another name there.
    """
    found: dict[tuple[str, str, str], OrderHint] = {}
    for item in pushed:
        hint = OrderHint(
            item.get("symbol") or "", item.get("clientOrderId") or "", item.get("order" if trades else "id") or "",
            now_ms,
        )  # fmt: skip
        if hint.wire_id or hint.venue_order_id:
            found[hint[:3]] = hint
    return list(found.values())
