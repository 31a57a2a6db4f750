"""What keeps entries away: locks and the circuit breaker."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tradecore.model.events.kinds import Taxonomy, event_kind


@event_kind("lock_set", Taxonomy.AUDIT, booked=True)
class LockSet(NamedTuple):
    """Entries on a symbol, or on all (``*``), are shut for a while (R32)."""

    symbol: str
    plugin: str
    """The guest that asked for it, or ``breaker``."""
    rule: str
    reason: str
    since_ms: int
    """Moment of the newest evidence for it."""
    expires_ms: int


@event_kind("lock_ended", Taxonomy.AUDIT, booked=True)
class LockEnded(NamedTuple):
    """A lock is over: its time, or an operator's word."""

    symbol: str
    plugin: str
    rule: str
    actor: str
    reason: str


@event_kind("breaker_tripped", Taxonomy.AUDIT, booked=True)
class BreakerTripped(NamedTuple):
    """The circuit breaker found more than it lets pass (R33)."""

    rule: str
    """``daily_drawdown``, ``loss_streak``, ``failed_orders``, ``faults`` or ``rejects``."""
    symbol: str
    """Empty where it is about the account."""
    value: Decimal
    threshold: Decimal
    unit: str
    action: str
    """``REDUCING``, ``HALTED`` or ``LOCK``."""
    expires_ms: int | None
