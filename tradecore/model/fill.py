"""Fills: what the venue traded for us, booked once each."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tradecore.model.units import ClientOrderId, IntentId, PositionId, Side


class VenueTrade(NamedTuple):
    """One trade of ours as the venue reports it."""

    venue_trade_id: str
    venue_order_id: str
    wire_id: str
    """Client order id of its order as the venue echoes it; empty if the venue does not say."""
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    """Quote units moved, the venue's own figure."""
    fee: Decimal
    """Units of `fee_currency`; negative is a rebate."""
    fee_currency: str
    """Empty where the fee is zero and the venue names no coin."""
    is_maker: bool
    traded_ms: int


class Fill(NamedTuple):
    """A venue trade matched to its attempt and booked. Key: (account, symbol, venue_trade_id)."""

    account: str
    trade: VenueTrade
    client_order_id: ClientOrderId
    intent_id: IntentId
    position_id: PositionId | None
    booked_ms: int
