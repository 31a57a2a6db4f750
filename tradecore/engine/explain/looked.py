"""A market that remembers what was read of it, and one that answers from what was remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from tradecore.market.frame import COLUMNS, Array, Market, MarketFrame
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument

_EMPTY = np.zeros(0, dtype=np.int64)

Rows = Callable[[int, int], "MarketFrame | None"]
"""(close of the newest row, rows) to the frame of then; ``None`` where it cannot be made again."""


class MarketFacts(NamedTuple):
    """What was read of the market for one question: small where guests read little."""

    now_ms: int
    close_ms: int
    """Close of the newest row; 0 where there was none."""
    timeframe_ms: int
    rows: int
    """Rows that the frame held."""
    windows: Mapping[str, tuple[float, ...]] = {}
    """``column symbol`` to its last values, oldest first."""
    books: Mapping[str, Book] = {}
    none: tuple[str, ...] = ()
    """Symbols whose book was asked for where there was none."""
    whole: bool = False
    """True where the frame itself was read, which is not kept: its rows must be made again from their source."""
    instruments: Mapping[str, Instrument] = {}
    no_instrument: tuple[str, ...] = ()
    """Symbols whose instrument was asked for where there was none."""


class LookedMarket(Market):
    """A market whose windows and books are noted as they are read.

    Args:
        frame: Rows up to and with the row judged.
        now_ms: Market time of the question.
        books: Newest book per symbol.
        instruments: What the venue lets one trade, per symbol.
    """

    __slots__ = ("_asked", "_filters", "_seen", "_whole")

    def __init__(
        self,
        frame: MarketFrame,
        now_ms: int,
        books: Mapping[str, Book],
        instruments: Mapping[str, Instrument] = MappingProxyType({}),
    ) -> None:
        super().__init__(frame, now_ms, books, instruments)
        object.__setattr__(self, "_filters", {})
        object.__setattr__(self, "_seen", {})
        object.__setattr__(self, "_asked", {})
        object.__setattr__(self, "_whole", [])

    _seen: dict[tuple[str, str], int]
    _asked: dict[str, Book | None]
    _filters: dict[str, Instrument | None]
    _whole: list[bool]

    @property
    def frame(self) -> MarketFrame:
        """All rows up to the one judged."""
        self._whole.append(True)
        return self._frame

    def window(self, symbol: str, column: str, rows: int) -> Array:
        """The last `rows` values of one column, oldest first; shorter where history is shorter."""
        values = super().window(symbol, column, rows)
        key = (column, symbol)
        # a question for 0 rows or fewer means "all but": what was handed out is what counts
        self._seen[key] = max(self._seen.get(key, 0), len(values))
        return values

    def book(self, symbol: str) -> Book | None:
        """The newest book; ``None`` where none was received."""
        found = super().book(symbol)
        self._asked[symbol] = found
        return found

    def instrument(self, symbol: str) -> Instrument | None:
        """Steps, minimums, fees and rights of a symbol now; ``None`` where the venue does not have it."""
        found = self._filters[symbol] = super().instrument(symbol)
        return found

    def facts(self, book: Book | None = None) -> MarketFacts:
        """Everything read so far, and the book that the core itself looked at."""
        frame = self._frame
        books = {symbol: seen for symbol, seen in self._asked.items() if seen is not None}
        if book is not None:
            books.setdefault(book.symbol, book)
        windows = {
            f"{column} {symbol}": tuple(getattr(frame, column)[-rows:, frame.index(symbol)].tolist()) if rows else ()
            for (column, symbol), rows in self._seen.items()
        }
        none = tuple(symbol for symbol, seen in self._asked.items() if seen is None)
        close_ms = int(frame.timestamps[-1]) if frame.rows else 0
        filters = {symbol: seen for symbol, seen in self._filters.items() if seen is not None}
        unknown = tuple(symbol for symbol, seen in self._filters.items() if seen is None)
        return MarketFacts(
            self.now_ms, close_ms, frame.timeframe_ms, frame.rows, windows, books, none, bool(self._whole), filters,
            unknown,
        )  # fmt: skip


class KeptMarket(Market):
    """The market of a stored question: answers what was kept, else asks for the rows again, else says what is missing.

    Args:
        facts: What was kept.
        rows: Makes the frame again; ``None``: nobody can.
    """

    __slots__ = ("_facts", "_made", "_rows", "missing")

    def __init__(self, facts: MarketFacts, rows: Rows | None = None) -> None:
        blank = {name: np.zeros((0, 0)) for name in COLUMNS}
        empty = MarketFrame(max(1, facts.timeframe_ms), _EMPTY, (), blank)
        super().__init__(empty, facts.now_ms, facts.books, facts.instruments)
        object.__setattr__(self, "_facts", facts)
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_made", [])
        object.__setattr__(self, "missing", [])

    _facts: MarketFacts
    _rows: Rows | None
    _made: list[MarketFrame | None]
    missing: list[str]
    """What a guest asked for that is neither kept nor can be made again; its answer counts for nothing then."""

    @property
    def frame(self) -> MarketFrame:
        """All rows up to the one judged, made again from their source.

        Raises:
            LookupError: Where they cannot be.
        """
        found = self._again()
        if found is None:
            self.missing.append("the whole frame")
            raise LookupError("expected rows that were kept, was the whole frame")
        return found

    def window(self, symbol: str, column: str, rows: int) -> Array:
        """The last `rows` values of one column as they were then.

        Raises:
            LookupError: Where they were not kept and cannot be made again.
        """
        kept = self._facts.windows.get(f"{column} {symbol}")
        if kept is not None and 0 < min(rows, self._facts.rows) <= len(kept):
            return np.array(kept, dtype=np.float64)[-rows:]
        found = self._again()
        if found is None:
            self.missing.append(f"{rows} rows of {column} of {symbol}, kept {len(kept or ())}")
            raise LookupError(f"expected rows that were kept, was {self.missing[-1]}")
        values: Array = getattr(found, column)[-rows:, found.index(symbol)]
        return values

    def book(self, symbol: str) -> Book | None:
        """The book as it was then.

        Raises:
            LookupError: Where nobody had looked at it.
        """
        found = self._facts.books.get(symbol)
        if found is None and symbol not in self._facts.none:
            self.missing.append(f"the book of {symbol}")
            raise LookupError(f"expected a book that was kept, was {self.missing[-1]}")
        return found

    def instrument(self, symbol: str) -> Instrument | None:
        """What could be traded of a symbol then.

        Raises:
            LookupError: Where nobody had looked at it.
        """
        found = self._facts.instruments.get(symbol)
        if found is None and symbol not in self._facts.no_instrument:
            self.missing.append(f"the instrument {symbol}")
            raise LookupError(f"expected an instrument that was kept, was {self.missing[-1]}")
        return found

    def _again(self) -> MarketFrame | None:
        if not self._made:
            facts = self._facts
            self._made.append(self._rows(facts.close_ms, facts.rows) if self._rows is not None else None)
        return self._made[0]
