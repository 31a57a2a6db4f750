"""Orders: what a router asks, what an attempt is, and the one table its states move by.

The table is reference orders.md 6.2. Odd rows that look wrong and are not:

* CANCELING to FILLED: a cancel is a request; the fill may have come first.
* CLOSED to REOPENED: "canceled" never implies zero filled, and late fills are real.
* CLOSED is not the end: only SETTLED (fills = executed) is final for the books.
* No row leads from UNKNOWN to REJECTED by time: only evidence from the venue moves it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore.errors import TransitionError
from tradecore.model.fill import VenueTrade
from tradecore.model.reasons import Reason
from tradecore.model.units import ZERO, ClientOrderId, IntentId, Side, TimeInForce, ratio


class AttemptState(enum.StrEnum):
    """Where one order request stands."""

    PREPARED = "PREPARED"
    SENDING = "SENDING"
    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    CANCELING = "CANCELING"
    CLOSED = "CLOSED"
    SETTLED = "SETTLED"
    STUCK = "STUCK"
    REOPENED = "REOPENED"


class Outcome(enum.StrEnum):
    """How a closed attempt ended."""

    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    NOT_SENT = "NOT_SENT"
    NOT_PLACED = "NOT_PLACED"


_S = AttemptState
ATTEMPT_MOVES: Mapping[AttemptState, frozenset[AttemptState]] = {
    _S.PREPARED: frozenset({_S.SENDING, _S.CLOSED}),
    _S.SENDING: frozenset({_S.OPEN, _S.CLOSED, _S.UNKNOWN}),
    _S.UNKNOWN: frozenset({_S.UNKNOWN, _S.OPEN, _S.CLOSED, _S.STUCK}),
    _S.OPEN: frozenset({_S.OPEN, _S.CANCELING, _S.CLOSED}),
    _S.CANCELING: frozenset({_S.CANCELING, _S.CLOSED}),
    _S.CLOSED: frozenset({_S.SETTLED, _S.REOPENED}),
    _S.SETTLED: frozenset({_S.REOPENED}),
    _S.STUCK: frozenset({_S.OPEN, _S.CLOSED}),
    # Reopened orders are read again until the venue's word and the fills agree.
    _S.REOPENED: frozenset({_S.OPEN, _S.CLOSED}),
}
#: States in which nobody may assume that the venue does not hold the order.
ATTEMPT_UNPROVEN = frozenset({_S.SENDING, _S.UNKNOWN, _S.STUCK, _S.REOPENED})
#: States in which the venue may still fill it, or its fills are not all booked.
ATTEMPT_LIVE = frozenset(_S) - {_S.SETTLED}


def check_attempt_move(old: AttemptState, new: AttemptState) -> None:
    """Assert that an attempt may go from `old` to `new` (INV-7).

    Raises:
        TransitionError: If the table has no such row.
    """
    if new not in ATTEMPT_MOVES[old]:
        raise TransitionError(f"expected an allowed attempt move, was {old} to {new}")


class OrderRequest(NamedTuple):
    """What a router wants sent next for an intent. The core clips price and quantity to the caps."""

    time_in_force: TimeInForce
    price: Decimal
    """Limit, quote per base."""
    quantity: Decimal
    """Base units; never more than the intent's remainder is sent."""
    ttl_ms: int
    """How long to wait for its end before the core cancels (GTC) or looks it up (IOC, FOK)."""
    label: str
    """The rung's name, as ``IOC 10 bps 1/2``."""
    post_only: bool = False


class Done(NamedTuple):
    """A router's word that an intent needs no further order."""

    reason: Reason
    detail: str = ""


class AttemptView(NamedTuple):
    """An attempt as a router sees it."""

    number: int
    """1 for the first."""
    state: AttemptState
    outcome: Outcome | None
    label: str
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    average_price: Decimal | None
    """``None`` where nothing filled."""
    code: str
    clipped_by: str
    """The cap that lowered the price, with its guest; empty if none did."""
    sent_ms: int | None
    settled_ms: int | None


class Attempt(NamedTuple):
    """One order request as the store keeps it: written before anything is sent (R12)."""

    client_order_id: ClientOrderId
    intent_id: IntentId
    number: int
    wire_id: str
    """The client order id in the form that the venue takes."""
    symbol: str
    side: Side
    request: OrderRequest
    state: AttemptState
    reduces: bool
    outcome: Outcome | None = None
    venue_order_id: str = ""
    executed_quantity: Decimal = ZERO
    """What the venue says is executed; never decreases (INV-7)."""
    executed_quote: Decimal = ZERO
    booked_quantity: Decimal = ZERO
    """Sum of the fills booked; equals `executed_quantity` once settled."""
    code: str = ""
    """Venue code or reason code; empty while nothing is known."""
    detail: str = ""
    clipped_by: str = ""
    prepared_ms: int = 0
    sent_ms: int | None = None
    fence_ms: int | None = None
    """Before this moment "not found" proves nothing (reference orders.md 0.3)."""
    cancel_after_ms: int | None = None
    settled_ms: int | None = None
    misses: int = 0
    """Look-ups after the fence that did not find it."""

    @property
    def view(self) -> AttemptView:
        """The part that routers see."""
        average = None
        if self.executed_quantity > 0:
            average = ratio(self.executed_quote, self.executed_quantity)
        return AttemptView(
            self.number, self.state, self.outcome, self.request.label, self.request.time_in_force,
            self.request.price, self.request.quantity, self.executed_quantity, average, self.code,
            self.clipped_by, self.sent_ms, self.settled_ms,
        )  # fmt: skip


class VenueStatus(enum.StrEnum):
    """What a venue says of an order, in our words."""

    OPEN = "OPEN"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    UNMAPPED = "UNMAPPED"
    """A status we have no word for: treated as not terminal, and alarmed."""


class OrderReport(NamedTuple):
    """Evidence from the venue on one order, whatever way it came (REST, stream, reconciliation)."""

    wire_id: str
    """Client order id as the venue echoes it; empty if it sent none."""
    venue_order_id: str
    symbol: str
    side: Side
    status: VenueStatus | None
    """``None``: acknowledged without a status; it must be read."""
    price: Decimal | None
    quantity: Decimal | None
    executed_quantity: Decimal | None
    """``None``: the venue did not say; never taken for zero."""
    executed_quote: Decimal | None
    time_in_force: TimeInForce | None
    """``None``: the venue does not report it."""
    updated_ms: int
    trades: tuple[VenueTrade, ...] = ()
    """Fills sent with the report; more may exist."""
    source: str = "rest"
    digest: str = ""
    """SHA-256 prefix of the raw answer."""


class PlacementKind(enum.StrEnum):
    """The three-valued fate of a send, and the one where nothing left the machine."""

    NOT_SENT = "NOT_SENT"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class Placement(NamedTuple):
    """What became of one send, judged by transport evidence and allow-listed codes (R13)."""

    kind: PlacementKind
    reason: Reason
    code: str = ""
    """The venue's own code; empty if it sent none."""
    detail: str = ""
    report: OrderReport | None = None
    """Set where ACCEPTED; its status is ``None`` for an acknowledgement without one."""
    status: int | None = None
    """HTTP status; ``None`` where no answer came."""
    latency_ms: float = 0.0
    retry_after_s: float | None = None
    action: str = ""
    """What the venue's rules ask to be done about its code, as ``RELOAD_INSTRUMENTS``; empty where they ask nothing."""
    error_class: str = ""
    """What kind of trouble the code names, as ``FUNDS``; empty where nobody knows."""


class NewOrder(NamedTuple):
    """One order as the venue port takes it."""

    wire_id: str
    symbol: str
    side: Side
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    post_only: bool = False


class CancelKind(enum.StrEnum):
    """What became of a cancel; none of them says that the order is gone."""

    REQUESTED = "REQUESTED"
    NOT_FOUND = "NOT_FOUND"
    """The venue knows no such open order: it may have filled. Read it."""
    UNKNOWN = "UNKNOWN"


class Cancelation(NamedTuple):
    """Answer to a cancel. The order is read afterwards in every case."""

    kind: CancelKind
    code: str = ""
    detail: str = ""
    report: OrderReport | None = None
    retry_after_s: float | None = None
    error_class: str = ""
    """What kind of trouble the venue's code names, as ``AUTH``; empty where nobody knows."""
