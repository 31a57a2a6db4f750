"""Weights, counts and bans (R21, F15)."""

from __future__ import annotations

import pytest

from tradecore.venues.twin.wire.desk import Limits

WEIGHTS = [
    ("GET", "/api/v3/ping", "", 1), ("GET", "/api/v3/time", "", 1), ("GET", "/api/v3/exchangeInfo", "", 20),
    ("GET", "/api/v3/depth", "symbol=BTCUSDT", 5), ("GET", "/api/v3/depth", "symbol=BTCUSDT&limit=101", 25),
    ("GET", "/api/v3/depth", "symbol=BTCUSDT&limit=1000", 50),
    ("GET", "/api/v3/depth", "symbol=BTCUSDT&limit=5000", 250),
    ("GET", "/api/v3/ticker/24hr", "symbol=BTCUSDT", 2), ("GET", "/api/v3/ticker/24hr", "", 80),
    ("GET", "/api/v3/ticker/bookTicker", "", 4), ("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1m", 2),
]  # fmt: skip
SIGNED = [
    ("GET", "/api/v3/account", {}, 20), ("GET", "/api/v3/openOrders", {"symbol": "BTCUSDT"}, 6),
    ("GET", "/api/v3/openOrders", {}, 80), ("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT"}, 20),
    ("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT", "orderId": "1"}, 5),
    ("GET", "/api/v3/allOrders", {"symbol": "BTCUSDT"}, 20),
    ("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": "1"}, 4),
    ("GET", "/sapi/v1/account/apiRestrictions", {}, 0),
]  # fmt: skip


def test_each_request_weighs_what_the_venue_says(make_wire):
    binance = make_wire("binance", speed=100.0)

    async def story():
        used = 0
        for method, path, text, weight in WEIGHTS:
            reply = await binance.send(method, path, text)
            used += weight
            assert (reply.status, int(reply.headers["X-MBX-USED-WEIGHT-1M"])) == (200, used), path
        for method, path, facts, weight in SIGNED:
            reply = await binance.signed(method, path, **facts)
            used += weight
            if weight:
                assert int(reply.headers["X-MBX-USED-WEIGHT-1M"]) == used, path
        reply = await binance.order(quantity="0.1", price=str(binance.low()))
        counts = [reply.headers[f"X-MBX-ORDER-COUNT-{span}"] for span in ("10S", "1D")]
        assert counts == ["1", "1"]
        await binance.clock.sleep(60)
        again = await binance.send("GET", "/api/v3/ping")
        assert again.headers["X-MBX-USED-WEIGHT-1M"] == "1"

    binance.run(story)


def test_f15_too_much_is_refused_and_who_goes_on_is_banned_ever_longer(make_wire):
    wire = make_wire("binance", speed=50.0, limits=Limits(weight_per_minute=100))

    async def story():
        for _ in range(5):
            assert (await wire.send("GET", "/api/v3/exchangeInfo")).status == 200
        first = await wire.send("GET", "/api/v3/exchangeInfo")
        assert (first.status, first.code) == (429, -1003)
        assert 1 <= int(first.headers["Retry-After"]) <= 60
        banned = await wire.send("GET", "/api/v3/time")
        assert (banned.status, banned.code, banned.headers["Retry-After"]) == (418, -1003, "120")
        await wire.clock.sleep(121)
        assert (await wire.send("GET", "/api/v3/time")).status == 200
        for _ in range(5):
            await wire.send("GET", "/api/v3/exchangeInfo")
        again = await wire.send("GET", "/api/v3/time")
        assert (again.status, again.headers["Retry-After"]) == (418, "240")

    wire.run(story)


def test_too_many_orders_in_ten_seconds_or_a_day(make_wire):
    wire = make_wire("binance", limits=Limits(orders_per_10_s=2, orders_per_day=3))

    async def story():
        low = {"quantity": "0.1", "price": str(wire.low())}
        assert [(await wire.order(**low)).status for _ in range(3)] == [200, 200, 429]
        assert (await wire.order(path="/api/v3/order/test", **low)).status == 200
        await wire.clock.sleep(11)
        assert [(await wire.order(**low)).status for _ in range(2)] == [200, 429]
        refused = await wire.order(**low)
        assert (refused.code, "1 DAY" in refused.json["msg"]) == (-1015, True)
        assert len(wire.truth().orders()) == 3

    wire.run(story)


@pytest.mark.parametrize("name", ["mexc"])
def test_f15_mexc_says_it_with_its_own_code(make_wire, name):
    wire = make_wire(name, limits=Limits(weight_per_minute=25))

    async def story():
        assert (await wire.send("GET", "/api/v3/exchangeInfo")).status == 200
        reply = await wire.send("GET", "/api/v3/time")
        assert (reply.status, reply.code, "Retry-After" in reply.headers) == (429, 429, True)

    wire.run(story)
