"""What the risk guests' answer says, as an event and as the reason of a refusal."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tradecore.hooks.combine import RiskAnswer
from tradecore.model.events import GuardsEval
from tradecore.model.intent import Intent
from tradecore.model.lock import Lock
from tradecore.model.reasons import Reason
from tradecore.model.units import ZERO


class Refused(NamedTuple):
    """Why a candidate becomes no intent."""

    reason: Reason
    by: str = "core"
    detail: str = ""
    limit: str = ""
    """What was passed, as ``spread_bps``; empty where nothing was measured."""
    value: Decimal | None = None
    threshold: Decimal | None = None
    unit: str = ""


def locked(lock: Lock, now_ms: int) -> Refused:
    """Name the lock that keeps entries away, and how long yet."""
    left = Decimal(lock.expires_ms - now_ms)
    return Refused(
        Reason.LOCKED, lock.plugin, f"{lock.symbol}: {lock.reason}", f"lock: {lock.rule}", left, ZERO, "ms left"
    )


def guards_event(intent: Intent, attempt: int, answer: RiskAnswer) -> GuardsEval:
    """Describe what the risk guests said."""
    caps = {name: f"{cap.value} {cap.plugin}" for name, cap in answer.caps.items()}
    return GuardsEval(intent.symbol, attempt, answer.allowed, answer.checks, caps)


def denial_of(answer: RiskAnswer) -> tuple[Reason, str]:
    """Name the check that denied, or the fault, as the end of an intent."""
    refused = refusal_by(answer)
    return refused.reason, refused.detail


def refusal_by(answer: RiskAnswer) -> Refused:
    """Name the check that denied with its figures, or the fault."""
    denied = answer.denied
    by = answer.denied_by or "core"
    if denied is None:
        return Refused(Reason.RISK_MISSING, by, answer.fault)
    detail = f"{denied.plugin}.{denied.limit}: value={denied.value}, threshold={denied.threshold} {denied.unit}"
    return Refused(Reason.RISK_REFUSED, by, detail, denied.limit, denied.value, denied.threshold, denied.unit)
