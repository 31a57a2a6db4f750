"""Wish to buy where the price fell far enough below the highest price of a look-back window (R34)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field, field_validator

from tradecore import MarketFrame, Wishes, hookimpl
from tradecore.errors import SettingsError
from tradecore.market.frame import window_ms
from tradecore.market.indicators import rolling_max
from tradecore.model.units import ONE, minus, times

_PERCENT = Decimal("0.01")
#: Ratios are kept to so many decimals, so that a close exactly on the threshold counts as on it: the quotient of two
#: prices that are not whole in binary may miss it by the last bit. Prices with more than seven digits need no more.
_RATIO_DECIMALS = 12


class SignalsDrop:
    """Compare each close with the highest high of the window before its row.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `signals_drop`."""

        drop_pct: Decimal = Field(
            Decimal("2.0"),
            gt=0,
            lt=100,
            description="Buy when the close is at least this far below the highest high of the window.",
            json_schema_extra={"unit": "%"},
        )
        lookback: str = Field(
            "60m",
            description="Window before the row whose highest high is the anchor, as `60m`, `4h` or `250r` (rows).",
            json_schema_extra={"unit": "time"},
        )
        full_strength_extra_pct: Decimal = Field(
            Decimal("4.0"),
            gt=0,
            lt=100,
            description="Fall beyond `drop_pct` at which the strength reaches 1; it rises evenly from 0.",
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
        self._threshold = float(minus(ONE, times(settings.drop_pct, _PERCENT)))
        self._span = float(times(settings.full_strength_extra_pct, _PERCENT))
        self._quote_wanted = None if settings.quote_wanted is None else float(settings.quote_wanted)
        self._stop_factor = None if settings.stop_pct is None else float(minus(ONE, times(settings.stop_pct, _PERCENT)))

    @property
    def warmup(self) -> Mapping[str, str]:
        """Rows needed before the row asked for: the look-back window."""
        return {"base": self.settings.lookback}

    @hookimpl
    def signal(self, frame: MarketFrame, rows: range) -> Wishes:
        """Answer close / anchor per cell; NaN where the window is not complete or the row has no data."""
        close = frame.close[rows.start : rows.stop]
        anchor = rolling_max(frame.high, rows, frame.rows_of(self.settings.lookback), before=True)
        value = np.round(close / anchor, _RATIO_DECIMALS)
        strength = np.nan_to_num(np.clip((self._threshold - value) / self._span, 0.0, 1.0), nan=0.0)
        stop = None if self._stop_factor is None else np.where(np.isnan(value), np.nan, close * self._stop_factor)
        return Wishes(
            value=value,
            op="<=",
            threshold=self._threshold,
            unit="ratio",
            reason=f"close to {self.settings.lookback} high",
            strength=strength,
            expires_after_ms=self.settings.expires_s * 1_000,
            quote_wanted=self._quote_wanted,
            stop_price=stop,
        )
