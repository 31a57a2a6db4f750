"""Which settings cannot work together: each finding names both values and a way out (R53, R7, R9).

Pure rules over facts of the settings and figures of the world they will meet. An *impossible* combination can never do
what it says, so a run refuses it; a *doubtful* one is told and runs.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.model.reasons import Reason
from tradecore.model.units import canonical
from tradecore.settings.roles import Fact, Role

_ROUND_TRIPS_OF_AN_IOC: Final = 2
"""Its send and the read that tells its end."""
_HUNDRED: Final = Decimal(100)


class Severity(enum.StrEnum):
    """What a finding asks for."""

    IMPOSSIBLE = "impossible"
    DOUBTFUL = "doubtful"


class Finding(NamedTuple):
    """Two settings, or a setting and the world, that do not fit."""

    code: str
    """Closed word, as ``premium_over_cap``; `run.allow` takes it."""
    severity: Severity
    text: str
    """What does not fit, with both values."""
    keys: tuple[str, ...]
    way_out: str


class World(NamedTuple):
    """What the settings will meet, as far as it is known; ``None`` where it is not."""

    taker_fee_bps: Decimal | None = None
    spread_bps: Decimal | None = None
    """Usual spread of the universe."""
    latency_ms: Decimal | None = None
    """Usual time of one call to the venue, there and back."""
    min_notional_quote: Decimal | None = None
    """Largest minimum of an order in the universe."""
    funds_quote: Decimal | None = None
    """Money that may be in use: the opening balance or the capital limit, the smaller."""
    equity_quote: Decimal | None = None
    """All that the account is worth."""
    row_s: float | None = None
    warmup_s: float = 0.0
    """History that the guests need beyond what is there at the start."""
    run_s: float | None = None
    """Length of the run; ``None``: without end."""
    intent_ttl_s: float = 60.0
    price_age_s: float = 15.0
    collar_bps: Decimal | None = None
    requests_per_minute: int | None = None
    requests_planned: float = 0.0
    """Requests a minute that the intervals ask for while nothing is traded."""
    job_ms: tuple[tuple[str, float, float], ...] = ()
    """Job, its interval and its longest run so far, both ms."""
    hooks: frozenset[str] | None = None
    """Hooks that the guests of the run answer."""


class Facts:
    """The facts by role."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._facts = tuple(facts)

    def of(self, role: Role) -> tuple[Fact, ...]:
        """All facts of a role, in the order of the settings."""
        return tuple(fact for fact in self._facts if fact.role is role)

    def numbers(self, role: Role) -> tuple[tuple[Fact, Decimal], ...]:
        """All facts of a role that hold a number."""
        return tuple((fact, fact.value) for fact in self.of(role) if isinstance(fact.value, Decimal))

    def tightest(self, role: Role) -> tuple[Fact, Decimal] | None:
        """The smallest number above 0 of a role; ``None``: no cap is set."""
        found = [pair for pair in self.numbers(role) if pair[1] > 0]
        return min(found, key=lambda pair: pair[1]) if found else None

    def beside(self, fact: Fact, role: Role) -> Fact | None:
        """The fact of another role in the same step of a ladder."""
        return next((other for other in self.of(role) if other.group == fact.group), None)


def findings(facts: Sequence[Fact], world: World) -> tuple[Finding, ...]:
    """Say what does not fit, impossible things first.

    Returns:
        Empty where everything fits as far as it is known.
    """
    known = Facts(facts)
    found = [finding for rule in _RULES for finding in rule(known, world)]
    return tuple(sorted(found, key=lambda finding: finding.severity is not Severity.IMPOSSIBLE))


class _Need(NamedTuple):
    """A hook without which no entry can be made."""

    hook: str
    code: str
    word: str
    ends_with: Reason
    """What every candidate ends with whose condition is met."""
    example: str


_NEEDS: Final = (
    _Need("size", "no_sizer", "sizing", Reason.SIZE_MISSING, "size_fixed"),
    _Need("risk_check", "no_risk", "risk", Reason.RISK_MISSING, "risk_limits"),
    _Need("route_order", "no_router", "routing", Reason.ROUTER_MISSING, "exec_ioc_gtc"),
)


def missing_guests(hooks: Collection[str]) -> tuple[Finding, ...]:
    """Say which guests a list lacks to make entries (R5); exits need none of them.

    Args:
        hooks: What its guests answer.
    """
    return tuple(
        Finding(
            need.code, Severity.IMPOSSIBLE,
            f"no guest of run.plugins answers {need.hook}: no entry can be made, every signal ends with "
            f"{need.ends_with}; open positions are left by the core's own rules",
            ("run.plugins",), f"put a {need.word} plugin, as {need.example}, into the list",
        )
        for need in _NEEDS
        if need.hook not in hooks
    )  # fmt: skip


def missing_words(found: Collection[Finding]) -> str:
    """Name what a list lacks: ``sizing (size) and routing (route_order)``."""
    codes = {one.code for one in found}
    return " and ".join(f"{need.word} ({need.hook})" for need in _NEEDS if need.code in codes)


def _missing_guests(facts: Facts, world: World) -> Iterator[Finding]:
    if world.hooks is None:
        return
    yield from missing_guests(world.hooks)
    if "follow" not in world.hooks:
        yield Finding(
            "no_leader", Severity.DOUBTFUL,
            "no guest of run.plugins answers follow: nobody but an operator or a guest's job leaves a position",
            ("run.plugins",), "put a plugin that leads positions, as exits, into the list",
        )  # fmt: skip


def _bps(value: Decimal) -> str:
    return f"{canonical(value)} bps"


def _premium_over_cap(facts: Facts, world: World) -> Iterator[Finding]:
    cap = facts.tightest(Role.SLIPPAGE_CAP_BPS)
    if cap is None:
        return
    for premium, bps in facts.numbers(Role.ENTRY_PREMIUM_BPS):
        if bps > cap[1]:
            yield Finding(
                "premium_over_cap", Severity.IMPOSSIBLE,
                f"{premium.key} asks for {_bps(bps)}, {cap[0].key} allows {_bps(cap[1])}: the step can never trade",
                (premium.key, cap[0].key), f"lower the step to {_bps(cap[1])} or raise the cap to {_bps(bps)}",
            )  # fmt: skip


def _spread_over_cap(facts: Facts, world: World) -> Iterator[Finding]:
    cap = facts.tightest(Role.SPREAD_CAP_BPS)
    if cap is None or world.spread_bps is None or world.spread_bps <= cap[1]:
        return
    yield Finding(
        "spread_over_cap", Severity.IMPOSSIBLE,
        f"the usual spread is {_bps(world.spread_bps)}, {cap[0].key} allows {_bps(cap[1])}: entries are refused",
        (cap[0].key,), f"raise the cap to at least {_bps(world.spread_bps)}, or choose symbols with a closer spread",
    )  # fmt: skip


def _ttl_under_latency(facts: Facts, world: World) -> Iterator[Finding]:
    if world.latency_ms is None:
        return
    least = world.latency_ms * _ROUND_TRIPS_OF_AN_IOC
    for role in (Role.ENTRY_TTL_MS, Role.EXIT_TTL_MS):
        for fact, ms in facts.numbers(role):
            if ms < least:
                yield Finding(
                    "ttl_under_latency", Severity.IMPOSSIBLE,
                    f"{fact.key} gives an order {canonical(ms)} ms, its send and the read of its end take "
                    f"{canonical(least)} ms: it is canceled before anybody knows what came of it",
                    (fact.key,), f"give it at least {canonical(least)} ms",
                )  # fmt: skip


def _never_rests(facts: Facts, world: World) -> Iterator[Finding]:
    kinds = facts.of(Role.ENTRY_TIME_IN_FORCE)
    if not kinds or any(fact.value == "GTC" for fact in kinds):
        return
    cap = facts.tightest(Role.SLIPPAGE_CAP_BPS)
    spread = world.spread_bps
    tight = cap is not None and spread is not None and spread / 2 > cap[1]
    text = f"every step of the entry ladder is {' or '.join(sorted({str(fact.value) for fact in kinds}))}"
    if tight and cap is not None and spread is not None:
        yield Finding(
            "never_reaches_ask", Severity.IMPOSSIBLE,
            f"{text}, the ask stands {_bps(spread / 2)} above the middle and {cap[0].key} allows {_bps(cap[1])}: "
            "nothing can be taken and nothing waits",
            (kinds[0].key, cap[0].key), f"raise the cap above {_bps(spread / 2)} or end the ladder with a GTC step",
        )  # fmt: skip
        return
    yield Finding(
        "never_rests", Severity.DOUBTFUL, f"{text}: an entry never waits for its price", (kinds[0].key,),
        "end the ladder with a GTC step",
    )  # fmt: skip


def _ladder_outlives_intent(facts: Facts, world: World) -> Iterator[Finding]:
    total = Decimal(0)
    for ttl, ms in facts.numbers(Role.ENTRY_TTL_MS):
        orders = facts.beside(ttl, Role.ENTRY_ORDERS)
        count = orders.value if orders is not None and isinstance(orders.value, Decimal) else Decimal(1)
        total += ms * count
    lives = Decimal(str(world.intent_ttl_s)) * 1000
    if total > lives:
        yield Finding(
            "ladder_outlives_intent", Severity.DOUBTFUL,
            f"the entry ladder may take {canonical(total / 1000)} s, engine.intent_ttl_s gives an entry "
            f"{canonical(lives / 1000)} s: its last steps may never be sent",
            ("engine.intent_ttl_s",), f"let intents live {canonical(total / 1000)} s or shorten the steps",
        )  # fmt: skip


def _stop_inside_costs(facts: Facts, world: World) -> Iterator[Finding]:
    if world.taker_fee_bps is None:
        return
    spread = facts.tightest(Role.SPREAD_CAP_BPS)
    width = spread[1] if spread is not None else world.spread_bps or Decimal(0)
    costs = width + world.taker_fee_bps
    for stop, percent in facts.numbers(Role.STOP_PCT):
        if 0 < percent * _HUNDRED <= costs:
            yield Finding(
                "stop_inside_costs", Severity.IMPOSSIBLE,
                f"{stop.key} stands {_bps(percent * _HUNDRED)} below the price paid, spread and fee may take "
                f"{_bps(costs)}: a position may be stopped as it opens",
                (stop.key, *((spread[0].key,) if spread else ())),
                f"set the stop beyond {canonical(costs / _HUNDRED)} % or narrow the spread allowed",
            )  # fmt: skip


def _take_under_costs(facts: Facts, world: World) -> Iterator[Finding]:
    if world.taker_fee_bps is None:
        return
    premiums = [bps for _, bps in facts.numbers(Role.ENTRY_PREMIUM_BPS)]
    premium = max(premiums, default=Decimal(0))
    costs = world.taker_fee_bps * 2 + premium
    for take, percent in facts.numbers(Role.TAKE_PCT):
        if 0 < percent * _HUNDRED <= costs:
            yield Finding(
                "take_under_costs", Severity.IMPOSSIBLE,
                f"{take.key} takes {_bps(percent * _HUNDRED)}, two fees and the largest premium cost {_bps(costs)}: "
                "a win may be a loss",
                (take.key,), f"take more than {canonical(costs / _HUNDRED)} % or lower the premiums",
            )  # fmt: skip


def _budget(facts: Facts, world: World) -> Iterator[Finding]:
    entry = facts.tightest(Role.ENTRY_QUOTE)
    if entry is None:
        return
    if world.min_notional_quote is not None and entry[1] < world.min_notional_quote:
        yield Finding(
            "entry_under_min_notional", Severity.IMPOSSIBLE,
            f"{entry[0].key} spends {canonical(entry[1])}, an order of the universe must be worth "
            f"{canonical(world.min_notional_quote)}",
            (entry[0].key,), f"spend at least {canonical(world.min_notional_quote)} or leave such symbols out",
        )  # fmt: skip
    if world.funds_quote is not None and entry[1] > world.funds_quote:
        yield Finding(
            "entry_over_funds", Severity.IMPOSSIBLE,
            f"{entry[0].key} spends {canonical(entry[1])}, {canonical(world.funds_quote)} may be in use",
            (entry[0].key,), "spend less, or raise the capital limit",
        )  # fmt: skip
    positions, exposure = facts.tightest(Role.POSITIONS_MAX), facts.tightest(Role.EXPOSURE_MAX_PCT)
    if positions is not None and exposure is not None and world.funds_quote is not None:
        wanted, allowed = entry[1] * positions[1], world.funds_quote * exposure[1] / _HUNDRED
        if wanted > allowed:
            yield Finding(
                "positions_over_exposure", Severity.DOUBTFUL,
                f"{positions[0].key} = {canonical(positions[1])} entries of {canonical(entry[1])} are "
                f"{canonical(wanted)}, {exposure[0].key} allows {canonical(allowed)}: the last ones are refused",
                (positions[0].key, exposure[0].key, entry[0].key), "allow fewer positions or spend less on each",
            )  # fmt: skip


def _time(facts: Facts, world: World) -> Iterator[Finding]:
    if world.row_s is not None and world.run_s is not None and world.run_s < world.warmup_s:
        yield Finding(
            "run_under_warmup", Severity.DOUBTFUL,
            f"the run lasts {world.run_s:g} s, the guests need {world.warmup_s:g} s of history first: nothing is "
            "traded before its end",
            ("run.for",), f"run for more than {world.warmup_s:g} s or shorten the look-back windows",
        )  # fmt: skip
    for name, interval_ms, longest_ms in world.job_ms:
        if longest_ms > interval_ms:
            yield Finding(
                "interval_under_job", Severity.IMPOSSIBLE,
                f"intervals.{name}_s is {interval_ms / 1000:g} s, the job took up to {longest_ms / 1000:g} s",
                (f"intervals.{name}_s",), f"set it to at least {longest_ms / 1000:g} s",
            )  # fmt: skip
    if world.requests_per_minute is not None and world.requests_planned > world.requests_per_minute:
        yield Finding(
            "requests_over_limit", Severity.IMPOSSIBLE,
            f"the intervals ask for {world.requests_planned:.0f} turns a minute, limiter.requests_per_minute allows "
            f"{world.requests_per_minute}",
            ("limiter.requests_per_minute",), "lengthen the intervals, trade fewer symbols, or raise the limit",
        )  # fmt: skip


def _collar(facts: Facts, world: World) -> Iterator[Finding]:
    if world.collar_bps is None:
        return
    for premium, bps in facts.numbers(Role.EXIT_PREMIUM_BPS):
        if bps > world.collar_bps:
            yield Finding(
                "exit_over_collar", Severity.IMPOSSIBLE,
                f"{premium.key} asks for {_bps(bps)}, engine.price_collar_bps allows {_bps(world.collar_bps)}: "
                "the step can never be sent",
                (premium.key, "engine.price_collar_bps"), "lower the step or widen the collar",
            )  # fmt: skip


_RULES: Final[tuple[Callable[[Facts, World], Iterator[Finding]], ...]] = (
    _missing_guests, _premium_over_cap, _spread_over_cap, _ttl_under_latency, _never_rests, _stop_inside_costs,
    _take_under_costs, _budget, _collar, _time, _ladder_outlives_intent,
)  # fmt: skip
