"""ccxt.pro as it comes, told nothing but addresses, against both wires."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ccxt.base.errors import AuthenticationError, InvalidNonce, NetworkError

from tests.venues.streams.conftest import KEY, Wire
from tradecore.model.units import TimeInForce


def _book_of(wire: Wire, back_ms: int = 0) -> Any:
    return wire.desk.market.book("BTC/USDT", wire.clock.now_ms() - back_ms)


def _whole(error: BaseException | None) -> str:
    """An error and those behind it: ccxt 4.5.90 stumbles with a KeyError while it handles a refused subscription."""
    text = ""
    while error is not None:
        text, error = f"{text} {error}", error.__context__
    return text


def test_trades(wire: Wire) -> None:
    async def story() -> None:
        exchange = wire.plain()
        trades = await exchange.watch_trades("BTC/USDT")
        trades += await exchange.watch_trades("BTC/USDT")
        times = [trade["timestamp"] for trade in trades]
        assert times == sorted(times)
        steps = {step.at_ms: step.price for row in range(60) for step in wire.desk.market.steps("BTC/USDT", row)}
        for trade in trades:
            assert trade["price"] == pytest.approx(steps[trade["timestamp"]], abs=0.01)
            assert trade["amount"] > 0

    wire.run(story)


def test_aggregated_trades_carry_the_numbers_of_rest(binance: Wire) -> None:
    async def story() -> None:
        exchange = binance.plain()
        pushed = await exchange.watch_trades("BTC/USDT", params={"name": "aggTrade"})
        read = {trade["id"]: trade for trade in await exchange.fetch_trades("BTC/USDT")}
        for trade in pushed:
            assert read[trade["id"]]["price"] == trade["price"]
            assert read[trade["id"]]["amount"] == trade["amount"]

    binance.run(story)


@pytest.mark.parametrize("channel", ["ticker", "miniTicker"])
def test_tickers(binance: Wire, channel: str) -> None:
    async def story() -> None:
        exchange = binance.plain()
        ticker = (await exchange.watch_tickers(["BTC/USDT"], {"name": channel}))["BTC/USDT"]
        read = await exchange.fetch_ticker("BTC/USDT")
        assert ticker["last"] == pytest.approx(read["last"], rel=0.01)
        assert ticker["quoteVolume"] == pytest.approx(read["quoteVolume"], rel=0.2)
        assert ticker["open"] == read["open"]
        # Without a word nobody would notice that the short one knows no bid and no ask.
        assert (ticker["bid"] is None) == (channel == "miniTicker")

    binance.run(story)


def test_bids_and_asks(binance: Wire) -> None:
    async def story() -> None:
        exchange = binance.plain()
        found: dict[str, Any] = {}
        while len(found) < 2:
            found |= await exchange.watch_bids_asks(["BTC/USDT", "ETH/USDT"])
        assert all(ticker["bid"] < ticker["ask"] for ticker in found.values())

    binance.run(story)


def test_mexc_one_ticker(mexc: Wire) -> None:
    async def story() -> None:
        ticker = await mexc.plain().watch_ticker("BTC/USDT")
        assert ticker["bid"] < ticker["ask"]

    mexc.run(story)


def test_candles_are_those_of_rest(wire: Wire) -> None:
    async def story() -> None:
        exchange = wire.plain()
        last: list[Any] = []
        for _ in range(3):
            last = (await exchange.watch_ohlcv("BTC/USDT", "1m"))[-1]
        read = {row[0]: row for row in await exchange.fetch_ohlcv("BTC/USDT", "1m")}
        there = read[last[0]]
        assert last[1] == there[1]
        assert there[3] <= last[3] <= last[4] <= last[2] <= there[2]

    wire.run(story)


def test_a_book_joins_its_snapshot_and_follows(binance: Wire) -> None:
    async def story() -> None:
        exchange = binance.plain()
        for count in range(6):
            book = await exchange.watch_order_book("BTC/USDT")
            assert book["bids"][0][0] < book["asks"][0][0]
            if count in (1, 3):
                binance.place(quantity="0.5")  # takes of the book that is followed
        sides = ({float(p): float(q) for p, q, *_ in book[side]} for side in ("bids", "asks"))
        told = tuple(sides)
        for back_ms in range(0, 3_000, 20):
            real = _book_of(binance, back_ms)
            if told == tuple({float(x.price): float(x.quantity) for x in side} for side in (real.bids, real.asks)):
                return
        raise AssertionError(f"followed to a book that never was: {told}")

    binance.run(story)


def test_orders_trades_and_balances(binance: Wire) -> None:
    async def story() -> None:
        exchange = binance.plain()
        orders = asyncio.ensure_future(exchange.watch_orders())
        trades = asyncio.ensure_future(exchange.watch_my_trades())
        balances = asyncio.ensure_future(exchange.watch_balance())
        await binance.until(lambda: binance.desk_channels() and binance.hub.accounts)
        placed = binance.place(quantity="2")
        (order,) = {item["id"]: item for item in await orders}.values()
        assert (order["clientOrderId"], order["id"]) == (placed.wire_id, placed.venue_order_id)
        assert (order["filled"], order["status"], order["timeInForce"]) == (2.0, "closed", "IOC")
        (trade,) = await trades
        assert (trade["order"], trade["amount"]) == (placed.venue_order_id, 2.0)
        assert trade["price"] == float(placed.trades[0].price)
        assert trade["fee"] == {"cost": float(placed.trades[0].fee), "currency": "BTC"}
        assert trade["id"] == placed.trades[0].venue_trade_id
        await balances
        await binance.until(lambda: exchange.balance["spot"].get("BTC", {}).get("free", 0) > 101.9)

    binance.run(story)


def test_mexc_orders_trades_and_balances(mexc: Wire) -> None:
    async def story() -> None:
        exchange = mexc.plain()
        watchers = [asyncio.ensure_future(call()) for call in (exchange.watch_orders, exchange.watch_my_trades)]
        balance = asyncio.ensure_future(exchange.watch_balance())
        hub = mexc.hub
        await mexc.until(lambda: hub.accounts and len(hub.accounts[0].topics) == 3)
        placed = mexc.place(quantity="2")
        await mexc.until(lambda: exchange.orders and exchange.orders[-1]["status"] == "closed")
        order = exchange.orders[-1]
        assert (order["clientOrderId"], order["id"]) == (placed.wire_id, placed.venue_order_id)
        assert (order["filled"], order["side"], order["timeInForce"]) == (2.0, "buy", "IOC")
        (trade,) = await watchers[1]
        assert (trade["order"], trade["amount"]) == (placed.venue_order_id, 2.0)
        assert trade["id"] == placed.trades[0].venue_trade_id
        await watchers[0]
        assert "BTC" in await balance or "USDT" in await balance

    mexc.run(story)


def test_how_an_order_ends(wire: Wire) -> None:
    async def story() -> None:
        exchange = wire.plain()

        async def follow() -> None:
            while True:
                await exchange.watch_orders()

        following = asyncio.ensure_future(follow())
        hub = wire.hub
        await wire.until(lambda: hub.accounts and (wire.name == "binance" or hub.accounts[0].topics))
        unfilled = wire.place(under="30")
        resting = wire.place(TimeInForce.GTC, under="30")
        wire.cancel(resting)
        await wire.until(lambda: exchange.orders and {"open"} != {o["status"] for o in exchange.orders})
        await wire.clock.sleep(1)
        ends = {order["clientOrderId"]: order["status"] for order in exchange.orders}
        assert ends[unfilled.wire_id] == ("expired" if wire.name == "binance" else "canceled")
        assert ends[resting.wire_id] == "canceled"
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    wire.run(story)


def test_a_wrong_signature_is_refused(binance: Wire) -> None:
    async def story() -> None:
        with pytest.raises((AuthenticationError, KeyError)) as raised:
            await binance.plain("wrong").watch_orders()
        assert "-1022" in _whole(raised.value)

    binance.run(story)


def test_mexc_a_wrong_signature_gets_no_listen_key(mexc: Wire) -> None:
    async def story() -> None:
        with pytest.raises(Exception, match="700002"):
            await mexc.plain("wrong").watch_orders()

    mexc.run(story)


def test_a_clock_that_is_off_is_refused(binance: Wire) -> None:
    async def story() -> None:
        exchange = binance.plain()
        exchange.milliseconds = lambda: binance.clock.now_ms() + 5_000
        with pytest.raises((InvalidNonce, KeyError)) as raised:
            await exchange.watch_orders()
        assert "-1021" in _whole(raised.value)

    binance.run(story)


def test_f14_a_cut_raises_in_every_watcher_and_replays_nothing(wire: Wire) -> None:
    async def story() -> None:
        exchange = wire.plain()
        hub = wire.hub
        watching = asyncio.ensure_future(exchange.watch_orders())
        await wire.until(lambda: hub.accounts and (wire.name == "binance" or hub.accounts[0].topics))
        wire.faults.once("stream_cut")
        wire.place()
        with pytest.raises(NetworkError):
            await watching
        watching = asyncio.ensure_future(exchange.watch_orders())
        await wire.until(lambda: hub.accounts and (wire.name == "binance" or hub.accounts[0].topics))
        after = wire.place()
        assert {order["clientOrderId"] for order in await watching} == {after.wire_id}

    wire.run(story)


def test_a_revoked_key_hears_that_its_stream_ended(binance: Wire) -> None:
    async def story() -> None:
        exchange = binance.plain()
        said: list[Any] = []
        inner = exchange.handle_message

        def listen(client: Any, message: Any) -> None:
            said.append(message)
            inner(client, message)

        exchange.handle_message = listen
        watching = asyncio.ensure_future(exchange.watch_orders())
        hub = binance.hub
        await binance.until(lambda: hub.accounts)
        binance.desk.change_key(KEY, {"revoked": True})
        await binance.until(lambda: not hub.accounts)
        await binance.until(lambda: said and said[-1].get("event", {}).get("e") == "eventStreamTerminated")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    binance.run(story)
