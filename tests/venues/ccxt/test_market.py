"""Public data: instruments with their flags, quotes in batches, books that are sorted by number, closed candles."""

from __future__ import annotations

import contextlib
import math
from decimal import Decimal

import pytest

from tradecore.errors import RetryableVenueError, SettingsError, VenueRefused
from tradecore.model.events import RateLimitHit
from tradecore.model.order import NewOrder
from tradecore.model.units import Side, TimeInForce
from tradecore.ports.limiter import Priority
from tradecore.venues.ccxt.open import open_ccxt, open_market

SYMBOL = "BTC/USDT"


def test_binance_instruments(opened):
    one = opened("binance", ready=False)
    halted = one.binance_symbol("ETH", status="BREAK")
    shut = one.binance_symbol("LTC", isSpotTradingAllowed=False)
    one.script.on("exchangeInfo", {"symbols": [one.binance_symbol("BTC"), halted, shut]})
    found = one.run(one.venue.instruments())
    btc = found[SYMBOL]
    assert (btc.tick_size, btc.lot_size) == (Decimal("0.01"), Decimal("0.00001"))
    assert (btc.min_quantity, btc.max_quantity, btc.min_notional_quote) == (Decimal("0.00001"), 9000, 5)
    assert (btc.taker_fee_bps, btc.fee_currency) == (10, "BTC")
    assert [(item.can_buy, item.can_sell) for item in found.values()] == [(True, True), (False, False), (False, False)]
    # Asked again it reads anew: a halt and a delisting are noticed.
    one.script.on("exchangeInfo", {"symbols": [one.binance_symbol("BTC", status="HALT")]})
    found = one.run(one.venue.instruments())
    assert list(found) == [SYMBOL]
    assert not found[SYMBOL].can_buy


def test_mexc_majors_are_judged_by_the_keys_own_list(opened):
    one = opened("mexc", ready=False)
    symbols = [
        one.mexc_symbol("BTC", isSpotTradingAllowed=False), one.mexc_symbol("ETH"), one.mexc_symbol("LTC", status="2"),
        one.mexc_symbol("XRP", tradeSideType="2"), one.mexc_symbol("ADA", tradeSideType="3"),
    ]  # fmt: skip
    one.script.on("exchangeInfo", {"symbols": symbols})
    one.script.on("selfSymbols", {"code": 200, "data": ["BTCUSDT", "LTCUSDT", "XRPUSDT", "ADAUSDT"]})
    found = one.run(one.venue.instruments())
    sides = {item.base: (item.can_buy, item.can_sell) for item in found.values()}
    assert sides == {
        "BTC": (True, True), "ETH": (False, False), "LTC": (False, False), "XRP": (True, False), "ADA": (False, True),
    }  # fmt: skip
    # Without an answer nobody knows, and the flag alone would shut the majors.
    one.script.on("selfSymbols", {"code": 700007, "msg": "No permission"}, 400)
    found = one.run(one.venue.instruments())
    assert found[SYMBOL].can_buy
    assert not found["LTC/USDT"].can_buy
    assert found[SYMBOL].fee_currency == "USDT"


def test_no_market_at_all_is_no_answer(opened):
    one = opened("binance", ready=False)
    for body in ("{}", '{"symbols": []}', "<html></html>", '{"symbols": ['):
        one.script.on("exchangeInfo", body)
        with pytest.raises(RetryableVenueError):
            one.run(one.venue.instruments())
    known = opened("binance")
    known.script.on("exchangeInfo", '{"symbols": []}')
    with pytest.raises(RetryableVenueError):
        known.run(known.venue.instruments())
    assert SYMBOL in known.exchange.markets, "what was known stays known"


def _ticker(symbol, **more):
    return {
        "symbol": symbol, "lastPrice": "100.05", "bidPrice": "100.00", "bidQty": "2", "askPrice": "100.10",
        "askQty": "3", "volume": "10", "quoteVolume": "1001.5", "openPrice": "99", "highPrice": "101",
        "lowPrice": "98", "closeTime": 1700000000000, **more,
    }  # fmt: skip


def test_quotes_in_one_request(opened):
    one = opened("binance")
    one.script.on("ticker/24hr", [_ticker("BTCUSDT"), _ticker("ETHUSDT", bidPrice="0.00", bidQty="0")])
    found = one.run(one.venue.market.quotes([SYMBOL, "ETH/USDT", "NO/COIN"]))
    assert len(one.script.requests) == 1
    quote = found[SYMBOL]
    assert (quote.bid, quote.ask, quote.bid_quantity, quote.ask_quantity) == (100.0, 100.1, 2.0, 3.0)
    assert (quote.last, quote.volume_24h_quote, quote.source) == (100.05, 1001.5, "rest")
    assert quote.received_ms == one.world.clock.now_ms()
    assert math.isnan(found["ETH/USDT"].bid), "nobody buys"
    assert "NO/COIN" not in found
    one.script.on("ticker/24hr", _ticker("BTCUSDT"))
    assert set(one.run(one.venue.market.quotes([SYMBOL]))) == {SYMBOL}


def test_mexc_quotes_without_volume_or_sizes(opened):
    one = opened("mexc")
    rows = [_ticker("BTCUSDT", quoteVolume=None, bidQty="", askQty=""), _ticker("ETHUSDT")]
    one.script.on("ticker/24hr", rows)
    quote = one.run(one.venue.market.quotes([SYMBOL, "ETH/USDT"]))[SYMBOL]
    assert math.isnan(quote.volume_24h_quote), "what the venue does not say is not made up"
    assert math.isnan(quote.bid_quantity)
    assert quote.bid == 100.0


def test_many_symbols_are_read_with_all(opened):
    one = opened("binance", symbols=None)
    symbols = [one.binance_symbol(f"C{i}") for i in range(300)]
    one.script.on("exchangeInfo", {"symbols": symbols})
    one.run(one.client.load_markets(anew=True))
    one.script.on("ticker/24hr", [_ticker(symbol["symbol"]) for symbol in symbols])
    one.script.requests.clear()
    assert len(one.run(one.venue.market.quotes([f"C{i}/USDT" for i in range(300)]))) == 300
    [request] = one.script.requests
    assert "symbols" not in request.url


def _best(symbol, **more):
    return {"symbol": symbol, "bidPrice": "100.00", "bidQty": "2", "askPrice": "100.10", "askQty": "3", **more}


@pytest.mark.parametrize("exchange", ["binance", "mexc"])
def test_r38_best_prices_are_read_from_the_cheap_answer(opened, exchange):
    one = opened(exchange)
    one.script.on("ticker/bookTicker", [_best("BTCUSDT"), _best("ETHUSDT", bidPrice="0.00", bidQty="0"), _best("XYZ")])
    found = one.run(one.venue.market.best([SYMBOL, "ETH/USDT", "NO/COIN"]))
    [request] = one.script.requests
    assert ("symbols" in request.url) is (exchange == "binance"), "MEXC takes no list"
    quote = found[SYMBOL]
    assert (quote.bid, quote.ask, quote.bid_quantity, quote.ask_quantity) == (100.0, 100.1, 2.0, 3.0)
    assert math.isnan(quote.last)
    assert math.isnan(quote.volume_24h_quote)
    assert (quote.received_ms, quote.source) == (one.world.clock.now_ms(), "rest")
    assert math.isnan(found["ETH/USDT"].bid), "nobody buys"
    assert set(found) == {SYMBOL, "ETH/USDT"}
    one.script.on("ticker/bookTicker", _best("BTCUSDT"))
    assert set(one.run(one.venue.market.best([SYMBOL]))) == {SYMBOL}
    assert "symbol=BTCUSDT" in one.script.requests[-1].url
    assert one.run(one.venue.market.best(["NO/COIN"])) == {}


def test_best_prices_of_an_exchange_without_a_cheap_answer_are_whole_quotes(opened):
    one = opened("kraken")
    assert not one.client.ways.book_ticker
    asked = []

    async def quotes(symbols):
        asked.append(tuple(symbols))
        return {}

    one.venue.market.quotes = quotes
    assert one.run(one.venue.market.best([SYMBOL])) == {}
    assert asked == [(SYMBOL,)]


@pytest.mark.parametrize(
    "body", ["[]", "null", '"hello"', "<html></html>", '{"code": -1121, "msg": "Invalid symbol."}']
)
def test_f5_best_prices_of_another_kind_are_no_answer(opened, body):
    one = opened("binance")
    one.script.on("ticker/bookTicker", body)
    try:
        found = one.run(one.venue.market.best([SYMBOL, "ETH/USDT"]))
    except (RetryableVenueError, VenueRefused):
        return
    assert found == {}, "a row without a price tells of nothing"


@pytest.mark.parametrize("exchange", ["binance", "okx", "kraken"])
def test_f20_books_are_sorted_by_number_and_not_as_text(opened, exchange):
    one = opened(exchange)
    bids = [["9.5", "1"], ["99", "2"], ["100", "0"], ["8", "3"]]
    asks = [["1000", "1"], ["101", "2"], ["200", "3"]]
    body = {
        "binance": {"lastUpdateId": 1, "bids": bids, "asks": asks},
        "okx": {"code": "0", "data": [{"bids": [[*b, "0", "1"] for b in bids], "asks": [[*a, "0", "1"] for a in asks],
                                       "ts": "1700000000000"}]},
        "kraken": {"error": [], "result": {
            "XBTUSDT": {"bids": [[*b, 1] for b in bids], "asks": [[*a, 1] for a in asks]}}},
    }[exchange]  # fmt: skip
    one.script.on("depth|books|Depth", body)
    book = one.run(one.venue.book(SYMBOL))
    assert [level.price for level in book.bids] == [Decimal(99), Decimal("9.5"), Decimal(8)]
    assert [level.price for level in book.asks] == [101, 200, 1000]


def test_f19_f20_malformed_books_are_no_books(opened):
    one = opened("binance")
    for levels in ([["NaN", "1"]], [["-1", "1"]], [["1", "-1"]], [["1"]], "x", [[None, None]], [["inf", "1"]]):
        one.script.on("depth", {"lastUpdateId": 1, "bids": levels, "asks": []})
        with pytest.raises(RetryableVenueError):
            one.run(one.venue.book(SYMBOL))
    one.script.on("depth", {"lastUpdateId": 1, "bids": [], "asks": []})
    book = one.run(one.venue.book(SYMBOL))
    assert (book.bids, book.asks) == ((), ())


def test_candles_are_closed_ones_in_order(opened):
    one = opened("binance")
    now = one.world.clock.now_ms()
    rows = [[now - 60_000 * i, "1", "3", "0.5", "2", "10", 0, "0", 1, "0", "0", "0"] for i in range(4)]
    one.script.on("klines", rows)
    found = one.run(one.venue.market.candles(SYMBOL, 60_000, now - 120_000, 10))
    assert [candle.open_ms for candle in found] == [now - 120_000, now - 60_000], "the running one is left out"
    assert found[0][1:] == (1.0, 3.0, 0.5, 2.0, 10.0)
    with pytest.raises(VenueRefused, match="timeframe"):
        one.run(one.venue.market.candles(SYMBOL, 61_000, now, 1))


def test_every_data_read_takes_its_turn_with_its_weight(opened):
    one = opened("binance")
    turns = []
    acquire = one.limiter.acquire

    async def noted(priority, *, weight=1, deadline_ms=None):
        turns.append((priority, weight))
        return await acquire(priority, weight=weight, deadline_ms=deadline_ms)

    one.limiter.acquire = noted
    one.script.on("ticker/24hr", [_ticker("BTCUSDT"), _ticker("ETHUSDT")])
    one.script.on("depth", {"lastUpdateId": 1, "bids": [], "asks": []})
    one.script.on("klines", [])
    market = one.venue.market
    one.run(market.quotes([SYMBOL, "ETH/USDT"]))
    one.run(market.book(SYMBOL))
    one.run(one.venue.book(SYMBOL))
    one.run(market.candles(SYMBOL, 60_000, 0, 5))
    one.run(market.instruments())
    assert turns == [
        (Priority.DATA, 2), (Priority.DATA, 5), (Priority.ORDER, 5), (Priority.DATA, 2), (Priority.DATA, 20),
    ]  # fmt: skip


def test_r34_weight_of_others_and_bans_reach_the_limiter(opened):
    one = opened("binance")
    one.script.on("depth", {"lastUpdateId": 1, "bids": [], "asks": []}, X_MBX_USED_WEIGHT_1M="777")
    one.run(one.venue.market.book(SYMBOL))
    assert one.limiter._minute.weight == 777
    one.script.on("depth", {"code": -1003, "msg": "Too many requests."}, 429, Retry_After="30")
    with pytest.raises(RetryableVenueError) as raised:
        one.run(one.venue.market.book(SYMBOL))
    assert raised.value.retry_after_s == 30.0
    assert one.limiter.banned_until_ms == one.world.clock.now_ms() + 31_000
    kinds = [type(event).__name__ for event in one.events]
    assert "RateLimitHit" in kinds
    assert "ExchangeCall" in kinds


@pytest.mark.parametrize(
    "address",
    [
        "http://venue.test:1",
        "https://127.0.0.1:1",
        "http://127.0.0.1.venue.test",
        "http://127.0.0.1:1/x",
        "ftp://x",
        "x",
    ],
)
def test_other_addresses_than_this_machines_are_refused(world, opened, address):
    one = opened("binance")
    with pytest.raises(SettingsError, match="base_url"):
        open_market("binance", clock=world.clock, limiter=one.limiter, base_url=address, transport=one.script)


def test_redirected_nothing_leaves_the_machine(world, opened):
    one = opened("binance")
    for exchange in ("binance", "mexc"):
        market = open_market(
            exchange, clock=world.clock, limiter=one.limiter, base_url="http://127.0.0.1:9", transport=one.script
        )

        def addresses(urls):
            return [
                address for url in urls.values() for address in (addresses(url) if isinstance(url, dict) else [url])
            ]

        assert all(
            address.startswith("http://127.0.0.1:9") for address in addresses(market.client.exchange.urls["api"])
        )
        world.run(market.close())
    with pytest.raises(SettingsError, match="binance or mexc"):
        open_market("kraken", clock=world.clock, limiter=one.limiter, base_url="http://127.0.0.1:9")
    with pytest.raises(SettingsError, match="exchange of ccxt"):
        open_market("nosuch", clock=world.clock, limiter=one.limiter)
    one.script.closed = 0


def test_retries_of_the_library_are_refused(opened):
    from tradecore.venues.ccxt.exchange import check

    one = opened("binance")
    assert one.exchange.options["maxRetriesOnFailure"] == 0
    for where in (one.exchange.options, one.exchange.options.setdefault("createOrder", {})):
        where["maxRetriesOnFailure"] = 3
        with pytest.raises(SettingsError, match="maxRetriesOnFailure"):
            check(one.exchange)
        where["maxRetriesOnFailure"] = 0
    one.exchange.enableRateLimit = True
    with pytest.raises(SettingsError, match="enableRateLimit"):
        check(one.exchange)


def test_open_ccxt_is_the_way_in(opened):
    assert open_ccxt.__doc__
    one = opened("binance")
    assert (one.venue.name, one.venue.timing.receive_window_ms) == ("binance", 5000)
    assert repr(one.venue) == "CcxtVenue(binance)"


@pytest.mark.parametrize("status", [418, 429])
@pytest.mark.parametrize("exchange", ["binance", "mexc"])
def test_f15_inv15_a_refusal_shuts_the_door_whatever_was_asked(opened, exchange, status):
    """After a 418 or a 429 nobody is let through, whether a read, an order or a cancel met it."""
    order = NewOrder("0" * 32, SYMBOL, Side.BUY, TimeInForce.IOC, Decimal("100.01"), Decimal("0.5"))
    calls = {
        "book": lambda venue: venue.market.book(SYMBOL), "open orders": lambda venue: venue.open_orders(SYMBOL),
        "place": lambda venue: venue.place(order), "cancel": lambda venue: venue.cancel(SYMBOL, "0" * 32, "7"),
    }  # fmt: skip
    for name, call in calls.items():
        one = opened(exchange)
        one.script.on("depth|openOrders|/order", {"code": -1003, "msg": "banned"}, status, Retry_After="30")
        with contextlib.suppress(RetryableVenueError):
            one.run(call(one.venue))
        now_ms = one.world.clock.now_ms()
        assert one.limiter.banned_until_ms == now_ms + 31_000, name
        hits = [event for event in one.events if isinstance(event, RateLimitHit)]
        assert [hit.wait_ms for hit in hits] == [30_000], name
        turn = one.limiter.acquire(Priority.CANCEL, deadline_ms=now_ms + 30_000)
        assert one.run(turn) is False, f"{name}: not even a cancel goes"
