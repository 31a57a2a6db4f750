"""The circuit breaker: what trips it, what it does, and that neither a restart nor a resume trips it twice."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest

from tradecore.engine.breaker import restrict_trading
from tradecore.model.events import BreakerTripped, LockSet, TradingStateChanged
from tradecore.model.portfolio import TradingState
from tradecore.model.records import Command, TradingRecord
from tradecore.store.queries import put_command
from tradecore.testing.factories import FIRST_CLOSE_MS, leader, row_close_ms, sizer
from tradecore.testing.harness import STORE_FILE, at

A = "AAA/USDT"
MINUTE = 60_000
DAY = 86_400_000
FALLING = [100, 100, *[100 - n for n in range(1, 40)]]


def trips(played):
    return [event.event for event in played.notes(BreakerTripped)]


def changes(played):
    return [(e.event.new, e.event.actor, e.event.expires_ms) for e in played.notes(TradingStateChanged)]


def rows_of(played):
    return sorted(
        (row.intent.signal.decided_ms - FIRST_CLOSE_MS) // MINUTE
        for row in played.records.intents
        if not row.intent.reduces
    )


def ask(tmp_path, moment_ms, verb, argument="", folder="state"):
    command = Command(f"c{moment_ms}", verb, argument, "looked at it", "anna")
    return lambda e: at(e, moment_ms, lambda: put_command(tmp_path / folder / STORE_FILE, command))


def test_r33_a_days_fall_reduces_until_midnight_and_exits_go_on(run, scene):
    """Half of the account falls by a tenth: 5 % of the equity."""
    closes = [100, 100, 100, 98, 95, 92, 89, 89, 89]
    played = run(scene(*closes, size=sizer("50"), guests=[leader(stop=0.9)], sets=("breaker.daily_drawdown_pct=3",)))
    first = trips(played)[0]
    assert (first.rule, first.action, first.unit) == ("daily_drawdown", "REDUCING", "% of the day's peak")
    assert first.threshold == 3 <= first.value
    assert first.expires_ms == (row_close_ms(0) // DAY + 1) * DAY
    assert changes(played)[0] == ("REDUCING", "breaker", first.expires_ms)
    assert played.records.positions[0].closed_ms is not None


def test_r33_the_same_fall_trips_once_and_the_next_step_again(run, scene, tmp_path):
    closes = [100, 100, 100, 95, 93, *[93] * 4, 87, 87, 87]
    played = run(
        scene(*closes, size=sizer("50"), sets=("breaker.daily_drawdown_pct=3",)),
        begin=ask(tmp_path, row_close_ms(6) + 1, "resume"),
    )
    assert [trip.value // 3 for trip in trips(played)] == [1, 2]
    assert [change[:2] for change in changes(played)] == [
        ("REDUCING", "breaker"),
        ("ACTIVE", "anna"),
        ("REDUCING", "breaker"),
    ]


def test_r33_a_restart_neither_forgets_nor_repeats(run, scene):
    closes = [100, 100, 100, 95, 93, *[93] * 8]
    story = scene(
        *closes, size=sizer("50"), sets=("breaker.daily_drawdown_pct=3", "shutdown.policy=keep"), for_ms=6 * MINUTE
    )
    first = run(story)
    assert len(trips(first)) == 1
    again = run(story._replace(for_ms=None))
    assert len(trips(again)) == 1
    assert again.summary["trading_state"] == "REDUCING"


def losing(rows, *sets):
    return {
        "buys": dict.fromkeys(range(1, rows), (A,)),
        "guests": [leader(stop=0.995)],
        "sets": ("breaker.loss_streak=3", "breaker.loss_pause_s=600", "breaker.daily_drawdown_pct=0", *sets),
    }


def test_r33_losses_in_a_row_pause_entries_for_a_while(run, scene):
    played = run(scene(*FALLING, **losing(38)))
    first = trips(played)[0]
    assert (first.rule, first.value, first.threshold) == ("loss_streak", 3, 3)
    reduced, active = played.notes(TradingStateChanged)[:2]
    assert (reduced.event.new, active.event.new, active.event.actor) == ("REDUCING", "ACTIVE", "core")
    low, high = reduced.at_ns // 1_000_000, active.at_ns // 1_000_000
    assert high >= low + 600_000
    assert not [row for row in rows_of(played) if low < row_close_ms(row) < high]
    assert [row for row in rows_of(played) if row_close_ms(row) >= high]
    # three more losses are needed after the pause
    losses = [p for p in played.records.positions if p.closed_ms is not None]
    assert len(trips(played)) <= len(losses) // 3


def test_r33_losses_in_a_row_pause_nothing_unless_asked_for(run, scene):
    played = run(scene(*FALLING, **losing(38) | {"sets": ("breaker.daily_drawdown_pct=0",)}))
    assert Decimal(played.summary["realised_pnl"]) < 0
    assert played.summary["positions_closed"] > 10
    assert trips(played) == []


def test_r33_a_win_ends_a_streak(run, scene):
    closes = [100, 100, 99, 98, 98, 97, 96, 96, 98, 99.5, 99.5, 98.5, 97.5]
    played = run(scene(*closes, **losing(12)))
    closed = [p for p in played.records.positions if p.closed_ms is not None]
    assert len(closed) >= 2
    assert sum(t.rule == "loss_streak" for t in trips(played)) <= len(closed) // 3


def test_r33_orders_that_are_never_placed_pause_entries(run, scene):
    sets = (
        "twin.faults=lost_request", "breaker.failed_orders_min=3", "breaker.failed_orders_pause_s=600",
        "engine.unknown_backoff_s=[0.5]", "twin.read_lag_ms=0",
    )  # fmt: skip
    played = run(scene(*(100,) * 30, buys=dict.fromkeys(range(1, 28), (A,)), sets=sets))
    first = trips(played)[0]
    assert (first.rule, first.value, first.action) == ("failed_orders", 100, "REDUCING")
    assert first.unit.startswith("% of ")
    assert changes(played)[0][:2] == ("REDUCING", "breaker")


def test_6_4_rejects_in_a_row_lock_the_symbol_and_no_other(run, scene):
    sets = ("twin.faults=insufficient_30005", "breaker.rejects_in_a_row=3", "breaker.failed_orders_pct=0")
    played = run(scene(*(100,) * 16, buys=dict.fromkeys(range(1, 14), (A,)), sets=sets))
    first = trips(played)[0]
    assert (first.rule, first.symbol, first.value, first.action) == ("rejects", A, 3, "LOCK")
    (lock,) = [e.event for e in played.notes(LockSet)][:1]
    assert (lock.plugin, lock.symbol, lock.rule) == ("breaker", A, "rejects")
    assert changes(played) == []
    after = [a for a in played.records.attempts if a.sent_ms is not None and a.sent_ms >= lock.since_ms + MINUTE]
    assert after == []


def test_6_4_rejects_are_counted_over_a_restart(run, scene):
    sets = ("twin.faults=insufficient_30005", "breaker.rejects_in_a_row=3", "breaker.failed_orders_pct=0")
    story = scene(*(100,) * 16, buys={1: (A,), 2: (A,), 8: (A,)}, sets=sets, for_ms=4 * MINUTE)
    first = run(story)
    assert trips(first) == []
    again = run(story._replace(for_ms=None))
    assert [trip.rule for trip in trips(again)] == ["rejects"]


def test_r33_exceptions_that_nobody_expected_halt(run, scene, monkeypatch):
    monkeypatch.setattr(
        "tradecore.engine.pipeline.Pipeline._asked", lambda *_: (_ for _ in ()).throw(RuntimeError("a bug of our own"))
    )
    sets = ("breaker.faults_max=3", "breaker.fault_pause_s=300")
    played = run(scene(*(100,) * 16, buys=dict.fromkeys(range(1, 6), (A,)), sets=sets), errors=True)
    (first,) = trips(played)
    assert (first.rule, first.value, first.action) == ("faults", 3, "HALTED")
    assert [change[:2] for change in changes(played)] == [("HALTED", "breaker"), ("ACTIVE", "core")]


def test_r33_every_rule_can_be_turned_off(run, scene):
    off = ("daily_drawdown_pct", "loss_streak", "failed_orders_pct", "rejects_in_a_row", "faults_max")
    sets = losing(38)["sets"][1:2] + tuple(f"breaker.{name}=0" for name in off)
    played = run(scene(*FALLING, **losing(38) | {"sets": sets}))
    assert trips(played) == []
    assert len(played.records.positions) > 10


def test_r54_a_halt_for_a_while_ends_by_itself(run, scene, tmp_path):
    played = run(
        scene(*(100,) * 14, buys=dict.fromkeys(range(1, 13), (A,))),
        begin=ask(tmp_path, row_close_ms(3) + 1, "halt", "240"),
    )
    halted, active = played.notes(TradingStateChanged)
    assert (halted.event.new, halted.event.actor, active.event.new) == ("HALTED", "anna", "ACTIVE")
    assert halted.event.expires_ms == halted.at_ns // 1_000_000 + 240_000
    assert not {row for row in rows_of(played) if 5 <= row < 8}
    assert {row for row in rows_of(played) if row > 9}


class _Work:
    def __init__(self):
        self.rows, self.events = [], []

    def put(self, *rows):
        self.rows += rows

    def tell(self, event):
        self.events.append(event)


ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((ACTIVE, None), (REDUCING, 5_000), (REDUCING, 5_000)),
        ((ACTIVE, None), (HALTED, None), (HALTED, None)),
        ((REDUCING, None), (REDUCING, 5_000), None),
        ((REDUCING, None), (HALTED, 5_000), (HALTED, None)),
        ((REDUCING, 9_000), (REDUCING, 5_000), None),
        ((REDUCING, 3_000), (REDUCING, 5_000), (REDUCING, 5_000)),
        ((REDUCING, 9_000), (HALTED, 5_000), (HALTED, 9_000)),
        ((REDUCING, 9_000), (REDUCING, None), (REDUCING, None)),
        ((HALTED, 3_000), (REDUCING, 5_000), (HALTED, 5_000)),
        ((HALTED, None), (REDUCING, 5_000), None),
    ],
)
def test_r33_a_restriction_is_never_made_looser_or_shorter(old, new, expected):
    trading = TradingRecord(old[0], "anna", "why", 0, old[1])
    desk = SimpleNamespace(books=SimpleNamespace(trading=trading), clock=SimpleNamespace(now_ms=lambda: 1_000))
    work = _Work()
    restrict_trading(desk, work, new[0], actor="breaker", reason="x", expires_ms=new[1])
    found = [(row.state, row.expires_ms) for row in work.rows]
    assert found == ([] if expected is None else [expected])
    assert len(work.events) == len(work.rows)
