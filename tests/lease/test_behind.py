"""A store that was put back to an older copy, torn or deleted: named, entries shut, its orders found again (F34)."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import pytest
from click.testing import CliRunner

from tradecore.cli.main import main
from tradecore.errors import DataError, SchemaMismatch, StateFolderError, StoreError
from tradecore.model.events import AlertFired, DuplicateOrderFound, SessionStarted, TradingStateChanged
from tradecore.model.order import ATTEMPT_LIVE, AttemptState
from tradecore.model.places import STORE_FILE
from tradecore.model.records import Command
from tradecore.model.units import TimeInForce
from tradecore.store.queries import open_reader, put_command
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


def proven(folder):
    """Journal and store say the same, and the books add up."""
    for command in (["replay", "latest"], ["ledger", "check"]):
        done = CliRunner().invoke(main, [*command, "--state", str(folder)])
        assert done.exit_code == 0, (folder.name, done.output)


ROUND_TRIP = ((IOC, "20", 2_000),)


def test_f34_every_older_copy_of_a_round_trip_is_found_out_and_mended(tmp_path):
    """Bought and sold again: whatever the copy knows of it, the end is that of the venue."""
    story = scene(*ROUND_TRIP, follow=(leader(leave_after_ms=240_000),))
    whole, moments = copies_of(tmp_path, story)
    truth = play(story, whole).truth
    assert len(truth.orders) == 2
    tried = 0
    for old in moments[2:-1:2]:
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
        proven(folder)
        tried += 1
    assert tried > 5


def test_f34_an_open_order_of_a_lost_row_is_owned_again_and_cancelled(tmp_path):
    """It stands at the venue, its row is gone: neither left alone nor sent a second time."""
    story = scene((GTC, "-50", 600_000)).with_sets("shutdown.policy=keep")._replace(for_ms=300_000)
    whole, moments = copies_of(tmp_path, story)
    assert [a.state for a in records_of(whole / STORE_FILE).attempts] == [AttemptState.OPEN]
    put_back(moments[1], whole)
    assert records_of(whole / STORE_FILE).attempts == ()
    played = play(story, whole)
    named(played)
    (order,) = played.truth.orders
    (attempt,) = [a for a in played.records.attempts if a.wire_id == order.wire_id]
    assert (order.status, attempt.state, str(attempt.outcome)) == ("CANCELED", AttemptState.SETTLED, "CANCELED")
    (row,) = [r for r in played.records.intents if r.intent.intent_id == attempt.intent_id]
    assert (row.state, row.reason) == ("CANCELED", "STORE_BEHIND")
    assert played.summary["pending"] == []
    assert played.notes(DuplicateOrderFound) == []


def test_f34_an_order_whose_last_words_the_journal_lost_too_is_cancelled_as_an_orphan(tmp_path):
    story = scene((GTC, "-50", 600_000))
    _, moments = copies_of(tmp_path, story)
    standing = next(path for path in moments if [a for a in records_of(path / STORE_FILE).attempts if a.venue_order_id])
    put_back(moments[0], standing)
    shutil.rmtree(standing / "journal")
    shutil.copytree(moments[0] / "journal", standing / "journal")
    played = play(story, standing)
    assert next(order.status for order in played.truth.orders if order.price < 100) == "CANCELED"
    assert "orphan_order" in [e.event.name for e in played.notes(AlertFired)]


def test_inv16_numbers_that_were_told_are_not_given_again_and_runs_neither(tmp_path):
    story = scene(*ROUND_TRIP)
    whole, moments = copies_of(tmp_path, story)
    play(story, whole)
    mark = newest(whole)
    put_back(moments[4], whole)
    played = play(story, whole)
    with contextlib.closing(sqlite3.connect(whole / STORE_FILE)) as raw:
        new = [n for (n,) in raw.execute("SELECT sequence FROM event WHERE sequence > ?", (newest(moments[4]),))]
    assert min(new) == mark + 1
    started = [e.event for e in played.notes(SessionStarted)]
    assert len({e.run_id for e in started}) == len(started)
    assert started[-1].run_number == 3
    again = play(story, whole)
    alarms = [e.event.text for e in again.notes(AlertFired) if e.event.name == "store_behind"]
    assert len(alarms) == 2, "one more start, and still nobody has resumed"
    assert alarms[-1].endswith("nobody has resumed since")


def test_f34_an_operators_resume_is_the_way_out(tmp_path):
    story = scene(*ROUND_TRIP)._replace(for_ms=240_000)
    whole, moments = copies_of(tmp_path, story)
    put_back(moments[4], whole)
    named(play(story, whole))
    put_command(whole / STORE_FILE, Command("c1", "resume", "", "looked at the account", "me"))
    play(story, whole)
    with open_reader(whole / STORE_FILE) as reader:
        assert (reader.trading().state, reader.trading().actor) == ("ACTIVE", "me")
        assert "store_behind" not in reader.memory()
    again = play(story, whole)
    assert len([e for e in again.notes(AlertFired) if e.event.name == "store_behind"]) == 2


@pytest.mark.parametrize("leave_after_ms", [240_000, 10_000_000])
def test_f34_a_deleted_store_is_made_anew_from_journal_and_venue(tmp_path, leave_after_ms):
    """Orders, fills and position are found again, nothing is booked twice, and the opening is what it was."""
    story = scene(*ROUND_TRIP, follow=(leader(leave_after_ms=leave_after_ms),))
    whole, _ = copies_of(tmp_path, story)
    before = play(story, whole)
    for file in whole.glob(f"{STORE_FILE}*"):
        file.unlink()
    played = play(story, whole)
    assert named(played).startswith("store at event 0, journal at ")
    assert played.summary["unexplained_drift"] == "0"
    assert played.summary["pending"] == []
    assert played.records.balances == before.records.balances
    proven(whole)
    assert len(played.truth.orders) == len(before.truth.orders)

    def ends(one):
        return [(a.client_order_id, a.state, a.outcome, a.executed_quantity) for a in one.records.attempts]

    assert ends(played) == ends(before)
    assert len(played.records.fills) == len(before.records.fills) > 0
    assert [(p.position_id, p.state, p.quantity, p.average_price) for p in played.records.positions] == [
        (p.position_id, p.state, p.quantity, p.average_price) for p in before.records.positions
    ]
    assert [e.event.run_number for e in played.notes(SessionStarted)] == [1, 2, 3]


def test_f34_a_torn_write_ahead_file_loses_rows_and_no_order(tmp_path):
    """The last commits are gone from the store, and stand in the journal."""
    story = scene(*ROUND_TRIP, follow=(leader(leave_after_ms=240_000),))
    _, moments = copies_of(tmp_path, story)
    tried = 0
    for moment in moments[6::3]:
        wal = moment / f"{STORE_FILE}-wal"
        if not wal.exists() or wal.stat().st_size < 40_000:
            continue
        with wal.open("r+b") as file:
            file.truncate(wal.stat().st_size - 20_000)
        before = newest(moment)
        played = play(story, moment)
        assert played.summary["unexplained_drift"] == "0", (moment.name, before)
        assert played.summary["pending"] == [], moment.name
        booked = {a.wire_id: a.executed_quantity for a in played.records.attempts}
        assert {o.wire_id: o.executed for o in played.truth.orders if o.executed}.items() <= booked.items(), moment.name
        tried += 1
    assert tried > 2


def test_f34_flipped_bytes_are_found_after_a_crash(tmp_path):
    """Any page: what a start would read of it, and what only a later day would."""
    story = scene(*ROUND_TRIP)
    _, moments = copies_of(tmp_path, story)
    raw = sqlite3.connect(moments[-1] / STORE_FILE)  # folds the write-ahead file in
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    pages = (moments[-1] / STORE_FILE).stat().st_size // 4096
    for page in range(1, pages):
        folder = tmp_path / f"page-{page}"
        shutil.copytree(moments[-1], folder)
        with (folder / STORE_FILE).open("r+b") as file:
            file.seek(4096 * page)
            file.write(b"\xff" * 64)
        with pytest.raises((StoreError, SchemaMismatch, StateFolderError)) as caught:
            play(story, folder)
        assert "\n" not in str(caught.value)


def test_f34_a_journal_that_cannot_be_read_either_is_no_base_for_a_start(tmp_path):
    story = scene(*ROUND_TRIP)
    whole, moments = copies_of(tmp_path, story)
    put_back(moments[4], whole)
    (orders,) = (whole / "journal" / "order").glob("*.jsonl*")
    found = orders.read_bytes().splitlines(keepends=True)
    orders.write_bytes(b"".join([found[0], b"{torn}\n", *found[2:]]))
    with pytest.raises(DataError, match=r"order.*:2: .*; the store is behind this journal \(\d+ to \d+\): put a newer"):
        play(story, whole)


@pytest.mark.parametrize("deleted", [True, False])
def test_inv22_a_mending_start_that_is_killed_is_finished_by_the_next(tmp_path, deleted):
    """F30 with F34: killed after each of its commits; the end is the same, and nothing is booked twice."""
    story = scene(*ROUND_TRIP, follow=(leader(leave_after_ms=240_000),))
    whole, moments = copies_of(tmp_path, story)
    before = play(story, whole).records.balances
    for file in whole.glob(f"{STORE_FILE}*"):
        file.unlink()
    if not deleted:
        put_back(moments[5], whole)
    folder, kills = tmp_path / "mended", tmp_path / "kills"
    shutil.copytree(whole, folder)
    play(story, folder, around=lambda store: SnapshotStore(store, folder, kills))
    killed = sorted(kills.iterdir())
    assert len(killed) > 10
    for moment in killed[::5]:
        played = play(story, moment)
        assert played.records.balances == before, moment.name
        assert [p.state for p in played.records.positions] == ["CLOSED"], moment.name
        assert (played.summary["pending"], played.summary["unexplained_drift"]) == ([], "0"), moment.name
        assert [a for a in played.records.attempts if a.state in ATTEMPT_LIVE] == [], moment.name
        proven(moment)
