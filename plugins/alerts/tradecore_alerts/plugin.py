"""Watch the account and the run against rules, and alert people once (R48)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from pydantic import BaseModel, Field, field_validator, model_validator

from tradecore import Alert, Job, JobAnswer, Market, Portfolio, hookimpl
from tradecore.model.events import REGISTRY, Stamped
from tradecore.model.units import canonical
from tradecore_alerts.counts import HOUR_MS, Counts, counts_of
from tradecore_alerts.figures import Figure, Seen, exposure_limit, figure
from tradecore_alerts.hearing import KINDS, hear
from tradecore_alerts.rules import BUILT_IN, EVENTS, Rule, rules_in_force
from tradecore_alerts.status import Phase, Status, Told, step

_KEEP_MS: Final = 300_000
"""Counts alone are written down so often: a kill loses no more of them."""
_PAUSE_MS: Final = 900_000
"""Nobody looked for so long, or three looks: what must have held meanwhile begins anew."""
_DAY_H: Final = 24


class _Kept(NamedTuple):
    """The durable answer, read."""

    counts: Counts
    statuses: Mapping[str, Status]
    peaks: Mapping[int, Decimal]
    """Highest equity by hour since 1970."""
    leaving: Mapping[str, int]
    """Position to the moment since when its exit has been tried without an end."""
    since_ms: int
    """Watched without a pause since."""
    looked_ms: int
    kept_ms: int


class Alerts:
    """Look at every rule once in a while; what it saw of events is a part of its durable answer.

    Args:
        settings: The guest's own section of the profile.
    """

    class Settings(BaseModel, frozen=True, extra="forbid"):
        """Settings of `alerts`."""

        look_s: int = Field(
            60,
            ge=1,
            le=3_600,
            description="How often the rules are looked at, market time; at most once per row.",
            json_schema_extra={"unit": "s"},
        )
        exposure_limit_quote: Decimal = Field(
            Decimal(0),
            ge=0,
            allow_inf_nan=False,
            description="Limit of the exposure; 0 takes the least of `account.capital_limit_quote` and every plugin's "
            "`max_exposure_pct`.",
            json_schema_extra={"unit": "account currency"},
        )
        off: tuple[str, ...] = Field(
            (), description="Built-in rules that are turned off.", json_schema_extra={"unit": "names"}
        )
        rules: tuple[Rule, ...] = Field(
            (),
            max_length=100,
            description="Rules of your own, or in the place of a built-in one of the same name.",
            json_schema_extra={"unit": "rules"},
        )

        @field_validator("off")
        @classmethod
        def _are_rules(cls, names: tuple[str, ...]) -> tuple[str, ...]:
            known = [rule.name for rule in BUILT_IN]
            for name in names:
                if name not in known:
                    raise ValueError(f"expected names of built-in rules ({', '.join(known)}), was {name!r}")
            return names

        @model_validator(mode="after")
        def _fit(self) -> Alerts.Settings:
            names = [rule.name for rule in self.rules]
            if len(set(names)) != len(names):
                raise ValueError(f"expected rules of different names, was {sorted(names)}")
            for name in sorted(set(names) & set(self.off)):
                raise ValueError(f"expected a rule either of your own or turned off, was both: {name}")
            for rule in self.rules:
                kind = rule.measure.removeprefix(EVENTS)
                if rule.measure.startswith(EVENTS) and kind not in REGISTRY:
                    raise ValueError(f"expected a kind of event in the measure of {rule.name}, was {kind!r}")
            return self

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._rules = rules_in_force(settings.rules, settings.off)
        measured = (rule.measure for rule in self._rules if rule.measure.startswith(EVENTS))
        self._counted = frozenset(measure.removeprefix(EVENTS) for measure in measured)
        self.events = KINDS | self._counted
        self._newer = Counts()
        self._looked_ms: int | None = None
        """When this process last looked; the durable answer is written less often."""

    @hookimpl
    def on_event(self, event: Stamped) -> None:
        """Count it; the job takes it from here into its durable answer."""
        hear(self._newer, event, self._counted)

    @hookimpl
    def jobs(self) -> Sequence[Job]:
        """Look at the rules."""
        return [Job("look", self.settings.look_s, self._look)]

    def _look(self, portfolio: Portfolio, market: Market, last: Mapping[str, object] | None) -> JobAnswer | None:
        now_ms = market.now_ms
        kept = _read(last, now_ms)
        pause_ms = max(_PAUSE_MS, 3 * self.settings.look_s * 1_000, 3 * market.frame.timeframe_ms)
        paused = now_ms - kept.looked_ms > pause_ms
        counts = kept.counts
        counts.merge(self._newer)
        counts.clamp(now_ms)
        counts.trim(now_ms)
        hour = now_ms // HOUR_MS
        peaks = {place: peak for place, peak in kept.peaks.items() if hour - _DAY_H < place <= hour}
        peaks[hour] = max(peaks.get(hour, portfolio.equity), portfolio.equity)
        since_ms = now_ms if paused else kept.since_ms
        limit = exposure_limit(self.settings.exposure_limit_quote, counts.limits, portfolio.equity)
        looked_ms = kept.looked_ms if self._looked_ms is None else min(self._looked_ms, now_ms)
        self._looked_ms = now_ms
        leaving = _leaving(portfolio, kept.leaving, now_ms)
        seen = Seen(now_ms, now_ms - since_ms, portfolio, counts, max(peaks.values()), limit, looked_ms, leaving)
        alerts, statuses = self._judge(kept, seen, paused)
        changed = statuses != kept.statuses or leaving != kept.leaving or paused
        if not changed and not alerts and now_ms - kept.kept_ms < _KEEP_MS:
            return None  # the counts stay here until they are written down
        self._newer = Counts()
        state = _written(_Kept(counts, statuses, peaks, leaving, since_ms, now_ms, now_ms))
        return JobAnswer(alerts=tuple(alerts), state=state)

    def _judge(self, kept: _Kept, seen: Seen, paused: bool) -> tuple[list[Alert], dict[str, Status]]:
        alerts: list[Alert] = []
        statuses: dict[str, Status] = {}
        for rule in self._rules:
            found = figure(rule, seen)
            before = kept.statuses.get(rule.name, Status())
            if paused:
                before = _begun_anew(before, seen.now_ms)
            met = None if found is None else rule.met(found.value)
            status, told = step(before, met, seen.now_ms, rule.timing)
            if status != Status():
                statuses[rule.name] = status
            if told is not Told.NOTHING and found is not None:
                alerts.append(_alert(rule, found, told))
        for name in sorted(kept.statuses.keys() - {rule.name for rule in self._rules}):
            if kept.statuses[name].phase in {Phase.FIRING, Phase.CLEARING}:
                alerts.append(Alert(name, "info", "the rule is there no more", resolved=True))
        return alerts, statuses


def _alert(rule: Rule, found: Figure, told: Told) -> Alert:
    text = f"{found.text} (rule: {rule.op} {canonical(rule.threshold)})"
    return Alert(rule.name, rule.severity, text, resolved=told is Told.RESOLVED)


def _leaving(portfolio: Portfolio, before: Mapping[str, int], now_ms: int) -> dict[str, int]:
    """Since when the exit of each position has been tried: a new try does not begin the count anew."""
    begun: dict[str, int] = {}
    for intent in portfolio.pending:
        if intent.reduces and intent.position_id is not None:
            begun[intent.position_id] = min(intent.created_ms, begun.get(intent.position_id, now_ms))
    found: dict[str, int] = {}
    for one in portfolio.positions:
        if one.position_id in begun or one.exit_attempts:
            moments = (before.get(one.position_id, now_ms), begun.get(one.position_id, now_ms))
            found[one.position_id] = min(*moments, now_ms)
    return found


def _begun_anew(status: Status, now_ms: int) -> Status:
    """What nobody saw for a while has not held for that while."""
    return status._replace(since_ms=now_ms) if status.phase in {Phase.PENDING, Phase.CLEARING} else status


def _read(last: Mapping[str, object] | None, now_ms: int) -> _Kept:
    """Read the durable answer; what is no longer understood counts for nothing.

    What is dated ahead, by a clock that was set back since, is taken for what happened now: an alert that was told is
    still told to be over, and not told twice.
    """
    empty = _Kept(Counts(), {}, {}, {}, now_ms, now_ms, now_ms - _KEEP_MS)
    if last is None:
        return empty
    try:
        return _kept_of(last, now_ms)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return empty


def _kept_of(last: Mapping[str, object], now_ms: int) -> _Kept:
    statuses, peaks, counts = last["rules"], last["peaks"], last["counts"]
    leaving = last.get("leaving", {})
    if not (isinstance(statuses, dict) and isinstance(peaks, dict) and isinstance(counts, dict)):
        raise TypeError("expected three mappings, was something else")
    if not isinstance(leaving, dict):
        raise TypeError("expected a mapping of positions, was something else")
    highest: dict[int, Decimal] = {}
    for hour, peak in peaks.items():
        place = min(int(hour), now_ms // HOUR_MS)
        highest[place] = max(highest.get(place, Decimal(str(peak))), Decimal(str(peak)))
    since_ms, looked_ms = int(str(last["since_ms"])), int(str(last["looked_ms"]))
    return _Kept(
        counts_of(counts),
        {
            str(name): Status(Phase(phase), min(int(at_ms), now_ms), None if fired is None else min(int(fired), now_ms))
            for name, (phase, at_ms, fired) in statuses.items()
        },
        highest,
        {str(name): min(int(at_ms), now_ms) for name, at_ms in leaving.items()},
        min(since_ms, now_ms),
        min(looked_ms, now_ms),
        min(looked_ms, now_ms),
    )


def _written(kept: _Kept) -> dict[str, object]:
    return {
        "counts": kept.counts.state,
        "rules": {
            name: [str(status.phase), status.since_ms, status.fired_ms] for name, status in kept.statuses.items()
        },
        "peaks": {str(hour): canonical(peak) for hour, peak in sorted(kept.peaks.items())},
        "leaving": dict(kept.leaving),
        "since_ms": kept.since_ms,
        "looked_ms": kept.looked_ms,
    }
