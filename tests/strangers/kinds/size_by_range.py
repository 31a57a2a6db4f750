# ruff: noqa: I001 - sorted as in a project of its own, where tradecore is a stranger
"""Risk the same share of the equity on each entry's usual move."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from pydantic import BaseModel, Field
from tradecore import Instrument, Market, Portfolio, Signal, Size, hookimpl
from tradecore.model.units import floor_to_lot, price_of, ratio, times


class SizeByRange:
    """Risk the same share of the equity on each entry's usual move."""

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `size_by_range`."""

        risk_pct: Decimal = Field(
            Decimal("0.01"),
            gt=0,
            le=100,
            description="Share of the equity put at risk.",
            json_schema_extra={"unit": "%"},
        )
        rows: int = Field(20, ge=2, le=500, description="Rows looked at.", json_schema_extra={"unit": "rows"})

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def warmup(self) -> Mapping[str, str]:
        """Rows looked at."""
        return {"base": f"{self.settings.rows}r"}

    @hookimpl
    def size(self, signal: Signal, portfolio: Portfolio, instrument: Instrument, market: Market) -> Size:
        """Answer equity x share / mean range; 0 where the range is not known."""
        high = market.window(signal.symbol, "high", self.settings.rows)
        low = market.window(signal.symbol, "low", self.settings.rows)
        spans = (high - low)[np.isfinite(high - low)]
        if not len(spans) or spans.mean() <= 0:
            return Size(Decimal(0), "no range")
        risk = times(portfolio.equity, times(self.settings.risk_pct, Decimal("0.01")))
        return Size(floor_to_lot(ratio(risk, price_of(float(spans.mean()))), instrument.lot_size), "risk by range")
