"""Markets for the cards: walks as long as a plugin's warm-up needs, and all that recorded data does to a guest."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from tradecore.market.frame import COLUMNS, Array, MarketFrame, window_ms, window_rows
from tradecore.testing.rows import walk_frame

_TIMEFRAMES_MS: Final = (60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000)
_WARMUP_ROWS_MAX: Final = 150
START_MS: Final = 1_699_920_000_000
"""A midnight, so that closes of slower frames fall on the hour."""
AFTER_WARMUP_ROWS: Final = 45


class Grid:
    """Rows that suit a plugin: the shortest timeframe at which its warm-up stays short.

    Args:
        warmup: ``base`` or a slower frame's name to a window, as the plugin promises it.
    """

    def __init__(self, warmup: Mapping[str, str]) -> None:
        self.slow: Final = {name: window for name, window in warmup.items() if name != "base"}
        base = warmup.get("base")
        slow_ms = [window_ms(name, 1) for name in self.slow]
        # At least two and at most 24 rows to one of the shortest slower frame, so that a frame spans several of those.
        fits = [ms for ms in _TIMEFRAMES_MS if not slow_ms or 2 * ms <= min(slow_ms) <= 24 * ms]
        fits = fits or [max(1_000, min(slow_ms) // 12)]
        short = [ms for ms in fits if base is None or window_rows(base, ms) <= _WARMUP_ROWS_MAX]
        self.timeframe_ms: Final = (short or fits[-1:])[0]
        self.warmup_rows: Final = 0 if base is None else window_rows(base, self.timeframe_ms)

    @property
    def rows(self) -> int:
        """Rows of an ordinary frame: the warm-up and some more."""
        spans = [3 * window_ms(name, 1) // self.timeframe_ms for name in self.slow]
        return self.warmup_rows + max([AFTER_WARMUP_ROWS, *spans])

    def frame(self, seed: int, *, rows: int | None = None, symbols: int = 3, empty: float = 0.1) -> MarketFrame:
        """Make a seeded market of random walks, with each slower frame that the plugin names."""
        count = self.rows if rows is None else rows
        chance = random.Random(seed)
        walk = walk_frame(
            chance, count, symbols, timeframe_ms=self.timeframe_ms, empty=empty, start_ms=START_MS
        )  # fmt: skip
        other = {name: self._slower(name, window, walk, chance) for name, window in self.slow.items()}
        return with_columns(walk, lambda name, values: values, other)

    def _slower(self, name: str, window: str, walk: MarketFrame, chance: random.Random) -> MarketFrame:
        """Make a slower frame whose history is long before the first row, closing on its own grid."""
        length_ms = window_ms(name, 1)
        before = window_rows(window, length_ms) + 3
        last_ms = int(walk.timestamps[-1]) if walk.rows else START_MS
        count = before + max(1, (last_ms - START_MS) // length_ms)
        return walk_frame(
            chance, count, len(walk.symbols), timeframe_ms=length_ms, empty=0.0, start_ms=START_MS - before * length_ms
        )  # fmt: skip


Change = Callable[[str, Array], Array]


def with_columns(frame: MarketFrame, change: Change, other: Mapping[str, MarketFrame] | None = None) -> MarketFrame:
    """The same frame with changed columns; a change gets the column's name and a copy that it may write."""
    columns = {name: change(name, np.array(getattr(frame, name), order="F")) for name in COLUMNS}
    return MarketFrame(
        frame.timeframe_ms, np.array(frame.timestamps), frame.symbols, columns, frame.other if other is None else other
    )


def replaced(frame: MarketFrame, rows: slice, value: float) -> MarketFrame:
    """The same frame with one value in every column of some rows."""

    def change(name: str, values: Array) -> Array:
        values[rows] = value
        return values

    return with_columns(frame, change)


def hard_frames(grid: Grid) -> Mapping[str, MarketFrame]:
    """What recorded and live markets do to a guest, by name."""
    plain = grid.frame(101, empty=0.0)
    half = plain.rows // 2

    def gap(name: str, values: Array) -> Array:
        values[half : half + 12] = np.nan
        return values

    def quiet(name: str, values: Array) -> Array:
        return np.zeros_like(values) if name == "volume" else values

    def flat(name: str, values: Array) -> Array:
        return values if name == "volume" else np.full_like(values, 7.0)

    return {
        "no data at all": replaced(plain, slice(None), np.nan),
        "six cells of ten empty": grid.frame(102, empty=0.6),
        "a gap of 12 rows in all symbols": with_columns(plain, gap),
        "no volume": with_columns(plain, quiet),
        "a price that never moves": with_columns(plain, flat),
    }


def scaled(frame: MarketFrame, factor: float) -> MarketFrame:
    """The same frame with all prices times a factor; volume stays."""
    return with_columns(frame, lambda name, values: values if name == "volume" else values * factor)
