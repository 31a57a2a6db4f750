"""The whole program over real HTTP: a session ends as the demo does, and as the venue's truth log says it should."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

import pytest

from tests.campaigns.wire_faults import CASES
from tests.campaigns.wire_placement import QUICK, ROWS, deal
from tests.campaigns.wire_stage import WIRES, Act, Scene, Stage, play
from tests.canary import KEY, SECRET
from tradecore.app import Options, execute, prepare
from tradecore.model.events import (
    ExchangeCall,
    InstrumentsChanged,
    IntentCreated,
    OrderAck,
    OrderAttempt,
    OrderFill,
    SessionStarted,
    SweepReport,
)
from tradecore.model.places import STORE_FILE
from tradecore.store.queries import open_reader
from tradecore.testing.records import records_of

CASE = {case.number: case for case in CASES}
#: Those whose way differs between the wires, or that broke something once; the campaign plays all of them on both.
SHORT = (
    ("F8", "mexc"), ("F10", "binance"), ("F13", "binance"), ("F25", "mexc"), ("F27", "mexc"), ("F28", "binance"),
    ("F50", "binance"),
)  # fmt: skip
RESTING_LONG = ('exec_ioc_gtc.steps=[{time_in_force="GTC", premium_bps=0, attempts=1, ttl_ms=3000000}]',
                "engine.intent_ttl_s=3600")  # fmt: skip
LONGER_S = {"F8": 290, "F50": 270}
"""Where a minute after a spell of a minute and a half is too short for all to settle."""


@pytest.fixture(scope="module")
def demo():
    """The summary of the demo itself."""
    return execute(prepare(Options("demo", {}, ('run.for="2m"', "run.speed=max")))).summary


@pytest.mark.parametrize("wire", WIRES)
def test_a_session_over_http_ends_as_the_demo_does(wire, demo, tmp_path):
    played = play(Scene(wire, for_s=160, streams=True), tmp_path)
    assert played.findings() == []
    summary = played.summary
    assert summary.keys() == demo.keys()
    assert summary["pending_intents"] == 0
    assert summary["orders_filled"] > 3
    assert summary["positions_closed"] > 0
    assert summary["ended"] == demo["ended"] == "time is up"
    assert len(played.truth.orders) == summary["orders_sent"]
    # the streams were heard, and the account's own news too
    calls = Counter(note.event.operation for note in played.notes(ExchangeCall))
    assert calls["place"] == summary["orders_sent"]
    assert calls["balances"] > 3
    assert played.notes(OrderAck)


def test_inv17_the_canary_is_used_and_nowhere_to_be_found(tmp_path, capfd, caplog):
    """What `tests/leaks.py` looks for at the end of the run was really in play here."""
    stage = Stage(Scene("mexc", for_s=60), tmp_path)
    played = stage.run(stage.trade)
    (key,) = stage.server.desk.keys.all
    assert (key, stage.server.desk.keys.all[key].secret) == (KEY, SECRET)
    out, err = capfd.readouterr()
    told = json.dumps(played.summary, default=str) + out + err + caplog.text
    assert KEY not in told
    assert SECRET not in told
    holding = [path.name for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert holding == ["canary.key"]


@pytest.mark.parametrize(("number", "wire"), SHORT)
def test_faults_of_the_wire_lose_and_double_nothing(number, wire, tmp_path):
    case = CASE[number]
    scene = Scene(wire, **{**case.scene, "spell_s": 90, "for_s": LONGER_S.get(number, 190)})
    played = play(scene, tmp_path, case.story)
    assert played.findings() == []
    assert played.summary["orders_filled"] > 0
    assert not case.hits or sum(played.happened.get(name, 0) for name in case.hits) > 0


@pytest.mark.parametrize("wire", WIRES)
def test_every_fault_of_placing_ends_as_the_venue_has_it(wire, tmp_path):
    """The rows of orders.md 2.2: the outcome is never wrong, UNKNOWN may be, and settles."""
    played, fates = deal(Scene(wire, **QUICK), tmp_path)
    assert len(fates) >= 27
    assert [fate for fate in fates if fate.wrong] == []
    # a slow machine lets a time stamp grow old, a market refuse a price: then an order ends another way
    assert sum(fate.there is fate.row.exists for fate in fates) >= len(fates) - 3
    doubted = [fate for fate in fates if fate.at_once == "UNKNOWN"]
    assert len(doubted) > 20
    assert all(fate.settle_ms is not None for fate in doubted)
    certain = {fate.row.fault for fate in fates if fate.at_once == "ACCEPTED"}
    assert not certain & {row.fault for row in ROWS[:21]}
    assert played.findings() == []


def test_r19_nobody_leaves_a_position_before_the_start_has_reconciled(tmp_path):
    """Fills that a start finds open positions whose time is over at once; their exits wait for the start's end.

    They did not, once: the start took the new exit up a second time, and its first order was sent twice.
    """
    sets = (*RESTING_LONG, "shutdown.policy=keep", 'exits.time_to_live="1s"')

    async def story(act: Act) -> None:
        act.faults.always("no_liquidity")
        while len(act.desk.engine.open_orders) < 3:
            await act.wait(0.2)
        act.engine.request_stop("enough")

    scene = Scene("binance", speed=20.0, for_s=120, sets=sets)
    stage = Stage(scene, tmp_path)
    first = stage.run(lambda: stage.trade(story))
    assert first.summary["pending_intents"] > 0
    later = Stage(scene._replace(sets=(*sets, "shutdown.policy=cancel"), for_s=60), tmp_path, begin_s=400)
    second = later.run(later.trade)
    assert second.findings() == []
    told = [booked.stamped.event for booked in records_of(second.folder / STORE_FILE).events]
    (_, begun) = [place for place, event in enumerate(told) if isinstance(event, SessionStarted)]
    swept = next(place for place, event in enumerate(told) if place > begun and isinstance(event, SweepReport))
    assert any(isinstance(event, OrderFill) for event in told[begun:swept]), "the start is to find fills"
    assert not [event for event in told[begun:swept] if isinstance(event, IntentCreated | OrderAttempt)]
    assert any(isinstance(event, IntentCreated) and event.reduces for event in told[swept:])


def test_inv8_an_exception_of_the_feed_is_in_the_summary(tmp_path):
    async def story(act: Act) -> None:
        feed = act.engine.desk.feed

        async def broken() -> None:
            feed.poller.rounds = whole
            raise ZeroDivisionError("expected a feed that stumbles once")

        whole, feed.poller.rounds = feed.poller.rounds, broken
        (task,) = [task for task in feed._tasks if task.get_name() == "feed quotes"]
        feed._tasks.remove(task)
        task.cancel()
        feed._spawn("quotes", lambda: feed.poller.rounds())  # noqa: PLW0108 - another one after the stumble

    played = play(Scene("mexc", for_s=60), tmp_path, story)
    assert played.summary["errors"] == {"ZeroDivisionError": 1}
    assert played.findings() == ["summary: expected errors {}, was {'ZeroDivisionError': 1}"]


def test_r38_a_symbol_that_is_delisted_while_trading_is_noticed(tmp_path):
    async def story(act: Act) -> None:
        await act.wait(30)
        act.desk.change_symbol(act.symbols[0], {"status": "DELISTED"})

    played = play(Scene("binance", for_s=150, sets=("signals_drop.drop_pct=50",)), tmp_path, story)
    told = [note.event for note in played.notes(InstrumentsChanged)]
    assert [event.delisted for event in told] == [("BTC/USDT",)]
    assert played.findings() == []


def test_r19_a_second_session_goes_on_where_the_first_ended(tmp_path):
    first = play(Scene("mexc", for_s=120), tmp_path)
    assert first.summary["orders_filled"] > 0
    stage = Stage(Scene("mexc", for_s=120), tmp_path, begin_s=125)
    second = stage.run(stage.trade)
    assert second.findings() == []
    with open_reader(second.folder / STORE_FILE) as reader:
        last = reader.last_run()
    assert last is not None
    assert last.number == 2
    opening = [entry for entry in records_of(second.folder / STORE_FILE).balances if entry[0] == "assets"]
    assert opening
    assert second.truth.total("USDT") == Decimal(second.summary["equity_end"]) or second.summary["positions_open"]
