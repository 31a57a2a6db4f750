"""Let a wish pass only where Wilder's RSI stands on the right side of a level (R36)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import BaseModel, Field, model_validator

from tradecore import MarketFrame, Wishes, hookimpl
from tradecore.market.indicators import rsi_wilder


class FilterRsi:
    """Answer the RSI of every cell; the core lets through what is on the right side of the level.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `filter_rsi`."""

        level: Decimal = Field(
            Decimal(50),
            ge=0,
            le=100,
            description="Level of the RSI.",
            json_schema_extra={"unit": "RSI points, 0 to 100"},
        )
        side: Literal["above", "below"] = Field(
            "above",
            description="Entries pass where the RSI is at or `above` the level, or at or `below` it.",
            json_schema_extra={"unit": "name"},
        )
        length: int = Field(
            14,
            ge=2,
            le=200,
            description="Wilder's length.",
            json_schema_extra={"unit": "rows"},
        )
        warm_rows: int = Field(
            250,
            ge=2,
            le=5_000,
            description="Rows before each row from which its RSI is started anew, at least `length`.",
            json_schema_extra={"unit": "rows"},
        )
        applies_to: tuple[str, ...] = Field(
            (),
            description="Judge only the wishes of these signal guests; empty judges all.",
            json_schema_extra={"unit": "guest names"},
        )

        @model_validator(mode="after")
        def _has_history(self) -> FilterRsi.Settings:
            if self.warm_rows < self.length:
                raise ValueError(f"expected warm_rows of at least length={self.length}, was {self.warm_rows}")
            return self

    role: ClassVar[str] = "filter"
    events: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.applies_to = settings.applies_to or None
        self._level = float(settings.level)

    @property
    def warmup(self) -> Mapping[str, str]:
        """Rows needed before the row asked for."""
        return {"base": f"{self.settings.warm_rows}r"}

    @hookimpl
    def signal(self, frame: MarketFrame, rows: range) -> Wishes:
        """Answer the RSI per cell, 0 to 100; NaN, which shuts entries, where history is short or the row is empty."""
        settings = self.settings
        return Wishes(
            value=rsi_wilder(frame.close, rows, settings.length, settings.warm_rows),
            op=">=" if settings.side == "above" else "<=",
            threshold=self._level,
            unit="RSI",
            reason=f"RSI({settings.length}) {settings.side} {self._level:g}",
        )
