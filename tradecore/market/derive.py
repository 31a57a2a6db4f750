"""What may be traded, told by a file of instruments or by the decimals of the prices themselves.

A recorded market does not say its tick and lot. Its prices show them: no price has more decimals than the tick.
The least order cannot be seen at all and is set to what is common for the quote coin.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from tradecore.errors import DataError
from tradecore.market.frame import Array
from tradecore.model.instrument import Instrument
from tradecore.model.units import ZERO

_DECIMALS_MAX: Final = 12
_NEAR: Final = 4e-15
"""Relative: some recorders leave 5.2900000000000005e-05 where 0.0000529 was meant."""
_UNITS_MAX: Final = 1e13
"""A float of more than 13 digits cannot be told from one with noise in its last bits."""
_ODD_SHARE_MAX: Final = 0.1
"""Above this share of numbers with no end of decimals a column is computed, not recorded: its decimals say nothing."""
_SIGNIFICANT: Final = 6
_MIN_NOTIONAL: Final = {"BTC": Decimal("0.0001"), "ETH": Decimal("0.002"), "BNB": Decimal("0.01")}
_MIN_NOTIONAL_USUAL: Final = Decimal(5)


class Fees(NamedTuple):
    """What a trade costs where the data does not say."""

    maker_bps: Decimal = Decimal(10)
    taker_bps: Decimal = Decimal(10)
    currency: str = "base"
    """Coin that a buy's fee is taken in: ``base``, ``quote``, or the name of a third coin."""

    def coin(self, base: str, quote: str) -> str:
        """The coin's name for one pair."""
        return {"base": base, "quote": quote}.get(self.currency, self.currency)


USUAL_FEES: Final = Fees()


class Decimals:
    """Counts how many decimals the numbers of a column need.

    Args:
        most: No number is taken to need more than these; one that does is odd.
    """

    def __init__(self, most: int = _DECIMALS_MAX) -> None:
        self._most: Final = most
        self._seen = 0
        self.digits = 0
        """Decimals that all numbers but the odd ones need."""
        self.odd = 0
        """Numbers that no count of decimals fits."""
        self.inexact = False
        """Whether a number differs from its decimal text in its last bits."""

    def look_at(self, values: Array) -> None:
        """Take note of some numbers, finite and >= 0."""
        self._seen += len(values)
        rest = self._unfit(values, self.digits)
        for digits in range(self._most + 1):
            if not len(rest):
                break
            left = self._unfit(rest, digits)
            if len(left) < len(rest):
                self.digits = max(self.digits, digits)
            rest = left
        self.odd += len(rest)
        if not self.inexact:
            self.inexact = bool((snap(values, self.digits) != values).any())

    @property
    def telling(self) -> bool:
        """Whether the decimals say anything: False for computed numbers and for none."""
        return self._seen > 0 and self.odd <= _ODD_SHARE_MAX * self._seen

    @staticmethod
    def _unfit(values: Array, digits: int) -> Array:
        units = values * 10.0**digits
        fit = (np.abs(units - np.rint(units)) <= units * _NEAR) & (units < _UNITS_MAX)
        unfit: Array = values[~fit]
        return unfit


def snap(values: Array, digits: int) -> Array:
    """Turn each number into the float whose shortest text has at most `digits` decimals."""
    scale = 10.0**digits
    snapped: Array = np.rint(values * scale) / scale
    return snapped


def price_digits(prices: Decimals, typical: float) -> int:
    """Decimals of the tick: those of the prices, or six significant digits where these say nothing."""
    if prices.telling:
        return prices.digits
    return max(0, _SIGNIFICANT - 1 - math.floor(math.log10(typical)))


def _power(exponent: int) -> Decimal:
    """Ten to a power, exactly and whatever the ambient context."""
    return Decimal((0, (1,), exponent))


def derive_instrument(symbol: str, prices: Decimals, volumes: Decimals, typical: float, fees: Fees) -> Instrument:
    """Make an instrument from the decimals of recorded candles.

    Args:
        prices: All prices; their decimals are the tick.
        volumes: All volumes; their decimals are the lot, where such a lot is not worth more than a fifth of the least
            order. Else one lot is worth a hundredth of it or less, 0.01 to 0.1 in dollars.
        typical: A price, quote per base, > 0.
    """
    base, quote = symbol.split("/")
    least = _MIN_NOTIONAL.get(quote, _MIN_NOTIONAL_USUAL)
    lot = _power(-volumes.digits)
    if not volumes.telling or float(lot) * typical > float(least) / 5:
        lot = _power(math.floor(math.log10(float(least) / 50 / typical)))
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        tick_size=_power(-price_digits(prices, typical)),
        lot_size=lot,
        min_quantity=lot,
        max_quantity=ZERO,
        min_notional_quote=least,
        maker_fee_bps=fees.maker_bps,
        taker_fee_bps=fees.taker_bps,
        fee_currency=fees.coin(base, quote),
    )


_KEYS: Final = {
    "tick": "tick_size",
    "lot": "lot_size",
    "min_notional": "min_notional_quote",
    "min_quantity": "min_quantity",
    "max_quantity": "max_quantity",
    "maker_fee_bps": "maker_fee_bps",
    "taker_fee_bps": "taker_fee_bps",
    "fee_currency": "fee_currency",
    "can_buy": "can_buy",
    "can_sell": "can_sell",
}
_TEXT_KEYS: Final = {"fee_currency"}
_SWITCHES: Final = {"can_buy", "can_sell"}
_POSITIVE: Final = {"tick", "lot"}
NEEDED: Final = frozenset({"tick_size", "lot_size", "min_notional_quote"})
"""What a file must say of a symbol for nothing of it to be derived."""


def read_instruments(path: Path) -> dict[str, dict[str, Any]]:
    """Read an ``instruments.toml``: a table per symbol, ``["BTC/USDT"]``, with any of these keys.

    ``tick`` and ``min_notional`` (quote), ``lot``, ``min_quantity`` and ``max_quantity`` (base units, a maximum of 0 is
    none), ``maker_fee_bps``, ``taker_fee_bps``, ``fee_currency``, ``can_buy``, ``can_sell``. Numbers may be text.

    Returns:
        Fields of `Instrument` by symbol.
    Raises:
        DataError: If the file is torn, a key is unknown or a value is not what its key needs.
    """
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: expected TOML, was {error}") from error
    return {symbol: _fields_of(f"{path}: [{symbol}]", table) for symbol, table in tables.items()}


def _fields_of(where: str, table: object) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise DataError(f"{where}: expected a table, was {table!r}")
    fields: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _KEYS:
            raise DataError(f"{where}: expected one of {', '.join(_KEYS)}, was {key!r}")
        fields[_KEYS[key]] = _value_of(f"{where} {key}", key, value)
    return fields


def _value_of(where: str, key: str, value: object) -> Any:
    if key in _SWITCHES:
        if not isinstance(value, bool):
            raise DataError(f"{where}: expected true or false, was {value!r}")
        return value
    if key in _TEXT_KEYS:
        if not isinstance(value, str) or not value:
            raise DataError(f"{where}: expected a coin's name, was {value!r}")
        return value
    try:
        number = Decimal(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else None
    except ArithmeticError:
        number = None
    bound = "above 0" if key in _POSITIVE else "0 or more"
    if number is None or not number.is_finite() or number < 0 or (key in _POSITIVE and number == 0):
        raise DataError(f"{where}: expected a number {bound}, was {value!r}")
    return number
