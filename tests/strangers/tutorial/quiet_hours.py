# ruff: noqa: I001 - sorted as in a project of its own, where tradecore is a stranger
# [filter]
"""Let wishes pass only outside of chosen hours."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field
from tradecore import MarketFrame, Wishes, hookimpl

_HOUR_MS = 3_600_000


class QuietHours:
    """Let wishes pass only outside of chosen hours."""

    role = "filter"

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `quiet_hours`."""

        first_hour: int = Field(
            22, ge=0, le=23, description="First quiet hour of the day, UTC.", json_schema_extra={"unit": "h"}
        )
        hours: int = Field(2, ge=1, le=23, description="Quiet hours in a row.", json_schema_extra={"unit": "h"})

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @hookimpl
    def signal(self, frame: MarketFrame, rows: range) -> Wishes:
        """Answer 1 outside of the quiet hours and 0 within them; NaN, which shuts entries, without data."""
        hour = frame.timestamps[rows.start : rows.stop] // _HOUR_MS % 24
        loud = (hour - self.settings.first_hour) % 24 >= self.settings.hours
        known = ~np.isnan(frame.close[rows.start : rows.stop])
        value = np.where(known, loud[:, np.newaxis].astype(float), np.nan)
        return Wishes(value=value, op=">=", threshold=1.0, unit="flag", reason="outside of the quiet hours")


# [/filter]
