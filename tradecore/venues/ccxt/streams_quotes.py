"""Quotes pushed through ccxt.pro: many symbols over few connections, the newest of each and no more."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from tradecore.ports.clock import Clock
from tradecore.ports.quotes import Quote
from tradecore.venues.ccxt.streams_link import Link, LinkTimes, StreamNote, end_tasks
from tradecore.venues.ccxt.streams_source import StreamSource
from tradecore.venues.ccxt.streams_wire import Ears

PER_CONNECTION: Final = {"binance": 300, "mexc": 30}
"""Symbols that one connection may carry; 100 where a venue is not named.

Source: Binance allows 1,024 streams a connection (web-socket-streams.md, general information); we stay below a
subscription of a few kB. MEXC allows 30 (spot v3, websocket market streams)."""
_PER_CONNECTION: Final = 100
_FULL_TICKERS: Final[Mapping[str, Mapping[str, str]]] = {
    "binance": {"name": "ticker"},
    "okx": {},
    "kraken": {},
    "kucoin": {},
}
"""Where one ticker a second carries bid, ask, last and volume; elsewhere `watch_bids_asks` is the better one."""
_SWEEP_S: Final = 0.25
"""Quotes between two looks are overtaken by the newest: a slow reader gets fewer, never a queue."""


class CcxtQuoteStream:
    """Best bid and ask of many symbols (ports/quotes.QuoteStream).

    Args:
        source: Where connections come from.
        clock: Market time.
        generator: Seeded, for the jitter of the back-off.
        times: Patience.
        note: Told of each connection made and lost; must not wait.
        every_change: True asks for each change of the best prices, without last price and volume; False for the
            venue's full ticker, about once a second, where it has one.
    """

    def __init__(
        self,
        source: StreamSource,
        clock: Clock,
        generator: random.Random,
        times: LinkTimes = LinkTimes(),  # noqa: B008 - frozen
        note: Callable[[StreamNote], None] = lambda _: None,
        *,
        every_change: bool = False,
    ) -> None:
        self._source: Final = source
        self._clock: Final = clock
        self._generator: Final = generator
        self._times: Final = times
        self._note: Final = note
        self._every_change: Final = every_change
        self._links: list[Link] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._on_quote: Callable[[Quote], None] = lambda _: None

    async def start(self, symbols: Sequence[str], on_quote: Callable[[Quote], None]) -> None:
        """Subscribe and keep subscribed until `close`. Returns at once.

        Raises:
            RuntimeError: If it was started before.
        """
        if self._links:
            raise RuntimeError("expected a stream that was not started")
        self._on_quote = on_quote
        size = PER_CONNECTION.get(self._source.name, _PER_CONNECTION)
        wanted = sorted(set(symbols))
        for number, first in enumerate(range(0, len(wanted), size), 1):
            link = Link(
                f"quotes {number}", self._source.connect, self._watch_of(tuple(wanted[first : first + size])),
                clock=self._clock, generator=self._generator, times=self._times, note=self._note,
                on_connected=_nothing,
            )  # fmt: skip
            self._links.append(link)
            self._tasks.append(asyncio.create_task(link.run()))

    @property
    def alive(self) -> bool:
        """True while every connection is heard and pushes."""
        return bool(self._links) and all(link.alive for link in self._links)

    @property
    def reconnects(self) -> int:
        """Times that a connection was made again."""
        return sum(max(0, link.connections - 1) for link in self._links)

    async def close(self) -> None:
        """End all connections. May be called twice."""
        try:
            await end_tasks(self._tasks)
        finally:
            await self._source.close()

    def _watch_of(self, symbols: tuple[str, ...]) -> Callable[[Any, Link], Awaitable[None]]:
        async def watch(exchange: Any, link: Link) -> None:
            known = [symbol for symbol in symbols if symbol in exchange.markets]
            if not known:
                raise LookupError(f"none of {len(symbols)} symbols is known to {exchange.id}")
            await self._watch(exchange, link, known)

        return watch

    async def _watch(self, exchange: Any, link: Link, symbols: list[str]) -> None:
        ears: Ears = exchange.ears
        full = None if self._every_change else _FULL_TICKERS.get(self._source.name)
        best = full is None and bool(exchange.has.get("watchBidsAsks"))
        call = exchange.watch_bids_asks if best else exchange.watch_tickers
        # Once is enough: the subscription lasts as long as the connection. On MEXC the call itself never ends, since
        # ccxt 4.5.90 cannot read its own protobuf book tickers there; the quotes are in `tickers` all the same.
        subscribing = ears.keeper.create_task(call(symbols, dict(full or {})))
        seen: dict[str, object] = {}
        while True:
            await self._clock.sleep(_SWEEP_S)
            if subscribing.done() and subscribing.exception() is not None:
                subscribing.result()
            if self._sweep(exchange, symbols, seen):
                link.pushed()

    def _sweep(self, exchange: Any, symbols: list[str], seen: dict[str, object]) -> int:
        """Hand out what is new. Returns how many quotes that were."""
        told = 0
        now_ms = self._clock.now_ms()
        for symbol in symbols:
            ticker = exchange.bidsasks.get(symbol) or exchange.tickers.get(symbol)
            # ccxt makes a new object of each push: the same one means that nothing came.
            if ticker is None or seen.get(symbol) is ticker:
                continue
            seen[symbol] = ticker
            told += 1
            self._on_quote(quote_of(symbol, ticker, now_ms))
        return told


def quote_of(symbol: str, ticker: Any, now_ms: int) -> Quote:
    """Put ccxt's ticker into our word; what it does not say, or no market can have, is NaN (F19)."""
    return Quote(
        symbol, now_ms, _number(ticker, "bid"), _number(ticker, "ask"), _number(ticker, "bidVolume"),
        _number(ticker, "askVolume"), _number(ticker, "last"), _number(ticker, "quoteVolume"), "stream",
    )  # fmt: skip


def _number(ticker: Any, name: str) -> float:
    try:
        value = float(ticker.get(name))
    except (TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) and value > 0 else math.nan


def _nothing() -> None:
    """A quote missed is overtaken by the next: nobody needs to hear of a new connection."""
