"""Events become figures: one small function per kind, and nothing else is listened to.

What a figure needs from two events (when an intent's last order ended, when its first was sent) is kept while the
intent lives, and for a bounded number of intents.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from tradecore.model.events import REGISTRY, Ids, Stamped
from tradecore.model.fill import Fill
from tradecore.model.intent import Intent
from tradecore.model.reasons import Reason
from tradecore_metrics.families import STATES, UNPROVEN
from tradecore_metrics.figures import Figures

_INTENTS_MAX: Final = 5_000
_CALL_TIMED_OUT: Final = "TimeoutError"
_EXPOSURE: Final = "max_exposure"
"""The limit of `risk_limits` on exposure."""
_BEGINS: Final = {
    "venue_lost": "venue",
    "store_unavailable": "store",
    "price_stale": "prices",
    "quotes_unavailable": "quotes",
    "zero_fills": "fills",
    "account_stream_lost": "account_stream",
}
"""Alert to the trouble that it begins."""
_ENDS: Final = {
    "venue_back": "venue",
    "store_available": "store",
    "price_fresh": "prices",
    "quotes_available": "quotes",
    "zero_fills_over": "fills",
    "account_stream_back": "account_stream",
}


class Recent(OrderedDict[str, int]):
    """Moments by id; the oldest id goes where there are too many."""

    def keep(self, key: str, moment_ms: int) -> None:
        """Keep a moment, ms."""
        self[key] = moment_ms
        if len(self) > _INTENTS_MAX:
            self.popitem(last=False)


class Hearing:
    """Takes what the core tells and moves the figures.

    Args:
        figures: Where to count.
    """

    def __init__(self, figures: Figures) -> None:
        self._figures: Final = figures
        self._sent_ms: Final = Recent()
        """Intent to the moment of its first send."""
        self._decided_ms: Final = Recent()
        """Intent to the close of the row that was judged, where it was told before the send."""
        self._timed: Final = Recent()
        """Intents whose way from signal to order was measured."""
        self._ended_ms: Final = Recent()
        """Intent to the end of its newest order."""
        self._told: Final = Recent()
        """Fills and failures told: after a crash they may come again."""
        self._dropped = 0
        self._troubles: Final[dict[str, int]] = {}
        self._pnl: Final[dict[str, float]] = {}
        """Realised profit by quote coin."""
        self.exposure_limit: Decimal | None = None
        """Of the newest check of it, account currency; ``None`` before one."""
        self.newest_ms = 0
        """Market time of the newest event."""

    def event(self, stamped: Stamped) -> None:
        """Count one event of a kind in `KINDS`."""
        self.newest_ms = max(self.newest_ms, stamped.at_ns // 1_000_000)
        self._figures.count("metrics_events")
        _HANDLERS[type(stamped.event)](self, stamped.event, stamped.ids, stamped.at_ns // 1_000_000)

    def fill(self, fill: Fill, intent: Intent, event_id: str) -> None:
        """Count one trade."""
        self._decided(intent)
        if not self._news(event_id):
            return
        trade, figures = fill.trade, self._figures
        figures.count("fills", str(trade.side), "maker" if trade.is_maker else "taker")
        quote = trade.symbol.partition("/")[2]
        figures.count("traded_quote", str(trade.side), quote, by=float(trade.quote_quantity))
        figures.count("fees", trade.fee_currency or quote, by=float(trade.fee))
        figures.count("rebates", trade.fee_currency or quote, by=-float(trade.fee))

    def failed(self, intent: Intent, reason: Reason, event_id: str) -> None:
        """Count one intent that ended without a fill."""
        self._decided(intent)
        if self._news(event_id):
            self._figures.count("intents_failed", str(intent.side), str(reason))

    def _news(self, event_id: str) -> bool:
        if event_id in self._told:
            return False
        self._told.keep(event_id, 0)
        return True

    def _decided(self, intent: Intent) -> None:
        if intent.intent_id not in self._timed:
            self._decided_ms.keep(intent.intent_id, intent.signal.decided_ms)
            self._measure(intent.intent_id)

    def _measure(self, intent_id: str) -> None:
        """Measure an intent's way from signal to order once both its ends are known, whichever came first."""
        sent, decided = self._sent_ms.get(intent_id), self._decided_ms.get(intent_id)
        if sent is not None and decided is not None:
            self._figures.observe("signal_to_order", (sent - decided) / 1_000)
            self._timed.keep(intent_id, sent)
            del self._sent_ms[intent_id], self._decided_ms[intent_id]

    # Decisions ------------------------------------------------------------------------------------------------

    def _scan(self, event: Any, ids: Ids, at_ms: int) -> None:
        for outcome, number in event.outcomes.items():
            self._figures.count("candidates", outcome, by=number)
        if event.duration_us:
            self._figures.observe("scan", event.duration_us / 1e6)

    def _decision(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("decisions", event.plugin, event.outcome)

    def _guards(self, event: Any, ids: Ids, at_ms: int) -> None:
        for check in event.checks:
            if check.threshold > 0:
                used = float(check.value) / float(check.threshold)
                self._figures.put("risk_limit_used_ratio", used, check.plugin, check.limit)
            if check.limit == _EXPOSURE:
                self.exposure_limit = check.threshold

    # Orders ---------------------------------------------------------------------------------------------------

    def _intent_created(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("intents_made", event.side)

    def _intent_cleared(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("intents_ended", event.side, event.state, event.reason)
        self._figures.observe("intent_lifetime", event.age_ms / 1_000, event.side)
        ended = self._ended_ms.pop(ids.intent, None)
        if ended is not None:
            self._figures.observe("intent_cleanup", (at_ms - ended) / 1_000)

    def _attempt(self, event: Any, ids: Ids, at_ms: int) -> None:
        if event.state == "UNKNOWN":
            self._figures.count("orders_unknown", event.side)
        elif event.state == "SENDING":
            self._figures.count("orders_sent", event.side)
            if ids.intent not in self._timed and ids.intent not in self._sent_ms:
                self._sent_ms.keep(ids.intent, at_ms)
                self._measure(ids.intent)

    def _ack(self, event: Any, ids: Ids, at_ms: int) -> None:
        if event.latency_ms > 0:  # an order that a look-up found carries no latency of its own
            self._figures.observe("order_ack", event.latency_ms / 1_000)

    def _done(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._ended_ms.keep(ids.intent, at_ms)
        if event.outcome != "NOT_SENT":
            self._figures.observe("order_settle", event.wait_ms / 1_000, event.side)
        if event.executed_quantity > 0:
            self._figures.count("orders_filled", event.side, "full" if event.outcome == "FILLED" else "partial")

    def _order_failed(self, event: Any, ids: Ids, at_ms: int) -> None:
        # an unknown one has not failed yet, and an answer about another order is no end of this one
        if event.outcome not in {"UNKNOWN", "ignored"}:
            self._figures.count("orders_failed", event.side, event.outcome, event.code)

    def _cancel(self, event: Any, ids: Ids, at_ms: int) -> None:
        if event.answer == "asked":
            self._figures.count("order_cancels", event.reason)

    def _blocked(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("duplicate_orders", "blocked")

    def _twice(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("duplicate_orders", "found")

    def _closed(self, event: Any, ids: Ids, at_ms: int) -> None:
        quote = event.symbol.partition("/")[2]
        self._pnl[quote] = self._pnl.get(quote, 0.0) + float(event.realised_pnl_quote)
        self._figures.count("positions_closed", event.plugin, event.reason)
        self._figures.put("realised_pnl", self._pnl[quote], quote)

    def _symbol_halt(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("symbol_halts")

    # Venue ----------------------------------------------------------------------------------------------------

    def _call(self, event: Any, ids: Ids, at_ms: int) -> None:
        figures = self._figures
        figures.count("venue_calls", event.operation, "error" if event.error_class else "ok")
        if event.error_class:
            figures.count("venue_errors", event.operation, event.error_class.rstrip(": "))
        figures.observe("venue_call", event.latency_ms / 1_000, event.operation)

    def _rate_limit(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("rate_limit_hits", "limiter" if event.by == "limiter" else "venue")
        self._figures.count("rate_limit_wait_seconds", by=event.wait_ms / 1_000)

    def _retry(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("retries", event.operation)

    def _balances(self, event: Any, ids: Ids, at_ms: int) -> None:
        late = event.detail.startswith(_CALL_TIMED_OUT)
        self._figures.count("balance_refreshes", "ok" if event.ok else "timeout" if late else "error")
        self._figures.observe("balance_refresh", event.latency_ms / 1_000)
        self._figures.put("balance_age_seconds", event.age_ms / 1_000)

    def _skew(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.put("clock_skew_seconds", event.skew_ms / 1_000)

    # The account ----------------------------------------------------------------------------------------------

    def _proof(self, event: Any, ids: Ids, at_ms: int) -> None:
        figures = self._figures
        figures.count("conservation_proofs", "ok" if event.ok else "failed")
        figures.put("conservation_ok", float(event.ok))
        figures.put("unexplained_drift", float(event.unexplained))
        for drift in event.drift:
            figures.count("drift", drift.kind)

    def _conflict(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("fill_conflicts")

    # Health ---------------------------------------------------------------------------------------------------

    def _heartbeat(self, event: Any, ids: Ids, at_ms: int) -> None:
        figures = self._figures
        figures.count("heartbeats")
        figures.put("uptime_seconds", event.uptime_s)
        figures.put("loop_lag_seconds", event.loop_lag_ms / 1_000)
        figures.put("queue_depth", event.queue_depth)
        figures.count("events_dropped", by=event.dropped - self._dropped)
        self._dropped = max(self._dropped, event.dropped)
        figures.put("pending_intents", event.pending_intents)
        figures.put("open_positions", event.positions)
        for state in UNPROVEN:
            figures.put("orders_unproven", event.unproven.get(state, 0), state)
        figures.put("order_unproven_age_seconds", event.oldest_unproven_ms / 1_000)
        figures.put("plugins_quarantined", event.quarantined)
        figures.put_all("job_lag_seconds", {(job,): lag_ms / 1_000 for job, lag_ms in event.job_lag_ms.items()})
        self._show_state(event.state)

    def _show_state(self, current: str) -> None:
        for state in STATES:
            self._figures.put("trading_state", float(state == current), state)

    def _state(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._show_state(event.new)

    def _slow(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("slow_cycles", event.job, event.what)

    def _late(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("late_calls", event.plugin, event.hook)

    def _fault(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("plugin_faults", event.plugin, event.hook)

    def _quarantine(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("plugin_quarantines", event.plugin, event.hook)

    def _alert(self, event: Any, ids: Ids, at_ms: int) -> None:
        if event.name in _BEGINS:
            self._show_trouble(_BEGINS[event.name], 1)
        elif event.name in _ENDS:
            self._show_trouble(_ENDS[event.name], -1)
        if not event.resolved:
            self._figures.count("alerts", event.severity)
            self._figures.count("alerts_named", event.name)

    def _show_trouble(self, what: str, step: int) -> None:
        """Prices are told of symbol by symbol; all else is either there or away, however often it is told."""
        number = max(0, self._troubles.get(what, 0) + step)
        self._troubles[what] = number if what == "prices" else min(1, number)
        self._figures.put("trouble", self._troubles[what], what)

    def _uncaught(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("uncaught_exceptions")

    def _journal(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("journal_faults", by=event.times)

    def _breaker(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("breaker_trips", event.rule)

    def _lock(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.count("locks_set", event.plugin, event.rule)

    def _started(self, event: Any, ids: Ids, at_ms: int) -> None:
        self._figures.put("run_info", 1.0, event.run_id, event.profile, event.version)

    def _ended(self, event: Any, ids: Ids, at_ms: int) -> None:
        """The end of a run moves no figure; the plugin writes its last export then."""


_Handler = Callable[[Hearing, Any, Ids, int], None]
_BY_KIND: Final[dict[str, _Handler]] = {
    "scan_outcomes": Hearing._scan,
    "decision_outcome": Hearing._decision,
    "guards_eval": Hearing._guards,
    "intent_created": Hearing._intent_created,
    "intent_cleared": Hearing._intent_cleared,
    "order_attempt": Hearing._attempt,
    "order_ack": Hearing._ack,
    "order_done": Hearing._done,
    "order_failed": Hearing._order_failed,
    "order_cancel": Hearing._cancel,
    "duplicate_order_blocked": Hearing._blocked,
    "duplicate_order_found": Hearing._twice,
    "position_closed": Hearing._closed,
    "symbol_halt": Hearing._symbol_halt,
    "exchange_call": Hearing._call,
    "rate_limit_hit": Hearing._rate_limit,
    "retry_attempt": Hearing._retry,
    "balance_refresh": Hearing._balances,
    "clock_skew": Hearing._skew,
    "conservation_proof": Hearing._proof,
    "fill_conflict": Hearing._conflict,
    "heartbeat": Hearing._heartbeat,
    "trading_state": Hearing._state,
    "slow_cycle": Hearing._slow,
    "late_call": Hearing._late,
    "plugin_fault": Hearing._fault,
    "plugin_quarantined": Hearing._quarantine,
    "alert_fired": Hearing._alert,
    "uncaught_exception": Hearing._uncaught,
    "journal_fault": Hearing._journal,
    "breaker_tripped": Hearing._breaker,
    "lock_set": Hearing._lock,
    "session_started": Hearing._started,
    "session_ended": Hearing._ended,
}
KINDS: Final = frozenset(_BY_KIND)
"""Kinds of events that figures are made of."""
_HANDLERS: Final = {REGISTRY[kind].schema: handler for kind, handler in _BY_KIND.items()}
