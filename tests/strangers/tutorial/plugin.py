# ruff: noqa: I001 - sorted as in a project of its own, where tradecore is a stranger
# [imports]
"""Buy a deep fall once it has begun to turn."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from pydantic import BaseModel, Field, field_validator
from tradecore import MarketFrame, Wishes, hookimpl
from tradecore.errors import SettingsError
from tradecore.market.frame import window_ms
from tradecore.market.indicators import rolling_max

# [/imports]


# [settings]
class Rebound:
    """Buy a deep fall once it has begun to turn.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `rebound`: each with its unit, so that nobody must guess."""

        fall_pct: Decimal = Field(
            Decimal(2),
            gt=0,
            lt=100,
            description="Least fall of the close below the highest high of the window.",
            json_schema_extra={"unit": "%"},
        )
        window: str = Field(
            "30m",
            description="Window before the row whose highest high is the measure, as `30m`, `4h` or `250r` (rows).",
            json_schema_extra={"unit": "time"},
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

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def warmup(self) -> Mapping[str, str]:
        """Rows needed before the row asked for: the window."""
        return {"base": self.settings.window}

    # [/settings]

    # [signal]
    @hookimpl
    def signal(self, frame: MarketFrame, rows: range) -> Wishes:
        """Answer the fall in % where the close rose since the row before, 0 where it did not; NaN without data."""
        close = frame.close[rows.start : rows.stop]
        high = rolling_max(frame.high, rows, frame.rows_of(self.settings.window), before=True)
        before = rolling_max(frame.close, rows, 1, before=True)
        fall = np.round((1 - close / high) * 100, 10)
        return Wishes(
            value=np.where(np.isnan(fall) | (close > before), fall, 0.0),
            op=">=",
            threshold=float(self.settings.fall_pct),
            unit="%",
            reason=f"rebound from {self.settings.window} high",
        )

    # [/signal]
