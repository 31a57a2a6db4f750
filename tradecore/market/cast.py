"""The coins of a generated market: large, small, thin, halting, with assorted ticks, lots and minimums.

Prices, ticks and lots have the size of real ones, so that every rounding rule is met; what the coins do is made up.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.errors import SettingsError
from tradecore.market.derive import Fees
from tradecore.model.instrument import Instrument
from tradecore.model.units import ZERO


class Coin(NamedTuple):
    """One coin's character."""

    base: str
    price: float
    """Quote units around which it moves, > 0."""
    tick: str
    lot: str
    min_notional: str
    daily_volatility: float
    """Standard deviation of a calm day's return, 0.03 = 3 %."""
    quote_per_minute: float
    """Turnover of a usual minute, quote units."""
    quiet: float = 0.0
    """Share of minutes in which nobody trades, 0 to 1."""
    halts: bool = False
    """Whether it is suspended for an hour now and then."""


_KNOWN: Final = (
    Coin("BTC", 60_000.0, "0.01", "0.00001", "5", 0.025, 2_000_000),
    Coin("ETH", 3_000.0, "0.01", "0.0001", "5", 0.03, 1_200_000),
    Coin("SOL", 150.0, "0.01", "0.001", "5", 0.04, 500_000),
    Coin("XRP", 0.6, "0.0001", "1", "5", 0.035, 250_000),
    Coin("DOGE", 0.15, "0.00001", "1", "1", 0.045, 200_000),
    Coin("PEPE", 0.0000012, "0.0000000001", "1", "1", 0.07, 150_000),
    Coin("ADA", 0.45, "0.0001", "0.1", "5", 0.04, 120_000),
    Coin("AVAX", 35.0, "0.01", "0.01", "5", 0.045, 90_000),
    Coin("LINK", 14.0, "0.001", "0.01", "5", 0.045, 80_000),
    Coin("LTC", 80.0, "0.05", "0.001", "10", 0.035, 60_000),
    Coin("SHIB", 0.00002, "0.00000001", "1", "1", 0.06, 60_000),
    Coin("UNI", 8.0, "0.001", "0.01", "5", 0.05, 40_000),
    Coin("ATOM", 7.5, "0.001", "0.01", "5", 0.045, 30_000),
    Coin("FIL", 5.0, "0.005", "0.1", "5", 0.05, 20_000),
    Coin("YFI", 6_500.0, "1", "0.0001", "10", 0.05, 12_000, 0.02),
    Coin("MAGIC", 0.6, "0.0001", "0.1", "5", 0.06, 8_000, 0.1),
    Coin("BURGER", 0.45, "0.0001", "25", "5", 0.06, 4_000, 0.25),
    Coin("SYS", 0.12, "0.0001", "10", "5", 0.06, 3_000, 0.3),
    Coin("TEL", 0.0025, "0.00000001", "0.0001", "0.1", 0.07, 1_500, 0.45, True),
    Coin("BIFI", 320.0, "0.1", "0.05", "10", 0.06, 1_200, 0.4),
    Coin("IOI", 0.087, "0.00001", "0.0001", "0.1", 0.08, 600, 0.5, True),
    Coin("VITE", 0.018, "0.00001", "100", "5", 0.07, 2_500, 0.3),
    Coin("FLOKI", 0.00017, "0.00000001", "1", "1", 0.08, 70_000),
    Coin("ORDI", 38.0, "0.01", "0.01", "5", 0.08, 50_000),
)
_BY_BASE: Final = {coin.base: coin for coin in _KNOWN}


def cast(symbols: int | Sequence[str], quote: str) -> tuple[Coin, ...]:
    """Choose coins: the first so many, or by name, known or not.

    Args:
        symbols: A number >= 1, or names as ``BTC`` or ``BTC/USDT``.
        quote: The quote coin that a name with a slash must end in.
    Raises:
        SettingsError: If there is none, one is named twice, or one is quoted in another coin.
    """
    if isinstance(symbols, int):
        bases = [*_BY_BASE][:symbols] + [f"GEN{n:03d}" for n in range(1, symbols - len(_KNOWN) + 1)]
    else:
        bases = [_base_of(name, quote) for name in symbols]
    if not bases:
        raise SettingsError(f"expected at least one generated symbol, was {symbols!r}")
    twice = [base for base in dict.fromkeys(bases) if bases.count(base) > 1]
    if twice:
        raise SettingsError(f"expected each generated symbol once, was {', '.join(twice)} twice")
    return tuple(_BY_BASE.get(base) or _stranger(base) for base in bases)


def _base_of(name: str, quote: str) -> str:
    base, slash, quoted = name.partition("/")
    if not base or (slash and quoted != quote) or any(letter in base for letter in "*?[ "):
        raise SettingsError(f"expected a generated symbol as 'BTC/{quote}', was {name!r}")
    return base


def _stranger(base: str) -> Coin:
    """Make up a character for a name: always the same one."""
    draws = [byte / 255 for byte in hashlib.sha256(base.encode()).digest()[:6]]
    price = 10.0 ** (6 * draws[0] - 4)
    magnitude = math.floor(math.log10(price))
    thin = draws[1] < 0.25
    coarse = draws[2] < 0.15
    return Coin(
        base=base,
        price=price,
        tick=f"{Decimal((0, (1,), magnitude - (3 if draws[3] < 0.3 else 4))):f}",
        lot=f"{Decimal((0, (1,), (1 if coarse else -2) - magnitude)):f}",
        min_notional="10" if coarse else "5",
        daily_volatility=0.04 + 0.05 * draws[4],
        quote_per_minute=500.0 * 10.0 ** (1.5 * draws[5]) if thin else 10_000.0 * 10.0 ** (1.3 * draws[5]),
        quiet=0.2 + 0.3 * draws[4] if thin else 0.0,
        halts=thin and draws[4] < 0.5,
    )


def instrument_of(coin: Coin, quote: str, fees: Fees) -> Instrument:
    """What one may trade of a coin."""
    return Instrument(
        symbol=f"{coin.base}/{quote}",
        base=coin.base,
        quote=quote,
        tick_size=Decimal(coin.tick),
        lot_size=Decimal(coin.lot),
        min_quantity=Decimal(coin.lot),
        max_quantity=ZERO,
        min_notional_quote=Decimal(coin.min_notional),
        maker_fee_bps=fees.maker_bps,
        taker_fee_bps=fees.taker_bps,
        fee_currency=fees.coin(coin.base, quote),
    )
