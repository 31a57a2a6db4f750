"""alerts where looks are rare, values flap, clocks are set, runs are cut, and settings contradict each other."""

import itertools
import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_alerts.counts import Counts
from tradecore_alerts.plugin import Alerts
from tradecore_alerts.rules import BUILT_IN

from tradecore import Intent, Market, MarketFrame, Portfolio, Side, Signal
from tradecore.hooks.checks_jobs import job_answer
from tradecore.model.events import AlertFired, ConfigSnapshot, FillConflict, RateLimitHit, ScanOutcomes, Stamped
from tradecore.model.portfolio import TradingState
from tradecore.model.position import Position

D = Decimal
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
NOW = 500_000 * HOUR
A = "A/USDT"
HIT = RateLimitHit("place", 100, "limiter")


class Watch:
    """A guest with its durable answer, at moments that the test names."""

    def __init__(self, **values):
        self.values, self.state, self.told = values, None, []
        self.restart()

    def restart(self):
        self.guest = Alerts(Alerts.Settings.model_validate(self.values))

    def hear(self, event, *moments):
        for at in moments:
            self.guest.on_event(Stamped(at * 1_000_000, event))

    def look(self, now, equity="1000", positions=(), pending=()):
        money = D(equity)
        account = Portfolio(
            now, "USDT", TradingState.ACTIVE, money, money, money, money, D(0), D(0), tuple(positions), tuple(pending),
            (), 0, 0, {}, {}, (), {},
        )  # fmt: skip
        empty = {name: np.zeros((0, 0)) for name in ("open", "high", "low", "close", "volume")}
        market = Market(MarketFrame(60_000, np.zeros(0, dtype=np.int64), (), empty), now, {})
        ((job),) = self.guest.jobs()
        answer = job_answer(job.ask(account, market, self.state), "alerts")
        if answer is None:
            return []
        self.state = json.loads(json.dumps(answer.state))
        self.told += answer.alerts
        return [(alert.name, alert.resolved) for alert in answer.alerts]


def only(*names):
    return [rule.name for rule in BUILT_IN if rule.name not in names]


# Between two looks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_s", [1, 30, 61, 120, 200, 239])
def test_r48_three_hits_in_a_minute_count_wherever_they_fall_between_two_looks(first_s):
    watch = Watch(off=only("rate_limit"))
    watch.look(NOW)
    watch.hear(HIT, *(NOW + (first_s + more) * SECOND for more in (0, 20, 59)))
    assert watch.look(NOW + 5 * MINUTE) == [("rate_limit", False)]
    assert "3 requests held back in 1 min" in watch.told[0].text
    assert watch.look(NOW + 10 * MINUTE) == []
    assert watch.look(NOW + 15 * MINUTE) == [("rate_limit", True)]


@settings(max_examples=200, deadline=None)
@given(
    hits=st.lists(st.integers(1, 1_200), max_size=12),
    looks=st.lists(st.integers(1, 1_200), max_size=12, unique=True),
)
def test_r48_a_burst_is_found_if_and_only_if_there_was_one(hits, looks):
    watch = Watch(off=only("rate_limit"), look_s=1)
    watch.look(NOW)
    for before, now in itertools.pairwise([0, *sorted(looks), 1_260]):
        watch.hear(HIT, *(NOW + at * SECOND for at in sorted(hits) if before < at <= now))
        watch.look(NOW + now * SECOND)
    ordered = sorted(hits)
    burst = any(sum(end - 60 < at <= end for at in ordered) >= 3 for end in ordered)
    assert bool(watch.told) == burst


def test_r48_a_window_leaves_out_nothing_that_it_touches():
    """Looks come at the first millisecond of a minute, as rows close: the minute before is the window."""
    rule = {"name": "twice", "measure": "events.fill_conflict", "op": ">=", "threshold": 2, "window_s": 60}
    watch = Watch(off=only(), rules=[rule])
    watch.look(NOW)
    watch.hear(FillConflict(A, "t", "price", "1", "2"), NOW + 10 * SECOND, NOW + 50 * SECOND)
    assert watch.look(NOW + MINUTE) == [("twice", False)]
    counts = Counts()
    counts.add(NOW - 23 * HOUR - 50 * MINUTE, "opened")
    assert counts.total("opened", 86_400, NOW) == 1
    assert counts.total("opened", 86_400, NOW + HOUR) == 0


@settings(max_examples=200, deadline=None)
@given(
    events=st.lists(st.integers(0, 3 * HOUR), max_size=20),
    window_s=st.sampled_from([60, 90, 600, 3_600, 7_200]),
    now=st.integers(0, 3 * HOUR),
)
def test_r48_counts_are_rounded_up_by_less_than_a_cell(events, window_s, now):
    counts, window_ms = Counts(), window_s * 1_000
    cell_ms = MINUTE if window_s <= 3_600 else HOUR
    for at in sorted(events):
        if at <= now:
            counts.add(NOW + at, "x")
    exact = sum(now - window_ms < at <= now for at in events)
    widest = sum(now - window_ms - cell_ms < at <= now for at in events)
    assert exact <= counts.total("x", window_s, NOW + now) <= widest


def test_r48_ill_health_between_two_rare_looks_is_seen():
    watch = Watch(off=only("unhealthy"), look_s=3_600)
    watch.look(NOW)
    watch.hear(AlertFired("job_overdue", "critical", "job scan has not succeeded"), NOW + MINUTE)
    assert watch.look(NOW + HOUR) == [("unhealthy", False)]


# What flaps ----------------------------------------------------------------------------------------------------


def test_r48_a_value_that_flaps_is_told_once_and_over_once():
    watch = Watch(off=only("drawdown"))
    watch.look(NOW)
    for minute in range(1, 300):
        watch.look(NOW + minute * MINUTE, "940" if minute % 2 else "960")
    assert watch.told == []  # it never held for a minute
    for minute in range(300, 700):
        watch.look(NOW + minute * MINUTE, "960" if minute % 10 == 0 else "940")
    assert [one.resolved for one in watch.told] == [False]  # told once, and never over for 15 minutes
    for minute in range(700, 800):
        watch.look(NOW + minute * MINUTE, "1000")
    assert [one.resolved for one in watch.told] == [False, True]


def test_r48_after_its_end_a_rule_waits_for_its_cooldown():
    watch = Watch(off=only("drawdown"))
    watch.look(NOW)
    fired = []
    for minute in range(1, 200):
        low = minute % 40 < 20  # down for 20 minutes, up for 20: it is over after 15
        if ("drawdown", False) in watch.look(NOW + minute * MINUTE, "900" if low else "1000"):
            fired.append(minute)
    assert len(fired) >= 2
    assert all(b - a >= 60 for a, b in itertools.pairwise(fired))


# Restarts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut_s", range(30, 330, 30))
def test_r48_a_restart_in_the_middle_of_a_for_duration_changes_nothing(cut_s):
    """`cancel_rate` must hold for 5 minutes; a restart at any look within keeps what has passed."""
    rule = {"name": "low", "measure": "drawdown_pct", "threshold": 5, "for_s": 300, "clear_s": 300}
    watch = Watch(off=only(), rules=[rule])
    watch.look(NOW)
    fired = None
    for second in range(30, 900, 30):
        if second == cut_s:
            watch.restart()
        if watch.look(NOW + second * SECOND, "900"):
            fired = second
            break
    assert fired == 330


@pytest.mark.parametrize("off_min", [14, 16, 600])
def test_r48_a_long_pause_in_a_for_duration_begins_it_anew(off_min):
    rule = {"name": "low", "measure": "drawdown_pct", "threshold": 5, "for_s": 300}
    watch = Watch(off=only(), rules=[rule])
    watch.look(NOW)
    watch.look(NOW + MINUTE, "900")
    watch.restart()
    back = NOW + (1 + off_min) * MINUTE
    assert watch.look(back, "900") == ([("low", False)] if off_min < 15 else [])
    if off_min > 15:
        assert watch.look(back + 4 * MINUTE, "900") == []
        assert watch.look(back + 5 * MINUTE, "900") == [("low", False)]


# Clocks that are set -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back_ms", [1, 2_000, 10 * MINUTE, 30 * HOUR, 4_000 * HOUR])
def test_r48_a_clock_set_back_forgets_no_alert_and_tells_none_twice(back_ms):
    watch = Watch(off=only("drawdown", "rate_limit"))
    watch.look(NOW)
    watch.look(NOW + MINUTE, "900")
    watch.hear(HIT, *[NOW + MINUTE] * 2)
    assert watch.look(NOW + 2 * MINUTE, "900") == [("drawdown", False)]
    watch.restart()
    back = NOW + 2 * MINUTE - back_ms
    for minute in range(50):
        watch.look(back + minute * MINUTE, "900")
    assert [(one.name, one.resolved) for one in watch.told] == [("drawdown", False)]
    for minute in range(50, 90):
        watch.look(back + minute * MINUTE, "1000")
    assert [(one.name, one.resolved) for one in watch.told] == [("drawdown", False), ("drawdown", True)]


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(-3 * HOUR, 3 * HOUR), st.sampled_from(["1000", "900"])), max_size=40),
    cut=st.integers(0, 40),
)
def test_r48_whatever_the_clock_does_trouble_and_its_end_take_turns(steps, cut):
    watch, now = Watch(off=only("drawdown")), NOW
    watch.look(now)
    for number, (step, equity) in enumerate(steps):
        now += step
        watch.hear(HIT, now)
        if number == cut:
            watch.restart()
        watch.look(now, equity)
    found = [one.resolved for one in watch.told]
    assert found == [False, True] * (len(found) // 2) + [False] * (len(found) % 2)


# Two rules on one subject, and rules that contradict ----------------------------------------------------------


def test_r48_two_rules_on_one_kind_of_event_count_for_themselves():
    kind = "events.fill_conflict"
    rules = [
        {"name": "any", "measure": kind, "op": ">=", "threshold": 1, "window_s": 60, "cooldown_s": 0, "clear_s": 0},
        {"name": "many", "measure": kind, "op": ">=", "threshold": 3, "window_s": 3_600, "severity": "critical"},
    ]
    watch = Watch(off=only(), rules=rules)
    watch.look(NOW)
    found = []
    for minute in range(1, 12):
        if minute in {1, 5, 9}:
            watch.hear(FillConflict(A, "t", "price", "1", "2"), NOW + minute * MINUTE)
        found += [(minute, *one) for one in watch.look(NOW + minute * MINUTE + 1)]
    assert [one for one in found if one[1] == "many"] == [(9, "many", False)]
    assert [one[2] for one in found if one[1] == "any"] == [False, True] * 3


def test_a_rule_of_ones_own_that_is_turned_off_is_refused():
    own = {"name": "drawdown", "measure": "drawdown_pct", "threshold": 3}
    with pytest.raises(ValidationError, match="turned off, was both: drawdown"):
        Alerts.Settings.model_validate({"off": ["drawdown"], "rules": [own]})


# What cannot be left -------------------------------------------------------------------------------------------


def place(**more):
    return Position("p", A, "w", "", D(1), D(1), NOW, 1, D(1), D(1), **more)


def leaving(created_ms):
    signal = Signal("s", "w", A, Side.SELL, NOW, NOW, D(1), NOW, 0.5, "r", 1.0, 1.0, "n", "p")
    return Intent("i", signal, A, Side.SELL, D(1), D(1), NOW, D(1), created_ms, NOW, "c", True, "p")


def test_r48_an_exit_that_is_tried_again_and_again_is_stuck():
    """Each try is a new intent, younger than five minutes, with a pause in between."""
    watch = Watch(off=only("stuck_position"))
    found = []
    for minute in range(12):
        now = NOW + minute * MINUTE
        trying = [leaving(now)] if minute % 2 == 0 else []
        if minute == 4:
            watch.restart()
        found += watch.look(now, positions=[place(exit_attempts=minute // 2)], pending=trying)
    assert found == [("stuck_position", False)]
    assert watch.told[0].text.startswith("A/USDT: its exit has taken 6 min")
    assert watch.look(NOW + 12 * MINUTE) == []
    assert watch.look(NOW + 14 * MINUTE) == [("stuck_position", True)]


def test_r48_a_position_on_a_symbol_that_is_shut_is_stuck_until_it_trades():
    watch = Watch(off=only("stuck_position"))
    watch.hear(AlertFired("position_symbol_halted", "critical", f"{A}: its position cannot be left now"), NOW)
    assert watch.look(NOW, positions=[place()]) == [("stuck_position", False)]
    watch.restart()
    watch.hear(ConfigSnapshot("d", "p", {}, {}), NOW + MINUTE)  # the next run says it again, where it is still so
    watch.hear(AlertFired("position_symbol_halted", "critical", f"{A}: its position cannot be left now"), NOW + MINUTE)
    assert watch.look(NOW + MINUTE, positions=[place()]) == []
    watch.hear(AlertFired("position_symbol_trades", "info", f"{A}: its position can be left again"), NOW + 2 * MINUTE)
    watch.look(NOW + 2 * MINUTE, positions=[place()])
    assert watch.look(NOW + 4 * MINUTE, positions=[place()]) == [("stuck_position", True)]


# Why not -------------------------------------------------------------------------------------------------------


def test_r48_what_became_an_intent_is_no_reason():
    watch = Watch(off=only("few_trades"))
    for hour in range(26):
        outcomes = {"INTENT_CREATED": 50, "THRESHOLD_NOT_MET": 30, "LOCKED": 20}
        watch.hear(ScanOutcomes(0, 100, outcomes, 0), NOW + hour * HOUR)
        for minute in range(0, 60, 10):
            watch.look(NOW + hour * HOUR + minute * MINUTE)
    (alert,) = watch.told
    assert "why not: THRESHOLD_NOT_MET 60 %, LOCKED 40 % of" in alert.text
    assert "INTENT_CREATED" not in alert.text
