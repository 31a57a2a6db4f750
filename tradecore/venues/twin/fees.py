"""What a trade costs, and in which coin."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Context, Decimal
from typing import Final, NamedTuple

from tradecore.model.instrument import Instrument
from tradecore.model.units import BPS, Side, ratio, times

_QUANTUM: Final = Decimal("1E-8")
_CONTEXT: Final = Context(prec=60, rounding=ROUND_DOWN)


class Fee(NamedTuple):
    """Units of a coin; negative is a rebate."""

    amount: Decimal
    coin: str


def truncated(amount: Decimal) -> Decimal:
    """Cut to 8 decimals toward zero: the parts of an order never cost more than the whole, so its lock suffices."""
    return amount.quantize(_QUANTUM, context=_CONTEXT)


def highest_rate(instrument: Instrument) -> Decimal:
    """The larger of both fee rates as a ratio, never negative."""
    return times(max(instrument.maker_fee_bps, instrument.taker_fee_bps, Decimal(0)), BPS)


def fee_of(
    instrument: Instrument,
    side: Side,
    quantity: Decimal,
    quote: Decimal,
    *,
    maker: bool,
    coin_price: Callable[[str], Decimal],
    coin_free: Callable[[str], Decimal],
) -> Fee:
    """Work out the fee of one trade.

    A buy pays in the base, in the quote, or in a third coin, as the instrument says; a sell pays in the quote or in
    the third coin. A third coin that does not suffice leaves the fee in the coin received, as Binance does.

    Args:
        coin_price: Quote units per unit of a third coin.
        coin_free: Units of a coin that can be spent.
    Source: reference orders.md 2.7.
    """
    rate = times(instrument.maker_fee_bps if maker else instrument.taker_fee_bps, BPS)
    coin = instrument.fee_currency
    if coin not in (instrument.base, instrument.quote, ""):
        third = truncated(ratio(times(quote, rate), coin_price(coin)))
        if coin_free(coin) >= third:
            return Fee(third, coin)
        coin = instrument.base
    if side is Side.BUY and coin != instrument.quote:
        return Fee(truncated(times(quantity, rate)), instrument.base)
    return Fee(truncated(times(quote, rate)), instrument.quote)
