"""What the risk guests' answer says, as an event and as the reason of a refusal."""

from __future__ import annotations

from tradecore.hooks.calls import RiskAnswer
from tradecore.model.events import GuardsEval
from tradecore.model.intent import Intent
from tradecore.model.reasons import Reason


def guards_event(intent: Intent, attempt: int, answer: RiskAnswer) -> GuardsEval:
    """Describe what the risk guests said."""
    caps = {name: f"{cap.value} {cap.plugin}" for name, cap in answer.caps.items()}
    return GuardsEval(intent.symbol, attempt, answer.allowed, answer.checks, caps)


def denial_of(answer: RiskAnswer) -> tuple[Reason, str]:
    """Name the check that denied, or the fault."""
    denied = answer.denied
    if denied is None:
        return Reason.RISK_MISSING, answer.fault
    facts = f"value={denied.value}, threshold={denied.threshold} {denied.unit}"
    return Reason.RISK_REFUSED, f"{denied.plugin}.{denied.limit}: {facts}"
