"""Every no of the venues, in their own words: codes, statuses, texts (reference orders.md 3.1)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradecore.venues.twin.records import OrderStatus

BIG_LAG_MS = 6_000


def of(wire, binance, mexc):
    return binance if wire.wire == "binance" else mexc


def no(reply):
    return reply.status, reply.code


# Keys, signatures, time -------------------------------------------------------------------------------------


def test_who_may_ask(wire):
    async def story():
        account = "/api/v3/account"
        assert no(await wire.signed("GET", account, key="")) == of(wire, (401, -2014), (401, 700001))
        assert no(await wire.signed("GET", account, key="no key!")) == of(wire, (401, -2014), (401, 700001))
        assert no(await wire.signed("GET", account, key="U" * 64)) == of(wire, (401, -2015), (400, 10072))
        assert no(await wire.signed("GET", account, secret="wrong")) == of(wire, (400, -1022), (400, 700002))
        assert no(await wire.signed("GET", account, sign="")) == of(wire, (400, -1102), (400, 700004))
        assert no(await wire.signed("GET", account, leave=("timestamp",))) == of(wire, (400, -1102), (400, 700004))
        assert (await wire.signed("GET", account)).status == 200

    wire.run(story)


def test_the_signature_covers_every_byte_and_comes_last(wire):
    async def story():
        key = wire.server.desk.keys.find("K" * 64)
        header = {of(wire, "X-MBX-APIKEY", "X-MEXC-APIKEY"): key.name}
        text = f"timestamp={wire.clock.now_ms()}&recvWindow=50000"
        late = f"timestamp={wire.clock.now_ms()}&signature={key.sign(text)}&recvWindow=50000"
        assert no(await wire.send("GET", "/api/v3/account", late, headers=header)) == of(
            wire, (400, -1022), (400, 700002)
        )
        good = f"{text}&signature={key.sign(text)}"
        assert (await wire.send("GET", "/api/v3/account", good, headers=header)).status == 200
        more = f"{text}&omitZeroBalances=true&signature={key.sign(text)}"
        assert no(await wire.send("GET", "/api/v3/account", more, headers=header)) == of(
            wire, (400, -1022), (400, 700002)
        )

    wire.run(story)


def test_a_parameter_that_comes_twice(wire):
    async def story():
        key = wire.server.desk.keys.find("K" * 64)
        text = f"symbol=BTCUSDT&symbol=ETHUSDT&timestamp={wire.clock.now_ms()}"
        header = {of(wire, "X-MBX-APIKEY", "X-MEXC-APIKEY"): key.name}
        reply = await wire.send("GET", "/api/v3/openOrders", f"{text}&signature={key.sign(text)}", headers=header)
        assert no(reply) == (400, -1101)

    wire.run(story)


def test_binance_signs_the_body_and_mexc_the_query(wire):
    async def story():
        facts = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
        reply = await wire.order(**facts, price=str(wire.low()))
        assert reply.status == 200
        if wire.wire == "mexc":
            text = f"symbol=BTCUSDT&timestamp={wire.clock.now_ms()}"
            sent = f"{text}&signature={wire.desk.keys.find('K' * 64).sign(text)}"
            header = {"X-MEXC-APIKEY": "K" * 64, "Content-Type": "application/x-www-form-urlencoded"}
            assert no(await wire.send("POST", "/api/v3/order", sent, headers=header)) == (400, 700013)

    wire.run(story)


def test_f16_time_stamps_too_old_too_new_and_windows_too_long(wire):
    async def story():
        now = wire.clock.now_ms
        account, outside = "/api/v3/account", of(wire, (400, -1021), (400, 700003))
        assert no(await wire.signed("GET", account, timestamp=now() - BIG_LAG_MS, recvWindow=5_000)) == outside
        assert no(await wire.signed("GET", account, timestamp=now() + 3_000)) == outside
        assert (await wire.signed("GET", account, timestamp=now() + 500)).status == 200
        assert (await wire.signed("GET", account, timestamp=now() - BIG_LAG_MS, recvWindow=50_000)).status == 200
        assert no(await wire.signed("GET", account, recvWindow=60_001)) == of(wire, (400, -1131), (400, 700005))

    wire.run(story)


def test_f44_a_key_that_loses_its_rights_while_it_runs(wire):
    async def story():
        account, name = "/api/v3/account", "K" * 64
        for fact, binance, mexc in (
            ({"revoked": True}, (401, -2015), (400, 10072)),
            ({"revoked": False, "address_ok": False}, (401, -2015), (403, 700006)),
        ):
            assert (await wire.control("POST", "/keys", key=name, **fact)).status == 200
            assert no(await wire.signed("GET", account)) == of(wire, binance, mexc)
        await wire.control("POST", "/keys", key=name, address_ok=True, trade=False)
        assert (await wire.signed("GET", account)).json["canTrade"] is False
        refused = await wire.order(quantity="0.1", price=str(wire.low()))
        assert no(refused) == of(wire, (401, -2015), (403, 700007))
        assert wire.truth().orders() == []

    wire.run(story)


def test_r21_the_right_to_withdraw_is_told(wire):
    async def story():
        for key, secret, may in (("K" * 64, "not-a-real-secret", False), ("W" * 64, "rich", True)):
            if wire.wire == "binance":
                rights = await wire.signed("GET", "/sapi/v1/account/apiRestrictions", key=key, secret=secret)
                assert rights.json["enableWithdrawals"] is may
                assert rights.json["enableSpotAndMarginTrading"] is True
            else:
                rights = await wire.signed("GET", "/api/v3/account", key=key, secret=secret)
                assert rights.json["canWithdraw"] is may

    wire.run(story)


# Orders that cannot be ---------------------------------------------------------------------------------------

BAD_ORDERS = [
    ({"leave": ("symbol",)}, -1102, 700004),
    ({"symbol": "NOPEUSDT"}, -1121, 10007),
    ({"side": "HOLD"}, -1117, 700004),
    ({"type": "STOP"}, -1116, 700004),
    ({"quantity": "abc"}, -1100, 700008),
    ({"quantity": "-1"}, -1100, 700008),
    ({"quantity": "NaN"}, -1100, 700008),
    ({"quantity": "0"}, -1130, 700004),
    ({"price": "0"}, -1130, 700004),
    ({"price": ""}, -1102, 700004),
    ({"quantity": "0.123456789"}, -1111, 30002),
    ({"newClientOrderId": "x" * 37}, -1100, 700008),
    ({"newClientOrderId": "no spaces"}, -1100, 700008),
    ({"type": "LIMIT_MAKER", "timeInForce": "IOC"}, -1106, None),
    ({"timeInForce": "SOON"}, -1115, 700004),
    # filters
    ({"price": "50000.001"}, -1013, 30010),
    ({"price": "0.001"}, -1013, 30010),
    ({"price": "1000000000"}, -1013, 30010),
    ({"quantity": "0.0000101"}, -1013, 30002),
    ({"quantity": "0.000001"}, -1013, 30002),
    ({"quantity": "0.00001"}, -1013, 30002),
    ({"quantity": "1000", "price": "60000"}, -1013, 30003),
    ({"price": "600000"}, -1013, 30010),
    ({"price": "5000"}, -1013, 30010),
    # money
    ({"quantity": "20", "price": "60000"}, -2010, 30004),
    ({"side": "SELL", "quantity": "51", "price": "60000"}, -2010, 30005),
]


@pytest.mark.parametrize(("facts", "binance", "mexc"), BAD_ORDERS, ids=lambda value: str(value)[:50])
@pytest.mark.parametrize("name", ["binance", "mexc"])
def test_an_order_that_cannot_be_is_refused_and_done_nothing(make_wire, name, facts, binance, mexc):
    wire = make_wire(name)
    code = of(wire, binance, mexc)

    async def story():
        await wire.control("POST", "/market", symbol="BTCUSDT", max_notional=50_000_000)
        if facts.get("quantity") == "1000":
            await wire.control("POST", "/market", symbol="BTCUSDT", max_notional=9_000_000)
        sent = {"quantity": "0.1", "price": "50000.00", **facts}
        for path in ("/api/v3/order/test", "/api/v3/order"):
            reply = await wire.order(path=path, **sent)
            assert (reply.status, reply.json.get("code")) == (400 if code else 200, code)
        if code:
            assert wire.truth().orders() == []
            assert wire.truth().balances()["USDT"] == (Decimal(1_000_000), Decimal(0))

    wire.run(story)


def test_each_filter_is_named(binance):
    words = {
        "PRICE_FILTER": {"price": "50000.001"}, "LOT_SIZE": {"quantity": "0.0000101"},
        "NOTIONAL": {"quantity": "0.00001"}, "PERCENT_PRICE_BY_SIDE": {"price": "600000"},
    }  # fmt: skip

    async def story():
        for name, facts in words.items():
            reply = await binance.order(**{"quantity": "0.1", "price": "50000.00", **facts})
            assert reply.json == {"code": -1013, "msg": f"Filter failure: {name}"}
        await binance.control("POST", "/market", symbol="BTC/USDT", market_max_quantity="0.5", max_orders=1)
        big = await binance.order(type="MARKET", quantity="0.6", side="SELL")
        assert big.json["msg"] == "Filter failure: MARKET_LOT_SIZE"
        await binance.order(quantity="0.1", price=str(binance.low()))
        second = await binance.order(quantity="0.1", price=str(binance.low()))
        assert second.json["msg"] == "Filter failure: MAX_NUM_ORDERS"

    binance.run(story)


def test_f21_filters_that_change_while_it_runs(wire):
    async def story():
        assert (await wire.order(quantity="0.1", price="50000.01", path="/api/v3/order/test")).status == 200
        await wire.control("POST", "/market", symbol="BTC/USDT", tick_size="0.1", lot_size="0.01")
        refused = await wire.order(quantity="0.1", price="50000.01")
        assert no(refused) == of(wire, (400, -1013), (400, 30010))
        exchange = await wire.market()
        assert Decimal(exchange.market("BTC/USDT")["precision"]["price"]) == Decimal("0.1")

    wire.run(story)


STATUSES = [
    ({"status": "BREAK"}, -2010, 30016),
    ({"status": "HALT"}, -2010, 30016),
    ({"status": "CANCEL_ONLY"}, -2010, 30016),
    ({"status": "DELISTED"}, -1121, 10007),
    ({"api": False}, -2010, 10007),
    ({"can_buy": False}, -2010, 30016),
]


@pytest.mark.parametrize(("facts", "binance", "mexc"), STATUSES, ids=str)
@pytest.mark.parametrize("name", ["binance", "mexc"])
def test_f22_a_symbol_that_is_stopped(make_wire, name, facts, binance, mexc):
    wire = make_wire(name)

    async def story():
        await wire.order(quantity="0.1", price=str(wire.low()), newClientOrderId="first")
        assert (await wire.control("POST", "/market", symbol="BTCUSDT", **facts)).status == 200
        reply = await wire.order(quantity="0.1", price=str(wire.low()))
        assert no(reply) == (400, of(wire, binance, mexc))
        listed = {row["symbol"]: row for row in (await wire.send("GET", "/api/v3/exchangeInfo")).json["symbols"]}
        if facts.get("status") == "DELISTED":
            assert "BTCUSDT" not in listed
            (true,) = wire.truth().orders()
            assert true.status is OrderStatus.CANCELED
            old = await wire.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="first")
            assert old.json["status"] == "CANCELED"
            return
        if wire.wire == "mexc":
            own = (await wire.signed("GET", "/api/v3/selfSymbols")).json["data"]
            assert ("BTCUSDT" in own) is facts.get("api", True)
            assert (listed["BTCUSDT"]["status"] == "1") is ("status" not in facts)
            assert listed["BTCUSDT"]["isSpotTradingAllowed"] is facts.get("api", True)
        elif "status" in facts:
            assert listed["BTCUSDT"]["status"] == facts["status"]
        ended = await wire.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="first")
        assert ended.status == 200

    wire.run(story)


def test_f11_what_cannot_be_canceled_or_found(wire):
    async def story():
        gone = {"symbol": "BTCUSDT", "origClientOrderId": "nobody"}
        assert no(await wire.signed("DELETE", "/api/v3/order", **gone)) == (400, -2011)
        assert no(await wire.signed("GET", "/api/v3/order", **gone)) == (400, -2013)
        assert no(await wire.signed("GET", "/api/v3/order", symbol="BTCUSDT")) == of(wire, (400, -1102), (400, 700004))
        bad = await wire.signed("GET", "/api/v3/order", symbol="NOPE", orderId="1")
        assert no(bad) == (400, -1121)
        await wire.order(quantity="0.1", price=str(wire.low()), newClientOrderId="first")
        wire.desk.faults.once("cancel_refused_filled")
        raced = await wire.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="first")
        assert no(raced) == (400, -2011)
        found = await wire.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="first")
        assert found.json["status"] == "FILLED"

    wire.run(story)


def test_a_parameter_that_nobody_reads(wire):
    async def story():
        order = {"quantity": "0.1", "price": str(wire.low())}
        stop = await wire.order(**order, stopPrice="40000", trailingDelta="5")
        if wire.wire == "mexc":
            assert stop.status == 200, "it reads over what it does not know"
            return
        text = "Not all sent parameters were read; read '6' parameter(s) but was sent '8'."
        assert stop.json == {"code": -1104, "msg": text}
        assert wire.truth().orders() == []
        for method, path, known in (
            ("GET", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": "1"}),
            ("GET", "/api/v3/account", {}),
            ("GET", "/api/v3/openOrders", {}),
            ("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT"}),
            ("GET", "/api/v3/allOrders", {"symbol": "BTCUSDT"}),
            ("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"}),
            ("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": "1"}),
        ):
            assert no(await wire.signed(method, path, **known, extra="1")) == (400, -1104), path
            assert (await wire.signed(method, path, **known)).json != stop.json
        for path in ("ping", "time", "exchangeInfo", "klines", "depth", "trades", "aggTrades", "ticker/24hr"):
            assert no(await wire.send("GET", f"/api/v3/{path}", "extra=1")) == (400, -1104), path
        assert no(await wire.send("GET", "/api/v3/ping", "timestamp=1")) == (400, -1104), "nobody signs a ping"
        assert (await wire.order(**order)).status == 200

    wire.run(story)


def test_a_client_id_is_unique_among_open_orders_only(wire):
    async def story():
        order = {"quantity": "0.1", "price": str(wire.low()), "newClientOrderId": "same"}
        assert (await wire.order(**order)).status == 200
        second = await wire.order(**order)
        assert (second.status, second.code, second.json["msg"]) == (400, -2010, "Duplicate order sent.")
        await wire.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="same")
        assert (await wire.order(**order)).status == 200
        assert len(wire.truth().orders()) == 2

    wire.run(story)


def test_an_archived_order(binance):
    async def story():
        await binance.order(quantity="0.1", price=str(binance.low()), newClientOrderId="old")
        await binance.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="old")
        order = binance.desk.engine.state.by_wire_id("BTC/USDT", "old")
        order.ended_ms -= 91 * 86_400_000
        binance.desk.engine.state.put_order(order)
        binance.desk.settle()
        assert no(await binance.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="old")) == (
            400,
            -2026,
        )

    binance.run(story)


ASKED = {
    "binance": [
        (1000, 500), (1001, 500), (1003, 429), (1006, 400), (1007, 504), (1008, 503), (1015, 429), (2026, 400),
    ],
    "mexc": [
        (429, 429), (500, 500), (503, 503), (504, 504), (10007, 400), (10072, 400), (30000, 400), (30002, 400),
        (30004, 400), (30005, 400), (30010, 400), (30016, 400), (30029, 400), (30087, 400), (2011, 400), (1121, 400),
    ],
}  # fmt: skip


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("name", ["binance", "mexc"])
def test_f5_any_code_can_be_asked_for_with_and_without_the_order_done(make_wire, name, accepted):
    wire = make_wire(name)

    async def story():
        for code, status in ASKED[name]:
            before = len(wire.truth().orders())
            wire.desk.faults.once("accepted_with" if accepted else "refused_with", code)
            reply = await wire.order(quantity="0.1", price=str(wire.low()))
            negative = name == "binance" or 1000 <= code < 3000
            assert no(reply) == (status, -code if negative else code)
            assert len(wire.truth().orders()) - before == int(accepted)

    wire.run(story)


def test_reads_that_cannot_be(binance):
    async def story():
        day = {"symbol": "BTCUSDT", "startTime": 1, "endTime": 90_000_000}
        assert no(await binance.signed("GET", "/api/v3/myTrades", **day)) == (400, -1127)
        assert no(await binance.send("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=7m")) == (400, -1120)
        assert no(await binance.send("GET", "/api/v3/depth", "symbol=BTCUSDT&limit=x")) == (400, -1100)
        assert no(await binance.send("GET", "/api/v3/ticker/24hr", 'symbols=["NOPE"]')) == (400, -1121)
        page = await binance.send("GET", "/api/v3/nothing")
        assert (page.status, page.body[:6]) == (404, b"<html>")

    binance.run(story)


def test_f28_an_order_never_meets_another_one_of_the_account(binance):
    async def story():
        asks = binance.book().asks
        between = str(asks[0].price - Decimal("0.01"))
        await binance.order(side="SELL", quantity="0.1", price=between, newClientOrderId="maker")
        taker = await binance.order(
            quantity="0.1", price=str(asks[0].price), newClientOrderId="taker", timeInForce="IOC"
        )
        assert taker.json["status"] == "FILLED"
        maker = await binance.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="maker")
        assert maker.json["status"] == "EXPIRED_IN_MATCH"
        between = str(binance.ask() - Decimal("0.01"))
        await binance.order(side="SELL", quantity="0.1", price=between, newClientOrderId="maker")
        taker = await binance.order(quantity="0.1", price=between, selfTradePreventionMode="EXPIRE_TAKER")
        assert (taker.json["status"], taker.json["executedQty"]) == ("EXPIRED_IN_MATCH", "0.00000000")
        taker = await binance.order(quantity="0.1", price=between, selfTradePreventionMode="EXPIRE_BOTH")
        assert taker.json["status"] == "EXPIRED_IN_MATCH"
        assert (await binance.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).json == []

    binance.run(story)


def test_steps_finer_than_eight_decimals_are_advertised_and_taken(wire):
    async def story():
        fine = Decimal("0.0000000001")
        wire.desk.change_symbol("SOL/USDT", {"tick_size": str(fine), "max_price": "1000000"})
        exchange = await wire.market()
        assert Decimal(str(exchange.markets["SOL/USDT"]["precision"]["price"])) == fine
        price = (wire.ask("SOL/USDT") * Decimal("0.9")).quantize(fine)
        reply = await wire.order(symbol="SOLUSDT", quantity="1", price=f"{price:f}")
        assert reply.status == 200, reply.body
        assert Decimal(reply.json["price"]) == price
        coarser = await wire.order(symbol="BTCUSDT", quantity="1", price="1.0000000001")
        assert coarser.status == 400

    wire.run(story)
