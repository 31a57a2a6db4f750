"""How entries go: the ladder, what ends it, what refuses a candidate."""

from __future__ import annotations

import shutil
from decimal import Decimal

import numpy as np
import pytest

from tradecore.market.answers import Wishes
from tradecore.model.events import (
    AlertFired,
    DecisionOutcome,
    DuplicateOrderBlocked,
    GuardsEval,
    OrderCancel,
    OrderFailed,
    PluginFault,
    SizingCalc,
)
from tradecore.model.intent import IntentState
from tradecore.model.order import Outcome
from tradecore.model.reasons import Reason
from tradecore.model.signal import Check, Verdict
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import (
    ScriptedSource,
    allower,
    closing_at,
    instrument,
    make_guest,
    router,
    row_close_ms,
    sizer,
    wisher,
)
from tradecore.testing.harness import at, twin_of

IOC, GTC, FOK = TimeInForce.IOC, TimeInForce.GTC, TimeInForce.FOK
A, B = "AAA/USDT", "BBB/USDT"
FLAT = (100.0,) * 6


def outcome_of(played, symbol=A):
    found = [e.event for e in played.notes(DecisionOutcome) if e.event.symbol == symbol]
    return [(event.outcome, event.decided_by) for event in found]


def test_r06_entry_fills_at_the_first_rung(run, scene):
    played = run(scene(*FLAT, route="exec_ioc_gtc", guests=["exits"]))
    (row,), (attempt,) = played.records.intents, played.records.attempts
    assert (row.state, row.reason, row.router) == (IntentState.FILLED, Reason.FILLED, "exec_ioc_gtc")
    assert attempt.request.label.startswith("IOC 10 bps 1/2")
    assert attempt.outcome is Outcome.FILLED
    (position,) = played.records.positions
    assert position.quantity == 1
    assert position.opened_ms == row_close_ms(1) + 20  # half of the latency there
    assert played.summary["outcomes"] == {"INTENT_CREATED": 1, "THRESHOLD_NOT_MET": 5}
    assert played.summary["reserved"] == "0"


def test_r06_ladder_ends_at_its_resting_rung_partly_filled(run, scene):
    """Each IOC takes what is there; the GTC gets a share and is cancelled when its time is over."""
    rows = [*closing_at(100, 100), (100.0, 103.0, 100.0, 103.0, 2.0), *closing_at(103, 103, volume=2.0)]
    source = ScriptedSource({A: rows})
    steps = (
        'exec_ioc_gtc.steps=[{time_in_force="IOC",premium_bps=10,attempts=2},{time_in_force="IOC",premium_bps=30,'
        'attempts=2},{time_in_force="GTC",premium_bps=50,ttl_ms=30000}]'
    )
    played = run(
        scene(
            source=source,
            size=sizer("5"),
            route="exec_ioc_gtc",
            sets=(steps, "twin.depth_levels=100", "twin.depth_quote=300"),
        )
    )
    (row,) = played.records.intents
    attempts = played.records.attempts
    assert [a.request.label for a in attempts] == [
        "IOC 10 bps 1/2",
        "IOC 10 bps 2/2",
        "IOC 30 bps 1/2",
        "GTC 50 bps 1/1",
    ]
    assert row.state is IntentState.PARTIAL
    assert 0 < row.executed_quantity < 5
    last = attempts[-1]
    assert (last.outcome, last.cancel_after_ms) == (Outcome.CANCELED, (last.sent_ms or 0) + 30_000)
    (cancel,) = played.notes(OrderCancel)
    assert cancel.event.reason == "ttl"
    assert cancel.event.age_ms >= 30_000
    # each rung asks only for what is left
    left = [Decimal(5)]
    for attempt in attempts:
        assert attempt.request.quantity == left[-1]
        left.append(left[-1] - attempt.executed_quantity)
    assert row.executed_quantity == 5 - left[-1]


def test_r10_unfilled_ladder_says_why(run, scene):
    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(103, 103)]
    played = run(scene(source=ScriptedSource({A: rows})))
    (row,) = played.records.intents
    assert (row.state, row.reason) == (IntentState.UNFILLED, Reason.LADDER_EXHAUSTED)
    assert {a.code for a in played.records.attempts} == {Reason.EXPIRED_UNFILLED}
    assert played.summary["orders_failed"] == {"EXPIRED_UNFILLED": 2}
    assert [e.event.code for e in played.notes(OrderFailed)] == ["EXPIRED_UNFILLED"] * 2
    assert played.records.positions == ()


@pytest.mark.parametrize("tif", [IOC, GTC, FOK])
def test_r09_every_time_in_force_ends(run, scene, tif):
    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(103, 103)]
    played = run(scene(source=ScriptedSource({A: rows}), route=router((tif, "0", 7_000))))
    (attempt,) = played.records.attempts
    waited = (attempt.settled_ms or 0) - (attempt.sent_ms or 0)
    assert attempt.outcome is (Outcome.CANCELED if tif is GTC else Outcome.EXPIRED)
    assert 7_000 <= waited < 8_000 if tif is GTC else waited < 500


def test_intent_expires_while_its_order_rests(run, scene):
    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(103, 103, 103)]
    played = run(scene(source=ScriptedSource({A: rows}), route=router(*[(GTC, "0", 40_000)] * 5)))
    (row,) = played.records.intents
    assert (row.state, row.reason) == (IntentState.EXPIRED, Reason.INTENT_EXPIRED)
    assert len(played.records.attempts) == 2


def test_remainder_below_the_minimum_ends_as_dust(run, scene):
    """What an IOC leaves is worth less than the venue's smallest order: PARTIAL, not one try more."""
    coarse = ScriptedSource({A: closing_at(*FLAT)}, {A: instrument(A, min_notional="500")})
    played = run(
        scene(
            source=coarse, size=sizer("10"), route=router(*[(IOC, "50", 2_000)] * 9),
            sets=("twin.depth_quote=1015", "twin.faults=partial_fill:1:0.95"),
        )
    )  # fmt: skip
    (row,) = played.records.intents
    assert (row.state, row.reason) == (IntentState.PARTIAL, Reason.DUST_REMAINDER)
    assert 0 < (Decimal(10) - row.executed_quantity) * 100 < 510


# Refusals ----------------------------------------------------------------------------------------------------


def test_r16_budget_is_cut_then_exhausted(run, scene):
    source = ScriptedSource({symbol: closing_at(*FLAT) for symbol in (A, B)})
    played = run(
        scene(source=source, buys={1: (A, B)}, size=sizer("10"), sets=("account.opening={USDT=200}",)),
    )
    (row,) = played.records.intents
    assert row.intent.constraint == "core: free budget"
    assert row.intent.quantity < 2
    assert outcome_of(played, B) == [("BUDGET_EXHAUSTED", "core")]


def test_r05_capital_limit_comes_on_top(run, scene):
    played = run(scene(*FLAT, size=sizer("10"), sets=("account.capital_limit_quote=300",)))
    (row,) = played.records.intents
    assert row.intent.constraint == "core: free budget"
    assert 2 < row.intent.quantity < 3


def test_group_goes_all_or_none(run, scene):
    source = ScriptedSource({symbol: closing_at(*FLAT) for symbol in (A, B)})
    none = run(scene(source=source, wish=wisher({1: (A, B)}, group=0), size=sizer({A: "1", B: "0"})))
    assert none.records.intents == ()
    assert none.summary["outcomes"] == {"GROUP_REFUSED": 1, "SIZE_ZERO": 1, "THRESHOLD_NOT_MET": 10}
    both = run(scene(source=source, wish=wisher({1: (A, B)}, group=0)), "both")
    assert [row.state for row in both.records.intents] == [IntentState.FILLED] * 2
    assert {row.intent.signal.group for row in both.records.intents} == {f"script/{row_close_ms(1)}/0"}


def test_r12_same_wish_never_becomes_two_intents(run, scene, tmp_path):
    """The venue's file is put back to an older copy, so the market is played again: the wish is known."""
    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(103, 103)]
    story = scene(source=ScriptedSource({A: rows}))
    venue, copy = tmp_path / "state" / "twin.db", tmp_path / "older.db"
    run(story._replace(for_ms=60_000))
    shutil.copy(venue, copy)
    assert len(run(story).records.intents) == 1
    shutil.copy(copy, venue)
    again = run(story)
    assert len(again.records.intents) == 1
    assert again.summary["outcomes"]["DUPLICATE_SIGNAL"] == 1
    (blocked,) = again.notes(DuplicateOrderBlocked)
    assert blocked.event.symbol == A


def filter_guest(value, **promises):
    def signal(frame, rows):
        if value is None:
            raise ValueError("no model")
        return Wishes(np.full((len(rows), len(frame.symbols)), value), ">=", 50.0, "rsi", "strong enough")

    return make_guest("gate", signal=signal, promises={"role": "filter", **promises})


@pytest.mark.parametrize(
    ("value", "outcome"),
    [(40.0, "FILTER_REFUSED"), (None, "FILTER_SILENT"), (float("nan"), "FILTER_SILENT"), (60.0, "INTENT_CREATED")],
)
def test_filter_shuts_what_it_does_not_hold(run, scene, value, outcome):
    played = run(scene(*FLAT, guests=[filter_guest(value)]))
    assert played.summary["outcomes"][outcome] == 1
    assert len(played.records.intents) == (outcome == "INTENT_CREATED")


def test_filter_judges_only_its_scope(run, scene):
    played = run(scene(*FLAT, guests=[filter_guest(None, applies_to=("exits",))]))
    assert played.summary["outcomes"]["INTENT_CREATED"] == 1


@pytest.mark.parametrize("fault", ["raises", "none", "garbage", "denies"])
def test_r31_no_sound_verdict_no_entry(run, scene, fault):
    def risk_check(intent):
        if fault == "raises":
            raise RuntimeError("broken")
        return None if fault == "none" else {"allowed": True}

    risk = make_guest("risk", risk_check=risk_check)
    guests = []
    if fault == "denies":
        risk, guests = "risk_limits", []
    played = run(
        scene(*FLAT, risk=risk, guests=guests, sets=("risk_limits.max_exposure_pct=0.5",) if fault == "denies" else ())
    )
    assert played.records.intents == ()
    assert played.records.attempts == ()
    wanted = ("RISK_REFUSED", "risk_limits") if fault == "denies" else ("RISK_MISSING", "risk")
    assert outcome_of(played) == [wanted]
    assert all(not e.event.allowed for e in played.notes(GuardsEval))


def test_r31_every_attempt_is_asked_about_again(run, scene):
    """A verdict that turns after the first attempt ends the ladder."""
    seen = []

    def risk_check(intent, portfolio):
        seen.append(intent.intent_id)
        return Verdict((Check("turns", Decimal(len(seen)), Decimal(1), "times", len(seen) > 1),))

    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(103, 103)]
    played = run(scene(source=ScriptedSource({A: rows}), risk=make_guest("risk", risk_check=risk_check)))
    (row,) = played.records.intents
    assert len(played.records.attempts) == 1
    assert (row.state, row.reason) == (IntentState.CANCELED, Reason.RISK_REFUSED)
    assert "risk.turns" in row.detail


@pytest.mark.parametrize("fault", ["none", "raises", "garbage"])
def test_router_that_fails_an_entry_is_named(run, scene, fault):
    def route_order(intent):
        if fault == "raises":
            raise RuntimeError("broken")
        return None if fault == "none" else "buy it"

    played = run(scene(*FLAT, route=make_guest("route", route_order=route_order)))
    (row,) = played.records.intents
    assert row.state is IntentState.FAILED
    assert row.reason is (Reason.ROUTER_MISSING if fault == "none" else Reason.GUEST_FAULT)
    assert played.records.attempts == ()
    assert played.summary["reserved"] == "0"
    assert len(played.notes(PluginFault)) == (fault != "none")


def test_r08_tightest_cap_clips_and_is_named(run, scene):
    wide = allower({"slippage_bps_max": "30"}, name="wide")
    tight = allower({"slippage_bps_max": "5", "notional_quote_max": "50"}, name="tight")
    played = run(scene(*FLAT, risk=wide, guests=[tight], route=router((IOC, "40", 2_000))))
    (row,), (attempt,) = played.records.intents, played.records.attempts
    assert row.intent.caps["slippage_bps_max"][:2] == (Decimal(5), "tight")
    assert row.intent.price_cap == Decimal("100.05")
    assert (attempt.request.price, attempt.clipped_by) == (Decimal("100.05"), "tight")
    assert row.intent.quantity == Decimal("0.5")
    assert row.intent.constraint == "tight: notional_quote_max"


def test_core_cap_clips_where_no_guest_does(run, scene):
    played = run(scene(*FLAT, route=router((IOC, "900", 2_000))))
    (attempt,) = played.records.attempts
    assert (attempt.request.price, attempt.clipped_by) == (Decimal("100.50"), "core")


@pytest.mark.parametrize(
    ("caps", "outcome"),
    [({"spread_bps_max": "1"}, "SPREAD_TOO_WIDE"), ({"slippage_bps_max": "0"}, "SLIPPAGE_TOO_WIDE")],
)
def test_r07_caps_against_the_book_name_their_guest(run, scene, caps, outcome):
    played = run(scene(*FLAT, risk=allower(caps)))
    assert outcome_of(played) == [(outcome, "risk")]


def test_symbol_is_busy_while_an_intent_lives(run, scene):
    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(103, 103, 103)]
    played = run(
        scene(
            source=ScriptedSource({A: rows}), buys={1: (A,), 2: (A,)}, route=router((GTC, "0", 70_000)),
            sets=("engine.intent_ttl_s=90",), wish=wisher({1: (A,), 2: (A,)}, expires_after_ms=90_000),
        )
    )  # fmt: skip
    assert played.summary["outcomes"] == {"INTENT_CREATED": 1, "SYMBOL_BUSY": 1, "THRESHOLD_NOT_MET": 4}


def test_smallest_size_binds_and_is_written(run, scene):
    played = run(scene(*FLAT, size=sizer("3", name="big"), guests=[sizer("0.7", name="small")]))
    (row,) = played.records.intents
    assert row.intent.quantity == Decimal("0.7")
    assert row.intent.constraint == "small: scripted"
    (event,) = played.notes(SizingCalc)
    assert set(event.event.offers) == {"big", "small"}


def test_nobody_trades_no_book(run, scene):
    rows = [*closing_at(100), (100.0, 100.0, 100.0, 100.0, 0.0), *closing_at(100, 100)]
    played = run(scene(source=ScriptedSource({A: rows})))
    assert played.summary["outcomes"]["NO_BOOK"] == 1


def test_venue_that_rejects_ends_the_intent_once(run, scene):
    def begin(engine):
        at(engine, row_close_ms(0), lambda: twin_of(engine).outside.halt(A))

    played = run(scene(*FLAT), begin=begin)
    (row,), (attempt,) = played.records.intents, played.records.attempts
    assert (row.state, row.reason) == (IntentState.REJECTED, Reason.VENUE_REJECTED)
    assert (attempt.outcome, attempt.code) == (Outcome.REJECTED, "HALTED")
    assert not [e for e in played.notes(AlertFired) if e.event.severity == "critical"]
