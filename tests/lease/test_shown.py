"""Who holds a store is told: by the status, by the doctor, and to whoever is refused."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.lease.conftest import someone
from tradecore.app.doctor import Health
from tradecore.app.examine import look_at_store
from tradecore.cli.main import main
from tradecore.clocks.clock import SystemClock
from tradecore.store.database import Database, sqlite_url
from tradecore.store.lease import Claim, take_lease
from tradecore.store.queries import open_reader
from tradecore.testing.factories import ScriptedSource, closing_at, leader
from tradecore.testing.harness import Scene, play


@pytest.fixture
def folder(tmp_path):
    source = ScriptedSource({"AAA/USDT": closing_at(100, 100, 100)})
    play(Scene(source, [leader()]), tmp_path / "s")
    return tmp_path / "s"


def status(folder, *options):
    done = CliRunner().invoke(main, ["status", "--state", str(folder), *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_inv14_the_end_of_a_run_gives_the_lease_back_and_names_it(folder):
    with open_reader(folder / "tradecore.db") as reader:
        lease, run = reader.lease(), reader.last_run()
    assert (lease.epoch, lease.run_id, lease.released) == (1, run.run_id, True)
    found = json.loads(status(folder, "--json"))["lease"]
    assert (found["epoch"], found["run_id"], found["released"], found["left_ms"]) == (1, run.run_id, True, 0)
    assert f"nobody; epoch 1 was pid {lease.holder.pid} on {lease.holder.host}, run {run.run_id}" in status(folder)
    sign = look_at_store(folder / "tradecore.db")
    assert (sign.health, sign.text) == (Health.GOOD, "schema fits, 1 runs so far; nobody writes it, epoch 1")


def test_inv14_a_holder_on_another_machine_is_shown_with_its_epoch(folder):
    claim = Claim(someone("beta", pid=41), 30_000, 5_000, SystemClock().now_ms)
    take_lease(Database(sqlite_url(folder / "tradecore.db")), claim)
    found = json.loads(status(folder, "--json"))["lease"]
    assert (found["epoch"], found["host"], found["pid"], found["released"]) == (2, "beta", 41, False)
    assert 0 < found["left_ms"] <= 30_000
    assert "pid 41 on beta, epoch 2, renewed 0" in status(folder)
    sign = look_at_store(folder / "tradecore.db")
    assert sign.health is Health.LOOK
    assert sign.text.endswith("pid 41 on beta writes it, epoch 2")
    assert sign.figures["held"] is True
