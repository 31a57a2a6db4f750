"""Wish to buy where the price rose far enough over a look-back window (R35)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field, field_validator

from tradecore import MarketFrame, Wishes, hookimpl
from tradecore.errors import SettingsError
from tradecore.market.frame import window_ms
from tradecore.market.indicators import earliest_known
from tradecore.model.units import ONE, minus, plus, times

_PERCENT = Decimal("0.01")
#: Ratios are kept to so many decimals, so that a close exactly on the threshold counts as on it.
_RATIO_DECIMALS = 12


class SignalsMomentum:
    """Compare each close with the close at the start of the window before its row.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `signals_momentum`."""

        rise_pct: Decimal = Field(
            Decimal("2.0"),
            gt=0,
            le=1_000,
            description="Buy when the close is at least this far above the close at the start of the window.",
            json_schema_extra={"unit": "%"},
        )
        lookback: str = Field(
            "15m",
            description="Window before the row over which the rise is measured, as `15m`, `4h` or `30r` (rows).",
            json_schema_extra={"unit": "time"},
        )
        full_strength_extra_pct: Decimal = Field(
            Decimal("4.0"),
            gt=0,
            le=1_000,
            description="Rise beyond `rise_pct` at which the strength reaches 1; it grows evenly from 0.",
            json_schema_extra={"unit": "%"},
        )
        expires_s: int = Field(
            60,
            ge=1,
            le=86_400,
            description="A wish not acted on within this time after its row's close is void.",
            json_schema_extra={"unit": "s"},
        )
        quote_wanted: Decimal | None = Field(
            None,
            gt=0,
            description="Money asked for per entry; not set leaves it to the sizing guests.",
            json_schema_extra={"unit": "quote units"},
        )
        stop_pct: Decimal | None = Field(
            None,
            gt=0,
            lt=100,
            description="Stop foreseen below the close, for guests that judge the way out; not set foresees none.",
            json_schema_extra={"unit": "%"},
        )

        @field_validator("lookback")
        @classmethod
        def _is_window(cls, window: str) -> str:
            try:
                window_ms(window, 60_000)
            except SettingsError as error:
                # pydantic names the field only where the error is a ValueError.
                raise ValueError(str(error)) from error
            return window

    role: ClassVar[str] = "wisher"
    applies_to: ClassVar[tuple[str, ...] | None] = None
    events: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._threshold = float(plus(ONE, times(settings.rise_pct, _PERCENT)))
        self._span = float(times(settings.full_strength_extra_pct, _PERCENT))
        self._quote_wanted = None if settings.quote_wanted is None else float(settings.quote_wanted)
        self._stop_factor = None if settings.stop_pct is None else float(minus(ONE, times(settings.stop_pct, _PERCENT)))

    @property
    def warmup(self) -> Mapping[str, str]:
        """Rows needed before the row asked for: the look-back window."""
        return {"base": self.settings.lookback}

    @hookimpl
    def signal(self, frame: MarketFrame, rows: range) -> Wishes:
        """Answer close / close at the window's start per cell; NaN where history is short or the row has no data."""
        close = frame.close[rows.start : rows.stop]
        begun = earliest_known(frame.close, rows, frame.rows_of(self.settings.lookback), before=True)
        value = np.round(close / begun, _RATIO_DECIMALS)
        strength = np.nan_to_num(np.clip((value - self._threshold) / self._span, 0.0, 1.0), nan=0.0)
        stop = None if self._stop_factor is None else np.where(np.isnan(value), np.nan, close * self._stop_factor)
        return Wishes(
            value=value,
            op=">=",
            threshold=self._threshold,
            unit="ratio",
            reason=f"close to close {self.settings.lookback} before",
            strength=strength,
            expires_after_ms=self.settings.expires_s * 1_000,
            quote_wanted=self._quote_wanted,
            stop_price=stop,
        )
