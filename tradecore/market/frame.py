"""The market as arrays: symbols x closed bars, cut at one moment.

A row is a closed bar; ``timestamps`` are the moments of its close. NaN in all columns of a cell means
"no data then": not tradable. Arrays are float64, shape [T, S], column-major, so that one symbol's history is one
contiguous piece of memory (rolling windows run along it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.errors import SettingsError
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
COLUMNS: Final = ("open", "high", "low", "close", "volume")
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_WINDOW: Final = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|r)\s*$")


def window_ms(window: str, timeframe_ms: int) -> int:
    """Turn a window such as ``60m``, ``4h``, ``30s``, ``1d`` or ``250r`` (rows) into milliseconds.

    Raises:
        SettingsError: If the text is no window or names no time at all.
    """
    match = _WINDOW.match(window)
    if match is None or float(match[1]) <= 0:
        raise SettingsError(f"expected a window such as '60m', '4h' or '250r', was {window!r}")
    amount = float(match[1])
    return int(amount * (timeframe_ms if match[2] == "r" else _UNIT_MS[match[2]]))


def window_rows(window: str, timeframe_ms: int) -> int:
    """Rows of `timeframe_ms` that cover a window, rounded up, at least 1."""
    return max(1, -(-window_ms(window, timeframe_ms) // timeframe_ms))


class _Sealed:
    """Its attributes are set once, by its own making."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"expected {type(self).__name__} to be read, was {name} written")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"expected {type(self).__name__} to be read, was {name} deleted")


def _locked(array: Any) -> npt.NDArray[Any]:
    """The same memory as an array that can never be made writable: a flag alone is lifted as easily as it is set."""
    return np.asarray(memoryview(array).toreadonly())


class MarketFrame(_Sealed):
    """Closed bars of all symbols up to one moment. Read-only: its arrays refuse to be written.

    Args:
        timeframe_ms: Length of a row.
        timestamps: Close of each row, milliseconds UTC, strictly rising, shape [T].
        symbols: Names, length S.
        columns: ``open high low close volume``, each float64 [T, S]; volume in base units.
        other: Slower frames by name (``"1h"``), cut at the same moment.
    """

    __slots__ = ("_index", "close", "high", "low", "open", "other", "symbols", "timeframe_ms", "timestamps", "volume")

    def __init__(
        self,
        timeframe_ms: int,
        timestamps: Times,
        symbols: tuple[str, ...],
        columns: Mapping[str, Array],
        other: Mapping[str, MarketFrame] | None = None,
    ) -> None:
        shape = (len(timestamps), len(symbols))
        put = partial(object.__setattr__, self)
        put("timeframe_ms", timeframe_ms)
        put("symbols", symbols)
        put("timestamps", _locked(np.asarray(timestamps, dtype=np.int64)))
        for name in COLUMNS:
            column = np.asarray(columns[name], dtype=np.float64)
            if column.shape != shape:
                raise ValueError(f"expected {name} of shape {shape}, was {column.shape}")
            put(name, _locked(column))
        put("other", MappingProxyType(dict(other or {})))
        put("_index", MappingProxyType({symbol: i for i, symbol in enumerate(symbols)}))

    timeframe_ms: int
    symbols: tuple[str, ...]
    timestamps: Times
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    other: Mapping[str, MarketFrame]
    _index: Mapping[str, int]

    @property
    def rows(self) -> int:
        """T: number of rows."""
        return len(self.timestamps)

    def index(self, symbol: str) -> int:
        """Column of a symbol.

        Raises:
            KeyError: If the frame does not hold it.
        """
        return self._index[symbol]

    def rows_of(self, window: str) -> int:
        """Rows of this frame that cover a window given as time, at least 1."""
        return window_rows(window, self.timeframe_ms)

    def cut(self, start: int, stop: int) -> MarketFrame:
        """Rows start to stop as a frame of views; slower frames are cut to what had closed by then."""
        end_ms = int(self.timestamps[stop - 1]) if stop > start else -1
        other = {
            name: slow.cut(0, int(np.searchsorted(slow.timestamps, end_ms, side="right")))
            for name, slow in self.other.items()
        }
        columns = {name: getattr(self, name)[start:stop] for name in COLUMNS}
        return MarketFrame(self.timeframe_ms, self.timestamps[start:stop], self.symbols, columns, other)

    def as_of(self, name: str) -> npt.NDArray[np.int64]:
        """Per row, the last row of the slower frame `name` that had closed by then; -1 where none had.

        Raises:
            KeyError: If there is no such frame.
        """
        return np.searchsorted(self.other[name].timestamps, self.timestamps, side="right").astype(np.int64) - 1

    def with_open_row(self) -> MarketFrame:
        """This frame and one row more that has not closed yet: all NaN, as `follow` is asked with it."""
        nan = np.full((1, len(self.symbols)), np.nan)
        columns = {name: np.asfortranarray(np.vstack([getattr(self, name), nan])) for name in COLUMNS}
        last = int(self.timestamps[-1]) if self.rows else 0
        times = np.append(self.timestamps, last + self.timeframe_ms)
        return MarketFrame(self.timeframe_ms, times, self.symbols, columns, self.other)


class Market(_Sealed):
    """The market up to one row as sizing and risk guests see it; nothing after the row can be reached.

    Args:
        frame: Rows up to and with the row judged.
        now_ms: Market time of the question.
        books: Newest book per symbol.
        instruments: What the venue lets one trade, per symbol.
    """

    __slots__ = ("_books", "_frame", "_instruments", "now_ms")

    def __init__(
        self,
        frame: MarketFrame,
        now_ms: int,
        books: Mapping[str, Book],
        instruments: Mapping[str, Instrument] = MappingProxyType({}),
    ) -> None:
        put = partial(object.__setattr__, self)
        put("_frame", frame)
        put("_books", MappingProxyType(books) if type(books) is dict else books)
        put("_instruments", MappingProxyType(instruments) if type(instruments) is dict else instruments)
        put("now_ms", now_ms)

    now_ms: int
    _frame: MarketFrame
    _books: Mapping[str, Book]
    _instruments: Mapping[str, Instrument]

    @property
    def frame(self) -> MarketFrame:
        """All rows up to the one judged."""
        return self._frame

    def window(self, symbol: str, column: str, rows: int) -> Array:
        """The last `rows` values of one column, oldest first; shorter where history is shorter.

        Raises:
            KeyError: If the symbol is unknown.
            ValueError: If the column is none of `COLUMNS`.
        """
        if column not in COLUMNS:
            raise ValueError(f"expected one of {COLUMNS}, was {column!r}")
        values: Array = getattr(self._frame, column)[-rows:, self._frame.index(symbol)]
        return values

    def book(self, symbol: str) -> Book | None:
        """The newest book; ``None`` where none was received."""
        return self._books.get(symbol)

    def instrument(self, symbol: str) -> Instrument | None:
        """Steps, minimums, fees and rights of a symbol now; ``None`` where the venue does not have it."""
        return self._instruments.get(symbol)
