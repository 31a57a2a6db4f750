"""The account's figures, taken from the core's picture of it at each export."""

from __future__ import annotations

import math
from decimal import Decimal

from tradecore.model.portfolio import FillRate, Portfolio
from tradecore.model.position import PositionState
from tradecore_metrics.families import STATES
from tradecore_metrics.figures import Figures


def take(figures: Figures, portfolio: Portfolio, exposure_limit: Decimal | None) -> None:
    """Set the gauges of the account. They are for people: here, at the door out, money becomes a float.

    Args:
        figures: Where to set them.
        portfolio: The account now.
        exposure_limit: Most exposure, account currency, of the newest check of it; ``None`` where there was none.
    """
    currency = portfolio.currency
    for name, amount in (
        ("equity", portfolio.equity),
        ("equity_day_open", portfolio.equity_day_open),
        ("equity_day_peak", portfolio.equity_day_peak),
        ("free_balance", portfolio.free),
        ("reserved_balance", portfolio.reserved),
        ("exposure", portfolio.exposure),
    ):
        figures.put(name, float(amount), currency)
    figures.put("exposure_ratio", _ratio(portfolio.exposure, portfolio.equity))
    if exposure_limit is not None:
        figures.put("exposure_limit_used_ratio", _ratio(portfolio.exposure, exposure_limit))
    figures.put("drawdown_ratio", max(0.0, 1 - _ratio(portfolio.equity, portfolio.equity_day_peak, none=1.0)))
    figures.put("entries_today", portfolio.trades_today)
    figures.put("pending_intents", len(portfolio.pending))
    figures.put("open_positions", len(portfolio.positions))
    unsellable = [position for position in portfolio.positions if position.state is PositionState.UNSELLABLE]
    figures.put("unsellable_positions", len(unsellable))
    figures.put("locks", sum(lock.expires_ms > portfolio.as_of_ms for lock in portfolio.locks))
    figures.put("dust_coins", len(portfolio.dust))
    figures.put("as_of_timestamp_seconds", portfolio.as_of_ms / 1_000)
    for state in STATES:
        figures.put("trading_state", float(state == portfolio.state), state)
    _rates(figures, portfolio)
    _positions(figures, portfolio)


def _rates(figures: Figures, portfolio: Portfolio) -> None:
    rates = portfolio.fill_rate_24h
    asked = {symbol: rate for symbol, rate in rates.items() if rate.attempts}
    figures.put_all("symbol_fill_ratio", {(symbol,): _filled(rate) for symbol, rate in asked.items()})
    attempts = sum(rate.attempts for rate in asked.values())
    filled = sum(rate.filled for rate in asked.values())
    # a share of nothing is not known: the one of yesterday would look like news for ever
    figures.put("fill_ratio", filled / attempts if attempts else math.nan)
    figures.put("closed_positions", len(portfolio.closed))
    won = sum(position.realised_pnl_quote > 0 for position in portfolio.closed)
    figures.put("win_ratio", won / len(portfolio.closed) if portfolio.closed else math.nan)


def _positions(figures: Figures, portfolio: Portfolio) -> None:
    """Add up positions by symbol; one without a mark has no value to show."""
    values: dict[tuple[str, ...], float] = {}
    paid: dict[str, float] = {}
    worth: dict[str, float] = {}
    for position in portfolio.positions:
        symbol, mark = position.symbol, portfolio.marks.get(position.symbol)
        if mark is None:
            continue
        value = float(position.quantity) * float(mark)
        rate = float(portfolio.quote_rates.get(symbol, Decimal(1)))
        key = (symbol, portfolio.currency)
        values[key] = values.get(key, 0.0) + value * rate
        worth[symbol] = worth.get(symbol, 0.0) + value
        paid[symbol] = paid.get(symbol, 0.0) + float(position.quantity) * float(position.average_price)
    figures.put_all("position_value", values)
    returns: dict[tuple[str, ...], float] = {
        (symbol,): worth[symbol] / cost - 1 for symbol, cost in paid.items() if cost > 0
    }
    figures.put_all("position_return_ratio", returns)


def _filled(rate: FillRate) -> float:
    return rate.filled / rate.attempts


def _ratio(part: Decimal, whole: Decimal, none: float = 0.0) -> float:
    """Divide; `none` where there is nothing to divide by."""
    return float(part) / float(whole) if whole > 0 else none
