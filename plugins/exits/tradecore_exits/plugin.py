"""Lead positions out: take profit, stop loss, trailing stop, time to live (R27, R29)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from pydantic import BaseModel, Field, field_validator, model_validator

from tradecore import MarketFrame, Plan, Position, Reason, hookimpl
from tradecore.errors import SettingsError
from tradecore.market.frame import Array, window_ms
from tradecore.market.indicators import running_peak
from tradecore.model.units import ONE, canonical, minus, plus, times

_PERCENT = Decimal("0.01")
OFF = "off"


class Exits:
    """Answer the prices in force for a position; the core watches them and sells.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `exits`."""

        take_profit_pct: Decimal = Field(
            Decimal("1.5"),
            ge=0,
            le=1_000,
            description="Sell when the price is this far above the average price paid; 0 turns it off.",
            json_schema_extra={"unit": "%", "plan": "take_pct"},
        )
        stop_loss_pct: Decimal = Field(
            Decimal("2.0"),
            ge=0,
            lt=100,
            description="Sell when the price is this far below the average price paid; 0 turns it off.",
            json_schema_extra={"unit": "%", "plan": "stop_pct"},
        )
        trailing_activation_pct: Decimal = Field(
            Decimal("1.0"),
            ge=0,
            le=1_000,
            description="The trailing stop begins once the peak is this far above the average price; 0 begins at it.",
            json_schema_extra={"unit": "%"},
        )
        trailing_distance_pct: Decimal = Field(
            Decimal("0.5"),
            ge=0,
            lt=100,
            description="The trailing stop stands this far below the peak; 0 turns it off.",
            json_schema_extra={"unit": "%"},
        )
        time_to_live: str = Field(
            "240m",
            description="Sell this long after the opening whatever the price, as `240m` or `2d`; `off` turns it off.",
            json_schema_extra={"unit": "time"},
        )
        plugins: tuple[str, ...] = Field(
            (),
            description="Lead only positions wished for by these signal guests; empty leads all.",
            json_schema_extra={"unit": "guest names"},
        )

        @field_validator("time_to_live")
        @classmethod
        def _is_window(cls, window: str) -> str:
            if window == OFF:
                return window
            try:
                window_ms(window, 60_000)
            except SettingsError as error:
                # pydantic names the field only where the error is a ValueError.
                raise ValueError(f"{error}, or {OFF!r}") from error
            return window

        @model_validator(mode="after")
        def _leads_out(self) -> Exits.Settings:
            parts = (self.take_profit_pct, self.stop_loss_pct, self.trailing_distance_pct)
            if not any(parts) and self.time_to_live == OFF:
                raise ValueError("expected at least one way out, was 0 or off for all of them")
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def warmup(self) -> Mapping[str, str]:
        """No rows before those asked for: what happened earlier is in the position's peak."""
        return {}

    @hookimpl
    def follow(self, frame: MarketFrame, rows: range, position: Position) -> Plan | None:
        """Answer stop, take and time for each row; ``None`` for positions of guests that are not led."""
        settings = self.settings
        if settings.plugins and position.plugin not in settings.plugins:
            return None
        average = position.average_price
        peak, _ = running_peak(frame, rows, position)
        stop_loss = times(average, _below(settings.stop_loss_pct)) if settings.stop_loss_pct else None
        take = times(average, _above(settings.take_profit_pct)) if settings.take_profit_pct else None
        activation = (
            times(average, _above(settings.trailing_activation_pct)) if settings.trailing_distance_pct else None
        )
        trail = _trail(peak, activation, _below(settings.trailing_distance_pct))
        fixed = np.nan if stop_loss is None else float(stop_loss)
        trailing = (trail > fixed) | (~np.isnan(trail) & np.isnan(fixed))
        leave_at_ms = None
        if settings.time_to_live != OFF:
            leave_at_ms = position.opened_ms + window_ms(settings.time_to_live, frame.timeframe_ms)
        return Plan(
            stop=np.where(trailing, trail, fixed),
            take=None if take is None else np.full(len(rows), float(take)),
            leave_at_ms=leave_at_ms,
            stop_reason=tuple(Reason.TRAILING_STOP if hit else Reason.STOP_LOSS for hit in trailing.tolist()),
            inputs=_inputs(average, peak, trail, stop_loss=stop_loss, take=take, activation=activation),
        )


def _above(percent: Decimal) -> Decimal:
    return plus(ONE, times(percent, _PERCENT))


def _below(percent: Decimal) -> Decimal:
    return minus(ONE, times(percent, _PERCENT))


def _trail(peak: Array, activation: Decimal | None, factor: Decimal) -> Array:
    """Tell the trailing stop per row, NaN before its activation; exact to the nearest float for each peak.

    It is reckoned in decimals, peak by peak, since a stop that misses its decimal by one bit may fall on another tick.
    A peak rarely changes, so most rows repeat the one before.
    """
    trail: Array = np.full(len(peak), np.nan)
    if activation is None:
        return trail
    last, level = np.nan, np.nan
    for row, price in enumerate(peak.tolist()):
        if price != last:
            exact = Decimal(repr(price))
            last, level = price, float(times(exact, factor)) if exact >= activation else np.nan
        trail[row] = level
    return trail


def _inputs(average: Decimal, peak: Array, trail: Array, **levels: Decimal | None) -> Mapping[str, str]:
    """Write down what the levels of the last row were made from."""
    inputs = {"average": canonical(average)}
    if len(peak):
        inputs["peak"] = canonical(Decimal(repr(float(peak[-1]))))
        inputs["trail"] = "none" if np.isnan(trail[-1]) else canonical(Decimal(repr(float(trail[-1]))))
    return inputs | {name: "off" if level is None else canonical(level) for name, level in levels.items()}
