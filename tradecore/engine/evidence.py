"""Pure rules about an order and the venue's word: how an end is called, what the echo says, how a move is told."""

from __future__ import annotations

from tradecore.model.events import OrderAttempt
from tradecore.model.order import Attempt, AttemptState, OrderReport, Outcome
from tradecore.model.reasons import Reason
from tradecore.model.units import TimeInForce


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


def attempt_event(attempt: Attempt, detail: str = "") -> OrderAttempt:
    """Describe an attempt's move."""
    request = attempt.request
    return OrderAttempt(
        attempt.symbol, str(attempt.side), attempt.number, str(attempt.state), request.label,
        str(request.time_in_force), request.price, request.quantity, attempt.clipped_by, attempt.fence_ms, detail,
    )  # fmt: skip
