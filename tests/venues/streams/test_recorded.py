"""Recorded pushes of Binance, and documented ones, through ccxt's own readers into our words."""

from __future__ import annotations

import json
import lzma
import math
from collections import Counter
from pathlib import Path

import pytest

from tradecore.clocks.clock import SystemClock
from tradecore.venues.ccxt.exchange import ClockOffset, build
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.market import quote_of as rest_quote_of
from tradecore.venues.ccxt.streams_account import hints_of
from tradecore.venues.ccxt.streams_quotes import quote_of
from tradecore.venues.ccxt.streams_wire import pro_class
from tradecore.venues.ccxt.transport import HttpTransport
from tradecore.venues.ccxt.ways import ways_of

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
recorded = pytest.mark.skipif(not DATA.is_dir(), reason="no recorded data beside the repository")
SYMBOLS = {
    "BTCUSDT": "BTC/USDT", "BLZETH": "BLZ/ETH", "LRCBTC": "LRC/BTC", "NKNUSDT": "NKN/USDT", "RUNEEUR": "RUNE/EUR",
    "ETHUSDT": "ETH/USDT", "ETHBTC": "ETH/BTC", "LTCBTC": "LTC/BTC", "AEUSDT": "AE/USDT",
}  # fmt: skip


class Told:
    """What ccxt's readers resolve; nobody waits here."""

    url = "wss://stream.binance.com:9443/stream"
    subscriptions: dict = {}  # noqa: RUF012 - ccxt reads it, nobody writes

    def resolve(self, *_told):
        pass


def market(name, symbol):
    """A spot market as ccxt has it."""
    base, quote = symbol.split("/")
    return {
        "id": name, "symbol": symbol, "base": base, "quote": quote, "baseId": base, "quoteId": quote, "type": "spot",
        "precision": {"amount": "0.00000001", "price": "0.00000001"}, "limits": {}, "info": {}, "spot": True,
        **dict.fromkeys(("linear", "inverse", "contract", "swap", "future", "option"), False),
    }  # fmt: skip


@pytest.fixture
def exchange():
    made = build(
        pro_class("binance"), ways=ways_of("binance"), clock=SystemClock(), offset=ClockOffset(), keys=ApiKeys(),
        transport=HttpTransport(),
    )  # fmt: skip
    made.set_markets([market(name, symbol) for name, symbol in SYMBOLS.items()])
    return made


def lines(*names):
    for name in names:
        path = DATA.joinpath("recorded", "binance", f"{name}.txt.xz")
        for line in lzma.decompress(path.read_bytes()).decode().splitlines():
            at = line.find('{"stream":')
            if at >= 0:
                yield json.loads(line[at:])


@recorded
def test_every_recorded_best_price_is_a_quote_of_the_same_figures(exchange):
    count, client = Counter(), Told()
    for message in lines("btcusdt_20240808", "btcusdt_20240809", "BINANCE.ws.1.0"):
        if not message["stream"].endswith("@bookTicker"):
            continue
        raw = message["data"]
        exchange.handle_bids_asks(client, raw)
        symbol = SYMBOLS[raw["s"]]
        quote = quote_of(symbol, exchange.bidsasks[symbol], 7)
        assert (quote.symbol, quote.received_ms, quote.source) == (symbol, 7, "stream")
        assert quote[2:6] == (float(raw["b"]), float(raw["a"]), float(raw["B"]), float(raw["A"]))
        assert quote.bid < quote.ask
        count[symbol] += 1
    assert count["BTC/USDT"] > 50_000
    assert set(count) == {"BTC/USDT", "BLZ/ETH", "LRC/BTC", "NKN/USDT"}


def samples(name):
    rows = [json.loads(line) for line in DATA.joinpath("api-samples", f"{name}.jsonl").read_text().splitlines()]
    return {(row.get("source") or row["name"]).rsplit("/", 1)[-1].removesuffix(".json"): row for row in rows}


@recorded
def test_every_documented_report_of_an_order_names_it(exchange):
    count = 0
    for name, row in samples("binance-spot").items():
        if not name.startswith("execution_report"):
            continue
        report = row["body"].get("event", row["body"])
        [hint] = hints_of([exchange.parse_ws_order(report)], 7)
        # a cancel is named by an id of its own; the order's is in C
        ours = report["C"] if report["x"] == "CANCELED" and report["C"] else report["c"]
        assert hint == (SYMBOLS[report["s"]], ours, str(report["i"]), 7)
        count += 1
    assert count == 6


@recorded
def test_documented_tickers_without_the_rest_are_quotes_without_it(exchange):
    """Best prices alone, a last price alone: what nobody of us asks for today is still read as what it is."""
    raw = samples("binance-spot")["book_ticker_response"]["body"]
    quote = rest_quote_of("LTC/BTC", exchange.parse_ticker(raw), 7, raw=True)
    assert quote[2:6] == (float(raw["bidPrice"]), float(raw["askPrice"]), float(raw["bidQty"]), float(raw["askQty"]))
    assert math.isnan(quote.last)
    raw = samples("binance-spot")["ticker_price_response"]["body"]
    quote = rest_quote_of(
        "LTC/BTC", exchange.parse_ticker({"symbol": raw["symbol"], "lastPrice": raw["price"]}), 7, raw=True
    )
    assert quote.last == float(raw["price"])
    assert math.isnan(quote.bid)
    for raw in samples("mexc-spot")["GetBookPrices"]["body"]:
        quote = rest_quote_of("AE/USDT", exchange.parse_ticker(raw), 7, raw=True)
        assert (quote.bid, quote.ask) == (float(raw["bidPrice"]), float(raw["askPrice"]))


@pytest.mark.parametrize("wrong", [None, "", "x", "nan", "inf", "-inf", "-1", "0", [], "1e999"])
def test_f19_a_price_that_no_market_has_is_none(wrong):
    ticker = {"bid": "1.5", "ask": "1.6", "bidVolume": "2", "askVolume": "3", "last": "1.55", "quoteVolume": "9"}
    for name, place in (("bid", 2), ("ask", 3), ("bidVolume", 4), ("askVolume", 5), ("last", 6), ("quoteVolume", 7)):
        quote = quote_of("BTC/USDT", {**ticker, name: wrong}, 7)
        assert math.isnan(quote[place]), name
        assert sum(math.isnan(value) for value in quote[2:8]) == 1
