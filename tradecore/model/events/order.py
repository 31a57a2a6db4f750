"""An intent and its orders, from creation to end."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tradecore.model.events.kinds import Taxonomy, event_kind


@event_kind("intent_created", Taxonomy.ORDER, booked=True)
class IntentCreated(NamedTuple):
    """An intent and its reservation became durable."""

    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    price_cap: Decimal
    notional_quote: Decimal
    constraint: str
    plugin: str
    reduces: bool
    reason: str
    position_id: str
    expires_ms: int
    mid: Decimal | None = None
    """Middle of the book at the decision; ``None`` where a side was empty or no book was young enough."""


@event_kind("intent_cleared", Taxonomy.ORDER, booked=True)
class IntentCleared(NamedTuple):
    """An intent ended, once, with its reason (R15)."""

    symbol: str
    side: str
    state: str
    reason: str
    detail: str
    quantity: Decimal
    executed_quantity: Decimal
    attempts: int
    age_ms: int


@event_kind("order_attempt", Taxonomy.ORDER, booked=True)
class OrderAttempt(NamedTuple):
    """An attempt moved: PREPARED and SENDING are written before any byte leaves (R12)."""

    symbol: str
    side: str
    number: int
    state: str
    label: str
    time_in_force: str
    price: Decimal
    quantity: Decimal
    clipped_by: str
    fence_ms: int | None
    detail: str = ""


@event_kind("order_ack", Taxonomy.ORDER, booked=True)
class OrderAck(NamedTuple):
    """The venue took an order."""

    symbol: str
    number: int
    status: str
    """Empty where the acknowledgement carried none."""
    echo: str
    """``same``, or what differs from what was asked (R11)."""
    latency_ms: float


@event_kind("order_fill", Taxonomy.ORDER, booked=True)
class OrderFill(NamedTuple):
    """One venue trade of ours, booked."""

    symbol: str
    side: str
    number: int
    venue_trade_id: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    fee: Decimal
    fee_currency: str
    is_maker: bool
    late: bool
    """It came after the attempt had settled."""


@event_kind("mark_out", Taxonomy.ORDER)
class MarkOut(NamedTuple):
    """The middle of the book some time after one of our trades: what the fill was worth by then."""

    symbol: str
    side: str
    venue_trade_id: str
    price: Decimal
    quote_quantity: Decimal
    delay_s: int
    """Market time since the trade was booked."""
    mid: Decimal


@event_kind("order_cancel", Taxonomy.ORDER, booked=True)
class OrderCancel(NamedTuple):
    """A cancel was asked for, or its answer came."""

    symbol: str
    number: int
    reason: str
    answer: str
    """``asked``, or the kind of the venue's answer."""
    filled_before: Decimal
    age_ms: int


@event_kind("order_done", Taxonomy.ORDER, booked=True)
class OrderDone(NamedTuple):
    """An attempt settled: the venue's executed quantity equals the fills booked."""

    symbol: str
    side: str
    number: int
    outcome: str
    executed_quantity: Decimal
    executed_quote: Decimal
    average_price: Decimal | None
    reason: str
    wait_ms: int


@event_kind("order_failed", Taxonomy.ORDER, booked=True)
class OrderFailed(NamedTuple):
    """An attempt ended without a fill, or its outcome is not known: always with a code (R10)."""

    symbol: str
    side: str
    number: int
    outcome: str
    code: str
    error_class: str
    detail: str
    latency_ms: float


@event_kind("retry_attempt", Taxonomy.TRACER)
class RetryAttempt(NamedTuple):
    """A read or a cancel is tried again (R13)."""

    operation: str
    symbol: str
    attempt: int
    of: int
    error_class: str
    wait_ms: int


@event_kind("duplicate_order_blocked", Taxonomy.ORDER, booked=True)
class DuplicateOrderBlocked(NamedTuple):
    """Something asked for what already exists, and was refused."""

    symbol: str
    what: str
    detail: str


@event_kind("duplicate_order_found", Taxonomy.ORDER, booked=True)
class DuplicateOrderFound(NamedTuple):
    """The venue holds an order of our form that no row of ours explains."""

    symbol: str
    wire_id: str
    detail: str
