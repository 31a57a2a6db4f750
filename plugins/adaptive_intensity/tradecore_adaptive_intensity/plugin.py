"""Move thresholds of other guests by how well trades go: trust is earned slowly and lost fast (R37)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pydantic import BaseModel, Field, field_validator, model_validator

from tradecore import Job, JobAnswer, Market, Portfolio, Tune, hookimpl
from tradecore.model.portfolio import TradingState
from tradecore.model.units import canonical
from tradecore_adaptive_intensity.tiers import Rules, Standing, Tier, lowered, moved, standing_of


class Knob(BaseModel, frozen=True, extra="forbid"):
    """One setting of another guest, and what it is in each tier."""

    setting: str = Field(
        pattern=r"^[^.]+\.[^.]+$",
        description="The setting that is moved, as `signals_drop.drop_pct`; its guest must take part in the run.",
        json_schema_extra={"unit": "guest.setting"},
    )
    low_trust: Decimal = Field(description="Its value in LOW_TRUST.", json_schema_extra={"unit": "the setting's own"})
    normal: Decimal = Field(description="Its value in NORMAL.", json_schema_extra={"unit": "the setting's own"})
    high_trust: Decimal = Field(description="Its value in HIGH_TRUST.", json_schema_extra={"unit": "the setting's own"})

    def value(self, tier: Tier) -> str:
        """The value of a tier, as text: every setting that is a number reads it exactly."""
        values = {Tier.LOW_TRUST: self.low_trust, Tier.NORMAL: self.normal, Tier.HIGH_TRUST: self.high_trust}
        return canonical(values[tier])


_D = Decimal
_KNOBS = (
    Knob(setting="signals_drop.drop_pct", low_trust=_D("3.0"), normal=_D("2.0"), high_trust=_D("1.5")),
    Knob(setting="filter_rsi.level", low_trust=_D(60), normal=_D(50), high_trust=_D(40)),
    Knob(setting="filter_volume.min_quote_per_minute", low_trust=_D(2000), normal=_D(1000), high_trust=_D(500)),
)


class AdaptiveIntensity:
    """Answer Tunes by tier from a job; the core puts them in force, journals and remembers them.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `adaptive_intensity`."""

        knobs: tuple[Knob, ...] = Field(
            _KNOBS,
            min_length=1,
            max_length=50,
            description="Settings that are moved, each once.",
            json_schema_extra={"unit": "list of settings"},
        )
        up_win_rate_pct: Decimal = Field(
            Decimal(60),
            gt=0,
            lt=100,
            description="A tier up where more of the newest `up_trades` trades won.",
            json_schema_extra={"unit": "%"},
        )
        up_trades: int = Field(
            300,
            ge=1,
            le=1_000,
            description="Trades of this tier that a move up needs.",
            json_schema_extra={"unit": "trades"},
        )
        down_win_rate_pct: Decimal = Field(
            Decimal(50),
            gt=0,
            lt=100,
            description="A tier down where fewer of them won; between the two rates nothing moves.",
            json_schema_extra={"unit": "%"},
        )
        down_trades: int = Field(
            50,
            ge=1,
            le=1_000,
            description="Trades of this tier that a move down needs, at most `up_trades`.",
            json_schema_extra={"unit": "trades"},
        )
        look_s: int = Field(
            60,
            ge=1,
            le=86_400,
            description="How often it looks; at most once per row.",
            json_schema_extra={"unit": "s"},
        )

        @field_validator("knobs")
        @classmethod
        def _each_once(cls, knobs: tuple[Knob, ...]) -> tuple[Knob, ...]:
            names = [knob.setting for knob in knobs]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"expected each setting once, was {', '.join(twice)} more often")
            return knobs

        @model_validator(mode="after")
        def _has_a_gap(self) -> AdaptiveIntensity.Settings:
            if self.down_win_rate_pct >= self.up_win_rate_pct:
                raise ValueError(
                    f"expected down_win_rate_pct below up_win_rate_pct={canonical(self.up_win_rate_pct)}, "
                    f"was {canonical(self.down_win_rate_pct)}"
                )
            if self.down_trades > self.up_trades:
                raise ValueError(f"expected down_trades of at most up_trades={self.up_trades}, was {self.down_trades}")
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._rules = Rules(
            settings.up_win_rate_pct, settings.up_trades, settings.down_win_rate_pct, settings.down_trades
        )

    @hookimpl
    def jobs(self) -> Sequence[Job]:
        """Look at the trades, and say which tier holds."""
        return [Job("tier", self.settings.look_s, self._look)]

    def _look(self, portfolio: Portfolio, market: Market, last: Mapping[str, object] | None) -> JobAnswer:
        now_ms = market.now_ms
        before = standing_of(last, now_ms)
        if portfolio.state is TradingState.ACTIVE:
            now = moved(before, portfolio.closed, self._rules, now_ms)
        else:
            now = lowered(before, portfolio.closed, f"trading is {portfolio.state}", now_ms)
        # The tier's values are asked for every time: the core passes over those in force, and a lifted quarantine or a
        # value that another guest moved is put right by itself.
        return JobAnswer(tunes=self._tunes(now), state=None if last == now.state else now.state)

    def _tunes(self, standing: Standing) -> tuple[Tune, ...]:
        reason = standing.why or str(standing.tier)
        return tuple(Tune(knob.setting, knob.value(standing.tier), reason) for knob in self.settings.knobs)
