"""Our classes against the wire server over real HTTP on loopback: the whole path, both dialects."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop, run
from tradecore.market.generate import GeneratedSource
from tradecore.model.order import CancelKind, NewOrder, PlacementKind, VenueStatus
from tradecore.model.units import ClientOrderId, Side, TimeInForce, floor_to_tick
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.open import open_ccxt
from tradecore.venues.ccxt.venue import CcxtVenue
from tradecore.venues.limiter import RequestLimiter
from tradecore.venues.twin.build import TwinPlan, open_twin
from tradecore.venues.twin.records import BookShape
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.server import WireServer

EPOCH_MS = 1_700_000_000_000 - 1_700_000_000_000 % 60_000 + 500
DAY_MS = 86_400_000
KEY, SECRET = "K" * 64, "not-a-real-secret"
SYMBOL = "BTC/USDT"
GTC, IOC, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK


@pytest.fixture(params=["binance", "mexc"])
def on_wire(request) -> Callable[[Callable[[CcxtVenue], Awaitable[None]]], None]:
    """Run a story with a venue of ours whose exchange is the wire server, at twenty times the wall's speed."""

    def play(story: Callable[[CcxtVenue], Awaitable[None]]) -> None:
        loop = MarketLoop(20.0)
        clock = LoopClock(loop, EPOCH_MS)
        source = GeneratedSource(
            7, ["BTC", "ETH", "SOL"], 60_000, "calm", start_ms=EPOCH_MS - EPOCH_MS % 60_000 - 2 * DAY_MS
        )
        plan = TwinPlan(manners=request.param, latency_ms=0, shape=BookShape(depth_quote=200_000.0))
        twin = open_twin(clock, source, seed=7, generator=random.Random(7), plan=plan)
        twin.venue.open_balances({"USDT": Decimal(1_000_000), "BTC": Decimal(50)})

        async def whole() -> None:
            server = WireServer(twin, wire=request.param, clock=clock, keys=[ApiKey(KEY, SECRET)])
            await server.start()
            venue = open_ccxt(
                request.param, clock=clock, limiter=RequestLimiter(clock, 5_000), keys=ApiKeys(KEY, SECRET),
                base_url=server.base_url, timeout_ms=60_000,
            )  # fmt: skip
            try:
                await story(venue)
            finally:
                await venue.close()
                await server.close()

        run(whole(), loop)

    return play


def _orders(venue: CcxtVenue):
    """Orders with ids of ours, counted up."""
    numbers = iter(range(1, 100))

    def make(side: Side, tif: TimeInForce, price: Decimal, quantity: str, *, post_only: bool = False) -> NewOrder:
        wire = venue.wire_id(ClientOrderId(f"{next(numbers):032x}"))
        return NewOrder(wire, SYMBOL, side, tif, price, Decimal(quantity), post_only)

    return make


def test_a_day_of_orders(on_wire):
    async def story(venue: CcxtVenue) -> None:
        instruments = await venue.instruments()
        tick = instruments[SYMBOL].tick_size
        book = await venue.book(SYMBOL)
        make, started_ms = _orders(venue), await venue.server_time_ms()
        dear, cheap = floor_to_tick(book.best_ask * 2, tick), floor_to_tick(book.best_bid / 2, tick)
        near = floor_to_tick(book.best_ask * Decimal("1.005"), tick)

        taken = make(Side.BUY, IOC, near, "0.2")
        placement = await venue.place(taken)
        assert placement.kind is PlacementKind.ACCEPTED, placement
        report = await venue.order(SYMBOL, taken.wire_id)
        assert (report.status, report.executed_quantity) == (VenueStatus.FILLED, Decimal("0.2"))

        standing = make(Side.BUY, GTC, cheap, "0.2")
        assert (await venue.place(standing)).kind is PlacementKind.ACCEPTED
        assert [one.wire_id for one in await venue.open_orders()] == [standing.wire_id]
        assert (await venue.cancel(SYMBOL, standing.wire_id, "")).kind is CancelKind.REQUESTED
        report = await venue.order(SYMBOL, standing.wire_id)
        assert (report.status, report.executed_quantity) == (VenueStatus.CANCELED, 0)
        assert (await venue.cancel(SYMBOL, standing.wire_id, "")).kind is CancelKind.NOT_FOUND

        hopeless = make(Side.BUY, FOK, cheap, "0.2")
        await venue.place(hopeless)
        assert (await venue.order(SYMBOL, hopeless.wire_id)).executed_quantity == 0
        would_take = make(Side.BUY, GTC, dear, "0.1", post_only=True)
        assert (await venue.place(would_take)).kind is PlacementKind.REJECTED
        assert (await venue.place(make(Side.SELL, IOC, cheap, "9000"))).kind is PlacementKind.REJECTED
        assert await venue.order(SYMBOL, "f" * 32) is None

        ids = {one.wire_id for one in await venue.recent_orders(SYMBOL, started_ms - 1000)}
        assert {taken.wire_id, standing.wire_id} <= ids
        page = await venue.trades(SYMBOL, "", started_ms - 1000)
        assert sum(trade.quantity for trade in page.trades) == Decimal("0.2")
        assert {trade.side for trade in page.trades} == {Side.BUY}
        again = await venue.trades(SYMBOL, page.cursor, 0)
        assert {trade.venue_trade_id for trade in again.trades} <= {trade.venue_trade_id for trade in page.trades}
        balances = await venue.balances()
        assert balances["BTC"].total > 50
        assert balances["USDT"].locked == 0

    on_wire(story)


def test_public_data_and_the_doctors_questions(on_wire):
    async def story(venue: CcxtVenue) -> None:
        quotes = await venue.market.quotes(["BTC/USDT", "ETH/USDT", "NO/COIN"])
        assert set(quotes) == {"BTC/USDT", "ETH/USDT"}
        assert 0 < quotes[SYMBOL].bid < quotes[SYMBOL].ask
        one = await venue.market.quotes([SYMBOL])
        assert set(one) == {SYMBOL}
        now_ms = await venue.server_time_ms()
        candles = await venue.market.candles(SYMBOL, 60_000, now_ms - 600_000, 20)
        assert 8 <= len(candles) <= 10
        assert all(candle.open_ms + 60_000 <= now_ms + 5_000 for candle in candles)
        reading = await venue.sync_clock()
        assert abs(reading.offset_ms) < 2_000
        probe = await venue.probe(SYMBOL)
        assert probe.tradable is True, probe
        rights = await venue.rights()
        assert rights.withdraw in (False, None)

    on_wire(story)
