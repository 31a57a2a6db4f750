"""A tiny market, a virtual clock, and a twin on both."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop
from tradecore.market.frame import COLUMNS, MarketFrame
from tradecore.model.instrument import Instrument
from tradecore.model.order import NewOrder
from tradecore.model.units import Side, TimeInForce
from tradecore.venues.twin.build import Twin, TwinPlan, open_twin
from tradecore.venues.twin.records import BookShape

_T = TypeVar("_T")
START_MS = 1_700_000_000_000 - 1_700_000_000_000 % 60_000
NAN = float("nan")
Candle = tuple[float, float, float, float, float]


def instrument(symbol: str, tick: str = "0.01", lot: str = "0.001", fee: str | None = None) -> Instrument:
    base, quote = symbol.split("/")
    return Instrument(
        symbol, base, quote, Decimal(tick), Decimal(lot), Decimal(lot), Decimal(0), Decimal(5), Decimal(10),
        Decimal(10), base if fee is None else fee,
    )  # fmt: skip


class Rows:
    """Rows of a few symbols, in memory."""

    timeframe_ms = 60_000
    first_close_ms = START_MS + 60_000
    warnings: tuple[str, ...] = ()

    def __init__(self, candles: Mapping[str, Sequence[Candle]], instruments: Mapping[str, Instrument]) -> None:
        self.symbols = tuple(candles)
        self.rows: int | None = max(len(rows) for rows in candles.values())
        self.instruments = dict(instruments)
        self._columns = {
            name: np.array([[row[i] for row in rows] for rows in candles.values()]).T for i, name in enumerate(COLUMNS)
        }

    def read(self, start: int, stop: int) -> MarketFrame:
        stop = min(stop, self.rows or stop)
        times = self.first_close_ms + np.arange(start, max(start, stop), dtype=np.int64) * self.timeframe_ms
        columns = {name: values[start:stop] for name, values in self._columns.items()}
        return MarketFrame(self.timeframe_ms, times, self.symbols, columns)


def wander(seed: int, rows: int, price: float = 100.0, volume: float = 1_000.0, bps: float = 20.0) -> list[Candle]:
    """Candles of a seeded walk, prices with two decimals."""
    chance = random.Random(seed)
    candles = []
    for _ in range(rows):
        close = round(price * (1 + chance.uniform(-bps, bps) / 1e4), 2)
        high = round(max(price, close) * (1 + chance.uniform(0, bps) / 1e4), 2)
        low = round(min(price, close) * (1 - chance.uniform(0, bps) / 1e4), 2)
        candles.append((price, max(high, price, close), min(low, price, close), close, volume))
        price = close
    return candles


class World:
    """A loop on virtual time, a clock, and twins on it."""

    start_ms = START_MS

    def __init__(self) -> None:
        self.loop = MarketLoop()
        self.clock = LoopClock(self.loop, START_MS)
        self._ids = 0
        self.twins: list[Twin] = []

    def run(self, story: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(story)

    def rows(self, **candles: Sequence[Candle]) -> Rows:
        named = {name.replace("_", "/"): rows for name, rows in candles.items()}
        return Rows(named, {symbol: instrument(symbol) for symbol in named})

    def twin(
        self,
        rows: Rows | None = None,
        *,
        seed: int = 7,
        path: Path | None = None,
        money: Mapping[str, str] | None = None,
        instruments: Mapping[str, Instrument] | None = None,
        shape: BookShape | None = None,
        **plan: Any,
    ) -> Twin:
        rows = rows or self.rows(BTC_USDT=wander(1, 200))
        plan = {"latency_ms": 0, "shape": shape or BookShape(), **plan}
        twin = open_twin(
            self.clock, rows, seed=seed, generator=random.Random(seed), path=path, plan=TwinPlan(**plan),
            instruments=instruments,
        )  # fmt: skip
        money = {"USDT": "10000", "BTC": "10"} if money is None else money
        twin.venue.open_balances({coin: Decimal(amount) for coin, amount in money.items()})
        self.twins.append(twin)
        return twin

    async def until(self, offset_ms: int) -> None:
        await self.clock.sleep_until_ms(START_MS + offset_ms)

    def order(
        self,
        price: str | Decimal,
        quantity: str | Decimal = "1",
        side: Side = Side.BUY,
        tif: TimeInForce = TimeInForce.IOC,
        *,
        symbol: str = "BTC/USDT",
        post_only: bool = False,
        wire_id: str | None = None,
    ) -> NewOrder:
        self._ids += 1
        return NewOrder(
            wire_id or f"{self._ids:032x}", symbol, side, tif, Decimal(price), Decimal(quantity), post_only
        )  # fmt: skip

    def close(self) -> None:
        for twin in self.twins:
            twin.venue.engine.state.close()
        self.loop.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture
def make_world() -> Iterator[Callable[[], World]]:
    worlds: list[World] = []

    def make() -> World:
        worlds.append(World())
        return worlds[-1]

    yield make
    for made in worlds:
        made.close()


@pytest.fixture
def candles() -> Callable[..., list[Candle]]:
    return wander


@pytest.fixture
def filters() -> Callable[..., Instrument]:
    return instrument
