"""The plan of a run: facts of the settings and guests, figures of the world, and what does not fit (R53)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial

from tradecore.engine.pace import BALANCES_SHARE, LIST_SHARE, TRADES_SHARE
from tradecore.errors import SettingsError
from tradecore.hooks.guest import Guest
from tradecore.model.instrument import Instrument
from tradecore.settings import duration_s
from tradecore.settings.clashes import clashes
from tradecore.settings.combinations import Facts, Finding, Severity, World, findings
from tradecore.settings.roles import Fact, facts_of
from tradecore.settings.sections import Settings
from tradecore.settings.wording import nearest
from tradecore.venues.live.poller import LivePlan
from tradecore.venues.weights import weight_of

CODES = frozenset(
    {
        "premium_over_cap", "spread_over_cap", "ttl_under_latency", "never_reaches_ask", "never_rests",
        "stop_inside_costs", "take_under_costs", "entry_under_min_notional", "entry_over_funds",
        "positions_over_exposure", "exit_over_collar", "run_under_warmup", "interval_under_job",
        "requests_over_limit", "ladder_outlives_intent", "no_sizer", "no_risk", "no_router",
        "no_leader",
        "intent_under_latency", "funds_under_min_notional", "entry_over_exposure", "stop_over_drawdown",
        "prices_older_than_limit", "exits_slower_than_rows", "stuck_before_fence", "clock_error_over_window",
        "timeout_over_interval", "proof_over_interval", "universe_without_effect", "allow_without_effect",
    }
)  # fmt: skip
_SOME = 100
"""Symbols whose quotes exchanges weigh less than those of all."""


def plan_facts(settings: Settings, guests: Iterable[Guest]) -> list[Fact]:
    """All values that take a role, the core's and the guests'."""
    facts = list(facts_of(settings.engine, "engine"))
    for guest in guests:
        facts += facts_of(guest.settings, f"plugins.{guest.name}")
    return facts


def world_of(
    settings: Settings,
    instruments: Mapping[str, Instrument],
    warmup_s: float,
    row_s: float,
    measured: Mapping[str, float] | None = None,
) -> World:
    """What the settings will meet.

    Args:
        instruments: The universe; empty where it is not known before the exchange has answered.
        warmup_s: History that the guests want and that is not there at the start, s.
        row_s: Length of a row, s.
        measured: Figures of an earlier run: ``latency_ms`` and ``job.NAME`` in ms, ``spread_bps``.
    """
    measured = measured or {}
    embedded = settings.run.mode != "live"
    own_prices = settings.run.mode == "twin"
    latency = Decimal(str(settings.twin.latency_ms)) if embedded else None
    if "latency_ms" in measured:
        latency = Decimal(str(measured["latency_ms"]))
    spread = settings.twin.spread_bps if own_prices else None
    if "spread_bps" in measured:
        spread = Decimal(str(measured["spread_bps"]))
    funds = settings.account.opening.get(settings.account.currency, Decimal(0)) if embedded else None
    limit = settings.account.capital_limit_quote
    if limit is not None:
        funds = limit if funds is None else min(limit, funds)
    intervals = settings.intervals.model_dump()
    fees = [item.taker_fee_bps for item in instruments.values()]
    minima = [item.min_notional_quote for item in instruments.values()]
    return World(
        taker_fee_bps=max(fees, default=settings.twin.taker_fee_bps if embedded else None),
        spread_bps=spread,
        latency_ms=latency,
        min_notional_quote=max(minima, default=None),
        funds_quote=funds,
        equity_quote=settings.account.opening.get(settings.account.currency, Decimal(0)) if embedded else None,
        row_s=row_s,
        warmup_s=warmup_s,
        run_s=duration_s(settings.run.for_) if settings.run.for_ else None,
        intent_ttl_s=settings.engine.intent_ttl_s,
        price_age_s=settings.engine.price_age_s_max,
        collar_bps=None if settings.engine.exit_market_allowed else settings.engine.price_collar_bps,
        requests_per_minute=None if own_prices else settings.limiter.requests_per_minute,
        requests_planned=0.0 if own_prices else _requests_planned(settings),
        job_ms=tuple(_jobs(intervals, measured)),
    )


def _jobs(intervals: Mapping[str, float], measured: Mapping[str, float]) -> Iterator[tuple[str, float, float]]:
    """Jobs whose interval is a setting: name, interval and longest run, ms; a guest's job is ``job.PLUGIN.NAME``."""
    for key, longest_ms in measured.items():
        kind, _, job = key.partition(".")
        name = job.rpartition(".")[2]
        if kind == "job" and f"{name}_s" in intervals:
            yield name, float(intervals[f"{name}_s"]) * 1000, longest_ms


def _requests_planned(settings: Settings) -> float:
    """Turns of the request limit that a minute takes while nothing is traded, as the exchange weighs each request.

    What is compared with the exchange keeps to its share of the limit by itself.
    """
    intervals, venue = settings.intervals, settings.venue
    weigh, limit = partial(weight_of, venue.exchange), settings.limiter.requests_per_minute
    count = settings.universe.count
    whole = weigh("quotes_some" if count is not None and count <= _SOME else "quotes_all")
    best = weigh("best_many")
    rows = 60 / duration_s(settings.market.row)
    often = rows if venue.streams else 60 / venue.quotes_s + rows
    planned = 60_000 / LivePlan().sweep_ms * whole + often * best + 60 / venue.instruments_s * weigh("instruments")
    if settings.run.mode != "live":
        return planned
    for operation, share in (
        ("open_orders_all", LIST_SHARE), ("balances", BALANCES_SHARE), ("trades", TRADES_SHARE),
    ):  # fmt: skip
        planned += min(60 / intervals.reconcile_s * weigh(operation), share * limit)
    # the comparison's look at balances counts as a refresh where it comes often enough
    planned += 60 / intervals.conservation_s * weigh("balances") + 60 / intervals.clock_check_s * weigh("time")
    looks = min(60 / intervals.reconcile_s, BALANCES_SHARE * limit / weigh("balances"))
    if looks < 120 / intervals.balance_refresh_s:
        planned += 60 / intervals.balance_refresh_s * weigh("balances")
    return planned


def judge(settings: Settings, guests: Sequence[Guest], world: World) -> tuple[Finding, ...]:
    """Say what does not fit, impossible things first.

    Raises:
        SettingsError: `run.allow` names no finding.
    """
    for code in settings.run.allow:
        if code not in CODES:
            known = f"{', '.join(sorted(CODES))}), was {code!r}{nearest(code, CODES)}"
            raise SettingsError(f"run.allow: expected codes of findings ({known}")
    hooks = frozenset(hook for guest in guests for hook in guest.hooks)
    facts = plan_facts(settings, guests)
    world = world._replace(hooks=hooks)
    found = [*findings(facts, world), *clashes(settings, Facts(facts), world)]
    for code in settings.run.allow:
        if all(one.code != code for one in found):
            text = f"run.allow names {code}, which these settings do not have: it would be allowed once they do"
            way_out = f"take {code} out of run.allow"
            found.append(Finding("allow_without_effect", Severity.DOUBTFUL, text, ("run.allow",), way_out))
    return tuple(sorted(found, key=lambda one: one.severity is not Severity.IMPOSSIBLE))


def allowed_of(settings: Settings, found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The impossible findings that the settings allow: what people should be reminded of."""
    return tuple(one for one in found if one.severity is Severity.IMPOSSIBLE and one.code in settings.run.allow)


def refuse_impossible(settings: Settings, found: Sequence[Finding]) -> None:
    """Refuse what can never do what it says, unless the settings allow it by its code.

    Raises:
        SettingsError: All such findings with both values and a way out, in one line.
    """
    barred = [one for one in found if one.severity is Severity.IMPOSSIBLE and one.code not in settings.run.allow]
    if not barred:
        return
    told = "; ".join(f"{one.code}: {one.text} ({one.way_out})" for one in barred)
    # the list of the settings is replaced by this one: what it allows already must not be lost
    codes = ",".join(dict.fromkeys((*settings.run.allow, *(one.code for one in barred))))
    raise SettingsError(f"impossible settings: {told}; to run all the same: --set run.allow={codes}")
