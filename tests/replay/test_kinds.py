"""R41: every kind of event that is promised has a schema, somebody who writes it, and stands in a journal."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest

import tradecore
from tradecore.app.drift import GONE, SettingsWatch
from tradecore.journal.read import read_journal
from tradecore.model.events import REGISTRY, ConfigDrift
from tradecore.testing.harness import play

PROMISED = """
guards_eval drop_trigger_eval decision_outcome sizing_calc risk_limits_eval dynamic_constraints price_snapshot
intent_created intent_cleared order_attempt order_ack order_fill order_cancel order_done order_failed
retry_attempt sell_trigger_eval sell_sizing_calc position_opened position_updated position_closed
trailing_update portfolio_snapshot reconciliation_result duplicate_order_blocked duplicate_order_found
uncaught_exception ledger_entry budget_reserved budget_released exchange_call rate_limit_hit config_snapshot
config_change config_drift plugin_quarantined alert_fired heartbeat slow_cycle
"""
R41 = PROMISED.split()
FIELDS = {
    "order_cancel": {"reason", "filled_before", "age_ms"},
    "order_failed": {"code", "error_class", "latency_ms"},
    "exchange_call": {"latency_ms", "status", "weight_used"},
    "decision_outcome": {"outcome", "value", "threshold", "margin", "decided_by"},
}
UNUSUAL = {
    "duplicate_order_blocked": "a second wish for what exists already",
    "duplicate_order_found": "an order of our form at the venue that no row explains",
    "uncaught_exception": "a bug",
    "rate_limit_hit": "more requests than the venue allows",
    "config_drift": "a settings file that changes under way, in real time",
    "plugin_quarantined": "a plugin with three faults",
    "slow_cycle": "a job of more than a second",
    "order_cancel": "an order that rests longer than it may",
    "risk_limits_eval": "a limit that is reached",
    "config_change": "a start with other settings",
}
"""Kinds that a quiet session need not hold, and what makes them; each has a test where that happens."""


def constructed():
    """Names of all classes that the program makes, outside the registry itself."""
    root = Path(tradecore.__file__).parent
    names = set()
    for path in root.rglob("*.py"):
        if root / "model" / "events" in path.parents or root / "testing" in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                names.add(name)
    return names


@pytest.mark.parametrize("name", R41)
def test_r41_kind_has_a_schema(name):
    assert name in REGISTRY
    assert FIELDS.get(name, set()) <= set(REGISTRY[name].schema._fields)


def test_r41_somebody_writes_every_kind():
    made = constructed()
    silent = [kind.name for kind in REGISTRY.values() if kind.schema.__name__ not in made]
    assert silent == []


def test_r41_a_session_holds_every_kind_of_an_ordinary_day(tmp_path, lively):
    scene = lively(
        "twin.faults=lost_ack:0.1,read_lost:0.1", "engine.trace_hooks=true", "risk_limits.max_positions=2", hours=1.5
    )
    played = play(scene, tmp_path)
    play(scene.with_sets("size_fixed.amount=200")._replace(for_ms=600_000), tmp_path)
    kinds = {line.kind for line in read_journal(played.journal)}
    assert set(R41) - kinds <= set(UNUSUAL)
    assert {"config_change", "risk_limits_eval", "hook_trace", "retry_attempt"} <= kinds


def test_r40_every_event_of_an_order_bears_its_ids(two_runs):
    wanted = {"order_fill", "order_done", "order_ack", "order_attempt"}
    lines = list(read_journal(two_runs / "journal", kinds=wanted))
    assert lines
    for line in lines:
        assert all((line.session, line.ids.decision, line.ids.intent, line.ids.client_order)), line
        assert line.ids.venue_order or line.kind in {"order_attempt", "order_done"}, line


def test_r54_a_settings_file_that_changes_is_told_once_and_so_is_the_way_back(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[run]\n")
    first = hashlib.sha256(path.read_bytes()).hexdigest()
    told = []
    watch = SettingsWatch({str(path): first}, told.append)
    watch.row(0)
    path.write_text("[run]\nseed = 7\n")
    watch.row(59_999)
    assert told == []
    watch.row(60_000)
    watch.row(120_000)
    second = hashlib.sha256(path.read_bytes()).hexdigest()
    assert told == [ConfigDrift("mine.toml", first, second)]
    path.write_text("[run]\n")
    watch.row(180_000)
    path.unlink()
    watch.row(240_000)
    assert [one.digest_now for one in told[1:]] == [first, GONE]
