"""Who may take the lease on a store, and when (INV-14, F37)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.lease.conftest import LENGTH_MS, NOBODY, someone
from tradecore.errors import StateFolderError
from tradecore.store.holder import is_gone, this_process
from tradecore.store.instance import InstanceLock


async def test_inv14_the_first_taker_has_epoch_1_and_each_later_one_a_higher_one(place):
    for epoch in (1, 2, 3):
        store = place.open(someone())
        assert store.lease.epoch == epoch == place.row().epoch
        assert store.lease.fresh
        await store.close()
        assert place.row().released


async def test_inv14_a_living_holder_is_named_and_keeps_it(place, make):
    first = place.open(someone("alpha", pid=41))
    first.lease.name_run("RUN7")
    await first.commit([make.intent(1)], [])
    place.wall.ms += LENGTH_MS - 1
    with pytest.raises(StateFolderError) as caught:
        place.open(someone("beta"))
    text = str(caught.value)
    assert "pid 41 on alpha, run RUN7 (epoch 1)" in text
    assert "silent for 30 s, 0.0 s from now" in text
    assert "\n" not in text
    await first.commit([make.reservation(1)], [])
    assert place.row().epoch == 1


async def test_inv14_a_silent_holder_is_replaced_when_its_time_is_over(place, make):
    first = place.open(someone("alpha"))
    place.wall.ms += LENGTH_MS
    second = place.open(someone("beta"))
    assert (second.lease.epoch, place.row().holder.host) == (2, "beta")
    await second.commit([make.intent(1)], [])
    assert not first.lease.fresh


def a_process_that_has_ended():
    child = subprocess.run(
        [sys.executable, "-c", "from tradecore.store.holder import this_process; print(*this_process(), sep='|')"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return child.stdout.rstrip("\n").split("|")


async def test_r22_a_holder_that_was_killed_makes_nobody_wait(place):
    host, machine, pid, started, folder = a_process_that_has_ended()
    mine = this_process()
    assert (host, machine) == (mine.host, mine.machine)
    assert started.isdigit()
    place.open(mine._replace(pid=int(pid), started=started, folder=folder))
    assert place.open(mine).lease.epoch == 2


def test_a_process_is_known_by_its_start_and_not_by_its_id_alone():
    mine = this_process()
    parent = mine._replace(pid=1, started="")
    assert not is_gone(parent, mine)  # it lives: this test's machine goes on
    assert is_gone(mine._replace(pid=1, started="1"), mine._replace(pid=2))  # the id was given again
    assert is_gone(mine._replace(pid=NOBODY), mine)
    assert is_gone(mine, mine)  # an earlier run of this process
    # ids of another machine, or of another container's set, say nothing here
    assert not is_gone(someone(pid=NOBODY), mine)


def test_a_dead_child_that_nobody_has_asked_about_is_gone():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mine = this_process()
    try:
        assert not is_gone(mine._replace(pid=child.pid, started=""), mine)
        child.stdin.close()
        # WNOWAIT: it stays a zombie, as the child of a supervisor that is busy does
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(mine._replace(pid=child.pid, started=""), mine)
    finally:
        child.wait()


async def test_r22_who_holds_the_folders_lock_takes_it_from_whoever_held_that_before(place, tmp_path):
    with InstanceLock(tmp_path / "state") as lock:
        before = someone("alpha", folder=lock.identity)
        place.open(before)
        assert place.open(someone("beta", folder=lock.identity)).lease.epoch == 2
        with InstanceLock(tmp_path / "copy") as other:
            assert other.identity != lock.identity
            with pytest.raises(StateFolderError, match="was held by"):
                place.open(someone("gamma", folder=other.identity))
    assert lock.identity == ""


async def test_r22_a_file_in_a_locked_folder_has_no_other_writer(place):
    place.open(someone("alpha"))
    assert place.open(someone("beta"), alone=True).lease.epoch == 2


async def test_a_clock_that_was_set_back_keeps_nobody_out_for_ever(place):
    """The holder wrote a later moment than the taker's clock shows: its time runs from there."""
    place.open(someone("alpha"))
    place.wall.ms -= 5_000
    with pytest.raises(StateFolderError, match=r"35\.0 s from now"):
        place.open(someone("beta"))
    place.wall.ms += LENGTH_MS + 5_000
    assert place.open(someone("beta")).lease.epoch == 2
