"""The run itself: state, settings, guests, calls, health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tradecore.model.events.kinds import Taxonomy, event_kind


@event_kind("trading_state", Taxonomy.AUDIT, booked=True)
class TradingStateChanged(NamedTuple):
    """ACTIVE, REDUCING or HALTED, by whom and why (R33)."""

    old: str
    new: str
    actor: str
    reason: str
    expires_ms: int | None


@event_kind("operator_command", Taxonomy.AUDIT, booked=True)
class OperatorCommand(NamedTuple):
    """An operator's row was carried out or refused (R54)."""

    command_id: str
    verb: str
    argument: str
    actor: str
    reason: str
    result: str


@event_kind("plugin_quarantined", Taxonomy.AUDIT, booked=True)
class PluginQuarantined(NamedTuple):
    """A guest is no longer asked for one hook."""

    plugin: str
    hook: str
    faults: int
    last_fault: str


@event_kind("plugin_fault", Taxonomy.AUDIT)
class PluginFault(NamedTuple):
    """A guest raised, hung, or answered something else than was asked."""

    plugin: str
    hook: str
    fault: str
    faults: int


@event_kind("tune_applied", Taxonomy.AUDIT, booked=True)
class TuneApplied(NamedTuple):
    """A guest's job changed another guest's setting, in force from the next row."""

    by: str
    setting: str
    old: str
    new: str
    reason: str


@event_kind("tune_undone", Taxonomy.AUDIT, booked=True)
class TuneUndone(NamedTuple):
    """A tuned setting is what the files say again: a start found nobody who stands behind the tune."""

    by: str
    setting: str
    value: str
    """What it had been tuned to."""
    reason: str


@event_kind("config_snapshot", Taxonomy.AUDIT, booked=True)
class ConfigSnapshot(NamedTuple):
    """The effective settings at start, secrets masked."""

    digest: str
    profile: str
    values: Mapping[str, str]
    origins: Mapping[str, str]


@event_kind("config_change", Taxonomy.AUDIT, booked=True)
class ConfigChange(NamedTuple):
    """A setting differs from the last start's on this state."""

    setting: str
    old: str
    new: str
    origin: str


@event_kind("config_drift", Taxonomy.AUDIT)
class ConfigDrift(NamedTuple):
    """A settings file changed on disk while running; not in force."""

    file: str
    digest_at_start: str
    digest_now: str


@event_kind("session_started", Taxonomy.AUDIT, booked=True)
class SessionStarted(NamedTuple):
    """A run began on this state."""

    run_id: str
    run_number: int
    profile: str
    plugins: tuple[str, ...]
    seed: int
    version: str


@event_kind("store_behind", Taxonomy.AUDIT, booked=True)
class StoreBehind(NamedTuple):
    """A start found the store behind its journal: what was told between the two numbers holds no longer (F34)."""

    store: int
    """Sequence of the newest event that the store held; 0 for an empty one."""
    journal: int
    """Sequence of the newest event that had been told."""
    orders: int
    """Orders that were told and lost, taken up again and read at the venue."""
    unknown: int
    """Lost orders of intents that nobody knows."""


@event_kind("session_ended", Taxonomy.AUDIT, booked=True)
class SessionEnded(NamedTuple):
    """A run ended; the phases that failed, if any (R24)."""

    run_id: str
    reason: str
    failed_phases: tuple[str, ...]
    errors: Mapping[str, int]
    """Error summary: class to count."""


@event_kind("exchange_call", Taxonomy.TRACER)
class ExchangeCall(NamedTuple):
    """One request to the venue and its answer (R42)."""

    operation: str
    symbol: str
    status: int | None
    latency_ms: float
    weight_used: int | None
    error_class: str


@event_kind("rate_limit_hit", Taxonomy.HEALTH)
class RateLimitHit(NamedTuple):
    """The venue or our own limiter made a request wait."""

    operation: str
    wait_ms: int
    by: str


@event_kind("hook_trace", Taxonomy.TRACER)
class HookTrace(NamedTuple):
    """One guest's answer, where tracing is on."""

    plugin: str
    hook: str
    answer: str
    duration_us: float


@event_kind("uncaught_exception", Taxonomy.HEALTH)
class UncaughtException(NamedTuple):
    """Something raised where nothing should."""

    where: str
    error_class: str
    message: str
    traceback: str


@event_kind("alert_fired", Taxonomy.HEALTH)
class AlertFired(NamedTuple):
    """Something a person should look at, or the end of it."""

    name: str
    severity: str
    """``info``, ``warning`` or ``critical``."""
    text: str
    by: str = "core"
    """The guest whose job told it, or ``core``."""
    resolved: bool = False
    """True where what an earlier one of that name told is over."""


@event_kind("heartbeat", Taxonomy.HEALTH)
class Heartbeat(NamedTuple):
    """The loop is alive, and how it does."""

    uptime_s: float
    loop_lag_ms: float
    queue_depth: int
    dropped: int
    pending_intents: int
    positions: int
    state: str
    unproven: Mapping[str, int] = {}
    """State to attempts that the venue may hold without proof: SENDING, UNKNOWN, STUCK, REOPENED."""
    oldest_unproven_ms: int = 0
    """Since the oldest of them was sent; 0 where there is none."""
    quarantined: int = 0
    """Hooks of guests that are not asked."""
    job_lag_ms: Mapping[str, float] = {}
    """Job to market time since its newest good end, less its interval; 0 where it is in time."""


@event_kind("slow_cycle", Taxonomy.HEALTH)
class SlowCycle(NamedTuple):
    """A job took longer than a second, or missed its turn (R5)."""

    job: str
    what: str
    """``slow``, ``missed``, ``overlap`` or ``failed``."""
    duration_ms: float
    detail: str = ""


@event_kind("late_call", Taxonomy.HEALTH)
class LateCall(NamedTuple):
    """A guest overran its deadline; reported on virtual time, acted on elsewhere."""

    plugin: str
    hook: str
    duration_ms: float
    deadline_ms: float


@event_kind("balance_refresh", Taxonomy.HEALTH)
class BalanceRefresh(NamedTuple):
    """The balances were read beside the loop, or were not (R20)."""

    ok: bool
    latency_ms: float
    age_ms: int
    detail: str = ""


@event_kind("clock_skew", Taxonomy.HEALTH)
class ClockSkew(NamedTuple):
    """The venue's clock was compared with ours (R21)."""

    skew_ms: int
    """The venue's less ours."""
    error_ms: int
    """By so much the figure may be wrong."""
    limit_ms: int
    """What is allowed."""
    ok: bool


@event_kind("clock_gap", Taxonomy.HEALTH)
class ClockGap(NamedTuple):
    """Nothing ran for a while, or our clock was found behind: the machine slept, was stopped, or its clock was set."""

    stalled_ms: int
    """For so long nothing ran, market time."""
    moved_ms: int
    """Our clock was moved on by so much."""
    ahead_ms: int
    """By so much the wall clock had gone ahead of ours by itself; negative: it was set back."""
    proof: str
    """What proves that the time has passed: the kernel, the venue's clock beside the wall's, or nothing."""


@event_kind("symbol_halt", Taxonomy.AUDIT, booked=True)
class SymbolHalt(NamedTuple):
    """A symbol is shut for entries for a while: the venue refuses it."""

    symbol: str
    reason: str
    until_ms: int
    times: int
    """How often in a row."""


class SweepStep(NamedTuple):
    """One step of a reconciliation with the venue."""

    number: int
    """1 to 14."""
    name: str
    result: str
    duration_ms: int
    """Market time."""
    ok: bool


@event_kind("sweep_report", Taxonomy.AUDIT, booked=True)
class SweepReport(NamedTuple):
    """Everything was read anew from the venue, step by step: at a start, after a reconnect, every hour (R19)."""

    when: str
    """``start``, ``reconnect``, ``return`` (of a lost venue) or ``interval``."""
    ok: bool
    steps: tuple[SweepStep, ...]
    duration_ms: int
    """Market time."""


@event_kind("log_record", Taxonomy.HEALTH)
class LogRecord(NamedTuple):
    """A line that a library wrote to the standard logging module."""

    logger: str
    level: str
    message: str


@event_kind("journal_drops", Taxonomy.HEALTH)
class JournalDrops(NamedTuple):
    """Diagnostics that the full queue dropped since the last report."""

    dropped: int
    total: int


@event_kind("journal_fault", Taxonomy.HEALTH)
class JournalFault(NamedTuple):
    """The journal itself met trouble and went on; told once it could write again."""

    what: str
    """``sink_error``, ``upkeep_error``, ``torn_line``, ``unencodable``, ``reader_error``, ``sequence_gap``,
    ``store_behind``, ``writer_error``, ``cap``, or what a start found wrong with the chain: ``lines_missing``,
    ``line_changed``, ``head_missing``, ``head_changed``."""
    times: int
    """How often since the last report."""
    total: int
    detail: str


@event_kind("journal_rotated", Taxonomy.AUDIT)
class JournalRotated(NamedTuple):
    """A day's file was packed (R39)."""

    journal: str
    """The taxonomy whose file it is."""
    file: str
    """Name without its folder."""
    size_bytes: int
    """Before packing."""
    packed_bytes: int
    lines: int = 0
    first_seq: int = 0
    """Number of its first line."""
    last_seq: int = 0
    """Number of its last line."""
    link: str = ""
    """Link of its last line."""
    digest: str = ""
    """BLAKE2b-16 of the packed file."""


@event_kind("journal_retention", Taxonomy.AUDIT)
class JournalRetention(NamedTuple):
    """A day's file was deleted (R39)."""

    journal: str
    """The taxonomy whose file it was."""
    file: str
    """Name without its folder."""
    size_bytes: int
    reason: str
    """``age`` or ``cap``."""
    last_seq: int = 0
    """Number of its last line: the chain of what is left begins behind it."""
    link: str = ""
    """Link of its last line."""
