"""Rules: which figure, which limit, how patient; those of every account, and those of its owner."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from pydantic import BaseModel, Field, field_validator

from tradecore_alerts.status import Timing

EVENTS: Final = "events."
"""Begins a measure that counts events of one kind, as ``events.fill_conflict``."""
MEASURES: Final = {
    "drawdown_pct": "fall of the equity below its highest of 24 h, % of that",
    "cancel_rate_pct": "share of the orders that ended in the window which were cancelled, %",
    "rate_limit_hits": "requests that the venue or the own limiter held back in the window",
    "exposure_pct": "money in positions and entries, % of its limit",
    "venue_lost": "1 while the venue or its prices do not answer",
    "unhealthy": "jobs, plugins or parts of the core found unwell in the window",
    "win_rate_pct": "share of the newest `sample` positions that ended with a gain, %",
    "trades": "positions opened in the window",
    "activity": "entries made and fills booked in the window",
    "stuck_positions": "positions that cannot be sold, or whose exit has taken 5 minutes in all its tries",
}
_KINDS = r"events\.[a-z][a-z_]*"


class Rule(BaseModel, frozen=True, extra="forbid"):
    """One rule."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,63}$",
        description="Name of the alert; that of a built-in rule replaces it.",
        json_schema_extra={"unit": "name"},
    )
    measure: str = Field(
        description="Figure that is looked at, out of the table below, or `events.KIND` for a count of events.",
        json_schema_extra={"unit": "name"},
    )
    op: Literal[">", ">=", "<", "<="] = Field(
        ">", description="The figure compared with `threshold`.", json_schema_extra={"unit": "operator"}
    )
    threshold: Decimal = Field(
        allow_inf_nan=False, description="Limit of the figure.", json_schema_extra={"unit": "as the figure"}
    )
    window_s: int = Field(
        3_600, ge=60, le=86_400, description="Time that is counted over.", json_schema_extra={"unit": "s"}
    )
    sample: int = Field(
        0,
        ge=0,
        le=300,
        description="With fewer orders or positions than this the rule says nothing.",
        json_schema_extra={"unit": "count"},
    )
    for_s: int = Field(
        0, ge=0, le=604_800, description="It must hold for so long before it is told.", json_schema_extra={"unit": "s"}
    )
    clear_s: int = Field(
        300,
        ge=0,
        le=604_800,
        description="It must be over for so long before that is told.",
        json_schema_extra={"unit": "s"},
    )
    cooldown_s: int = Field(
        3_600,
        ge=0,
        le=604_800,
        description="Least time from one telling to the next.",
        json_schema_extra={"unit": "s"},
    )
    severity: Literal["info", "warning", "critical"] = Field(
        "warning", description="How grave it is.", json_schema_extra={"unit": "name"}
    )

    @field_validator("measure")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in MEASURES and not name.startswith(EVENTS):
            raise ValueError(f"expected one of {', '.join(MEASURES)} or events.KIND, was {name!r}")
        return name

    @property
    def timing(self) -> Timing:
        """Its patience."""
        return Timing(self.for_s * 1_000, self.clear_s * 1_000, self.cooldown_s * 1_000)

    def met(self, value: Decimal) -> bool:
        """Compare the figure with the limit."""
        match self.op:
            case ">":
                return value > self.threshold
            case ">=":
                return value >= self.threshold
            case "<":
                return value < self.threshold
            case _:
                return value <= self.threshold


def _rule(name: str, measure: str, op: Literal[">", ">=", "<", "<="], threshold: int, **more: object) -> Rule:
    values = {"name": name, "measure": measure, "op": op, "threshold": threshold, **more}
    return Rule.model_validate(values)


BUILT_IN: Final = (
    _rule("drawdown", "drawdown_pct", ">", 5, for_s=60, clear_s=900, severity="critical"),
    _rule("cancel_rate", "cancel_rate_pct", ">", 50, sample=10, for_s=300, clear_s=600),
    _rule("rate_limit", "rate_limit_hits", ">=", 3, window_s=60, cooldown_s=900),
    _rule("exposure_85", "exposure_pct", ">", 85, for_s=60),
    _rule("exposure_90", "exposure_pct", ">", 90, for_s=60),
    _rule("exposure_100", "exposure_pct", ">", 100, for_s=60, severity="critical"),
    _rule("venue_lost", "venue_lost", ">=", 1, clear_s=60, cooldown_s=300, severity="critical"),
    _rule("unhealthy", "unhealthy", ">=", 1, window_s=600, cooldown_s=900, severity="critical"),
    _rule("win_rate", "win_rate_pct", "<", 50, sample=300, clear_s=3_600, cooldown_s=86_400),
    _rule("few_trades", "trades", "<", 5, window_s=86_400, clear_s=0, cooldown_s=86_400),
    _rule("no_activity", "activity", "<", 1, window_s=86_400, clear_s=0, cooldown_s=86_400),
    _rule("stuck_position", "stuck_positions", ">=", 1, clear_s=60, cooldown_s=1_800, severity="critical"),
)


def rules_in_force(own: tuple[Rule, ...], off: tuple[str, ...]) -> tuple[Rule, ...]:
    """The built-in rules with the owner's in their places, his further ones after them, without those turned off."""
    replaced = {rule.name: rule for rule in own}
    names = {rule.name for rule in BUILT_IN}
    merged = [replaced.get(rule.name, rule) for rule in BUILT_IN] + [rule for rule in own if rule.name not in names]
    return tuple(rule for rule in merged if rule.name not in off)
