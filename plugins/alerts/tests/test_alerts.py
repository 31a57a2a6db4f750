"""alerts: each rule by hand, what never flaps by property, and sessions that are cut by a restart."""

import itertools
import json
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_alerts.plugin import Alerts
from tradecore_alerts.rules import BUILT_IN, MEASURES
from tradecore_alerts.status import Phase, Status, Timing, Told, step

from tradecore import Alert, Intent, Market, MarketFrame, Portfolio, Reason, Side, Signal
from tradecore.hooks.checks_jobs import job_answer
from tradecore.model.events import (
    AlertFired,
    ConfigSnapshot,
    FillConflict,
    IntentCreated,
    OrderDone,
    PositionOpened,
    RateLimitHit,
    ScanOutcomes,
    SlowCycle,
    Stamped,
)
from tradecore.model.portfolio import TradingState
from tradecore.model.position import ClosedPosition, Position, PositionState
from tradecore.model.units import TimeInForce, canonical
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, sizer, wisher
from tradecore.testing.harness import Scene, play
from tradecore.testing.readme import assert_readme_settings

D = Decimal
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
NOW = 500_000 * HOUR
A = "A/USDT"
README = (Path(__file__).parents[1] / "README.md").read_text()


class Desk:
    """A guest, and the way of its durable answer through JSON and the door's checks."""

    def __init__(self, **values):
        self.values = values
        self.state = None
        self.now = NOW
        self.told = []
        self.restart()

    def restart(self):
        self.guest = Alerts(Alerts.Settings.model_validate(self.values))

    def hear(self, *events, at=None):
        for event in events:
            self.guest.on_event(Stamped((at or self.now) * 1_000_000, event))

    def look(self, portfolio=None, after=60):
        self.now += after * SECOND
        ((job),) = self.guest.jobs()
        answer = job_answer(job.ask(portfolio or account(), market_at(self.now), self.state), "alerts")
        if answer is None:
            return []
        self.state = json.loads(json.dumps(answer.state))
        found = [(alert.name, alert.resolved) for alert in answer.alerts]
        self.told += answer.alerts
        return found

    def looks(self, times, portfolio=None, after=60):
        return [one for _ in range(times) for one in self.look(portfolio, after)]


def account(equity="1000", exposure="0", closed=(), positions=(), pending=()):
    money = D(equity)
    return Portfolio(
        NOW, "USDT", TradingState.ACTIVE, money, money, money, money, D(0), D(exposure), tuple(positions),
        tuple(pending), tuple(closed), 0, 0, {}, {}, (), {},
    )  # fmt: skip


def market_at(now_ms):
    empty = {name: np.zeros((0, 0)) for name in ("open", "high", "low", "close", "volume")}
    return Market(MarketFrame(60_000, np.zeros(0, dtype=np.int64), (), empty), now_ms, {})


def only(name):
    """All rules but one turned off, so that a test sees its own."""
    return {"off": [rule.name for rule in BUILT_IN if rule.name != name]}


def done(outcome):
    return OrderDone(A, "buy", 1, outcome, D(0), D(0), None, "", 0)


def closed_with(pnl):
    return ClosedPosition("p", A, "w", 0, 1, D(pnl), 0.0, Reason.TAKE_PROFIT)


# The documentation ---------------------------------------------------------------------------------------------


def test_readme_has_the_settings_the_rules_and_the_measures():
    assert_readme_settings(README, Alerts.Settings)
    for rule in BUILT_IN:
        row = (
            f"| `{rule.name}` | `{rule.measure}` {rule.op} {canonical(rule.threshold)} | {rule.window_s} |"
            f" {rule.sample} | {rule.for_s} | {rule.clear_s} | {rule.cooldown_s} | {rule.severity} |"
        )
        assert row in README
    for name, text in MEASURES.items():
        assert f"| `{name}` | {text} |" in README
    assert len(re.findall(r"^\| `[a-z_0-9]+` \| `", README, re.M)) >= len(BUILT_IN)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"off": ["drawdwn"]}, "expected names of built-in rules"),
        ({"rules": [{"name": "a", "measure": "nothing", "threshold": 1}]}, "expected one of drawdown_pct"),
        ({"rules": [{"name": "a", "measure": "events.no_such", "threshold": 1}]}, "expected a kind of event"),
        ({"rules": [{"name": "a", "measure": "trades", "threshold": 1}] * 2}, "expected rules of different names"),
        ({"rules": [{"name": "A b", "measure": "trades", "threshold": 1}]}, "pattern"),
        ({"rules": [{"name": "a", "measure": "trades", "threshold": "nan"}]}, "finite"),
        ({"rules": [{"name": "a", "measure": "trades", "threshold": 1, "severity": "loud"}]}, "'critical'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, says):
    with pytest.raises(ValidationError, match=says):
        Alerts.Settings.model_validate(values)


# Rules of R48 --------------------------------------------------------------------------------------------------


def test_r48_drawdown_over_5_percent_for_a_minute_and_its_end():
    desk = Desk(**only("drawdown"))
    assert desk.look() == []
    assert desk.looks(3, account("950")) == []  # 5 % is not over 5 %
    assert desk.look(account("949")) == []  # for 60 s
    assert desk.look(account("949")) == [("drawdown", False)]
    assert desk.looks(30, account("949")) == []  # told once
    assert desk.looks(15, account("960")) == []  # clear for 900 s
    assert desk.looks(2, account("960")) == [("drawdown", True)]
    fired, resolved = desk.told
    assert fired.text == "equity 5.1 % below its highest of 24 h: 949.00 of 1000.00 USDT (rule: > 5)"
    assert fired.severity == resolved.severity == "critical"


def test_r48_a_peak_is_forgotten_after_a_day():
    desk = Desk(**only("drawdown"))
    desk.look(account("1000"))
    low = desk.looks(24 * 60 + 70, account("900"))
    assert low == [("drawdown", False), ("drawdown", True)]


@pytest.mark.parametrize(("canceled", "filled", "fires"), [(6, 4, True), (5, 5, False), (9, 0, False), (10, 0, True)])
def test_r48_cancel_rate_over_half_of_at_least_ten(canceled, filled, fires):
    desk = Desk(**only("cancel_rate"))
    desk.hear(*[done("CANCELED")] * canceled, *[done("FILLED")] * filled)
    assert desk.looks(10) == ([("cancel_rate", False)] if fires else [])
    assert desk.looks(80) == []  # nobody knows once nothing ended in the hour: it does not resolve by itself
    desk.hear(*[done("FILLED")] * 10)
    assert desk.looks(15) == ([("cancel_rate", True)] if fires else [])


def test_r48_three_rate_limit_hits_within_one_minute():
    desk = Desk(**only("rate_limit"))
    hit = RateLimitHit("place", 100, "limiter")
    for _ in range(6):  # never three in one minute
        desk.hear(hit)
        assert desk.look(after=25) == []
        desk.look(after=6)
    desk.hear(hit, hit)
    assert desk.look(after=1) == [("rate_limit", False)]
    assert desk.looks(10) == [("rate_limit", True)]


@pytest.mark.parametrize(
    ("exposure", "fires"),
    [("680", []), ("690", ["exposure_85"]), ("730", ["exposure_85", "exposure_90"]),
     ("801", ["exposure_85", "exposure_90", "exposure_100"])],
)  # fmt: skip
def test_r48_exposure_against_the_limit_of_the_settings_in_force(exposure, fires):
    names = {"exposure_85", "exposure_90", "exposure_100"}
    desk = Desk(off=[rule.name for rule in BUILT_IN if rule.name not in names])
    values = {"account.capital_limit_quote": "none", "plugins.risk_limits.max_exposure_pct": "80", "run.seed": "1"}
    desk.hear(ConfigSnapshot("d", "p", values, {}))
    assert [name for name, _ in desk.looks(3, account("1000", exposure))] == fires


def test_r48_the_least_limit_counts_and_an_own_one_before_all():
    snapshot = ConfigSnapshot("d", "p", {"account.capital_limit_quote": "200", "plugins.r.max_exposure_pct": "80"}, {})
    desk = Desk(**only("exposure_100"))
    desk.hear(snapshot)
    assert desk.looks(3, account("1000", "201")) == [("exposure_100", False)]
    desk = Desk(**only("exposure_100"), exposure_limit_quote=5_000)
    desk.hear(snapshot)
    assert desk.looks(3, account("1000", "4999")) == []


def test_r48_venue_lost_until_it_is_back():
    desk = Desk(**only("venue_lost"))
    desk.hear(AlertFired("venue_lost", "critical", "twin has not answered for 30 s"))
    assert desk.look() == [("venue_lost", False)]
    assert desk.told[0].text == "twin has not answered for 30 s (rule: >= 1)"
    desk.restart()
    assert desk.looks(20) == []
    desk.hear(AlertFired("venue_back", "info", "twin answers again"))
    assert desk.looks(3) == [("venue_lost", True)]


def test_r48_what_was_down_before_a_restart_is_not_down_for_ever():
    desk = Desk(**only("venue_lost"))
    desk.hear(AlertFired("quotes_unavailable", "critical", "no prices"))
    assert desk.look() == [("venue_lost", False)]
    desk.restart()
    desk.hear(ConfigSnapshot("d", "p", {}, {}))  # a run that begins has reached its venue
    assert desk.looks(3) == [("venue_lost", True)]


@pytest.mark.parametrize(
    "event",
    [
        AlertFired("job_overdue", "critical", "job scan has not succeeded"),
        AlertFired("plugin_quarantined", "critical", "x.signal after 3 faults"),
        AlertFired("store_unavailable", "critical", "disk full"),
        SlowCycle("persist", "failed", 0.0, "OSError: no space"),
    ],
)
def test_r48_a_part_that_is_not_healthy(event):
    desk = Desk(**only("unhealthy"))
    desk.hear(event)
    assert desk.look() == [("unhealthy", False)]
    if getattr(event, "name", "") == "store_unavailable":
        assert desk.looks(30) == []  # still down
        desk.hear(AlertFired("store_available", "info", ""))
    assert desk.looks(20) == [("unhealthy", True)]


@pytest.mark.parametrize(
    "event", [SlowCycle("scan", "slow", 1_200.0), AlertFired("drawdown", "critical", "x", "alerts")]
)
def test_r48_what_is_no_ill_health(event):
    desk = Desk(**only("unhealthy"))
    desk.hear(event)
    assert desk.looks(3) == []


@pytest.mark.parametrize(("won", "lost", "fires"), [(149, 151, True), (150, 150, False), (0, 299, False)])
def test_r48_win_rate_under_half_of_the_newest_300(won, lost, fires):
    desk = Desk(**only("win_rate"))
    old = [closed_with("5")] * 40 if won + lost == 300 else []
    found = account(closed=[*old, *[closed_with("1")] * won, *[closed_with("-1")] * lost])
    assert desk.looks(2, found) == ([("win_rate", False)] if fires else [])


def test_r48_fewer_than_five_trades_a_day_only_after_a_day():
    desk = Desk(**only("few_trades"))
    opened = PositionOpened("p", A, "w", D(1), D(1))
    for _ in range(23):
        desk.hear(opened) if len(desk.told) == 0 and desk.now % (6 * HOUR) == 0 else None
        assert desk.looks(60) == []
    assert desk.looks(120) == [("few_trades", False)]
    desk.hear(*[opened] * 6)
    assert desk.looks(2) == [("few_trades", True)]


def test_r48_a_day_without_activity_says_why():
    desk = Desk(**only("no_activity"))
    for _ in range(25):
        desk.hear(
            ScanOutcomes(0, 100, {"THRESHOLD_NOT_MET": 70, "FILTER_REFUSED": 20, "LOCKED": 6, "STALE_DATA": 4}, 0)
        )
        desk.looks(60)
    (alert,) = desk.told
    assert alert.name == "no_activity"
    assert (
        "0 entries and 0 fills in 1 d; why not: THRESHOLD_NOT_MET 70 %, FILTER_REFUSED 20 %, LOCKED 6 % of"
        in alert.text
    )
    desk.hear(IntentCreated(A, "sell", D(1), D(1), D(1), D(1), "c", "w", True, "r", "p", 0))
    assert desk.looks(2) == []  # an exit is no entry
    desk.hear(IntentCreated(A, "buy", D(1), D(1), D(1), D(1), "c", "w", False, "r", "", 0))
    assert desk.looks(2) == [("no_activity", True)]


def test_r48_a_day_that_nobody_watched_is_no_quiet_day():
    desk = Desk(**only("no_activity"))
    desk.looks(20 * 60)
    desk.restart()
    assert desk.look(after=6 * 3_600) == []  # off for six hours
    assert desk.looks(23 * 60) == []
    assert desk.looks(120) == [("no_activity", False)]


def test_r48_a_position_that_cannot_be_left():
    desk = Desk(**only("stuck_position"))
    place = Position("p", A, "w", "", D(1), D(1), NOW, 1, D(1), D(1))
    signal = Signal("s", "w", A, Side.SELL, NOW, NOW, D(1), NOW, 0.5, "r", 1.0, 1.0, "n", "p")
    leaving = Intent("i", signal, A, Side.SELL, D(1), D(1), NOW, D(1), NOW, NOW, "c", True, "p")
    assert desk.looks(5, account(positions=[place], pending=[leaving])) == []
    assert desk.look(account(positions=[place], pending=[leaving])) == [("stuck_position", False)]
    assert desk.told[0].text.startswith("A/USDT: its exit has taken 6 min")
    assert desk.looks(3, account()) == [("stuck_position", True)]
    unsellable = place._replace(state=PositionState.UNSELLABLE)
    assert desk.looks(40, account(positions=[unsellable])) == [("stuck_position", False)]
    assert "A/USDT: cannot be sold" in desk.told[-1].text


def test_own_rules_count_any_kind_of_event_and_replace_built_in_ones():
    own = {"name": "twice", "measure": "events.fill_conflict", "threshold": 1, "window_s": 600, "clear_s": 0}
    deep = {"name": "drawdown", "measure": "drawdown_pct", "threshold": 20, "for_s": 0}
    desk = Desk(rules=[own, deep])
    assert "fill_conflict" in desk.guest.events
    desk.look()
    conflict = FillConflict(A, "t", "price", "1", "2")
    desk.hear(conflict)
    assert desk.look(account("900")) == []
    desk.hear(conflict)
    assert desk.look(account("900")) == [("twice", False)]
    assert desk.looks(12, account("900")) == [("twice", True)]


def test_a_rule_that_is_taken_away_while_it_fires_is_told_to_be_over():
    desk = Desk(**only("venue_lost"))
    desk.hear(AlertFired("venue_lost", "critical", "gone"))
    assert desk.look() == [("venue_lost", False)]
    desk.values = {"off": [rule.name for rule in BUILT_IN]}
    desk.restart()
    assert desk.look(after=301) == [("venue_lost", True)]
    assert desk.looks(10) == []


@pytest.mark.parametrize("state", [{}, {"rules": 1}, {"counts": {}, "rules": {}, "peaks": {}, "since_ms": "x"}])
def test_a_state_that_nobody_understands_begins_anew(state):
    desk = Desk(**only("drawdown"))
    desk.state = state
    assert desk.look() == []
    assert desk.state["looked_ms"] == desk.now


def test_counts_are_written_down_every_five_minutes_and_a_kill_loses_no_more():
    desk = Desk(**only("cancel_rate"))
    desk.look()
    desk.hear(*[done("CANCELED")] * 20)
    desk.looks(5)
    assert any("canceled" in counted for counted in desk.state["counts"]["minutes"].values())
    desk.restart()
    assert desk.looks(10) == [("cancel_rate", False)]


def test_what_is_heard_while_nobody_asks_stays_small():
    desk = Desk()
    for minute in range(3_000):
        desk.hear(done("FILLED"), RateLimitHit("x", 1, "y"), AlertFired("job_overdue", "critical", "z" * 9_999),
                  at=NOW + minute * MINUTE)  # fmt: skip
    desk.now += 3_000 * MINUTE
    desk.look()
    assert len(json.dumps(desk.state)) < 20_000


# What always holds ---------------------------------------------------------------------------------------------

PATIENCE = st.builds(Timing, *[st.integers(0, 20).map(lambda n: n * MINUTE)] * 3)
LOOKS = st.lists(st.tuples(st.integers(1, 400), st.sampled_from([True, False, None])), min_size=1, max_size=120)


def lasted(looks, at, value, length_ms):
    """True where every look of a span that ends with look `at` and is at least so long saw the same."""
    end = looks[at][0]
    for moment, met in reversed(looks[: at + 1]):
        if met is not value:
            return False
        if end - moment >= length_ms:
            return True
    return False


@settings(max_examples=400, deadline=None)
@given(timing=PATIENCE, steps=LOOKS)
def test_r48_a_rule_never_flaps(timing, steps):
    now, status, looks, told = NOW, Status(), [], []
    for gap_s, met in steps:
        now += gap_s * SECOND
        looks.append((now, met))
        status = Status(Phase(str(status.phase)), status.since_ms, status.fired_ms)  # as after a restart
        status, said = step(status, met, now, timing)
        if said is not Told.NOTHING:
            told.append((len(looks) - 1, said))
    # one after the other, beginning with the trouble
    assert [said for _, said in told] == [Told.FIRED, Told.RESOLVED] * (len(told) // 2) + [Told.FIRED] * (len(told) % 2)
    for at, said in told:
        if said is Told.FIRED:
            assert lasted(looks, at, True, timing.for_ms)
        else:
            assert looks[at][1] is False
            # nothing but "over" or "nobody knows" between: unknown may not end it, and a relapse begins it anew
            assert lasted(looks, at, False, timing.clear_ms)
    fired = [looks[at][0] for at, said in told if said is Told.FIRED]
    assert all(later - sooner >= timing.cooldown_ms for sooner, later in itertools.pairwise(fired))


@settings(max_examples=100, deadline=None)
@given(timing=PATIENCE, lead=LOOKS, met=st.booleans())
def test_r48_what_lasts_is_told(timing, lead, met):
    now, status = NOW, Status()
    for gap_s, seen in lead:
        now += gap_s * SECOND
        status, _ = step(status, seen, now, timing)
    for _ in range(60):
        now += MINUTE
        status, _ = step(status, met, now, timing)
    assert status.phase is (Phase.FIRING if met else Phase.QUIET)


# Sessions ------------------------------------------------------------------------------------------------------


def quiet_scene(hours):
    closes = closing_at(*[100.0] * (hours * 60))
    guests = [wisher({2: [A]}), sizer("1"), allower(), router((TimeInForce.IOC, "20", 2_000)), leader(), "alerts"]
    return Scene(ScriptedSource({A: closes}), guests)


def test_r48_a_session_tells_the_same_alerts_in_one_piece_or_in_two(tmp_path):
    whole = play(quiet_scene(30), tmp_path / "whole")
    alerts = [one for one in whole.notes(AlertFired) if one.event.by == "alerts"]
    assert [one.event.name for one in alerts] == ["few_trades", "no_activity"]
    assert "THRESHOLD_NOT_MET" in alerts[1].event.text
    cut = quiet_scene(30)
    play(cut._replace(for_ms=13 * HOUR), tmp_path / "cut")
    again = play(cut, tmp_path / "cut")
    told = [one for one in again.notes(AlertFired) if one.event.by == "alerts"]
    assert [(one.event.name, one.at_ns // 10**9 // 300) for one in told] == [
        (one.event.name, one.at_ns // 10**9 // 300) for one in alerts
    ]
    assert whole.violations() == again.violations() == ()


def test_r48_a_crash_of_prices_is_told_and_trades_are_the_same_without_it(tmp_path):
    closes = [100.0] * 10 + [100.0 - 3 * n for n in range(1, 25)] + [28.0] * 30
    guests = [wisher({2: [A]}), sizer("80"), allower(), router((TimeInForce.IOC, "20", 2_000)), leader()]
    scene = Scene(ScriptedSource({A: closing_at(*closes)}), guests)
    plain = play(scene, tmp_path / "plain")
    watched = play(scene._replace(guests=[*guests, "alerts"]), tmp_path / "watched")
    names = [one.event.name for one in watched.notes(AlertFired) if one.event.by == "alerts"]
    assert names == ["exposure_85", "drawdown"] or names[-1] == "drawdown"
    assert watched.records.attempts == plain.records.attempts
    assert watched.records.positions == plain.records.positions


def test_alert_is_the_public_word():
    assert Alert("n", "info", "t").resolved is False
