"""Unmodified ccxt classes against the wire: everything that the bot will ask (issue's wire list; orders.md 3.1)."""

from __future__ import annotations

import itertools
from decimal import Decimal

import ccxt.async_support as ccxt
import pytest

BTC = "BTC/USDT"


def test_markets_tickers_book_candles_trades_and_time(wire):
    async def story():
        exchange = await wire.market()
        assert {BTC, "ETH/USDT", "SOL/USDT"} <= set(exchange.markets)
        market = exchange.market(BTC)
        assert market["active"] is True
        assert Decimal(market["precision"]["price"]) == Decimal("0.01")
        assert Decimal(market["limits"]["cost"]["min"]) == 5
        ticker = await exchange.fetch_ticker(BTC)
        book = wire.book()
        assert (Decimal(ticker["bid"]), Decimal(ticker["ask"])) == (book.best_bid, book.best_ask)
        assert Decimal(ticker["low"]) <= Decimal(ticker["last"]) <= Decimal(ticker["high"])
        assert Decimal(ticker["quoteVolume"]) > Decimal(ticker["baseVolume"]) > 0
        assert set(await exchange.fetch_tickers()) == {BTC, "ETH/USDT", "SOL/USDT"}
        assert set(await exchange.fetch_bids_asks()) == {BTC, "ETH/USDT", "SOL/USDT"}
        depth = await exchange.fetch_order_book(BTC, 5)
        assert [len(depth["asks"]), len(depth["bids"])] == [5, 5]
        assert Decimal(str(depth["asks"][0][0])) > Decimal(str(depth["bids"][0][0]))
        rows = await exchange.fetch_ohlcv(BTC, "1m", limit=5)
        assert [b[0] - a[0] for a, b in itertools.pairwise(rows)] == [60_000] * 4
        assert rows[-1][0] <= wire.clock.now_ms() < rows[-1][0] + 60_000
        hours = await exchange.fetch_ohlcv(BTC, "1h", limit=3)
        minutes = await exchange.fetch_ohlcv(BTC, "1m", since=hours[0][0], limit=60)
        assert Decimal(hours[0][2]) == max(Decimal(row[2]) for row in minutes)
        assert abs(Decimal(hours[0][5]) - sum(Decimal(row[5]) for row in minutes)) < Decimal("0.0001")
        trades = await exchange.fetch_trades(BTC, limit=10)
        assert len(trades) == 10
        assert [t["timestamp"] for t in trades] == sorted(t["timestamp"] for t in trades)
        assert abs(await exchange.fetch_time() - wire.clock.now_ms()) < 2_000

    wire.run(story)


def test_binance_with_its_default_options_asks_for_nothing_that_is_not_there(binance):
    async def story():
        exchange = binance.ccxt()
        exchange.options |= {"fetchCurrencies": True, "fetchMargins": True}
        await exchange.load_markets()
        assert exchange.currencies["BTC"]["id"] == "BTC"
        assert (await exchange.fetch_trading_fee(BTC))["taker"] == "0.00100000"

    binance.run(story)


def test_mexc_currencies_and_fees(mexc):
    async def story():
        exchange = mexc.ccxt()
        exchange.has["fetchCurrencies"] = True
        await exchange.load_markets()
        assert BTC in exchange.markets
        assert Decimal((await exchange.fetch_trading_fee(BTC))["taker"]) == Decimal("0.001")

    mexc.run(story)


def test_balance_and_its_locks(wire):
    async def story():
        exchange = await wire.market()
        balance = await exchange.fetch_balance()
        assert (balance["USDT"]["free"], balance["USDT"]["used"]) in {
            ("1000000", "0"),
            ("1000000.00000000", "0.00000000"),
        }
        await exchange.create_order(BTC, "limit", "buy", "0.1", str(wire.low()))
        locked = Decimal((await exchange.fetch_balance())["USDT"]["used"])
        assert Decimal("0.1") * wire.low() * Decimal("0.99") < locked < Decimal("0.1") * wire.low() * Decimal("1.01")

    wire.run(story)


def test_an_ioc_fills_and_is_found_by_our_id(wire):
    async def story():
        exchange = await wire.market()
        ask, wire_id = wire.ask(), "a" * 32
        sent = await exchange.create_order(
            BTC, "limit", "buy", "0.1", str(ask * 2), {"timeInForce": "IOC", "clientOrderId": wire_id}
        )
        if wire.wire == "mexc":
            assert (sent["status"], sent["filled"], sent["clientOrderId"]) == (None, None, None)
            assert sent["id"].startswith("C02__")
        else:
            assert (sent["status"], sent["filled"]) == ("closed", "0.10000000")
        found = await exchange.fetch_order(None, BTC, {"clientOrderId": wire_id})
        assert (found["id"], found["status"], Decimal(found["filled"])) == (sent["id"], "closed", Decimal("0.1"))
        trades = await exchange.fetch_my_trades(BTC)
        assert sum(Decimal(t["amount"]) for t in trades) == Decimal("0.1")
        assert {t["fee"]["currency"] for t in trades} == {"BTC"}
        (true,) = wire.truth().orders()
        assert (true.wire_id, true.executed) == (wire_id, Decimal("0.1"))

    wire.run(story)


def test_an_ioc_that_finds_nobody_ends_in_the_venues_word(wire):
    async def story():
        exchange = await wire.market()
        wire_id = "b" * 32
        await exchange.create_order(
            BTC, "limit", "buy", "0.1", str(wire.low()), {"timeInForce": "IOC", "clientOrderId": wire_id}
        )
        found = await exchange.fetch_order(None, BTC, {"clientOrderId": wire_id})
        assert (found["info"]["status"], Decimal(found["filled"])) == (
            "CANCELED" if wire.wire == "mexc" else "EXPIRED",
            0,
        )

    wire.run(story)


def test_f9_a_partial_fill_keeps_its_quantity_whatever_its_status_says(wire):
    async def story():
        exchange = await wire.market()
        level = wire.book().asks[0]
        quantity = level.quantity + Decimal("0.5")
        await exchange.create_order(
            BTC, "limit", "buy", str(quantity), str(level.price), {"timeInForce": "IOC", "clientOrderId": "c" * 32}
        )
        found = await exchange.fetch_order(None, BTC, {"clientOrderId": "c" * 32})
        word = {"binance": "EXPIRED", "mexc": "PARTIALLY_CANCELED"}[wire.wire]
        assert (found["info"]["status"], Decimal(found["filled"])) == (word, level.quantity)

    wire.run(story)


def test_a_fok_fills_whole_or_not(wire):
    async def story():
        exchange = await wire.market()
        level = wire.book().asks[0]
        for wire_id, quantity, filled in (
            ("d" * 32, level.quantity + 1, 0),
            ("e" * 32, level.quantity, level.quantity),
        ):
            await exchange.create_order(
                BTC, "limit", "buy", str(quantity), str(level.price), {"timeInForce": "FOK", "clientOrderId": wire_id}
            )
            found = await exchange.fetch_order(None, BTC, {"clientOrderId": wire_id})
            assert Decimal(found["filled"]) == filled

    wire.run(story)


def test_a_gtc_stands_is_listed_and_canceled(wire):
    async def story():
        exchange = await wire.market()
        sent = await exchange.create_order(BTC, "limit", "buy", "0.1", str(wire.low()), {"clientOrderId": "f" * 32})
        (standing,) = await exchange.fetch_open_orders(BTC)
        assert (standing["clientOrderId"], standing["status"]) == ("f" * 32, "open")
        exchange.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
        assert len(await exchange.fetch_open_orders()) == 1
        await exchange.cancel_order(None, BTC, {"clientOrderId": "f" * 32})
        assert await exchange.fetch_open_orders(BTC) == []
        assert (await exchange.fetch_order(sent["id"], BTC))["status"] == "canceled"
        assert [row["id"] for row in await exchange.fetch_orders(BTC)] == [sent["id"]]

    wire.run(story)


def test_a_post_only_order_rests_or_is_refused(wire):
    async def story():
        exchange = await wire.market()
        await exchange.create_order(BTC, "limit", "buy", "0.1", str(wire.low()), {"postOnly": True})
        (standing,) = await exchange.fetch_open_orders(BTC)
        assert standing["info"]["type"] == "LIMIT_MAKER"
        with pytest.raises(ccxt.BaseError, match=r"immediately match|30041"):
            await exchange.create_order(BTC, "limit", "buy", "0.1", str(wire.ask() + 5), {"postOnly": True})
        assert len(wire.truth().orders()) == 1

    wire.run(story)


def test_a_market_order_gets_what_there_is(wire):
    async def story():
        exchange = await wire.market()
        await exchange.create_order(BTC, "market", "sell", "0.2", None, {"clientOrderId": "1" * 32})
        found = await exchange.fetch_order(None, BTC, {"clientOrderId": "1" * 32})
        assert (found["status"], Decimal(found["filled"]), found["type"]) == ("closed", Decimal("0.2"), "market")
        await exchange.create_market_buy_order_with_cost(BTC, "1000")
        (bought,) = [order for order in wire.truth().orders() if order.side == "buy"]
        assert Decimal(900) < bought.executed_quote <= Decimal(1000)

    wire.run(story)


def test_cancel_all(wire):
    async def story():
        exchange = await wire.market()
        for share in ("0.9", "0.8"):
            await exchange.create_order(BTC, "limit", "buy", "0.1", str(wire.low(share)))
        await exchange.cancel_all_orders(BTC)
        assert [str(order.status) for order in wire.truth().orders()] == ["CANCELED"] * 2

    wire.run(story)


def test_f9_more_trades_than_a_page(wire):
    async def story():
        exchange = await wire.market()
        wire.desk.faults.once("split_fills", 300)
        for level in wire.book().asks[:1]:
            await exchange.create_order(
                BTC, "limit", "buy", str(level.quantity), str(level.price), {"timeInForce": "IOC"}
            )
        true = {trade.venue_trade_id for trade in wire.truth().trades()}
        assert len(true) > 200
        seen: set[str] = set()
        if wire.wire == "binance":
            cursor = 0
            while rows := await exchange.fetch_my_trades(BTC, limit=100, params={"fromId": cursor}):
                seen |= {row["id"] for row in rows}
                cursor = int(rows[-1]["id"]) + 1
        else:
            rows = await exchange.fetch_my_trades(BTC, limit=1_000)
            seen |= {row["id"] for row in rows}
            assert len(rows) == 100
            true = {trade.venue_trade_id for trade in wire.truth().trades()[-100:]}
        assert seen == true

    wire.run(story)


def test_time_passes_and_fills_what_rests(wire):
    async def story():
        exchange = await wire.market()
        told = []
        wire.desk.listeners.append(lambda event: told.append((event.kind, event.view and event.view.order.wire_id)))
        bid = wire.book().best_bid
        await exchange.create_order(BTC, "limit", "buy", "0.01", str(bid), {"clientOrderId": "2" * 32})
        for _ in range(120):
            await wire.clock.sleep(5)
            if any(kind == "FILL" for kind, _ in told):
                break
        # nobody asked: the market itself led the order on
        assert told[0] == ("ACCEPTED", "2" * 32)
        assert ("FILL", "2" * 32) in told
        (true,) = wire.truth().orders()
        assert true.executed > 0

    wire.run(story)
