"""Instruments from ccxt's markets: filters, fees, and which side may be traded now."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tradecore.errors import UnitError
from tradecore.model.instrument import Instrument
from tradecore.model.units import ZERO, decimal_of, times
from tradecore.venues.ccxt.ways import Ways

_TICK_SIZE: Final = 4
_DECIMAL_PLACES: Final = 2
_BPS: Final = Decimal(10_000)
_MEXC_TRADING: Final = frozenset({"1", "ENABLED"})
#: MEXC's tradeSideType: 1 both, 2 only buys, 3 only sells, 4 none.
_MEXC_SIDES: Final = {"2": (True, False), "3": (False, True), "4": (False, False)}


def _amount(raw: Any) -> Decimal:
    return ZERO if raw in (None, "") else decimal_of(str(raw))


def _step(raw: Any, mode: int) -> Decimal:
    """A step of price or quantity; ccxt writes it as a size or as a number of decimals."""
    if mode == _TICK_SIZE:
        return _amount(raw)
    if mode == _DECIMAL_PLACES and raw is not None:
        return Decimal(1).scaleb(-int(str(raw)))
    return ZERO


def sides_of(exchange: str, market: Mapping[str, Any], self_symbols: frozenset[str] | None) -> tuple[bool, bool]:
    """Tell whether a market may be bought and sold now.

    Args:
        self_symbols: MEXC's names of what our key may trade; ``None`` where nobody knows: its flag for trading by
            programs is false for majors all the same, so then only the market's state counts.
    Source: reference orders.md 2.6.
    """
    raw = market.get("info") if isinstance(market.get("info"), Mapping) else {}
    assert raw is not None
    if exchange == "mexc":
        if str(raw.get("status")) not in _MEXC_TRADING:
            return False, False
        if self_symbols is not None and market.get("id") not in self_symbols:
            return False, False
        return _MEXC_SIDES.get(str(raw.get("tradeSideType")), (True, True))
    trading = market.get("active") is not False
    if exchange == "binance":
        trading = trading and raw.get("isSpotTradingAllowed") is not False
    return trading, trading


def instrument_of(
    exchange: str, ways: Ways, mode: int, market: Mapping[str, Any], self_symbols: frozenset[str] | None = None
) -> Instrument | None:
    """Turn one market of ccxt's into an instrument.

    Args:
        mode: How ccxt writes steps for this exchange (``precisionMode``).
    Returns:
        ``None`` where it is no spot market, or has no steps that an order could be fitted to.
    """
    if market.get("spot") is not True:
        return None
    precision, limits = market.get("precision") or {}, market.get("limits") or {}
    try:
        tick, lot = _step(precision.get("price"), mode), _step(precision.get("amount"), mode)
        if tick <= 0 or lot <= 0:
            return None
        amount, cost = limits.get("amount") or {}, limits.get("cost") or {}
        can_buy, can_sell = sides_of(exchange, market, self_symbols)
        base, quote = str(market["base"]), str(market["quote"])
        return Instrument(
            symbol=str(market["symbol"]),
            base=base,
            quote=quote,
            tick_size=tick,
            lot_size=lot,
            min_quantity=_amount(amount.get("min")),
            max_quantity=_amount(amount.get("max")),
            min_notional_quote=_amount(cost.get("min")),
            maker_fee_bps=times(_amount(market.get("maker")), _BPS),
            taker_fee_bps=times(_amount(market.get("taker")), _BPS),
            fee_currency=quote if ways.fee_in == "quote" else base,
            can_buy=can_buy,
            can_sell=can_sell,
        )
    except (UnitError, KeyError):
        return None
