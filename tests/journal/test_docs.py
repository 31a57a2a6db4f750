"""The page of events is the registry's, and the registry is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tradecore.journal.docs import page
from tradecore.model.events import REGISTRY, kind_of_type

ROOT = Path(__file__).parents[2]
R41 = [
    "guards_eval",
    "drop_trigger_eval",
    "decision_outcome",
    "sizing_calc",
    "risk_limits_eval",
    "dynamic_constraints",
    "price_snapshot",
    "intent_created",
    "intent_cleared",
    "order_attempt",
    "order_ack",
    "order_fill",
    "order_cancel",
    "order_done",
    "order_failed",
    "retry_attempt",
    "sell_trigger_eval",
    "sell_sizing_calc",
    "position_opened",
    "position_updated",
    "position_closed",
    "trailing_update",
    "portfolio_snapshot",
    "reconciliation_result",
    "duplicate_order_blocked",
    "duplicate_order_found",
    "uncaught_exception",
    "ledger_entry",
    "budget_reserved",
    "budget_released",
    "exchange_call",
    "rate_limit_hit",
    "config_snapshot",
    "config_change",
    "config_drift",
    "plugin_quarantined",
    "alert_fired",
    "heartbeat",
    "slow_cycle",
]


@pytest.mark.parametrize("name", R41)
def test_r41_every_named_event_is_registered(name):
    assert name in REGISTRY


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=lambda kind: kind.name)
def test_r41_every_kind_says_what_it_is(kind):
    text = kind.schema.__doc__
    assert text
    # A NamedTuple without a docstring gets its signature as one.
    assert not text.startswith(f"{kind.schema.__name__}(")
    assert kind_of_type(kind.schema) is kind


def test_r41_the_page_is_made_from_the_registry():
    """On a difference: ``python -m tradecore.journal.docs > docs/events.md``."""
    assert (ROOT / "docs" / "events.md").read_text() == page()


def test_the_page_names_every_field():
    text = page()
    for kind in REGISTRY.values():
        section = text.split(f"### {kind.name}\n")[1].split("\n### ")[0].split("\n## ")[0]
        for field in kind.schema._fields:
            assert f"| `{field}` |" in section, (kind.name, field)
        assert (" Booked." in section) is kind.booked


def test_the_command_prints_the_page():
    done = subprocess.run(
        [sys.executable, "-m", "tradecore.journal.docs"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == page()
