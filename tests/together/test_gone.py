"""Killed in the midst of an entry or an exit, and gone on with without one of the plugins: nothing hangs, all ends."""

from __future__ import annotations

import pytest

from tradecore.model.intent import INTENT_LIVE
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, sizer, wisher
from tradecore.testing.harness import Scene, SnapshotStore, play

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A, B = "AAA/USDT", "BBB/USDT"
CAST = {
    "wish": wisher({1: (A, B)}), "size": sizer({A: "1", B: "3"}), "risk": allower(),
    "route": router((GTC, "-3", 3_000), (IOC, "20", 2_000), (IOC, "50", 2_000), exits=True),
    "lead": leader(stop=0.985, leave_after_ms=150_000),
}  # fmt: skip


def scene_without(name=""):
    fall = [*closing_at(100, 100), (100.0, 100.0, 97.0, 97.0, 1_000.0), *closing_at(*(97.0,) * 6)]
    calm = [*closing_at(100, 100), (100.0, 100.4, 100.0, 100.4, 1_000.0), *closing_at(*(100.4,) * 6)]
    sets = ("market.between_closes=false", "twin.depth_quote=1500", "twin.faults=lost_ack:0.15")
    guests = [guest for part, guest in CAST.items() if part != name]
    return Scene(ScriptedSource({A: fall, B: calm}), guests, sets)


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """The folder of a session as it was at each of its commits."""
    folder = tmp_path_factory.mktemp("gone")

    def around(store):
        return SnapshotStore(store, folder / "state", folder / "copies")

    whole = play(scene_without(), folder / "state", around=around)
    assert whole.summary["orders_sent"] >= 4
    return sorted((folder / "copies").iterdir())


@pytest.mark.parametrize("name", ["route", "size", "risk", "lead"])
def test_r22_killed_anywhere_and_gone_on_with_without_a_plugin(copies, name):
    places = {"route": 0, "size": 1, "risk": 2, "lead": 3}
    asked = 0
    for copy in copies[places[name] :: 2 * len(places)]:  # every second commit, each with one of the plugins gone
        played = play(scene_without(name), copy)
        assert [str(violation) for violation in played.violations()] == [], copy.name
        assert played.summary["pending"] == [], copy.name
        assert played.summary["unexplained_drift"] == "0"
        assert played.summary["reserved"] == "0"
        assert not [row for row in played.records.intents if row.state in INTENT_LIVE]
        if name != "lead":
            assert played.summary["positions_open"] == 0, copy.name
        asked += 1
    assert asked > 3
