"""How positions are led out: levels, adds, dust, what cannot be sold, and operators."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from tradecore.model.events import (
    AlertFired,
    DecisionOutcome,
    OperatorCommand,
    PositionClosed,
    SellSizingCalc,
    SellTriggerEval,
    TradingStateChanged,
    TrailingUpdate,
)
from tradecore.model.intent import IntentState
from tradecore.model.order import NewOrder
from tradecore.model.position import PositionState
from tradecore.model.reasons import Reason
from tradecore.model.records import Command
from tradecore.model.units import Side, TimeInForce
from tradecore.store.queries import put_command
from tradecore.testing.factories import (
    ScriptedSource,
    closing_at,
    instrument,
    leader,
    router,
    row_close_ms,
    sizer,
    wisher,
)
from tradecore.testing.harness import STORE_FILE, at, twin_of

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A, B = "AAA/USDT", "BBB/USDT"


def triggers(played):
    return [(e.event.reason, e.event.by, e.at_ns // 1_000_000) for e in played.notes(SellTriggerEval)]


def exits_of(**settings):
    off = {"take_profit_pct": 0, "stop_loss_pct": 0, "trailing_distance_pct": 0, "time_to_live": '"off"'}
    return [f"exits.{key}={value}" for key, value in {**off, **settings}.items()]


@pytest.mark.parametrize(
    ("settings", "closes", "reason"),
    [
        ({"take_profit_pct": 1}, (100, 100, 100, 102, 102, 102), Reason.TAKE_PROFIT),
        ({"stop_loss_pct": 1}, (100, 100, 100, 98, 98, 98), Reason.STOP_LOSS),
        (
            {"trailing_distance_pct": "0.5", "trailing_activation_pct": 1, "stop_loss_pct": 5},
            (100, 100, 100, 103, 103, 102, 102),
            Reason.TRAILING_STOP,
        ),
        ({"time_to_live": '"2m"'}, (100,) * 7, Reason.TIME_TO_LIVE),
    ],
)
def test_r27_exits_leave_for_the_reason(run, scene, settings, closes, reason):
    played = run(scene(*closes, guests=["exits"], sets=exits_of(**settings)))
    ((why, by, at_ms),) = triggers(played)
    assert (why, by) == (str(reason), "exits")
    (position,) = played.records.positions
    assert (position.state, position.close_reason, position.quantity) == (PositionState.CLOSED, reason, 0)
    (closed,) = played.notes(PositionClosed)
    assert closed.event.reason == str(reason)
    # the exit is on its way at once: one call there and back
    assert 0 < (closed.at_ns // 1_000_000) - at_ms <= 200
    profit = {Reason.TAKE_PROFIT: 1, Reason.TRAILING_STOP: 1}.get(reason, -1)
    assert closed.event.realised_pnl_quote * profit > 0
    if reason is Reason.TIME_TO_LIVE:
        assert at_ms == position.opened_ms + 120_000
    if reason is Reason.TRAILING_STOP:
        assert played.notes(TrailingUpdate)


def test_stop_comes_before_take_in_one_row(run, scene):
    """A candle that meets both is left at its stop: low comes before high, and time, stop, take is the order."""
    rows = [*closing_at(100, 100, 100), (100.0, 104.0, 96.0, 100.0, 1_000.0), *closing_at(100, 100)]
    played = run(scene(source=ScriptedSource({A: rows}), guests=[leader(stop=0.99, take=1.01)]))
    ((why, _, at_ms),) = triggers(played)
    assert why == "STOP_LOSS"
    assert at_ms == row_close_ms(2) + 20_000


def test_highest_stop_and_lowest_take_of_all_guests_bind(run, scene):
    guests = [leader(stop=0.90, take=1.20, name="loose"), leader(stop=0.98, take=1.02, name="close")]
    played = run(scene(100, 100, 100, 97, 97, guests=guests))
    ((why, by, _),) = triggers(played)
    assert (why, by) == ("STOP_LOSS", "close")


def test_guest_leaves_at_a_close(run, scene):
    played = run(scene(*(100,) * 7, guests=[leader(stop=0.5, leave_rows=(4,))]))
    assert triggers(played) == [("LEAVE", "lead", row_close_ms(4))]


def test_follow_adds_through_size_and_risk(run, scene):
    played = run(scene(100, 100, 100, 97, 97, 97, guests=[leader(stop=0.5, add=0.98, add_quote=100.0)]))
    entry, add = played.records.intents[:2]
    assert add.intent.position_id == entry.intent.position_id
    assert add.state is IntentState.FILLED
    (position,) = played.records.positions
    assert position.entries >= 2
    assert position.quantity == sum(row.executed_quantity for row in played.records.intents)
    assert Counter(e.event.outcome for e in played.notes(DecisionOutcome))["INTENT_CREATED"] >= 2


def test_r28_what_fees_leave_behind_is_dust(run, scene):
    coarse = ScriptedSource({A: closing_at(*(100,) * 7)}, {A: instrument(A, lot="0.01", min_quantity="0.01")})
    played = run(scene(source=coarse, guests=["exits"], sets=(*exits_of(time_to_live='"2m"'), "twin.fee_in=base")))
    (position,) = played.records.positions
    assert (position.state, position.dust_quantity) == (PositionState.CLOSED, Decimal("0.009"))
    (sizing,) = played.notes(SellSizingCalc)
    assert (sizing.event.position_quantity, sizing.event.quantity) == (Decimal("0.999"), Decimal("0.99"))
    assert played.summary["positions_open"] == 0


@pytest.mark.parametrize("fee_in", ["base", "quote", "other"])
def test_r45_fee_in_any_coin_balances(run, scene, fee_in):
    sets = (*exits_of(time_to_live='"2m"'), f"twin.fee_in={fee_in}", "account.opening={USDT=10000,BNB=5}")
    played = run(scene(*(100,) * 7, guests=["exits"], sets=sets))
    assert played.summary["positions_closed"] == 1
    coins = {account: coin for account, coin in played.records.balances if account == "fees"}
    assert coins == {"fees": {"base": "USDT", "quote": "USDT", "other": "BNB"}[fee_in]}


def test_third_coin_runs_dry_and_the_fee_moves(run, scene):
    sets = (*exits_of(time_to_live='"2m"'), "twin.fee_in=other", "account.opening={USDT=10000}")
    played = run(scene(*(100,) * 7, guests=["exits"], sets=sets))
    assert played.summary["positions_closed"] == 1
    assert played.summary["unexplained_drift"] == "0"


def test_r18_coin_that_others_hold_is_unsellable_until_they_let_go(run, scene):
    """Somebody locks the coin: no retry storm, a state with age and alarm; then it is sold."""

    def begin(engine):
        outside = twin_of(engine).outside
        mine = NewOrder("by-hand", A, Side.SELL, GTC, Decimal(500), Decimal(1))
        at(engine, row_close_ms(2), lambda: outside.place(mine))
        at(engine, row_close_ms(6), lambda: outside.cancel(A, "by-hand"))

    played = run(scene(*(100,) * 12, guests=["exits"], sets=exits_of(time_to_live='"2m"')), begin=begin)
    (position,) = played.records.positions
    assert (position.state, position.close_reason) == (PositionState.CLOSED, Reason.TIME_TO_LIVE)
    alarms = [e.event for e in played.notes(AlertFired) if e.event.name == "position_unsellable"]
    assert alarms
    assert "free=0" in alarms[-1].text
    sells = [a for a in played.records.attempts if a.side is Side.SELL]
    assert Counter(a.code for a in sells)["INSUFFICIENT_BASE"] <= 1
    assert len(sells) <= 2
    assert position.closed_ms is not None
    assert row_close_ms(6) < position.closed_ms <= row_close_ms(8)


def test_symbol_halted_for_sells_is_tried_with_growing_waits(run, scene):
    def begin(engine):
        outside = twin_of(engine).outside
        at(engine, row_close_ms(2), lambda: outside.halt(A, can_buy=True, can_sell=False))
        at(engine, row_close_ms(7), lambda: outside.halt(A, can_buy=True, can_sell=True))

    played = run(scene(*(100,) * 14, guests=["exits"], sets=exits_of(time_to_live='"2m"')), begin=begin)
    (position,) = played.records.positions
    assert position.state is PositionState.CLOSED
    refused = [a for a in played.records.attempts if a.code == "HALTED"]
    assert 3 <= len(refused) <= 9


def test_market_that_falls_through_the_collar_is_sold_in_later_rounds(run, scene):
    rows = [*closing_at(100, 100, 100), (80.0, 80.0, 80.0, 80.0, 1_000.0), *closing_at(80, 80, 80)]
    played = run(scene(source=ScriptedSource({A: rows}), guests=[leader(stop=0.99)]))
    (position,) = played.records.positions
    assert (position.state, position.close_reason) == (PositionState.CLOSED, Reason.STOP_LOSS)


def test_exit_in_a_thin_market_takes_several_rounds(run, scene):
    thin = ScriptedSource({A: closing_at(*(100,) * 12)})
    played = run(
        scene(
            source=thin, guests=[leader(leave_after_ms=120_000)], size=sizer("8"), route=router((IOC, "50", 2_000)),
            sets=("twin.depth_quote=1000",),
        ),
        begin=lambda engine: at(engine, row_close_ms(2), lambda: twin_of(engine).faults.always("partial_fill", 0.3)),
    )  # fmt: skip
    (position,) = played.records.positions
    assert position.state is PositionState.CLOSED
    assert position.sold_quantity == 8
    assert len([a for a in played.records.attempts if a.side is Side.SELL and a.executed_quantity]) > 2


def test_entry_under_way_is_cancelled_when_its_position_is_left(run, scene):
    """A resting add must not go on filling while the position is sold."""
    rows = [*closing_at(100, 100, 100), (97.0, 97.0, 97.0, 97.0, 1_000.0), (97.0, 97.5, 80.0, 80.0, 1_000.0)]
    source = ScriptedSource({A: [*rows, *closing_at(80, 80, 80)]})
    played = run(
        scene(
            source=source, guests=[leader(stop=0.9, add=0.98, add_quote=100.0)],
            route=router((GTC, "-900", 50_000)), wish=wisher({1: (A,)}), seed=2,
        ),
        begin=None,
    )  # fmt: skip
    assert played.summary["pending_intents"] == 0


# Operators (R33, R54) --------------------------------------------------------------------------------------------


def command(tmp_path, verb, argument="", number=1):
    wish = Command(f"c{number}", verb, argument, "drill", "anna")
    return lambda: put_command(tmp_path / "state" / STORE_FILE, wish)


def test_r33_halt_and_resume(run, scene, tmp_path):
    def begin(engine):
        at(engine, row_close_ms(0) + 1, command(tmp_path, "halt"))
        at(engine, row_close_ms(3) + 1, command(tmp_path, "resume", number=2))

    played = run(scene(*(100,) * 8, buys={1: (A,), 2: (A,), 3: (A,), 5: (A,)}), begin=begin)
    outcomes = [e.event.outcome for e in played.notes(DecisionOutcome)]
    assert outcomes[0] == "TRADING_HALTED"
    assert outcomes[-1] == "INTENT_CREATED"
    assert [(e.event.new, e.event.actor) for e in played.notes(TradingStateChanged)] == [
        ("HALTED", "anna"),
        ("ACTIVE", "anna"),
    ]
    assert [e.event.verb for e in played.notes(OperatorCommand)] == ["halt", "resume"]


def test_r33_reduce_cancels_entries_and_survives_a_restart(run, scene, tmp_path):
    """An order rests when the operator reduces; exits go on, entries wait for a person even over a restart."""
    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(*(103,) * 8)]
    story = scene(
        source=ScriptedSource({A: rows}), buys={1: (A,), 6: (A,)}, route=router((GTC, "0", 240_000)),
        sets=("engine.intent_ttl_s=240",), wish=wisher({1: (A,), 6: (A,)}, expires_after_ms=240_000),
        for_ms=4 * 60_000,
    )  # fmt: skip
    first = run(story, begin=lambda engine: at(engine, row_close_ms(1) + 5_000, command(tmp_path, "reduce")))
    (row,) = first.records.intents
    assert (row.state, row.reason) == (IntentState.CANCELED, Reason.OPERATOR)
    again = run(story)
    assert again.summary["trading_state"] == "REDUCING"
    assert [e.event.outcome for e in again.notes(DecisionOutcome)] == ["INTENT_CREATED", "TRADING_REDUCING"]


def test_r54_operator_exit_passes_while_halted(run, scene, tmp_path):
    def begin(engine):
        at(engine, row_close_ms(2) + 1, command(tmp_path, "halt"))
        at(engine, row_close_ms(4) + 1, command(tmp_path, "exit", A, number=2))

    played = run(scene(*(100,) * 9, guests=[leader(stop=0.5)]), begin=begin)
    assert [(why, by) for why, by, _ in triggers(played)] == [("OPERATOR", "anna")]
    assert played.summary["positions_closed"] == 1
    assert played.summary["trading_state"] == "HALTED"


def test_operator_asks_for_what_is_not(run, scene, tmp_path):
    def begin(engine):
        at(engine, row_close_ms(1) + 1, command(tmp_path, "exit", B))
        at(engine, row_close_ms(1) + 2, command(tmp_path, "dance", number=2))

    played = run(scene(*(100,) * 6), begin=begin)
    results = [e.event.result for e in played.notes(OperatorCommand)]
    assert results[0] == f"no open position for {B!r}"
    assert results[1].startswith("expected halt")


def test_operator_stops_the_run(run, scene, tmp_path):
    played = run(scene(*(100,) * 20), begin=lambda e: at(e, row_close_ms(3) + 1, command(tmp_path, "stop")))
    assert played.summary["ended"] == "drill"
    assert played.summary["rows"] < 10
    assert played.exit_code == 0
