"""Money set aside: what an intent could cost at worst, and what it has cost so far (R16, orders.md 6.5)."""

from __future__ import annotations

from decimal import Decimal

from tradecore.model.fill import VenueTrade
from tradecore.model.instrument import Instrument
from tradecore.model.intent import Reservation, ReservationState
from tradecore.model.reasons import Reason
from tradecore.model.units import BPS, EXACT, ONE, ROUNDED, Side, exact_sum, floor_to_lot, plus, times


def fee_factor(instrument: Instrument) -> Decimal:
    """1 + the fee that a buy pays in quote on top of its cost; 1 where the fee is taken elsewhere."""
    if instrument.fee_currency != instrument.quote:
        return ONE
    return plus(ONE, times(max(instrument.maker_fee_bps, instrument.taker_fee_bps), BPS))


def worst_spend(instrument: Instrument, side: Side, quantity: Decimal, price_cap: Decimal) -> tuple[str, Decimal]:
    """Coin and amount that an order could cost at worst: a buy at its cap with the fee, a sell its quantity."""
    if side is Side.SELL:
        return instrument.base, quantity
    return instrument.quote, times(times(quantity, price_cap), fee_factor(instrument))


def affordable(instrument: Instrument, free: Decimal, price_cap: Decimal) -> Decimal:
    """Largest buy in whole lots whose worst spend is at most `free` quote units."""
    per_unit = times(price_cap, fee_factor(instrument))
    lots = ROUNDED.divide(free, per_unit) if free > 0 else Decimal(0)
    quantity = floor_to_lot(lots, instrument.lot_size)
    # the quotient is rounded to 40 digits: step down while rounding up has made it a lot too many
    while quantity > 0 and times(quantity, per_unit) > free:
        quantity = EXACT.subtract(quantity, instrument.lot_size)
    return quantity


def spent_by(trade: VenueTrade, currency: str) -> Decimal:
    """What one trade took of a reservation in `currency`, its fee in that coin with it."""
    base, _, quote = trade.symbol.partition("/")
    parts = [trade.fee] if trade.fee_currency == currency and trade.fee > 0 else []
    if trade.side is Side.BUY and currency == quote:
        parts.append(trade.quote_quantity)
    elif trade.side is Side.SELL and currency == base:
        parts.append(trade.quantity)
    return exact_sum(parts)


def consume(reservation: Reservation, trade: VenueTrade) -> Reservation:
    """Book what a trade took of the money set aside for it."""
    return reservation._replace(consumed=plus(reservation.consumed, spent_by(trade, reservation.currency)))


def release(reservation: Reservation, at_ms: int, reason: Reason, detail: str) -> Reservation:
    """Give back what is left, once, with the reason (R16)."""
    assert reservation.state is ReservationState.ACTIVE, reservation
    return reservation._replace(state=ReservationState.RELEASED, ended_ms=at_ms, reason=reason, detail=detail)
