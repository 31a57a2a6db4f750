"""Guests that tune, fault and come back: what is durable of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import BaseModel

from tradecore.market.answers import Wishes
from tradecore.model.events import AlertFired, PluginFault, PluginQuarantined, TuneApplied, TuneUndone
from tradecore.model.intent import IntentState
from tradecore.model.reasons import Reason
from tradecore.model.records import Command
from tradecore.model.signal import Job, JobAnswer, Tune
from tradecore.model.units import TimeInForce
from tradecore.store.queries import put_command
from tradecore.testing.factories import FIRST_CLOSE_MS, allower, leader, make_guest, router, row_close_ms, sizer, wisher
from tradecore.testing.harness import STORE_FILE, at

A = "AAA/USDT"
MINUTE_S = 60.0


class Threshold(BaseModel, frozen=True, extra="forbid"):
    limit: float = -1.0


def tunable(name="wish"):
    """Wishes to buy in every row, as soon as its threshold is at least 0."""

    def signal(self, frame, rows):
        return Wishes(np.zeros((len(rows), len(frame.symbols))), "<=", self.settings.limit, "n", "tuned")

    return make_guest(name, settings=Threshold, signal=signal)


def tuner(*answers, interval_s=MINUTE_S, kind=None, name="tuner"):
    """A job that says one thing after the other, from its own durable answer."""

    def ask(portfolio, market, last):
        turn = int(last["turn"]) if last else 0
        if turn >= len(answers):
            return None
        if isinstance(answers[turn], Exception):
            raise answers[turn]
        return JobAnswer(tunes=(Tune("wish.limit", answers[turn], f"turn {turn}"),), state={"turn": turn + 1})

    def jobs():
        return [Job("adapt", interval_s, ask)]

    return make_guest(name, jobs=jobs, **({"settings": kind} if kind is not None else {}))


def first_intent_row(played):
    rows = [(row.intent.signal.decided_ms - FIRST_CLOSE_MS) // 60_000 for row in played.records.intents]
    return min(rows, default=None)


@pytest.mark.parametrize("block_rows", [1, 256])
def test_tune_is_in_force_from_the_next_row(run, scene, block_rows):
    played = run(
        scene(
            *(100,) * 8, wish=tunable(), guests=[tuner(0.5, interval_s=180)],
            sets=(f"market.block_rows={block_rows}",),
        )
    )  # fmt: skip
    (tune,) = played.notes(TuneApplied)
    assert (tune.event.by, tune.event.setting, tune.event.old, tune.event.new) == ("tuner", "wish.limit", "-1", "0.5")
    tuned_row = (tune.at_ns // 1_000_000 - FIRST_CLOSE_MS) // 60_000
    assert first_intent_row(played) == tuned_row + 1


def test_tune_and_the_jobs_answer_survive_a_restart(run, scene):
    story = scene(*(100,) * 20, wish=tunable(), guests=[tuner(0.5)], for_ms=4 * 60_000)
    first = run(story)
    records = first.records
    assert records.memory["job/tuner/adapt"].text == '{"turn":1}'
    again = run(story)
    assert [e.event.new for e in again.notes(TuneApplied)] == ["0.5"]
    assert len(again.records.intents) > len(records.intents)


def test_tune_of_a_guest_that_left_the_list_is_undone_and_told(run, scene):
    """Switched off, it must not be obeyed for ever; switched on again, its job has its memory still."""
    tuned = scene(*(100,) * 20, wish=tunable(), guests=[tuner(0.5)], for_ms=3 * 60_000)
    records = run(tuned).records
    assert "tune/wish.limit" in records.memory
    without = run(tuned._replace(guests=[guest for guest in tuned.guests if guest.name != "tuner"]))
    (undone,) = [note.event for note in without.notes(TuneUndone)]
    assert (undone.by, undone.setting, undone.value) == ("tuner", "wish.limit", "0.5")
    assert "takes no part" in undone.reason
    assert len(without.records.intents) == len(records.intents)
    assert "tune/wish.limit" not in without.records.memory
    back = run(tuned)
    assert back.records.memory["job/tuner/adapt"].text == '{"turn":1}'
    assert len(back.notes(TuneUndone)) == 1


def test_tune_of_a_guest_with_other_settings_is_undone(run, scene):
    """A knob that was taken out of the profile would hold its setting for ever."""

    class Knobs(BaseModel, frozen=True, extra="forbid"):
        knob: str = "wish.limit"

    story = scene(*(100,) * 20, wish=tunable(), guests=[tuner(0.5, kind=Knobs)], for_ms=3 * 60_000)
    records = run(story).records
    assert "tune/wish.limit" in records.memory

    class Others(BaseModel, frozen=True, extra="forbid"):
        knob: str = "other.limit"

    kept = [guest for guest in story.guests if guest.name != "tuner"]
    again = run(story._replace(guests=[*kept, tuner(0.5, kind=Others)]))
    (undone,) = [note.event for note in again.notes(TuneUndone)]
    assert undone.reason == "the settings of tuner are others now"
    assert len(again.records.intents) == len(records.intents)


def test_tune_of_a_guest_that_is_gone_is_forgotten_without_an_alarm_at_each_start(run, scene):
    story = scene(*(100,) * 20, wish=tunable(), guests=[tuner(0.5)], for_ms=3 * 60_000)
    run(story)
    again = run(story._replace(guests=[wisher({}), *[guest for guest in story.guests if guest.name != "wish"]]))
    assert [note.event.setting for note in again.notes(TuneUndone)] == ["wish.limit"]
    assert "tune/wish.limit" not in again.records.memory
    # nobody leads the position of the first session in this story: that is told, the tune is not
    assert [note.event.name for note in again.notes(AlertFired)] == ["positions_unled"]


@pytest.mark.parametrize(("first", "second"), [("alpha", "beta"), ("beta", "alpha")])
def test_two_guests_do_not_take_turns_with_one_setting(run, scene, first, second):
    """The first of the list holds it; the other's wish is refused and told once, not journalled every minute."""
    guests = [tuner(*[0.5] * 9, name=first), tuner(*[0.25] * 9, name=second)]
    played = run(scene(*(100,) * 12, wish=tunable(), guests=guests))
    applied = [(note.event.by, note.event.new) for note in played.notes(TuneApplied)]
    assert applied[-1] == (first, "0.5")
    assert len(applied) <= 2
    (told,) = [note.event for note in played.notes(AlertFired) if note.event.name == "tune_refused"]
    assert told.text == f"{second}: wish.limit: expected one guest to tune it, was tuned by {first}"


def test_tune_that_does_not_fit_is_refused_and_told(run, scene):
    played = run(scene(*(100,) * 6, wish=tunable(), guests=[tuner("high")]))
    assert played.notes(TuneApplied) == []
    alarms = [e.event for e in played.notes(AlertFired) if e.event.name == "tune_refused"]
    assert len(alarms) == 1
    assert played.records.intents == ()


def test_quarantined_job_takes_its_tunes_along(run, scene):
    """After three faults of its job the threshold is back where the files have it, for good."""
    faulty = tuner(0.5, *[ValueError("broken")] * 5)
    story = scene(*(100,) * 20, wish=tunable(), guests=[faulty], for_ms=10 * 60_000)
    played = run(story)
    assert [e.event.plugin for e in played.notes(PluginQuarantined)] == ["tuner"]
    last = max(row.intent.signal.decided_ms for row in played.records.intents)
    (end,) = played.notes(PluginQuarantined)
    assert last <= end.at_ns // 1_000_000
    assert "tune/wish.limit" not in played.records.memory
    again = run(story)
    assert again.summary["intents"] == {}
    assert again.summary["quarantined"] == ["tuner.jobs"]


def raising(hook):
    def signal(frame, rows):
        raise ValueError("broken")

    def on_fail(intent):
        raise ValueError("broken")

    def route_order(intent):
        raise ValueError("broken")

    return make_guest("bad", **{hook: {"signal": signal, "on_fail": on_fail, "route_order": route_order}[hook]})


def test_third_fault_quarantines_and_a_restart_remembers(run, scene, tmp_path):
    story = scene(*(100,) * 20, buys=dict.fromkeys(range(1, 20), (A,)), route=raising("route_order"), for_ms=6 * 60_000)
    first = run(story)
    assert first.summary["quarantined"] == ["bad.route_order"]
    assert [e.event.faults for e in first.notes(PluginFault)] == [1, 2, 3]
    (event,) = first.notes(PluginQuarantined)
    assert (event.event.plugin, event.event.hook, event.event.faults) == ("bad", "route_order", 3)
    ends = {(row.state, row.reason) for row in first.records.intents if row.reason is not Reason.SHUTDOWN}
    assert ends == {(IntentState.FAILED, Reason.GUEST_FAULT)}

    again = run(story)
    assert again.summary["quarantined"] == ["bad.route_order"]
    assert len(again.notes(PluginFault)) == 3

    lift = Command("c1", "release", "bad.route_order", "mended", "anna")
    at_ms = row_close_ms(13) + 1
    third = run(story, begin=lambda e: at(e, at_ms, lambda: put_command(tmp_path / "state" / STORE_FILE, lift)))
    assert len(third.notes(PluginFault)) > 3


def test_wisher_that_fails_leaves_the_others_alone(run, scene):
    played = run(scene(*(100,) * 6, guests=[raising("signal")], sets=("market.block_rows=1",)))
    assert played.summary["outcomes"]["INTENT_CREATED"] == 1
    assert played.summary["quarantined"] == ["bad.signal"]


def test_nobody_left_to_wish(run, scene):
    played = run(scene(*(100,) * 6, wish=raising("signal"), sets=("market.block_rows=1",)))
    assert played.summary["outcomes"] == {"NO_WISHER": 6}


def test_told_guests_hear_everything_once_and_in_order(run, scene):
    heard = []

    def on_fill(fill, intent, position, event_id):
        heard.append(("fill", intent.side, position.quantity, event_id))
        raise RuntimeError("and then it breaks")

    def on_fail(intent, reason, event_id):
        heard.append(("fail", intent.side, reason, event_id))

    async def on_shutdown(reason):
        heard.append(("shutdown", reason, None, ""))

    teller = make_guest("told", on_fill=on_fill, on_fail=on_fail, on_shutdown=on_shutdown)
    played = run(scene(100, 100, 100, 97, 97, 97, guests=[leader(stop=0.99), teller]))
    assert [what[0] for what in heard][-1] == "shutdown"
    fills = [what for what in heard if what[0] == "fill"]
    assert len({what[3] for what in fills}) == len(fills)
    assert played.summary["positions_closed"] == 1
    assert len(fills) == min(3, len(played.records.fills))


def test_event_guest_sees_its_kinds_only(run, scene):
    kinds: list[str] = []

    def on_event(event):
        kinds.append(type(event.event).__name__)

    guest = make_guest("ear", on_event=on_event, promises={"events": frozenset({"order_done", "heartbeat"})})
    run(scene(*(100,) * 6, guests=[guest]))
    assert set(kinds) == {"OrderDone"}


def guests_without(hook: str) -> Sequence[object]:
    cast = {"size": sizer("1"), "risk_check": allower(), "route_order": router((TimeInForce.IOC, "20", 2_000))}
    return [wisher({1: (A,)}), *[guest for name, guest in cast.items() if name != hook]]


@pytest.mark.parametrize(
    ("hook", "outcome"), [("size", "SIZE_MISSING"), ("risk_check", "RISK_MISSING"), ("route_order", "ROUTER_MISSING")]
)
def test_no_gate_no_entry(run, scene, hook, outcome):
    played = run(scene(*(100,) * 4)._replace(guests=guests_without(hook)))
    assert played.summary["outcomes"][outcome] == 1
    assert played.records.intents == ()
