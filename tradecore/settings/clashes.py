"""Settings of the core against each other: waits that cannot be met, money that cannot be spent, what has no effect.

The rules of `combinations` judge by roles that any guest's settings may take; these judge the core's own sections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from tradecore.model.units import canonical
from tradecore.settings.combinations import Facts, Finding, Severity, World
from tradecore.settings.duration import duration_s
from tradecore.settings.roles import Role
from tradecore.settings.sections import Settings

_HUNDRED: Final = Decimal(100)
_PROOF_S: Final = 15.0
"""How long a proof may wait for balances that stand, beyond the read lag (`engine/conservation.py`)."""
_CALLING: Final = ("balance_refresh", "reconcile", "clock_check", "conservation")
"""Jobs that wait for the exchange."""


def clashes(settings: Settings, facts: Facts, world: World) -> Iterator[Finding]:
    """Yield what does not fit.

    Args:
        facts: Values by role, the core's and the guests'.
        world: What they will meet.
    """
    for rule in _RULES:
        yield from rule(settings, facts, world)


def _doubtful(code: str, text: str, keys: tuple[str, ...], way_out: str) -> Finding:
    return Finding(code, Severity.DOUBTFUL, text, keys, way_out)


def _impossible(code: str, text: str, keys: tuple[str, ...], way_out: str) -> Finding:
    return Finding(code, Severity.IMPOSSIBLE, text, keys, way_out)


def _intent_under_latency(settings: Settings, facts: Facts, world: World) -> Iterator[Finding]:
    del facts
    if world.latency_ms is None:
        return
    least_s = float(world.latency_ms) * 2 / 1000
    lives_s = settings.engine.intent_ttl_s
    if lives_s < least_s:
        yield _impossible(
            "intent_under_latency",
            f"engine.intent_ttl_s gives an entry {lives_s:g} s, one send and the read of its end take {least_s:g} s",
            ("engine.intent_ttl_s",), f"let it live at least {least_s:g} s, and as long as its ladder takes",
        )  # fmt: skip


def _money(settings: Settings, facts: Facts, world: World) -> Iterator[Finding]:
    """Judge one entry by what may be in use at once, and one stop by the day's breaker."""
    entry, exposure = facts.tightest(Role.ENTRY_QUOTE), facts.tightest(Role.EXPOSURE_MAX_PCT)
    least, funds, equity = world.min_notional_quote, world.funds_quote, world.equity_quote
    if entry is None and least is not None and funds is not None and funds < least:
        yield _impossible(
            "funds_under_min_notional",
            f"{canonical(funds)} may be in use, an order of the universe must be worth {canonical(least)}",
            ("account.capital_limit_quote", "account.opening"), f"let {canonical(least)} be in use, or more",
        )  # fmt: skip
    if entry is None or equity is None or equity <= 0:
        return
    if exposure is not None and entry[1] > equity * exposure[1] / _HUNDRED:
        allowed = equity * exposure[1] / _HUNDRED
        yield _impossible(
            "entry_over_exposure",
            f"{entry[0].key} spends {canonical(entry[1])}, {exposure[0].key} = {canonical(exposure[1])} allows "
            f"{canonical(allowed)} in all: every entry is refused",
            (entry[0].key, exposure[0].key), f"spend at most {canonical(allowed)}, or allow more exposure",
        )  # fmt: skip
    falls = settings.breaker.daily_drawdown_pct
    for stop, percent in facts.numbers(Role.STOP_PCT):
        lost = entry[1] * percent / equity
        if 0 < falls <= lost:
            yield _doubtful(
                "stop_over_drawdown",
                f"one stop at {stop.key} = {canonical(percent)} % of {canonical(entry[1])} costs {canonical(lost)} % "
                f"of the equity, breaker.daily_drawdown_pct stops entries for the day at {canonical(falls)} %",
                (stop.key, "breaker.daily_drawdown_pct", entry[0].key), "spend less on an entry or raise the limit",
            )  # fmt: skip


def _prices(settings: Settings, facts: Facts, world: World) -> Iterator[Finding]:
    """Judge limits of a price's age by how often prices are read where no stream tells them."""
    del facts, world
    if settings.run.mode == "twin":
        return
    pause_s = settings.venue.quotes_s
    for key, limit_s in (
        ("market.stale_s", settings.market.stale_s), ("engine.price_age_s_max", settings.engine.price_age_s_max),
    ):  # fmt: skip
        if limit_s < pause_s:
            when = "while no stream is alive" if settings.venue.streams else "always, since venue.streams is false"
            yield _doubtful(
                "prices_older_than_limit",
                f"{key} takes prices of {limit_s:g} s at most, venue.quotes_s reads them every {pause_s:g} s ({when}): "
                "in between nothing can be bought",
                (key, "venue.quotes_s"), f"take prices of {pause_s:g} s or more, or read them more often",
            )  # fmt: skip
    row_s, looks_s = duration_s(settings.market.row), settings.intervals.exit_check_s
    if looks_s > row_s:
        yield _doubtful(
            "exits_slower_than_rows",
            f"intervals.exit_check_s looks at stops every {looks_s:g} s, market.row closes every {row_s:g} s: a "
            "position may be long beyond its stop before anybody looks",
            ("intervals.exit_check_s", "market.row"), f"look every {row_s:g} s or more often",
        )  # fmt: skip


def _waits(settings: Settings, facts: Facts, world: World) -> Iterator[Finding]:
    """Judge waits for an exchange by each other."""
    del facts, world
    if settings.run.mode != "live":
        return
    venue, engine, intervals = settings.venue, settings.engine, settings.intervals
    fence_s = (
        venue.receive_window_ms + venue.engine_timeout_ms + venue.read_lag_ms + venue.clock_error_ms
    ) / 1000  # fmt: skip
    if engine.stuck_after_s < fence_s:
        yield _doubtful(
            "stuck_before_fence",
            f"engine.stuck_after_s alarms of an unknown order after {engine.stuck_after_s:g} s, that it does not exist "
            f"can be proven after {fence_s:g} s (venue.receive_window_ms, engine_timeout_ms, read_lag_ms and "
            "clock_error_ms together)",
            ("engine.stuck_after_s", "venue.receive_window_ms"), f"alarm after {fence_s:g} s or later",
        )  # fmt: skip
    if venue.clock_error_ms * 2 > venue.receive_window_ms:
        yield _impossible(
            "clock_error_over_window",
            f"venue.clock_error_ms lets a run start with clocks {venue.clock_error_ms} ms apart, entries stop beyond "
            f"half of venue.receive_window_ms, {venue.receive_window_ms / 2:g} ms",
            ("venue.clock_error_ms", "venue.receive_window_ms"),
            f"allow at most {venue.receive_window_ms // 2} ms, or widen the window to {venue.clock_error_ms * 2} ms",
        )  # fmt: skip
    for job in _CALLING:
        every_s = float(getattr(intervals, f"{job}_s"))
        if venue.timeout_ms / 1000 > every_s:
            yield _doubtful(
                "timeout_over_interval",
                f"venue.timeout_ms waits {venue.timeout_ms / 1000:g} s for one answer, intervals.{job}_s is "
                f"{every_s:g} s: the job is late while the exchange is slow",
                ("venue.timeout_ms", f"intervals.{job}_s"), f"wait {every_s:g} s at most, or lengthen the interval",
            )  # fmt: skip
    proof_s = venue.read_lag_ms / 1000 + _PROOF_S
    if intervals.conservation_s < proof_s:
        yield _doubtful(
            "proof_over_interval",
            f"intervals.conservation_s proves every {intervals.conservation_s:g} s, a proof may wait {proof_s:g} s for "
            f"balances that stand (venue.read_lag_ms = {venue.read_lag_ms})",
            ("intervals.conservation_s", "venue.read_lag_ms"), f"prove every {proof_s:g} s or less often",
        )  # fmt: skip


def _universe(settings: Settings, facts: Facts, world: World) -> Iterator[Finding]:
    del facts, world
    universe = settings.universe
    if settings.run.mode != "twin" or settings.market.source != "generated":
        return
    for key, value in (("universe.symbols", universe.symbols), ("universe.exclude", universe.exclude)):
        if value not in ((), ("*",)):
            yield _doubtful(
                "universe_without_effect",
                f"{key} = {', '.join(value)}, market.source = generated makes up {settings.market.generated.symbols} "
                "symbols of its own: all of them are traded",
                (key, "market.source"), "leave it out, or read candle files (market.source = files, or --data FOLDER)",
            )  # fmt: skip


_RULES: Final[tuple[Callable[[Settings, Facts, World], Iterator[Finding]], ...]] = (
    _intent_under_latency, _money, _prices, _waits, _universe,
)  # fmt: skip
