"""Lead positions out: take profit, stop loss, trailing stop, ATR stop, time to live (R27, R29)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from pydantic import BaseModel, Field, field_validator, model_validator

from tradecore import MarketFrame, Plan, Position, Reason, hookimpl
from tradecore.errors import SettingsError
from tradecore.market.frame import COLUMNS, Array, window_ms
from tradecore.market.indicators import atr_wilder, running_peak
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
        atr_multiple: Decimal = Field(
            Decimal(0),
            ge=0,
            le=100,
            description="The ATR stop stands so many average true ranges below the average price paid; 0 turns it off.",
            json_schema_extra={"unit": "ATR"},
        )
        atr_length: int = Field(
            14,
            ge=2,
            le=200,
            description="Wilder's length of the average true range.",
            json_schema_extra={"unit": "rows"},
        )
        atr_warm_rows: int = Field(
            250,
            ge=2,
            le=5_000,
            description="Rows from which each row's average true range is started anew, at least `atr_length`.",
            json_schema_extra={"unit": "rows"},
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
                # the ATR stop alone is none: it is silent where history is short
                raise ValueError("expected at least one way out, was 0 or off for all of them")
            if self.atr_warm_rows < self.atr_length:
                raise ValueError(
                    f"expected atr_warm_rows of at least atr_length={self.atr_length}, was {self.atr_warm_rows}"
                )
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def warmup(self) -> Mapping[str, str]:
        """Rows of the average true range; without it none: what happened earlier is in the position's peak."""
        return {"base": f"{self.settings.atr_warm_rows + 1}r"} if self.settings.atr_multiple else {}

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
        average_range = self._average_range(frame, rows, position.symbol)
        stop, reasons = _highest(
            (Reason.STOP_LOSS, np.full(len(rows), np.nan if stop_loss is None else float(stop_loss))),
            (Reason.TRAILING_STOP, trail),
            (Reason.ATR_STOP, self._atr_stop(average, average_range)),
        )
        leave_at_ms = None
        if settings.time_to_live != OFF:
            leave_at_ms = position.opened_ms + window_ms(settings.time_to_live, frame.timeframe_ms)
        return Plan(
            stop=stop,
            take=None if take is None else np.full(len(rows), float(take)),
            leave_at_ms=leave_at_ms,
            stop_reason=reasons,
            inputs=_inputs(average, peak, trail, average_range, stop_loss=stop_loss, take=take, activation=activation),
        )

    def _average_range(self, frame: MarketFrame, rows: range, symbol: str) -> Array | None:
        """Tell the average true range before each row; NaN where history is short, ``None`` where it is not wanted."""
        if not self.settings.atr_multiple:
            return None
        column = frame.index(symbol)
        columns = {name: getattr(frame, name)[:, column : column + 1] for name in COLUMNS}
        alone = MarketFrame(frame.timeframe_ms, frame.timestamps, (symbol,), columns)
        before = range(max(0, rows.start - 1), max(0, rows.stop - 1))
        found = atr_wilder(alone, before, self.settings.atr_length, self.settings.atr_warm_rows)[:, 0]
        return np.concatenate((np.full(len(rows) - len(before), np.nan), found))

    def _atr_stop(self, average: Decimal, average_range: Array | None) -> Array | None:
        """Tell the ATR stop per row; NaN where the range is not known or the stop would be no price."""
        if average_range is None:
            return None
        level = float(average) - float(self.settings.atr_multiple) * average_range
        stop: Array = np.where(level > 0.0, level, np.nan)
        return stop


def _above(percent: Decimal) -> Decimal:
    return plus(ONE, times(percent, _PERCENT))


def _below(percent: Decimal) -> Decimal:
    return minus(ONE, times(percent, _PERCENT))


def _highest(*stops: tuple[Reason, Array | None]) -> tuple[Array, tuple[Reason, ...]]:
    """Take the highest stop of each row, and its reason; of equal ones the first."""
    reason, first = stops[0]
    assert first is not None
    level, names = first, [reason] * len(first)
    for reason, other in stops[1:]:
        if other is None:
            continue
        above = (other > level) | (~np.isnan(other) & np.isnan(level))
        level = np.where(above, other, level)
        names = [reason if hit else name for hit, name in zip(above.tolist(), names, strict=True)]
    return level, tuple(names)


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


def _inputs(
    average: Decimal, peak: Array, trail: Array, average_range: Array | None, **levels: Decimal | None
) -> Mapping[str, str]:
    """Write down what the levels of the last row were made from."""
    inputs = {"average": canonical(average)}
    if average_range is not None and len(average_range):
        inputs["atr"] = "none" if np.isnan(average_range[-1]) else canonical(Decimal(repr(float(average_range[-1]))))
    if len(peak):
        inputs["peak"] = canonical(Decimal(repr(float(peak[-1]))))
        inputs["trail"] = "none" if np.isnan(trail[-1]) else canonical(Decimal(repr(float(trail[-1]))))
    return inputs | {name: "off" if level is None else canonical(level) for name, level in levels.items()}
