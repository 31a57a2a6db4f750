"""The kit of indicators: the same bits whether rows are asked in one block, in cuts, or one by one.

Three rules make that so. Every answer for a row is made from a fixed number of rows before it (nothing is carried from
row to row); the order of operations depends on the window alone; and only elementwise numpy operations are used,
never a reduction whose order numpy or a linear algebra library may choose.

All functions take a column of a frame (or a frame) and a `range` of its rows, and read only the rows that the range and
the window name. A row with fewer rows before it than the window wants is NaN. A NaN cell is "no data then": it is
skipped, and the window is not made longer for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.market.frame import Array, MarketFrame
from tradecore.model.position import Position

_Fold = Callable[[Array, int], Array]
_Fold2 = Callable[[Array, Array], Array]
_Index = npt.NDArray[np.int64]
_Moves = Callable[[int, int], tuple[Array, _Index | None]]

#: Rows computed at once by the recursive indicators: small enough for the processor's cache, no effect on answers.
_CHUNK_ROWS: Final = 256


def rolling_max(values: Array, rows: range, window: int, *, before: bool = False) -> Array:
    """Take the highest value over `window` rows for each of `rows`.

    Args:
        values: Column of a frame, shape [T, S] or [T].
        rows: Rows asked for, a step of 1.
        window: Rows in a window, >= 1.
        before: The window ends at the row before; else it ends with the row itself.
    Returns:
        Shape [len(rows), S] or [len(rows)]; NaN where history is shorter than the window or all of it is NaN.
    Raises:
        ValueError: If `rows` leaves the column or has another step, or `window` is below 1.
    """
    return _rolling(values, rows, window, before, lambda block, size: _extreme(block, size, np.fmax))


def rolling_min(values: Array, rows: range, window: int, *, before: bool = False) -> Array:
    """Take the lowest value over `window` rows for each of `rows`; all else as `rolling_max`."""
    return _rolling(values, rows, window, before, lambda block, size: _extreme(block, size, np.fmin))


def simple_mean(values: Array, rows: range, window: int, *, before: bool = False) -> Array:
    """Take the mean over `window` rows for each of `rows`, over the cells that have data.

    Args:
        values: Column of a frame, shape [T, S] or [T].
        rows: Rows asked for, a step of 1.
        window: Rows in a window, >= 1.
        before: The window ends at the row before; else it ends with the row itself.
    Returns:
        Shape [len(rows), S] or [len(rows)]; NaN where history is shorter than the window or all of it is NaN.
    Raises:
        ValueError: As `rolling_max`.
    """
    return _rolling(values, rows, window, before, _mean)


def earliest_known(values: Array, rows: range, window: int, *, before: bool = False) -> Array:
    """Take the oldest value with data over `window` rows for each of `rows`; all else as `rolling_max`."""
    return _rolling(values, rows, window, before, lambda block, size: _extreme(block, size, _first_known))


def rsi_wilder(values: Array, rows: range, length: int = 14, warm: int = 250) -> Array:
    """Tell Wilder's relative strength index, started anew `warm` rows before each row.

    Where a row has no data the move is taken from the last close of the window to the next; the empty row itself is
    no move.

    Args:
        values: Closes, shape [T, S].
        rows: Rows asked for, a step of 1.
        length: Wilder's length in moves, >= 1.
        warm: Rows before each row that are used, >= `length`. RSI-14 needs 250 to stand still: with 60 it flipped 2.5 %
            of decisions.
    Returns:
        0 to 100, shape [len(rows), S]; 50 where nothing moved; NaN where the row has no data, fewer than `warm` rows
        stand before it, or fewer than `length` moves lie in them.
    Raises:
        ValueError: If `rows` leaves the column, or the lengths do not fit.
    Source: J. Welles Wilder, New Concepts in Technical Trading Systems (1978), section 6; the first `length` moves
        are averaged evenly, each later one weighs 1 / `length`.
    """

    def moves(low: int, high: int) -> tuple[Array, _Index | None]:
        close = np.ascontiguousarray(values[low:high])
        previous_close, previous = _previous(close)
        change = close - previous_close
        if previous is not None:
            change[previous < 0] = 0.0
        return np.stack([np.maximum(change, 0.0), np.maximum(-change, 0.0)]), previous

    gain, loss = _wilder(moves, 2, values, rows, length=length, warm=warm)
    total = gain + loss
    still = total == 0.0
    rsi: Array = 100.0 * gain / np.where(still, 1.0, total)
    rsi[still] = 50.0
    return rsi


def atr_wilder(frame: MarketFrame, rows: range, length: int = 14, warm: int = 250) -> Array:
    """Tell Wilder's average true range, started anew `warm` rows before each row.

    Args:
        frame: Rows; high, low and close are read.
        rows: Rows asked for, a step of 1.
        length: Wilder's length in rows, >= 1.
        warm: Rows before each row that are used, >= `length`.
    Returns:
        Quote per base, >= 0, shape [len(rows), S]; NaN as for `rsi_wilder`.
    Raises:
        ValueError: If `rows` leaves the frame, or the lengths do not fit.
    Source: J. Welles Wilder, New Concepts in Technical Trading Systems (1978), section 3.
    """

    def moves(low: int, high: int) -> tuple[Array, _Index | None]:
        previous_close, previous = _previous(np.ascontiguousarray(frame.close[low:high]))
        true_range = np.maximum(frame.high[low:high], previous_close) - np.minimum(frame.low[low:high], previous_close)
        if previous is not None:
            true_range[previous < 0] = 0.0
        return np.ascontiguousarray(true_range)[np.newaxis], previous

    average: Array = _wilder(moves, 1, frame.close, rows, length=length, warm=warm)[0]
    return average


def running_peak(frame: MarketFrame, rows: range, position: Position) -> tuple[Array, Array]:
    """Tell per row the highest and the lowest price of a position's life before that row.

    The first of `rows` gets the position's own peak and trough, which count everything before it. Then each row adds to
    the rows after it: a row that lies wholly within the position's life its high and low; the row in which the position
    was opened only its close and the average price paid (its extremes may be older than the position); a row
    that closed by then, or without data, nothing. The core carries `peak_price` and `trough_price` from row to row
    with this function too, so that every cut agrees to the bit.

    Args:
        frame: Rows with all of `rows`.
        rows: Rows asked for, a step of 1. The last one's own prices are not read.
        position: Its peak and trough are those before the first of `rows`.
    Returns:
        Peak and trough, quote per base, shape [len(rows)] each.
    Raises:
        ValueError: If `rows` leaves the frame.
        KeyError: If the frame does not hold the symbol.
    """
    _check_rows(frame.rows, rows)
    column = frame.index(position.symbol)
    seen = slice(rows.start, max(rows.start, rows.stop - 1))
    close = frame.close[seen, column]
    closes_ms = frame.timestamps[seen]
    within = closes_ms - frame.timeframe_ms >= position.opened_ms
    opening = ~within & (closes_ms > position.opened_ms)
    average = float(position.average_price)
    # np.maximum keeps NaN here, so that an opening row without data counts nothing.
    high = np.where(within, frame.high[seen, column], np.where(opening, np.maximum(close, average), np.nan))
    low = np.where(within, frame.low[seen, column], np.where(opening, np.minimum(close, average), np.nan))
    size = len(rows)
    peak: Array = np.fmax.accumulate(np.concatenate(([float(position.peak_price)], high)))[:size]
    trough: Array = np.fmin.accumulate(np.concatenate(([float(position.trough_price)], low)))[:size]
    return peak, trough


def _check_rows(count: int, rows: range) -> None:
    if rows.step != 1 or not 0 <= rows.start <= rows.stop <= count:
        raise ValueError(f"expected rows within 0 to {count} with a step of 1, was {rows}")


def _rolling(values: Array, rows: range, window: int, before: bool, fold: _Fold) -> Array:
    _check_rows(len(values), rows)
    if window < 1:
        raise ValueError(f"expected a window of 1 row or more, was {window}")
    shift = 1 if before else 0
    first = rows.start - shift - window + 1
    short = min(len(rows), max(0, -first))
    answer: Array = np.full((len(rows), *values.shape[1:]), np.nan, order="F")
    if short < len(rows):
        answer[short:] = fold(values[first + short : rows.stop - shift], window)
    return answer


def _first_known(older: Array, newer: Array) -> Array:
    known: Array = np.where(np.isnan(older), newer, older)
    return known


def _extreme(block: Array, window: int, pick: _Fold2) -> Array:
    """Fold every `window` rows into one by doubling: log2(window) passes over the whole block."""
    folded, width = block, 1
    while width * 2 <= window:
        folded = pick(folded[:-width], folded[width:])
        width *= 2
    if width < window:
        # Two windows of the largest power of two overlap to cover the rest: right where taking a value twice changes
        # nothing (extremes, the oldest one), not for sums.
        size = len(block) - window + 1
        rest = window - width
        folded = pick(folded[:size], folded[rest : rest + size])
    return folded


def _mean(block: Array, window: int) -> Array:
    known = ~np.isnan(block)
    total = _sum(np.where(known, block, 0.0), window)
    count = _sum(known.astype(np.float64), window)
    mean: Array = np.where(count > 0.0, total / np.maximum(count, 1.0), np.nan)
    return mean


def _sum(block: Array, window: int) -> Array:
    """Add every `window` rows by doubling; the tree of additions depends on `window` alone."""
    size = len(block) - window + 1
    total = np.zeros((size, *block.shape[1:]))
    folded, width, taken = block, 1, 0
    while True:
        if window & width:
            total = total + folded[taken : taken + size]
            taken += width
        if taken == window:
            return total
        folded = folded[:-width] + folded[width:]
        width *= 2


def _previous(close: Array) -> tuple[Array, _Index | None]:
    """Tell for each cell the close before it, and in which row that stands.

    Returns:
        Closes; and rows, -1 where the cell or everything before it has no data, ``None`` where no cell is empty: then
        it is always the row before.
    """
    known = ~np.isnan(close)
    if known.all():
        return np.concatenate((close[:1], close[:-1])), None
    row = np.arange(len(close))[:, np.newaxis]
    newest = np.maximum.accumulate(np.where(known, row, -1), axis=0)
    previous = np.concatenate((np.full((1, close.shape[1]), -1), newest[:-1]))
    previous[~known] = -1
    return np.take_along_axis(close, np.maximum(previous, 0), axis=0), previous


def _wilder(moves: _Moves, kinds: int, known: Array, rows: range, *, length: int, warm: int) -> Array:
    """Smooth moves over exactly `warm` rows before each row.

    Args:
        moves: Asked for rows low to high: the moves, shape [kinds, high - low, S], and the row each came from.
        kinds: Series smoothed side by side.
        known: NaN where a cell has no data.
    Returns:
        Shape [kinds, len(rows), S].
    """
    _check_rows(len(known), rows)
    if not 1 <= length <= warm:
        raise ValueError(f"expected 1 <= length <= warm, was length={length}, warm={warm}")
    answer: Array = np.full((kinds, len(rows), known.shape[1]), np.nan)
    for low in range(max(rows.start, warm), rows.stop, _CHUNK_ROWS):
        high = min(rows.stop, low + _CHUNK_ROWS)
        series, previous = moves(low - warm, high)
        smoothed = _smooth(series, length, warm) if previous is None else _smooth_known(series, previous, length, warm)
        smoothed[:, np.isnan(known[low:high])] = np.nan
        answer[:, low - rows.start : high - rows.start] = smoothed
    return answer


def _smooth(series: Array, length: int, warm: int) -> Array:
    """Step through the `warm` moves of all rows at once; every cell has data."""
    size = series.shape[1] - warm
    if size * series.shape[2] == 1:
        return _smooth_cell(series, length, warm)
    average = np.zeros((series.shape[0], size, series.shape[2]))
    for k in range(1, warm + 1):
        average += (series[:, k : k + size] - average) / float(min(k, length))
    return average


def _smooth_cell(series: Array, length: int, warm: int) -> Array:
    """As `_smooth`, to the bit, for one row of one symbol: there plain floats are eight times as fast as arrays."""
    averages = []
    for moves in series[:, :, 0].tolist():
        average = 0.0
        for k in range(1, warm + 1):
            average += (moves[k] - average) / float(min(k, length))
        averages.append(average)
    return np.array(averages).reshape(-1, 1, 1)


def _smooth_known(series: Array, previous: _Index, length: int, warm: int) -> Array:
    """As `_smooth`, to the bit, where some cells are empty: a move counts if both its ends lie in the row's window."""
    size = series.shape[1] - warm
    average = np.zeros((series.shape[0], size, series.shape[2]))
    start = np.arange(size)[:, np.newaxis]
    count = np.zeros((size, series.shape[2]))
    for k in range(1, warm + 1):
        counts = previous[k : k + size] >= start
        count += counts
        weight = np.clip(count, 1.0, float(length))
        average += np.where(counts, (series[:, k : k + size] - average) / weight, 0.0)
    average[:, count < length] = np.nan
    return average
