"""What the signal guests say of a block of rows, compared by the core: one outcome per (row, symbol).

Guests answer for many rows at once; the comparison, the filters and the counts are array code, so that a quiet row
costs microseconds. Only hits come out one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore.engine.explain.deciders import Deciders, QuietRow
from tradecore.hooks.calls import Calls
from tradecore.market.answers import Wishes
from tradecore.market.frame import Array, MarketFrame
from tradecore.model.reasons import Reason
from tradecore.ports.feed import Feed

CODES: tuple[Reason, ...] = (
    Reason.INTENT_CREATED,  # 0: a hit, answered one by one
    Reason.NOT_TRADABLE,
    Reason.WARMING_UP,
    Reason.NO_WISHER,
    Reason.THRESHOLD_NOT_MET,
    Reason.FILTER_REFUSED,
    Reason.FILTER_SILENT,
)
_CODE_OF = {reason: code for code, reason in enumerate(CODES)}
_Codes = npt.NDArray[np.int8]


class Hit(NamedTuple):
    """A cell whose condition holds and whose filters hold: it becomes a signal."""

    plugin: str
    order: int
    """Place of the guest in the list."""
    symbol: str
    price: float
    value: float
    threshold: float
    unit: str
    reason: str
    strength: float
    expires_after_ms: int
    group: int
    """-1 stands alone."""
    quote_wanted: float
    """NaN: not asked."""
    stop_price: float
    """NaN: none foreseen."""


class RowOutcomes(NamedTuple):
    """One row judged: what the quiet majority ended as, and the hits in the order in which they are asked."""

    row_ms: int
    counts: Mapping[Reason, int]
    hits: Sequence[Hit]
    quiet: QuietRow
    """What each symbol ended as, and who decided."""
    within: npt.NDArray[np.bool_]
    """Symbols of the universe."""
    guests: Sequence[tuple[str, str]]
    """Name and unit by the places in `quiet`."""


class NearMiss(NamedTuple):
    """The symbol nearest to its condition in a row, for people: it decides nothing."""

    symbol: str
    plugin: str
    value: float
    threshold: float
    margin: float
    """Relative to the threshold, > 0."""
    unit: str


class Judged:
    """A block of rows with all answers compared. Made once, read row by row."""

    def __init__(self, frame: MarketFrame, rows: range, calls: Calls, removed: frozenset[str] = frozenset()) -> None:
        self.frame = frame
        universe = np.array([symbol not in removed for symbol in frame.symbols], dtype=np.bool_)
        self._universe = universe
        self._whole = bool(universe.all())
        self.rows = rows
        answers = calls.signals(frame, rows)
        self._close = frame.close[rows.start : rows.stop]
        self._wishers = [(n, name, wishes) for n, (name, wishes) in enumerate(answers.wishers) if wishes is not None]
        self._filters = answers.filters
        failed = {name for name, wishes in answers.wishers if wishes is None}
        failed |= {name for name, _, wishes in answers.filters if wishes is None}
        self.faulted = not failed.isdisjoint(calls.active("signal"))
        """True where a guest failed that is not in quarantine."""
        shape = (len(rows), len(frame.symbols))
        tradable = np.isfinite(self._close) & universe
        self._hits: list[npt.NDArray[np.bool_]] = []
        names = [name for _, name, _ in self._wishers] + [name for name, _, _ in self._filters]
        units = [wishes.unit for _, _, wishes in self._wishers]
        units += [wishes.unit if wishes is not None else "" for _, _, wishes in self._filters]
        self._deciders = deciders = Deciders(shape, names, units)
        any_hit = np.zeros(shape, dtype=np.bool_)
        answered = np.zeros(shape, dtype=np.bool_)
        refused = np.zeros(shape, dtype=np.bool_)
        silent = np.zeros(shape, dtype=np.bool_)
        for _, name, wishes in self._wishers:
            met = wishes.hits() & tradable
            held, mute = self._filtered(name, shape)
            answered |= np.isfinite(wishes.value)
            deciders.declined(len(self._hits), wishes, tradable)
            refused |= met & ~held & ~mute
            silent |= met & mute
            hit = met & held
            self._hits.append(hit)
            any_hit |= hit
        if refused.any() or silent.any():
            self._name_filters(refused & ~any_hit, silent & ~any_hit)
        codes: _Codes = np.full(shape, _CODE_OF[Reason.THRESHOLD_NOT_MET], dtype=np.int8)
        codes[refused] = _CODE_OF[Reason.FILTER_REFUSED]
        codes[silent] = _CODE_OF[Reason.FILTER_SILENT]
        codes[~answered] = _CODE_OF[Reason.WARMING_UP if self._wishers else Reason.NO_WISHER]
        codes[~tradable] = _CODE_OF[Reason.NOT_TRADABLE]
        codes[any_hit] = 0
        self._codes = codes
        self._has_hit: npt.NDArray[np.bool_] = np.any(any_hit, axis=1, keepdims=True)[:, 0]

    def _filtered(self, wisher: str, shape: tuple[int, int]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Where all filters in scope hold, and where one of them gave no answer."""
        held = np.ones(shape, dtype=np.bool_)
        mute = np.zeros(shape, dtype=np.bool_)
        for _, applies_to, wishes in self._filters:
            if applies_to is not None and wisher not in applies_to:
                continue
            if wishes is None:
                mute[:] = True
                held[:] = False
                continue
            held &= wishes.hits()
            mute |= ~np.isfinite(wishes.value)
        return held, mute

    def _name_filters(self, refused: npt.NDArray[np.bool_], silent: npt.NDArray[np.bool_]) -> None:
        """Name the filter that shut a cell whose condition was met: the nearest that refused, or a silent one."""
        deciders, first = self._deciders, len(self._wishers)
        deciders.clear(refused)
        for place, (_, _, wishes) in enumerate(self._filters, start=first):
            if wishes is not None:
                deciders.declined(place, wishes, refused & ~wishes.hits())
        for place, (_, _, wishes) in enumerate(self._filters, start=first):
            if wishes is None:
                deciders.silent(place, silent)
            else:
                deciders.silent(place, silent & ~np.isfinite(wishes.value))

    def row_of(self, close_ms: int) -> int | None:
        """Index of a judged row by its close; ``None``: the block does not hold it."""
        row = int(np.searchsorted(self.frame.timestamps, close_ms))
        held = row in self.rows and int(self.frame.timestamps[row]) == close_ms
        return row if held else None

    def outcomes(self, row: int) -> RowOutcomes:
        """What row `row` (an index into the frame) ended as."""
        at = row - self.rows.start
        codes = self._codes[at] if self._whole else self._codes[at][self._universe]
        counts = np.bincount(codes, minlength=len(CODES))
        quiet = {CODES[code]: int(count) for code, count in enumerate(counts) if code and count}
        hits = self._hits_of(at) if self._has_hit[at] else ()
        guests = list(zip(self._deciders.names, self._deciders.units, strict=True))
        decided = self._deciders.row(at, self._codes[at])
        return RowOutcomes(int(self.frame.timestamps[row]), quiet, hits, decided, self._universe, guests)

    def _hits_of(self, at: int) -> Sequence[Hit]:
        found = []
        for (order, plugin, wishes), hit in zip(self._wishers, self._hits, strict=True):
            for column in np.flatnonzero(hit[at]):
                found.append(self._hit(at, int(column), order, plugin, wishes))
        found.sort(key=lambda h: (-h.strength, h.order, h.symbol))
        return found

    def _hit(self, at: int, column: int, order: int, plugin: str, wishes: Wishes) -> Hit:
        group = -1 if wishes.group is None else int(wishes.group[at, column])
        return Hit(
            plugin, order, self.frame.symbols[column], float(self._close[at, column]), float(wishes.value[at, column]),
            _cell(wishes.threshold, at, column), wishes.unit, wishes.reason, _cell(wishes.strength, at, column),
            wishes.expires_after_ms, group, _cell(wishes.quote_wanted, at, column),
            _cell(wishes.stop_price, at, column),
        )  # fmt: skip

    def near_misses(self, row: int, most: int) -> Sequence[NearMiss]:
        """The symbols nearest to a condition in this row; the guest with the smallest margin names each (R4)."""
        at = row - self.rows.start
        found: dict[str, NearMiss] = {}
        for _, plugin, wishes in self._wishers:
            margins = wishes.relative_margin()[at]
            for column in np.argsort(margins)[:most]:
                margin, symbol = float(margins[column]), self.frame.symbols[int(column)]
                if not margin > 0 or (symbol in found and found[symbol].margin <= margin):
                    continue
                value = float(wishes.value[at, column])
                threshold = _cell(wishes.threshold, at, int(column))
                found[symbol] = NearMiss(symbol, plugin, value, threshold, margin, wishes.unit)
        return sorted(found.values(), key=lambda miss: (miss.margin, miss.symbol))[:most]


def _cell(values: float | Array | None, at: int, column: int) -> float:
    """Read one cell of a number, a row, or a block; NaN for ``None``."""
    if values is None:
        return float("nan")
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0:
        return float(array)
    if array.ndim == 1:
        return float(array[column])
    return float(array[at if array.shape[0] > 1 else 0, column if array.shape[1] > 1 else 0])


class Scanner:
    """Keeps the block under way, asks for the next one, and asks anew when a guest changed."""

    def __init__(self, calls: Calls, feed: Feed, warmup_rows: int, block_rows: int) -> None:
        self._calls = calls
        self._feed = feed
        self._warmup_rows = warmup_rows
        self._block_rows = block_rows
        self._judged: Judged | None = None
        self._row = -1
        self._stale = False
        self.removed: frozenset[str] = frozenset()
        """Symbols that universe guests keep out in the row judged last."""
        self._wanted: frozenset[str] = frozenset()

    def forget(self) -> None:
        """Drop answers of rows to come: a setting was tuned or a guest quarantined; in force from the next row.

        The row under way keeps its answers: it may have been taken already, and is judged all the same.
        """
        self._stale = True

    def keep_out(self, symbols: Iterable[str]) -> None:
        """Judge some symbols no more, and all others again, from the next row on."""
        wanted = frozenset(symbols) & frozenset(self._feed.symbols)
        if wanted != self._wanted:
            self._wanted = wanted
            self.forget()

    def look_ahead(self) -> None:
        """Ask the signal guests for the next rows if the next one is not yet judged. Called before a row is taken."""
        judged, close_ms = self._judged, self._feed.next_close_ms
        if judged is not None and not self._stale and close_ms is not None and judged.row_of(close_ms) is not None:
            return
        self.removed = self._wanted
        self._stale = False  # before asking: who is quarantined now makes these answers stale again
        frame = self._feed.block(self._warmup_rows, self._block_rows)
        if frame is None:
            self._judged = None
            return
        # the feed hands over as many closed rows as it has, then the rows to come
        start = int(np.searchsorted(frame.timestamps, close_ms or 0))
        self._judged = Judged(frame, range(start, frame.rows), self._calls, self.removed)
        # a guest that failed once is silent in this row alone: the next one asks it again, until it is in quarantine
        self._stale = self._stale or self._judged.faulted
        self._row = start - 1

    def next_row(self, close_ms: int) -> RowOutcomes:
        """Judge the row that has just been taken from the feed, found by its close: a row may have been missed."""
        assert self._judged is not None
        row = self._judged.row_of(close_ms)
        assert row is not None, close_ms
        self._row = row
        return self._judged.outcomes(row)

    def near_misses(self, most: int) -> Sequence[NearMiss]:
        """The nearest to a condition in the row judged last."""
        if self._judged is None or self._row < self._judged.rows.start:
            return ()
        return self._judged.near_misses(self._row, most)
