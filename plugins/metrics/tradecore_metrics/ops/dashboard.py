"""The Grafana dashboard: what trades, what it costs, why it does not trade, and how the program does.

Importable as it is: the data source and the instances shown are variables of the dashboard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH: Final = 24
_I: Final = 'instance=~"$instance"'
_R: Final = "$__rate_interval"


class Query(NamedTuple):
    """One line of a panel."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """One picture."""

    title: str
    unit: str
    """As Grafana names it: ``s``, ``percentunit``, ``ops``, ``short``."""
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    width: int = 8
    text: str = ""


class Section(NamedTuple):
    """A row of the dashboard with its panels."""

    title: str
    panels: tuple[Panel, ...]


def _counts(name: str, by: str, legend: str = "*") -> Query:
    """How often in each interval, by labels; a star in the legend stands for them."""
    labels = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return Query(f"sum by ({by}) (increase(tradecore_{name}_total{{{_I}}}[{_R}]))", legend.replace("*", labels))


def _quantile(share: float, name: str, by: str = "") -> Query:
    keys = f"le, {by}" if by else "le"
    legend = f"{{{{{by}}}}} {share:.0%}" if by else f"{share:.0%}"
    rate = f"sum by ({keys}) (rate(tradecore_{name}_seconds_bucket{{{_I}}}[{_R}]))"
    return Query(f"histogram_quantile({share}, {rate})", legend)


def _latency(title: str, name: str, text: str, by: str = "") -> Panel:
    return Panel(title, "s", (_quantile(0.5, name, by), _quantile(0.95, name, by)), text=text)


def _plain(name: str, legend: str) -> Query:
    return Query(f"tradecore_{name}{{{_I}}}", legend)


SECTIONS: Final[tuple[Section, ...]] = (
    Section(
        "Account",
        (
            Panel("Trading state", "short", (Query(f"tradecore_trading_state{{{_I}}} == 1", "{{state}}"),), "stat", 4),
            Panel("Equity", "short", (_plain("equity", "{{currency}}"),), "stat", 4),
            Panel("Drawdown of the day", "percentunit", (_plain("drawdown_ratio", "drawdown"),), "stat", 4),
            Panel("Exposure over equity", "percentunit", (_plain("exposure_ratio", "exposure"),), "stat", 4),
            Panel("Open positions", "short", (_plain("open_positions", "open"),), "stat", 4),
            Panel("Cannot be left", "short", (_plain("unsellable_positions", "unsellable"),), "stat", 4),
            Panel(
                "Equity and exposure", "short",
                (
                    _plain("equity", "equity"), _plain("equity_day_peak", "peak of the day"),
                    _plain("equity_day_open", "opening of the day"), _plain("exposure", "exposure"),
                    _plain("free_balance", "free"), _plain("reserved_balance", "reserved"),
                ),
                width=12,
            ),
            Panel("Positions at their marks", "short", (_plain("position_value", "{{symbol}}"),), width=6),
            Panel("Return of positions", "percentunit", (_plain("position_return_ratio", "{{symbol}}"),), width=6),
            Panel("Realised profit of this run", "short", (_plain("realised_pnl", "{{currency}}"),)),
            Panel(
                "Share of wins", "percentunit",
                (_plain("win_ratio", "wins"),), text="Of the newest closed positions, 300 or more.",
            ),
            Panel("Fees", "short", (Query(f"sum by (currency) (tradecore_fees_total{{{_I}}})", "{{currency}}"),)),
        ),
    ),
    Section(
        "Why it trades, or does not",
        (
            Panel("Candidates by outcome", "short", (_counts("candidates", "outcome"),), width=12),
            Panel(
                "Signals by outcome", "short", (_counts("decisions", "plugin, outcome"),),
                width=12,
            ),
            Panel(
                "Risk limits used", "percentunit", (_plain("risk_limit_used_ratio", "{{plugin}} {{limit}}"),), width=12,
                text="At the newest check of an entry; above 1 it was refused.",
            ),
            Panel("Exposure over its limit", "percentunit", (_plain("exposure_limit_used_ratio", "used"),), width=6),
            Panel("Locks", "short", (_plain("locks", "locks"), _plain("dust_coins", "coins of dust")), width=6),
        ),
    ),
    Section(
        "Orders",
        (
            Panel(
                "Orders", "short",
                (
                    _counts("orders_sent", "side", "* sent"),
                    _counts("orders_filled", "side, extent", "filled *"),
                ),
            ),
            Panel("Orders failed by code", "short", (_counts("orders_failed", "code"),)),
            Panel("Cancels", "short", (_counts("order_cancels", "reason"),)),
            Panel(
                "Share of attempts filled", "percentunit",
                (_plain("fill_ratio", "all, 24 h"), _plain("symbol_fill_ratio", "{{symbol}}")),
            ),
            Panel("Intents ended", "short", (_counts("intents_ended", "state, reason"),)),
            Panel("Intents without a fill", "short", (_counts("intents_failed", "reason"),)),
            Panel("Fills", "short", (_counts("fills", "side, liquidity"),)),
            Panel("Pending intents", "short", (_plain("pending_intents", "pending"),)),
            Panel(
                "Orders without proof", "short",
                (
                    _plain("orders_unproven", "{{state}}"), _plain("order_unproven_age_seconds", "oldest, s"),
                    _counts("orders_unknown", "side", "* newly unknown"),
                ),
            ),
            _latency("Signal to order", "signal_to_order", "From the close of the row to the first send."),
            _latency("Acknowledgement", "order_ack", "From the send to the venue's word."),
            _latency("Order to its end", "order_settle", "With all its fills.", "side"),
            _latency("Life of an intent", "intent_lifetime", "From creation to end.", "side"),
            _latency("Clean-up of an intent", "intent_cleanup", "From its last order's end to its own."),
            Panel("Round trips", "short", (_counts("positions_closed", "reason"),)),
        ),
    ),
    Section(
        "Venue",
        (
            Panel(
                "Requests", "short", (_counts("venue_calls", "operation, result"),)
            ),
            _latency("Latency of requests", "venue_call", "By operation.", "operation"),
            Panel(
                "Waits for the rate limit", "short",
                (
                    _counts("rate_limit_hits", "by"),
                    Query(f"rate(tradecore_rate_limit_wait_seconds_total{{{_I}}}[{_R}])", "seconds waited per second"),
                ),
            ),
            Panel("Reads of the balances", "short", (_counts("balance_refreshes", "result"),)),
            _latency("Latency of balances", "balance_refresh", "Time-outs included."),
            Panel("Age of the balances", "s", (_plain("balance_age_seconds", "age"),)),
            Panel(
                "Ledger and venue", "short",
                (
                    _counts("conservation_proofs", "result"),
                    _plain("unexplained_drift", "unexplained, account currency"),
                ),
            ),
            Panel("Away", "short", (_plain("trouble", "{{what}}"),), text="What trading needs and does not have."),
            Panel("Clock", "s", (_plain("clock_skew_seconds", "skew"),)),
        ),
    ),
    Section(
        "The program",
        (
            Panel("Loop lag", "s", (_plain("loop_lag_seconds", "lag"),)),
            Panel("Lag of jobs", "s", (Query(f"topk(10, tradecore_job_lag_seconds{{{_I}}})", "{{job_name}}"),)),
            _latency("A scan", "scan", "Judging one row, wall time."),
            Panel(
                "Queue and drops", "short",
                (
                    _plain("queue_depth", "events waiting"),
                    Query(f"increase(tradecore_events_dropped_total{{{_I}}}[{_R}])", "dropped"),
                ),
            ),
            Panel(
                "Guests", "short",
                (
                    _counts("plugin_faults", "plugin, hook", "fault *"),
                    _plain("plugins_quarantined", "quarantined"),
                ),
            ),
            Panel("Slow cycles", "short", (_counts("slow_cycles", "job_name, what"),)),
            Panel(
                "Alerts", "short",
                (
                    _counts("alerts", "severity"),
                    Query(f"increase(tradecore_uncaught_exceptions_total{{{_I}}}[{_R}])", "uncaught"),
                ),
            ),
            Panel("Alerts by name", "short", (Query(f"tradecore_alerts_named_total{{{_I}}}", "{{name}}"),), "table"),
            Panel(
                "Process", "short",
                (
                    Query(f"rate(process_cpu_seconds_total{{{_I}}}[{_R}])", "processors"),
                    Query(f"process_resident_memory_bytes{{{_I}}} / 1048576", "memory, MiB"),
                    Query(f"process_open_fds{{{_I}}}", "open files"),
                ),
            ),
            Panel("Up", "s", (_plain("uptime_seconds", "{{instance}}"),), "stat"),
        ),
    ),
)  # fmt: skip


def queries() -> Iterator[tuple[str, str]]:
    """Every panel's title with each of its expressions."""
    for section in SECTIONS:
        for panel in section.panels:
            for query in panel.queries:
                yield panel.title, query.expression


def dashboard_json() -> str:
    """The dashboard as Grafana imports it."""
    return json.dumps(_dashboard(), indent=2) + "\n"


def _dashboard() -> dict[str, Any]:
    return {
        "title": "tradecore", "uid": "tradecore", "schemaVersion": 39, "version": 1, "editable": True, "refresh": "15s",
        "tags": ["tradecore"], "time": {"from": "now-6h", "to": "now"}, "timezone": "utc",
        "annotations": {"list": []}, "links": [],
        "templating": {"list": [
            {
                "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
                "current": {}, "hide": 0, "regex": "", "includeAll": False, "multi": False,
            },
            {
                "name": "instance", "label": "Instance", "type": "query", "datasource": _SOURCE,
                "query": {"query": "label_values(tradecore_uptime_seconds, instance)", "refId": "instance"},
                "definition": "label_values(tradecore_uptime_seconds, instance)", "includeAll": True, "multi": True,
                "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "refresh": 2, "sort": 1, "hide": 0,
            },
        ]},
        "panels": list(_panels()),
    }  # fmt: skip


def _panels() -> Iterator[dict[str, Any]]:
    top, number = 0, 0
    for section in SECTIONS:
        number += 1
        yield {
            "id": number, "type": "row", "title": section.title, "collapsed": False, "panels": [],
            "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
        }  # fmt: skip
        top, left, height = top + 1, 0, 0
        for panel in section.panels:
            tall = 4 if panel.kind == "stat" else 8
            if left + panel.width > _WIDTH or (height and tall != height):
                top, left = top + height, 0
            height = tall
            number += 1
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": tall})
            left += panel.width
        top += height


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    snapshot = panel.kind != "timeseries"
    return {
        "id": number, "type": panel.kind, "title": panel.title, "description": panel.text, "gridPos": place,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + place_of), "datasource": _SOURCE, "expr": query.expression,
                "legendFormat": query.legend, "instant": snapshot, "range": not snapshot,
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for place_of, query in enumerate(panel.queries)
        ],
    }  # fmt: skip


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "stat":
        shown = "name" if panel.title == "Trading state" else "value"
        return {"textMode": shown, "colorMode": "value", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return {"showHeader": True}
