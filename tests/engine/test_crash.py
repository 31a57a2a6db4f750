"""A kill at every commit, before it and after it, and a disk that refuses: nothing doubled, nothing lost."""

from __future__ import annotations

import shutil

import pytest

from tradecore.model.intent import INTENT_LIVE
from tradecore.model.position import PositionState
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import (
    ScriptedSource,
    allower,
    closing_at,
    leader,
    router,
    row_close_ms,
    sizer,
    wisher,
)
from tradecore.testing.harness import FailingStore, Scene, SnapshotStore, at, play, twin_of

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A, B = "AAA/USDT", "BBB/USDT"


def story(sets=()):
    """A stop loss, an entry up a ladder whose first order rests, an exit by time."""
    fall = [*closing_at(100, 100), (100.0, 100.0, 97.0, 97.0, 1_000.0), *closing_at(97, 97, 97, 97)]
    calm = [*closing_at(100, 100), (100.0, 100.4, 100.0, 100.4, 1_000.0), *closing_at(*(100.4,) * 4)]
    guests = [
        wisher({1: (A, B)}), sizer({A: "1", B: "3"}), allower(),
        router((GTC, "-3", 3_000), (IOC, "20", 2_000), (IOC, "50", 2_000)),
        leader(stop=0.985, leave_after_ms=150_000),
    ]  # fmt: skip
    sets = ("market.between_closes=false", "twin.depth_quote=1500", *sets)
    return Scene(ScriptedSource({A: fall, B: calm}), guests, sets)


def check_resumed(played, when=""):
    """What a resumed session must show, whenever the one before was killed."""
    assert [str(violation) for violation in played.violations()] == [], when
    assert played.summary["pending"] == [], when
    assert played.summary["unexplained_drift"] == "0"
    records, truth = played.records, played.truth
    assert not [row for row in records.intents if row.state in INTENT_LIVE]
    for coin in ("USDT", "AAA", "BBB"):
        assert records.balances.get(("assets", coin), 0) == truth.total(coin)
    held = {"AAA": 0, "BBB": 0}
    for position in records.positions:
        if position.state is not PositionState.CLOSED:
            held[position.symbol.partition("/")[0]] += position.quantity
    for coin, quantity in held.items():
        assert records.balances.get(("assets", coin), 0) >= quantity


@pytest.mark.parametrize("manners", ["plain", "mexc"])
def test_r22_kill_at_every_commit(tmp_path, manners):
    """The folder is copied around every commit; from each copy a session goes on."""
    scene = story((f"twin.manners={manners}", "twin.faults=lost_ack:0.15"))
    folder, copies = tmp_path / "state", tmp_path / "copies"
    stores = []

    def around(store):
        stores.append(SnapshotStore(store, folder, copies))
        return stores[-1]

    whole = play(scene, folder, around=around)
    assert whole.violations() == ()
    assert whole.summary["orders_sent"] >= 4
    assert stores[0].commits > 30
    # the second way of answering changes what is read, not what is written: a third of the moments
    for copy in sorted(copies.iterdir())[:: 1 if manners == "plain" else 3]:
        check_resumed(play(scene, copy), f"killed at {copy.name}")
        shutil.rmtree(copy)


def test_kill_after_kill(tmp_path):
    """Each resumed session is killed in its turn, at its fifth commit, until one gets through."""
    scene = story()
    folder = tmp_path / "0"
    for generation in range(1, 8):
        copies = tmp_path / f"copies{generation}"
        stores = []

        def around(store, folder=folder, copies=copies, stores=stores):
            stores.append(SnapshotStore(store, folder, copies))
            return stores[-1]

        play(scene, folder, around=around)
        commits = stores[0].commits
        kill_at = min(5 + generation, commits)
        after = tmp_path / str(generation)
        shutil.copytree(copies / f"{kill_at:04d}-after", after)
        folder = after
    check_resumed(play(scene, folder))


def test_r12_disk_that_refuses_once_at_every_commit(tmp_path):
    """One commit fails: nothing is sent on it, what stands at the venue is found again."""
    scene = story()
    whole = play(scene, tmp_path / "whole")
    assert whole.violations() == ()
    number, refused = 5, 1  # the first commits belong to the start, which a failing disk ends
    while refused:
        number += 1
        stores = []

        def around(store, number=number, stores=stores):
            stores.append(FailingStore(store, lambda n: n == number))
            return stores[-1]

        folder = tmp_path / f"fails-{number}"
        played = play(scene, folder, around=around)
        refused = stores[0].refused
        # what a failed commit left open is led to its end at the next start
        check_resumed(play(scene, folder), f"refused commit {number}: {played.summary['pending']}")
        shutil.rmtree(folder)
    assert number > 30


@pytest.mark.parametrize("share", [3, 7])
def test_disk_that_refuses_for_a_while(tmp_path, share):
    scene = story()
    stores = []

    def around(store):
        stores.append(FailingStore(store, lambda n: n > 7 and n % share != 0))
        return stores[-1]

    play(scene, tmp_path / "state", around=around)
    assert stores[0].refused > 5
    check_resumed(play(scene, tmp_path / "state"))


def test_r12_nothing_is_sent_that_is_not_written(tmp_path):
    """From some commit on the disk takes nothing: the venue hears of no new order."""

    def begin(engine):
        before = len(twin_of(engine).truth().orders())
        assert before == 0

    stores = []

    def around(store):
        stores.append(FailingStore(store, lambda n: n > 7))
        return stores[-1]

    played = play(story(), tmp_path / "state", begin=begin, around=around)
    assert stores[0].refused > 5
    assert played.truth.orders == ()
    assert "store" in played.summary["failed_phases"]


def test_r19_foreign_hands_while_the_bot_was_down(tmp_path):
    """Between two runs somebody cancels our resting order: the next start sees it."""
    rows = [*closing_at(100, 100), *[(103.0, 103.0, 103.0, 103.0, 900.0)] * 8]
    guests = [wisher({1: (A,)}), sizer("1"), allower(), router((GTC, "0", 50_000))]
    scene = Scene(ScriptedSource({A: rows}), guests, ("market.between_closes=false", "shutdown.policy=keep"),
                  for_ms=120_500)  # fmt: skip

    def begin(engine):
        at(engine, row_close_ms(1) + 30_000, lambda: engine.request_stop("drill"))

    first = play(scene, tmp_path / "state", begin=begin)
    assert first.exit_code == 3
    assert [order.status for order in first.truth.orders] == ["OPEN"]
    again = play(scene, tmp_path / "state")
    check_resumed(again)
    assert [order.status for order in again.truth.orders] == ["CANCELED"]
