"""Open a venue for `tradecore venue serve`: market, twin, keys and where they are kept.

The twin's file holds the start too, so that a server that was killed goes on: same market, same clock. While it was
down its market went on as a real one would.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, NamedTuple

import orjson

from tradecore.errors import SettingsError, StateFolderError
from tradecore.market.archive import open_archive
from tradecore.market.frame import COLUMNS, MarketFrame, window_ms
from tradecore.market.generate import GeneratedSource
from tradecore.market.source import RowSource
from tradecore.model.instrument import Instrument
from tradecore.ports.clock import Clock
from tradecore.venues.twin.build import Twin, TwinPlan, open_twin, with_fees
from tradecore.venues.twin.records import BookShape
from tradecore.venues.twin.state import TwinState
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.listing import with_decimal_steps

TWIN_FILE: Final = "venue.db"
KEY_FILE: Final = "api.key"
SECRET_FILE: Final = "api.secret"
TOKEN_FILE: Final = "control.token"
_HISTORY_MS: Final = 2 * 86_400_000
"""Of the past that the venue knows at its first start: days for tickers and candles."""


class WirePlan(NamedTuple):
    """What a venue on the wire is to be."""

    wire: str
    data: Path | None = None
    """Folder of candle files; ``None``: a generated market."""
    seed: int = 7
    symbols: int = 5
    """Of a generated market."""
    timeframe: str = "1m"
    quote: str = "USDT"
    speed: float = 1.0
    epoch_ms: int | None = None
    """Market time at the start; ``None``: now, or where an earlier server was by now."""
    money: Mapping[str, Decimal] = {}
    fee_in: Literal["base", "quote", "other"] = "base"
    fee_coin: str = "BNB"
    maker_bps: Decimal = Decimal(10)
    taker_bps: Decimal = Decimal(10)
    shape: BookShape = BookShape()


class Start(NamedTuple):
    """When and on what a venue began; kept in the twin's file."""

    wire: str
    market: str
    """What its prices come from."""
    row_ms: int
    """Open of row 0, milliseconds UTC."""
    epoch_ms: int
    """Market time at `wall_ms`."""
    wall_ms: int


class Shifted:
    """Rows of another time, moved: recorded candles as if they came now (market/source.py).

    Args:
        source: Rows as they are.
        by_ms: How much later they are to be; negative: earlier.
    """

    def __init__(self, source: RowSource, by_ms: int) -> None:
        self._source: Final = source
        self._by_ms: Final = by_ms

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, in frame order."""
        return self._source.symbols

    @property
    def timeframe_ms(self) -> int:
        """Length of a row."""
        return self._source.timeframe_ms

    @property
    def first_close_ms(self) -> int:
        """Close of row 0."""
        return self._source.first_close_ms + self._by_ms

    @property
    def rows(self) -> int | None:
        """Number of rows; ``None``: no end."""
        return self._source.rows

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Tick, lot, minimum and fees per symbol."""
        return self._source.instruments

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of the data."""
        return self._source.warnings

    def read(self, start: int, stop: int) -> MarketFrame:
        """Rows start to stop."""
        frame = self._source.read(start, stop)
        columns = {name: getattr(frame, name) for name in COLUMNS}
        return MarketFrame(frame.timeframe_ms, frame.timestamps + self._by_ms, frame.symbols, columns)


class Opened(NamedTuple):
    """A market and the moment at which its venue starts."""

    plan: WirePlan
    source: RowSource
    start: Start
    epoch_ms: int
    """Market time now."""


def open_market(plan: WirePlan, folder: Path, wall_ms: int) -> Opened:
    """Open the market of a venue, and find out what time it is there.

    Args:
        folder: Where the venue is kept.
        wall_ms: Milliseconds since 1970 UTC, by the wall.
    Raises:
        SettingsError: If wire or market cannot be.
        DataError: If the candle files cannot be used.
        StateFolderError: If the folder belongs to another venue.
    """
    if plan.wire not in ("binance", "mexc"):
        raise SettingsError(f"expected binance or mexc, was {plan.wire!r}")
    origin = f"files {plan.data.resolve()}" if plan.data else f"seed {plan.seed} {plan.symbols}"
    market = f"{origin} {plan.timeframe}"
    kept, looked_ms = _kept(folder)
    if kept is not None and (kept.wire, kept.market) != (plan.wire, market):
        raise StateFolderError(
            f"expected in {folder} a venue {plan.wire} on {market}, was {kept.wire} on {kept.market}"
        )  # fmt: skip
    if kept is not None:
        # At another speed than before the market must not go back to where it was already.
        went_on_ms = max(looked_ms, kept.epoch_ms + int((wall_ms - kept.wall_ms) * plan.speed))
        epoch_ms = plan.epoch_ms if plan.epoch_ms is not None else went_on_ms
        return Opened(plan, _source(plan, kept.row_ms), kept, epoch_ms)
    epoch_ms = plan.epoch_ms if plan.epoch_ms is not None else wall_ms
    row_ms = window_ms(plan.timeframe, 1)
    first_ms = (epoch_ms - _history_ms(plan)) // row_ms * row_ms
    return Opened(plan, _source(plan, first_ms), Start(plan.wire, market, first_ms, epoch_ms, wall_ms), epoch_ms)


def _kept(folder: Path) -> tuple[Start | None, int]:
    """What an earlier server began with, and how far its market had come; ``None`` and 0 where there was none."""
    if not (folder / TWIN_FILE).exists():
        return None, 0
    state = TwinState(folder / TWIN_FILE)
    try:
        text = state.notes().get("start")
        return (Start(**orjson.loads(text)) if text else None), state.looked_ms
    finally:
        state.close()


def _history_ms(plan: WirePlan) -> int:
    """How much of the market lies before the start: two days, at most half of recorded files."""
    if plan.data is None:
        return _HISTORY_MS
    source = open_archive(plan.data, plan.timeframe, quote=plan.quote)
    return min(_HISTORY_MS, source.rows // 2 * source.timeframe_ms)


def _source(plan: WirePlan, first_ms: int) -> RowSource:
    if plan.data is None:
        row_ms = window_ms(plan.timeframe, 1)
        return GeneratedSource(plan.seed, plan.symbols, row_ms, start_ms=first_ms, quote=plan.quote)
    source = open_archive(plan.data, plan.timeframe, quote=plan.quote)
    return Shifted(source, first_ms - (source.first_close_ms - source.timeframe_ms))


def open_venue(opened: Opened, clock: Clock, folder: Path) -> Twin:
    """Open the twin of a venue; an existing one goes on where it was.

    Raises:
        SettingsError: If a fault or an amount cannot be.
        StateFolderError: If the folder cannot be written.
    """
    plan = opened.plan
    instruments = with_fees(opened.source.instruments, plan.maker_bps, plan.taker_bps, plan.fee_in, plan.fee_coin)
    if plan.wire == "mexc":
        instruments = with_decimal_steps(instruments)
    twin = open_twin(
        clock, opened.source, seed=plan.seed, generator=random.Random(plan.seed), path=folder / TWIN_FILE,
        plan=TwinPlan(manners=plan.wire, latency_ms=0, shape=plan.shape), instruments=instruments,
    )  # fmt: skip
    twin.venue.open_balances(dict(plan.money) or {plan.quote: Decimal(10_000)})
    twin.venue.engine.state.put_note("start", orjson.dumps(opened.start._asdict()).decode())
    twin.venue.engine.state.commit()
    return twin


def keys_of(folder: Path, name: str, secret_file: Path | None) -> ApiKey:
    """The key of a venue: as given, as kept, or made up and written to the folder, for its owner alone.

    Args:
        name: Public part; empty: as kept, or made up.
        secret_file: Where its secret is; ``None``: as kept, or made up.
    Raises:
        SettingsError: If only one of both is given, or the secret cannot be read.
    """
    if bool(name) != (secret_file is not None):
        raise SettingsError("expected --key and --secret-file together, was one of them")
    if secret_file is not None:
        try:
            return ApiKey(name, secret_file.read_text().strip())
        except OSError as error:
            raise SettingsError(f"expected a secret in {secret_file}, was not readable: {error.strerror}") from error
    key = _made(folder / KEY_FILE, 64)
    return ApiKey(key, _made(folder / SECRET_FILE, 64))


def token_of(folder: Path) -> str:
    """The control endpoint's token, made up at the first start and kept for its owner alone."""
    return _made(folder / TOKEN_FILE, 48)


def _made(path: Path, digits: int) -> str:
    """A word that nobody knows, from its file, or made up and written there."""
    try:
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(digits // 2) + "\n")
        return path.read_text().strip()
    except OSError as error:
        raise StateFolderError(f"expected to write {path}, was not possible: {error.strerror}") from error
