"""A store that was put back to an older copy, torn or deleted: named, entries shut, its orders found again (F34)."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import pytest

from tradecore.model.events import AlertFired, DuplicateOrderFound, SessionStarted, TradingStateChanged
from tradecore.model.order import ATTEMPT_LIVE, AttemptState
from tradecore.model.places import STORE_FILE
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, sizer, wisher
from tradecore.testing.harness import Scene, SnapshotStore, play
from tradecore.testing.records import records_of

A = "AAA/USDT"
GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
CALM = ("market.between_closes=false", "intervals.reconcile_s=60")


def scene(*steps, follow=()):
    source = ScriptedSource({A: closing_at(*(100,) * 20)})
    return Scene(source, [wisher({1: (A,)}), sizer("1"), allower(), router(*steps), *follow], CALM)


def copies_of(tmp_path, story):
    """Play a story to its end; the state right after each of its commits."""
    folder, copies = tmp_path / "whole", tmp_path / "copies"
    play(story, folder, around=lambda store: SnapshotStore(store, folder, copies))
    return folder, sorted(path for path in copies.iterdir() if path.name.endswith("after"))


def put_back(old, folder):
    for name in (STORE_FILE, f"{STORE_FILE}-wal", f"{STORE_FILE}-shm"):
        (folder / name).unlink(missing_ok=True)
        if (old / name).exists():
            shutil.copy(old / name, folder / name)


def newest(folder):
    with contextlib.closing(sqlite3.connect(folder / STORE_FILE)) as raw:
        return raw.execute("SELECT max(sequence) FROM event").fetchone()[0]


def named(played):
    """Hold the alarm against what a person must see: both numbers, entries shut, by the core."""
    (alarm,) = [e.event for e in played.notes(AlertFired) if e.event.name == "store_behind"]
    assert alarm.severity == "critical"
    changed = [e.event for e in played.notes(TradingStateChanged)][-1]
    assert (changed.new, changed.actor) == ("REDUCING", "core")
    assert changed.reason.startswith("store_behind: store at event ")
    return alarm.text


ROUND_TRIP = ((IOC, "20", 2_000),)


def test_f34_every_older_copy_of_a_round_trip_is_found_out_and_mended(tmp_path):
    """Bought and sold again: whatever the copy knows of it, the end is that of the venue."""
    story = scene(*ROUND_TRIP, follow=(leader(leave_after_ms=240_000),))
    whole, moments = copies_of(tmp_path, story)
    truth = play(story, whole).truth
    assert len(truth.orders) == 2
    tried = 0
    for old in moments[2:-1]:
        if newest(old) == newest(whole):
            continue
        folder = tmp_path / f"again-{old.name}"
        shutil.copytree(whole, folder)
        put_back(old, folder)
        played = play(story, folder)
        assert "journal at" in named(played), old.name
        assert played.summary["pending"] == [], old.name
        assert played.summary["unexplained_drift"] == "0", old.name
        assert not [a for a in played.records.attempts if a.state in ATTEMPT_LIVE]
        ours = {a.wire_id: a.executed_quantity for a in played.records.attempts}
        assert {o.wire_id: o.executed for o in played.truth.orders if o.executed}.items() <= ours.items(), old.name
        assert len(played.truth.orders) == len(truth.orders), "a signal of before was sent again"
        assert [p.quantity for p in played.records.positions if p.state != "CLOSED"] == [], old.name
        assert played.records.balances.get(("assets", "AAA"), 0) == played.truth.total("AAA"), old.name
        tried += 1
    assert tried > 5
