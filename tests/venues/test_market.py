"""Books and prices of the twin's market, and the feed on the same rows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradecore.model.units import Side, is_step
from tradecore.venues.twin.feed import start_row_of
from tradecore.venues.twin.market import TwinMarket
from tradecore.venues.twin.records import BookShape

NAN = float("nan")
SYMBOL = "BTC/USDT"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    price=st.sampled_from([0.07, 1.0, 99.99, 60_000.0]),
    volume=st.sampled_from([0.01, 3.0, 1_000.0, 1e9]),
    bps=st.sampled_from([0.0, 5.0, 200.0, 2_000.0]),
    at=st.integers(1, 600_000),
)
def test_a_book_is_never_crossed_and_always_on_its_grid(world, candles, filters, seed, price, volume, bps, at):
    rows = world.rows(BTC_USDT=candles(seed, 10, price, volume, bps))
    book = TwinMarket(rows, seed).book(SYMBOL, world.start_ms + at)
    assert book is not None
    item = filters(SYMBOL)
    for side, levels in ((Side.SELL, book.bids), (Side.BUY, book.asks)):
        prices = [level.price for level in levels]
        assert prices == sorted(set(prices), reverse=side is Side.SELL)
        for level in levels:
            assert level.price > 0
            assert level.quantity > 0
            assert is_step(level.price, item.tick_size)
            assert is_step(level.quantity, item.lot_size)
    if book.bids and book.asks:
        assert book.best_bid < book.best_ask


def test_the_same_seed_gives_the_same_book_whatever_was_asked_before(world, candles):
    rows = world.rows(BTC_USDT=candles(3, 300))
    moments = [world.start_ms + at for at in (1, 40_000, 5_000_000, 17_999_999, 61_000)]
    forward = {at: TwinMarket(rows, 5).book(SYMBOL, at) for at in moments}
    one = TwinMarket(rows, 5)
    assert {at: one.book(SYMBOL, at) for at in reversed(moments)} == forward
    assert TwinMarket(rows, 6).book(SYMBOL, moments[1]) != forward[moments[1]]


def test_a_fast_candle_widens_the_spread_and_thins_the_depth(world):
    calm = (100.0, 100.01, 99.99, 100.0, 10_000.0)
    crash = (100.0, 100.0, 92.0, 93.0, 10_000.0)
    market = TwinMarket(world.rows(BTC_USDT=[calm] * 5 + [crash] * 2), 1)
    quiet = market.book(SYMBOL, world.start_ms + 240_000)
    wild = market.book(SYMBOL, world.start_ms + 360_000)

    def depth(book):
        return sum(level.price * level.quantity for level in book.asks)

    assert wild.spread_bps > 5 * quiet.spread_bps
    assert depth(wild) < depth(quiet) / 3


def test_a_book_does_not_tell_what_the_rest_of_its_row_will_do(world):
    calm = (100.0, 100.01, 99.99, 100.0, 10_000.0)
    crash = (100.0, 100.01, 80.0, 81.0, 10_000.0)
    first = world.start_ms + 60_001
    quiet = TwinMarket(world.rows(BTC_USDT=[calm, calm]), 1).book(SYMBOL, first)
    assert TwinMarket(world.rows(BTC_USDT=[calm, crash]), 1).book(SYMBOL, first) == quiet


def test_no_volume_or_no_data_means_nobody_is_there(world):
    rows = [
        (100.0, 101.0, 99.0, 100.0, 0.0),
        (NAN,) * 5,
        (100.0, 101.0, 99.0, 100.0, NAN),
        (100.0, 101.0, 99.0, 100.0, 5e3),
    ]
    market = TwinMarket(world.rows(BTC_USDT=rows), 1)
    for row in range(3):
        book = market.book(SYMBOL, world.start_ms + row * 60_000 + 30_000)
        assert (book.bids, book.asks) == ((), ())
    assert market.step(SYMBOL, world.start_ms + 30_000).price > 0
    assert market.step(SYMBOL, world.start_ms + 90_000) is None
    assert market.book(SYMBOL, world.start_ms + 210_000).asks


def test_there_is_no_book_before_the_data_or_of_an_unknown_symbol(world, candles):
    market = TwinMarket(world.rows(BTC_USDT=candles(1, 3)), 1)
    assert market.book(SYMBOL, world.start_ms) is None
    assert market.book("ETH/USDT", world.start_ms + 1_000) is None
    assert market.book(SYMBOL, world.start_ms + 1) is not None
    # After the end the last price stands.
    assert market.step(SYMBOL, world.start_ms + 10**9) == market.step(SYMBOL, world.start_ms + 180_000)


def test_the_step_at_a_close_is_the_close(world, candles):
    rows = candles(9, 20)
    market = TwinMarket(world.rows(BTC_USDT=rows), 1)
    for i, row in enumerate(rows):
        assert market.step(SYMBOL, world.start_ms + (i + 1) * 60_000).price == row[3]


def test_without_steps_between_closes_a_row_has_four_prices(world):
    market = TwinMarket(world.rows(BTC_USDT=[(100.0, 103.0, 98.0, 101.0, 5.0)]), 1, BookShape(between_closes=False))
    assert [step.price for step in market.steps(SYMBOL, 0)] == [100.0, 98.0, 103.0, 101.0]


def test_coarse_ticks_and_lots_leave_a_thin_but_valid_book(world, filters):
    rows = world.rows(PEPE_USDT=[(0.0002, 0.0002, 0.0002, 0.0002, 1e10)] * 3)
    rows.instruments["PEPE/USDT"] = filters("PEPE/USDT", tick="0.0001", lot="1000")
    market = TwinMarket(rows, 1)
    book = market.book("PEPE/USDT", world.start_ms + 100_000)
    assert book.best_ask - book.best_bid == Decimal("0.0001")
    assert all(level.quantity % 1000 == 0 for level in book.asks + book.bids)
    assert all(level.price > 0 for level in book.bids)


# Feed -------------------------------------------------------------------------------------------------------


def test_the_feed_gives_rows_in_order_and_ends(world, candles):
    feed = world.twin(world.rows(BTC_USDT=candles(1, 5), ETH_USDT=candles(2, 5))).feed
    closes = []
    while feed.next_close_ms is not None:
        expected = feed.next_close_ms
        assert feed.take() == expected
        closes.append(expected)
        assert feed.history(2).timestamps[-1] == expected
    assert closes == [world.start_ms + 60_000 * n for n in range(1, 6)]
    assert feed.take() is None
    assert feed.block(5, 5) is None
    assert feed.steps(SYMBOL, closes[-1]) == ()
    assert feed.history(99).rows == 5


def test_the_feed_looks_ahead_only_where_it_is_asked_to(world, candles):
    feed = world.twin(world.rows(BTC_USDT=candles(1, 10))).feed
    for _ in range(4):
        feed.take()
    block = feed.block(3, 4)
    assert list(block.timestamps) == [world.start_ms + 60_000 * n for n in range(2, 9)]
    assert feed.history(3).rows == 3
    assert feed.history(3).timestamps[-1] == world.start_ms + 240_000
    assert feed.block(99, 99).rows == 10


def test_the_feed_counts_gaps_and_remembers_the_last_price(world):
    rows = [(100.0, 101.0, 99.0, 100.5, 5.0), (NAN,) * 5, (NAN,) * 5]
    never = [(NAN,) * 5] * 3
    feed = world.twin(world.rows(BTC_USDT=rows, DEAD_USDT=never)).feed

    async def story():
        assert feed.last_price(SYMBOL) is None
        for n in range(1, 4):
            await world.until(n * 60_000)
            feed.take()
        assert feed.gaps() == 5
        assert feed.last_price(SYMBOL) == 100.5
        assert feed.last_price("DEAD/USDT") is None
        assert feed.last_price("NONE/USDT") is None
        assert feed.book(SYMBOL).asks == ()

    world.run(story())


def test_the_feed_finds_a_price_far_before_its_start(world, make_world):
    rows = [(100.0, 101.0, 99.0, 100.5, 5.0)] + [(NAN,) * 5] * 9_000
    source = world.rows(BTC_USDT=rows)
    twin = world.twin(source)
    late = type(twin.feed)(source, twin.market, world.clock, start_row=9_001)

    async def story():
        await world.until(9_001 * 60_000)
        assert late.last_price(SYMBOL) == 100.5

    world.run(story())


def test_steps_of_the_feed_reach_to_the_next_close(world, candles):
    feed = world.twin(world.rows(BTC_USDT=candles(1, 5))).feed
    feed.take()
    close = world.start_ms + 60_000
    steps = feed.steps(SYMBOL, close)
    assert [step.at_ms for step in steps] == sorted({step.at_ms for step in steps})
    assert steps[0].at_ms == close + 1
    assert steps[-1].at_ms == close + 60_000
    assert feed.steps(SYMBOL, steps[2].at_ms) == steps[3:]
    assert feed.steps(SYMBOL, steps[-1].at_ms) == ()


@pytest.mark.parametrize(("offset_ms", "row"), [(0, 0), (1, 0), (60_000, 1), (119_999, 1), (120_000, 2), (10**9, 4)])
def test_a_restart_begins_with_the_first_row_not_taken(world, candles, offset_ms, row):
    source = world.rows(BTC_USDT=candles(1, 4))
    assert start_row_of(source, world.start_ms + offset_ms) == row
    assert start_row_of(source, 0) == 0


def test_the_feed_goes_on_after_the_rows_noted_in_the_file(world, make_world, candles, tmp_path: Path):
    source = world.rows(BTC_USDT=candles(1, 10))
    first = world.twin(source, path=tmp_path / "twin.db")
    for _ in range(4):
        first.venue.note_market_time(first.feed.take())
    again = make_world().twin(source, path=tmp_path / "twin.db")
    assert again.venue.market_time_ms == world.start_ms + 240_000
    assert again.feed.next_close_ms == world.start_ms + 300_000
