"""Allow each entry its own slippage and spread, from the book, the volatility and the symbol's own fills (R8)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator

from tradecore import Intent, Market, MarketFrame, Portfolio, Verdict, hookimpl
from tradecore.market.indicators import atr_wilder
from tradecore.model.book import Book
from tradecore.model.units import ZERO, canonical, ratio, times
from tradecore_exec_dynamic.allowance import (
    Factor,
    allowance_bps,
    depth_factor,
    fill_factor,
    highest_price,
    volatility_factor,
)

_BPS = Decimal(10_000)
_MILLIONTH = Decimal("0.000001")


class Band(BaseModel, frozen=True, extra="forbid"):
    """One row of the table: what is allowed at a spread."""

    spread_above_bps: Decimal = Field(
        ge=0,
        le=10_000,
        description="The row holds for spreads above this, up to the row before it.",
        json_schema_extra={"unit": "bps"},
    )
    slippage_bps: Decimal = Field(
        gt=0,
        le=1_000,
        description="Most that an entry pays above its signal's price, before the adjustments.",
        json_schema_extra={"unit": "bps"},
    )
    spread_limit_bps: Decimal = Field(
        gt=0,
        le=10_000,
        description="Widest spread at which an entry is sent.",
        json_schema_extra={"unit": "bps"},
    )
    prefer: Literal["IOC", "GTC"] = Field(
        default="IOC",
        description="`IOC` takes first, as the router's ladder begins; `GTC` sends only orders that rest.",
        json_schema_extra={"unit": "IOC or GTC"},
    )


_TABLE = (
    Band(spread_above_bps=Decimal(50), slippage_bps=Decimal(30), spread_limit_bps=Decimal(60), prefer="GTC"),
    Band(spread_above_bps=Decimal(20), slippage_bps=Decimal(20), spread_limit_bps=Decimal(60)),
    Band(spread_above_bps=Decimal(0), slippage_bps=Decimal(15), spread_limit_bps=Decimal(20)),
)


class ExecDynamic:
    """Answer the allowances of the moment as caps; it never refuses by itself.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `exec_dynamic`."""

        table: tuple[Band, ...] = Field(
            _TABLE,
            min_length=1,
            max_length=20,
            description="Rows by the spread of the moment, widest first; the last one begins at 0.",
            json_schema_extra={"unit": "list of rows"},
        )
        slippage_cap_bps: Decimal = Field(
            Decimal(50),
            gt=0,
            le=1_000,
            description="No adjustment allows more than this.",
            json_schema_extra={"unit": "bps", "plan": "slippage_cap_bps"},
        )
        depth_multiples: Decimal = Field(
            Decimal(3),
            gt=0,
            le=1_000,
            description="The book should hold so many times the entry within the allowance; less lowers it.",
            json_schema_extra={"unit": "times"},
        )
        depth_factor_min: Decimal = Field(
            Decimal("0.5"),
            gt=0,
            le=1,
            description="Factor where the book holds nothing there; 1 turns the adjustment off.",
            json_schema_extra={"unit": "factor"},
        )
        atr_length: int = Field(
            14,
            ge=2,
            le=200,
            description="Wilder's length of the average true range.",
            json_schema_extra={"unit": "rows"},
        )
        atr_warm_rows: int = Field(
            100,
            ge=2,
            le=5_000,
            description="Rows from which the average true range is started, at least `atr_length`.",
            json_schema_extra={"unit": "rows"},
        )
        atr_calm_bps: Decimal = Field(
            Decimal(10),
            ge=0,
            le=10_000,
            description="Up to this average true range nothing is added.",
            json_schema_extra={"unit": "bps of the close"},
        )
        atr_wild_bps: Decimal = Field(
            Decimal(60),
            gt=0,
            le=10_000,
            description="From this one on the allowance is multiplied by `atr_factor_max`; evenly between.",
            json_schema_extra={"unit": "bps of the close"},
        )
        atr_factor_max: Decimal = Field(
            Decimal("1.5"),
            ge=1,
            le=10,
            description="Factor in a wild market; 1 turns the adjustment off.",
            json_schema_extra={"unit": "factor"},
        )
        fill_attempts: int = Field(
            10,
            ge=1,
            le=10_000,
            description="Orders of the symbol in the last 24 hours before its fill rate counts.",
            json_schema_extra={"unit": "orders"},
        )
        fill_rate_good_pct: Decimal = Field(
            Decimal(30),
            gt=0,
            le=100,
            description="Share of them with a fill from which on nothing is added.",
            json_schema_extra={"unit": "%"},
        )
        fill_factor_max: Decimal = Field(
            Decimal("1.5"),
            ge=1,
            le=10,
            description="Factor where none of them was filled; 1 turns the adjustment off.",
            json_schema_extra={"unit": "factor"},
        )

        @model_validator(mode="after")
        def _fits(self) -> ExecDynamic.Settings:
            edges = [band.spread_above_bps for band in self.table]
            if edges != sorted(set(edges), reverse=True) or edges[-1] != 0:
                raise ValueError(
                    "expected table rows with falling spread_above_bps, the last at 0, was "
                    f"{', '.join(canonical(edge) for edge in edges)}"
                )
            if self.atr_warm_rows < self.atr_length:
                raise ValueError(
                    f"expected atr_warm_rows of at least atr_length={self.atr_length}, was {self.atr_warm_rows}"
                )
            if self.atr_wild_bps <= self.atr_calm_bps:
                raise ValueError(
                    f"expected atr_wild_bps above atr_calm_bps={canonical(self.atr_calm_bps)}, "
                    f"was {canonical(self.atr_wild_bps)}"
                )
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def warmup(self) -> Mapping[str, str]:
        """Rows of the average true range."""
        return {"base": f"{self.settings.atr_warm_rows}r"}

    @hookimpl
    def risk_check(self, intent: Intent, portfolio: Portfolio, market: Market) -> Verdict:
        """Answer the caps of the moment; before each attempt they are made anew from the book of then."""
        if intent.reduces:
            return Verdict()
        book = market.book(intent.symbol)
        spread = None if book is None else book.spread_bps
        band = self._band(spread)
        if book is None:
            factors: tuple[Factor, ...] = (Factor(self.settings.depth_factor_min, {"depth": "no book"}),)
        else:
            factors = self._factors(intent, portfolio, market, book, band)
        allowed = allowance_bps(
            band.slippage_bps, tuple(factor.value for factor in factors), self.settings.slippage_cap_bps
        )
        caps = {"slippage_bps_max": allowed, "spread_bps_max": band.spread_limit_bps}
        if band.prefer == "GTC":
            caps["taking_orders_max"] = ZERO
        inputs = {
            "spread_bps": "none" if spread is None else canonical(spread.quantize(Decimal("0.01"))),
            "row": f"above {canonical(band.spread_above_bps)} bps",
            "prefer": band.prefer,
            "base_bps": canonical(band.slippage_bps),
            "factors": " x ".join(canonical(factor.value) for factor in factors),
        }
        for factor in factors:
            inputs.update(factor.inputs)
        return Verdict((), caps, inputs)

    def _band(self, spread_bps: Decimal | None) -> Band:
        """Find the row of a spread; without a spread the last row, which allows least to pay at a calm spread."""
        if spread_bps is None:
            return self.settings.table[-1]
        return next(
            (band for band in self.settings.table if spread_bps > band.spread_above_bps), self.settings.table[-1]
        )

    def _factors(
        self, intent: Intent, portfolio: Portfolio, market: Market, book: Book, band: Band
    ) -> tuple[Factor, ...]:
        settings = self.settings
        reach = highest_price(intent.price, min(band.slippage_bps, settings.slippage_cap_bps))
        return (
            depth_factor(
                book, intent.quantity, reach, wanted=settings.depth_multiples, least=settings.depth_factor_min
            ),
            volatility_factor(
                self._atr_bps(intent.symbol, market), calm=settings.atr_calm_bps, wild=settings.atr_wild_bps,
                most=settings.atr_factor_max,
            ),
            fill_factor(
                portfolio.fill_rate_24h.get(intent.symbol), attempts=settings.fill_attempts,
                good=times(settings.fill_rate_good_pct, Decimal("0.01")), most=settings.fill_factor_max,
            ),
        )  # fmt: skip

    def _atr_bps(self, symbol: str, market: Market) -> Decimal | None:
        """Tell the average true range relative to the close, bps; ``None`` where history is short or empty."""
        rows = self.settings.atr_warm_rows + 1
        columns = {name: market.window(symbol, name, rows) for name in ("high", "low", "close")}
        count = len(columns["close"])
        if count < rows:
            return None
        columns["open"] = columns["volume"] = columns["close"]
        shaped = {name: np.asfortranarray(values.reshape(count, 1)) for name, values in columns.items()}
        # the times of the rows do not matter to the range
        frame = MarketFrame(1, np.arange(count, dtype=np.int64), (symbol,), shaped)
        found = float(
            atr_wilder(frame, range(count - 1, count), self.settings.atr_length, self.settings.atr_warm_rows)[0, 0]
        )
        close = float(columns["close"][-1])
        if not (np.isfinite(found) and close > 0):
            return None
        # a range that misses its decimal by the last bit must not cost a hundredth of a basis point
        return times(ratio(Decimal(repr(found)), Decimal(repr(close))), _BPS).quantize(_MILLIONTH)
