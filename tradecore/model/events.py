"""Every event the program can write: one registry, one typed schema each (R39 to R41).

An event is a NamedTuple of plain values: text, int, float, bool, Decimal, ``None``, and tuples or string
mappings of them. Order and ledger events are *booked*: they are rows of the transaction that they
report and are never dropped. The rest are diagnostics: they may be dropped, counted.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar


class Taxonomy(enum.StrEnum):
    """The five families of R39, each a set of journal files with its own retention."""

    DECISION = "decision"
    ORDER = "order"
    TRACER = "tracer"
    AUDIT = "audit"
    HEALTH = "health"


class Ids(NamedTuple):
    """Correlation ids (R40); empty where they do not apply. The session id is the journal's own."""

    decision: str = ""
    """The signal id."""
    intent: str = ""
    client_order: str = ""
    venue_order: str = ""


NO_IDS: Final = Ids()


class Kind(NamedTuple):
    """A registered event kind."""

    name: str
    taxonomy: Taxonomy
    booked: bool
    schema: type[Any]


class Stamped(NamedTuple):
    """An event with its moment and its ids, before it has a sequence number."""

    at_ns: int
    event: Any
    """One of the registered NamedTuples."""
    ids: Ids = NO_IDS


class BookedEvent(NamedTuple):
    """A booked event as the store holds it: the journal follows these by `sequence`."""

    sequence: int
    """Rises by one per event, without a hole, from 1."""
    stamped: Stamped


REGISTRY: Final[dict[str, Kind]] = {}
_BY_TYPE: Final[dict[type[Any], Kind]] = {}
_E = TypeVar("_E", bound=type[Any])


def _event(name: str, taxonomy: Taxonomy, *, booked: bool = False) -> Callable[[_E], _E]:
    def register(schema: _E) -> _E:
        kind = Kind(name, taxonomy, booked, schema)
        assert name not in REGISTRY, name
        REGISTRY[name] = kind
        _BY_TYPE[schema] = kind
        return schema

    return register


def kind_of(event: Any) -> Kind:
    """Look an event's kind up.

    Raises:
        KeyError: If its type is not registered.
    """
    return _BY_TYPE[type(event)]


def kind_of_type(schema: type[Any]) -> Kind:
    """Look the kind of a schema up.

    Raises:
        KeyError: If it is not registered.
    """
    return _BY_TYPE[schema]


# Decisions ---------------------------------------------------------------------------------------------------


class CheckFact(NamedTuple):
    """One gate of a candidate: which guest, which limit, how far."""

    plugin: str
    limit: str
    value: Decimal
    threshold: Decimal
    unit: str
    hit: bool


@_event("scan_outcomes", Taxonomy.DECISION)
class ScanOutcomes(NamedTuple):
    """One row judged: how many candidates, and how many ended in which outcome (R4)."""

    row_ms: int
    candidates: int
    outcomes: Mapping[str, int]
    duration_us: int
    """0 on virtual time."""


@_event("universe_removed", Taxonomy.DECISION)
class UniverseRemoved(NamedTuple):
    """A universe guest keeps a symbol out of this run."""

    symbol: str
    plugin: str
    reason: str


@_event("drop_trigger_eval", Taxonomy.DECISION)
class DropTriggerEval(NamedTuple):
    """A signal guest's value met its threshold in this row."""

    plugin: str
    symbol: str
    row_ms: int
    value: float
    threshold: float
    unit: str
    reason: str
    strength: float
    price: Decimal


@_event("guards_eval", Taxonomy.DECISION)
class GuardsEval(NamedTuple):
    """What the risk guests said of one intent, every check (R31)."""

    symbol: str
    attempt: int
    """0 before the reservation, then the attempt that it was asked for."""
    allowed: bool
    checks: tuple[CheckFact, ...]
    caps: Mapping[str, str]


@_event("risk_limits_eval", Taxonomy.DECISION)
class RiskLimitsEval(NamedTuple):
    """The check that denied an intent, named (R31)."""

    symbol: str
    plugin: str
    limit: str
    value: Decimal
    threshold: Decimal
    unit: str


@_event("decision_outcome", Taxonomy.DECISION)
class DecisionOutcome(NamedTuple):
    """A candidate whose signal was met, and what became of it."""

    plugin: str
    symbol: str
    row_ms: int
    outcome: str
    decided_by: str
    """The guest, or ``core``."""
    value: float
    threshold: float
    margin: float
    """Relative to the threshold; <= 0 is inside."""
    unit: str
    detail: str = ""


@_event("sizing_calc", Taxonomy.DECISION)
class SizingCalc(NamedTuple):
    """All sizes offered and the one that binds."""

    symbol: str
    quantity: Decimal
    constraint: str
    offers: Mapping[str, str]
    free_quote: Decimal
    price_cap: Decimal


@_event("dynamic_constraints", Taxonomy.DECISION)
class DynamicConstraints(NamedTuple):
    """Caps in force on an intent and who set them (R8)."""

    symbol: str
    caps: Mapping[str, str]
    inputs: Mapping[str, str]


@_event("price_snapshot", Taxonomy.TRACER)
class PriceSnapshot(NamedTuple):
    """The touch at a decision or a send."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    age_ms: int
    source: str


# Orders ------------------------------------------------------------------------------------------------------


@_event("intent_created", Taxonomy.ORDER, booked=True)
class IntentCreated(NamedTuple):
    """An intent and its reservation became durable."""

    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    price_cap: Decimal
    notional_quote: Decimal
    constraint: str
    plugin: str
    reduces: bool
    reason: str
    position_id: str
    expires_ms: int


@_event("intent_cleared", Taxonomy.ORDER, booked=True)
class IntentCleared(NamedTuple):
    """An intent ended, once, with its reason (R15)."""

    symbol: str
    side: str
    state: str
    reason: str
    detail: str
    quantity: Decimal
    executed_quantity: Decimal
    attempts: int
    age_ms: int


@_event("order_attempt", Taxonomy.ORDER, booked=True)
class OrderAttempt(NamedTuple):
    """An attempt moved: PREPARED and SENDING are written before any byte leaves (R12)."""

    symbol: str
    side: str
    number: int
    state: str
    label: str
    time_in_force: str
    price: Decimal
    quantity: Decimal
    clipped_by: str
    fence_ms: int | None
    detail: str = ""


@_event("order_ack", Taxonomy.ORDER, booked=True)
class OrderAck(NamedTuple):
    """The venue took an order."""

    symbol: str
    number: int
    status: str
    """Empty where the acknowledgement carried none."""
    echo: str
    """``same``, or what differs from what was asked (R11)."""
    latency_ms: float


@_event("order_fill", Taxonomy.ORDER, booked=True)
class OrderFill(NamedTuple):
    """One venue trade of ours, booked."""

    symbol: str
    side: str
    number: int
    venue_trade_id: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    fee: Decimal
    fee_currency: str
    is_maker: bool
    late: bool
    """It came after the attempt had settled."""


@_event("order_cancel", Taxonomy.ORDER, booked=True)
class OrderCancel(NamedTuple):
    """A cancel was asked for, or its answer came."""

    symbol: str
    number: int
    reason: str
    answer: str
    """``asked``, or the kind of the venue's answer."""
    filled_before: Decimal
    age_ms: int


@_event("order_done", Taxonomy.ORDER, booked=True)
class OrderDone(NamedTuple):
    """An attempt settled: the venue's executed quantity equals the fills booked."""

    symbol: str
    side: str
    number: int
    outcome: str
    executed_quantity: Decimal
    executed_quote: Decimal
    average_price: Decimal | None
    reason: str
    wait_ms: int


@_event("order_failed", Taxonomy.ORDER, booked=True)
class OrderFailed(NamedTuple):
    """An attempt ended without a fill, or its outcome is not known: always with a code (R10)."""

    symbol: str
    side: str
    number: int
    outcome: str
    code: str
    error_class: str
    detail: str
    latency_ms: float


@_event("retry_attempt", Taxonomy.TRACER)
class RetryAttempt(NamedTuple):
    """A read or a cancel is tried again (R13)."""

    operation: str
    symbol: str
    attempt: int
    of: int
    error_class: str
    wait_ms: int


@_event("duplicate_order_blocked", Taxonomy.ORDER, booked=True)
class DuplicateOrderBlocked(NamedTuple):
    """Something asked for what already exists, and was refused."""

    symbol: str
    what: str
    detail: str


@_event("duplicate_order_found", Taxonomy.ORDER, booked=True)
class DuplicateOrderFound(NamedTuple):
    """The venue holds an order of our form that no row of ours explains."""

    symbol: str
    wire_id: str
    detail: str


# Positions ---------------------------------------------------------------------------------------------------


@_event("sell_trigger_eval", Taxonomy.ORDER, booked=True)
class SellTriggerEval(NamedTuple):
    """An exit level or condition was hit, with all its inputs (R27)."""

    position_id: str
    symbol: str
    reason: str
    by: str
    level: Decimal | None
    price: Decimal
    average_price: Decimal
    peak_price: Decimal
    age_ms: int
    inputs: Mapping[str, str]


@_event("sell_sizing_calc", Taxonomy.ORDER, booked=True)
class SellSizingCalc(NamedTuple):
    """How much of a position can be sold (R28)."""

    position_id: str
    symbol: str
    position_quantity: Decimal
    free_quantity: Decimal
    quantity: Decimal
    dust_quantity: Decimal


@_event("position_opened", Taxonomy.ORDER, booked=True)
class PositionOpened(NamedTuple):
    """The first fill of an entry made a position."""

    position_id: str
    symbol: str
    plugin: str
    quantity: Decimal
    average_price: Decimal


@_event("position_updated", Taxonomy.ORDER, booked=True)
class PositionUpdated(NamedTuple):
    """A position's quantity, levels or state changed (R29)."""

    position_id: str
    symbol: str
    what: str
    quantity: Decimal
    average_price: Decimal
    mark: Decimal | None
    unrealised_pnl_quote: Decimal | None
    peak_price: Decimal
    stop: Decimal | None
    take: Decimal | None
    age_ms: int


@_event("position_closed", Taxonomy.ORDER, booked=True)
class PositionClosed(NamedTuple):
    """A round trip ended (R29)."""

    position_id: str
    symbol: str
    plugin: str
    reason: str
    realised_pnl_quote: Decimal
    fees_quote: Decimal
    duration_ms: int
    dust_quantity: Decimal


@_event("trailing_update", Taxonomy.ORDER, booked=True)
class TrailingUpdate(NamedTuple):
    """A stop moved up."""

    position_id: str
    symbol: str
    by: str
    old_stop: Decimal | None
    new_stop: Decimal
    peak_price: Decimal


# Ledger ------------------------------------------------------------------------------------------------------


class Leg(NamedTuple):
    """One line of a ledger transaction."""

    account: str
    currency: str
    amount: Decimal


@_event("ledger_entry", Taxonomy.AUDIT, booked=True)
class LedgerEntry(NamedTuple):
    """A balanced ledger transaction (R45)."""

    posting_id: str
    kind: str
    legs: tuple[Leg, ...]


@_event("budget_reserved", Taxonomy.AUDIT, booked=True)
class BudgetReserved(NamedTuple):
    """Money was set aside for an intent."""

    currency: str
    amount: Decimal
    free_after: Decimal


@_event("budget_released", Taxonomy.AUDIT, booked=True)
class BudgetReleased(NamedTuple):
    """What a reservation still held was given back, once."""

    currency: str
    amount: Decimal
    consumed: Decimal
    released: Decimal
    reason: str
    detail: str


@_event("portfolio_snapshot", Taxonomy.AUDIT)
class PortfolioSnapshot(NamedTuple):
    """Derived figures at the persist job."""

    currency: str
    equity: Decimal
    free: Decimal
    reserved: Decimal
    exposure: Decimal
    positions: int
    pending: int


@_event("reconciliation_result", Taxonomy.AUDIT, booked=True)
class ReconciliationResult(NamedTuple):
    """What a comparison with the venue found."""

    when: str
    """``start``, ``running`` or ``end``."""
    attempts_read: int
    trades_posted: int
    orphans: int
    foreign_orders: int
    differences: Mapping[str, str]
    """Currency to ledger minus venue, where not 0."""
    missing: tuple[str, ...]
    """Reads that got no answer: a missing answer is not zero."""
    ok: bool


# Audit and health --------------------------------------------------------------------------------------------


@_event("trading_state", Taxonomy.AUDIT, booked=True)
class TradingStateChanged(NamedTuple):
    """ACTIVE, REDUCING or HALTED, by whom and why (R33)."""

    old: str
    new: str
    actor: str
    reason: str
    expires_ms: int | None


@_event("operator_command", Taxonomy.AUDIT, booked=True)
class OperatorCommand(NamedTuple):
    """An operator's row was carried out or refused (R54)."""

    command_id: str
    verb: str
    argument: str
    actor: str
    reason: str
    result: str


@_event("plugin_quarantined", Taxonomy.AUDIT, booked=True)
class PluginQuarantined(NamedTuple):
    """A guest is no longer asked for one hook."""

    plugin: str
    hook: str
    faults: int
    last_fault: str


@_event("plugin_fault", Taxonomy.AUDIT)
class PluginFault(NamedTuple):
    """A guest raised, hung, or answered something else than was asked."""

    plugin: str
    hook: str
    fault: str
    faults: int


@_event("tune_applied", Taxonomy.AUDIT, booked=True)
class TuneApplied(NamedTuple):
    """A guest's job changed another guest's setting, in force from the next row."""

    by: str
    setting: str
    old: str
    new: str
    reason: str


@_event("config_snapshot", Taxonomy.AUDIT, booked=True)
class ConfigSnapshot(NamedTuple):
    """The effective settings at start, secrets masked."""

    digest: str
    profile: str
    values: Mapping[str, str]
    origins: Mapping[str, str]


@_event("config_change", Taxonomy.AUDIT, booked=True)
class ConfigChange(NamedTuple):
    """A setting differs from the last start's on this state."""

    setting: str
    old: str
    new: str
    origin: str


@_event("config_drift", Taxonomy.AUDIT)
class ConfigDrift(NamedTuple):
    """A settings file changed on disk while running; not in force."""

    file: str
    digest_at_start: str
    digest_now: str


@_event("session_started", Taxonomy.AUDIT, booked=True)
class SessionStarted(NamedTuple):
    """A run began on this state."""

    run_id: str
    run_number: int
    profile: str
    plugins: tuple[str, ...]
    seed: int
    version: str


@_event("session_ended", Taxonomy.AUDIT, booked=True)
class SessionEnded(NamedTuple):
    """A run ended; the phases that failed, if any (R24)."""

    run_id: str
    reason: str
    failed_phases: tuple[str, ...]
    errors: Mapping[str, int]
    """Error summary: class to count."""


@_event("exchange_call", Taxonomy.TRACER)
class ExchangeCall(NamedTuple):
    """One request to the venue and its answer (R42)."""

    operation: str
    symbol: str
    status: int | None
    latency_ms: float
    weight_used: int | None
    error_class: str


@_event("rate_limit_hit", Taxonomy.HEALTH)
class RateLimitHit(NamedTuple):
    """The venue or our own limiter made a request wait."""

    operation: str
    wait_ms: int
    by: str


@_event("hook_trace", Taxonomy.TRACER)
class HookTrace(NamedTuple):
    """One guest's answer, where tracing is on."""

    plugin: str
    hook: str
    answer: str
    duration_us: float


@_event("uncaught_exception", Taxonomy.HEALTH)
class UncaughtException(NamedTuple):
    """Something raised where nothing should."""

    where: str
    error_class: str
    message: str
    traceback: str


@_event("alert_fired", Taxonomy.HEALTH)
class AlertFired(NamedTuple):
    """Something a person should look at."""

    name: str
    severity: str
    text: str


@_event("heartbeat", Taxonomy.HEALTH)
class Heartbeat(NamedTuple):
    """The loop is alive, and how it does."""

    uptime_s: float
    loop_lag_ms: float
    queue_depth: int
    dropped: int
    pending_intents: int
    positions: int
    state: str


@_event("slow_cycle", Taxonomy.HEALTH)
class SlowCycle(NamedTuple):
    """A job took longer than a second, or missed its turn (R5)."""

    job: str
    what: str
    """``slow``, ``missed``, ``overlap`` or ``failed``."""
    duration_ms: float
    detail: str = ""


@_event("late_call", Taxonomy.HEALTH)
class LateCall(NamedTuple):
    """A guest overran its deadline; reported on virtual time, acted on elsewhere."""

    plugin: str
    hook: str
    duration_ms: float
    deadline_ms: float


@_event("balance_refresh", Taxonomy.HEALTH)
class BalanceRefresh(NamedTuple):
    """The balances were read beside the loop, or were not (R20)."""

    ok: bool
    latency_ms: float
    age_ms: int
    detail: str = ""


@_event("log_record", Taxonomy.HEALTH)
class LogRecord(NamedTuple):
    """A line that a library wrote to the standard logging module."""

    logger: str
    level: str
    message: str


@_event("journal_drops", Taxonomy.HEALTH)
class JournalDrops(NamedTuple):
    """Diagnostics that the full queue dropped since the last report."""

    dropped: int
    total: int


@_event("journal_fault", Taxonomy.HEALTH)
class JournalFault(NamedTuple):
    """The journal itself met trouble and went on; told once it could write again."""

    what: str
    """``sink_error``, ``upkeep_error``, ``torn_line``, ``unencodable``, ``reader_error``, ``sequence_gap``,
    ``store_behind``, ``writer_error`` or ``cap``."""
    times: int
    """How often since the last report."""
    total: int
    detail: str


@_event("journal_rotated", Taxonomy.AUDIT)
class JournalRotated(NamedTuple):
    """A day's file was packed (R39)."""

    journal: str
    """The taxonomy whose file it is."""
    file: str
    """Name without its folder."""
    size_bytes: int
    """Before packing."""
    packed_bytes: int


@_event("journal_retention", Taxonomy.AUDIT)
class JournalRetention(NamedTuple):
    """A day's file was deleted (R39)."""

    journal: str
    """The taxonomy whose file it was."""
    file: str
    """Name without its folder."""
    size_bytes: int
    reason: str
    """``age`` or ``cap``."""
