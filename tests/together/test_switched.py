"""A plugin switched off between two sessions, and on again: what it left blocks nobody, nor is it obeyed unseen."""

from __future__ import annotations

import shutil

import pytest

from bench.together import CANDLES, NEEDED, SESSIONS, clean, guests, sets_of
from tradecore.app import Options, execute, prepare
from tradecore.hooks.loader import available
from tradecore.journal.read import decode, read_journal
from tradecore.model.events import AlertFired, LockSet, TuneApplied, TuneUndone
from tradecore.model.places import JOURNAL_FOLDER, STORE_FILE, TWIN_FILE
from tradecore.testing.invariants import check_run
from tradecore.testing.records import records_of, truth_of

SESSION = SESSIONS["crash"]._replace(start="2021-05-19T12:00", stop="2021-05-19T18:00")
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@pytest.fixture(scope="module", autouse=True)
def _there():
    if not CANDLES.is_dir():
        pytest.skip("no recorded candles beside the repository")
    if not set(guests()) <= available().keys():
        pytest.skip("the plugins of the profile are not installed here")


def on_with(state, minutes, without=""):
    """Go on for so many minutes, perhaps without a plugin; returns the summary and what was told."""
    taking_part = [name for name in guests() if name != without]
    kept = [one for one in sets_of(SESSION, taking_part) if not one.startswith("run.for")]
    prepared = prepare(Options("full", {}, (*kept, f"run.for={minutes}m"), ",".join(taking_part), state=state))
    folder = state / JOURNAL_FOLDER
    before = sum(1 for _ in read_journal(folder)) if folder.exists() else 0
    outcome = execute(prepared)
    notes = [decode(line) for line in read_journal(folder)]
    assert clean(outcome.exit_code, outcome.summary), outcome.summary
    records, truth = records_of(state / STORE_FILE), truth_of(state / TWIN_FILE)
    found = check_run(records, truth, prepared.instruments, prepared.settings.account.name, notes)
    assert [str(violation) for violation in found] == []
    return outcome.summary, [note.event for note in notes[before:]]


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A state in which positions are open, locks and tunes in force; and a copy of it for each test."""
    folder = tmp_path_factory.mktemp("switched")
    on_with(folder / "whole", 120)
    records = records_of(folder / "whole" / STORE_FILE)
    begin = min(position.opened_ms for position in records.positions) // HOUR_MS * HOUR_MS
    minutes = next(
        (position.opened_ms - begin) // MINUTE_MS + 2
        for position in sorted(records.positions, key=lambda one: one.opened_ms)
        if position.opened_ms - begin > HOUR_MS // 2 and position.closed_ms - position.opened_ms > 3 * MINUTE_MS
    )
    summary, _ = on_with(folder / "held", minutes)
    assert summary["positions_open"] > 0

    def copy(name):
        return shutil.copytree(folder / "held", folder / name), summary["positions_open"]

    return copy


@pytest.mark.parametrize("name", ["protections", "adaptive_intensity", "dust_sweeper"])
def test_what_a_switched_off_plugin_left_blocks_nothing_for_ever(held, name):
    state, _ = held(name)
    _, without = on_with(state, 45, name)
    told, again = on_with(state, 90)
    assert told["orders_sent"] > 0, told["outcomes"]
    assert told["positions_closed"] > 0
    assert [event for event in of_kind(again, AlertFired) if event.name in ("locks_left", "positions_unled")] == []
    if name == "adaptive_intensity":
        undone = {event.setting for event in of_kind(without, TuneUndone)}
        assert undone == {"signals_drop.drop_pct", "signals_momentum.rise_pct"}
        assert of_kind(without, TuneApplied) == []
        assert {event.setting for event in of_kind(again, TuneApplied)} == undone
        assert of_kind(again, TuneUndone) == []
    if name == "protections":
        (alarm,) = [event for event in of_kind(without, AlertFired) if event.name == "locks_left"]
        assert alarm.text.startswith("protections takes no part in this run, its locks hold until they end: ")
        assert of_kind(without, LockSet) == []
        assert of_kind(again, LockSet) != []


@pytest.mark.parametrize("name", NEEDED)
def test_r10_positions_are_led_and_left_without_a_sizer_or_a_router(held, name):
    state, positions = held(name)
    before = len(records_of(state / STORE_FILE).attempts)
    left, _ = on_with(state, 120, name)
    assert left["positions_open"] == 0
    assert left["positions_closed"] == positions
    assert "INTENT_CREATED" not in left["outcomes"]
    labels = {attempt.request.label for attempt in records_of(state / STORE_FILE).attempts}
    assert left["orders_sent"] == len(records_of(state / STORE_FILE).attempts) - before > 0
    if name == "exec_ioc_gtc":
        assert any(label.startswith("core exit") for label in labels), labels


def test_positions_that_nobody_leads_are_told_and_led_again(held):
    state, positions = held("exits")
    unled, told = on_with(state, 30, "exits")
    assert unled["positions_closed"] == 0
    (alarm,) = [event for event in of_kind(told, AlertFired) if event.name == "positions_unled"]
    assert alarm.text.count("/USDT") == positions
    led, _ = on_with(state, 120)
    assert led["positions_closed"] >= positions
