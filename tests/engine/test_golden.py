"""One scripted day's journal of decisions and orders, byte for byte: a change of behaviour is reviewed like code.

To write the files anew, after looking at why they differ::

    GOLDEN=write .venv/bin/pytest tests/engine/test_golden.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tradecore.model.units import TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, sizer, wisher
from tradecore.testing.harness import Scene, play

GOLDEN = Path(__file__).parent / "golden"
A, B = "AAA/USDT", "BBB/USDT"
IOC, GTC = TimeInForce.IOC, TimeInForce.GTC


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A ladder with a partial fill and a lost answer, a stop loss, an entry that the market runs away from."""
    fall = [*closing_at(100, 100, 100), (100.0, 100.0, 97.0, 97.0, 1_000.0), *closing_at(97)]
    away = [*closing_at(50, 50), (51.0, 51.0, 51.0, 51.0, 1_000.0), *closing_at(51, 51)]
    guests = [
        wisher({1: (A, B)}), sizer({A: "14", B: "2"}), allower({"slippage_bps_max": "40"}),
        router((IOC, "10", 2_000), (IOC, "30", 2_000), (GTC, "50", 5_000)), leader(stop=0.985),
    ]  # fmt: skip
    sets = ("market.between_closes=false", "twin.depth_quote=4000", "twin.faults=lost_ack:0.2", "run.seed=5")
    scene = Scene(ScriptedSource({A: fall, B: away}), guests, sets, seed=5)
    played = play(scene, tmp_path_factory.mktemp("golden") / "state")
    assert played.violations() == ()
    return played


@pytest.mark.parametrize("family", ["decision", "order"])
def test_journal_is_the_golden_one(day, family):
    lines = b"".join(path.read_bytes() for path in sorted((day.journal / family).iterdir()))
    golden = GOLDEN / f"{family}.jsonl"
    if os.environ.get("GOLDEN") == "write":
        golden.write_bytes(lines)
    assert lines.decode().splitlines() == golden.read_text(encoding="utf-8").splitlines()
    assert lines == golden.read_bytes()


def test_golden_day_is_worth_its_place(day):
    kinds = {line.split('"kind":"')[1].split('"')[0] for path in day.journal.rglob("*.jsonl") for line in
             path.read_text().splitlines() if '"kind":"' in line}  # fmt: skip
    assert {"order_fill", "order_failed", "position_closed", "sell_trigger_eval", "intent_cleared"} <= kinds
