"""Exact money: Decimal arithmetic that never loses a digit, ids, sides.

Prices, quantities and money are ``Decimal`` made from strings. The interpreter's ambient decimal
context is 28 digits wide and is changed by libraries (ccxt sets its rounding), so nothing here uses it:
``EXACT`` traps ``Inexact``, which makes a silently rounded amount impossible rather than unlikely.
"""

from __future__ import annotations

import decimal
import enum
import hashlib
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import NewType

from tradecore.errors import UnitError

RunId = NewType("RunId", str)
SignalId = NewType("SignalId", str)
IntentId = NewType("IntentId", str)
PositionId = NewType("PositionId", str)
ClientOrderId = NewType("ClientOrderId", str)

ZERO = Decimal(0)
ONE = Decimal(1)
BPS = Decimal("0.0001")
"""One basis point, 1/10,000."""

_TRAPS = [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
EXACT = decimal.Context(prec=120, rounding=ROUND_HALF_EVEN, traps=[*_TRAPS, decimal.Inexact])
"""For sums and products: raises ``decimal.Inexact`` instead of rounding."""
ROUNDED = decimal.Context(prec=40, rounding=ROUND_HALF_EVEN, traps=_TRAPS)
"""For quotients shown to people or to guests (average prices, ratios); never for the ledger."""
_FLOOR = decimal.Context(prec=120, rounding=ROUND_FLOOR, traps=_TRAPS)
_CEIL = decimal.Context(prec=120, rounding=ROUND_CEILING, traps=_TRAPS)


class Side(enum.StrEnum):
    """Direction of an order as the venue sees it."""

    BUY = "buy"
    SELL = "sell"


class TimeInForce(enum.StrEnum):
    """How long an order may stand."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


def decimal_of(text: str | int | Decimal) -> Decimal:
    """Make a finite Decimal from text; a float is refused, it has already lost digits.

    Raises:
        UnitError: If `text` is a float, not a number, or not finite.
    """
    if isinstance(text, float):
        raise UnitError(f"expected text or Decimal for an amount, was float {text!r}")
    try:
        value = Decimal(text)
    except (decimal.InvalidOperation, TypeError) as error:
        raise UnitError(f"expected a decimal number, was {text!r}") from error
    if not value.is_finite():
        raise UnitError(f"expected a finite number, was {text!r}")
    return value


def price_of(value: float) -> Decimal:
    """Turn a float of market data into the Decimal that its shortest text names.

    Market data is float64; this is the one door through which a price of a frame becomes money.

    Raises:
        UnitError: If `value` is NaN, infinite, or not positive.
    """
    number = Decimal(repr(float(value)))
    if not number.is_finite() or number <= 0:
        raise UnitError(f"expected a positive finite price, was {value!r}")
    return number


def canonical(value: Decimal) -> str:
    """Write a Decimal as the one text that stands for its value: no exponent, no trailing zeros."""
    if value == 0:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def plus(*values: Decimal) -> Decimal:
    """Add exactly."""
    return exact_sum(values)


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    """Add exactly; the empty sum is 0."""
    total = ZERO
    for value in values:
        total = EXACT.add(total, value)
    return total


def minus(left: Decimal, right: Decimal) -> Decimal:
    """Subtract exactly."""
    return EXACT.subtract(left, right)


def times(left: Decimal, right: Decimal) -> Decimal:
    """Multiply exactly."""
    return EXACT.multiply(left, right)


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Divide to 40 digits, half even. For figures shown or compared, never for the ledger."""
    return ROUNDED.divide(numerator, denominator)


def floor_to_lot(quantity: Decimal, lot_size: Decimal) -> Decimal:
    """Round a quantity down to a whole number of lots.

    Args:
        quantity: Base units, >= 0.
        lot_size: Base units per lot, > 0.
    Returns:
        Base units; never more than `quantity`, perhaps zero.
    Raises:
        UnitError: If `lot_size` is not positive or `quantity` is negative or not finite.
    """
    return _to_step(quantity, lot_size, _FLOOR)


def floor_to_tick(price: Decimal, tick_size: Decimal) -> Decimal:
    """Round a price down to a whole tick: the safe side for a buy limit and for a stop.

    Raises:
        UnitError: As `floor_to_lot`.
    """
    return _to_step(price, tick_size, _FLOOR)


def ceil_to_tick(price: Decimal, tick_size: Decimal) -> Decimal:
    """Round a price up to a whole tick: the safe side for a sell limit.

    Raises:
        UnitError: As `floor_to_lot`.
    """
    return _to_step(price, tick_size, _CEIL)


def limit_to_tick(price: Decimal, tick_size: Decimal, side: Side) -> Decimal:
    """Round a limit price so that the order never pays more or asks less: buy floor, sell ceil."""
    return floor_to_tick(price, tick_size) if side is Side.BUY else ceil_to_tick(price, tick_size)


def _to_step(value: Decimal, step: Decimal, context: decimal.Context) -> Decimal:
    if not step.is_finite() or step <= 0:
        raise UnitError(f"expected a positive step, was {step}")
    if not value.is_finite() or value < 0:
        raise UnitError(f"expected a finite number >= 0, was {value}")
    steps = context.divide(value, step).to_integral_value(rounding=context.rounding)
    return EXACT.multiply(steps, step)


def is_step(value: Decimal, step: Decimal) -> bool:
    """Tell whether `value` is a whole number of `step`."""
    return _FLOOR.remainder(value, step) == 0


def add_bps(price: Decimal, bps: Decimal) -> Decimal:
    """Move a price by basis points, exactly; negative `bps` lowers it."""
    return EXACT.multiply(price, EXACT.add(ONE, EXACT.multiply(bps, BPS)))


def bps_between(low: Decimal, high: Decimal) -> Decimal:
    """Basis points from `low` up to `high`, relative to `low` (> 0), to 40 digits."""
    return ROUNDED.divide(ROUNDED.subtract(high, low), ROUNDED.multiply(low, BPS))


def client_order_id(account: str, intent_id: str, number: int) -> ClientOrderId:
    """Derive the client order id of an attempt: the same three facts always give the same id.

    Returns:
        32 lower-case hex digits, the first 128 bits of SHA-256. Valid on eight of nine venues as it
        stands; a venue's codec makes its own form.
    Source: reference orders.md 2.4.
    """
    digest = hashlib.sha256(f"{account}\n{intent_id}\n{number}".encode()).hexdigest()
    return ClientOrderId(digest[:32])


def signal_id(plugin: str, symbol: str, side: Side, row_ms: int, position_id: str = "") -> SignalId:
    """Derive a signal's id from what it says, so that the same wish can never become two intents."""
    text = f"{plugin}\n{symbol}\n{side}\n{row_ms}\n{position_id}"
    return SignalId(hashlib.sha256(text.encode()).hexdigest()[:32])
