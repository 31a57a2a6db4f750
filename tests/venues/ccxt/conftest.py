"""Real ccxt classes over a scripted session: no socket, every byte that would leave is written down."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tradecore.ports.venue import VenueTiming
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.open import open_ccxt
from tradecore.venues.limiter import RequestLimiter

CANARY_KEY = "canarykey0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
# Kraken and others decode the secret, so it is base64 as well as a word of its own.
CANARY_SECRET = "Y2FuYXJ5c2VjcmV0MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6"
CANARY_PHRASE = "canaryphrase987"
TIMING = VenueTiming(5000, 10_000, 30_000, 500)


class Said:
    """One scripted answer."""

    def __init__(self, status: int = 200, body: Any = "", headers: dict[str, str] | None = None, error: Any = None):
        self.status, self.headers, self.reason, self.content = status, headers or {}, "", b""
        self.body = body if isinstance(body, str) else json.dumps(body)
        self.error = error

    async def text(self, errors: str = "strict") -> str:
        return self.body

    async def __aenter__(self):
        if self.error is not None:
            raise self.error
        return self

    async def __aexit__(self, *_: Any) -> None:
        return None


class Request:
    """One request as it would have left."""

    def __init__(self, method: str, url: str, headers: Any, data: Any):
        self.method, self.url, self.headers = method, url, headers
        self.data = data.decode() if data else ""

    @property
    def all(self) -> str:
        return f"{self.method} {self.url} {self.data}"

    def __repr__(self) -> str:
        return self.all


class Script:
    """A session that answers by what is asked; the newest matching line of the script speaks."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.lines: list[tuple[re.Pattern[str], Any]] = []
        self.requests: list[Request] = []
        self.closed = 0

    def on(self, pattern: str, answer: Any = "", status: int = 200, *, error: Any = None, **headers: str) -> None:
        """Answer requests ``METHOD url body`` that match; a callable is given the request and answers a body."""
        if error is not None:
            answer = Said(error=error)
        if callable(answer) and not isinstance(answer, Said):
            asked = answer
            self.lines.insert(0, (re.compile(pattern), lambda request: Said(status, asked(request))))
            return
        if not isinstance(answer, Said):
            answer = Said(status, answer, {name.replace("_", "-"): value for name, value in headers.items()})
        self.lines.insert(0, (re.compile(pattern), answer))

    def sent(self, pattern: str) -> list[Request]:
        return [one for one in self.requests if re.search(pattern, one.all)]

    def _answer(self, method: str, url: Any, data: Any = None, headers: Any = None, **_: Any) -> Said:
        request = Request(method, str(url), headers, data)
        self.requests.append(request)
        for pattern, answer in self.lines:
            if pattern.search(request.all):
                return answer(request) if callable(answer) else answer
        raise AssertionError(f"no line for {request.all}")

    def get(self, url: Any, **options: Any) -> Said:
        return self._answer("GET", url, **options)

    def post(self, url: Any, **options: Any) -> Said:
        return self._answer("POST", url, **options)

    def put(self, url: Any, **options: Any) -> Said:
        return self._answer("PUT", url, **options)

    def delete(self, url: Any, **options: Any) -> Said:
        return self._answer("DELETE", url, **options)

    async def close(self) -> None:
        self.closed += 1


def binance_symbol(base: str, quote: str = "USDT", **more: Any) -> dict[str, Any]:
    return {
        "symbol": base + quote, "status": "TRADING", "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote,
        "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": ["SPOT"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.00000", "stepSize": "0.00001000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
        ],
        **more,
    }  # fmt: skip


def mexc_symbol(base: str, quote: str = "USDT", **more: Any) -> dict[str, Any]:
    return {
        "symbol": base + quote, "status": "1", "baseAsset": base, "baseAssetPrecision": 5, "quoteAsset": quote,
        "quotePrecision": 2, "quoteAssetPrecision": 2, "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"],
        "isSpotTradingAllowed": True, "quoteAmountPrecision": "1", "baseSizePrecision": "0.00001",
        "permissions": ["SPOT"], "filters": [], "maxQuoteAmount": "2000000", "makerCommission": "0",
        "takerCommission": "0.0005", "tradeSideType": "1", **more,
    }  # fmt: skip


def unified(
    symbol: str = "BTC/USDT", market_id: str = "BTCUSDT", tick: str = "0.01", lot: str = "0.00001", **more: Any
):
    base, quote = symbol.split("/")
    return {
        "id": market_id, "symbol": symbol, "base": base, "quote": quote, "baseId": base, "quoteId": quote,
        "type": "spot", "spot": True, "margin": False, "swap": False, "future": False, "option": False,
        "contract": False, "active": True, "settle": None, "precision": {"amount": lot, "price": tick},
        "limits": {"amount": {"min": lot}, "cost": {"min": "5"}, "price": {}}, "taker": "0.001", "maker": "0.001",
        "info": {}, **more,
    }  # fmt: skip


MARKET_IDS = {
    "okx": "BTC-USDT", "kraken": "XBTUSDT", "kucoin": "BTC-USDT", "gate": "BTC_USDT", "coinbase": "BTC-USDT",
}  # fmt: skip


class Open:
    """A venue of ours with its script."""

    def __init__(self, world: Any, exchange: str, keys: ApiKeys):
        self.world, self.script, self.events = world, Script(), []
        self.binance_symbol, self.mexc_symbol = binance_symbol, mexc_symbol
        self.canaries = (CANARY_KEY, CANARY_SECRET, CANARY_PHRASE)
        self.limiter = RequestLimiter(world.clock, 100_000)
        self.venue = open_ccxt(
            exchange, clock=world.clock, limiter=self.limiter, keys=keys, timing=TIMING, transport=self.script,
            note=self.events.append,
        )  # fmt: skip
        self.client = self.venue._client
        self.exchange = self.client.exchange

    def run(self, story: Any) -> Any:
        return self.world.run(story)


@pytest.fixture
def opened(world) -> Callable[..., Open]:
    """Open an exchange; its markets are known and its clock is trusted unless asked otherwise."""
    made: list[Open] = []

    def make(exchange: str, *, ready: bool = True, keys: bool = True, symbols: Any = None) -> Open:
        held = ApiKeys(CANARY_KEY, CANARY_SECRET, CANARY_PHRASE) if keys else ApiKeys()
        one = Open(world, exchange, held)
        made.append(one)
        if exchange in ("binance", "mexc"):
            form = binance_symbol if exchange == "binance" else mexc_symbol
            one.script.on(r"GET \S+/exchangeInfo", {"symbols": symbols or [form("BTC"), form("ETH")]})
            one.script.on(r"GET \S+/api/v3/time", lambda _: {"serverTime": world.clock.now_ms()})
        if exchange == "mexc":
            one.script.on("selfSymbols", {"code": 200, "data": ["BTCUSDT", "ETHUSDT"]})
        if ready:
            if exchange in ("binance", "mexc"):
                world.run(one.client.load_markets())
            else:
                other = MARKET_IDS.get(exchange, "BTCUSDT").replace("BTC", "ETH").replace("XBT", "ETH")
                one.exchange.set_markets(
                    [unified(market_id=MARKET_IDS.get(exchange, "BTCUSDT")), unified("ETH/USDT", other)]
                )
            one.client._clock_doubted = False
            one.script.requests.clear()
        return one

    yield make
    for one in made:
        world.run(one.venue.close())
        assert one.script.closed == 1


@pytest.fixture
def opened_once(opened) -> Callable[[str], Open]:
    """As `opened`, but one for all examples of a property: making a ccxt object is slow."""
    made: dict[str, Open] = {}

    def make(exchange: str) -> Open:
        if exchange not in made:
            made[exchange] = opened(exchange)
        return made[exchange]

    return make
