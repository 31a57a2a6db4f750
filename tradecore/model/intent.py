"""An intent: the durable wish to change a position, and the money set aside for it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore.errors import TransitionError
from tradecore.model.reasons import Reason
from tradecore.model.signal import Signal
from tradecore.model.units import ZERO, IntentId, PositionId, Side, minus


class IntentState(enum.StrEnum):
    """Where an intent stands; it ends exactly once (R15)."""

    RESERVED = "RESERVED"
    WORKING = "WORKING"
    FILLED = "FILLED"
    PARTIAL = "PARTIAL"
    UNFILLED = "UNFILLED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    CANCELED = "CANCELED"


INTENT_LIVE = frozenset({IntentState.RESERVED, IntentState.WORKING})
INTENT_ENDED = frozenset(IntentState) - INTENT_LIVE
_INTENT_MOVES: Mapping[IntentState, frozenset[IntentState]] = {
    # A reserved intent may end without an attempt: expired, cancelled, or its router faulted.
    IntentState.RESERVED: frozenset({IntentState.WORKING}) | INTENT_ENDED,
    IntentState.WORKING: INTENT_ENDED,
}


def check_intent_move(old: IntentState, new: IntentState) -> None:
    """Assert that an intent may go from `old` to `new`.

    Raises:
        TransitionError: If the table has no such row; an ended intent moves nowhere.
    """
    if new not in _INTENT_MOVES.get(old, frozenset()):
        raise TransitionError(f"expected an allowed intent move, was {old} to {new}")


class Cap(NamedTuple):
    """One cap in force on an intent, with the guest that set it."""

    value: Decimal
    plugin: str
    inputs: Mapping[str, str] = {}
    """What the guest made its figures from (R8)."""


class Intent(NamedTuple):
    """What is to be bought or sold, at most how dear, and until when. Never changed once durable."""

    intent_id: IntentId
    signal: Signal
    symbol: str
    side: Side
    quantity: Decimal
    """Base units, a whole number of lots."""
    price: Decimal
    """The signal's price, quote per base."""
    price_ms: int
    price_cap: Decimal
    """A buy never pays more, a sell never takes less; on the tick."""
    created_ms: int
    expires_ms: int
    constraint: str
    """The sizing rule that bound, ``guest: rule``; for exits what limited the quantity."""
    reduces: bool
    """True for exits: no guest can block it."""
    position_id: PositionId | None
    """The position it closes or adds to; for an entry the one it will open."""
    caps: Mapping[str, Cap] = {}
    stop_price: Decimal | None = None
    """The stop the wishing guest foresees, if it said so."""


class ReservationState(enum.StrEnum):
    """A reservation is active until its intent's end, then released once."""

    ACTIVE = "ACTIVE"
    RELEASED = "RELEASED"


class Reservation(NamedTuple):
    """Money set aside for one intent, in the coin that it would spend (R16)."""

    intent_id: IntentId
    currency: str
    amount: Decimal
    """Worst-case spend: a buy's quantity x cap x (1 + fee), a sell's quantity."""
    consumed: Decimal
    """What settled fills have spent of it so far."""
    state: ReservationState
    created_ms: int
    ended_ms: int | None = None
    reason: Reason | None = None
    detail: str = ""

    @property
    def held(self) -> Decimal:
        """What it still keeps from others: never negative, 0 once released."""
        if self.state is ReservationState.RELEASED:
            return ZERO
        return max(ZERO, minus(self.amount, self.consumed))


class IntentRow(NamedTuple):
    """An intent as the store keeps it."""

    intent: Intent
    state: IntentState
    router: str = ""
    """The guest that took it; empty before the first answer or for the core's own ladder."""
    reason: Reason | None = None
    """``None`` while it lives."""
    detail: str = ""
    ended_ms: int | None = None
    executed_quantity: Decimal = Decimal(0)
