"""The reference's list of what a venue serves, line by line: endpoints and their fields, codes, headers, statuses.

Source: reference orders.md 3.1. A line that is missing here is missing from the server.
"""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import urlencode

import pytest

from tradecore.market.generate import GeneratedSource
from tradecore.venues.twin.wire.dialect import decimals_of
from tradecore.venues.twin.wire.listing import with_decimal_steps

S = {"symbol": "BTCUSDT"}
V3 = "/api/v3/"
BOOK = {"bidPrice", "bidQty", "askPrice", "askQty"}
DAY = BOOK | {
    "lastPrice", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume", "closeTime"
}  # fmt: skip
ORDER = {
    "symbol", "orderId", "clientOrderId", "price", "origQty", "executedQty", "cummulativeQuoteQty", "status",
    "timeInForce", "type", "side", "time", "updateTime",
}  # fmt: skip
TRADE = {
    "id", "orderId", "price", "qty", "quoteQty", "commission", "commissionAsset", "time", "isBuyer", "isMaker"
}  # fmt: skip
MEXC_PLACED = {"symbol", "orderId", "orderListId", "price", "origQty", "type", "side", "transactTime"}
MEXC_CANCELED = {"symbol", "orderId", "price", "origQty", "type", "side"}
PUBLIC = [
    ("ping", {}, set()),
    ("time", {}, {"serverTime"}),
    ("depth", S, {"lastUpdateId", "bids", "asks"}),
    ("ticker/24hr", S, DAY),
    ("ticker/price", S, {"symbol", "price"}),
    ("ticker/bookTicker", S, BOOK),
    ("aggTrades", S, {"a", "p", "q", "T", "m"}),
    ("trades", S, {"price", "qty", "time", "isBuyerMaker"}),
    ("avgPrice", S, {"price"}),
]


def fields(body):
    """Names in a body, or in its first row."""
    row = body[0] if isinstance(body, list) else body
    return set(row)


@pytest.mark.parametrize(("path", "facts", "wanted"), PUBLIC, ids=lambda value: value if isinstance(value, str) else "")
def test_public_endpoints_and_their_fields(wire, path, facts, wanted):
    async def story():
        reply = await wire.send("GET", V3 + path, urlencode(facts))
        assert reply.status == 200
        if wanted:
            assert reply.json, "a row to look at"
            assert wanted <= fields(reply.json)
        if path == "depth" and wire.wire == "mexc":
            assert "timestamp" in reply.json

    wire.run(story)


def test_klines_are_rows_of_twelve_or_eight(wire):
    async def story():
        reply = await wire.send("GET", V3 + "klines", "symbol=BTCUSDT&interval=1m&limit=3")
        assert [len(row) for row in reply.json] == [12 if wire.wire == "binance" else 8] * 3
        opened, *prices = reply.json[0][:6]
        assert isinstance(opened, int)
        assert all(isinstance(price, str) for price in prices)

    wire.run(story)


def test_exchange_info(wire):
    filters = {"PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL", "PERCENT_PRICE_BY_SIDE", "MAX_NUM_ORDERS"}

    async def story():
        row = (await wire.send("GET", V3 + "exchangeInfo")).json["symbols"][0]
        if wire.wire == "binance":
            assert {
                "symbol", "baseAsset", "quoteAsset", "baseAssetPrecision", "quotePrecision", "quoteAssetPrecision",
                "orderTypes",
            } <= set(row)  # fmt: skip
            assert row["status"] == "TRADING"
            assert {"LIMIT", "LIMIT_MAKER", "MARKET"} <= set(row["orderTypes"])
            assert filters <= {one["filterType"] for one in row["filters"]}
        else:
            assert (row["status"], row["isSpotTradingAllowed"]) == ("1", True)
            assert {
                "baseAssetPrecision", "quoteAssetPrecision", "baseSizePrecision", "quoteAmountPrecision",
                "maxQuoteAmount", "makerCommission", "takerCommission",
            } <= set(row)  # fmt: skip

    wire.run(story)


def test_the_account_and_its_orders(wire):
    binance = wire.wire == "binance"

    async def story():
        account = (await wire.signed("GET", V3 + "account")).json
        assert {"asset", "free", "locked"} <= set(account["balances"][0])
        assert "updateTime" in account

        placed = (await wire.order(quantity="0.1", price=str(wire.low()), newClientOrderId="one")).json
        assert isinstance(placed["orderId"], int if binance else str)
        assert (ORDER - {"time", "updateTime"} | {"fills", "transactTime"} if binance else MEXC_PLACED) <= set(placed)
        if not binance:
            assert set(placed) == MEXC_PLACED
            assert placed["orderId"].startswith("C02__")
        read = (await wire.signed("GET", V3 + "order", **S, origClientOrderId="one")).json
        assert set(read) >= ORDER
        assert (read["status"], read["timeInForce"]) == ("NEW", "GTC" if binance else None)
        for path in ("openOrders", "allOrders"):
            assert fields((await wire.signed("GET", V3 + path, **S)).json) >= ORDER, path
        ended = (await wire.signed("DELETE", V3 + "order", **S, origClientOrderId="one")).json
        wanted = ORDER - {"time", "updateTime"} | {"origClientOrderId"} if binance else MEXC_CANCELED
        assert wanted <= set(ended)
        assert binance or "status" not in ended

        await wire.order(quantity="0.1", price=str(wire.low()), newClientOrderId="two")
        assert len((await wire.signed("DELETE", V3 + "openOrders", **S)).json) == 1
        near = str((wire.ask() * 2).quantize(wire.ask()))
        taken = await wire.order(quantity="0.1", price=near, newClientOrderId="three", timeInForce="IOC")
        if binance:
            assert {"price", "qty", "commission", "commissionAsset", "tradeId"} <= set(taken.json["fills"][0])
        [trade, *_] = (await wire.signed("GET", V3 + "myTrades", **S)).json
        assert set(trade) >= TRADE
        by_order = (await wire.signed("GET", V3 + "myTrades", **S, orderId=trade["orderId"])).json
        assert {one["orderId"] for one in by_order} == {trade["orderId"]}
        assert len((await wire.signed("GET", V3 + "myTrades", **S, limit=1)).json) == 1
        late = {"startTime": wire.clock.now_ms() + wire.desk.skew_ms + 60_000}
        assert (await wire.signed("GET", V3 + "myTrades", **S, **late)).json == []
        if binance:
            rest = await wire.signed("GET", V3 + "myTrades", **S, fromId=trade["id"] + 1)
            assert trade["id"] not in {one["id"] for one in rest.json}

    wire.run(story)


def test_what_only_one_venue_has(wire):
    async def story():
        if wire.wire == "mexc":
            assert (await wire.send("GET", "/api/v1/contract/detail")).json == {"success": True, "code": 0, "data": []}
            assert "BTCUSDT" in (await wire.signed("GET", V3 + "selfSymbols")).json["data"]
            return
        for path in ("margin/allPairs", "margin/isolated/allPairs", "margin/allAssets"):
            assert (await wire.signed("GET", f"/sapi/v1/{path}")).json == []
        assert (await wire.signed("GET", "/sapi/v1/capital/config/getall")).status == 200
        reply = await wire.order(quantity="0.1", price=str(wire.low()))
        assert {"X-MBX-USED-WEIGHT-1M", "X-MBX-ORDER-COUNT-10S", "X-MBX-ORDER-COUNT-1D"} <= set(reply.headers)

    wire.run(story)


#: Every code of the reference's list, and where it comes from: a plain request, or a fault that asks for it.
BY_FAULT = {
    "binance": (1000, 1001, 1003, 1006, 1007, 1008, 1015, 2010, 2026),
    "mexc": (429, 500, 503, 504, 10007, 10072, 30000, 30002, 30004, 30005, 30010, 30016, 30029, 30087),
}


async def plain_refusals(wire):
    """Requests that a venue refuses by itself."""
    low = {"quantity": "0.1", "price": str(wire.low())}
    account = V3 + "account"
    yield await wire.order(**{**low, "price": "0.001"})
    yield await wire.signed("GET", account, timestamp=1)
    yield await wire.signed("GET", account, secret="wrong")
    yield await wire.signed("GET", account, leave=("timestamp",))
    yield await wire.order(**{**low, "quantity": "0.123456789"})
    yield await wire.send("GET", V3 + "klines", "symbol=NOPE&interval=1m")
    yield await wire.order(**{**low, "quantity": "18", "price": "60000"})
    yield await wire.order(**{**low, "quantity": "51", "price": "60000", "side": "SELL"})
    yield await wire.signed("DELETE", V3 + "order", **S, orderId="1")
    yield await wire.signed("GET", V3 + "order", **S, orderId="1")
    yield await wire.signed("GET", account, key="no key!")
    yield await wire.signed("GET", account, key="U" * 64)
    yield await wire.order(**low, stopPrice="1")
    yield await wire.order(**{**low, "symbol": "NOPEUSDT"})


BY_ITSELF = {
    "binance": {-1013, -1021, -1022, -1102, -1104, -1111, -1121, -2010, -2011, -2013, -2014, -2015},
    "mexc": {700002, 700003, -1121, 30004, 30005, -2011, -2013, 10072, 10007, 30002, 30010},
}


def test_every_code_of_the_list_is_served(wire):
    async def story():
        served = {reply.code async for reply in _codes(wire)}
        assert BY_ITSELF[wire.wire] <= served, BY_ITSELF[wire.wire] - served
        for code in BY_FAULT[wire.wire]:
            wire.desk.faults.once("refused_with", code)
            reply = await wire.order(quantity="0.1", price=str(wire.low()))
            assert abs(reply.code) == code

    async def _codes(venue):
        async for reply in plain_refusals(venue):
            if reply.status != 200:
                yield reply

    wire.run(story)


@pytest.mark.parametrize(("fault", "status"), [("http_403", 403), ("http_502", 502), ("http_504", 504)])
def test_pages_instead_of_answers(wire, fault, status):
    async def story():
        wire.desk.faults.once(fault)
        reply = await wire.order(quantity="0.1", price=str(wire.low()))
        assert (reply.status, reply.body.lstrip()[:5].lower()) == (status, b"<html")

    wire.run(story)


STATUSES = [
    ("new", {"timeInForce": "GTC"}, "no_liquidity", ("NEW", "NEW")),
    ("partly", {"timeInForce": "GTC"}, "partial_fill", ("PARTIALLY_FILLED", "PARTIALLY_FILLED")),
    ("filled", {"timeInForce": "IOC"}, None, ("FILLED", "FILLED")),
    ("unfilled", {"timeInForce": "IOC"}, "no_liquidity", ("EXPIRED", "CANCELED")),
    ("some", {"timeInForce": "IOC"}, "partial_fill", ("EXPIRED", "PARTIALLY_CANCELED")),
    ("none", {"timeInForce": "FOK"}, "no_liquidity", ("EXPIRED", "CANCELED")),
]


def test_every_status_of_an_order(wire):
    """EXPIRED_IN_MATCH is in test_errors.py; PENDING_NEW and REJECTED no request of ours can meet."""

    async def story():
        await wire.control("POST", "/market", symbol="BTCUSDT", max_notional=900_000_000)
        near = str((wire.ask() * Decimal("1.03")).quantize(wire.ask()))
        for name, facts, fault, words in STATUSES:
            if fault:
                wire.desk.faults.once(fault, *(() if fault == "no_liquidity" else (0.0001,)))
            await wire.order(**facts, quantity="2", price=near, newClientOrderId=name)
            read = (await wire.signed("GET", V3 + "order", **S, origClientOrderId=name)).json
            assert read["status"] == words[wire.wire == "mexc"], (name, read)
            if facts["timeInForce"] == "GTC":
                await wire.signed("DELETE", V3 + "order", **S, origClientOrderId=name)
                ended = (await wire.signed("GET", V3 + "order", **S, origClientOrderId=name)).json["status"]
                assert ended == ("PARTIALLY_CANCELED" if (name, wire.wire) == ("partly", "mexc") else "CANCELED")

    wire.run(story)


@pytest.mark.parametrize("step", ["0.00000001", "0.5", "1", "2", "10", "1E+2", "300"])
def test_mexc_is_given_no_step_that_it_cannot_name(step):
    """Its list names decimals: a lot of a hundred would be read as one, and the venue would refuse most orders."""
    item = next(iter(GeneratedSource(7, ["BTC"], 60_000, "calm").instruments.values()))
    [made] = with_decimal_steps({"BTC/USDT": item._replace(tick_size=Decimal(step), lot_size=Decimal(step))}).values()
    for given in (made.tick_size, made.lot_size):
        assert given == Decimal(1).scaleb(-decimals_of(given))
        assert 0 < given <= Decimal(step)
