"""Long outages, halts and delistings met by a run on live prices, and the age that figures tell (R38, F22, F23)."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.live_run import LiveRun
from tests.venues.live.conftest import START_MS, A, instrument
from tradecore.engine.tradable import Tradable
from tradecore.model.events import AlertFired, OrderFill, SellTriggerEval, UncaughtException
from tradecore.testing.factories import leader


def alarms(run, name):
    return [at for at, event in run.told(AlertFired) if event.name == name]


def test_f23_nothing_is_filled_on_paper_while_the_exchange_is_away_and_the_stop_is_met_on_its_return(tmp_path):
    run = LiveRun(tmp_path, leader(stop=0.99))
    seen: dict[str, Any] = {}

    async def story(run):
        await run.stage.until(30)
        assert run.engine.desk.books.positions, "entered in row 2"
        run.exchange.down = True
        run.exchange.price = lambda symbol, at_ms: 90.0  # falls while nobody can see it
        await run.stage.until(630)
        seen["status"] = json.loads(run.engine.status_text())
        seen["price"] = run.feed.last_price(A)
        seen["valued"] = run.feed.newest(A)
        seen["book"] = run.engine.pictures.fresh_book(A)
        run.exchange.down = False
        await run.stage.until(660)

    run.play(story)
    away = [at for at, _ in run.told(OrderFill) if START_MS + 31_000 < at < START_MS + 630_000]
    assert away == [], "nobody was there to fill it"
    assert seen["price"] is None
    assert seen["book"] is None
    assert seen["valued"].price == 100.0
    (met,) = [at for at, _ in run.told(SellTriggerEval)]
    assert START_MS + 630_000 <= met <= START_MS + 640_000
    assert run.engine.desk.books.positions == {}
    assert len(alarms(run, "quotes_unavailable")) == len(alarms(run, "quotes_available")) == 1
    assert run.told(UncaughtException) == []
    # what is valued by an old price says how old it is
    assert 595_000 <= seen["status"]["marks_age_ms"] <= 605_000


def test_r38_figures_are_as_old_as_they_say_and_not_as_young_as_they_are_asked(tmp_path):
    run = LiveRun(tmp_path, leader(stop=0.5), row_ms=60_000, history_rows=3)
    told = []

    async def story(run):
        await run.stage.until(125)
        for second in (126, 150, 175):
            await run.stage.until(second)
            told.append((json.loads(run.engine.status_text())["at_ms"], run.stage.clock.now_ms()))

    run.play(story)
    for at_ms, now_ms in told:
        assert at_ms <= now_ms
    assert told[0][0] == told[1][0] == told[2][0], "nothing was reckoned anew within the row"


def test_f22_a_symbol_that_is_halted_and_comes_back_has_no_price_of_before(tmp_path):
    run = LiveRun(tmp_path, instruments_ms=2_000, stale_ms=30_000)
    seen = []

    async def story(run):
        run.engine.desk.feed.listing.listeners.append(lambda found: seen.append(run.feed.last_price(A)))
        await run.stage.until(6)
        run.exchange.listed[A] = instrument(A)._replace(can_buy=False, can_sell=False)
        await run.stage.until(12)
        assert run.feed.last_price(A) is None
        assert run.feed.book(A) is None
        del run.exchange.listed[A]
        await run.stage.until(18)
        assert run.feed.last_price(A) is None
        run.exchange.listed[A] = instrument(A)
        run.exchange.price = lambda symbol, at_ms: 50.0
        await run.stage.until(24)
        assert run.feed.last_price(A) == pytest.approx(50.0)

    run.play(story)
    assert 100.0 not in seen[1:], "when it trades again, the price of before the halt decides nothing"
    assert run.told(UncaughtException) == []


@pytest.mark.parametrize(
    ("item", "words"),
    [(None, "does not list it"), (instrument(A)._replace(can_sell=False), "does not trade it"), (instrument(A), "")],
)
def test_f22_a_position_whose_symbol_was_shut_while_nobody_ran_is_alarmed_at_the_start(item, words):
    told: list[tuple[str, str, str]] = []
    desk: Any = SimpleNamespace(
        books=SimpleNamespace(positions={"p": SimpleNamespace(symbol=A)}), alert=lambda *facts: told.append(facts)
    )
    Tradable(desk)._tell_of_held({} if item is None else {A: item})
    assert [(name, severity) for name, severity, _ in told] == (
        [("position_symbol_halted", "critical")] if words else []
    )
    assert all(words in text for _, _, text in told)
