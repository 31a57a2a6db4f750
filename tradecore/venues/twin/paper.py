"""Paper trading: live prices, the twin's engine, the manners, fees, lag and faults of any other twin."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.model.order import NewOrder, Placement
from tradecore.ports.clock import Clock
from tradecore.ports.quotes import MarketData
from tradecore.ports.venue import VenueTiming
from tradecore.venues.twin.build import TwinPlan
from tradecore.venues.twin.faults import Faults
from tradecore.venues.twin.gate import Gate
from tradecore.venues.twin.manners import Manners
from tradecore.venues.twin.matching import Engine
from tradecore.venues.twin.paper_market import LivePrices, PaperMarket
from tradecore.venues.twin.state import TwinState
from tradecore.venues.twin.venue import TwinVenue

_BOOK_WAIT_S: Final = 2.0
"""An order waits no longer for a fresh book; then it meets the newest one known, if that is young enough."""
_BOOK_AGE_MS_MAX: Final = 5_000


class PaperVenue(TwinVenue):
    """A twin whose books are a real exchange's. An order meets the book that is read when it is sent.

    Args:
        clock: Market time.
        engine: Orders and balances, over `market`.
        manners: How it answers.
        faults: What goes wrong.
        timing: Times of the fence.
        data: Reads books.
        prices: The live feed.
        market: Live books.
        plan: Latency, lag and the rest.
    """

    def __init__(
        self,
        clock: Clock,
        engine: Engine,
        manners: Manners,
        faults: Faults,
        timing: VenueTiming,
        *,
        data: MarketData,
        prices: LivePrices,
        market: PaperMarket,
        plan: TwinPlan,
    ) -> None:
        super().__init__(
            clock, engine, manners, faults, timing, latency_ms=plan.latency_ms, read_lag_ms=plan.read_lag_ms,
            ack_without_status=plan.ack_without_status, gate=Gate(plan.requests_per_minute),
        )  # fmt: skip
        self._data: Final = data
        self._prices: Final = prices
        self._market: Final = market
        self.book_failures = 0
        """Orders that met an older book since none could be read."""
        prices.on_price(self._priced)
        prices.on_instruments(market.relist)

    @property
    def name(self) -> str:
        """Always ``paper``."""
        return "paper"

    async def place(self, order: NewOrder) -> Placement:
        """Send once, to meet the exchange's book of this moment."""
        try:
            await self._read_book(order.symbol)
        except (RetryableVenueError, VenueRefused):
            self.book_failures += 1
        return await super().place(order)

    async def book(self, symbol: str) -> Book:
        """Read the exchange's book, less what was taken of it here."""
        await self._read_book(symbol)
        return await super().book(symbol)

    async def _read_book(self, symbol: str) -> None:
        try:
            async with asyncio.timeout(_BOOK_WAIT_S):
                self._prices.note_book(await self._data.book(symbol))
        except TimeoutError as error:
            raise RetryableVenueError(f"book {symbol}: no answer in {_BOOK_WAIT_S:g} s") from error

    def _priced(self, symbol: str) -> None:
        """Let a price that has just come in meet the orders that rest there."""
        standing = {order.symbol for order in self.engine.open_orders.values()}
        now_ms = self._clock.now_ms()
        self._market.look(symbol, now_ms, symbol in standing)
        if symbol in standing:
            self.engine.advance(now_ms)
            self.engine.state.commit()
        else:
            self._market.watched(standing)


class Paper(NamedTuple):
    """A paper venue and its market."""

    venue: PaperVenue
    market: PaperMarket


def open_paper(
    clock: Clock,
    prices: LivePrices,
    data: MarketData,
    instruments: Mapping[str, Instrument],
    *,
    generator: random.Random,
    path: Path | None = None,
    plan: TwinPlan = TwinPlan(),  # noqa: B008 - frozen
    book_age_ms_max: int = _BOOK_AGE_MS_MAX,
) -> Paper:
    """Open a paper venue; an existing file goes on where it was.

    Args:
        clock: Market time.
        prices: The live feed.
        data: Reads books.
        instruments: Filters of the exchange and the fees of this account (`with_fees`), by symbol.
        generator: Seeds the faults; asked once.
        path: The twin's file; ``None`` keeps everything in memory.
        plan: Manners, latency, faults; its shape is not used: the books are real.
        book_age_ms_max: Of an older book nothing can be had.
    Raises:
        SettingsError: If manners or a fault have no such name.
        StateFolderError: If the file cannot be used.
        SchemaMismatch: If another version of the twin wrote it.
    """
    manners = Manners(plan.manners)
    faults = Faults(generator, plan.faults)
    market = PaperMarket(prices, instruments, book_age_ms_max)
    engine = Engine(market, TwinState(path), plan.terms, manners.order_id, manners.trade_id)
    venue = PaperVenue(
        clock, engine, manners, faults, plan.timing, data=data, prices=prices, market=market, plan=plan
    )  # fmt: skip
    return Paper(venue, market)
