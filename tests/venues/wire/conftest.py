"""A venue on loopback at twenty times the wall's speed, unmodified ccxt clients, and a plain signed client."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp
import ccxt.async_support as ccxt
import pytest
import yarl

from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop, run
from tradecore.market.generate import GeneratedSource
from tradecore.venues.twin.build import Twin, TwinPlan, open_twin
from tradecore.venues.twin.records import BookShape
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.server import WireServer

EPOCH_MS = 1_700_000_000_000 - 1_700_000_000_000 % 60_000 + 500
DAY_MS = 86_400_000
KEY, SECRET = "K" * 64, "not-a-real-secret"
MONEY = {"USDT": "1000000", "BTC": "50", "ETH": "500"}


def trusting(exchange_id: str, base_url: str, now_ms: Callable[[], int], key: str = KEY, secret: str = SECRET) -> Any:
    """An unmodified ccxt class whose URLs point at loopback (reference orders.md 2.13, variant 1)."""
    made = getattr(ccxt, exchange_id)({"apiKey": key, "secret": secret, "enableRateLimit": False, "timeout": 60_000})
    made.number = str
    made.milliseconds = now_ms
    made.options["maxRetriesOnFailure"] = 0
    if exchange_id == "binance":
        made.urls["api"] |= {
            "public": f"{base_url}/api/v3",
            "private": f"{base_url}/api/v3",
            "sapi": f"{base_url}/sapi/v1",
        }
        made.options |= {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}
    else:
        made.urls["api"]["spot"] = {"public": base_url, "private": base_url}
        made.urls["api"]["contract"] = {
            "public": f"{base_url}/api/v1/contract",
            "private": f"{base_url}/api/v1/contract",
        }
        made.has["fetchCurrencies"] = False
    return made


class Reply:
    """What a plain client got."""

    def __init__(self, status: int, body: bytes, headers: Any) -> None:
        self.status, self.body, self.headers = status, body, headers

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> int:
        return self.json["code"]


class Wire:
    """One venue, its clock, and clients of it."""

    def __init__(
        self, wire: str, *, speed: float = 20.0, shape: BookShape | None = None, path=None, **options: Any
    ) -> None:  # fmt: skip
        self.wire = wire
        self.loop = MarketLoop(speed)
        self.clock = LoopClock(self.loop, EPOCH_MS)
        start_ms = EPOCH_MS - EPOCH_MS % 60_000 - 2 * DAY_MS
        source = GeneratedSource(7, ["BTC", "ETH", "SOL"], 60_000, "calm", start_ms=start_ms)
        plan = TwinPlan(manners=wire, latency_ms=0, shape=shape or BookShape(depth_quote=200_000.0))
        self.twin: Twin = open_twin(
            self.clock, source, seed=7, generator=random.Random(7), plan=plan, path=path
        )  # fmt: skip
        self.twin.venue.open_balances({coin: Decimal(amount) for coin, amount in MONEY.items()})
        keys = [
            ApiKey(KEY, SECRET),
            ApiKey("R" * 64, "reads only", trade=False),
            ApiKey("W" * 64, "rich", withdraw=True),
        ]
        self.server = WireServer(self.twin, wire=wire, clock=self.clock, keys=keys, **options)
        self.desk = self.server.desk
        self._http: aiohttp.ClientSession | None = None
        self._exchanges: list[Any] = []

    def ccxt(self, **given: Any) -> Any:
        made = trusting(self.wire, self.server.base_url, self.clock.now_ms, **given)
        self._exchanges.append(made)
        return made

    async def market(self) -> Any:
        made = self.ccxt()
        await made.load_markets()
        return made

    def run(self, story: Callable[[], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            try:
                await self.server.start()
                return await story()
            finally:
                for exchange in self._exchanges:
                    await exchange.close()
                if self._http is not None:
                    await self._http.close()
                await self.server.close()

        try:
            return run(whole(), self.loop)
        finally:
            self.twin.venue.engine.state.close()

    # A plain client -----------------------------------------------------------------------------------------

    @property
    def http(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession()
        return self._http

    async def send(
        self, method: str, path: str, text: str = "", body: str = "", headers: Any = None, wait_s: float = 60
    ) -> Reply:
        url = yarl.URL(f"{self.server.base_url}{path}{'?' if text else ''}{text}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=wait_s)
        async with self.http.request(method, url, data=body or None, headers=headers, timeout=timeout) as response:
            return Reply(response.status, await response.read(), response.headers)

    async def signed(
        self,
        method: str,
        path: str,
        *,
        key: str = KEY,
        secret: str = SECRET,
        sign: str | None = None,
        wait_s: float = 60,
        leave: tuple[str, ...] = (),
        **params: Any,
    ) -> Reply:
        """A signed request as the venue's own documents have it."""
        facts = {"timestamp": self.clock.now_ms() + self.desk.skew_ms, "recvWindow": 50_000, **params}
        text = urlencode({name: value for name, value in facts.items() if name not in leave})
        signature = ApiKey("x", secret).sign(text) if sign is None else sign
        whole = text if sign == "" else f"{text}&signature={signature}"
        name = "X-MBX-APIKEY" if self.wire == "binance" else "X-MEXC-APIKEY"
        headers = {name: key} if key else {}
        if self.wire == "mexc":
            headers["Content-Type"] = "application/json"
        elif method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return await self.send(method, path, "", whole, headers, wait_s)
        return await self.send(method, path, whole, "", headers, wait_s)

    async def order(self, **facts: Any) -> Reply:
        facts = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", **facts}
        if self.wire == "mexc" and facts["type"] == "LIMIT" and facts.get("timeInForce") in ("IOC", "FOK"):
            facts["type"] = {"IOC": "IMMEDIATE_OR_CANCEL", "FOK": "FILL_OR_KILL"}[facts.pop("timeInForce")]
        elif facts["type"] == "LIMIT" and self.wire == "binance":
            facts.setdefault("timeInForce", "GTC")
        return await self.signed("POST", facts.pop("path", "/api/v3/order"), **facts)

    async def control(self, method: str, path: str, token: str | None = None, **facts: Any) -> Reply:
        headers = {"Authorization": f"Bearer {self.server.token if token is None else token}"}
        url = f"{self.server.control_url}{path}"
        async with self.http.request(method, url, json=facts or None, headers=headers) as response:
            return Reply(response.status, await response.read(), response.headers)

    # Prices -------------------------------------------------------------------------------------------------

    def book(self, symbol: str = "BTC/USDT"):
        return self.twin.venue.peek_book(symbol)

    def ask(self, symbol: str = "BTC/USDT") -> Decimal:
        return self.book(symbol).best_ask

    def low(self, share: str = "0.9", symbol: str = "BTC/USDT") -> Decimal:
        """A price that nobody sells at, on the tick."""
        return (self.ask(symbol) * Decimal(share)).quantize(Decimal("0.01"))

    def truth(self):
        return self.twin.venue.truth()


@pytest.fixture
def make_wire() -> Callable[..., Wire]:
    return Wire


@pytest.fixture(params=["binance", "mexc"])
def wire(request) -> Wire:
    return Wire(request.param)


@pytest.fixture(params=["binance", "mexc"])
def hurried(request) -> Wire:
    """For stories that wait for minutes: a receive window of 50 s is half a second of the wall."""
    return Wire(request.param, speed=100.0)


@pytest.fixture
def binance() -> Wire:
    return Wire("binance")


@pytest.fixture
def mexc() -> Wire:
    return Wire("mexc")
