"""Every section of the settings: a frozen model each, a description, a unit and bounds on each field.

``settings/base.toml`` holds the same defaults for people to read; a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tradecore.settings.duration import duration_s

_TIMEFRAME = re.compile(r"[1-9]\d*[smhd]")


def field(default: Any, description: str, unit: str, *, plan: str = "", **bounds: Any) -> Any:
    """Declare a field with its description and unit; a callable default is called for each instance.

    Args:
        plan: What the plan takes it for (``settings/roles.py``); empty: nothing.
    """
    kind = "default_factory" if callable(default) else "default"
    extra: dict[str, Any] = {"unit": unit, "plan": plan} if plan else {"unit": unit}
    return Field(**{kind: default}, description=description, json_schema_extra=extra, **bounds)


def _listed(value: object) -> object:
    """Read ``a,b`` as two names, so that an environment variable can hold a list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _timeframe(text: str) -> str:
    if not _TIMEFRAME.fullmatch(text):
        raise ValueError(f"expected a length such as '5s', '1m' or '1h', was {text!r}")
    return text


def _duration(text: str) -> str:
    if text:
        duration_s(text)
    return text


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Timeframe = Annotated[str, AfterValidator(_timeframe)]
NonNegative = Annotated[Decimal, Field(ge=0)]
Pause = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown key is refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, hide_input_in_errors=True
    )


class RunSection(Section):
    """What is run, and how fast."""

    plugins: Names = field((), "Guests in the order in which they are asked", "names")
    mode: Literal["twin", "paper", "live"] = field("twin", "Where orders go", "name")
    speed: Literal["max"] | Annotated[float, Field(gt=0)] = field(
        "max", "Market seconds per second of the wall, or max for virtual time", "market s per s"
    )
    operators: Names = field(
        (), "Guests through which people may look and command from outside, as a chat", "names of guests"
    )
    allow: Names = field((), "Findings of `tradecore plan` to run in spite of, by their codes", "names")
    seed: int = field(1, "Start of every random draw; the same seed gives the same run", "number", ge=0, lt=2**63)
    for_: Annotated[str, AfterValidator(_duration)] = field(
        "", "Market time to run for; empty runs to the end of the data or until stopped", "duration", alias="for"
    )

    @property
    def scale(self) -> float | None:
        """Market seconds per second of the wall; ``None`` means virtual time."""
        return None if self.speed == "max" else float(self.speed)


class AccountSection(Section):
    """The account that is traded."""

    name: str = field("demo", "Name of the account; part of every client order id", "name", min_length=1)
    currency: str = field("USDT", "Coin that equity and limits are counted in", "coin", min_length=1)
    capital_limit_quote: Decimal | None = field(
        None, "Most that may be in use at once; absent means no limit", "account currency", gt=0
    )
    opening: Mapping[str, NonNegative] = field(
        lambda: {"USDT": Decimal(10000)}, "The twin's balances at its first start, by coin", "coin units"
    )
    adopt_balances: bool = field(True, "Book balances found at the first start as opening; false ignores them", "flag")


class UniverseSection(Section):
    """Which symbols may be traded."""

    quote: str = field("USDT", "Quote coin of all symbols", "coin", min_length=1)
    symbols: Names = field(("*",), "Symbols or patterns with * and ?", "patterns")
    exclude: Names = field((), "Symbols or patterns left out", "patterns")
    count: int | None = field(None, "Most symbols taken, in source order; absent takes all", "symbols", ge=1)


class GeneratedSection(Section):
    """The market that is drawn from the seed."""

    symbols: int = field(20, "Number of symbols", "symbols", ge=1, le=2000)
    timeframe: Timeframe = field("1m", "Length of a row", "duration")
    mood: Literal["calm", "lively", "crash", "mixed"] = field("lively", "What the market is like", "name")


class MarketSection(Section):
    """Where rows come from."""

    source: Literal["generated", "files"] = field("generated", "Drawn from the seed, or candle files", "name")
    row: Timeframe = field("5s", "Length of a row built from live prices (paper and live)", "duration")
    backfill: bool = field(True, "Fill the history before the first live row from the exchange's candles", "flag")
    stale_s: float = field(15.0, "A live price older than this makes its symbol not tradable", "s", gt=0)
    folder: str = field("", "Folder of candle files, searched recursively", "path")
    timeframe: Timeframe = field("1m", "Timeframe of the candle files", "duration")
    start: str = field("", "First moment of the files, ISO 8601 UTC; empty takes all", "time")
    stop: str = field("", "Moment after the last of the files, ISO 8601 UTC; empty takes all", "time")
    generated: GeneratedSection = field(GeneratedSection, "The generated market", "section")
    between_closes: bool = field(True, "Walk seeded prices between closes; false judges by the candle", "flag")
    steps_per_row: int = field(8, "Prices between two closes", "steps", ge=4, le=1000)
    block_rows: int = field(256, "Rows that signal guests are asked for at once", "rows", ge=1, le=100_000)


class ExitLadder(Section):
    """The core's own ladder, which sells where no guest routes an exit (R10)."""

    premiums_bps: tuple[NonNegative, ...] = field(
        (Decimal(10), Decimal(30), Decimal(50)),
        "Distance under the best bid, rung by rung",
        "bps",
        plan="exit_premium_bps",
        min_length=1,
    )
    ttl_ms: int = field(3000, "Wait for the end of one attempt", "ms", plan="exit_ttl_ms", ge=1, le=86_400_000)
    attempts: int = field(4, "Attempts in one round; the last rung is repeated", "attempts", ge=1, le=100)
    backoff_s: tuple[Pause, ...] = field(
        (1.0, 5.0, 15.0, 60.0), "Pause before the next round; the last is repeated", "s", min_length=1
    )


class Deadlines(Section):
    """When a hook is late. Deciding hooks are reported; telling hooks that are async are ended there."""

    signal: float = field(250.0, "All signal guests for a block", "ms", gt=0)
    follow: float = field(50.0, "All follow guests for a position", "ms", gt=0)
    size: float = field(20.0, "All sizing guests", "ms", gt=0)
    risk_check: float = field(20.0, "All risk guests", "ms", gt=0)
    route_order: float = field(20.0, "One routing guest", "ms", gt=0)
    jobs: float = field(250.0, "One job", "ms", gt=0)
    universe: float = field(250.0, "All universe guests", "ms", gt=0)
    on_start: float = field(10_000.0, "One guest", "ms", gt=0)
    on_fill: float = field(1000.0, "One guest", "ms", gt=0)
    on_fail: float = field(1000.0, "One guest", "ms", gt=0)
    on_event: float = field(1000.0, "One guest", "ms", gt=0)
    on_shutdown: float = field(2000.0, "One guest", "ms", gt=0)


class EngineSection(Section):
    """How the core trades and guards."""

    max_slippage_bps: Decimal = field(
        Decimal(50), "Most that an entry pays over its signal's price", "bps", plan="slippage_cap_bps", gt=0
    )
    max_spread_bps: Decimal = field(
        Decimal(20), "Widest spread at which an entry is made", "bps", plan="spread_cap_bps", gt=0
    )
    intent_ttl_s: float = field(60.0, "Longest life of an entry intent", "s", gt=0)
    price_age_s_max: float = field(15.0, "Oldest price that an entry may rest on", "s", gt=0)
    book_age_ms_max: int = field(2000, "Oldest book that an entry may rest on", "ms", ge=1)
    poll_ms: int = field(250, "Pause between two reads of an open order", "ms", ge=1)
    unknown_backoff_s: tuple[Pause, ...] = field(
        (0.5, 1.0, 2.0, 4.0, 8.0),
        "Pauses between look-ups of an unknown order; the last is repeated",
        "s",
        min_length=1,
    )
    stuck_after_s: float = field(120.0, "An unknown order older than this is STUCK", "s", gt=0)
    exit_ladder: ExitLadder = field(ExitLadder, "The core's own exit ladder", "section")
    exit_market_allowed: bool = field(False, "Let the last rung of an exit cross at any price", "flag")
    price_collar_bps: Decimal = field(Decimal(500), "Farthest an exit's limit may lie from the last price", "bps", gt=0)
    trace_hooks: bool = field(False, "Write every guest's answer to the tracer journal", "flag")
    strikes: int = field(3, "Faults of a guest in one hook until it is quarantined there", "faults", ge=1, le=1000)
    deadlines_ms: Deadlines = field(Deadlines, "When a hook is late", "section")
    watchdog_s: float = field(1.0, "A guest that holds the program longer is interrupted", "s", gt=0)
    hang_s: float = field(3.0, "After an interrupt without effect for so long the process ends with 75", "s", gt=0)
    slow_cycle_ms: float = field(1000.0, "A job that takes longer is a slow cycle", "ms", gt=0)
    zero_fill_sends: int = field(
        20, "Orders of entries without a fill in between that raise an alarm; 0 never does", "orders", ge=0, le=10_000
    )


class BreakerSection(Section):
    """When the circuit breaker stops entries by itself; exits always pass. Times are market time (R33)."""

    daily_drawdown_pct: Decimal = field(
        Decimal(10), "REDUCING until 00:00 UTC at this fall below the day's peak; 0 is off", "% of the day's peak",
        ge=0, le=100,
    )  # fmt: skip
    loss_streak: int = field(0, "REDUCING after so many losing positions in a row; 0 is off", "positions", ge=0)
    loss_pause_s: float = field(3600.0, "How long that lasts", "s", gt=0)
    failed_orders_pct: Decimal = field(
        Decimal(50), "REDUCING where this share of orders is rejected or never placed; 0 is off", "% of orders",
        ge=0, le=100,
    )  # fmt: skip
    failed_orders_min: int = field(20, "Orders in the window before the share counts", "orders", ge=1)
    failed_orders_window_s: float = field(900.0, "The window", "s", gt=0)
    failed_orders_pause_s: float = field(900.0, "How long that lasts", "s", gt=0)
    rejects_in_a_row: int = field(5, "A symbol is locked after so many rejected orders; 0 is off", "orders", ge=0)
    reject_pause_s: float = field(900.0, "How long that lasts", "s", gt=0)
    faults_max: int = field(10, "HALTED at so many unexpected exceptions in the window; 0 is off", "exceptions", ge=0)
    faults_window_s: float = field(300.0, "The window", "s", gt=0)
    fault_pause_s: float = field(1800.0, "How long that lasts", "s", gt=0)


class IntervalsSection(Section):
    """How often the periodic jobs run (R5). Over rows, scan and position update run at each close instead."""

    scan_s: float = field(5.0, "Judge new rows", "s", gt=0)
    exit_check_s: float = field(1.0, "Look at exit levels", "s", gt=0)
    position_update_s: float = field(2.0, "Mark positions", "s", gt=0)
    persist_s: float = field(30.0, "Snapshot derived figures", "s", gt=0)
    stale_cleanup_s: float = field(30.0, "End stale intents", "s", gt=0)
    heartbeat_s: float = field(30.0, "Show that the loop lives", "s", gt=0)
    health_s: float = field(60.0, "Check every part", "s", gt=0)
    metrics_export_s: float = field(60.0, "Export figures", "s", gt=0)
    balance_refresh_s: float = field(20.0, "Read balances beside the loop", "s", gt=0)
    reconcile_s: float = field(10.0, "Compare with the venue", "s", gt=0)
    clock_check_s: float = field(60.0, "Compare clocks with the venue", "s", gt=0)
    conservation_s: float = field(60.0, "Prove that ledger and venue agree", "s", gt=0)
    dust_sweep_s: float = field(3600.0, "Look for dust", "s", gt=0)
    universe_s: float = field(3600.0, "Ask universe guests again which symbols to keep", "s", gt=0)
    retention_s: float = field(86_400.0, "Delete what is past its retention", "s", gt=0)
    commands_s: float = field(1.0, "Look for operator commands", "s", gt=0)


class VenueSection(Section):
    """The exchange that is read and traded through ccxt (paper reads it, live also trades there)."""

    exchange: str = field("", "ccxt's id of the exchange, as binance or mexc", "name")
    trade_account: str = field("", "Account whose real money may be traded: must repeat account.name", "name")
    api_key: str = field("", "Where the key is: env:NAME, file:PATH or credential:NAME (systemd)", "reference")
    api_secret: str = field("", "Where the secret is, in the same forms", "reference")
    api_password: str = field("", "Where the pass phrase is, for exchanges that want one", "reference")
    key_rights_confirmed: bool = field(
        False, "I have seen that the key may not withdraw; needed where the exchange does not tell", "flag"
    )
    base_url: str = field("", "Address of a wire server on this machine in place of the exchange", "URL")
    receive_window_ms: int = field(
        5000, "How long the exchange may take an order after its time stamp", "ms", ge=100, le=60_000
    )
    engine_timeout_ms: int = field(10_000, "Longest time an order may spend inside the exchange", "ms", ge=0)
    read_lag_ms: int = field(30_000, "Age up to which the exchange's order reads may show the past", "ms", ge=0)
    clock_error_ms: int = field(500, "Largest difference of clocks with which a run starts", "ms", ge=1)
    timeout_ms: int = field(10_000, "Wait for the answer to one request", "ms", ge=100)
    streams: bool = field(True, "Listen to the exchange's websockets as a hint beside the reads", "flag")
    quotes_s: float = field(2.0, "Pause between two reads of all quotes while no stream is alive", "s", gt=0)
    instruments_s: float = field(300.0, "Pause between two reads of what can be traded", "s", gt=0)


class LimiterSection(Section):
    """Our own request limit."""

    requests_per_minute: int = field(800, "Requests sent to the venue in any minute, at most", "requests", ge=1)


class ShutdownSection(Section):
    """How a run ends (R24)."""

    policy: Literal["cancel", "keep"] = field("cancel", "What becomes of open orders", "name")
    phase_s: float = field(2.0, "Deadline of one phase", "s", gt=0)
    total_s: float = field(10.0, "Deadline of the whole", "s", gt=0)

    @model_validator(mode="after")
    def _phases_fit(self) -> ShutdownSection:
        if self.phase_s > self.total_s:
            raise ValueError(f"expected phase_s of at most total_s = {self.total_s:g} s, was {self.phase_s:g} s")
        return self


class StoreSection(Section):
    """Where durable rows live."""

    url: SecretStr = field(SecretStr(""), "SQLAlchemy URL; empty is SQLite in the state folder", "URL")
    synchronous: Literal["FULL", "NORMAL", "OFF"] = field("FULL", "SQLite's promise at a commit", "name")
    lease_s: float = field(30.0, "A process that has not renewed its lease for so long may be replaced", "s", ge=3)
    lease_renew_s: float = field(5.0, "How often the lease is renewed", "s", gt=0)

    @model_validator(mode="after")
    def _renewed_in_time(self) -> StoreSection:
        if self.lease_renew_s > self.lease_s / 3:
            raise ValueError(
                f"expected lease_renew_s of at most a third of lease_s = {self.lease_s:g} s, "
                f"was {self.lease_renew_s:g} s"
            )
        return self


class RetentionDays(Section):
    """How long journal files are kept, by family (R39)."""

    decision: int = field(365, "Decisions", "days", ge=1)
    order: int = field(365, "Orders", "days", ge=1)
    tracer: int = field(60, "Traces", "days", ge=1)
    audit: int = field(730, "Audit", "days", ge=1)
    health: int = field(30, "Health", "days", ge=1)


class JournalSection(Section):
    """The event files."""

    queue: int = field(10_000, "Diagnostics that may wait to be written", "events", ge=100)
    retention_days: RetentionDays = field(RetentionDays, "How long files are kept", "section")
    cap_mb: int = field(2048, "Most that all files may take on disk", "MB", ge=1)
    trace_sample: float = field(1.0, "Share of trace events that is written", "ratio", ge=0, le=1)


class TwinSection(Section):
    """The venue of our own, and how it fails."""

    manners: Literal["plain", "binance", "mexc"] = field("plain", "Whose way of answering it takes", "name")
    latency_ms: float = field(40.0, "Time of one call", "ms", ge=0)
    maker_fee_bps: Decimal = field(Decimal(10), "Fee of a resting order", "bps", ge=0)
    taker_fee_bps: Decimal = field(Decimal(10), "Fee of a taking order", "bps", ge=0)
    fee_in: Literal["base", "quote", "other"] = field("quote", "Coin that a buy's fee is taken in", "name")
    fee_coin: str = field("BNB", "The third coin, where fee_in is other", "coin", min_length=1)
    spread_bps: Decimal = field(Decimal(4), "Spread in a calm market", "bps", gt=0)
    depth_quote: Decimal = field(Decimal(20_000), "Money on one side of the book in a calm market", "quote", gt=0)
    depth_levels: int = field(10, "Levels on one side of the book", "levels", ge=1, le=1000)
    read_lag_ms: float = field(0.0, "Age of what order reads show", "ms", ge=0)
    ack_without_status: bool = field(False, "Acknowledge orders without a status, as MEXC does", "flag")
    faults: Names = field((), "Faults on demand: name, name:share or name:share:argument", "names")


class Settings(BaseSettings):
    """The root. Nothing but what ``resolve`` merged is read: the environment is one of its layers, checked by name."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    run: RunSection = field(RunSection, "What is run, and how fast", "section")
    account: AccountSection = field(AccountSection, "The account", "section")
    universe: UniverseSection = field(UniverseSection, "Which symbols may be traded", "section")
    market: MarketSection = field(MarketSection, "Where rows come from", "section")
    engine: EngineSection = field(EngineSection, "How the core trades and guards", "section")
    venue: VenueSection = field(VenueSection, "The exchange behind ccxt", "section")
    breaker: BreakerSection = field(BreakerSection, "When entries stop by themselves", "section")
    intervals: IntervalsSection = field(IntervalsSection, "How often jobs run", "section")
    limiter: LimiterSection = field(LimiterSection, "Our own request limit", "section")
    shutdown: ShutdownSection = field(ShutdownSection, "How a run ends", "section")
    store: StoreSection = field(StoreSection, "Where durable rows live", "section")
    journal: JournalSection = field(JournalSection, "The event files", "section")
    twin: TwinSection = field(TwinSection, "The venue of our own", "section")
    plugins: Mapping[str, Mapping[str, Any]] = field(dict, "One section per guest, validated by the guest", "section")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read only what is handed in, so that no value is in force whose origin is not known."""
        return (init_settings,)
