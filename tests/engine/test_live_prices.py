"""Positions led by prices that nobody foresees: each is held against the levels, once; stale ones decide nothing."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.engine.live_run import LiveRun
from tests.venues.live.conftest import START_MS, A
from tradecore.model.events import (
    AlertFired,
    DecisionOutcome,
    OrderFill,
    PositionClosed,
    PositionUpdated,
    SellTriggerEval,
    UncaughtException,
)
from tradecore.testing.factories import leader


def priced(run, *points):
    """The price from certain seconds on; 100 before."""

    def price(symbol, at_ms):
        return next((value for after, value in reversed(points) if at_ms - START_MS >= after * 1_000), 100.0)

    run.exchange.price = price


async def until(run, second):
    await run.stage.until(second)


def sound(run):
    assert run.told(UncaughtException) == []


@pytest.mark.parametrize(
    ("levels", "price", "reason"),
    [
        ({"stop": 0.99}, 98.5, "STOP_LOSS"),
        ({"take": 1.01}, 101.5, "TAKE_PROFIT"),
        ({"leave_after_ms": 12_300}, 100.0, "TIME_TO_LIVE"),
    ],
)
def test_r27_a_price_that_comes_meets_the_level_and_the_position_is_left(tmp_path, levels, price, reason):
    run = LiveRun(tmp_path, leader(**levels))
    priced(run, (20.5, price))
    run.play(lambda run: until(run, 40))
    ((met_ms, trigger),) = run.told(SellTriggerEval)
    assert (trigger.reason, trigger.by) == (reason, "lead")
    if reason == "TIME_TO_LIVE":
        opened = min(at for at, event in run.told(OrderFill))
        assert opened + 12_300 <= met_ms <= opened + 13_400, "looked at every second"
    else:
        assert 20_500 <= met_ms - START_MS <= 21_700, "symbols with a position are read every second"
    ((_, closed),) = run.told(PositionClosed)
    assert closed.reason == reason
    assert run.engine.desk.books.positions == {}
    sound(run)


def test_a_pushed_price_is_met_at_once_and_only_once(tmp_path):
    """Faster than any check: the price is met in the moment in which it comes in, however often it comes."""
    run = LiveRun(tmp_path, leader(stop=0.99), check_s=None, quotes_ms=60_000, attend_ms=60_000)

    async def story(run):
        clock = run.stage.clock
        for _ in range(80):
            run.feed.take_quote(run.exchange.quote(A, "stream"))
            await clock.sleep(0.25)
        priced(run, (0, 98.5))
        moment = clock.now_ms()
        for _ in range(5):
            run.feed.take_quote(run.exchange.quote(A, "stream"))
        await clock.sleep(5)
        ((met_ms, trigger),) = run.told(SellTriggerEval)
        assert met_ms == moment
        assert trigger.level == Decimal(99) * Decimal("1.0005")

    run.exchange.half_spread = 0.05
    run.play(story)
    assert len(run.told(PositionClosed)) == 1
    sound(run)


def test_a_spike_between_two_checks_is_met(tmp_path):
    run = LiveRun(tmp_path, leader(stop=0.99), check_s=30.0)

    async def story(run):
        await run.stage.until(20)
        for price in (100.0, 98.0, 100.0):
            priced(run, (0, price))
            run.feed.take_quote(run.exchange.quote(A, "stream"))
            await run.stage.clock.sleep(0.001)
        await run.stage.until(26)

    run.play(story)
    ((_, trigger),) = run.told(SellTriggerEval)
    assert trigger.price == 98
    sound(run)


def test_r22_a_position_is_led_on_after_a_restart(tmp_path):
    """The market fell while nobody looked: the first price of the next run meets the durable stop."""
    first = LiveRun(tmp_path, leader(stop=0.99))
    first.play(lambda run: until(run, 30))
    assert len(first.engine.desk.books.positions) == 1
    again = LiveRun(tmp_path, leader(stop=0.99), number=2, after_s=300)
    priced(again, (0, 95.0))
    again.play(lambda run: until(run, 320))
    ((met_ms, trigger),) = again.told(SellTriggerEval)
    assert (trigger.reason, trigger.price) == ("STOP_LOSS", Decimal("95.0"))
    assert met_ms - START_MS <= 302_000
    assert len(again.told(PositionClosed)) == 1
    assert (again.paper.venue.engine.balances["AAA"]) == (0, 0)
    sound(first)
    sound(again)


def test_r38_a_stale_price_decides_nothing_and_is_alarmed(tmp_path):
    run = LiveRun(tmp_path, leader(stop=0.99, leave_after_ms=25_000))

    async def story(run):
        await run.stage.until(20)
        assert run.position.symbol == A
        worth = run.engine.pictures.equity()
        run.exchange.down = True
        priced(run, (0, 90.0))
        await run.stage.until(60)
        assert run.told(SellTriggerEval) == [], "neither stop nor time"
        assert run.engine.desk.mark(A) is None
        assert run.engine.pictures.equity() == worth, "what is held has not vanished because nobody quotes it"
        run.exchange.down = False
        await run.stage.until(70)

    run.play(story)
    ((alarmed_ms, alert),) = [(at, e) for at, e in run.told(AlertFired) if e.name == "price_stale"]
    assert alert.severity == "critical"
    assert 34_000 <= alarmed_ms - START_MS <= 37_000
    ((met_ms, trigger),) = run.told(SellTriggerEval)
    assert trigger.reason == "TIME_TO_LIVE", "time comes before the stop"
    assert met_ms - START_MS >= 60_000
    sound(run)


def test_r38_a_price_that_comes_back_is_told(tmp_path):
    run = LiveRun(tmp_path, leader(stop=0.5))

    async def story(run):
        for down_s, up_s in ((20, 50), (70, 100)):
            await run.stage.until(down_s)
            run.exchange.down = True
            await run.stage.until(up_s)
            run.exchange.down = False
        await run.stage.until(110)

    run.play(story)
    alerts = [(e.name, e.severity) for _, e in run.told(AlertFired) if e.name.startswith("price_")]
    assert alerts == [("price_stale", "critical"), ("price_fresh", "info")] * 2
    sound(run)


def test_no_entry_on_a_row_without_data(tmp_path):
    run = LiveRun(tmp_path, leader(stop=0.9))

    async def story(run):
        run.exchange.down = True
        await run.stage.until(30)

    run.play(story)
    assert run.engine.tally.rows >= 5
    assert run.told(OrderFill) == []
    assert run.engine.tally.outcomes["NOT_TRADABLE"] >= 4


def test_an_add_is_met_once_a_row(tmp_path):
    run = LiveRun(tmp_path, leader(stop=0.5, add=0.995, add_quote=50.0))
    priced(run, (21, 99.0), (30.5, 100.0))
    run.play(lambda run: until(run, 40))
    adds = [at - START_MS for at, e in run.told(DecisionOutcome) if e.plugin == "lead"]
    assert 1 <= len(adds) <= 3
    rows = [(at - 1) // 5_000 for at in adds]
    assert len(set(rows)) == len(rows)
    assert run.told(SellTriggerEval) == []
    sound(run)


def test_marks_that_move_are_told_and_noise_is_not(tmp_path):
    run = LiveRun(tmp_path, leader(stop=0.5))
    priced(run, (20, 100.02), (24, 100.5), (28, 100.51))
    run.play(lambda run: until(run, 40))
    marks = [(at - START_MS, e.mark, e.unrealised_pnl_quote) for at, e in run.told(PositionUpdated) if e.what == "mark"]
    assert [mark for _, mark, _ in marks] == [Decimal("100.5")]
    assert 24_000 <= marks[0][0] <= 27_000
    assert marks[0][2] > 0
    sound(run)


def test_live_intents_and_positions_are_attended(tmp_path):
    run = LiveRun(tmp_path, leader(stop=0.5), quotes_ms=5_000)

    async def story(run):
        await run.stage.until(14)
        assert run.feed.poller.attended == {A}
        priced(run, (0, 40.0))
        await run.stage.until(25)
        assert run.feed.poller.attended == frozenset()

    run.play(story)
    assert len(run.told(PositionClosed)) == 1
    sound(run)


def test_a_level_met_while_the_first_is_acted_on_is_not_met_twice(tmp_path):
    """The check and the quote see the same price in the same moment."""
    run = LiveRun(tmp_path, leader(stop=0.99), check_s=None)

    async def story(run):
        await run.stage.until(20)
        priced(run, (0, 98.0))
        run.feed.take_quote(run.exchange.quote(A, "stream"))
        await asyncio.gather(*(run.engine.leading.check_prices() for _ in range(3)))
        run.feed.take_quote(run.exchange.quote(A, "stream"))
        await run.stage.until(25)

    run.play(story)
    assert len(run.told(SellTriggerEval)) == 1
    assert len(run.told(PositionClosed)) == 1
    sound(run)
