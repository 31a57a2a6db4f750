"""Locks of guests' jobs: durable, enforced by the core, ended by time or by an operator."""

from __future__ import annotations

import pytest

from tradecore.engine.locks import KeptLock, kept_lock, locks_in
from tradecore.model.events import AlertFired, DecisionOutcome, LockEnded, LockSet, PluginFault
from tradecore.model.intent import IntentState
from tradecore.model.lock import Lock
from tradecore.model.reasons import Reason
from tradecore.model.records import Command, Memory
from tradecore.model.signal import Job, JobAnswer
from tradecore.model.units import TimeInForce
from tradecore.store.queries import put_command
from tradecore.testing.factories import FIRST_CLOSE_MS, leader, make_guest, router, row_close_ms, wisher
from tradecore.testing.harness import STORE_FILE, at

A = "AAA/USDT"
MINUTE = 60_000
EVERY_ROW = dict.fromkeys(range(1, 20), (A,))


def locker(*locks, name="guard", from_row=0):
    """A job that proposes the same locks at every minute, from a row on."""

    def ask(portfolio, market, last):
        return JobAnswer(locks=locks) if market.now_ms >= row_close_ms(from_row) else None

    return make_guest(name, jobs=lambda: [Job("guard", 60.0, ask)])


def lock_of(symbol=A, until_row=8, *, plugin="", rule="test", since_row=0):
    return Lock(symbol, "to be tested", plugin, row_close_ms(until_row), rule, row_close_ms(since_row))


def rows_of(played):
    return sorted((row.intent.signal.decided_ms - FIRST_CLOSE_MS) // MINUTE for row in played.records.intents)


@pytest.mark.parametrize("symbol", [A, "*"])
def test_r32_a_lock_refuses_entries_until_it_expires(run, scene, symbol):
    played = run(scene(*(100,) * 14, buys=EVERY_ROW, guests=[locker(lock_of(symbol, plugin="somebody else"))]))
    # the job comes for the first time a minute after the start
    assert not {row for row in rows_of(played) if 3 <= row < 8}
    assert 8 in rows_of(played)
    refused = [e.event for e in played.notes(DecisionOutcome) if e.event.outcome == str(Reason.LOCKED)]
    assert refused
    assert (refused[0].decided_by, refused[0].limit, refused[0].detail) == (
        "guard",
        "lock: test",
        f"{symbol}: to be tested",
    )
    assert refused[0].limit_unit == "ms left"
    (told,) = [e.event for e in played.notes(LockSet)]
    assert (told.symbol, told.plugin, told.rule, told.expires_ms) == (symbol, "guard", "test", row_close_ms(8))
    (ended,) = [e.event for e in played.notes(LockEnded)]
    assert (ended.actor, ended.reason) == ("core", "expired")
    assert [key for key in played.records.memory if key.startswith("lock/")] == []


def test_r32_another_symbol_stays_free(run, scene):
    played = run(scene(*(100,) * 8, buys=EVERY_ROW, guests=[locker(lock_of("BBB/USDT"))]))
    assert {3, 4, 5} <= set(rows_of(played))


def test_r32_a_lock_never_holds_an_exit(run, scene):
    guests = [locker(lock_of(until_row=30), from_row=3), leader(stop=0.99)]
    played = run(scene(100, 100, 100, 100, 97, 97, 97, guests=guests))
    (position,) = played.records.positions
    assert position.close_reason is Reason.STOP_LOSS


def test_r32_an_entry_under_way_sends_no_further_order(run, scene):
    """The lock comes while an order rests: what is open goes on, the next step is not sent."""
    resting = router((TimeInForce.GTC, "-50", 90_000), (TimeInForce.IOC, "20", 2_000))
    wish = wisher({1: (A,)}, expires_after_ms=300_000)
    story = scene(*(100,) * 8, wish=wish, route=resting, sets=("engine.intent_ttl_s=300",))
    free = run(story, "free")
    assert len(free.records.attempts) == 2
    played = run(story._replace(guests=[*story.guests, locker(lock_of(), from_row=2)]))
    (row,) = played.records.intents
    assert len(played.records.attempts) == 1
    assert (row.state, row.reason, row.detail) == (IntentState.CANCELED, Reason.LOCKED, f"{A}: to be tested")


def test_r32_a_restart_finds_the_lock_and_tells_it_once(run, scene):
    story = scene(*(100,) * 16, buys=EVERY_ROW, guests=[locker(lock_of(until_row=12))], for_ms=5 * MINUTE)
    first = run(story)
    kept = {key: fact for key, fact in first.records.memory.items() if key.startswith("lock/")}
    assert list(kept) == [f"lock/guard/test/{A}"]
    again = run(story._replace(for_ms=None))
    assert not {row for row in rows_of(again) if 3 <= row < 12}
    assert 12 in rows_of(again)
    assert len(again.notes(LockSet)) == 1


@pytest.mark.parametrize(("asked", "lifted"), [(A, 1), ("*", 1), ("all", 2), ("BBB/USDT", 0)])
def test_r32_an_operator_lifts_locks_and_a_job_cannot_bring_them_back(run, scene, tmp_path, asked, lifted):
    command = Command("c1", "unlock", asked, "looked at it", "anna")
    played = run(
        scene(*(100,) * 14, buys=EVERY_ROW, guests=[locker(lock_of(until_row=12), lock_of("*", 12))]),
        begin=lambda e: at(e, row_close_ms(5) + 1, lambda: put_command(tmp_path / "state" / STORE_FILE, command)),
    )
    by_hand = [e.event for e in played.notes(LockEnded) if e.event.actor == "anna"]
    assert len(by_hand) == lifted
    assert all(event.reason == "looked at it" for event in by_hand)
    assert len(played.notes(LockSet)) == 2
    assert bool({row for row in rows_of(played) if 7 <= row < 12}) is (lifted == 2)


def test_r32_newer_evidence_brings_a_lifted_lock_back(run, scene, tmp_path):
    turns = []

    def ask(portfolio, market, last):
        turns.append(market.now_ms)
        since = 0 if market.now_ms < row_close_ms(8) else 8
        return JobAnswer(locks=(lock_of(until_row=12, since_row=since),))

    guard = make_guest("guard", jobs=lambda: [Job("guard", 60.0, ask)])
    command = Command("c1", "unlock", A, "looked at it", "anna")
    played = run(
        scene(*(100,) * 14, buys=EVERY_ROW, guests=[guard]),
        begin=lambda e: at(e, row_close_ms(5) + 1, lambda: put_command(tmp_path / "state" / STORE_FILE, command)),
    )
    assert [e.event.since_ms for e in played.notes(LockSet)] == [row_close_ms(0), row_close_ms(8)]
    assert turns
    assert not {row for row in rows_of(played) if 10 <= row < 12}
    assert {row for row in rows_of(played) if 7 <= row < 8}


@pytest.mark.parametrize(
    "bad",
    [
        "A",
        Lock("", "r", "p", 1),
        Lock(A, "", "p", 1),
        Lock(A, "r", "p", -1),
        Lock(A, "r", "p", 1, "a/b"),
        Lock(A, "r", "p", 1.5),
    ],
)
def test_a_lock_that_is_none_is_a_fault_of_its_guest(run, scene, bad):
    played = run(scene(*(100,) * 6, guests=[locker(bad)]))
    assert {e.event.plugin for e in played.notes(PluginFault)} == {"guard"}
    assert played.notes(LockSet) == []
    assert [e for e in played.notes(AlertFired) if "lock" in e.event.name] == []


def test_a_kept_lock_is_read_as_it_was_written():
    lock = Lock("A/B/USDT", "a / b", "guard", 50, "stops 3 in 6h", 7)
    text = '["a / b",7,50,90]'
    assert kept_lock("lock/guard/stops 3 in 6h/A/B/USDT", text) == KeptLock(lock, 90)
    facts = [Memory("lock/guard/stops 3 in 6h/A/B/USDT", text, 1), Memory("day", "x", 1), Memory("lock/a/b/C", "", 1)]
    assert list(locks_in(facts, 49)) == [lock]
    assert list(locks_in(facts, 50)) == []


def test_r32_locks_of_a_guest_that_left_the_list_hold_and_are_told(run, scene):
    """What shut entries is not opened by a shorter list, nor obeyed in silence; it ends in its own time."""
    story = scene(*(100,) * 14, buys=EVERY_ROW, guests=[locker(lock_of("*", until_row=8))], for_ms=4 * MINUTE)
    run(story)
    rest = [guest for guest in story.guests if guest.name != "guard"]
    again = run(story._replace(guests=rest, for_ms=None))
    (told,) = [note.event for note in again.notes(AlertFired) if note.event.name == "locks_left"]
    assert told.text == "guard takes no part in this run, its locks hold until they end: *; tradecore unlock lifts them"
    assert not {row for row in rows_of(again) if 3 <= row < 8}
    assert 8 in rows_of(again)


def test_r32_locks_of_guests_that_take_part_are_told_by_nobody(run, scene):
    story = scene(*(100,) * 14, buys=EVERY_ROW, guests=[locker(lock_of("*", until_row=8))], for_ms=4 * MINUTE)
    run(story)
    assert [note.event.name for note in run(story).notes(AlertFired)] == []
