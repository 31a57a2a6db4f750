"""Own trades: no cursor skips one, whatever the venue cuts off (reference orders.md 2.8, F9)."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradecore.errors import RetryableVenueError
from tradecore.venues.ccxt.trades import Cursor, cursor_of

SYMBOL = "BTC/USDT"


def _row(number, at_ms, mexc):
    # MEXC's ids are hex without an order.
    return {
        "symbol": "BTCUSDT", "id": f"{number * 7919 % 99991:032x}" if mexc else number,
        "orderId": "C02__1" if mexc else 5,
        "price": "100", "qty": "0.1", "quoteQty": "10", "commission": "0.01", "commissionAsset": "USDT", "time": at_ms,
        "isBuyer": True, "isMaker": False, "isBestMatch": True,
    }  # fmt: skip


class Book:
    """A venue's list of trades, cut to a page at one of its ends."""

    def __init__(self, times, page, *, mexc, newest):
        self.rows = [_row(i + 1, at, mexc) for i, at in enumerate(sorted(times))]
        self.page, self.newest = page, newest

    def __call__(self, request):
        fields = dict(part.split("=") for part in request.url.split("?")[1].split("&"))
        rows = self.rows
        if "fromId" in fields:
            return [row for row in rows if row["id"] >= int(fields["fromId"])][: self.page]
        rows = [row for row in rows if row["time"] >= int(fields.get("startTime", 0))]
        rows = [row for row in rows if row["time"] <= int(fields.get("endTime", 10**15))]
        return rows[-self.page :] if self.newest else rows[: self.page]


def _collect(one, start_ms, cursor=""):
    """Page as the engine does."""
    found, pages = {}, 0
    while True:
        page = one.run(one.venue.trades(SYMBOL, cursor, start_ms))
        found |= {trade.venue_trade_id: trade for trade in page.trades}
        pages += 1
        assert pages < 200
        if not page.more or page.cursor == cursor:
            return found, page.cursor
        cursor = page.cursor


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ages=st.lists(st.integers(0, 2 * 86_400_000), max_size=40, unique=True),
    newest=st.booleans(),
    page=st.integers(3, 9),
    exchange=st.sampled_from(["binance", "mexc"]),
)
def test_f9_every_trade_is_found_once_the_pages_are_read(opened_once, ages, newest, page, exchange):
    one = opened_once(exchange)
    object.__setattr__(one.client, "ways", one.client.ways._replace(trade_page=page))
    now = one.world.clock.now_ms()
    # No more in a few milliseconds than a page holds: beyond that MEXC offers no way to page.
    times = [now - 10 * age for age in ages]
    book = Book(times, page, mexc=exchange == "mexc", newest=newest and exchange == "mexc")
    one.script.lines.clear()
    one.script.on("myTrades", book)
    found, _ = _collect(one, now - 21 * 86_400_000)
    assert sorted(found) == sorted(str(row["id"]) for row in book.rows)


@pytest.mark.parametrize("exchange", ["binance", "mexc"])
def test_f8_a_trade_that_shows_up_late_is_found_behind_the_cursor(opened, exchange):
    one = opened(exchange)
    now = one.world.clock.now_ms()
    book = Book([now - 50_000, now - 20_000], 100, mexc=exchange == "mexc", newest=True)
    late = book.rows.pop()
    one.script.on("myTrades", book)
    first, cursor = _collect(one, now - 60_000)
    assert len(first) == 1
    book.rows.append(late)
    one.run(one.world.until(20_000 - 5_000))
    second, _ = _collect(one, now - 60_000, cursor)
    assert str(late["id"]) in second


def test_binance_cursor_asks_from_the_next_id_and_keeps_its_place_while_nothing_traded(opened):
    one = opened("binance")
    now = one.world.clock.now_ms()
    one.script.on("myTrades", [])
    page = one.run(one.venue.trades(SYMBOL, "", now - 5000))
    assert (page.trades, page.cursor, page.more) == ((), f"t:{now - 5000}", False)
    # The next sweep names a later moment, and still nothing is skipped.
    one.script.on("myTrades", [_row(7, now - 4000, False)])
    page = one.run(one.venue.trades(SYMBOL, page.cursor, now - 1000))
    assert f"startTime={now - 5000}" in one.script.requests[-1].url
    assert page.cursor == "i:8"
    one.script.on("myTrades", [])
    assert one.run(one.venue.trades(SYMBOL, "i:8", 0)).cursor == "i:8"
    assert re.search(r"fromId=8\b", one.script.requests[-1].url)
    assert "startTime" not in one.script.requests[-1].url


def test_more_trades_in_one_millisecond_than_a_page_holds_are_loud(opened):
    one = opened("mexc")
    now = one.world.clock.now_ms()
    rows = [_row(i, now - 5000, True) for i in range(100)]
    one.script.on("myTrades", lambda _: rows)
    with pytest.raises(RetryableVenueError, match="more than a page"):
        one.run(one.venue.trades(SYMBOL, "", now - 6000))


def test_trade_ids_that_ccxt_makes_up_are_refused(opened):
    one = opened("okx")
    row = {
        "side": "buy", "fillSz": "0.1", "fillPx": "100", "fee": "-0.0001", "ordId": "312269865356374016",
        "instType": "SPOT", "instId": "BTC-USDT", "clOrdId": "", "posSide": "net", "billId": "1", "tag": "",
        "execType": "T", "tradeId": "11906002", "feeCcy": "BTC", "ts": str(one.world.clock.now_ms() - 100),
    }  # fmt: skip
    one.script.on("fills", {"code": "0", "data": [row]})
    [trade] = one.run(one.venue.trades(SYMBOL, "", one.world.clock.now_ms() - 1000)).trades
    assert trade.venue_trade_id == "11906002"
    assert (trade.fee, trade.fee_currency) == (Decimal("0.0001"), "BTC")
    one.script.on("fills", {"code": "0", "data": [{**row, "tradeId": None}]})
    with pytest.raises(RetryableVenueError, match="trade id"):
        one.run(one.venue.trades(SYMBOL, "", one.world.clock.now_ms() - 1000))


def test_rows_of_another_symbol_are_no_answer(opened):
    one = opened("binance")
    now = one.world.clock.now_ms()
    one.script.on("myTrades", [_row(1, now, False), {**_row(2, now, False), "symbol": "ETHUSDT"}])
    with pytest.raises(RetryableVenueError, match="one symbol"):
        one.run(one.venue.trades(SYMBOL, "", now - 1000))


@given(st.text(max_size=20), st.integers(0, 10**13))
def test_a_cursor_that_nobody_can_read_starts_over(text, since_ms):
    cursor = cursor_of(text, since_ms)
    assert cursor_of(cursor.text, 0) == cursor


@given(st.integers(0, 10**18), st.integers(0, 10**13))
def test_cursors_read_back(number, moment):
    assert cursor_of(Cursor(number, 0).text, 5) == Cursor(number, 0)
    assert cursor_of(Cursor(None, moment).text, 5) == Cursor(None, moment)
