"""What a venue lets one trade, and whether an order obeys it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tradecore.model.reasons import Reason
from tradecore.model.units import ZERO, Side, is_step, times


class Instrument(NamedTuple):
    """One tradable pair of a venue. Prices are quote per base."""

    symbol: str
    """Unified name, ``BASE/QUOTE``."""
    base: str
    quote: str
    tick_size: Decimal
    """Step of price, > 0."""
    lot_size: Decimal
    """Step of quantity in base units, > 0."""
    min_quantity: Decimal
    """Smallest order in base units, >= 0."""
    max_quantity: Decimal
    """Largest order in base units; 0 means the venue names none."""
    min_notional_quote: Decimal
    """Smallest quantity x price in quote, >= 0."""
    maker_fee_bps: Decimal
    taker_fee_bps: Decimal
    fee_currency: str
    """Coin that a buy's fee is taken in: the base, the quote, or a third coin."""
    can_buy: bool = True
    can_sell: bool = True
    quote_rate: Decimal = Decimal(1)
    """Account currency per quote unit; 1 where they are the same."""


class Refusal(NamedTuple):
    """Why an order may not be sent, with the two numbers that say so."""

    reason: Reason
    value: Decimal
    threshold: Decimal


def refusal_of(instrument: Instrument, side: Side, quantity: Decimal, price: Decimal) -> Refusal | None:
    """Check an order against its instrument's filters (INV-11, INV-12).

    Args:
        quantity: Base units.
        price: Quote per base.
    Returns:
        The first filter that it breaks; ``None`` means it may be sent.
    """
    if not (quantity.is_finite() and price.is_finite()) or price <= 0:
        return Refusal(Reason.PRICE_INVALID, price, ZERO)
    if not (instrument.can_buy if side is Side.BUY else instrument.can_sell):
        return Refusal(Reason.SYMBOL_HALTED, ZERO, ZERO)
    if quantity <= 0 or quantity < instrument.min_quantity:
        return Refusal(Reason.QUANTITY_BELOW_MIN, quantity, instrument.min_quantity)
    if instrument.max_quantity and quantity > instrument.max_quantity:
        return Refusal(Reason.QUANTITY_ABOVE_MAX, quantity, instrument.max_quantity)
    if not is_step(quantity, instrument.lot_size):
        return Refusal(Reason.QUANTITY_OFF_LOT, quantity, instrument.lot_size)
    if not is_step(price, instrument.tick_size):
        return Refusal(Reason.PRICE_OFF_TICK, price, instrument.tick_size)
    notional = times(quantity, price)
    if notional < instrument.min_notional_quote:
        return Refusal(Reason.NOTIONAL_BELOW_MIN, notional, instrument.min_notional_quote)
    return None
