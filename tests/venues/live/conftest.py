"""A scripted exchange on virtual time: quotes, books, candles and a stream that can be cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.book import Book, Level
from tradecore.model.instrument import Instrument
from tradecore.ports.limiter import Limiter, Priority
from tradecore.ports.quotes import Candle, Quote
from tradecore.venues.live.feed import LiveFeed
from tradecore.venues.live.listing import Universe
from tradecore.venues.live.poller import LivePlan

NAN = math.nan
START_MS = 1_700_000_000_000 - 1_700_000_000_000 % 60_000
A, B = "AAA/USDT", "BBB/USDT"


def instrument(symbol: str, **changes: Any) -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        symbol, base, quote, Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(0), Decimal(5), Decimal(10),
        Decimal(10), quote,
    )._replace(**changes)  # fmt: skip


class Exchange:
    """ports/quotes.MarketData from a script: the price of a symbol is a function of the moment."""

    name = "script"

    def __init__(self, clock: Any, symbols: Sequence[str], limiter: Limiter | None = None, batch: int = 100) -> None:
        self.clock = clock
        self.listed = {symbol: instrument(symbol) for symbol in symbols}
        self.price: Callable[[str, int], float] = lambda symbol, at_ms: 100.0
        self.half_spread = 0.05
        self.size = 5.0
        self.volume_24h: Mapping[str, float] = {}
        self.history: dict[tuple[str, int], list[Candle]] = {}
        self.timeframes = {60_000}
        self.down, self.cheap = False, True
        self.limiter, self.batch = limiter, batch
        self.requests: list[tuple[int, str, int]] = []
        self.books: dict[str, Book] = {}

    async def _turn(self, what: str, size: int = 1) -> None:
        if self.limiter is not None:
            assert await self.limiter.acquire(Priority.DATA)
        self.requests.append((self.clock.now_ms(), what, size))
        await self.clock.sleep(0.02)
        if self.down:
            raise RetryableVenueError(f"{what}: no answer")

    def quote(self, symbol: str, source: str = "rest") -> Quote:
        now = self.clock.now_ms()
        price = self.price(symbol, now)
        volume = self.volume_24h.get(symbol, NAN)
        bid, ask = price - self.half_spread, price + self.half_spread
        return Quote(symbol, now, bid, ask, self.size, self.size, price, volume, source)

    async def instruments(self) -> Mapping[str, Instrument]:
        await self._turn("instruments")
        return dict(self.listed)

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        found = {}
        for at in range(0, len(symbols), self.batch):
            part = symbols[at : at + self.batch]
            await self._turn("quotes", len(part))
            if any(symbol not in self.listed for symbol in part):
                raise VenueRefused("quotes: invalid symbol", "-1121")
            found.update({symbol: self.quote(symbol) for symbol in part})
        return found

    async def best(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Best bid and ask of any number in one request; whole quotes where there is no such answer."""
        if not self.cheap:
            return await self.quotes(symbols)
        await self._turn("best", len(symbols))
        if any(symbol not in self.listed for symbol in symbols):
            raise VenueRefused("quotes: invalid symbol", "-1121")
        return {symbol: self.quote(symbol)._replace(last=NAN, volume_24h_quote=NAN) for symbol in symbols}

    async def book(self, symbol: str) -> Book:
        await self._turn("book")
        if symbol in self.books:
            return self.books[symbol]._replace(received_ms=self.clock.now_ms())
        quote = self.quote(symbol)
        level = lambda price: (Level(Decimal(repr(price)), Decimal(repr(self.size))),)  # noqa: E731
        return Book(symbol, quote.received_ms, level(quote.bid), level(quote.ask), "rest")

    async def candles(self, symbol: str, timeframe_ms: int, since_ms: int, limit: int) -> Sequence[Candle]:
        await self._turn("candles")
        if timeframe_ms not in self.timeframes:
            raise VenueRefused(f"candles: no {timeframe_ms}")
        rows = self.history.get((symbol, timeframe_ms), [])
        return [row for row in rows if row.open_ms >= since_ms][: min(limit, 50)]

    async def server_time_ms(self) -> int:
        return self.clock.now_ms()

    async def close(self) -> None:
        self.down = True


class Stream:
    """ports/quotes.QuoteStream that is told what to push."""

    def __init__(self) -> None:
        self.alive = False
        self.reconnects = 0
        self.symbols: Sequence[str] = ()
        self.push: Callable[[Quote], None] = lambda quote: None

    async def start(self, symbols: Sequence[str], on_quote: Callable[[Quote], None]) -> None:
        self.symbols, self.push, self.alive = symbols, on_quote, True

    async def close(self) -> None:
        self.alive = False


class Stage:
    """A loop on virtual time, an exchange, and feeds on it."""

    def __init__(self, after_s: float = 0.0) -> None:
        self.loop = MarketLoop()
        self.clock: Any = LoopClock(self.loop, START_MS + int(after_s * 1_000))
        self.notes: list[Any] = []

    def exchange(self, *symbols: str, **fields: Any) -> Exchange:
        return Exchange(self.clock, symbols or (A, B), **fields)

    def feed(self, exchange: Exchange, stream: Stream | None = None, **plan: Any) -> LiveFeed:
        fields = {"history_rows": 20, "backfill": False, **plan}
        return LiveFeed(
            self.clock, exchange, stream, LivePlan(**fields), symbols=tuple(exchange.listed),
            instruments=dict(exchange.listed), universe=Universe("USDT"), note=self.notes.append,
        )  # fmt: skip

    def told(self, kind: type[Any]) -> list[Any]:
        return [note for note in self.notes if isinstance(note, kind)]

    async def until(self, offset_s: float) -> None:
        await self.clock.sleep_until_ms(START_MS + int(offset_s * 1_000))

    def run(self, story: Any) -> Any:
        return run_on(story, self.loop)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.loop.close()


async def rows(feed: LiveFeed, clock: Any, until_ms: int) -> list[int]:
    """Take every row at its close, as the engine does; returns the closes."""
    taken = []
    while feed.next_close_ms <= until_ms:
        await clock.sleep_until_ms(feed.next_close_ms)
        assert feed.block(3, 256) is not None
        close = feed.take()
        assert close is not None
        taken.append(close)
    return taken
