"""One plugin under two names: two guests in every respect, known by their own names."""

from __future__ import annotations

import json
import random

import pytest

from tradecore.errors import SettingsError
from tradecore.hooks.calls import Calls
from tradecore.hooks.loader import load
from tradecore.market.answers import Wishes
from tradecore.model.signal import Tune
from tradecore.testing.rows import walk_frame

TWICE = """extends = "demo"

[run]
plugins = ["dip_fast", "signals_drop", "size_fixed", "risk_limits", "exec_ioc_gtc", "exits"]

[plugins.dip_fast]
use = "signals_drop"
lookback = "3m"
"""
SECTIONS = {"dip_fast": {"use": "signals_drop", "drop_pct": "0.5", "lookback": "5m"}}


def test_a_session_knows_both_by_their_names(tool, tmp_path):
    (tmp_path / "cwd/twice.toml").write_text(TWICE)
    variables = {"TRADECORE_PLUGINS__DIP_FAST__DROP_PCT": "0.7"}
    ran = tool(
        "run", "--profile", "twice.toml", "--for", "10m", "--speed", "max", "--state", "kept",
        "--set", "dip_fast.expires_s=20", **variables,
    )  # fmt: skip
    assert ran.code == 0, ran.said
    assert "dip_fast, signals_drop, size_fixed" in ran.out.splitlines()[0]
    events = [
        json.loads(line)
        for file in (tmp_path / "cwd/kept/journal").rglob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    made = [event["data"] for event in events if event["kind"] == "intent_created" and not event["data"]["reduces"]]
    # the shorter window sees other highs: each name wished for some of the entries, in its own words
    assert {(entry["plugin"], entry["reason"]) for entry in made} == {
        ("dip_fast", "close to 3m high"),
        ("signals_drop", "close to 10m high"),
    }
    (snapshot,) = [event["data"]["values"] for event in events if event["kind"] == "config_snapshot"]
    shown = {key: snapshot[f"plugins.dip_fast.{key}"] for key in ("use", "drop_pct", "lookback", "expires_s")}
    assert shown == {"use": '"signals_drop"', "drop_pct": "0.7", "lookback": '"3m"', "expires_s": "20"}
    assert snapshot["plugins.signals_drop.drop_pct"] == "1.2"


@pytest.fixture
def seated():
    """Both guests behind the door, and the quarantines that it told of."""

    def seat(guests):
        told = []
        calls = Calls(
            guests, clock=StillClock(), deadlines_ms={}, strikes=3, virtual=True, on_fault=lambda fault: None,
            on_quarantine=lambda *facts: told.append(facts), on_late=lambda late: None,
        )  # fmt: skip
        return calls, told

    return seat


class StillClock:
    virtual = True

    def now_ms(self):
        return 0

    def now_ns(self):
        return 0


def test_a_fault_of_one_quarantines_that_name_alone(seated):
    fast, plain = load(["dip_fast", "signals_drop"], SECTIONS)

    def broken(frame, rows):
        raise RuntimeError("of this one only")

    calls, told = seated([fast._replace(asks={"signal": broken}), plain])
    frame = walk_frame(random.Random(1), 90, 2)
    for row in range(80, 84):
        answers = calls.signals(frame, range(row, row + 1))
    assert [name for name, answer in answers.wishers if isinstance(answer, Wishes)] == ["signals_drop"]
    assert calls.quarantined == {("dip_fast", "signal")}
    assert [facts[:2] for facts in told] == [("dip_fast", "signal")]
    assert calls.lift("dip_fast") == (("dip_fast", "signal"),)


def test_a_tune_reaches_the_name_that_it_names(seated):
    calls, _ = seated(load(["dip_fast", "signals_drop"], SECTIONS))
    assert calls.tune(Tune("dip_fast.drop_pct", "0.9", "calm"), "tuner") == ("0.5", "0.9")
    settings = {guest.name: str(guest.settings.drop_pct) for guest in calls.guests}
    assert settings == {"dip_fast": "0.9", "signals_drop": "2.0"}
    with pytest.raises(SettingsError, match=r"dip_fast\.use: expected a key of dip_fast, was 'use'"):
        calls.tune(Tune("dip_fast.use", "exits", "no"), "tuner")
