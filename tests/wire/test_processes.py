"""Venue and bot as two processes: a session from the command line, kill -9 in it, and nothing lost or doubled."""

from __future__ import annotations

import pytest

from tests.campaigns.bot import CACHE
from tests.campaigns.wire_processes import kill_and_start
from tests.campaigns.wire_stage import WIRES
from tradecore.app import Options, execute, prepare


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory):
    """Let the processes share their compiled modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.mark.parametrize("wire", WIRES)
def test_r22_a_killed_bot_goes_on_over_the_wire(wire, tmp_path):
    report = kill_and_start(wire, tmp_path, 1, speed=30.0, tail_s=2.0)
    assert report["findings"] == []
    assert report["venue_orders"] > 0
    assert report["fills"] == report["venue_trades"]
    demo = execute(prepare(Options("demo", {}, ('run.for="1m"', "run.speed=max")))).summary
    assert report["summary"].keys() == demo.keys()
    assert report["summary"]["ended"] == "SIGTERM"
