"""From a person's words to a run that can begin: settings, guests, market. All that can be refused is here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tradecore.errors import DataError, SettingsError, StateFolderError
from tradecore.hooks.guest import Guest
from tradecore.hooks.loader import available, load, require_trading_set
from tradecore.market.archive import open_archive
from tradecore.market.frame import window_ms, window_rows
from tradecore.market.generate import GeneratedSource
from tradecore.market.source import RowSource
from tradecore.model.instrument import Instrument
from tradecore.settings import Resolved, duration_s, resolve
from tradecore.settings.sections import Settings
from tradecore.venues.twin.build import with_fees

LATEST = "latest"
STATE_ROOT = Path("state")


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
    source: RowSource
    instruments: Mapping[str, Instrument]
    warmup_rows: int
    """History that the guests want before the first row."""
    market_digest: str
    """Tells one market from another: a state belongs to one."""
    for_ms: int | None
    """Market time to run for; ``None``: to the end of the data."""

    @property
    def settings(self) -> Settings:
        """The validated settings."""
        return self.resolved.settings

    @property
    def virtual(self) -> bool:
        """True where time jumps."""
        return self.settings.run.scale is None

    @property
    def plugins(self) -> tuple[str, ...]:
        """Names of the guests in order."""
        return tuple(guest.name for guest in self.guests)


def prepare(options: Options) -> Prepared:
    """Read settings, admit guests, open the market.

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
    _refuse_unused(resolved)
    guests = load(
        settings.run.plugins, resolved.sections, installed=installed, origin=lambda key: str(resolved.origin_of(key))
    )
    require_trading_set(guests)
    source = open_source(settings)
    if not source.symbols:
        raise DataError("expected at least one symbol of the universe in the market, found none")
    twin = settings.twin
    instruments = with_fees(source.instruments, twin.maker_fee_bps, twin.taker_fee_bps, twin.fee_in, twin.fee_coin)
    windows = [guest.warmup.get("base") for guest in guests]
    warmup = max((window_rows(window, source.timeframe_ms) for window in windows if window), default=0)
    for_ms = int(duration_s(settings.run.for_) * 1_000) if settings.run.for_ else None
    if for_ms is None and source.rows is None and settings.run.scale is None:
        raise SettingsError("run.for: expected a duration for a market without end on virtual time, was none")
    return Prepared(options, resolved, guests, source, instruments, warmup, _market_digest(settings), for_ms)


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
    if settings.run.mode != "twin":
        raise SettingsError(
            f"run.mode: expected 'twin', was {settings.run.mode!r}: this version trades on its embedded venue only"
        )
    if settings.universe.quote != settings.account.currency:
        raise SettingsError(
            f"universe.quote: expected the account's currency {settings.account.currency!r}, "
            f"was {settings.universe.quote!r}"
        )


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


def named_state(wanted: Path) -> Path:
    """Turn ``latest`` into the newest run's folder; any other path stays as it is.

    Raises:
        StateFolderError: If there is no newest run.
    """
    if wanted == Path():
        raise StateFolderError("expected a folder of the run's own, was empty or the current one")
    if str(wanted) != LATEST or wanted.exists():
        return wanted
    link = STATE_ROOT / LATEST
    if not link.exists():
        raise StateFolderError(f"expected a run that was kept below {STATE_ROOT}/, found none")
    return link.resolve()
