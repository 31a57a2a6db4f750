"""From a person's words to a run that can begin: settings, guests, market. All that can be refused is here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tradecore.app.handing import check_operators, secrets_of
from tradecore.app.planning import allowed_of, judge, refuse_impossible, world_of
from tradecore.app.secrets import refuse_shown
from tradecore.errors import DataError, SettingsError, StateFolderError
from tradecore.hooks.guest import Guest
from tradecore.hooks.loader import available, load, require_trading_set
from tradecore.market.archive import open_archive
from tradecore.market.frame import window_ms, window_rows
from tradecore.market.generate import GeneratedSource
from tradecore.market.source import RowSource
from tradecore.model.instrument import Instrument
from tradecore.model.places import MEASURED, STORE_FILE
from tradecore.settings import Resolved, duration_s, resolve
from tradecore.settings.combinations import Finding, World
from tradecore.settings.sections import Settings
from tradecore.store.folder import LATEST, STATE_ROOT, named_state
from tradecore.store.queries import open_reader
from tradecore.venues.ccxt.address import wire_host
from tradecore.venues.twin.build import with_fees


class Options(NamedTuple):
    """What a person asked for."""

    profile: str
    env: Mapping[str, str]
    sets: Sequence[str] = ()
    plugins: str | None = None
    flags: Mapping[str, str] = {}
    """Arguments of the command line as settings, ``{"--seed": "run.seed=7"}``."""
    state: Path | None = None
    """Folder that keeps the run; ``None``: a temporary one on virtual time, else a new one below ``state/``."""


class Prepared(NamedTuple):
    """A run that can begin."""

    options: Options
    resolved: Resolved
    guests: tuple[Guest, ...]
    source: RowSource | None
    """Rows of the market; ``None``: live prices of an exchange."""
    instruments: Mapping[str, Instrument]
    """What can be traded; empty for live prices: the exchange says it at the start."""
    row_ms: int
    """Length of a row."""
    warmup_rows: int
    """History that the guests want before the first row."""
    market_digest: str
    """Tells one market from another: a state belongs to one."""
    for_ms: int | None
    """Market time to run for; ``None``: to the end of the data."""
    allowed: tuple[Finding, ...] = ()
    """What cannot do what it says and runs all the same, because `run.allow` names it."""

    @property
    def settings(self) -> Settings:
        """The validated settings."""
        return self.resolved.settings

    @property
    def virtual(self) -> bool:
        """True where time jumps."""
        return self.settings.run.scale is None

    @property
    def rows(self) -> RowSource:
        """Rows of the market, where it is not live."""
        assert self.source is not None, "live prices have no rows beforehand"
        return self.source

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of the settings and the data, one line each."""
        data = self.source.warnings if self.source is not None else ()
        return (*(f"allowed by run.allow: {one.code}: {one.text}" for one in self.allowed), *data)

    @property
    def plugins(self) -> tuple[str, ...]:
        """Names of the guests in order."""
        return tuple(guest.name for guest in self.guests)


def prepare(options: Options, *, allow_impossible: bool = False) -> Prepared:
    """Read settings, admit guests, open the market.

    Args:
        allow_impossible: Leave combinations that cannot work to the caller.
    Raises:
        SettingsError: A setting is unknown, wrong or impossible.
        PluginLoadError: A guest may not enter, or the list lacks a sizing, a risk or a routing guest.
        DataError: The candle files cannot be used.
    """
    installed = available()
    resolved = resolve(
        options.profile, options.env, options.sets, options.plugins, installed=installed, flags=options.flags
    )
    settings = resolved.settings
    _refuse_what_cannot_run(settings)
    _refuse_live_by_accident(resolved)
    _refuse_unused(resolved)
    refuse_shown(resolved)
    guests = load(
        settings.run.plugins, resolved.sections, installed=installed, origin=lambda key: str(resolved.origin_of(key))
    )
    if not allow_impossible:
        require_trading_set(guests, settings.run.allow)
    check_operators(guests, settings.run.operators)
    for guest in guests:
        secrets_of(guest, options.env)  # what is missing is told before anything is opened
    prepared = _with_market(options, resolved, guests)
    found = judge(settings, guests, world_of_run(prepared))
    if not allow_impossible:
        refuse_impossible(settings, found)
    return prepared._replace(allowed=allowed_of(settings, found))


def _with_market(options: Options, resolved: Resolved, guests: tuple[Guest, ...]) -> Prepared:
    settings = resolved.settings
    for_ms = int(duration_s(settings.run.for_) * 1_000) if settings.run.for_ else None
    source: RowSource | None = None
    instruments: Mapping[str, Instrument] = {}
    row_ms = window_ms(settings.market.row, 1)
    if settings.run.mode == "twin":
        source = open_source(settings)
        if not source.symbols:
            raise DataError("expected at least one symbol of the universe in the market, found none")
        twin = settings.twin
        instruments = with_fees(source.instruments, twin.maker_fee_bps, twin.taker_fee_bps, twin.fee_in, twin.fee_coin)
        row_ms = source.timeframe_ms
        if for_ms is None and source.rows is None and settings.run.scale is None:
            raise SettingsError("run.for: expected a duration for a market without end on virtual time, was none")
    windows = [guest.warmup.get("base") for guest in guests]
    warmup = max((window_rows(window, row_ms) for window in windows if window), default=0)
    return Prepared(
        options, resolved, guests, source, instruments, row_ms, warmup, _market_digest(settings), for_ms
    )  # fmt: skip


def world_of_run(prepared: Prepared, measured: Mapping[str, float] | None = None) -> World:
    """What the settings of a run will meet.

    Args:
        measured: Figures of an earlier run (`measured_of`); ``None``: none.
    """
    settings = prepared.settings
    # generated markets have a past; the exchange's candles fill the history before the first live row
    has_past = prepared.source.rows is None if prepared.source is not None else settings.market.backfill
    warmup_s = 0.0 if has_past else prepared.warmup_rows * prepared.row_ms / 1000
    return world_of(settings, prepared.instruments, warmup_s, prepared.row_ms / 1000, measured)


def measured_of(state: Path) -> Mapping[str, float]:
    """Read what an earlier run measured: ``latency_ms``, ``spread_bps``, and ``job.NAME``, its longest run in ms.

    Raises:
        StateFolderError: There is no such run.
    """
    with open_reader(named_state(state) / STORE_FILE) as reader:
        fact = reader.memory(MEASURED).get(MEASURED)
    return {name: float(value) for name, value in json.loads(fact.text).items()} if fact is not None else {}


def _refuse_unused(resolved: Resolved) -> None:
    """Refuse a setting of a plugin that takes no part, where somebody gave it for this very run (R52).

    A profile may hold sections of plugins that are switched off; a variable or an argument for one is a mistake: a
    stop that was set so would not be in force.
    """
    taking_part = set(resolved.settings.run.plugins)
    for key, origin in resolved.origins.items():
        section, _, rest = key.partition(".")
        name = rest.partition(".")[0]
        if section == "plugins" and name not in taking_part and origin.layer in {"environment", "command line"}:
            raise SettingsError(f"{origin.where}: expected a plugin that takes part in the run, was {name!r}")


def _refuse_what_cannot_run(settings: Settings) -> None:
    run, venue, account = settings.run, settings.venue, settings.account
    if settings.universe.quote != account.currency:
        raise SettingsError(
            f"universe.quote: expected the account's currency {account.currency!r}, was {settings.universe.quote!r}"
        )
    if run.mode == "twin":
        return
    if not venue.exchange:
        raise SettingsError(f"venue.exchange: expected an exchange such as mexc for mode {run.mode!r}, was empty")
    if venue.base_url:
        wire_host(venue.base_url, venue.exchange)
    if run.speed == "max" or (run.speed != 1 and not venue.base_url):
        raise SettingsError(f"run.speed: expected 1 for live prices, was {run.speed}")
    if run.mode == "live" and venue.trade_account != account.name:
        raise SettingsError(
            f"venue.trade_account: expected the account's name {account.name!r} to be repeated here before its real "
            f"money is traded, was {venue.trade_account!r}"
        )


def _refuse_live_by_accident(resolved: Resolved) -> None:
    """Trade real money only where a profile names the account: a variable that was left behind starts nothing."""
    if resolved.settings.run.mode != "live":
        return
    named, mode = resolved.origin_of("venue.trade_account"), resolved.origin_of("run.mode")
    if named.layer != "profile":
        raise SettingsError(
            f"venue.trade_account: expected the profile to name the account whose real money is traded, was {named}"
        )
    if mode.layer == "environment":
        raise SettingsError(f"run.mode: expected the profile or the command line to ask for real money, was {mode}")


def open_source(settings: Settings) -> RowSource:
    """Open the market that the settings name.

    Raises:
        DataError: The folder or its files cannot be used.
        SettingsError: A moment or a timeframe cannot be read.
    """
    market, universe = settings.market, settings.universe
    if market.source == "generated":
        made = market.generated
        count = min(made.symbols, universe.count) if universe.count is not None else made.symbols
        timeframe_ms = window_ms(made.timeframe, 1)
        return GeneratedSource(settings.run.seed, count, timeframe_ms, made.mood, quote=universe.quote)
    if not market.folder:
        raise SettingsError("market.folder: expected a folder of candle files, was empty")
    return open_archive(
        Path(market.folder),
        market.timeframe,
        symbols=universe.symbols,
        exclude=universe.exclude,
        quote=universe.quote,
        start_ms=moment_ms(market.start, "market.start"),
        stop_ms=moment_ms(market.stop, "market.stop"),
    )


def moment_ms(text: str, key: str) -> int | None:
    """Read an ISO 8601 moment, UTC where it names no zone, as milliseconds; ``None`` for an empty text.

    Raises:
        SettingsError: If it is no moment.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{key}: expected a moment such as 2021-05-19T12:00, was {text!r}") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def _market_digest(settings: Settings) -> str:
    market, universe = settings.market, settings.universe
    if settings.run.mode != "twin":
        live = [settings.run.mode, settings.venue.exchange, universe.quote, settings.account.name]
        return hashlib.sha256(json.dumps(live).encode()).hexdigest()[:16]
    facts: list[object] = [market.source, universe.quote, settings.account.name]
    if market.source == "generated":
        facts += [settings.run.seed, market.generated.model_dump()]
    else:
        folder = str(Path(market.folder).resolve())
        facts += [folder, market.timeframe, market.start, list(universe.symbols), list(universe.exclude)]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:16]


def state_folder(prepared: Prepared) -> Path | None:
    """Choose the folder that keeps the run; ``None``: the run is on virtual time and keeps nothing.

    Raises:
        StateFolderError: If ``latest`` names nothing, or the folder cannot be made.
    """
    wanted = prepared.options.state
    if wanted is not None:
        return named_state(wanted)
    if prepared.virtual:
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")  # a folder's name for people; nothing is decided by it
    folder = STATE_ROOT / f"{prepared.resolved.profile}-{stamp}"
    number = 1
    while folder.exists():  # another run of the same second
        number += 1
        folder = STATE_ROOT / f"{prepared.resolved.profile}-{stamp}-{number}"
    try:
        folder.mkdir(parents=True)
        link = STATE_ROOT / LATEST
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
    except OSError as error:
        raise StateFolderError(f"expected a folder that can be written at {STATE_ROOT}, was: {error}") from error
    return folder
