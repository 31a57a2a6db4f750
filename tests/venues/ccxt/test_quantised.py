"""Money that we have put on the steps leaves ccxt as it came: over every market that a real venue listed.

ccxt cuts amounts and rounds prices half up (reference orders.md 2.6), so its own rounding must be the identity on ours.
"""

from __future__ import annotations

import asyncio
import decimal
import json
import lzma
import random
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import ccxt.async_support as library
import pytest
from ccxt.base.decimal_to_precision import DECIMAL_PLACES, TICK_SIZE
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.model.instrument import Instrument, refusal_of
from tradecore.model.reasons import Reason
from tradecore.model.units import Side, floor_to_lot, limit_to_tick
from tradecore.venues.ccxt.instruments import instrument_of
from tradecore.venues.ccxt.ways import ways_of

RECORDED = Path(__file__).resolve().parents[4] / "shared/data/markets/binance-exchangeInfo-2024-09-08.json.xz"
LISTED = 1_248
pytestmark = pytest.mark.skipif(not RECORDED.is_file(), reason="no recorded markets beside the repository")
MODES = {"TICK_SIZE": TICK_SIZE, "DECIMAL_PLACES": DECIMAL_PLACES}
POSITIVE = st.decimals("0.00000001", "99999999", places=8, allow_nan=False, allow_infinity=False)


@lru_cache(maxsize=1)
def told() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(lzma.decompress(RECORDED.read_bytes()), parse_float=str)
    return found


@lru_cache(maxsize=2)
def listed(mode: str) -> tuple[Any, Mapping[str, Instrument]]:
    """ccxt with all recorded markets, and our instruments of them; a step that is no power of ten has no places."""
    exact = type("binance", (library.binance,), {"number": str})

    async def load() -> Any:
        exchange = exact({"enableRateLimit": False, "options": dict(ways_of("binance").options)})
        exchange.has["fetchCurrencies"] = False

        async def fetch(*_asked: Any, **_more: Any) -> Any:
            return told()

        exchange.fetch = fetch
        try:
            await exchange.load_markets()
        finally:
            await exchange.close()
        return exchange

    exchange = asyncio.run(load())
    markets = exchange.markets
    if mode == "DECIMAL_PLACES":
        exchange.precisionMode = MODES[mode]
        markets = {}
        for symbol, market in exchange.markets.items():
            steps = {name: Decimal(str(market["precision"][name])) for name in ("amount", "price")}
            if all(step.normalize().as_tuple().digits == (1,) for step in steps.values()):
                places = {name: max(0, -step.normalize().as_tuple().exponent) for name, step in steps.items()}
                if all(Decimal(1).scaleb(-places[name]) == step for name, step in steps.items()):
                    market["precision"] = {**market["precision"], **places}
                    markets[symbol] = market
    ways = ways_of("binance")
    made = {symbol: instrument_of("binance", ways, MODES[mode], market) for symbol, market in markets.items()}
    return exchange, {symbol: instrument for symbol, instrument in made.items() if instrument is not None}


def check(exchange: Any, instrument: Instrument, price: Decimal, quantity: Decimal) -> None:
    """Put a price and a quantity on the steps and have ccxt round them."""
    lots = floor_to_lot(quantity, instrument.lot_size)
    assert lots <= quantity < lots + instrument.lot_size
    with decimal.localcontext():
        if lots:
            sent = exchange.amount_to_precision(instrument.symbol, format(lots, "f"))
            assert Decimal(sent) == lots, (instrument.symbol, sent, lots)
        for side in Side:
            limit = limit_to_tick(price, instrument.tick_size, side)
            safe = limit <= price if side is Side.BUY else limit >= price
            assert safe, (instrument.symbol, side, price, limit)
            assert abs(limit - price) < instrument.tick_size
            if limit:
                sent = exchange.price_to_precision(instrument.symbol, format(limit, "f"))
                assert Decimal(sent) == limit, (instrument.symbol, sent, limit)


@pytest.mark.parametrize("mode", MODES)
def test_ccxt_changes_nothing_that_we_have_rounded_on_any_market(mode):
    exchange, instruments = listed(mode)
    assert len(told()["symbols"]) == LISTED
    assert len(instruments) == LISTED if mode == "TICK_SIZE" else len(instruments) > LISTED // 2
    draw = random.Random(1)
    for instrument in instruments.values():
        for _ in range(6):
            price, quantity = (Decimal(draw.randrange(1, 10 ** draw.randint(1, 17))).scaleb(-8) for _ in range(2))
            check(exchange, instrument, price, quantity)


@settings(max_examples=150, deadline=None)
@given(st.data(), POSITIVE, POSITIVE, st.sampled_from(sorted(MODES)))
def test_inv12_any_number_on_any_market_leaves_as_it_came(data, price, quantity, mode):
    exchange, instruments = listed(mode)
    check(exchange, instruments[data.draw(st.sampled_from(sorted(instruments)))], price, quantity)


def test_inv11_what_passes_our_filters_passes_the_venues():
    """Binance counts steps from the least price and quantity (filters.md); ours count from zero."""
    _, instruments = listed("TICK_SIZE")
    raw = {row["baseAsset"] + "/" + row["quoteAsset"]: row for row in told()["symbols"]}
    draw, passed = random.Random(2), 0
    for symbol, instrument in instruments.items():
        filters = {one["filterType"]: one for one in raw[symbol]["filters"]}
        prices, lots = filters["PRICE_FILTER"], filters["LOT_SIZE"]
        for _ in range(10):
            price = limit_to_tick(
                Decimal(draw.randrange(1, 10**13)).scaleb(-8), instrument.tick_size, draw.choice(list(Side))
            )
            quantity = floor_to_lot(Decimal(draw.randrange(1, 10**14)).scaleb(-8), instrument.lot_size)
            refusal = refusal_of(instrument._replace(can_buy=True), Side.BUY, quantity, price)
            if refusal is not None:
                assert refusal.reason is not Reason.QUANTITY_OFF_LOT
                assert refusal.reason is not Reason.PRICE_OFF_TICK
                continue
            passed += 1
            assert (price - Decimal(prices["minPrice"])) % Decimal(prices["tickSize"]) == 0, (symbol, price)
            assert (quantity - Decimal(lots["minQty"])) % Decimal(lots["stepSize"]) == 0, (symbol, quantity)
            assert Decimal(lots["minQty"]) <= quantity <= Decimal(lots["maxQty"]), (symbol, quantity)
            assert price >= Decimal(prices["minPrice"]), (symbol, price)
    assert passed > LISTED
