"""protections: locks worked out by hand, what always holds, and sessions that are cut by a restart."""

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_protections.equity import drawdown_pct, read_peaks, with_equity
from tradecore_protections.plugin import Protections

from tradecore import Intent, Market, MarketFrame, Portfolio, Reason, Side, Signal
from tradecore.model.events import DecisionOutcome, LockEnded, LockSet
from tradecore.model.lock import Lock
from tradecore.model.portfolio import TradingState
from tradecore.model.position import ClosedPosition
from tradecore.model.records import Command
from tradecore.model.units import TimeInForce
from tradecore.store.queries import put_command
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, row_close_ms, sizer, wisher
from tradecore.testing.harness import STORE_FILE, Scene, at, play
from tradecore.testing.readme import assert_readme_settings

D = Decimal
HOUR = 3_600_000
NOW = 100 * HOUR
A = "A/USDT"
IOC = TimeInForce.IOC


def guest(**values):
    off = {"cooldown": "off", "stop_guard_stops": 0}
    return Protections(Protections.Settings.model_validate(off | values))


def closed(hours_ago, reason=Reason.STOP_LOSS, pnl="-1", symbol=A, share=-0.01):
    at_ms = int(NOW - hours_ago * HOUR)
    return ClosedPosition(f"p{at_ms}", symbol, "w", at_ms - HOUR, at_ms, D(pnl), share, reason)


def portfolio_of(*found, locks=(), equity="1000"):
    money = D(equity)
    return Portfolio(
        NOW, "USDT", TradingState.ACTIVE, money, money, money, money, D(0), D(0), (), (), tuple(found), 0, 0, {}, {},
        tuple(locks), {},
    )  # fmt: skip


def market_at(now_ms=NOW):
    empty = {name: np.zeros((0, 0)) for name in ("open", "high", "low", "close", "volume")}
    return Market(MarketFrame(60_000, np.zeros(0, dtype=np.int64), (), empty), now_ms, {})


def intent_of(symbol=A, sells=False):
    side = Side.SELL if sells else Side.BUY
    signal = Signal("s", "w", symbol, side, NOW, NOW + 60_000, D(10), NOW, 0.5, "r", 1.0, 1.0, "n")
    return Intent("i", signal, symbol, side, D(1), D(10), NOW, D(11), NOW, NOW + 60_000, "c", sells, "p")


def hits(made, portfolio, symbol=A, now_ms=NOW):
    verdict = made.risk_check(intent_of(symbol), portfolio, market_at(now_ms))
    return [(check.limit, check.value) for check in verdict.checks if check.hit]


def proposed(made, portfolio, last=None, now_ms=NOW):
    ((job),) = made.jobs()
    return job.ask(portfolio, market_at(now_ms), last)


def test_settings_and_the_readme():
    made = Protections.Settings()
    assert (made.cooldown, made.stop_guard_stops, made.drawdown_pct, made.low_profit_trades) == ("10m", 3, 0, 0)
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), Protections.Settings)


@pytest.mark.parametrize(
    "values",
    [
        {"cooldown": "soon"},
        {"cooldown": "10r"},
        {"stop_guard_pause": "off"},
        {"stop_guard_scope": "some"},
        {"drawdown_pct": 100},
        {"low_profit_trades": -1},
        {"look_s": 0},
        {"couldown": "10m"},
    ],
)
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError):
        guest(**values)


def test_hook_risk_check_r32_the_cooldown_runs_from_the_exit_of_its_symbol():
    made = guest(cooldown="2h")
    books = portfolio_of(closed(3), closed(1.5, Reason.TAKE_PROFIT, "5"), closed(1, symbol="B/USDT"))
    assert hits(made, books) == [("cooldown 2h: left with TAKE_PROFIT", D(HOUR // 2))]
    assert hits(made, books, "B/USDT") == [("cooldown 2h: left with STOP_LOSS", D(HOUR))]
    assert hits(made, books, now_ms=NOW + HOUR // 2) == []
    free = made.risk_check(intent_of("C/USDT"), books, market_at())
    assert [(check.limit, check.hit) for check in free.checks] == [("lock", False)]


def test_exits_get_no_objection():
    made = guest(cooldown="2h")
    assert made.risk_check(intent_of(sells=True), portfolio_of(closed(0.1)), market_at()).checks == ()


def test_r32_stops_of_one_symbol_pause_it():
    made = guest(stop_guard_stops=2, stop_guard_window="6h", stop_guard_pause="2h")
    far = portfolio_of(closed(8), closed(1))
    assert hits(made, far) == []
    near = portfolio_of(closed(6.5), closed(1))
    assert hits(made, near) == [("stops 2 in 6h for 2h: 2 stops within 6h", D(HOUR))]
    assert hits(made, near, "B/USDT") == []
    assert hits(made, near, now_ms=NOW + HOUR) == []


def test_r32_only_stops_with_a_loss_count():
    made = guest(stop_guard_stops=1, stop_guard_pause="2h")
    for reason, pnl in ((Reason.TAKE_PROFIT, "-1"), (Reason.TRAILING_STOP, "0.5"), (Reason.OPERATOR, "-3")):
        assert hits(made, portfolio_of(closed(1, reason, pnl))) == []
    for reason in (Reason.STOP_LOSS, Reason.TRAILING_STOP, Reason.ATR_STOP):
        assert len(hits(made, portfolio_of(closed(1, reason)))) == 1


def test_r32_stops_of_all_symbols_pause_all():
    made = guest(stop_guard_stops=2, stop_guard_scope="all")
    books = portfolio_of(closed(1.5), closed(1, symbol="B/USDT"))
    assert len(hits(made, books, "C/USDT")) == 1
    assert proposed(made, books).locks == (
        Lock("*", "2 stops within 6h", "", NOW + HOUR, "stops 2 in 6h for 2h", NOW - HOUR),
    )


def test_r32_a_symbol_that_loses_is_paused_after_enough_trades():
    made = guest(low_profit_trades=2, low_profit_pct="0.5", low_profit_window="24h", low_profit_pause="3h")
    won, lost = closed(5, Reason.TAKE_PROFIT, "2", share=0.02), closed(1, share=-0.016)
    ((limit, left),) = hits(made, portfolio_of(won, lost))
    assert limit == "low profit 2 in 24h under 0.5 % for 3h: 2 trades brought 0.40 %, wanted 0.5 %"
    assert left == D(2 * HOUR)
    assert hits(made, portfolio_of(lost)) == []
    assert hits(made, portfolio_of(won, lost._replace(return_ratio=-0.01))) == []
    assert hits(made, portfolio_of(closed(26, share=0.5), lost, closed(0.5, share=-0.01))) != []


def test_r32_a_lifted_lock_stays_lifted_until_newer_evidence():
    made = guest(cooldown="2h")
    lifted = Lock(A, "left with STOP_LOSS", "protections", NOW - 1, "cooldown 2h", NOW - HOUR)
    assert hits(made, portfolio_of(closed(1), locks=[lifted])) == []
    again = portfolio_of(closed(1), closed(0.5, Reason.TAKE_PROFIT), locks=[lifted])
    assert len(hits(made, again)) == 1


def test_r32_a_kept_lock_binds_even_where_its_evidence_is_forgotten():
    kept = Lock(A, "3 stops", "protections", NOW + 500, "stops 3 in 6h", NOW - HOUR)
    assert hits(guest(), portfolio_of(locks=[kept])) == [("stops 3 in 6h: 3 stops", D(500))]


def test_r32_drawdown_over_a_window_locks_all_and_then_counts_from_there():
    made = guest(drawdown_pct=5, drawdown_window="24h", drawdown_pause="4h")
    first = proposed(made, portfolio_of(equity="1000"))
    assert first.locks == ()
    assert proposed(made, portfolio_of(equity="1000"), first.state, NOW + 1) is None
    fallen = proposed(made, portfolio_of(equity="949"), first.state, NOW + HOUR)
    (lock,) = fallen.locks
    assert (lock.symbol, lock.expires_ms, lock.since_ms) == ("*", NOW + 5 * HOUR, NOW + HOUR)
    assert lock.reason == "equity 5.10 % below its peak of 24h, limit 5 %"
    after = proposed(made, portfolio_of(equity="902"), fallen.state, NOW + 2 * HOUR)
    assert after is None or after.locks == ()
    assert proposed(made, portfolio_of(equity="901"), fallen.state, NOW + 2 * HOUR).locks


@pytest.mark.parametrize("last", [{"peaks": 5}, {"peaks": [["x", "y"]]}, {"peaks": [1]}, {}, {"peaks": [[1, None]]}])
def test_a_state_that_cannot_be_read_begins_anew(last):
    assert read_peaks(last).parts == ()
    assert proposed(guest(drawdown_pct=5), portfolio_of(), last).state == {"peaks": [[NOW * 48 // (24 * HOUR), "1000"]]}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_peak_is_that_of_the_window_give_or_take_a_part(seed):
    chance = random.Random(seed)
    window, peaks, told = HOUR, read_peaks(None), []
    now = NOW
    for _ in range(80):
        now += chance.randint(1, window // 10)
        equity = D(chance.randint(500, 1500))
        told.append((now, equity))
        peaks = read_peaks(with_equity(peaks, equity, now, window).state)
        within = max(e for t, e in told if t > now - window)
        late = max(e for t, e in told if t > now - window - window // 48 * 2)
        assert within <= peaks.highest <= late
        assert 0 <= drawdown_pct(peaks, equity) < 100
    assert len(peaks.parts) <= 49


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_what_the_job_writes_down_is_what_the_gate_refuses(seed):
    chance = random.Random(seed)
    reasons = (Reason.STOP_LOSS, Reason.TAKE_PROFIT, Reason.TRAILING_STOP)
    found = sorted(
        (
            closed(
                chance.uniform(0.01, 30), chance.choice(reasons), chance.choice(["-1", "1"]),
                chance.choice([A, "B/USDT"]), chance.uniform(-0.02, 0.02),
            )
            for _ in range(chance.randint(0, 12))
        ),
        key=lambda one: one.closed_ms,
    )  # fmt: skip
    made = guest(
        cooldown="1h", stop_guard_stops=2, low_profit_trades=3, stop_guard_scope=chance.choice(["all", "symbol"])
    )
    books = portfolio_of(*found)
    answer = proposed(made, books)
    locks = answer.locks if answer else ()
    for symbol in (A, "B/USDT", "C/USDT"):
        expected = {(f"{lock.rule}: {lock.reason}") for lock in locks if lock.binds(symbol, NOW)}
        assert {limit for limit, _ in hits(made, books, symbol)} == expected
        assert {limit for limit, _ in hits(made, books._replace(locks=locks), symbol)} == expected
    assert all(lock.expires_ms > NOW for lock in locks)


def test_r32_the_longer_pause_of_two_instances_holds_whatever_the_other_says():
    """One is over, lifted or known already: the other's lock binds all the same, before its job has written it."""
    short = guest(stop_guard_stops=1, stop_guard_pause="30m", low_profit_trades=1, low_profit_pause="30m")
    long = guest(stop_guard_stops=1, stop_guard_pause="8h", low_profit_trades=1, low_profit_pause="8h")
    found = (closed(0.2), closed(0.1))
    known = tuple(lock._replace(plugin="short") for lock in proposed(short, portfolio_of(*found)).locks)
    assert len(known) == 2
    lifted = tuple(lock._replace(expires_ms=NOW) for lock in known)
    for locks in ((), known, lifted):
        told = {limit for limit, _ in hits(long, portfolio_of(*found, locks=locks))}
        assert {name for name in told if "for 8h" in name} == {
            "stops 1 in 6h for 8h: 1 stops within 6h",
            "low profit 1 in 24h under 0 % for 8h: 2 trades brought -2.00 %, wanted 0 %",
        }


# Sessions ----------------------------------------------------------------------------------------------------------

PAIR = "AAA/USDT"


def scene_of(rows, **values):
    """Buy in every row, stopped out as the price falls in row 3, with a protection that says how long to wait."""
    closes = [100, 100, 100, 95, *[95] * rows]
    sets = [f"protections.{key}={value}" for key, value in ({"stop_guard_stops": 0, "look_s": 60} | values).items()]
    buys = dict.fromkeys([1, *range(4, len(closes))], (PAIR,))
    guests = [
        wisher(buys), sizer("1"), allower(), "protections", router((IOC, "20", 2_000)), leader(stop=0.98),
    ]  # fmt: skip
    return Scene(
        ScriptedSource({PAIR: closing_at(*closes)}), guests, ("market.between_closes=false", *sets), for_ms=None
    )


def entry_rows(played):
    return sorted(
        (row.intent.signal.decided_ms - row_close_ms(0)) // 60_000
        for row in played.records.intents
        if not row.intent.reduces
    )


def test_r32_no_entry_before_the_cooldown_is_over_and_the_refusals_say_so(tmp_path):
    played = play(scene_of(14, cooldown="5m"), tmp_path / "state")
    assert [str(v) for v in played.violations()] == []
    first, second = entry_rows(played)[:2]
    (sold,) = [p for p in played.records.positions if p.closed_ms is not None][:1]
    assert sold.close_reason is Reason.STOP_LOSS
    assert row_close_ms(second) >= sold.closed_ms + 5 * 60_000
    assert row_close_ms(second - 1) < sold.closed_ms + 5 * 60_000
    (told,) = [event.event for event in played.notes(LockSet)][:1]
    assert (told.symbol, told.plugin, told.rule) == (PAIR, "protections", "cooldown 5m")
    refused = {event.event.outcome for event in played.notes(DecisionOutcome)}
    assert "LOCKED" in refused
    assert [event.event.actor for event in played.notes(LockEnded)][:1] == ["core"]
    assert first < second


def test_r32_a_lock_outlives_a_restart(tmp_path):
    long = scene_of(40, cooldown="12m")
    cut = play(long._replace(for_ms=6 * 60_000), tmp_path / "state")
    facts = [key for key in cut.records.memory if key.startswith("lock/")]
    assert facts == [f"lock/protections/cooldown 12m/{PAIR}"]
    again = play(long, tmp_path / "state")
    rows = entry_rows(again)
    whole = play(long, tmp_path / "whole")
    assert rows[:2] == entry_rows(whole)[:2]
    assert len([e for e in again.notes(LockSet) if e.event.since_ms == again.notes(LockSet)[0].event.since_ms]) == 1


def test_r32_an_operator_lifts_a_lock(tmp_path):
    lift = Command("c1", "unlock", PAIR, "I have looked", "anna")
    moment = row_close_ms(6) + 1
    played = play(
        scene_of(14, cooldown="60m"), tmp_path / "state",
        begin=lambda e: at(e, moment, lambda: put_command(tmp_path / "state" / STORE_FILE, lift)),
    )  # fmt: skip
    (ended,) = [event.event for event in played.notes(LockEnded)]
    assert (ended.actor, ended.reason, ended.symbol) == ("anna", "I have looked", PAIR)
    after = [row for row in entry_rows(played) if row_close_ms(row) > moment]
    assert after
    assert min(after) <= 8
