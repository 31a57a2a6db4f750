"""Thousands of markets without holding the loop (INV-20), and with the very result of ccxt's own way."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import lzma
import time
import weakref
from decimal import Decimal
from pathlib import Path

import ccxt.async_support as library
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.clocks.clock import SystemClock
from tradecore.venues.ccxt.heap import sleeping_collector
from tradecore.venues.ccxt.open import open_market
from tradecore.venues.ccxt.pieces import LARGE, parse_answer, parse_in_pieces
from tradecore.venues.ccxt.ways import ways_of
from tradecore.venues.limiter import RequestLimiter

RECORDED = Path(__file__).resolve().parents[4] / "shared/data/markets/binance-exchangeInfo-2024-09-08.json.xz"
TABLES = (
    "markets", "markets_by_id", "symbols", "ids", "currencies", "currencies_by_id", "codes", "baseCurrencies",
    "quoteCurrencies",
)  # fmt: skip
HOLD_MS = 50.0

JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=20,
)


def at_once(text):
    try:
        return json.loads(text, parse_float=str)
    except ValueError:
        return ValueError


def in_pieces(text):
    try:
        return asyncio.run(parse_in_pieces(text))
    except ValueError:
        return ValueError


@settings(max_examples=150, deadline=None)
@given(JSON, st.sampled_from([None, 0, 2]), st.data())
def test_in_pieces_is_what_it_is_at_once(value, indent, data):
    text = json.dumps(value, indent=indent)
    assert in_pieces(text) == at_once(text) == parse_answer(text)
    if text:
        place = data.draw(st.integers(0, len(text) - 1))
        for spoiled in (text[:place], text[:place] + text[place + 1 :], text[:place] + "," + text[place:], text + "x"):
            assert in_pieces(spoiled) == at_once(spoiled), spoiled


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', "{}", "[]", " [ ] ", '{"a":{"b":{"c":[1.10,2]}}}', "[1,]", "{1:2}", "", "{", '{"a"}', "NaN"],
)
def test_odd_answers(text):
    wanted, found = at_once(text), in_pieces(text)
    assert found == wanted or (wanted != wanted and found != found)


def recorded_twice():
    """The markets of Binance as recorded, and once more under other names."""
    if not RECORDED.is_file():
        pytest.skip("no recorded markets beside the repository")
    told = json.loads(lzma.decompress(RECORDED.read_bytes()))
    again = copy.deepcopy(told["symbols"])
    for row in again:
        row |= {"symbol": "X" + row["symbol"], "baseAsset": "X" + row["baseAsset"]}
    told["symbols"] += again
    return told


@pytest.fixture
def listed(opened):
    """Make an answer that lists many markets, as the script of these tests has them."""

    def make(name, count=700):
        one = opened(name)
        form = one.binance_symbol if name == "binance" else one.mexc_symbol
        return {"timezone": "UTC", "symbols": [form(f"C{number}") for number in range(count)]}

    return make


class Served:
    """The markets of a venue over a real socket, and nothing else."""

    def __init__(self, told):
        self.body = json.dumps(told).encode()
        self.asked = 0

    async def answer(self, request):
        self.asked += 1
        assert request.path == "/api/v3/exchangeInfo", request.path
        return web.Response(body=self.body, content_type="application/json")

    async def __aenter__(self):
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self.answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_error):
        await self._runner.cleanup()


class Watch:
    """How long the loop's thread worked without giving the turn away, by its own processor time, milliseconds."""

    def __init__(self):
        self.longest_ms = 0.0

    async def __call__(self):
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.longest_ms = max(self.longest_ms, (time.thread_time() - before) * 1000)


def tables_at_once(name, told):
    """What ccxt's own class makes of the same answer."""

    async def story():
        exact = type(name, (getattr(library, name),), {"number": str})
        exchange = exact({"enableRateLimit": False, "options": dict(ways_of(name).options)})
        exchange.has["fetchCurrencies"] = False

        async def fetch(*_asked, **_more):
            return json.loads(json.dumps(told), parse_float=str)

        async def nothing(_params=None):
            return []

        exchange.fetch = fetch
        exchange.fetch_swap_markets = nothing
        try:
            await exchange.load_markets()
            return {table: getattr(exchange, table) for table in TABLES}
        finally:
            await exchange.close()

    return asyncio.run(story())


def read_twice(name, told):
    """Our way: read, and read anew while somebody watches the loop."""

    async def story():
        clock = SystemClock()
        async with Served(told) as served:
            market = open_market(name, clock=clock, limiter=RequestLimiter(clock, 10_000), base_url=served.url)
            watch = Watch()
            try:
                first = await market.instruments()
                watching = asyncio.create_task(watch())
                again = await market.instruments()
                watching.cancel()
                exchange = market.client.exchange
                assert served.asked == 2, "one request a reading"
                assert first == again
                return watch.longest_ms, {table: getattr(exchange, table) for table in TABLES}, again
            finally:
                await market.close()

    return asyncio.run(story())


def test_inv20_markets_of_binance_read_anew_hold_nobody_up():
    told = recorded_twice()
    assert len(told["symbols"]) == 2 * 1_248
    assert len(json.dumps(told)) > LARGE
    longest_ms, tables, instruments = read_twice("binance", told)
    wanted = tables_at_once("binance", told)
    for table in TABLES:
        assert tables[table] == wanted[table], table
        if isinstance(wanted[table], dict):
            assert list(tables[table]) == list(wanted[table]), f"{table}: in the same order"
    assert len(instruments) > 2_000
    assert longest_ms < HOLD_MS, longest_ms


@pytest.mark.parametrize("name", ["binance", "mexc"])
def test_inv20_many_markets_read_anew(name, listed):
    told = listed(name)
    longest_ms, tables, instruments = read_twice(name, told)
    wanted = tables_at_once(name, told)
    assert {table: tables[table] for table in TABLES} == wanted
    assert len(instruments) == 700
    assert all(one.tick_size > Decimal(0) for one in instruments.values())
    assert longest_ms < HOLD_MS, longest_ms


def test_on_virtual_time_no_thread_is_needed(opened, listed):
    one = opened("binance")
    one.script.on("exchangeInfo", listed("binance"))
    found = one.run(one.venue.instruments())
    assert len(found) == 700


def test_what_fails_leaves_the_tables_that_were(opened, listed):
    one = opened("binance")
    one.script.on("exchangeInfo", listed("binance"))
    one.run(one.venue.instruments())
    before = {table: getattr(one.exchange, table) for table in TABLES}
    one.script.on("exchangeInfo", {"symbols": [{"symbol": 5}] * 400})
    with pytest.raises(Exception, match="instruments"):
        one.run(one.venue.instruments())
    assert {table: getattr(one.exchange, table) for table in TABLES} == before


def test_a_copy_made_aside_has_nothing_to_close(caplog, listed):
    told = listed("binance")
    read_twice("binance", told)
    gc.collect()
    assert [record for record in caplog.records if "close()" in record.getMessage()] == []


# The collector of cycles ------------------------------------------------------------------------------------------


class Cycle:
    def __init__(self):
        self.me = self


def test_garbage_of_before_is_collected_and_the_collector_wakes_again(listed):
    lost = weakref.ref(Cycle())
    rounds = []
    gc.callbacks.append(lambda phase, info: rounds.append(info["generation"]) if phase == "start" else None)
    try:
        read_twice("binance", listed("binance"))
    finally:
        gc.callbacks.pop()
    assert lost() is None
    assert 2 in rounds
    assert gc.isenabled()


def test_a_collector_that_somebody_put_to_sleep_sleeps_on():
    gc.disable()
    try:
        frozen = gc.get_freeze_count()
        with sleeping_collector(first=True, keep=True):
            assert not gc.isenabled()
        assert not gc.isenabled()
        assert gc.get_freeze_count() <= frozen, "what was frozen before may have gone meanwhile"
    finally:
        gc.enable()


def test_after_an_error_the_collector_wakes_and_nothing_is_kept():
    frozen = gc.get_freeze_count()
    with pytest.raises(RuntimeError), sleeping_collector(keep=True):
        raise RuntimeError
    assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen
