"""R55 over recorded markets: the default profile fills, what fails says why, and nothing is pending at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.failed_session.conftest import Session, answer
from tradecore.model.events import OrderFailed

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "candles"
#: How an order ends that the market, and nobody's fault, left unfilled.
MARKET = {"EXPIRED_UNFILLED", "CANCELED_BY_US"}
SESSIONS = {
    "binance-2021-05-crash": (
        "--timeframe", "1m", "--from", "2021-05-19T08:00", "--to", "2021-05-19T18:00",
        "--set", "signals_drop.drop_pct=2",
    ),
    "kucoin-2023-03": ("--timeframe", "1m", "--for", "10h", "--set", "signals_drop.drop_pct=1.5"),
    "binance-2024-07-universe": ("--timeframe", "5m", "--for", "7h", "--set", "signals_drop.lookback=60m"),
}  # fmt: skip


@pytest.mark.parametrize("name", SESSIONS)
def test_r55_figures_over_a_recorded_market(name, tmp_path):
    if not (DATA / name).is_dir():
        pytest.skip(f"no recorded set {name}")
    state = tmp_path / "state"
    summary = answer(
        "run", "--profile", "demo", "--data", DATA / name, "--speed", "max", "--state", state, *SESSIONS[name]
    )
    sent = summary["orders_sent"]
    assert sent > 100
    assert summary["fill_rate"] > 0.3
    failures = {code: times for code, times in summary["orders_failed"].items() if code not in MARKET}
    assert sum(failures.values()) / sent < 0.1
    assert (summary["pending_intents"], summary["pending"], summary["reserved"]) == (0, [], "0")
    assert summary["pending_peak"] < 10
    assert summary["errors"] == {}
    assert summary["failed_phases"] == []
    assert summary["balance_timeouts"] <= 0.05 * summary["balance_refreshes"]
    assert summary["ledger_balanced"]
    session = Session(None, Path(), state, summary)  # type: ignore[arg-type]  # the story's market takes no part
    told = session.notes(OrderFailed)
    assert all(stamped.event.code for stamped in told)
    ended = [attempt for attempt in session.records.attempts if not attempt.executed_quantity]
    assert {attempt.client_order_id for attempt in ended} <= {stamped.ids.client_order for stamped in told}
    assert sum(summary["orders_failed"].values()) == sum(attempt.sent_ms is not None for attempt in ended)
