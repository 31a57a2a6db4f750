"""Recorded candles as rows: many files on one grid, checked once, then read through a sliding window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from tradecore.errors import DataError
from tradecore.market.candles import (
    CandleCheck,
    CandleFile,
    Found,
    find_candles,
    grid_anchor,
    moment,
    pieces,
    require_columns,
    timeframe_ms_of,
)
from tradecore.market.derive import (
    NEEDED,
    USUAL_FEES,
    Decimals,
    Fees,
    derive_instrument,
    price_digits,
    read_instruments,
    snap,
)
from tradecore.market.frame import COLUMNS, Array, MarketFrame
from tradecore.market.window import RowWindow
from tradecore.model.instrument import Instrument

INSTRUMENTS_FILE: Final = "instruments.toml"
_WINDOW_BYTES: Final = 32 * 1024 * 1024
_LOT_DECIMALS_MAX: Final = 8
_NAMED_MAX: Final = 8


class Scan(NamedTuple):
    """What one look at all candles of a file found."""

    file: CandleFile
    first_open_ms: int
    """Within the range asked for; so is the next."""
    last_open_ms: int
    candles: int
    """Within the range; 0 where the file has none there."""
    reach_ms: tuple[int, int]
    """First and last open in the whole file."""
    instrument: Instrument
    """Derived."""
    snap_digits: int | None
    """Decimals to snap prices to; ``None`` where all prices are their own shortest text."""


class ArchiveSource:
    """Recorded candles on one grid. Made by `open_archive`.

    Args:
        scans: One per symbol, in frame order, each with candles in the range.
        timeframe_ms: Length of a row.
        instruments: By symbol.
        warnings: One line each.
    """

    def __init__(
        self,
        scans: Sequence[Scan],
        timeframe_ms: int,
        instruments: Mapping[str, Instrument],
        warnings: tuple[str, ...],
    ) -> None:
        self._scans: Final = tuple(scans)
        self._timeframe_ms: Final = timeframe_ms
        self._first_open_ms: Final = min(scan.first_open_ms for scan in scans)
        self._rows: Final = (max(scan.last_open_ms for scan in scans) - self._first_open_ms) // timeframe_ms + 1
        self._symbols: Final = tuple(scan.file.symbol for scan in scans)
        self._instruments: Final = dict(instruments)
        self.gap_cells: Final = self._rows * len(scans) - sum(scan.candles for scan in scans)
        """Cells (row x symbol) without a candle: not tradable then."""
        self._warnings: Final = (*warnings, *self._gap_lines())
        self._window: Final = RowWindow(
            symbols=self._symbols,
            timeframe_ms=timeframe_ms,
            first_close_ms=self.first_close_ms,
            rows=self._rows,
            fill=self._fill,
            budget_bytes=_WINDOW_BYTES,
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, sorted."""
        return self._symbols

    @property
    def timeframe_ms(self) -> int:
        """Length of a row."""
        return self._timeframe_ms

    @property
    def first_close_ms(self) -> int:
        """Close of row 0: one timeframe after the first candle's open."""
        return self._first_open_ms + self._timeframe_ms

    @property
    def rows(self) -> int:
        """Rows from the first candle of any symbol to the last."""
        return self._rows

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Out of the folder's file, else derived."""
        return self._instruments

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of this data."""
        return self._warnings

    def read(self, start: int, stop: int) -> MarketFrame:
        """Rows start to stop, fewer at the end; NaN where a symbol has no candle.

        Raises:
            ValueError: If the rows are none.
            DataError: If a file changed since it was checked.
        """
        return self._window.read(start, stop)

    def _fill(self, start: int, stop: int, columns: Mapping[str, Array]) -> None:
        start_ms = self._first_open_ms + start * self._timeframe_ms
        stop_ms = self._first_open_ms + stop * self._timeframe_ms
        for at, scan in enumerate(self._scans):
            if scan.first_open_ms >= stop_ms or scan.last_open_ms < start_ms:
                continue
            self._fill_symbol(at, scan, start_ms, stop_ms, columns)

    def _fill_symbol(self, at: int, scan: Scan, start_ms: int, stop_ms: int, columns: Mapping[str, Array]) -> None:
        until_ms = min(stop_ms, scan.last_open_ms + self._timeframe_ms)
        for piece in pieces(scan.file, start_ms, until_ms):
            low, high = np.searchsorted(piece.ts, (start_ms, until_ms))
            if low == high:
                continue
            rows = (piece.ts[low:high] - start_ms) // self._timeframe_ms
            if (np.diff(rows) <= 0).any():
                raise DataError(f"{scan.file.path}: expected the candles that were checked, was changed meanwhile")
            for name, values in zip(COLUMNS, piece.columns, strict=True):
                kept = values[low:high]
                if scan.snap_digits is not None and name != "volume":
                    kept = snap(kept, scan.snap_digits)
                columns[name][rows, at] = kept

    def _gap_lines(self) -> tuple[str, ...]:
        if not self.gap_cells:
            return ()
        holey = sum(scan.candles < self._rows for scan in self._scans)
        cells = self._rows * len(self._scans)
        return (
            f"{self.gap_cells} of {cells} candles are absent in {holey} of {len(self._scans)} symbols: "
            "not tradable then",
        )


def open_archive(
    folder: Path,
    timeframe: str,
    *,
    symbols: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
    quote: str = "USDT",
    start_ms: int | None = None,
    stop_ms: int | None = None,
    fees: Fees = USUAL_FEES,
) -> ArchiveSource:
    """Open a folder of candle files, all candles checked.

    Every file is read once from end to end, one after another; afterwards only what is asked for is read.

    Args:
        folder: Searched with all below it.
        timeframe: As in the files' names, as ``1m``.
        symbols: Names or patterns (``BTC/USDT``, ``B*/USDT``) of which one must fit.
        exclude: Names or patterns of which none may fit.
        quote: Symbols quoted in another coin are left out, with a warning.
        start_ms: Candles that open before are left out, milliseconds UTC; ``None`` begins with the first.
        stop_ms: Candles that close after are left out; ``None`` ends with the last.
        fees: Where ``instruments.toml`` in the folder does not name them.
    Raises:
        DataError: If nothing fits, a symbol is there twice, or a file is not what it should be.
        SettingsError: If `timeframe` is none.
    """
    if start_ms is not None and stop_ms is not None and start_ms >= stop_ms:
        raise DataError(f"expected --from before --to, was {moment(start_ms)} and {moment(stop_ms)}")
    found = find_candles(folder, timeframe)
    files, warnings = _chosen(found, folder, timeframe, symbols, exclude, quote)
    require_columns(files)
    timeframe_ms = timeframe_ms_of(timeframe)
    anchor_ms, scans = grid_anchor(timeframe_ms), []
    for file in files:
        check = CandleCheck(file, timeframe_ms, anchor_ms)
        scans.append(_scan(check, file, start_ms, stop_ms, fees))
        anchor_ms = check.anchor_ms
    inside = [scan for scan in scans if scan.candles]
    if not inside:
        raise DataError(f"{folder}: no candle of {timeframe} lies between --from and --to: {_reach(scans)}")
    if len(inside) < len(scans):
        left = _some(scan.file.symbol for scan in scans if not scan.candles)
        warnings.append(f"left out, no candle between --from and --to: {left}")
    instruments = _instruments(folder, inside, {file.symbol for file in found.files}, warnings)
    return ArchiveSource(inside, timeframe_ms, instruments, tuple(warnings))


def _chosen(  # noqa: PLR0917 - what was asked for, once more
    found: Found, folder: Path, timeframe: str, symbols: Sequence[str], exclude: Sequence[str], quote: str
) -> tuple[tuple[CandleFile, ...], list[str]]:
    """Choose the files asked for, and say what was left aside."""
    if not found.files:
        there = f"there are {', '.join(found.timeframes)}" if found.timeframes else "there is none of any timeframe"
        raise DataError(f"{folder}: no file is called BASE_QUOTE-{timeframe}.parquet or .csv, {there}")
    warnings = []
    if found.unread:
        warnings.append(f"not read, not called BASE_QUOTE-timeframe: {_some(path.name for path in found.unread)}")
    fitting = [file for file in found.files if _fits(file.symbol, symbols) and not _fits(file.symbol, exclude)]
    if not fitting:
        there = _some(file.symbol for file in found.files)
        raise DataError(f"{folder}: none of the symbols asked for has {timeframe} candles, there are {there}")
    files = tuple(file for file in fitting if file.quote == quote)
    if not files:
        there = _some(file.symbol for file in fitting)
        raise DataError(f"{folder}: no symbol with {timeframe} candles is quoted in {quote}, there are {there}")
    if len(files) < len(fitting):
        other = _some(file.symbol for file in fitting if file.quote != quote)
        warnings.append(f"left out, not quoted in {quote}: {other}")
    for symbol, group in groupby(files, key=lambda file: file.symbol):
        paths = [str(file.path) for file in group]
        if len(paths) > 1:
            raise DataError(f"expected one file of {timeframe} candles for {symbol}, was {' and '.join(paths)}")
    return files, warnings


def _fits(symbol: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(symbol, pattern) for pattern in patterns)


def _some(names: Iterable[str]) -> str:
    """Name a few and count the rest."""
    unique = list(dict.fromkeys(names))
    more = len(unique) - _NAMED_MAX
    return ", ".join(unique[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _scan(check: CandleCheck, file: CandleFile, start_ms: int | None, stop_ms: int | None, fees: Fees) -> Scan:
    """Check all candles of a file and take note of what they show."""
    prices, volumes = Decimals(), Decimals(_LOT_DECIMALS_MAX)
    first = last = candles = begin = end = 0
    typical = 0.0
    for piece in pieces(file):
        check.look_at(piece)
        begin, end = begin or int(piece.ts[0]), int(piece.ts[-1])
        for values in piece.columns[:-1]:
            prices.look_at(values)
        volumes.look_at(piece.columns[-1])
        typical = float(piece.columns[3][-1])
        low = 0 if start_ms is None else int(np.searchsorted(piece.ts, start_ms))
        last_open_ms = None if stop_ms is None else stop_ms - check.timeframe_ms
        high = len(piece.ts) if last_open_ms is None else int(np.searchsorted(piece.ts, last_open_ms, side="right"))
        if low < high:
            first = first if candles else int(piece.ts[low])
            last = int(piece.ts[high - 1])
            candles += high - low
    if not typical:
        raise DataError(f"{file.path}: expected candles, was no row")
    digits = price_digits(prices, typical)
    instrument = derive_instrument(file.symbol, prices, volumes, typical, fees)
    return Scan(
        file, first, last, candles, (begin, end), instrument, digits if prices.telling and prices.inexact else None
    )


def _reach(scans: Sequence[Scan]) -> str:
    """Say from when to when the files reach."""
    first, last = min(scan.reach_ms[0] for scan in scans), max(scan.reach_ms[1] for scan in scans)
    return f"they open from {moment(first)} to {moment(last)}"


def _instruments(folder: Path, scans: Sequence[Scan], there: set[str], warnings: list[str]) -> dict[str, Instrument]:
    """Take each instrument from the folder's file, and from its prices what that does not say."""
    path = folder / INSTRUMENTS_FILE
    named = read_instruments(path) if path.is_file() else {}
    if strangers := [symbol for symbol in named if symbol not in there]:
        warnings.append(f"{INSTRUMENTS_FILE} names symbols that have no candles here: {_some(strangers)}")
    instruments, derived = {}, []
    for scan in scans:
        symbol = scan.file.symbol
        fields = named.get(symbol, {})
        if "lot_size" in fields:
            fields = {"min_quantity": fields["lot_size"], **fields}
        instruments[symbol] = scan.instrument._replace(**fields)
        if not fields.keys() >= NEEDED:
            derived.append(symbol)
    if derived:
        warnings.append(
            f"tick, lot and least order derived from the decimals of prices and volumes, {INSTRUMENTS_FILE} does not "
            f"name them: {_some(derived)}"
        )
    return instruments
