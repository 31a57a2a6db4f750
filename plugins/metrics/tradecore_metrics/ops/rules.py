"""Alert rules for Prometheus (R48): what a person must hear of when nobody looks at the bot.

Every rule holds for a while before it fires (``for``) and ends by itself; Alertmanager groups, silences and sends. The
bot's own alerts are told faster, by the plugins for that; these work where the bot itself is silent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_BY: Final = "by (job, instance)"


class Rule(NamedTuple):
    """One alert."""

    name: str
    expression: str
    holds: str
    """How long the expression must hold before the alert fires."""
    severity: str
    summary: str
    """May use Prometheus' template words, as ``{{ $value }}``."""
    description: str


_SENT: Final = f"sum {_BY} (increase(tradecore_orders_sent_total[1h]))"
_PERCENT: Final = "{{ $value | humanizePercentage }}"
_TOP: Final = (
    '{{ range query "topk(3, sum by (outcome) (increase(tradecore_candidates_total[1d])))" }}'
    "{{ .Labels.outcome }} {{ .Value | humanize }}; {{ end }}"
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "TradecoreDown", 'up{job=~".*tradecore.*"} == 0', "1m", "critical",
        "{{ $labels.instance }} does not answer", "The process has ended, or its endpoint is shut.",
    ),
    Rule(
        "TradecoreSilent", f"sum {_BY} (increase(tradecore_heartbeats_total[5m])) == 0", "5m", "critical",
        "no heartbeat for five minutes", "The endpoint answers, but the engine's loop does not go on.",
    ),
    Rule(
        "TradecoreVenueLost", 'tradecore_trouble{what="venue"} == 1', "0m", "critical",
        "the venue does not answer", "Entries are halted until it answers again; orders at the venue stand.",
    ),
    Rule(
        "TradecoreStoreLost", 'tradecore_trouble{what="store"} == 1', "0m", "critical",
        "the store takes no rows", "Nothing is sent before it is written down: trading stands still. Look at the disk.",
    ),
    Rule(
        "TradecorePricesLost", 'tradecore_trouble{what=~"prices|quotes"} >= 1', "1m", "critical",
        "no fresh prices", "Positions cannot be led by prices that are too old.",
    ),
    Rule(
        "TradecoreZeroFills", 'tradecore_trouble{what="fills"} == 1', "0m", "critical",
        "many orders, no fill", "Orders are sent and none fills; `tradecore why --top` says what stands in the way.",
    ),
    Rule(
        "TradecoreHalted", 'tradecore_trading_state{state="HALTED"} == 1', "1m", "warning",
        "trading is halted", "`tradecore status` says by whom and why; cancels and exits go on.",
    ),
    Rule(
        "TradecoreDrawdown", "tradecore_drawdown_ratio > 0.05", "1m", "critical",
        f"equity is {_PERCENT} below the day's peak", "More than 5 % of the day's highest equity is gone.",
    ),
    Rule(
        "TradecoreExposureNear", "tradecore_exposure_limit_used_ratio > 0.85", "1m", "info",
        f"exposure is at {_PERCENT} of its limit", "Above 85 %: few entries will pass.",
    ),
    Rule(
        "TradecoreExposureHigh", "tradecore_exposure_limit_used_ratio > 0.9", "1m", "warning",
        f"exposure is at {_PERCENT} of its limit", "Above 90 %.",
    ),
    Rule(
        "TradecoreExposureOver", "tradecore_exposure_limit_used_ratio > 1", "1m", "critical",
        f"exposure is at {_PERCENT} of its limit", "Prices rose, or equity fell, since the entries passed the limit.",
    ),
    Rule(
        "TradecoreUnsellable", "tradecore_unsellable_positions > 0", "1m", "critical",
        "{{ $value }} positions cannot be left", "The venue refuses the sale, or less is left than it takes.",
    ),
    Rule(
        "TradecoreOrderStuck", 'tradecore_orders_unproven{state="STUCK"} > 0', "0m", "critical",
        "{{ $value }} orders without proof", "The venue may hold an order of which it tells nothing; look there.",
    ),
    Rule(
        "TradecoreOrderUnknown", "tradecore_order_unproven_age_seconds > 60", "1m", "warning",
        "an order is without proof for {{ $value | humanizeDuration }}", "It is looked up again and again.",
    ),
    Rule(
        "TradecoreDuplicateOrder",
        'increase(tradecore_duplicate_orders_total{what="found"}[10m]) > 0', "0m", "critical",
        "the venue holds an order that nobody explains", "Another process with the same account, or a lost store.",
    ),
    Rule(
        "TradecoreDrift", "tradecore_conservation_ok == 0", "2m", "critical",
        "ledger and venue do not agree", "`tradecore ledger check` names the coins.",
    ),
    Rule(
        "TradecoreCancelRate",
        f"sum {_BY} (increase(tradecore_order_cancels_total[1h])) / {_SENT} > 0.5 and {_SENT} >= 10",
        "5m", "warning", f"{_PERCENT} of the last hour's orders were cancelled", "Prices run away from resting orders.",
    ),
    Rule(
        "TradecoreRateLimit",
        f'sum {_BY} (increase(tradecore_rate_limit_hits_total{{by="venue"}}[1m])) >= 3', "0m", "warning",
        "the venue refused {{ $value | humanize }} requests as too many", "In a minute; it shuts out who goes on.",
    ),
    Rule(
        "TradecoreBalancesStale",
        f'sum {_BY} (increase(tradecore_balance_refreshes_total{{result!="ok"}}[5m])) >= 3', "0m", "warning",
        "balances were not read three times in five minutes", "The last ones are in use.",
    ),
    Rule(
        "TradecoreWinRate", "tradecore_win_ratio < 0.5 and tradecore_closed_positions >= 300", "10m", "warning",
        f"{_PERCENT} of the newest positions made money", "Fewer than half of the newest 300.",
    ),
    Rule(
        "TradecoreFewTrades",
        f'sum {_BY} (increase(tradecore_orders_filled_total{{side="buy"}}[1d])) < 5'
        f" and max {_BY} (tradecore_uptime_seconds) > 86400",
        "10m", "info", "{{ $value | humanize }} entries filled in a day", f"Fewer than five; most often: {_TOP}",
    ),
    Rule(
        "TradecoreNoActivity",
        f"sum {_BY} (increase(tradecore_orders_sent_total[1d])) == 0 and max {_BY} (tradecore_uptime_seconds) > 86400",
        "10m", "warning", "no order was sent in a day", f"What became of the candidates: {_TOP}",
    ),
    Rule(
        "TradecoreJobLate", "max by (job, instance, job_name) (tradecore_job_lag_seconds) > 120", "2m", "warning",
        "job {{ $labels.job_name }} is {{ $value | humanizeDuration }} late", "It hangs, fails, or is starved.",
    ),
    Rule(
        "TradecoreLoopLag", "tradecore_loop_lag_seconds > 5", "2m", "warning",
        "rows are taken {{ $value | humanizeDuration }} late", "The machine or a guest is too slow.",
    ),
    Rule(
        "TradecorePluginQuarantined", "tradecore_plugins_quarantined > 0", "0m", "critical",
        "{{ $value }} hooks of guests are quarantined", "`tradecore status` names them; an operator lifts it.",
    ),
    Rule(
        "TradecoreUncaught", "increase(tradecore_uncaught_exceptions_total[10m]) > 0", "0m", "warning",
        "an exception that nobody expected", "`tradecore query events` shows it with its place.",
    ),
    Rule(
        "TradecoreEventsDropped", "increase(tradecore_events_dropped_total[10m]) > 0", "0m", "warning",
        "{{ $value | humanize }} diagnostics were dropped", "Disk or guest is too slow; orders are never dropped.",
    ),
    Rule(
        "TradecoreCriticalAlert", 'increase(tradecore_alerts_total{severity="critical"}[5m]) > 0', "0m", "critical",
        "the bot fired {{ $value | humanize }} critical alerts", "`tradecore query events` shows what they say.",
    ),
)  # fmt: skip


def rules_yaml(rules: Sequence[Rule] = RULES) -> str:
    """Rules as Prometheus reads them."""
    return "\n".join(_lines(rules)) + "\n"


def _lines(rules: Sequence[Rule]) -> Iterator[str]:
    yield "# Made by `python -m tradecore_metrics.ops`; do not edit. Expects a scrape job with tradecore in its name."
    yield "groups:"
    yield "  - name: tradecore"
    yield "    rules:"
    for rule in rules:
        # JSON's strings are YAML's double-quoted ones
        yield f"      - alert: {rule.name}"
        yield f"        expr: {json.dumps(rule.expression)}"
        yield f"        for: {rule.holds}"
        yield "        labels:"
        yield f"          severity: {rule.severity}"
        yield "        annotations:"
        yield f"          summary: {json.dumps(rule.summary)}"
        yield f"          description: {json.dumps(rule.description)}"
