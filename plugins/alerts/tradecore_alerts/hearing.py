"""What each event adds to the counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tradecore.model.events import (
    AlertFired,
    ConfigSnapshot,
    IntentCreated,
    OrderDone,
    OrderFill,
    PositionOpened,
    RateLimitHit,
    ScanOutcomes,
    SlowCycle,
    Stamped,
    kind_of,
)
from tradecore_alerts.counts import HALTED, OUTCOME, Counts
from tradecore_alerts.rules import EVENTS

KINDS: Final = frozenset(
    {
        "alert_fired", "config_snapshot", "intent_created", "order_done", "order_fill", "position_opened",
        "rate_limit_hit", "scan_outcomes", "slow_cycle",
    }
)  # fmt: skip
_DOWN: Final = {"venue_lost": "venue", "quotes_unavailable": "prices", "store_unavailable": "store"}
_UP: Final = {"venue_back": "venue", "quotes_available": "prices", "store_available": "store"}
_UNWELL: Final = frozenset(
    {
        "job_overdue", "journal_stuck", "plugin_quarantined", "guest_overran", "intent_unattended", "sweep_failed",
        "shutdown_phase", "store_unavailable",
    }
)  # fmt: skip
_CAPITAL: Final = "account.capital_limit_quote"
_EXPOSURE: Final = ".max_exposure_pct"


def hear(counts: Counts, stamped: Stamped, counted: frozenset[str]) -> None:
    """Add one event.

    Args:
        counts: Where to.
        stamped: The event with its market time.
        counted: Kinds that the owner's rules count.
    """
    at_ms, event = stamped.at_ns // 1_000_000, stamped.event
    kind = kind_of(event).name
    if kind in counted:
        counts.add(at_ms, EVENTS + kind)
    match event:
        case OrderDone():
            counts.add(at_ms, "ended")
            if event.outcome == "CANCELED":
                counts.add(at_ms, "canceled")
        case RateLimitHit():
            counts.hit(at_ms)
        case IntentCreated() if not event.reduces:
            counts.add(at_ms, "entries")
        case OrderFill():
            counts.add(at_ms, "fills")
        case PositionOpened():
            counts.add(at_ms, "opened")
        case ScanOutcomes():
            for outcome, times in event.outcomes.items():
                counts.add_hour(at_ms, OUTCOME + outcome, times)
        case SlowCycle() if event.what == "failed":
            counts.note(at_ms, f"job {event.job} failed: {event.detail}")
        case AlertFired() if event.by == "core":
            _hear_alert(counts, at_ms, event)
        case ConfigSnapshot():
            counts.limits = _limits(event.values)
            # a run that begins has found venue and store in order, and tells anew what is not
            counts.begin()


def _hear_alert(counts: Counts, at_ms: int, alert: AlertFired) -> None:
    if alert.name in _DOWN:
        counts.latches[_DOWN[alert.name]] = alert.text or alert.name
    if alert.name in _UP:
        counts.latches[_UP[alert.name]] = ""
    # the core's words for both begin with the symbol
    held = HALTED + alert.text.partition(":")[0]
    if alert.name == "position_symbol_halted":
        counts.latches[held] = alert.text
    if alert.name == "position_symbol_trades":
        counts.latches[held] = ""
    if alert.name in _UNWELL:
        counts.note(at_ms, f"{alert.name}: {alert.text}")


def _limits(values: Mapping[str, Any]) -> dict[str, str]:
    """The limits of the exposure among the settings in force."""
    return {
        key: str(value)
        for key, value in values.items()
        if (key == _CAPITAL or (key.startswith("plugins.") and key.endswith(_EXPOSURE))) and value
    }
