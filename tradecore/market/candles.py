"""Candle files: find them, read them in pieces, and refuse what is not what it says it is.

A file is called ``BASE_QUOTE-<timeframe>.parquet`` or ``.csv`` and has the columns ``ts`` (milliseconds UTC of the
candle's OPEN, int64) and ``open high low close volume`` (float64, volume in base units). Pieces are read one after
another, so that a file's length costs no memory.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tradecore.errors import DataError, SettingsError
from tradecore.market.frame import COLUMNS, Array, Times

FILE_COLUMNS: Final = ("ts", *COLUMNS)
_TYPES: Final = {"ts": pa.int64(), **dict.fromkeys(COLUMNS, pa.float64())}
_EXPECTED: Final = "ts int64, open high low close volume float64"
_NAME: Final = re.compile(r"^([^\s_/\\]+)_([^\s_/\\]+)-(\d+[smhdw])\.(parquet|csv)$")
_TIMEFRAME: Final = re.compile(r"^(\d+)([smhdw])$")
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DAY_MS: Final = _UNIT_MS["d"]
_PIECE_ROWS: Final = 65_536
_TS_MIN: Final = 946_684_800_000
_TS_MAX: Final = 4_102_444_800_000
"""Years 2000 and 2100. Seconds or microseconds in the place of milliseconds fall outside."""


def timeframe_ms_of(timeframe: str) -> int:
    """Turn a timeframe such as ``1m``, ``5m``, ``1h``, ``1d`` or ``1w`` into milliseconds.

    Raises:
        SettingsError: If it is none.
    """
    match = _TIMEFRAME.match(timeframe)
    if match is None or int(match[1]) == 0:
        raise SettingsError(f"expected a timeframe such as '1m', '5m' or '1h', was {timeframe!r}")
    return int(match[1]) * _UNIT_MS[match[2]]


def moment(ts: int) -> str:
    """Write milliseconds UTC for a person; the bare number where it is no date."""
    if not _TS_MIN <= ts < _TS_MAX:
        return str(ts)
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class CandleFile(NamedTuple):
    """One symbol's candles on disk."""

    path: Path
    symbol: str
    """Unified name, ``BASE/QUOTE``."""
    base: str
    quote: str


class Found(NamedTuple):
    """What a folder holds."""

    files: tuple[CandleFile, ...]
    """Of the timeframe asked for, sorted by symbol, then path."""
    timeframes: tuple[str, ...]
    """All timeframes there, shortest first."""
    unread: tuple[Path, ...]
    """Parquet and CSV files that no candle file's name fits."""


class Piece(NamedTuple):
    """Some rows of a file, in the file's order."""

    first_row: int
    """Number of its first row in the file, from 1, the header not counted."""
    ts: Times
    columns: tuple[Array, ...]
    """In the order of `COLUMNS`."""


def find_candles(folder: Path, timeframe: str) -> Found:
    """Search a folder and all below it for candle files.

    Raises:
        DataError: If the folder is missing or cannot be read.
        SettingsError: If `timeframe` is none.
    """
    timeframe_ms = timeframe_ms_of(timeframe)
    if not folder.is_dir():
        raise DataError(f"expected a folder of candle files, was nothing at {folder}")
    files, timeframes, unread = [], set(), []
    try:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in {".parquet", ".csv"} and path.is_file())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    for path in paths:
        match = _NAME.match(path.name)
        if match is None or int(_TIMEFRAME.match(match[3])[1]) == 0:  # type: ignore[index]  # _NAME's third group fits
            unread.append(path)
            continue
        timeframes.add(match[3])
        if timeframe_ms_of(match[3]) == timeframe_ms:
            files.append(CandleFile(path, f"{match[1]}/{match[2]}", match[1], match[2]))
    files.sort(key=lambda file: (file.symbol, file.path))
    return Found(tuple(files), tuple(sorted(timeframes, key=timeframe_ms_of)), tuple(unread))


def wrong_columns(file: CandleFile) -> str:
    """Tell which columns a file has where they are not the ones of a candle file; empty where they are.

    Raises:
        DataError: If the file cannot be read at all.
    """
    try:
        if file.path.suffix == ".parquet":
            with pq.ParquetFile(file.path) as parquet:
                schema = parquet.schema_arrow
            fits = dict(zip(schema.names, schema.types, strict=True)) == _TYPES and len(schema.names) == len(_TYPES)
            return "" if fits else ", ".join(f"{f.name} {f.type}" for f in schema) or "no column"
        with file.path.open(newline="", encoding="utf-8-sig") as text:
            header = next(csv.reader(text), [])
        return "" if sorted(header) == sorted(FILE_COLUMNS) else ", ".join(header) or "no header"
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(file.path, error) from error


def require_columns(files: tuple[CandleFile, ...]) -> None:
    """Refuse files whose columns or types are not those of a candle file.

    Raises:
        DataError: Naming all of them.
    """
    wrong = [(file.path, columns) for file in files if (columns := wrong_columns(file))]
    if wrong:
        named = "; ".join(f"{path}: {columns}" for path, columns in wrong)
        raise DataError(f"expected the columns {_EXPECTED}, was {named}")


def pieces(file: CandleFile, start_ms: int | None = None, stop_ms: int | None = None) -> Iterator[Piece]:
    """Read a file piece by piece.

    Args:
        start_ms: Rows whose open is before may be skipped, not all need be; ``None`` reads from the beginning.
        stop_ms: Rows that open then or later may be skipped; ``None`` reads to the end.
    Raises:
        DataError: If the file is torn, or a value is missing or no number.
    """
    read = _parquet_batches if file.path.suffix == ".parquet" else _csv_batches
    first_row = 1
    try:
        for batch in read(file.path, start_ms, stop_ms):
            piece = _piece_of(file.path, batch, first_row)
            first_row += batch.num_rows
            if len(piece.ts) == 0:
                continue
            yield piece
            if stop_ms is not None and piece.ts[-1] >= stop_ms:
                return
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file.path, error) from error


def _parquet_batches(path: Path, start_ms: int | None, stop_ms: int | None) -> Iterator[Any]:
    with pq.ParquetFile(path) as parquet:
        groups = [g for g in range(parquet.num_row_groups) if _may_hold(parquet, g, start_ms, stop_ms)]
        yield from parquet.iter_batches(_PIECE_ROWS, row_groups=groups, columns=FILE_COLUMNS, use_threads=False)


def _may_hold(parquet: Any, group: int, start_ms: int | None, stop_ms: int | None) -> bool:
    """Tell from a row group's statistics whether it can hold rows of start to stop."""
    if start_ms is None and stop_ms is None:
        return True
    statistics = parquet.metadata.row_group(group).column(parquet.schema_arrow.get_field_index("ts")).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    late = start_ms is not None and statistics.max < start_ms
    early = stop_ms is not None and statistics.min >= stop_ms
    return not (late or early)


def _csv_batches(path: Path, start_ms: int | None, stop_ms: int | None) -> Iterator[Any]:
    del start_ms, stop_ms  # a CSV file can only be read from its beginning; the caller ends it
    reading = pacsv.ReadOptions(use_threads=False)
    converting = pacsv.ConvertOptions(column_types=_TYPES, include_columns=FILE_COLUMNS, null_values=[""])
    with pacsv.open_csv(path, read_options=reading, convert_options=converting) as stream:
        yield from stream


def _piece_of(path: Path, batch: Any, first_row: int) -> Piece:
    columns = []
    for name in FILE_COLUMNS:
        column = batch.column(batch.schema.get_field_index(name))
        if column.null_count:
            row = first_row + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise DataError(f"{path}, row {row}: expected a number in every column, was no {name}")
        columns.append(column.to_numpy(zero_copy_only=False))
    return Piece(first_row, columns[0], tuple(columns[1:]))


def _unreadable(path: Path, error: Exception) -> DataError:
    said = (str(error).splitlines() or [""])[0].strip().rstrip(".")
    return DataError(f"{path}: torn or unreadable: {said or type(error).__name__}")


class CandleCheck:
    """Looks at all candles of one file, in order, and refuses the first that cannot be.

    Args:
        file: Whose candles they are.
        timeframe_ms: Length of a candle.
        anchor_ms: A moment on the grid of all files; ``None`` takes the file's first candle.
    """

    def __init__(self, file: CandleFile, timeframe_ms: int, anchor_ms: int | None) -> None:
        self._path: Final = file.path
        self.timeframe_ms: Final = timeframe_ms
        self.anchor_ms = anchor_ms
        """A moment on the grid; ``None`` before the first candle."""
        self._last_ts: int | None = None

    def look_at(self, piece: Piece) -> None:
        """Check the next piece.

        Raises:
            DataError: Naming file, row and values.
        """
        o, h, l, c, v = piece.columns  # noqa: E741 - the letters of a candle
        if self.anchor_ms is None:
            self.anchor_ms = int(piece.ts[0])
        before = piece.ts[:1] - self.timeframe_ms if self._last_ts is None else np.array([self._last_ts])
        steps = np.diff(piece.ts, prepend=before)
        with np.errstate(invalid="ignore"):
            # Written so that NaN is never good.
            good = (l > 0) & (l <= np.minimum(o, c)) & (h >= np.maximum(o, c)) & (h < np.inf) & (v >= 0) & (v < np.inf)
        good &= (steps > 0) & ((piece.ts - self.anchor_ms) % self.timeframe_ms == 0)
        good &= (piece.ts >= _TS_MIN) & (piece.ts < _TS_MAX)
        if not good.all():
            at = int(np.argmin(good))
            row = [float(column[at]) for column in piece.columns]
            fault = self._fault(int(piece.ts[at]), int(piece.ts[at] - steps[at]), row)
            raise DataError(f"{self._path}, row {piece.first_row + at}: {fault}")
        self._last_ts = int(piece.ts[-1])

    def _fault(self, ts: int, before: int, row: list[float]) -> str:
        """Say what is wrong with a candle that is known to be wrong."""
        o, h, l, c, v = row  # noqa: E741 - the letters of a candle
        prices = f"open={o!r} high={h!r} low={l!r} close={c!r}"
        if not _TS_MIN <= ts < _TS_MAX:
            return f"expected ts in milliseconds UTC from 2000 to 2100, was {ts}"
        if ts == before:
            return f"expected times to rise, was {moment(ts)} twice"
        if ts < before:
            return f"expected times to rise, was {moment(ts)} after {moment(before)}"
        assert self.anchor_ms is not None, "the first piece sets it"
        if (ts - self.anchor_ms) % self.timeframe_ms:
            return f"expected times on the grid of {self.timeframe_ms // 1000} s, was {ts} ({moment(ts)})"
        if not np.isfinite(row).all():
            return f"expected finite prices and volume, was {prices} volume={v!r}"
        if min(o, h, l, c) <= 0:
            return f"expected prices above 0, was {prices}"
        if v < 0:
            return f"expected a volume of 0 or more, was {v!r}"
        if h < l:
            return f"expected high at or above low, was {prices}"
        return f"expected open and close between low and high, was {prices}"


def grid_anchor(timeframe_ms: int) -> int | None:
    """Where the grid of a timeframe stands: 1970 up to a day; ``None`` above, where exchanges begin as they like."""
    return 0 if timeframe_ms <= _DAY_MS else None
