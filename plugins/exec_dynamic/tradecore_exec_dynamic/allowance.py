"""What one entry may pay over its signal's price: a row of the table, adjusted three times."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from tradecore.model.book import Book
from tradecore.model.portfolio import FillRate
from tradecore.model.units import ONE, ZERO, Side, add_bps, canonical, minus, plus, ratio, times

_HUNDREDTH = Decimal("0.01")
_FACTOR = Decimal("0.0001")


class Factor(NamedTuple):
    """One adjustment and what it was made from."""

    value: Decimal
    inputs: Mapping[str, str]


def depth_factor(book: Book, quantity: Decimal, cap: Decimal, *, wanted: Decimal, least: Decimal) -> Factor:
    """Lower the allowance where the book is thin: an order that takes all of it moves the price.

    Args:
        book: Asks are counted.
        quantity: Base units of the entry, > 0.
        cap: Highest price of the unadjusted allowance, quote per base.
        wanted: Multiples of the quantity that must stand there for no change.
        least: Factor where nothing stands there; evenly between.
    """
    there = book.quantity_within(Side.BUY, cap)
    multiples = ratio(there, quantity)
    share = min(ONE, ratio(multiples, wanted))
    return Factor(_between(least, ONE, share), {"depth": canonical(there), "depth_multiples": _shown(multiples)})


def volatility_factor(atr_bps: Decimal | None, *, calm: Decimal, wild: Decimal, most: Decimal) -> Factor:
    """Raise the allowance where prices move fast: the ask of a moment later is further away.

    Args:
        atr_bps: Average true range relative to the close, bps; ``None``: not known, no change.
        calm: Up to here there is no change, bps.
        wild: From here on the whole of it, bps; evenly between.
        most: The whole of it, >= 1.
    """
    if atr_bps is None:
        return Factor(ONE, {"atr_bps": "none"})
    share = min(ONE, max(ZERO, ratio(minus(atr_bps, calm), minus(wild, calm))))
    return Factor(_between(ONE, most, share), {"atr_bps": _shown(atr_bps)})


def fill_factor(rate: FillRate | None, *, attempts: int, good: Decimal, most: Decimal) -> Factor:
    """Raise the allowance where few of the symbol's own orders of the last 24 hours found anything.

    Args:
        rate: ``None``: no order yet, no change.
        attempts: Fewer orders than this say nothing.
        good: Share of orders with a fill from which on there is no change.
        most: Factor where none was filled, >= 1; evenly between.
    """
    if rate is None or rate.attempts < attempts:
        return Factor(ONE, {"fill_rate": "none", "fill_rate_of": str(rate.attempts if rate is not None else 0)})
    share = ratio(Decimal(rate.filled), Decimal(rate.attempts))
    missing = max(ZERO, minus(ONE, ratio(share, good)))
    return Factor(_between(ONE, most, missing), {"fill_rate": _shown(share), "fill_rate_of": str(rate.attempts)})


def allowance_bps(base: Decimal, factors: tuple[Decimal, ...], most: Decimal) -> Decimal:
    """Multiply, hold under the cap, and round down to hundredths of a basis point."""
    value = base
    for factor in factors:
        value = times(value, factor)
    return min(value, most).quantize(_HUNDREDTH, ROUND_DOWN)


def highest_price(price: Decimal, slippage_bps: Decimal) -> Decimal:
    """The price that an allowance reaches to, quote per base."""
    return add_bps(price, slippage_bps)


def _between(low: Decimal, high: Decimal, share: Decimal) -> Decimal:
    """Go evenly from `low` to `high`, in steps small enough not to matter."""
    return plus(low, times(minus(high, low), share)).quantize(_FACTOR, ROUND_DOWN)


def _shown(value: Decimal) -> str:
    return canonical(value.quantize(_HUNDREDTH, ROUND_DOWN))
