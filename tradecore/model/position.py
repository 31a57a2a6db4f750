"""Positions: the sum of fills under one idea, and the levels it is led by."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore.model.reasons import Reason
from tradecore.model.units import ZERO, PositionId, exact_sum, minus, plus, ratio, times


class PositionState(enum.StrEnum):
    """An open position may become unsellable (R18, R28); a closed one may leave dust behind."""

    OPEN = "OPEN"
    UNSELLABLE = "UNSELLABLE"
    CLOSED = "CLOSED"


class Levels(NamedTuple):
    """Prices in force on a position now, with the guest that set each. Durable (HOOKS.md `follow`)."""

    stop: Decimal | None = None
    stop_by: str = ""
    stop_reason: Reason = Reason.STOP_LOSS
    take: Decimal | None = None
    take_by: str = ""
    add: Decimal | None = None
    add_by: str = ""
    add_quote: Decimal | None = None
    leave_at_ms: int | None = None
    leave_by: str = ""
    set_ms: int = 0
    inputs: Mapping[str, str] = {}
    """What the guests made the levels from, for the journal."""


class Position(NamedTuple):
    """Base coin held for one idea. Quantities are sums of fills less fees taken in base, and of dust taken along."""

    position_id: PositionId
    symbol: str
    plugin: str
    """The signal guest that wished for it."""
    group: str
    quantity: Decimal
    """Base units held now, >= 0."""
    average_price: Decimal
    """Quote per base paid over all buys, fees apart."""
    opened_ms: int
    entries: int
    """Buy intents with at least one fill."""
    peak_price: Decimal
    """Highest price seen over the rows of its life, for trailing stops."""
    trough_price: Decimal
    stop_price: Decimal | None = None
    memo: Mapping[str, str] = {}
    """What the follow guests asked to have kept, ``guest.key`` to text."""
    state: PositionState = PositionState.OPEN
    levels: Levels = Levels()
    bought_quantity: Decimal = ZERO
    bought_quote: Decimal = ZERO
    sold_quantity: Decimal = ZERO
    sold_quote: Decimal = ZERO
    fees_quote: Decimal = ZERO
    """Fees in quote terms; a third coin's at the rate of the fill, to 40 digits."""
    base_fees: Decimal = ZERO
    closed_ms: int | None = None
    close_reason: Reason | None = None
    exit_attempts: int = 0
    unsellable_since_ms: int | None = None
    dust_quantity: Decimal = ZERO
    """Base units left behind at the close and not taken along since: a dust lot of the account."""
    dust_gone: Decimal = ZERO
    """Base units left behind that a later position took along (R50)."""
    taken: Mapping[str, Decimal] = {}
    """Position id to the dust of it, base units, that this one took along: it is sold with what was bought."""
    taken_quote: Decimal = ZERO
    """What that dust had cost, in quote units."""


class ClosedPosition(NamedTuple):
    """A finished round trip as guests see it."""

    position_id: PositionId
    symbol: str
    plugin: str
    opened_ms: int
    closed_ms: int
    realised_pnl_quote: Decimal
    """Sold less bought less fees, dust at its cost excluded; quote units."""
    return_ratio: float
    reason: Reason


def realised_pnl_quote(position: Position) -> Decimal:
    """Sold less bought less fees; quantity still held or left as dust counts at its average cost.

    Dust that was taken along costs what it had cost the position that left it, so that each unit is paid for once.
    Fees taken in base show themselves as less to sell and are not subtracted twice.
    """
    left = times(exact_sum((position.quantity, position.dust_quantity, position.dust_gone)), position.average_price)
    cost = minus(plus(position.bought_quote, position.taken_quote), left)
    return minus(minus(position.sold_quote, cost), position.fees_quote)


def all_fees_quote(position: Position) -> Decimal:
    """All fees in quote units, those taken in base at the average price."""
    return plus(position.fees_quote, times(position.base_fees, position.average_price))


def closed_view(position: Position) -> ClosedPosition:
    """A closed position as guests see it; the ratio is to all that was bought."""
    assert position.closed_ms is not None
    assert position.close_reason is not None
    pnl = realised_pnl_quote(position)
    return ClosedPosition(
        position.position_id,
        position.symbol,
        position.plugin,
        position.opened_ms,
        position.closed_ms,
        pnl,
        float(ratio(pnl, position.bought_quote)) if position.bought_quote else 0.0,
        position.close_reason,
    )
