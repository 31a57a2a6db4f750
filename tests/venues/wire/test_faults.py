"""Each fault of the catalogue on the wire: what the client sees, and what is true (reference orders.md 2.2, 8)."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from pathlib import Path

import aiohttp
import ccxt.async_support as ccxt
import pytest

from tradecore.venues.twin.faults import FAULTS
from tradecore.venues.twin.wire.faults import WIRE_FAULTS

BTC = "BTC/USDT"
IOC = {"timeInForce": "IOC"}


async def buy(wire, wire_id="a" * 32, **facts):
    return await wire.order(quantity="0.1", price=str(wire.ask()), newClientOrderId=wire_id, **IOC, **facts)


async def outcome(wire, wire_id="a" * 32, **facts):
    """What a client gets of an order: an answer, or the name of what went wrong."""
    try:
        return await buy(wire, wire_id, **facts)
    except TimeoutError:
        return "time-out"
    except aiohttp.ClientPayloadError:
        return "payload"
    except (aiohttp.ClientError, ConnectionError):
        return "cut"


def made(wire):
    return len(wire.truth().orders())


NOT_DONE = [
    ("not_sent", "cut"), ("cut_request", "cut"), ("lost_request", "time-out"), ("hang", "time-out"),
    ("http_502", 502), ("http_403", 403), ("http_404", 404), ("http_504", 504), ("maintenance", 503),
    ("rate_limited", 429), ("banned", 418), ("insufficient_30005", 400), ("symbol_halted", 400), ("clock_skew", 400),
    ("key_revoked", (401, 400)), ("ip_changed", (401, 403)), ("permission_removed", (401, 403)), ("refused_with", 500),
]  # fmt: skip
DONE = [
    ("lost_ack", "time-out"), ("cut_after_accept", "cut"), ("cut_answer", "cut"), ("http_500_accepted", 500),
    ("http_502_accepted", 502), ("http_503_accepted", 503), ("http_504_accepted", 504), ("code_1006_accepted", 400),
    ("accepted_with", 400), ("truncated_body", 200), ("html_200", 200), ("empty_body", 200), ("empty_object", 200),
    ("null_body", 200), ("gzip_garbage", "payload"), ("huge_body", 200), ("wrong_echo", 200), ("wrong_id", 200),
    ("wrong_symbol", 200), ("wrong_types", 200), ("numbers_as_strings", 200), ("ack_without_status", 200),
    ("slow_request", 200), ("slow_engine", 200), ("slow_answer", 200), ("duplicate_reply", 200),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "seen", "orders"), [(*row, 0) for row in NOT_DONE] + [(*row, 1) for row in DONE], ids=str
)
@pytest.mark.parametrize("name", ["binance", "mexc"])
def test_f1_f2_f5_f15_f17_f18_what_a_fault_shows_and_what_it_hides(make_wire, name, fault, seen, orders):
    wire = make_wire(name)

    async def story():
        argument = {
            "huge_body": 5_000_000,
            "clock_skew": 100_000,
            "refused_with": 1000 if name == "binance" else 500,
        }.get(fault)
        wire.desk.faults.once(fault, argument)
        found = await outcome(wire, wait_s=5 if seen == "time-out" else 1_000)
        wanted = seen if isinstance(seen, tuple) else (seen,)
        assert (found if isinstance(found, str) else found.status) in wanted
        assert made(wire) == orders
        assert wire.desk.faults.happened == {fault: 1}
        if not isinstance(found, str) and found.status == 200:
            SHOWS[fault](found, name)
        if fault in ("rate_limited", "banned"):
            assert int(found.headers["Retry-After"]) >= 1

    wire.run(story)


def _fine(reply, name):
    assert reply.json["symbol"] == "BTCUSDT"


SHOWS = {
    "truncated_body": lambda reply, name: _same(reply.body[-1:] == b"}", False),
    "html_200": lambda reply, name: reply.body.index(b"<html>"),
    "empty_body": lambda reply, name: _same(reply.body, b""),
    "empty_object": lambda reply, name: _same(reply.json, {}),
    "null_body": lambda reply, name: _same(reply.json, None),
    "huge_body": lambda reply, name: _same(len(reply.body) > 5_000_000, True),
    "wrong_echo": lambda reply, name: _same(reply.json["clientOrderId"] in ("a" * 32, None), False),
    "wrong_id": lambda reply, name: _same(reply.json["orderId"], "<html>"),
    "wrong_symbol": lambda reply, name: _same(reply.json["symbol"], "WRONGUSDT"),
    "wrong_types": lambda reply, name: _same(isinstance(reply.json["price"], list), True),
    "numbers_as_strings": lambda reply, name: _same(isinstance(reply.json["transactTime"], str), True),
    "ack_without_status": lambda reply, name: _same("status" in reply.json, False),
    "slow_request": _fine, "slow_engine": _fine, "slow_answer": _fine, "duplicate_reply": _fine,
}  # fmt: skip


def _same(found, wanted):
    assert found == wanted


@pytest.mark.parametrize("fault", ["cut_after_accept", "lost_ack", "http_502_accepted", "html_200", "null_body"])
def test_f2_ccxt_reports_what_the_reference_says(wire, fault):
    """Rows of orders.md 2.2: no exception class, and no returned order, tells whether the order exists."""

    async def story():
        exchange = await wire.market()
        exchange.timeout = 20_000 if fault == "lost_ack" else 1_000_000
        wire.desk.faults.once(fault)
        sent = exchange.create_order(BTC, "limit", "buy", "0.1", str(wire.ask()), {**IOC, "clientOrderId": "b" * 32})
        if fault in ("html_200", "null_body"):
            order = await sent
            assert not (order["id"] or "x").isdigit()
        else:
            with pytest.raises(ccxt.RequestTimeout if fault == "lost_ack" else ccxt.ExchangeNotAvailable):
                await sent
        found = await exchange.fetch_order(None, BTC, {"clientOrderId": "b" * 32})
        assert Decimal(found["filled"]) == Decimal("0.1")

    wire.run(story)


@pytest.mark.parametrize(("delay_ms", "accepted"), [(10_000, True), (40_000, False)])
def test_f3_f4_a_request_that_arrives_late(hurried, delay_ms, accepted):
    wire = hurried

    async def story():
        wire.desk.faults.once("late_request", delay_ms)
        assert await outcome(wire, wait_s=5, recvWindow=30_000) == "time-out"
        assert made(wire) == 0
        await wire.clock.sleep(45)
        assert made(wire) == int(accepted)
        assert len(wire.truth().rejections()) == int(not accepted)

    wire.run(story)


@pytest.mark.parametrize("fault", ["slow_request", "slow_engine"])
def test_f4_the_age_is_checked_on_arrival_and_again_before_the_engine(wire, fault):
    async def story():
        wire.desk.faults.once(fault, 6_000)
        reply = await buy(wire, recvWindow=5_000)
        assert reply.code == (-1021 if wire.wire == "binance" else 700003)
        assert made(wire) == 0

    wire.run(story)


def test_f7_f8_reads_that_lag(hurried):
    wire = hurried

    async def story():
        find = {"symbol": "BTCUSDT", "origClientOrderId": "a" * 32}
        await buy(wire)
        await wire.control("POST", "/reads", memory_ms=60_000, database_ms=90_000, balance_ms=120_000)
        assert (await wire.signed("GET", "/api/v3/order", **find)).code == -2013
        assert (await wire.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT")).json == []
        assert (await wire.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")).json == []
        held = {row["asset"]: row for row in (await wire.signed("GET", "/api/v3/account")).json["balances"]}
        assert "USDT" not in held or Decimal(held["USDT"]["free"]) in (0, 1_000_000)
        await wire.clock.sleep(61)
        assert (await wire.signed("GET", "/api/v3/order", **find)).json["status"] == "FILLED"
        assert (await wire.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT")).json == []
        await wire.clock.sleep(30)
        assert len((await wire.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT")).json) == 1

    wire.run(story)


def test_f6_f7_f8_f24_f25_f45_reads_by_fault(wire):
    faults = wire.desk.faults
    find = {"symbol": "BTCUSDT", "origClientOrderId": "a" * 32}

    async def order():
        return await wire.signed("GET", "/api/v3/order", **find)

    async def trades():
        return (await wire.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")).json

    async def story():
        await buy(wire)
        for fault in ("not_found_for", "read_lag"):
            faults.once(fault, 60_000)
            assert (await order()).code == -2013
        faults.once("stale_executed")
        assert Decimal((await order()).json["executedQty"]) < Decimal("0.1")
        faults.once("wrong_echo")
        assert (await order()).json["clientOrderId"] != "a" * 32
        faults.once("unmapped_status")
        assert (await order()).json["status"] == "PENDING_CANCEL"
        faults.once("read_lost")
        with pytest.raises(TimeoutError):
            await wire.signed("GET", "/api/v3/order", wait_s=10, **find)
        once = await trades()
        faults.once("duplicate_fills")
        assert len(await trades()) == 2 * len(once)
        faults.once("late_fills", 60_000)
        assert await trades() == []
        faults.once("fee_coin_missing")
        assert {row["commissionAsset"] for row in await trades()} == {None}
        faults.once("balance_lag", 60_000)
        held = {row["asset"]: row for row in (await wire.signed("GET", "/api/v3/account")).json["balances"]}
        assert "USDT" not in held or Decimal(held["USDT"]["free"]) in (0, 1_000_000)

    wire.run(story)


def test_f9_f10_f12_what_the_engine_does_otherwise(wire):
    faults = wire.desk.faults

    async def rest(wire_id):
        await wire.order(quantity="0.1", price=str(wire.low()), newClientOrderId=wire_id)

    async def cancel(wire_id, wait_s=60):
        return await wire.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=wire_id, wait_s=wait_s)

    async def read(wire_id):
        return (await wire.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=wire_id)).json

    async def story():
        for fault, executed in (("no_liquidity", 0), ("partial_fill", 1)):
            faults.once(fault)
            await buy(wire, fault)
            assert (Decimal((await read(fault))["executedQty"]) > 0) is bool(executed)
        faults.once("split_fills", 5)
        await buy(wire, "pieces")
        assert len([t for t in wire.truth().trades() if t.wire_id == "pieces"]) >= 5
        faults.once("ioc_becomes_gtc")
        await wire.order(quantity="0.1", price=str(wire.low()), newClientOrderId="stays", **IOC)
        assert (await read("stays"))["status"] == "NEW"
        faults.once("cancel_dropped")
        with pytest.raises(TimeoutError):
            await cancel("stays", 10)
        assert (await read("stays"))["status"] == "NEW"
        faults.once("cancel_lost")
        with pytest.raises(TimeoutError):
            await cancel("stays", 10)
        assert (await read("stays"))["status"] == "CANCELED"
        await rest("two")
        faults.once("cancel_502")
        assert (await cancel("two")).status == 502
        assert (await read("two"))["status"] == "CANCELED"
        await rest("three")
        faults.once("cancel_partly_filled", 0.5)
        said = (await cancel("three")).json
        assert Decimal(said.get("executedQty", "0")) == 0
        true = await read("three")
        assert Decimal(true["executedQty"]) == Decimal("0.05")
        assert true["status"] == ("CANCELED" if wire.wire == "binance" else "PARTIALLY_CANCELED")

    wire.run(story)


def test_f11_the_cancel_that_lost_the_race(wire):
    async def story():
        await wire.order(quantity="0.1", price=str(wire.low()), newClientOrderId="x")
        wire.desk.faults.once("cancel_refused_filled")
        reply = await wire.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="x")
        assert (reply.status, reply.code) == (400, -2011)

    wire.run(story)


def test_f50_endpoints_cut_one_by_one(wire):
    async def story():
        place, read = "POST /api/v3/order", "GET /api/v3/order"
        assert (await wire.control("POST", "/cut", endpoint=place)).json == {"cut": [place]}
        assert await outcome(wire) == "cut"
        assert (await wire.signed("GET", "/api/v3/account")).status == 200
        await wire.control("POST", "/cut", endpoint="balances")
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await wire.signed("GET", "/api/v3/account")
        await wire.control("DELETE", "/cut", endpoint=place)
        assert (await outcome(wire)).status == 200
        await wire.control("POST", "/cut", endpoint="all")
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await wire.send("GET", "/api/v3/time")
        assert (await wire.control("DELETE", "/cut")).json == {"cut": []}
        assert (await wire.send("GET", "/api/v3/time")).status == 200
        assert (await wire.control("POST", "/cut", endpoint=read + "s")).status == 400

    wire.run(story)


def test_f6_an_answer_that_comes_twice_does_not_answer_the_next_question(wire):
    async def story():
        exchange = await wire.market()
        for _ in range(3):
            wire.desk.faults.once("duplicate_reply")
            await exchange.fetch_balance()
            assert abs(await exchange.fetch_time() - wire.clock.now_ms()) < 5_000

    wire.run(story)


def test_f16_a_clock_that_is_off(wire):
    async def story():
        await wire.control("POST", "/clock", skew_ms=90_000)
        early = await wire.signed("GET", "/api/v3/account", timestamp=wire.clock.now_ms())
        assert early.code == (-1021 if wire.wire == "binance" else 700003)
        assert (await wire.signed("GET", "/api/v3/account")).status == 200
        assert (await wire.send("GET", "/api/v3/time")).json["serverTime"] - wire.clock.now_ms() > 80_000
        wire.desk.faults.once("clock_skew", 99_000)
        assert (await wire.send("GET", "/api/v3/time")).json["serverTime"] - wire.clock.now_ms() > 180_000

    wire.run(story)


def test_f23_maintenance_lasts(hurried):
    wire = hurried

    async def story():
        wire.desk.faults.once("maintenance", 60_000)
        for _ in range(2):
            reply = await wire.send("GET", "/api/v3/time")
            assert (reply.status, "maintenance" in reply.json["msg"]) == (503, True)
        exchange = wire.ccxt()
        with pytest.raises(ccxt.BaseError):
            await exchange.fetch_balance()
        await wire.clock.sleep(60)
        assert (await wire.send("GET", "/api/v3/time")).status == 200

    wire.run(story)


def test_who_hangs_is_let_go_when_the_server_closes(wire):
    async def story():
        wire.desk.faults.always("hang")
        waiting = asyncio.ensure_future(wire.send("GET", "/api/v3/time", wait_s=10_000))
        await wire.clock.sleep(5)
        before = wire.clock.monotonic_s()
        await wire.server.close()
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await waiting
        assert wire.clock.monotonic_s() - before < 60
        await wire.server.close()

    wire.run(story)


def test_every_fault_of_both_lists_is_tried_here():
    text = Path(__file__).read_text()
    assert [name for name in (*FAULTS, *WIRE_FAULTS) if not re.search(rf'"{name}"', text)] == []
