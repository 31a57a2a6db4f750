"""A wire server, our streams and unmodified ccxt.pro on one loop that runs faster than the wall."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any, TypeVar

import ccxt.pro
import pytest

from tests.venues.conftest import START_MS, Rows, instrument, wander
from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop
from tradecore.model.order import NewOrder
from tradecore.model.units import Side, TimeInForce
from tradecore.ports.hints import OrderHint
from tradecore.ports.quotes import Quote
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.streams import open_account_hints, open_quote_stream
from tradecore.venues.ccxt.streams_account import CcxtAccountHints
from tradecore.venues.ccxt.streams_link import LinkTimes, StreamNote
from tradecore.venues.ccxt.streams_quotes import CcxtQuoteStream
from tradecore.venues.twin.build import TwinPlan, open_twin
from tradecore.venues.twin.records import BookShape, TwinOrder
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.server import WireServer

_T = TypeVar("_T")
SPEED = 20.0
KEY, SECRET = "key-of-tests", "canary-secret-4711"
#: A loaded machine answers late: a market second is a twentieth of one of the wall.
TIMES = LinkTimes(answer_s=60, ping_s=3, deaf_s=16, silence_s=60, first_wait_s=0.5, longest_wait_s=4, steady_s=60)


class Wire:
    """One venue on loopback, and whoever talks to it."""

    def __init__(self, name: str, symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT")) -> None:
        self.name = name
        self.loop = MarketLoop(SPEED)
        self.complaints: list[str] = []
        self.untended = False
        """True where ccxt is left to itself: it forgets to look at failures of its own."""
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(str(context)))
        self.clock = LoopClock(self.loop, START_MS + 60_000)
        named = {symbol: wander(number, 60, bps=60.0) for number, symbol in enumerate(symbols)}
        rows = Rows(named, {symbol: instrument(symbol) for symbol in named})
        plan = TwinPlan(manners=name, latency_ms=0, shape=BookShape(steps=60))
        self.twin = open_twin(self.clock, rows, seed=7, generator=random.Random(1), plan=plan)
        self.twin.venue.open_balances({"USDT": Decimal(100_000), "BTC": Decimal(100)})
        self.server = self._served()
        self.notes: list[StreamNote] = []
        self.hints: list[OrderHint] = []
        self.quotes: list[Quote] = []
        self.connected = 0
        self.ids = 0
        self._closers: list[Callable[[], Awaitable[Any]]] = []

    def _served(self, port: int = 0) -> WireServer:
        keys = [ApiKey(KEY, SECRET), ApiKey("other", "another")]
        return WireServer(self.twin, wire=self.name, clock=self.clock, keys=keys, port=port)

    @property
    def desk(self) -> Any:
        return self.server.desk

    @property
    def hub(self) -> Any:
        """Who listens at the server."""
        return self.desk.listeners[-1].__self__

    @property
    def faults(self) -> Any:
        return self.server.desk.faults

    def run(self, story: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run a story with the server up; afterwards nothing may be left."""
        return self.loop.run_until_complete(self._whole(story))

    async def _whole(self, story: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        await self.server.start()
        try:
            return await asyncio.wait_for(story(), 60 * SPEED)
        finally:
            for close in reversed(self._closers):
                await close()
            await self.server.close()
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            assert not left, f"left behind: {left}"
            gc.collect(1)  # what this story left is young
            complaints = [text for text in self.complaints if not (self.untended and "never retrieved" in text)]
            assert not complaints, f"the loop complained: {complaints}"

    # Talkers ------------------------------------------------------------------------------------------------

    def stream(self, times: LinkTimes = TIMES, **more: Any) -> CcxtQuoteStream:
        stream = open_quote_stream(
            self.name, clock=self.clock, generator=random.Random(2), base_url=self.server.base_url, times=times,
            note=self.notes.append, **more,
        )  # fmt: skip
        self._closers.append(stream.close)
        return stream

    def account(self, times: LinkTimes = TIMES, keys: ApiKeys | None = None) -> CcxtAccountHints:
        hints = open_account_hints(
            self.name, clock=self.clock, generator=random.Random(3), keys=keys or ApiKeys(KEY, SECRET),
            base_url=self.server.base_url, times=times, note=self.notes.append,
        )  # fmt: skip
        self._closers.append(hints.close)
        return hints

    def on_connected(self) -> None:
        self.connected += 1

    async def listening(self, times: LinkTimes = TIMES) -> CcxtAccountHints:
        """An account stream that is up."""
        account = self.account(times)
        await account.start(self.hints.append, self.on_connected)
        await self.until(lambda: account.alive)
        return account

    def plain(self, secret: str = SECRET) -> Any:
        """ccxt.pro's own class, told nothing but addresses."""
        base, sockets = self.server.base_url, f"ws://127.0.0.1:{self.server.port}"
        exchange = getattr(ccxt.pro, self.name)(
            {
                "apiKey": KEY,
                "secret": secret,
                "enableRateLimit": False,
                "options": {"fetchMarkets": {"types": ["spot"]}},
            }
        )
        exchange.has["fetchCurrencies"] = False
        self.untended = True
        exchange.timeout_on_exit = 0
        api = exchange.urls["api"]
        if self.name == "binance":
            exchange.options["fetchMargins"] = False
            api |= {"public": f"{base}/api/v3", "private": f"{base}/api/v3", "sapi": f"{base}/sapi/v1"}
            api["ws"]["spot"], api["ws"]["ws-api"]["spot"] = f"{sockets}/stream/ws", f"{sockets}/ws-api/v3"
        else:
            api["spot"] = {"public": base, "private": base}
            api["contract"] = {"public": f"{base}/api/v1/contract", "private": f"{base}/api/v1/private"}
            api["ws"]["spot"] = f"{sockets}/ws"
        exchange.milliseconds = self.clock.now_ms
        self._closers.append(exchange.close)
        return exchange

    def closing(self, task: asyncio.Future[Any]) -> None:
        """End a task of the story with it, however the story ends."""

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._closers.append(end)

    # What happens -------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], object], longest_s: float = 120.0) -> None:
        """Wait for something, market seconds."""
        end_s = self.clock.monotonic_s() + longest_s
        while not condition():
            assert self.clock.monotonic_s() < end_s, f"waited in vain; notes: {self.notes[-5:]}"
            await self.clock.sleep(0.05)

    def place(
        self, tif: TimeInForce = TimeInForce.IOC, *, quantity: str = "1", under: str = "0", symbol: str = "BTC/USDT"
    ) -> TwinOrder:
        """Let an order of this account reach the engine: a buy at the best ask, or so far under it."""
        self.ids += 1
        book = self.desk.market.book(symbol, self.clock.now_ms())
        price = book.asks[0].price - Decimal(under)
        placed = self.desk.outside.place(
            NewOrder(f"{self.ids:032x}", symbol, Side.BUY, tif, price, Decimal(quantity), False)
        )
        self.desk.settle()
        assert isinstance(placed, TwinOrder)
        return placed

    def cancel(self, order: TwinOrder) -> None:
        self.desk.outside.cancel(order.symbol, order.wire_id)
        self.desk.settle()

    def hinted(self, order: TwinOrder) -> int:
        return sum(hint.wire_id == order.wire_id for hint in self.hints)

    def desk_channels(self) -> list[Any]:
        """Connections that the server holds."""
        return list(self.hub.channels)

    def lost(self) -> list[str]:
        return [note.why for note in self.notes if note.what == "lost"]

    def close(self) -> None:
        self.twin.venue.engine.state.close()
        self.loop.close()


@pytest.fixture
def binance() -> Iterator[Wire]:
    wire = Wire("binance")
    yield wire
    wire.close()


@pytest.fixture
def mexc() -> Iterator[Wire]:
    pytest.importorskip("google.protobuf", reason="the extra mexc-streams is not installed")
    wire = Wire("mexc")
    yield wire
    wire.close()


@pytest.fixture(params=["binance", "mexc"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    if request.param == "mexc":
        pytest.importorskip("google.protobuf", reason="the extra mexc-streams is not installed")
    made = Wire(request.param)
    yield made
    made.close()
