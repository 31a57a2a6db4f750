"""What people are told of a run, in the same words by every channel."""

from __future__ import annotations

from typing import Final, NamedTuple

from tradecore.channels.words import line
from tradecore.model.alert import SEVERITIES
from tradecore.model.events import AlertFired, OperatorCommand, Stamped, TradingStateChanged
from tradecore.model.fill import Fill
from tradecore.model.intent import Intent
from tradecore.model.reasons import Reason
from tradecore.model.units import canonical

EVENTS: Final = frozenset({"alert_fired", "operator_command", "trading_state"})
"""Kinds of events that `News.event` has words for."""


class Item(NamedTuple):
    """One piece of news."""

    key: str
    """Says which: the same key is the same news, told again after a crash."""
    text: str


def grave(severity: str) -> str:
    """A severity out of `SEVERITIES`; what nobody knows is taken for the gravest."""
    return severity if severity in SEVERITIES else SEVERITIES[-1]


def reaches(severity: str, least: str) -> bool:
    """Tell whether an alert of a severity is to be told where `least` is asked for."""
    return SEVERITIES.index(grave(severity)) >= SEVERITIES.index(least)


class News:
    """Puts what happens into words and counts it.

    Args:
        least: Alerts below this severity are no news.
        fills: Whether fills are.
        failures: Whether intents without a fill are.
    """

    def __init__(self, least: str, *, fills: bool, failures: bool) -> None:
        self.fills = 0
        self.failures = 0
        self.alerts = 0
        self._least: Final = least
        self._tell_fills: Final = fills
        self._tell_failures: Final = failures

    def begins(self, run_id: str) -> Item:
        """A run begins."""
        return Item(f"start/{run_id}", f"run {line(run_id, 80)} begins")

    def ends(self, run_id: str, reason: str) -> Item:
        """A run ends, and what it did."""
        words = (
            f"run {line(run_id, 80)} ends: {line(reason)}\n{self.fills} fills, {self.failures} intents without a fill"
        )
        return Item(f"stop/{run_id}", f"{words}, {self.alerts} alerts")

    def fill(self, fill: Fill, intent: Intent, event_id: str) -> Item | None:
        """One trade; ``None``: not wanted."""
        self.fills += 1
        return Item(event_id, fill_text(fill, intent)) if self._tell_fills else None

    def failure(self, intent: Intent, reason: Reason, detail: str, event_id: str) -> Item | None:
        """An intent that came to nothing; ``None``: not wanted."""
        self.failures += 1
        return Item(event_id, failure_text(intent, reason, detail)) if self._tell_failures else None

    def event(self, stamped: Stamped) -> Item | None:
        """Alerts, changes of the trading state, what became of commands; ``None``: not wanted."""
        match stamped.event:
            case AlertFired() as alert:
                if not reaches(alert.severity, self._least):
                    return None
                self.alerts += 1
                head = "over" if alert.resolved else line(alert.severity, 20).upper()
                return Item(
                    f"alert/{stamped.at_ns}/{alert.by}/{alert.name}/{alert.resolved}",
                    f"{head}: {line(alert.name, 64)} ({line(alert.by, 40)}): {line(alert.text, 1_000)}",
                )
            case TradingStateChanged() as changed:
                words = f"trading is {line(changed.new, 20)} (was {line(changed.old, 20)})"
                return Item(f"state/{stamped.at_ns}", f"{words}, by {line(changed.actor)}: {line(changed.reason)}")
            case OperatorCommand() as command:
                words = f"{line(command.verb, 20)} {line(command.argument, 60)}".rstrip()
                return Item(
                    f"command/{command.command_id}", f"{words}, by {line(command.actor)}: {line(command.result, 1_000)}"
                )
            case _:
                return None


def fill_text(fill: Fill, intent: Intent) -> str:
    """One trade in words."""
    trade = fill.trade
    fee = f", fee {canonical(trade.fee)} {line(trade.fee_currency, 20)}" if trade.fee else ""
    why = f" ({line(intent.signal.reason, 80)})" if intent.signal.reason else ""
    what = f"{str(trade.side).upper()} {canonical(trade.quantity)} {line(trade.symbol, 40)}"
    return f"{what} at {canonical(trade.price)}{fee}, by {line(intent.signal.plugin, 40)}{why}"


def failure_text(intent: Intent, reason: Reason, detail: str) -> str:
    """An intent that came to nothing, in words."""
    tail = f": {line(detail, 200)}" if detail else ""
    return f"no fill: {intent.side} {line(intent.symbol, 40)}, {reason}{tail}"
