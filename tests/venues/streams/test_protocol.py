"""What the server hears and says, word by word."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.venues.streams.conftest import KEY, SECRET, Wire
from tradecore.venues.twin.wire import streams as wire_streams
from tradecore.venues.twin.wire import streams_channel
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.streams_talk_mexc import KEY_LIFE_MS, STREAMS_MAX


@asynccontextmanager
async def _dialled(wire: Wire, path: str) -> AsyncIterator[Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{wire.server.port}{path}", autoping=False) as socket,
    ):
        yield socket


async def _ask(socket: Any, **message: Any) -> Any:
    """Say something; the answer is the next message with its id."""
    await socket.send_str(json.dumps(message))
    while True:
        answer = json.loads((await socket.receive()).data)
        if "id" in answer:
            return answer


def test_binance_subscriptions(binance: Wire) -> None:
    async def story() -> None:
        async with _dialled(binance, "/ws") as socket:
            said = await _ask(socket, method="SUBSCRIBE", params=["btcusdt@trade", "nothing@trade"], id=1)
            assert said == {"result": None, "id": 1}, "a name that means nothing is not minded"
            said = await _ask(socket, method="LIST_SUBSCRIPTIONS", id="two")
            assert said == {"result": ["btcusdt@trade"], "id": "two"}
            assert (await _ask(socket, method="UNSUBSCRIBE", params=["btcusdt@trade"], id=3))["result"] is None
            assert (await _ask(socket, method="LIST_SUBSCRIPTIONS", id=4))["result"] == []

    binance.run(story)


@pytest.mark.parametrize(
    ("text", "code"),
    [("no json", 3), ("[1]", 3), ('{"method":"SUBSCRIBE","params":"x","id":1}', 2), ('{"method":"DANCE","id":1}', 2)],
)
def test_binance_says_what_it_did_not_understand(binance: Wire, text: str, code: int) -> None:
    async def story() -> None:
        async with _dialled(binance, "/ws") as socket:
            await socket.send_str(text)
            assert json.loads((await socket.receive()).data)["error"]["code"] == code

    binance.run(story)


def test_binance_no_more_than_1024_streams(binance: Wire) -> None:
    async def story() -> None:
        async with _dialled(binance, "/ws") as socket:
            names = [f"c{number}usdt@trade" for number in range(1_025)]
            assert "error" in await _ask(socket, method="SUBSCRIBE", params=names, id=1)
            assert "error" not in await _ask(socket, method="SUBSCRIBE", params=names[:1_024], id=2)

    binance.run(story)


def test_binance_more_than_five_messages_a_second_end_the_connection(binance: Wire) -> None:
    async def story() -> None:
        async with _dialled(binance, "/ws") as socket:
            for number in range(6):
                await socket.send_str(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
            while not socket.closed and (await socket.receive()).type == aiohttp.WSMsgType.TEXT:
                pass
            await binance.until(lambda: not binance.desk_channels())

    binance.run(story)


def test_binance_streams_named_in_the_address(binance: Wire) -> None:
    async def story() -> None:
        async with _dialled(binance, "/ws/btcusdt@bookTicker") as socket:
            assert json.loads((await socket.receive()).data)["s"] == "BTCUSDT"
        names = {"btcusdt@bookTicker", "ethusdt@depth5"}
        async with _dialled(binance, f"/stream?streams={'/'.join(sorted(names))}") as socket:
            told: dict[str, Any] = {}
            while set(told) != names:
                message = json.loads((await socket.receive()).data)
                told[message["stream"]] = message["data"]
            assert told["btcusdt@bookTicker"]["s"] == "BTCUSDT"
            book = told["ethusdt@depth5"]
            assert len(book["bids"]) == len(book["asks"]) == 5
            assert book["lastUpdateId"] > 0

    binance.run(story)


def test_binance_changes_of_a_book_run_on_without_a_gap(binance: Wire) -> None:
    async def story() -> None:
        async with _dialled(binance, "/ws/btcusdt@depth@100ms") as socket:
            last = None
            for count in range(8):
                message = json.loads((await socket.receive()).data)
                assert message["e"] == "depthUpdate"
                assert message["U"] <= message["u"]
                assert last is None or message["U"] == last + 1
                last = message["u"]
                if count == 3:
                    binance.place(quantity="0.5")

    binance.run(story)


def test_the_venue_pings_and_answers_pings(binance: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_streams, "_PING_S", 2.0)

    async def story() -> None:
        async with _dialled(binance, "/ws") as socket:
            await socket.ping(b"still there")
            message = await socket.receive()
            assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"still there")
            assert (await socket.receive()).type == aiohttp.WSMsgType.PING

    binance.run(story)


def test_who_does_not_answer_pings_is_cut_off(binance: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_streams, "_PING_S", 2.0)
    monkeypatch.setattr(wire_streams, "_PONG_S", 5.0)

    async def story() -> None:
        async with _dialled(binance, "/ws"):
            await binance.until(binance.desk_channels)
            await binance.until(lambda: not binance.desk_channels(), 200)

    binance.run(story)


def _params(wire: Wire, **more: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"apiKey": KEY, "timestamp": wire.clock.now_ms(), **more}
    facts = {name: value for name, value in facts.items() if value is not None and name != "signature"}
    text = "&".join(f"{name}={facts[name]}" for name in sorted(facts))
    return {**facts, "signature": ApiKey(KEY, SECRET).sign(text)}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"apiKey": "nobody"}, -2015), ({"apiKey": None}, -1102), ({"timestamp": None}, -1102),
        ({"recvWindow": 70_000}, -1131), ({"timestamp": "soon"}, -1100), ({"signature": "0" * 64}, -1022),
    ],
)  # fmt: skip
def test_binance_account_stream_refuses(binance: Wire, change: dict[str, Any], code: int) -> None:
    async def story() -> None:
        async with _dialled(binance, "/ws-api/v3") as socket:
            params = {
                **_params(binance, **change),
                **({"signature": change["signature"]} if "signature" in change else {}),
            }
            said = await _ask(socket, id="1", method="userDataStream.subscribe.signature", params=params)
            assert (said["error"]["code"], said["status"] >= 400) == (code, True)
            binance.place()
            assert (await _ask(socket, id=2, method="ping"))["result"] == {}, "nothing was pushed in between"

    binance.run(story)


def test_binance_account_stream(binance: Wire) -> None:
    async def story() -> None:
        async with _dialled(binance, "/ws-api/v3") as socket:
            assert (await _ask(socket, id=0, method="time"))["result"]["serverTime"] > 0
            method = "userDataStream.subscribe.signature"
            said = await _ask(socket, id="a", method=method, params=_params(binance))
            assert (said["status"], said["result"]) == (200, {"subscriptionId": 0})
            again = await _ask(socket, id="b", method=method, params=_params(binance))
            assert again["error"]["code"] == -2035
            order = binance.place(quantity="1")
            pushed = [json.loads((await socket.receive()).data) for _ in range(4)]
            assert {item["subscriptionId"] for item in pushed} == {0}
            events = [item["event"] for item in pushed]
            kinds = [(event["e"], event.get("x"), event.get("X")) for event in events]
            assert kinds == [
                ("executionReport", "NEW", "NEW"), ("outboundAccountPosition", None, None),
                ("executionReport", "TRADE", "FILLED"), ("outboundAccountPosition", None, None),
            ]  # fmt: skip
            assert (events[2]["c"], events[2]["C"], events[2]["i"]) == (order.wire_id, "", int(order.venue_order_id))
            binance.desk.outside.deposit("BTC", order.quantity)
            binance.desk.settle()
            moved = json.loads((await socket.receive()).data)["event"]
            assert (moved["e"], moved["a"], moved["d"]) == ("balanceUpdate", "BTC", "1")
            await socket.receive()
            assert (await _ask(socket, id="c", method="userDataStream.unsubscribe"))["status"] == 200
            binance.place()
            assert (await _ask(socket, id="d", method="ping"))["result"] == {}
            assert (await _ask(socket, id="e", method="order.place"))["error"]["code"] == -1020

    binance.run(story)


def test_binance_says_that_the_server_goes_down(binance: Wire) -> None:
    async def story() -> None:
        async with _dialled(binance, "/ws-api/v3") as socket:
            await binance.until(binance.desk_channels)
            closing = binance.loop.create_task(binance.server.close())
            assert json.loads((await socket.receive()).data)["event"]["e"] == "serverShutdown"
            assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
            await socket.close()
            await closing

    binance.run(story)


def test_a_customer_that_does_not_read_is_cut_off(binance: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_channel, "QUEUE_MAX", 50)

    async def story() -> None:
        async with _dialled(binance, "/ws"):
            await binance.until(binance.desk_channels)
            (channel,) = binance.desk_channels()
            for _ in range(60):
                channel.say("x" * 1_000)
            assert channel.gone
            await binance.until(lambda: not binance.desk_channels())

    binance.run(story)


def test_mexc_listen_keys(mexc: Wire) -> None:
    async def story() -> None:
        exchange = mexc.plain()
        await exchange.load_markets()
        key = (await exchange.spotPrivatePostUserDataStream())["listenKey"]
        assert (await exchange.spotPrivatePostUserDataStream())["listenKey"] == key
        assert (await exchange.spotPrivateGetUserDataStream())["listenKey"] == [key]
        await exchange.spotPrivatePutUserDataStream({"listenKey": key})
        with pytest.raises(Exception, match="730100"):
            await exchange.spotPrivatePutUserDataStream({"listenKey": "other"})
        async with _dialled(mexc, f"/ws?listenKey={key}") as socket:
            said = await _ask(socket, method="SUBSCRIPTION", params=["spot@private.orders.v3.api.pb"])
            assert said == {"id": 0, "code": 0, "msg": "spot@private.orders.v3.api.pb"}
            await exchange.spotPrivateDeleteUserDataStream({"listenKey": key})
            await mexc.until(lambda: not mexc.desk_channels())
        async with _dialled(mexc, f"/ws?listenKey={key}") as socket:
            assert (await socket.receive()).data == "Invalid listen key"

    mexc.run(story)


def test_mexc_a_listen_key_ends_unless_it_is_renewed(mexc: Wire) -> None:
    async def story() -> None:
        exchange = mexc.plain()
        await exchange.load_markets()
        key = (await exchange.spotPrivatePostUserDataStream())["listenKey"]
        talk = mexc.hub._valid.__self__
        async with _dialled(mexc, f"/ws?listenKey={key}"):
            await mexc.until(lambda: mexc.hub.accounts)
            assert talk._keys[key].until_ms == pytest.approx(mexc.clock.now_ms() + KEY_LIFE_MS, abs=5_000)
            await mexc.clock.sleep(3)
            assert mexc.desk_channels()
            talk._keys[key].until_ms = mexc.clock.now_ms()
            await mexc.until(lambda: not mexc.desk_channels(), 20)

    mexc.run(story)


def test_mexc_subscriptions(mexc: Wire) -> None:
    async def story() -> None:
        async with _dialled(mexc, "/ws") as socket:
            assert (await _ask(socket, method="PING"))["msg"] == "PONG"
            assert (await _ask(socket, method="ping"))["msg"] == "PONG"
            name = "spot@public.aggre.bookTicker.v3.api.pb@100ms@BTCUSDT"
            assert (await _ask(socket, method="SUBSCRIPTION", params=[name]))["msg"] == name
            frame = await socket.receive()
            assert frame.type == aiohttp.WSMsgType.BINARY
            assert b"BTCUSDT" in frame.data
            refused = await _ask_text(socket, method="SUBSCRIPTION", params=["spot@private.orders.v3.api.pb"])
            assert refused.startswith("Not Subscribed successfully! [spot@private.orders.v3.api.pb]")
            assert (await _ask_text(socket, method="UNSUBSCRIPTION", params=[name])) == name
            assert "Blocked" in await _ask_text(socket, method="DANCE")
            await socket.send_str("no json")
            assert await _text(socket) == "msg format invalid"

    mexc.run(story)


def test_mexc_no_more_than_thirty_channels(three: Wire) -> None:
    raws = ("BTCUSDT", "ETHUSDT", "XRPUSDT")
    kinds = ("bookTicker", "depth", "deals")
    names = [f"spot@public.aggre.{kind}.v3.api.pb@100ms@{raw}" for kind in kinds for raw in raws]
    intervals = ("Min1", "Min5", "Min15", "Min30", "Min60", "Hour4", "Hour8", "Day1")
    names += [f"spot@public.kline.v3.api.pb@{raw}@{interval}" for raw in raws for interval in intervals]
    assert len(names) == 33

    async def story() -> None:
        async with _dialled(three, "/ws") as socket:
            assert await _ask_text(socket, method="SUBSCRIPTION", params=names) == ",".join(names[:STREAMS_MAX])
            assert await _text(socket) == f"Not Subscribed successfully! [{','.join(names[30:])}]. Reason: Blocked! "

    three.run(story)


@pytest.fixture
def three() -> Iterator[Wire]:
    pytest.importorskip("google.protobuf", reason="the extra mexc-streams is not installed")
    made = Wire("mexc", ("BTC/USDT", "ETH/USDT", "XRP/USDT"))
    yield made
    made.close()


async def _ask_text(socket: Any, **message: Any) -> str:
    await socket.send_str(json.dumps(message))
    return await _text(socket)


async def _text(socket: Any) -> str:
    """The next message in words, frames left out."""
    while True:
        message = await socket.receive()
        if message.type == aiohttp.WSMsgType.TEXT:
            return str(json.loads(message.data)["msg"])


def test_a_customer_that_left_before_it_was_let_in_is_no_error(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bot that is killed while it dials: the venue complains of nothing and serves the next one."""
    prepare = web.WebSocketResponse.prepare
    gone = [True]

    async def late(self: Any, request: web.Request) -> Any:
        if gone:
            gone.clear()
            assert request.transport is not None
            request.transport.abort()
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
        return await prepare(self, request)

    monkeypatch.setattr(web.WebSocketResponse, "prepare", late)

    async def story() -> None:
        async with _dialled(wire, "/ws"):  # aiohttp's client dials once more by itself
            await wire.until(wire.desk_channels)

    wire.run(story)
    assert not gone
    assert [record.getMessage() for record in caplog.records if record.name.startswith("aiohttp")] == []
