"""What our limiter is charged for each call, held against what the venue counts for it (R34)."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop, run
from tradecore.market.generate import GeneratedSource
from tradecore.model.order import NewOrder
from tradecore.model.units import ClientOrderId, Side, TimeInForce, floor_to_tick
from tradecore.ports.limiter import Priority
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.open import open_ccxt
from tradecore.venues.limiter import RequestLimiter
from tradecore.venues.twin.build import TwinPlan, open_twin
from tradecore.venues.twin.wire.desk import Limits
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.server import WireServer
from tradecore.venues.weights import weight_of, windows_of

EPOCH_MS = 1_700_000_000_000 - 1_700_000_000_000 % 60_000 + 500
DAY_MS = 86_400_000
KEY, SECRET = "K" * 64, "not-a-real-secret"
SYMBOL = "BTC/USDT"
PAID_BY_CALLER = ("place", "cancel", "order", "open_orders", "open_orders_all", "recent_orders", "trades", "balances")


@pytest.mark.parametrize("name", ["binance", "mexc"])
def test_r34_no_call_costs_less_here_than_at_the_venue(name):
    loop = MarketLoop(20.0)
    clock = LoopClock(loop, EPOCH_MS)
    coins = ["BTC", "ETH", "SOL", *(f"C{number}" for number in range(30))]
    start_ms = EPOCH_MS - EPOCH_MS % 60_000 - 2 * DAY_MS
    source = GeneratedSource(7, coins, 60_000, "calm", start_ms=start_ms)
    twin = open_twin(
        clock, source, seed=7, generator=random.Random(7), plan=TwinPlan(manners=name, latency_ms=0)
    )  # fmt: skip
    twin.venue.open_balances({"USDT": Decimal(1_000_000), "BTC": Decimal(50)})
    counted: dict[str, tuple[int, int]] = {}
    paid: list[int] = []
    weighed: list[int] = []

    async def story(server, venue, limiter):
        market, gate = venue.market, server.desk.gate
        enter = gate.enter
        gate.enter = lambda now_ms, weight=1: weighed.append(weight) or enter(now_ms, weight)
        await venue.instruments()
        tick = (await venue.instruments())[SYMBOL].tick_size
        price = floor_to_tick((await venue.book(SYMBOL)).best_bid / 2, tick)
        order = NewOrder(
            venue.wire_id(ClientOrderId(f"{1:032x}")), SYMBOL, Side.BUY, TimeInForce.GTC, price, Decimal("0.2")
        )  # fmt: skip
        symbols = list(twin.market.instruments)
        now_ms = await venue.server_time_ms()
        calls = {
            "place": lambda: venue.place(order),
            "order": lambda: venue.order(SYMBOL, order.wire_id),
            "open_orders": lambda: venue.open_orders(SYMBOL),
            "open_orders_all": venue.open_orders,
            "recent_orders": lambda: venue.recent_orders(SYMBOL, now_ms - 1000),
            "trades": lambda: venue.trades(SYMBOL, "", now_ms - 1000),
            "balances": venue.balances,
            "cancel": lambda: venue.cancel(SYMBOL, order.wire_id, ""),
            "instruments": venue.instruments,
            "one quote": lambda: market.quotes([SYMBOL]),
            "few quotes": lambda: market.quotes(symbols[:3]),
            "quotes": lambda: market.quotes(symbols),
            "best of one": lambda: market.best([SYMBOL]),
            "best of few": lambda: market.best(symbols[:3]),
            "best of all": lambda: market.best(symbols),
            "book": lambda: market.book(SYMBOL),
            "candles": lambda: market.candles(SYMBOL, 60_000, now_ms - 600_000, 20),
            "clock": venue.sync_clock,
            "rights": venue.rights,
            "probe": lambda: venue.probe(SYMBOL),
        }
        for operation, call in calls.items():
            paid.clear()
            weighed.clear()
            if operation in PAID_BY_CALLER:
                assert await limiter.acquire(Priority.RECONCILE, weight=venue.weight_of(operation))
            await call()
            counted[operation] = (sum(paid), sum(weighed))

    async def whole():
        limits = Limits(None, None, None, None)
        server = WireServer(twin, wire=name, clock=clock, keys=[ApiKey(KEY, SECRET)], limits=limits)
        await server.start()
        limiter = RequestLimiter(clock, 100_000)
        charge = limiter._charge
        limiter._charge = lambda priority, weight: paid.append(weight) or charge(priority, weight)
        venue = open_ccxt(
            name, clock=clock, limiter=limiter, keys=ApiKeys(KEY, SECRET), base_url=server.base_url, timeout_ms=60_000
        )  # fmt: skip
        try:
            await story(server, venue, limiter)
        finally:
            await venue.close()
            await server.close()

    run(whole(), loop)
    less = {operation: pair for operation, pair in counted.items() if pair[0] < pair[1]}
    assert less == {}, "ours, theirs"
    assert all(ours <= 4 * max(theirs, 10) for ours, theirs in counted.values()), counted


@pytest.mark.parametrize("name", ["binance", "mexc"])
def test_r34_every_call_fits_into_the_windows_of_its_venue(name):
    for operation in (
        *PAID_BY_CALLER,
        "instruments",
        "quotes_some",
        "quotes_all",
        "best",
        "best_many",
        "book",
        "candles",
        "time",
    ):
        for window in windows_of(name):
            if not window.orders_only:
                assert weight_of(name, operation) <= window.most // 2, operation
