"""Pure rules about an order and the venue's word: how an end is called, what the echo says, how a move is told."""

from __future__ import annotations

from tradecore.model.events import OrderAttempt
from tradecore.model.fill import VenueTrade
from tradecore.model.order import Attempt, AttemptState, OrderReport, Outcome
from tradecore.model.reasons import Reason
from tradecore.model.units import TimeInForce, plus

_LATE_MS_MAX = 86_400_000
"""A trade so long after its order's end belongs to a later order that the venue gave the same id."""


def code_of(attempt: Attempt, outcome: Outcome) -> str:
    """Name an end that the venue gave no code for."""
    if attempt.code:
        return attempt.code
    reason = Reason.CANCELED_BY_VENUE
    if attempt.executed_quantity > 0:
        reason = Reason.FILLED if outcome is Outcome.FILLED else Reason.ACCEPTED
    elif outcome is Outcome.CANCELED and attempt.state is AttemptState.CANCELING:
        reason = Reason.CANCELED_BY_US
    elif outcome is Outcome.REJECTED:
        reason = Reason.VENUE_REJECTED
    elif attempt.request.time_in_force is not TimeInForce.GTC:
        reason = Reason.EXPIRED_UNFILLED
    return str(reason)


def echo_of(attempt: Attempt, report: OrderReport) -> str:
    """Compare what the venue reports with what was asked (R11): ``same`` or what differs."""
    asked = attempt.request
    differs = [
        f"{name} asked {wanted} was {got}"
        for name, wanted, got in (
            ("time_in_force", asked.time_in_force, report.time_in_force),
            ("price", asked.price, report.price),
            ("quantity", asked.quantity, report.quantity),
        )
        if got is not None and got != wanted
    ]
    return ", ".join(differs) or "same"


def another_order(attempt: Attempt, report: OrderReport) -> str:
    """Tell why a report cannot be about an attempt (F45): venues have answered with whatever came first.

    A price or a time in force that differs is told (`echo_of`) and believed, since venues rewrite them; id, symbol,
    side and quantity are what an order is. Nothing that a report leaves out speaks against it.

    Returns:
        What differs, in words; empty where nothing does.
    """
    request = attempt.request
    pairs = (
        ("id", attempt.wire_id, report.wire_id or attempt.wire_id),
        ("symbol", attempt.symbol, report.symbol),
        ("side", attempt.side, report.side),
        ("quantity", request.quantity, report.quantity if report.quantity is not None else request.quantity),
    )
    differs = [f"{name} expected {wanted}, was {got}" for name, wanted, got in pairs if wanted != got]
    if report.executed_quantity is not None and report.executed_quantity > request.quantity:
        differs.append(f"executed expected at most {request.quantity}, was {report.executed_quantity}")
    return ", ".join(differs)


def foreign_trade(attempt: Attempt, trade: VenueTrade) -> str:
    """Tell why a trade that bears an attempt's id cannot be its fill; empty where it can.

    Venues use order ids again, and have put trades of one market into the list of another.
    """
    if trade.symbol != attempt.symbol or trade.side is not attempt.side:
        return f"expected {attempt.side} {attempt.symbol}, was {trade.side} {trade.symbol}"
    if not trade.wire_id and attempt.settled_ms is not None and trade.traded_ms > attempt.settled_ms + _LATE_MS_MAX:
        return f"traded {trade.traded_ms - attempt.settled_ms} ms after the order's end"
    booked = plus(attempt.booked_quantity, trade.quantity)
    if booked > attempt.request.quantity:
        return f"expected at most {attempt.request.quantity} filled, would be {booked}"
    return ""


def attempt_event(attempt: Attempt, detail: str = "") -> OrderAttempt:
    """Describe an attempt's move."""
    request = attempt.request
    return OrderAttempt(
        attempt.symbol, str(attempt.side), attempt.number, str(attempt.state), request.label,
        str(request.time_in_force), request.price, request.quantity, attempt.clipped_by, attempt.fence_ms, detail,
    )  # fmt: skip
