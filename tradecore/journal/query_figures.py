"""Figures of a run's trading: pure rules over closed trades, equity and fills.

Ratios are for people: floats. Sums of money stay exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

from tradecore.journal.query_day import Equity, FillCost, OrderDay
from tradecore.model.position import ClosedPosition
from tradecore.model.units import ZERO, exact_sum, minus, ratio

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000
_DAILY_FROM_MS: Final = 30 * _DAY_MS
_HOURS_A_YEAR: Final = 8_760
_DAYS_A_YEAR: Final = 365
_RETURNS_MIN: Final = 3


class TradeFigures(NamedTuple):
    """Finished round trips. Money in quote units; ``None`` where there is nothing to divide by."""

    trades: int
    wins: int
    losses: int
    win_rate: float | None
    """Wins / trades; a trade that made exactly 0 is neither a win nor a loss."""
    realised_pnl: Decimal
    gross_win: Decimal
    gross_loss: Decimal
    profit_factor: float | None
    """Gross win / gross loss."""
    expectancy: Decimal | None
    """Mean result of a trade."""
    average_win: Decimal | None
    average_loss: Decimal | None


class EquityFigures(NamedTuple):
    """The equity over time. Ratios are annualised; the risk-free rate is 0."""

    first: float | None
    last: float | None
    max_drawdown_pct: float | None
    """Deepest fall below the highest equity before it, 0 or more, by points every five minutes."""
    sharpe: float | None
    """Mean return / its standard deviation x the square root of periods in a year; ``None`` below three returns."""
    sortino: float | None
    """The same over the deviation of returns below 0."""
    period: str
    """Length of one return: ``1h`` below thirty days, ``1d`` from there on."""
    periods_a_year: int
    """Crypto trades at all hours: 8,760 hours or 365 days."""
    returns: int


class RungFigures(NamedTuple):
    """Execution by rung of the ladder and side. Costs in bps, weighted by money; > 0 is money lost."""

    label: str
    side: str
    sent: int
    filled: int
    """Orders with a fill."""
    fill_rate: float | None
    quote: float
    cost_bps: float | None
    """Fill price against the middle of the book at the decision."""
    markout_bps: dict[str, float | None]
    """Delay in seconds to what the fills were worth then: > 0, the market went our way."""


def trade_figures(closed: Sequence[ClosedPosition]) -> TradeFigures:
    """Sum up finished round trips."""
    results = [one.realised_pnl_quote for one in closed]
    wins = [result for result in results if result > 0]
    losses = [result for result in results if result < 0]
    won, lost = exact_sum(wins), minus(ZERO, exact_sum(losses))
    return TradeFigures(
        len(results), len(wins), len(losses), len(wins) / len(results) if results else None, exact_sum(results), won,
        lost, float(ratio(won, lost)) if lost else None, _mean(results), _mean(wins), _mean(losses),
    )  # fmt: skip


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    return ratio(exact_sum(values), Decimal(len(values))) if values else None


def exposure_share(spans: Sequence[tuple[int, int]], first_ms: int, last_ms: int) -> float | None:
    """Share of the time in which a position was open; overlapping ones count once.

    Args:
        spans: Opened and closed, market time.
        first_ms: Begin of the time.
        last_ms: Its end; ``None`` is returned where it is no later than the begin.
    """
    if last_ms <= first_ms:
        return None
    covered, reached = 0, first_ms
    for opened, ended in sorted(spans):
        begin, end = max(opened, reached), min(ended, last_ms)
        if end > begin:
            covered += end - begin
            reached = end
    return covered / (last_ms - first_ms)


def equity_figures(points: Sequence[Equity]) -> EquityFigures:
    """Sum up the equity.

    Source: W. F. Sharpe, "The Sharpe Ratio", 1994; F. A. Sortino and L. N. Price, 1994, target 0. Both with the
        sample's own mean and n - 1 (Sharpe), n (Sortino) below the root.
    """
    if not points:
        return EquityFigures(None, None, None, None, None, "1h", _HOURS_A_YEAR, 0)
    daily = points[-1].at_ms - points[0].at_ms >= _DAILY_FROM_MS
    step, a_year = (_DAY_MS, _DAYS_A_YEAR) if daily else (_HOUR_MS, _HOURS_A_YEAR)
    returns = _returns(points, step)
    sharpe = sortino = None
    if len(returns) >= _RETURNS_MIN:
        mean = math.fsum(returns) / len(returns)
        spread = math.sqrt(math.fsum((one - mean) ** 2 for one in returns) / (len(returns) - 1))
        below = math.sqrt(math.fsum(min(one, 0.0) ** 2 for one in returns) / len(returns))
        sharpe = mean / spread * math.sqrt(a_year) if spread > 0 else None
        sortino = mean / below * math.sqrt(a_year) if below > 0 else None
    peak, drawdown = points[0].equity, 0.0
    for point in points:
        peak = max(peak, point.equity)
        drawdown = max(drawdown, (peak - point.equity) / peak if peak > 0 else 0.0)
    return EquityFigures(
        points[0].equity, points[-1].equity, 100 * drawdown, sharpe, sortino, "1d" if daily else "1h", a_year,
        len(returns),
    )  # fmt: skip


def _returns(points: Sequence[Equity], step_ms: int) -> list[float]:
    """Returns from the end of one period to the end of the next; a period without a point has none."""
    ends: dict[int, float] = {}
    for point in points:
        ends[point.at_ms // step_ms] = point.equity
    numbers = sorted(ends)
    return [
        ends[later] / ends[earlier] - 1
        for earlier, later in pairwise(numbers)
        if later == earlier + 1 and ends[earlier] > 0
    ]


def rung_figures(day: OrderDay) -> tuple[RungFigures, ...]:
    """Sum up execution by rung, in the order in which rungs were first used."""
    keys = list(dict.fromkeys((one.side, one.label) for one in day.sent))
    keys += [key for key in dict.fromkeys((one.side, one.label) for one in day.fills) if key not in keys]
    return tuple([_rung(day, side, label) for side, label in keys])


def _rung(day: OrderDay, side: str, label: str) -> RungFigures:
    sent = {one.client_order for one in day.sent if (one.side, one.label) == (side, label)}
    fills = [one for one in day.fills if (one.side, one.label) == (side, label)]
    filled = {one.client_order for one in fills}
    delays = sorted({delay for fill in fills for delay in fill.later}, key=int)
    return RungFigures(
        label, side, len(sent), len(filled), len(filled & sent) / len(sent) if sent else None,
        math.fsum(fill.quote for fill in fills), _weighted([(f, _cost(f)) for f in fills]),
        {delay: _weighted([(f, _worth(f, delay)) for f in fills]) for delay in delays},
    )  # fmt: skip


def _cost(fill: FillCost) -> float | None:
    if fill.mid is None or fill.mid <= 0:
        return None
    sign = 1 if fill.side == "buy" else -1
    return sign * (fill.price / fill.mid - 1) * 1e4


def _worth(fill: FillCost, delay: str) -> float | None:
    mid = fill.later.get(delay)
    if mid is None:
        return None
    sign = 1 if fill.side == "buy" else -1
    return sign * (mid / fill.price - 1) * 1e4


def _weighted(pairs: Sequence[tuple[FillCost, float | None]]) -> float | None:
    known = [(fill.quote, value) for fill, value in pairs if value is not None]
    weight = math.fsum(quote for quote, _ in known)
    return math.fsum(quote * value for quote, value in known) / weight if weight > 0 else None
