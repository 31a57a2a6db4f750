"""Check every entry against the limits of the account, and cap its price (R7, R31)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from types import MappingProxyType

from pydantic import BaseModel, Field

from tradecore import Check, Intent, Market, Portfolio, Verdict, hookimpl
from tradecore.model.units import ZERO, canonical, minus, ratio, times
from tradecore_risk_limits.books import Books, after_entry

_PERCENT = Decimal("0.01")
_HUNDRED = Decimal(100)


class RiskLimits:
    """Answer one check per limit, hit or not, from the books as they would be after the entry.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `risk_limits`."""

        max_exposure_pct: Decimal = Field(
            Decimal(80),
            gt=0,
            le=100,
            description="Most money in positions and live entries together, this one included.",
            json_schema_extra={"unit": "% of equity", "plan": "exposure_max_pct"},
        )
        max_positions: int = Field(
            10,
            ge=1,
            le=10_000,
            description="Most positions, those that live entries would open included.",
            json_schema_extra={"unit": "positions", "plan": "positions_max"},
        )
        max_positions_per_symbol: int = Field(
            1,
            ge=1,
            le=100,
            description="Most positions in one symbol, those that live entries would open included.",
            json_schema_extra={"unit": "positions"},
        )
        max_daily_drawdown_pct: Decimal = Field(
            Decimal(8),
            gt=0,
            le=100,
            description="Deepest fall of the equity below its peak since 00:00 UTC at which entries are still made.",
            json_schema_extra={"unit": "% of the day's peak"},
        )
        max_trades_per_day: int = Field(
            120,
            ge=1,
            le=1_000_000,
            description="Most entries with a fill since 00:00 UTC, live entries and this one included.",
            json_schema_extra={"unit": "trades"},
        )
        max_notional_per_symbol: Decimal = Field(
            Decimal(0),
            ge=0,
            description="Most money in one symbol, live entries and this one included; 0 sets no limit.",
            json_schema_extra={"unit": "account currency"},
        )
        max_orders_per_minute: int = Field(
            30,
            ge=1,
            le=10_000,
            description="Most orders sent within a minute, the next one included.",
            json_schema_extra={"unit": "orders"},
        )
        spread_bps_max: Decimal = Field(
            Decimal(20),
            ge=0,
            le=1_000,
            description="Widest spread at which an entry is sent; 0 sets no cap.",
            json_schema_extra={"unit": "bps", "plan": "spread_cap_bps"},
        )
        slippage_bps_max: Decimal = Field(
            Decimal(50),
            ge=0,
            le=1_000,
            description="Most that an entry pays above its signal's price; 0 sets no cap.",
            json_schema_extra={"unit": "bps", "plan": "slippage_cap_bps"},
        )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._exposure_share = times(settings.max_exposure_pct, _PERCENT)
        caps = {"spread_bps_max": settings.spread_bps_max, "slippage_bps_max": settings.slippage_bps_max}
        self._caps = MappingProxyType({name: bps for name, bps in caps.items() if bps})
        self._counts_max = (
            ("max_positions", Decimal(settings.max_positions), "positions"),
            ("max_positions_per_symbol", Decimal(settings.max_positions_per_symbol), "positions"),
            ("max_trades_per_day", Decimal(settings.max_trades_per_day), "trades"),
            ("max_orders_per_minute", Decimal(settings.max_orders_per_minute), "orders"),
        )

    @hookimpl
    def risk_check(self, intent: Intent, portfolio: Portfolio, market: Market) -> Verdict:
        """Answer all checks in a fixed order and the caps; an exit gets no objection."""
        if intent.reduces:
            return Verdict()
        books = after_entry(intent, portfolio)
        counts = (books.positions, books.symbol_positions, books.trades, portfolio.orders_last_minute + 1)
        checks = [
            *self._money(books, portfolio),
            *[
                _check(limit, Decimal(count), most, unit)
                for count, (limit, most, unit) in zip(counts, self._counts_max, strict=True)
            ],
            *_locks(intent, portfolio, market),
        ]
        inputs = {
            "equity": canonical(portfolio.equity),
            "equity_day_peak": canonical(portfolio.equity_day_peak),
            "entry": canonical(books.entry),
        }
        return Verdict(tuple(checks), self._caps, inputs)

    def _money(self, books: Books, portfolio: Portfolio) -> Iterator[Check]:
        settings = self.settings
        # Compared as money, not as a share: without equity there is nothing to divide by, and nothing to spend.
        exposure_max = times(portfolio.equity, self._exposure_share)
        yield _check("max_exposure", books.exposure, exposure_max, portfolio.currency)
        if settings.max_notional_per_symbol:
            yield _check(
                "max_notional_per_symbol", books.symbol_exposure, settings.max_notional_per_symbol, portfolio.currency
            )
        yield _check("max_daily_drawdown", _drawdown_pct(portfolio), settings.max_daily_drawdown_pct, "%")


def _check(limit: str, value: Decimal, threshold: Decimal, unit: str) -> Check:
    """Compare one figure with its limit: the limit itself is still allowed."""
    return Check(limit, value, threshold, unit, value > threshold)


def _drawdown_pct(portfolio: Portfolio) -> Decimal:
    peak = portfolio.equity_day_peak
    if peak <= 0:
        return ZERO
    return times(ratio(minus(peak, portfolio.equity), peak), _HUNDRED)


def _locks(intent: Intent, portfolio: Portfolio, market: Market) -> Iterator[Check]:
    """Yield one check per lock in force on the symbol or on all; one that is not hit where there is none."""
    free = True
    for lock in portfolio.locks:
        if lock.symbol in (intent.symbol, "*") and lock.expires_ms > market.now_ms:
            free = False
            left_ms = Decimal(lock.expires_ms - market.now_ms)
            yield _check(f"lock by {lock.plugin}: {lock.reason}", left_ms, ZERO, "ms left")
    if free:
        yield _check("lock", ZERO, ZERO, "ms left")
