"""Settings as the plain values that engine and twin are made with."""

from __future__ import annotations

from decimal import Decimal

from tradecore.engine.config import BreakerConfig, EngineConfig, ExitLadder
from tradecore.model.events import Taxonomy
from tradecore.ports.venue import VenueTiming
from tradecore.settings.sections import BreakerSection, Settings
from tradecore.venues.twin.build import TwinPlan
from tradecore.venues.twin.records import BookShape

_DAY_MS = 86_400_000


def engine_config(settings: Settings, *, commands: bool) -> EngineConfig:
    """Make the engine's configuration.

    Args:
        commands: False where nobody could write a command row: the state is gone with the run, no guest operates.
    """
    engine, account = settings.engine, settings.account
    intervals = {name.removesuffix("_s"): float(value) for name, value in settings.intervals.model_dump().items()}
    if not commands:
        del intervals["commands"]
    ladder = engine.exit_ladder
    # an exit that may cross at any price has a collar that never binds
    collar = Decimal(9_999) if engine.exit_market_allowed else engine.price_collar_bps
    return EngineConfig(
        account=account.name,
        currency=account.currency,
        capital_limit=account.capital_limit_quote,
        adopt_balances=account.adopt_balances,
        max_slippage_bps=engine.max_slippage_bps,
        max_spread_bps=engine.max_spread_bps,
        intent_ttl_ms=int(engine.intent_ttl_s * 1_000),
        book_age_ms_max=engine.book_age_ms_max,
        price_age_ms_max=int(engine.price_age_s_max * 1_000),
        poll_ms=engine.poll_ms,
        unknown_backoff_s=tuple(engine.unknown_backoff_s),
        stuck_after_ms=int(engine.stuck_after_s * 1_000),
        price_collar_bps=collar,
        exit_ladder=ExitLadder(
            tuple(ladder.premiums_bps), ladder.ttl_ms, ladder.attempts, tuple(float(s) for s in ladder.backoff_s)
        ),
        breaker=_breaker(settings.breaker),
        block_rows=settings.market.block_rows,
        slow_cycle_ms=engine.slow_cycle_ms,
        zero_fill_sends=engine.zero_fill_sends,
        time_scale=settings.run.scale or 1.0,
        keep_orders=settings.shutdown.policy == "keep",
        phase_ms=int(settings.shutdown.phase_s * 1_000),
        total_ms=int(settings.shutdown.total_s * 1_000),
        requests_per_minute=settings.limiter.requests_per_minute,
        intervals_s=intervals,
        key_rights_confirmed=settings.venue.key_rights_confirmed,
        retention_ms=settings.journal.retention_days.order * _DAY_MS,
    )


def _breaker(section: BreakerSection) -> BreakerConfig:
    return BreakerConfig(
        daily_drawdown_pct=section.daily_drawdown_pct,
        loss_streak=section.loss_streak,
        loss_pause_ms=int(section.loss_pause_s * 1_000),
        failed_orders_pct=section.failed_orders_pct,
        failed_orders_min=section.failed_orders_min,
        failed_orders_window_ms=int(section.failed_orders_window_s * 1_000),
        failed_orders_pause_ms=int(section.failed_orders_pause_s * 1_000),
        rejects_in_a_row=section.rejects_in_a_row,
        reject_pause_ms=int(section.reject_pause_s * 1_000),
        faults_max=section.faults_max,
        faults_window_ms=int(section.faults_window_s * 1_000),
        fault_pause_ms=int(section.fault_pause_s * 1_000),
    )


def retention_days(settings: Settings) -> dict[Taxonomy, int]:
    """Days that journal files are kept, by taxonomy."""
    days = settings.journal.retention_days
    return {taxonomy: int(getattr(days, taxonomy.value)) for taxonomy in Taxonomy}


def venue_timing(settings: Settings) -> VenueTiming:
    """Make the times of the fence at a real exchange."""
    venue = settings.venue
    return VenueTiming(venue.receive_window_ms, venue.engine_timeout_ms, venue.read_lag_ms, venue.clock_error_ms)


def twin_plan(settings: Settings) -> TwinPlan:
    """Make the twin's plan."""
    twin, market = settings.twin, settings.market
    return TwinPlan(
        manners=twin.manners,
        latency_ms=int(twin.latency_ms),
        read_lag_ms=int(twin.read_lag_ms),
        ack_without_status=twin.ack_without_status,
        faults=tuple(twin.faults),
        shape=BookShape(
            spread_bps=float(twin.spread_bps),
            depth_quote=float(twin.depth_quote),
            depth_levels=twin.depth_levels,
            steps=market.steps_per_row,
            between_closes=market.between_closes,
        ),
    )
