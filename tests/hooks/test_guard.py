"""Quarantine, breadcrumb, lateness, tracing: what the loop around every guest does."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradecore import Size, Verdict, hookimpl
from tradecore.model.events import PluginFault


def failing(base, hook="risk_check", title="bad", role_="wisher"):
    class Bad(base):
        name = title
        role = role_

        def __init__(self, settings):
            super().__init__(settings)
            self.asked = 0
            self.fail = True

    def ask(self, intent):
        self.asked += 1
        if self.fail:
            raise ValueError("broken")
        return Verdict()

    Bad.risk_check = hookimpl(ask)
    return Bad


def ask(calls, words, times=1):
    for _ in range(times):
        answer = calls.risk(words.intent, words.portfolio, words.market)
    return answer


def test_three_faults_quarantine_a_guest_for_that_hook_once(seat, base, words):
    class Two(failing(base)):
        @hookimpl
        def size(self, signal):
            return Size(Decimal(1), "one")

    calls = seat(Two)
    ask(calls, words, 2)
    assert calls.quarantined == frozenset()
    ask(calls, words)
    assert calls.quarantined == {("bad", "risk_check")}
    assert calls.ear.quarantines == [("bad", "risk_check", 3, "ValueError: broken")]
    assert calls.ear.faults == [PluginFault("bad", "risk_check", "ValueError: broken", n) for n in (1, 2, 3)]
    assert ask(calls, words, 5).fault == "bad.risk_check: quarantined"
    assert calls.guests[0].plugin.asked == 3
    assert len(calls.ear.quarantines) == 1
    assert calls.size(words.signal, words.portfolio, words.instrument, words.market).best is not None
    assert calls.active("risk_check") == ()
    assert calls.active("size") == ("bad",)
    assert calls.has("risk_check")


def test_a_success_in_between_does_not_reset_the_count(seat, base, words):
    calls = seat(failing(base))
    plugin = calls.guests[0].plugin
    ask(calls, words, 2)
    plugin.fail = False
    assert ask(calls, words, 50).allowed
    plugin.fail = True
    ask(calls, words)
    assert calls.quarantined == {("bad", "risk_check")}


def test_strikes_are_a_setting(seat, base, words):
    calls = seat(failing(base), strikes=1)
    ask(calls, words)
    assert calls.quarantined == {("bad", "risk_check")}


def test_the_operator_lifts_a_quarantine_and_the_count_begins_anew(seat, base, words):
    calls = seat(failing(base))
    ask(calls, words, 3)
    assert calls.lift("bad", "size") == ()
    assert calls.lift("bad") == (("bad", "risk_check"),)
    assert calls.quarantined == frozenset()
    ask(calls, words, 2)
    assert calls.quarantined == frozenset()
    ask(calls, words)
    assert calls.quarantined == {("bad", "risk_check")}


def test_a_quarantine_of_an_earlier_run_is_in_force_and_told_to_nobody(seat, base, words):
    calls = seat(failing(base))
    calls.restore([("bad", "risk_check"), ("gone", "size"), ("bad", "follow")])
    assert calls.quarantined == {("bad", "risk_check")}
    assert calls.ear.quarantines == []
    assert not ask(calls, words).allowed
    assert calls.guests[0].plugin.asked == 0


def test_the_breadcrumb_names_the_guest_while_it_is_asked(seat, base, words):
    seen = []

    class Looker(base):
        @hookimpl
        def risk_check(self, intent):
            seen.append((calls.crumb.at, calls.crumb.since_ns))
            raise ValueError("gone wrong")

    calls = seat(Looker)
    ask(calls, words)
    assert calls.crumb.at is None
    ask(calls, words)
    assert [at for at, _ in seen] == [("looker", "risk_check")] * 2
    assert seen[0][1] < seen[1][1]


class Ticks:
    """A timer of the wall that moves by a fixed step at each look."""

    def __init__(self, step_ms):
        self.now = 0
        self.step = int(step_ms * 1e6)

    def __call__(self):
        self.now += self.step
        return self.now


class Easy:
    @hookimpl
    def risk_check(self):
        return Verdict()


def test_a_late_hook_is_told_and_counted_and_its_answer_stands(seat, base, words):
    class One(Easy, base):
        pass

    calls = seat(One, timer=Ticks(30), deadlines_ms={"risk_check": 20.0})
    assert ask(calls, words).allowed
    ((plugin, hook, duration_ms, deadline_ms),) = calls.ear.late
    assert (plugin, hook, duration_ms, deadline_ms) == ("one", "risk_check", 30.0, 20.0)
    assert calls.late == {"risk_check": 1}


def test_on_virtual_time_the_wall_judges_nobody(seat, base, words, still_clock):
    class One(Easy, base):
        pass

    calls = seat(One, timer=Ticks(30), deadlines_ms={"risk_check": 20.0}, clock=still_clock(virtual=True))
    assert ask(calls, words).allowed
    assert calls.ear.late == []
    assert calls.late == {"risk_check": 1}


@pytest.mark.parametrize(("virtual", "spent_us"), [(False, 30_000.0), (True, 0.0)])
def test_a_trace_shows_guest_hook_answer_and_time(seat, base, words, still_clock, ear, virtual, spent_us):
    class One(Easy, base):
        pass

    clock = still_clock(virtual)
    calls = seat(One, failing(base), trace=ear.traces.append, ear=ear, timer=Ticks(30), clock=clock)
    ask(calls, words)
    (trace,) = ear.traces
    assert (trace.plugin, trace.hook, trace.duration_us) == ("one", "risk_check", spent_us)
    assert trace.answer.startswith("Verdict(")
    assert len(ear.faults) == 1


def test_fault_texts_are_one_short_line(seat, base, words):
    class Chatty(base):
        @hookimpl
        def risk_check(self, intent):
            raise ValueError("a\nb " + "x" * 1000)

    calls = seat(Chatty)
    fault = ask(calls, words).fault
    assert "\n" not in fault
    assert len(fault) < 400
    assert fault.startswith("chatty.risk_check: ValueError: a b x")
