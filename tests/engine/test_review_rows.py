"""Rows, candidates, money and starts, as a review of the engine broke them.

Each test is the story of one defect that was found and mended.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from decimal import Decimal

import pytest

from tradecore.app.session import TWIN_FILE
from tradecore.errors import RetryableVenueError
from tradecore.model.events import AlertFired, DecisionOutcome, UncaughtException
from tradecore.model.intent import IntentState
from tradecore.model.signal import Verdict
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import (
    ScriptedSource,
    closing_at,
    leader,
    make_guest,
    router,
    row_close_ms,
    sizer,
    wisher,
)
from tradecore.testing.harness import at, play, twin_of
from tradecore.testing.records import truth_of
from tradecore.venues.twin.venue import TwinVenue

GTC = TimeInForce.GTC
A, B = "AAA/USDT", "BBB/USDT"


def errors(played):
    return dict(played.summary["errors"])


def outcomes(played):
    return Counter(e.event.outcome for e in played.notes(DecisionOutcome))


def alarms(played, name):
    return [e.event.text for e in played.notes(AlertFired) if e.event.name == name]


def later(engine, moment_ms, act):
    """Have a coroutine run at a moment of market time."""
    at(engine, moment_ms, lambda: engine.desk.spawn(act(), f"act at {moment_ms}"))


async def no_answer(*_):
    raise RetryableVenueError("no answer")


# Rows and candidates ---------------------------------------------------------------------------------------------


def test_exception_in_leading_does_not_shift_later_rows(run, scene):
    """The row is judged without entries; each later wish meets its own row and price."""
    source = ScriptedSource({A: closing_at(*(50.0 + 0.01 * row for row in range(14)))})

    def begin(engine):
        row_closed = engine.leading.row_closed

        async def stumbles():
            if engine.desk.clock.now_ms() == row_close_ms(4):
                raise RuntimeError("nobody expected this")
            await row_closed()

        engine.leading.row_closed = stumbles

    story = scene(source=source, buys=dict.fromkeys((1, 4, 6, 9), (A,)), guests=[leader(stop=0.5)])
    played = run(story, begin=begin, errors=True)
    assert (played.summary["rows"], played.summary["candidates"]) == (14, 14)
    made = [(row.intent.price_ms, row.intent.price) for row in played.records.intents]
    assert made == [(row_close_ms(row), Decimal(f"{50 + row / 100:.2f}").normalize()) for row in (1, 6, 9)]
    assert outcomes(played) == {"INTENT_CREATED": 3, "ENTRIES_HALTED": 1}
    assert errors(played) == {"RuntimeError": 1}


def test_quarantine_between_look_ahead_and_judging_loses_no_row(run, scene):
    def follow(position):
        raise ValueError("boom")

    source = ScriptedSource({symbol: closing_at(*(100,) * 12) for symbol in (A, B)})
    story = scene(source=source, buys={1: (A,), 2: (B,), 3: (B,)}, guests=[make_guest("lead", follow=follow)])
    played = run(story)
    assert played.summary["quarantined"] == ["lead.follow"]
    assert (played.summary["rows"], played.summary["candidates"]) == (12, 24)
    assert errors(played) == {}


@pytest.mark.parametrize(
    ("caps", "size"),
    [
        ({}, "1E+999999"),
        ({"slippage_bps_max": "1." + "1" * 130}, "1"),
        ({"ttl_ms_max": "1E+99999"}, "1"),
    ],
)
def test_extreme_sizes_and_caps_deny_one_candidate_only(run, scene, caps, size):
    def risk_check(intent):
        amounts = caps if intent.symbol == A else {}
        return Verdict((), {cap: Decimal(value) for cap, value in amounts.items()})

    source = ScriptedSource({symbol: closing_at(*(100,) * 5) for symbol in (A, B)})
    story = scene(
        source=source, buys={1: (A, B)}, size=sizer({A: size, B: "1"}), risk=make_guest("risk", risk_check=risk_check)
    )
    played = run(story)
    assert [row.intent.symbol for row in played.records.intents] == [B]
    assert (played.summary["rows"], played.summary["candidates"]) == (5, 10)
    assert errors(played) == {}


def test_candidate_that_breaks_the_core_costs_no_other_its_answer(run, scene):
    def begin(engine):
        size = engine.desk.calls.size

        def stumbles(signal, *arguments):
            if signal.symbol == A:
                raise RuntimeError("nobody expected this")
            return size(signal, *arguments)

        engine.desk.calls.size = stumbles

    source = ScriptedSource({symbol: closing_at(*(100,) * 5) for symbol in (A, B)})
    played = run(scene(source=source, buys={1: (A, B)}), begin=begin, errors=True)
    assert outcomes(played) == {"GUEST_FAULT": 1, "INTENT_CREATED": 1}
    (error,) = played.notes(UncaughtException)
    assert error.event.where == "candidate AAA/USDT of script"
    assert played.summary["rows"] == 5


# Money -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_ms", [300, 1_200])
def test_balance_lag_at_the_end_leaves_no_reducing_behind(run, scene, stop_ms):
    def begin(engine):
        twin_of(engine).faults.always("balance_lag", 2_000)
        at(engine, row_close_ms(2) + stop_ms, lambda: engine.request_stop("SIGTERM"))

    story = scene(*(100,) * 8, buys={2: (A,), 5: (A,)})
    first = run(story, begin=begin)
    assert first.records.intents[0].state is IntentState.FILLED
    assert first.summary["trading_state"] == "ACTIVE"
    again = run(story)
    assert again.summary["trading_state"] == "ACTIVE"
    assert (again.summary["outcomes"]["INTENT_CREATED"], again.summary["unexplained_drift"]) == (1, "0")


def test_balance_lag_shorter_than_the_last_wait_is_no_drift(run, scene):
    def begin(engine):
        twin_of(engine).faults.always("balance_lag", 900)
        at(engine, row_close_ms(2) + 300, lambda: engine.request_stop("SIGTERM"))

    played = run(scene(*(100,) * 8, buys={2: (A,)}), begin=begin)
    assert played.summary["unexplained_drift"] == "0"
    assert alarms(played, "unexplained_drift") == []


def test_withdrawal_is_found_though_the_coin_is_busy_at_every_other_look(run, scene):
    """Rows of 20 s, an order of 12 s in each; looks 3 s and 13 s after each close."""
    seen = []

    def begin(engine):
        at(engine, row_close_ms(0) + 1_000, lambda: twin_of(engine).outside.withdraw("USDT", Decimal(500)))

        async def looks():
            for number in range(10):
                await engine.desk.clock.sleep_until_ms(row_close_ms(0) + 3_000 + number * 10_000)
                busy = engine.desk.books.symbol_busy(A)
                await engine.reconciler.run("running")
                seen.append((busy, dict(engine.reconciler.unexplained)))

        later(engine, row_close_ms(0), looks)

    source = ScriptedSource({A: closing_at(*(100,) * 12)}, timeframe_ms=20_000)
    story = scene(
        source=source, wish=wisher(dict.fromkeys(range(12), (A,))), route=router((GTC, "-50", 12_000)),
        sets=("intervals.reconcile_s=999999",),
    )  # fmt: skip
    played = run(story, begin=begin)
    assert [busy for busy, _ in seen[:4]] == [True, False, True, False]
    assert [bool(gap) for _, gap in seen[:4]] == [False, False, False, True]
    assert seen[3][1] == {"USDT": -500}
    assert (played.summary["trading_state"], played.summary["unexplained_drift"]) == ("REDUCING", "500")


def test_coin_that_is_never_quiet_is_named(run, scene):
    def begin(engine):
        async def looks():
            for number in range(25):
                await engine.desk.clock.sleep_until_ms(row_close_ms(1) + 3_000 + number * 30_000)
                await engine.reconciler.run("running")

        later(engine, row_close_ms(1), looks)

    resting = router((GTC, "-50", 3_600_000))
    story = scene(
        *(100,) * 14, route=resting, sets=("engine.intent_ttl_s=3600",),
        wish=wisher({1: (A,)}, expires_after_ms=3_600_000),
    )  # fmt: skip
    played = run(story, begin=begin)
    assert {text.split(":")[0] for text in alarms(played, "coin_not_compared")} == {"AAA", "USDT"}


# The start -------------------------------------------------------------------------------------------------------


def _take_some(file, coin):
    """Let some of a coin be gone from the venue's account."""
    with sqlite3.connect(file) as database:
        ((free,),) = database.execute("SELECT free FROM balances WHERE coin = ?", (coin,)).fetchall()
        database.execute("UPDATE balances SET free = ? WHERE coin = ?", (str(Decimal(free) * Decimal("0.9")), coin))
    database.close()


@pytest.mark.parametrize("read", ["open_orders", "trades"])
def test_no_entry_before_open_orders_and_trades_were_read(run, scene, tmp_path, monkeypatch, read):
    """A start without an answer is no start; one with a late answer goes on.

    Trades are read where something speaks for it: here a little of what we hold is gone.
    """
    story = scene(*(100,) * 30, buys={1: (A,), 20: (A,)}, guests=[leader(stop=0.5)], for_ms=4 * 60_000)
    first = run(story)
    if read == "trades":
        _take_some(tmp_path / "state" / TWIN_FILE, "AAA")
    assert len(first.truth.orders) == 1
    answered = getattr(TwinVenue, read)
    asked = []

    async def seldom(self, *arguments):
        asked.append(arguments)
        if len(asked) <= 2:
            raise RetryableVenueError("no answer")
        return await answered(self, *arguments)

    monkeypatch.setattr(TwinVenue, read, no_answer)
    with pytest.raises(RetryableVenueError):
        play(story._replace(for_ms=None), tmp_path / "state")
    assert len(truth_of(tmp_path / "state" / TWIN_FILE).orders) == 1
    monkeypatch.setattr(TwinVenue, read, seldom)
    again = run(story._replace(for_ms=None))
    assert len(asked) > 2
    assert len(again.truth.orders) == (2 if read == "open_orders" else 1), "what is gone without a trace stops entries"
