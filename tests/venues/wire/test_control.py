"""The control endpoint: a token, what others do, the truth; and what outlives a restart."""

from __future__ import annotations

import random

import pytest

from tradecore.errors import SettingsError
from tradecore.venues.twin.build import TwinPlan, open_twin
from tradecore.venues.twin.wire.keys import ApiKey, KeyRing
from tradecore.venues.twin.wire.server import WireServer


def test_nobody_without_the_token(wire):
    async def story():
        for path in ("/state", "/truth", "/faults"):
            for token in ("", "guess", wire.server.token + "x", wire.server.token.swapcase()):
                assert (await wire.control("GET", path, token=token)).status == 401
            assert (await wire.control("GET", path)).status == 200
        reply = await wire.control("GET", "/state")
        assert b"not-a-real-secret" not in reply.body
        assert set(reply.json["keys"]) == {"K" * 64, "R" * 64, "W" * 64}

    wire.run(story)


def test_faults_by_name_share_argument_and_times(wire):
    async def story():
        assert (await wire.control("POST", "/faults", name="http_502", times=2)).json == {"asked": 1}
        found = [(await wire.send("GET", "/api/v3/time")).status for _ in range(3)]
        assert found == [502, 502, 200]
        await wire.control("POST", "/faults", name="http_403", share=0.5)
        found = [(await wire.send("GET", "/api/v3/time")).status for _ in range(40)]
        assert {200, 403} == set(found)
        assert (await wire.control("GET", "/faults")).json["happened"]["http_502"] == 2
        assert (await wire.control("DELETE", "/faults", name="http_403")).json == {"asked": 0}
        for bad in (
            {"name": "http_999"}, {}, {"name": "http_403", "share": 2}, {"name": "http_403", "argument": 1},
            {"name": "hang", "argument": "long"}, {"name": "hang", "times": 0},
        ):  # fmt: skip
            assert (await wire.control("POST", "/faults", **bad)).status == 400
        assert (await wire.send("GET", "/api/v3/time")).status == 200

    wire.run(story)


def test_f48_what_others_do_to_the_account(wire):
    async def story():
        await wire.control("POST", "/account", deposit={"USDT": "50.5"}, withdraw={"BTC": "1"})
        sent = {
            "symbol": "BTCUSDT",
            "side": "buy",
            "price": str(wire.low()),
            "quantity": "0.1",
            "client_order_id": "theirs",
        }
        assert (await wire.control("POST", "/account", order=sent)).json["order"]["status"] == "OPEN"
        (listed,) = (await wire.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).json
        assert listed["clientOrderId"] == "theirs"
        named = {"symbol": "BTCUSDT", "client_order_id": "theirs"}
        filled = await wire.control("POST", "/account", fill={**named, "share": "0.5"})
        assert filled.json["fill"]["executed"] == "0.05"
        assert (await wire.control("POST", "/account", cancel=named)).json["cancel"]["status"] == "CANCELED"
        truth = (await wire.control("GET", "/truth")).json
        (row,) = truth["orders"]
        assert (row["wire_id"], row["foreign"], row["executed"]) == ("theirs", True, "0.05")
        assert [event["kind"] for event in truth["events"]][-5:] == ["MOVED", "MOVED", "ACCEPTED", "FILL", "CANCELED"]
        for bad in ({}, {"withdraw": {"BTC": "1000"}}, {"deposit": {"BTC": "-1"}}, {"cancel": named}, {"order": {}}):
            assert (await wire.control("POST", "/account", **bad)).status == 400

    wire.run(story)


@pytest.mark.parametrize(
    ("plan", "coin"), [({"fee_in": "quote"}, "USDT"), ({"fee_in": "other", "fee_coin": "BNB"}, "BNB"), ({}, "BTC")]
)
@pytest.mark.parametrize("name", ["binance", "mexc"])
def test_f25_f26_the_coin_of_a_fee(make_wire, name, plan, coin):
    wire = make_wire(name)

    async def story():
        await wire.control("POST", "/account", deposit={"BNB": "10"})
        assert (await wire.control("POST", "/fees", **plan)).status == 200
        await wire.order(quantity="0.1", price=str(wire.ask()), timeInForce="IOC")
        rows = (await wire.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")).json
        assert {row["commissionAsset"] for row in rows} == {coin}
        await wire.order(quantity="0.1", price=str(wire.low()))
        assert (await wire.control("POST", "/fees", fee_in="base")).status == 400

    wire.run(story)


def test_ack_without_status_at_run_time(binance):
    async def story():
        await binance.control("POST", "/reads", ack_without_status=True)
        reply = await binance.order(quantity="0.1", price=str(binance.ask()), timeInForce="IOC")
        assert set(reply.json) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
        assert (await binance.control("POST", "/reads", memory_ms=-1)).status == 400
        assert (await binance.control("POST", "/reads", strange=1)).status == 400

    binance.run(story)


def test_bad_words_change_nothing(wire):
    async def story():
        for path, facts in (
            ("/market", {"symbol": "NOPE"}), ("/market", {"symbol": "BTCUSDT", "status": "SLEEPY"}),
            ("/market", {"symbol": "BTCUSDT", "tick_size": "0"}), ("/market", {"symbol": "BTCUSDT", "colour": 1}),
            ("/keys", {"key": "nobody", "revoked": True}), ("/keys", {"revoked": "yes"}), ("/clock", {}),
            ("/cut", {"endpoint": "the moon"}), ("/fees", {"fee_in": "shells"}),
        ):  # fmt: skip
            assert (await wire.control("POST", path, **facts)).status == 400, (path, facts)
        assert (await wire.order(quantity="0.1", price=str(wire.low()))).status == 200

    wire.run(story)


def test_f29_a_restart_goes_on_with_orders_filters_keys_and_fees(make_wire, tmp_path):
    path = tmp_path / "venue.db"
    first = make_wire("binance", path=path)

    async def before():
        await first.control("POST", "/fees", fee_in="quote")
        await first.order(quantity="0.1", price=str(first.low()), newClientOrderId="stands")
        await first.control("POST", "/market", symbol="ETHUSDT", status="HALT", min_price="5")
        await first.control("POST", "/keys", key="W" * 64, revoked=True)

    first.run(before)
    second = make_wire("binance", path=path)

    async def after():
        await second.clock.sleep(20)  # this test's clock begins anew; a server's does not
        (listed,) = (await second.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).json
        assert listed["clientOrderId"] == "stands"
        state = (await second.control("GET", "/state")).json
        assert (state["symbols"]["ETH/USDT"]["status"], state["symbols"]["ETH/USDT"]["min_price"]) == ("HALT", "5")
        assert state["keys"]["W" * 64]["revoked"] is True
        await second.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="stands")
        await second.order(quantity="0.1", price=str(second.ask()), timeInForce="IOC")
        assert {trade.fee_coin for trade in second.truth().trades()} == {"USDT"}

    second.run(after)


def test_what_no_server_can_be_made_of(make_wire):
    wire = make_wire("binance")
    with pytest.raises(SettingsError, match="manners of mexc"):
        WireServer(wire.twin, wire="mexc", clock=wire.clock, keys=[ApiKey("a", "b")])
    for keys in ([], [ApiKey("", "x")], [ApiKey("a", "")], [ApiKey("a", "b"), ApiKey("a", "c")]):
        with pytest.raises(SettingsError):
            KeyRing(keys)
    assert "secret" not in repr(ApiKey("name", "secret"))
    plain = open_twin(
        wire.clock, wire.twin.market._source, seed=1, generator=random.Random(1), plan=TwinPlan(manners="plain")
    )
    with pytest.raises(SettingsError, match="binance or mexc"):
        WireServer(plain, wire="plain", clock=wire.clock, keys=[ApiKey("a", "b")])
    taken = make_wire("binance")

    async def story():
        other = make_wire("binance", port=taken.server.port)
        with pytest.raises(SettingsError, match="free port"):
            await other.server.start()
        other.twin.venue.engine.state.close()
        other.loop.close()

    taken.run(story)
    for one in (wire.twin, plain):
        one.venue.engine.state.close()
    wire.loop.close()
