"""Every figure that is exported: its name by the conventions of Prometheus, its labels, what it means.

Names end in the unit (seconds, ratio); counters end in ``_total``. Amounts of money have the label `currency`. Times
are market time: on a run at another speed than the wall's a minute here is a minute there. A counter that a rule looks
at has all its children from the start: Prometheus sees no increase in a series that begins above 0.

Source: prometheus.io, "Metric and label naming" and "Instrumentation" (read 2026).
"""

from __future__ import annotations

import itertools
import math
from typing import Final, Literal, NamedTuple

from prometheus_client import GC_COLLECTOR, CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

PREFIX: Final = "tradecore_"
SIDES: Final = ("buy", "sell")
STATES: Final = ("ACTIVE", "REDUCING", "HALTED")
TROUBLES: Final = ("venue", "store", "prices", "quotes", "fills", "account_stream")
SEVERITIES: Final = ("info", "warning", "critical")
UNPROVEN: Final = ("SENDING", "UNKNOWN", "STUCK", "REOPENED")
_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SLOW: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
_SCAN: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Family(NamedTuple):
    """One figure with all its children."""

    name: str
    """With its prefix."""
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()
    """Label values that are there from the start, at 0: a rate needs a first value."""
    buckets: tuple[float, ...] = ()
    start: float = 0.0
    """Of a gauge without labels; NaN where nothing is known before the first figure."""


def _counter(name: str, text: str, *labels: str, known: tuple[tuple[str, ...], ...] = ()) -> Family:
    return Family(f"{PREFIX}{name}_total", "counter", text, labels, known)


def _gauge(name: str, text: str, *labels: str, known: tuple[tuple[str, ...], ...] = (), start: float = 0.0) -> Family:
    return Family(f"{PREFIX}{name}", "gauge", text, labels, known, start=start)


def _seconds(name: str, text: str, *labels: str, buckets: tuple[float, ...] = _FAST) -> Family:
    return Family(f"{PREFIX}{name}_seconds", "histogram", text, labels, (), buckets)


def _each(*values: str) -> tuple[tuple[str, ...], ...]:
    return tuple((value,) for value in values)


_DECISIONS: Final = (
    _counter("candidates", "Symbols judged at a row, by what became of them.", "outcome"),
    _counter("decisions", "Signals that were met, by what became of them.", "plugin", "outcome"),
    _seconds("scan", "Time that judging one row took; none on virtual time.", buckets=_SCAN),
    _gauge("risk_limit_used_ratio", "Newest value of a risk limit over its threshold.", "plugin", "limit"),
)
_ORDERS: Final = (
    _counter("intents_made", "Intents that reserved money or coin.", "side", known=_each(*SIDES)),
    _counter("intents_ended", "Intents that ended, by state and reason.", "side", "state", "reason"),
    _counter("intents_failed", "Intents that ended without a fill, by reason.", "side", "reason"),
    _counter("orders_sent", "Orders sent to the venue.", "side", known=_each(*SIDES)),
    _counter(
        "orders_filled", "Orders that ended with a fill, whole or part of it.", "side", "extent",
        known=tuple(itertools.product(SIDES, ("full", "partial"))),
    ),
    _counter("orders_failed", "Orders that ended without a fill, by code.", "side", "outcome", "code"),
    _counter("orders_unknown", "Sends whose outcome was not known at first.", "side", known=_each(*SIDES)),
    _counter("order_cancels", "Cancels asked for, by reason.", "reason", known=_each("ttl")),
    _counter(
        "duplicate_orders", "Orders asked for twice: blocked by us, or found at the venue.", "what",
        known=_each("blocked", "found"),
    ),
    _counter(
        "fills", "Trades of ours, once each.", "side", "liquidity",
        known=tuple(itertools.product(SIDES, ("maker", "taker"))),
    ),
    _counter("traded_quote", "Quote coin moved by our trades.", "side", "currency"),
    _counter("fees", "Fees paid, in the coin that they were taken in.", "currency"),
    _counter("rebates", "Rebates received, in the coin that they were paid in.", "currency"),
    _counter("positions_closed", "Round trips that ended.", "plugin", "reason"),
    _counter("symbol_halts", "Symbols that were shut for entries because the venue refuses them."),
    _seconds("signal_to_order", "From the close of the row that was judged to the first order of its intent."),
    _seconds("order_ack", "From sending an order to the venue's acknowledgement."),
    _seconds("order_settle", "From sending an order to its end with all its fills.", "side", buckets=_SLOW),
    _seconds("intent_lifetime", "From an intent's creation to its end.", "side", buckets=_SLOW),
    _seconds("intent_cleanup", "From the end of an intent's last order to the intent's end."),
    _gauge("pending_intents", "Intents that have not ended."),
    _gauge(
        "orders_unproven", "Orders that the venue may hold without proof, by state.", "state", known=_each(*UNPROVEN)
    ),
    _gauge("order_unproven_age_seconds", "Age of the oldest order without proof; 0 where there is none."),
)  # fmt: skip
_VENUE: Final = (
    _counter("venue_calls", "Requests to the venue, by what came of them.", "operation", "result"),
    _counter("venue_errors", "Requests to the venue that failed, by error.", "operation", "error"),
    _counter("retries", "Reads and cancels tried again.", "operation"),
    _counter(
        "rate_limit_hits", "Requests that our limiter held back, or the venue refused.", "by",
        known=_each("limiter", "venue"),
    ),
    _counter("rate_limit_wait_seconds", "Time that requests waited for their turn."),
    _counter(
        "balance_refreshes", "Reads of the balances, by what came of them.", "result",
        known=_each("ok", "timeout", "error"),
    ),
    _seconds("venue_call", "Latency of requests to the venue.", "operation"),
    _seconds("balance_refresh", "Time that a read of the balances took, in vain or not."),
    _gauge("balance_age_seconds", "Age of the balances in use at the newest read."),
    _gauge("clock_skew_seconds", "The venue's clock less ours."),
)  # fmt: skip
_ACCOUNT: Final = (
    _gauge("equity", "Free and reserved money and positions at their marks.", "currency"),
    _gauge("equity_day_open", "Equity at 00:00 UTC.", "currency"),
    _gauge("equity_day_peak", "Highest equity since 00:00 UTC.", "currency"),
    _gauge("free_balance", "Money that is not reserved.", "currency"),
    _gauge("reserved_balance", "Money set aside for intents.", "currency"),
    _gauge("exposure", "Positions at their marks and reservations of buys.", "currency"),
    _gauge("realised_pnl", "Profit of round trips closed in this run, fees taken off.", "currency"),
    _gauge("exposure_ratio", "Exposure over equity."),
    _gauge(
        "exposure_limit_used_ratio", "Exposure over the limit that was checked last; NaN before that.", start=math.nan
    ),
    _gauge("drawdown_ratio", "Fall of equity from the day's peak, over the peak."),
    _gauge("fill_ratio", "Share of attempts of the last 24 hours that filled; NaN without any.", start=math.nan),
    _gauge("win_ratio", "Share of the newest closed positions that made money; NaN without any.", start=math.nan),
    _gauge("closed_positions", "Closed positions that the share of wins is taken over."),
    _gauge("open_positions", "Open positions."),
    _gauge("unsellable_positions", "Open positions that cannot be left."),
    _gauge("entries_today", "Entries with a fill since 00:00 UTC."),
    _gauge("locks", "Locks that keep entries away."),
    _gauge("dust_coins", "Coins of which less is left than can be sold."),
    _gauge("symbol_fill_ratio", "Share of attempts of the last 24 hours that filled.", "symbol"),
    _gauge("position_value", "Open positions at their marks.", "symbol", "currency"),
    _gauge("position_return_ratio", "Mark over the average price paid, less 1.", "symbol"),
    _counter(
        "conservation_proofs", "Proofs that ledger and venue agree.", "result", known=_each("ok", "failed")
    ),
    _counter("drift", "Differences of ledger and venue that were found, by kind.", "kind"),
    _counter("fill_conflicts", "Trades that the venue told again with other numbers."),
    _gauge("conservation_ok", "1 where the newest proof found all coins explained.", start=math.nan),
    _gauge("unexplained_drift", "Difference of ledger and venue that nothing explains, account currency."),
)  # fmt: skip
_HEALTH: Final = (
    _counter("heartbeats", "Heartbeats of the engine."),
    _counter("slow_cycles", "Jobs that were slow, missed, overlapped or failed.", "job_name", "what"),
    _counter("late_calls", "Guests that overran their deadline.", "plugin", "hook"),
    _counter("plugin_faults", "Faults of guests.", "plugin", "hook"),
    _counter("plugin_quarantines", "Guests that are no longer asked for a hook.", "plugin", "hook"),
    _counter("alerts", "Alerts of the core and of guests.", "severity", known=_each(*SEVERITIES)),
    _counter("alerts_named", "The same alerts by name.", "name"),
    _gauge(
        "trouble",
        "1 while something that trading needs is away; of prices, the symbols.",
        "what",
        known=_each(*TROUBLES),
    ),
    _counter("uncaught_exceptions", "Exceptions that nobody expected."),
    _counter("journal_faults", "Troubles of the journal."),
    _counter("events_dropped", "Diagnostics that a full queue dropped, on the way to journal or guests."),
    _counter("breaker_trips", "Trips of the circuit breaker.", "rule"),
    _counter("locks_set", "Locks set on symbols.", "plugin", "rule"),
    _gauge("trading_state", "1 at the state that is in force.", "state", known=_each(*STATES)),
    _gauge("plugins_quarantined", "Hooks of guests that are quarantined now."),
    _gauge("uptime_seconds", "Since the run began."),
    _gauge("loop_lag_seconds", "How late the newest row was taken, wall time."),
    _gauge("queue_depth", "Events that wait to be written."),
    _gauge("job_lag_seconds", "Since a job's newest good end, less its interval; 0 where it is in time.", "job_name"),
    _gauge("as_of_timestamp_seconds", "Market time of the account's figures."),
    _gauge("run_info", "1; which run this is.", "run_id", "profile", "version"),
)
_OWN: Final = (
    _counter("metrics_events", "Events that were counted."),
    _counter("metrics_labels_capped", "Updates whose label was put under 'other': there are too many.", "label"),
    _counter("metrics_requests", "Requests at the endpoint, by answer.", "answer", known=_each("200")),
    _counter(
        "metrics_exports", "Writes of the JSON file and to StatsD.", "sink", "result",
        known=tuple(itertools.product(("json", "statsd"), ("ok", "error"))),
    ),
)  # fmt: skip

FAMILIES: Final[tuple[Family, ...]] = (*_DECISIONS, *_ORDERS, *_VENUE, *_ACCOUNT, *_HEALTH, *_OWN)


def make(registry: CollectorRegistry) -> dict[str, MetricWrapperBase]:
    """Make all families in a registry, and the figures of the process beside them (``process_…``).

    Returns:
        Name to family, as ``tradecore_orders_sent_total``.
    """
    ProcessCollector(registry=registry)
    registry.register(GC_COLLECTOR)
    made: dict[str, MetricWrapperBase] = {}
    for family in FAMILIES:
        one = _made(family, registry)
        made[family.name] = one
        for values in family.known:
            one.labels(*values)
        if isinstance(one, Gauge) and not family.labels:
            one.set(family.start)
    return made


def _made(family: Family, registry: CollectorRegistry) -> MetricWrapperBase:
    if family.kind == "counter":
        return Counter(family.name, family.text, family.labels, registry=registry)
    if family.kind == "gauge":
        return Gauge(family.name, family.text, family.labels, registry=registry)
    return Histogram(family.name, family.text, family.labels, buckets=family.buckets, registry=registry)
