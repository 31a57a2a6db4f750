"""The market inside the twin: where a symbol's price stands at a moment and what can be had there.

Everything is a function of (seed, symbol, moment) and the row that covers the moment, so nothing has to be kept
but what our own orders took. Symbols that nobody asks for cost nothing.
"""

from __future__ import annotations

import bisect
import hashlib
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tradecore.market.frame import MarketFrame
from tradecore.market.path import Step, walk
from tradecore.market.source import RowSource
from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.model.units import Side, price_of
from tradecore.venues.twin.depth import Depth, Grid, make_depth
from tradecore.venues.twin.records import BookShape
from tradecore.venues.twin.stage import Meeting

_SHAPE: Final = BookShape()
_MINUTE_MS: Final = 60_000
_CHUNK: Final = 64
"""Rows read from the source at once."""
_CHUNKS_KEPT: Final = 3
_PATHS_KEPT: Final = 2
"""Rows per symbol whose steps are kept: the one that just closed and the one that runs."""


class _Path:
    """One row of one symbol: its steps and what they say of depth."""

    __slots__ = ("before", "moments", "ranges", "steps", "volume")

    def __init__(self, steps: tuple[Step, ...], volume: float, before: float) -> None:
        self.steps: Final = steps
        self.moments: Final = [step.at_ms for step in steps]
        self.volume: Final = volume
        self.before: Final = before
        """Range of the row before, relative."""
        low = high = steps[0].price if steps else 0.0
        ranges: list[float] = []
        for step in steps:
            low, high = min(low, step.price), max(high, step.price)
            ranges.append((high - low) / low)
        self.ranges: Final = ranges
        """Range of this row so far at each step, relative: the book must not tell what is still to come."""


class TwinMarket:
    """Prices and books of all symbols at any moment, made from rows.

    Args:
        source: Rows, files or generated.
        seed: The same seed gives the same prices between closes and the same books.
        shape: Spread, depth and steps.
        instruments: Filters and fees; ``None`` takes the source's.
    """

    def __init__(
        self,
        source: RowSource,
        seed: int,
        shape: BookShape = _SHAPE,
        instruments: Mapping[str, Instrument] | None = None,
    ) -> None:  # fmt: skip
        self._source: Final = source
        self._seed: Final = seed
        self.shape: Final = shape
        self.symbols: Final = source.symbols
        self.timeframe_ms: Final = source.timeframe_ms
        self.instruments: dict[str, Instrument] = dict(source.instruments if instruments is None else instruments)
        """What can be traded now; the engine may change it while it runs (halts, new filters)."""
        self._grids: Final = {symbol: Grid(item) for symbol, item in self.instruments.items()}
        self._column: Final = {symbol: i for i, symbol in enumerate(source.symbols)}
        self._minutes: Final = source.timeframe_ms / _MINUTE_MS
        # A range grows with the square root of time.
        self._calm_range: Final = shape.calm_range_bps / 10_000 * self._minutes**0.5
        self._open_ms: Final = source.first_close_ms - source.timeframe_ms
        self._chunks: dict[int, MarketFrame] = {}
        self._paths: dict[str, dict[int, _Path]] = {}
        self._depths: dict[str, Depth] = {}
        self._taken: dict[str, tuple[int, dict[str, Decimal]]] = {}

    def change(self, instrument: Instrument) -> None:
        """Put new filters or a halt into force for one symbol."""
        self.instruments[instrument.symbol] = instrument
        self._grids[instrument.symbol] = Grid(instrument)
        self._depths.pop(instrument.symbol, None)

    def row_at(self, at_ms: int) -> int:
        """The row that covers a moment: a row runs from after its open up to and with its close.

        Returns:
            The number of the row; the last one after the end of the data, -1 before its start.
        """
        row = (at_ms - self._open_ms - 1) // self.timeframe_ms
        last = self._source.rows
        return int(row) if last is None else int(min(row, last - 1))

    def cells(self, row: int) -> tuple[MarketFrame, int]:
        """A frame that holds a row, and the row's place in it."""
        start = row - row % _CHUNK
        frame = self._chunks.get(start)
        if frame is None:
            frame = self._source.read(start, start + _CHUNK)
            self._chunks[start] = frame
            if len(self._chunks) > _CHUNKS_KEPT:
                del self._chunks[next(iter(self._chunks))]
        return frame, row - start

    def _path(self, symbol: str, row: int) -> _Path:
        kept = self._paths.setdefault(symbol, {})
        path = kept.get(row)
        if path is None:
            path = kept[row] = self._walk(symbol, row)
            if len(kept) > _PATHS_KEPT:
                del kept[min(kept)]
        return path

    def _walk(self, symbol: str, row: int) -> _Path:
        column = self._column[symbol]
        frame, at = self.cells(row)
        before = 0.0
        if row > 0:
            earlier, place = self.cells(row - 1)
            low = float(earlier.low[place, column])
            # NaN compares false: a row without data says nothing of haste.
            before = (float(earlier.high[place, column]) - low) / low if low > 0 else 0.0
        steps = walk(
            self._seed, symbol, self._open_ms + row * self.timeframe_ms, self.timeframe_ms,
            float(frame.open[at, column]), float(frame.high[at, column]), float(frame.low[at, column]),
            float(frame.close[at, column]), self.shape.steps, self.shape.between_closes,
        )  # fmt: skip
        volume = float(frame.volume[at, column])
        return _Path(steps, volume if volume > 0 else 0.0, before)

    def _find(self, symbol: str, at_ms: int) -> tuple[_Path, int] | None:
        """The path and the place in it of the newest step at a moment; ``None`` where the symbol does not trade."""
        row = self.row_at(at_ms)
        if row < 0 or symbol not in self._column:
            return None
        path = self._path(symbol, row)
        place = bisect.bisect_right(path.moments, at_ms) - 1
        return (path, place) if place >= 0 else None

    def step(self, symbol: str, at_ms: int) -> Step | None:
        """The newest step at a moment; ``None`` in a row without data, before the start, or for an unknown symbol."""
        found = self._find(symbol, at_ms)
        return found[0].steps[found[1]] if found else None

    def steps(self, symbol: str, row: int) -> tuple[Step, ...]:
        """All steps of a row; empty where the symbol does not trade."""
        return self._path(symbol, row).steps if symbol in self._column else ()

    def meets(self, symbol: str, step: Step, side: Side, limit: Decimal) -> Meeting:
        """Tell what a step's price does to an order of `side` that rests at `limit`."""
        price = price_of(step.price)
        if price == limit:
            return Meeting.TOUCHED
        beyond = price < limit if side is Side.BUY else price > limit
        return Meeting.THROUGH if beyond else Meeting.NONE

    @property
    def open_ms(self) -> int:
        """Open of row 0, milliseconds UTC."""
        return self._open_ms

    def frame(self, start: int, stop: int) -> MarketFrame:
        """Rows start to stop of all symbols, fewer at the end of the data."""
        return self._source.read(start, stop)

    def flow(self, symbol: str, step: Step) -> Decimal:
        """Base units, in whole lots, that traded in the market from one step to the next."""
        path = self._path(symbol, self.row_at(step.at_ms))
        return self._grids[symbol].lots(path.volume / len(path.steps)) if path.steps else Decimal(0)

    def depth(self, symbol: str, at_ms: int) -> Depth | None:
        """What stands in the book at a moment, less what was taken; ``None`` where the symbol does not trade."""
        known = self._depths.get(symbol)
        found = self._find(symbol, at_ms)
        if found is None:
            return None
        path, place = found
        step = path.steps[place]
        if known is not None and known.at_ms == step.at_ms:
            return known
        haste = (path.ranges[place] + path.before / 2) / self._calm_range
        depth = make_depth(
            self._chance("book", symbol, step.at_ms), self._grids[symbol], self.shape, at_ms=step.at_ms,
            price=step.price, traded_quote=path.volume * step.price / self._minutes, haste=haste,
        )  # fmt: skip
        taken = self._taken.get(symbol)
        if taken is not None and taken[0] == step.at_ms:
            depth.retake(taken[1])
        if known is None or step.at_ms > known.at_ms:  # a look at the past loses nothing of the newest book
            self._depths[symbol] = depth
        return depth

    def book(self, symbol: str, at_ms: int) -> Book | None:
        """The book at a moment; empty where nobody trades, ``None`` for an unknown symbol or before the start."""
        depth = self.depth(symbol, at_ms)
        if depth is not None:
            return Book(symbol, at_ms, tuple(depth.bids), tuple(depth.asks), "twin")
        known = symbol in self._column and self.row_at(at_ms) >= 0
        return Book(symbol, at_ms, (), (), "twin") if known else None

    def note_taken(self, symbol: str, depth: Depth) -> tuple[int, Mapping[str, Decimal]]:
        """Remember what was taken of the running step. Returns what a restart needs."""
        self._taken[symbol] = (depth.at_ms, depth.taken)
        return self._taken[symbol]

    def restore_taken(self, symbol: str, step_ms: int, taken: dict[str, Decimal]) -> None:
        """Take over what had been taken before a restart."""
        self._taken[symbol] = (step_ms, taken)

    def draw(self, purpose: str, symbol: str, at_ms: int) -> float:
        """A number in [0, 1) that is always the same for these words."""
        return self._chance(purpose, symbol, at_ms).random()

    def _chance(self, purpose: str, symbol: str, at_ms: int) -> random.Random:
        digest = hashlib.blake2b(f"{self._seed}|{purpose}|{symbol}|{at_ms}".encode(), digest_size=8).digest()
        return random.Random(int.from_bytes(digest, "big"))
