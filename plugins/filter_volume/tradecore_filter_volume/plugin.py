"""Let a wish pass only where enough was traded lately (R36)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field, field_validator

from tradecore import MarketFrame, Wishes, hookimpl
from tradecore.errors import SettingsError
from tradecore.market.frame import window_ms
from tradecore.market.indicators import simple_mean

_MINUTE_MS = 60_000
#: Money is kept to so many decimals, so that what is traded exactly at the minimum counts as on it.
_MONEY_DECIMALS = 9


class FilterVolume:
    """Answer the money traded per minute over a window; the core lets through what is at or above the minimum.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `filter_volume`."""

        min_quote_per_minute: Decimal = Field(
            Decimal(1000),
            ge=0,
            description="Least money traded per minute, on average over the window.",
            json_schema_extra={"unit": "quote units per minute"},
        )
        window: str = Field(
            "60m",
            description="Window that ends with the row, as `60m`, `4h` or `250r` (rows).",
            json_schema_extra={"unit": "time"},
        )
        applies_to: tuple[str, ...] = Field(
            (),
            description="Judge only the wishes of these signal guests; empty judges all.",
            json_schema_extra={"unit": "guest names"},
        )

        @field_validator("window")
        @classmethod
        def _is_window(cls, window: str) -> str:
            try:
                window_ms(window, 60_000)
            except SettingsError as error:
                # pydantic names the field only where the error is a ValueError.
                raise ValueError(str(error)) from error
            return window

    role: ClassVar[str] = "filter"
    events: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.applies_to = settings.applies_to or None
        self._least = float(settings.min_quote_per_minute)

    @property
    def warmup(self) -> Mapping[str, str]:
        """Rows needed before the row asked for: the window."""
        return {"base": self.settings.window}

    @hookimpl
    def signal(self, frame: MarketFrame, rows: range) -> Wishes:
        """Answer quote units per minute per cell; NaN, which shuts entries, where the row or its history is missing."""
        window = frame.rows_of(self.settings.window)
        first = max(0, rows.start - window + 1)
        traded = frame.volume[first : rows.stop] * frame.close[first : rows.stop]
        # a row without data is one in which nothing was traded: it counts as 0, else thin coins would look busy
        there = range(rows.start - first, rows.stop - first)
        mean = simple_mean(np.nan_to_num(traded, nan=0.0), there, window)
        money = np.round(mean * (_MINUTE_MS / frame.timeframe_ms), _MONEY_DECIMALS)
        value = np.where(np.isnan(frame.close[rows.start : rows.stop]), np.nan, money)
        return Wishes(
            value=value,
            op=">=",
            threshold=self._least,
            unit="quote/min",
            reason=f"traded per minute over {self.settings.window}",
        )
