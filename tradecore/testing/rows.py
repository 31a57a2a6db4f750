"""Proof of row ranges: an answer for a row is the same in one block, in any cut, and row by row.

A back test asks `signal` for thousands of rows at once, a live run for one. Both must decide the same, so a guest's
answer for a row may use that row and its `warmup` rows before it, nothing else. The checks here hand a guest frames
whose rows outside of that are replaced by other values, and compare all answers to the bit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from tradecore.market.answers import Plan, Wishes
from tradecore.market.frame import COLUMNS, Array, MarketFrame
from tradecore.market.indicators import running_peak
from tradecore.model.position import Position
from tradecore.model.units import price_of


class RowAnswer(NamedTuple):
    """A guest's answer taken apart for comparison."""

    rows: Mapping[str, object]
    """Arrays whose first axis is the rows asked for."""
    facts: Mapping[str, object] = {}
    """What must be the same in every answer, whatever the rows."""
    last: Mapping[str, object] = {}
    """What belongs to the last row asked for."""


Ask = Callable[[MarketFrame, range], RowAnswer]


def walk_frame(
    chance: random.Random,
    rows: int,
    symbols: int = 3,
    *,
    timeframe_ms: int = 60_000,
    empty: float = 0.1,
    start_ms: int = 1_700_000_000_000,
) -> MarketFrame:
    """Make a frame of random walks with gaps, for tests.

    Args:
        chance: Seeded generator.
        rows: Rows, >= 1.
        symbols: Symbols, named ``C0/USDT``, ``C1/USDT``, ....
        timeframe_ms: Length of a row.
        empty: Share of cells without data, 0 to 1.
        start_ms: Open of the first row.
    """
    draw = np.random.default_rng(chance.getrandbits(64))
    shape = (rows, symbols)
    close = np.round(100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, shape), axis=0)), 4)
    opened = np.round(close * np.exp(draw.normal(0.0, 0.004, shape)), 4)
    high = np.round(np.maximum(opened, close) * (1.0 + np.abs(draw.normal(0.0, 0.004, shape))), 4)
    low = np.round(np.minimum(opened, close) * (1.0 - np.abs(draw.normal(0.0, 0.004, shape))), 4)
    high, low = np.maximum(high, np.maximum(opened, close)), np.minimum(low, np.minimum(opened, close))
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": draw.exponential(10.0, shape)}
    hole = draw.random(shape) < empty
    for name, values in columns.items():
        columns[name] = np.asfortranarray(np.where(hole, np.nan, values))
    times = start_ms + timeframe_ms * np.arange(1, rows + 1, dtype=np.int64)
    return MarketFrame(timeframe_ms, times, tuple(f"C{i}/USDT" for i in range(symbols)), columns)


def assert_row_ranges(ask: Ask, frame: MarketFrame, warmup_rows: int, chance: random.Random) -> None:
    """Assert that answers do not depend on how the rows are asked for.

    Asks once for all rows, then for the same rows in random cuts, row by row, and out of order. Each of these later
    questions comes with a frame cut at a random place, at least `warmup_rows` before its first row where there
    are as many, in which every row that the answer may not use holds other values.

    Args:
        ask: Asks the guest and takes its answer apart.
        frame: Market; its first rows have fewer than `warmup_rows` before them, which is part of the proof.
        warmup_rows: Rows of the frame's timeframe that the guest declared.
        chance: Seeded generator; print its seed where the test fails.
    Raises:
        AssertionError: If two answers for a row differ in one bit, or in a fact.
    """
    whole = ask(frame, range(frame.rows))
    singles = [range(row, row + 1) for row in range(frame.rows)]
    by_row = {rows.start: _asked(ask, frame, rows, warmup_rows, chance) for rows in singles}
    for row, answer in by_row.items():
        _same_rows(whole, answer, range(row, row + 1))
    assert_same("last row of the block", whole.last, by_row[frame.rows - 1].last)
    cuts = list(_cuts(frame.rows, chance))
    chance.shuffle(cuts)
    for rows in cuts:
        answer = _asked(ask, frame, rows, warmup_rows, chance)
        _same_rows(whole, answer, rows)
        assert_same(f"last of {rows}", by_row[rows.stop - 1].last, answer.last)


def assert_signal_rows(
    signal: Callable[[MarketFrame, range], Wishes], frame: MarketFrame, warmup_rows: int, chance: random.Random
) -> None:
    """Assert the proof of row ranges for a `signal` guest, as `assert_row_ranges`.

    Raises:
        AssertionError: If two answers for a row differ in one bit, or a value has another shape than asked.
    """

    def ask(frame: MarketFrame, rows: range) -> RowAnswer:
        wishes = signal(frame, rows)
        shape = (len(rows), len(frame.symbols))
        assert wishes.value.shape == shape, f"expected a value of shape {shape}, was {wishes.value.shape}"
        arrays: dict[str, object] = {"value": wishes.value, "hits": wishes.hits()}
        for name in ("threshold", "strength", "group", "quote_wanted", "stop_price"):
            part = getattr(wishes, name)
            arrays[name] = None if part is None else np.broadcast_to(part, shape)
        facts = {name: getattr(wishes, name) for name in ("op", "unit", "reason", "expires_after_ms", "side")}
        return RowAnswer(arrays, facts)

    assert_row_ranges(ask, frame, warmup_rows, chance)


def assert_follow_rows(
    follow: Callable[[MarketFrame, range, Position], Plan | None],
    frame: MarketFrame,
    warmup_rows: int,
    position: Position,
    chance: random.Random,
) -> None:
    """Assert the proof of row ranges for a `follow` guest; peak and trough are carried as the core does.

    Also asks each row as one that has not closed yet (all NaN): its stop, take and add must be the same.

    Args:
        follow: The guest's hook.
        frame: Market; rows that closed before the position was opened are asked for too.
        warmup_rows: Rows of the frame's timeframe that the guest declared.
        position: As it stands before the first row of the frame.
        chance: Seeded generator.
    Raises:
        AssertionError: If two answers for a row differ in one bit, or in a fact.
    """
    peaks, troughs = running_peak(frame, range(frame.rows), position)
    row_of = {int(at_ms): row for row, at_ms in enumerate(frame.timestamps)}

    def carried(cut: MarketFrame, rows: range) -> Position:
        row = row_of[int(cut.timestamps[rows.start])]
        return position._replace(peak_price=price_of(float(peaks[row])), trough_price=price_of(float(troughs[row])))

    def levels(cut: MarketFrame, rows: range) -> RowAnswer:
        return _plan_levels(follow(cut, rows, carried(cut, rows)), len(rows))

    def ask(cut: MarketFrame, rows: range) -> RowAnswer:
        plan = follow(cut, rows, carried(cut, rows))
        answer = _plan_levels(plan, len(rows))
        if plan is None:
            return answer
        return answer._replace(
            rows={**answer.rows, "leave": plan.leave}, last={"inputs": plan.inputs, "memo": plan.memo}
        )

    assert_row_ranges(ask, frame, warmup_rows, chance)
    for row in range(1, frame.rows):
        closed = levels(frame, range(row, row + 1))
        opened = levels(frame.cut(0, row).with_open_row(), range(row, row + 1))
        assert_same(f"row {row} before its close", closed.rows, opened.rows)


def assert_same(where: str, left: Mapping[str, object], right: Mapping[str, object]) -> None:
    """Assert that two answers agree to the bit; any NaN equals any NaN.

    Raises:
        AssertionError: Naming the place, the part and both values.
    """
    assert left.keys() == right.keys(), f"{where}: expected {sorted(left)}, was {sorted(right)}"
    for name, one in left.items():
        other = right[name]
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
            same = one.shape == other.shape and one.dtype == other.dtype and _bits(one) == _bits(other)
        else:
            same = type(one) is type(other) and one == other
        assert same, f"{where}, {name}: expected {one!r}, was {other!r}"


def _plan_levels(plan: Plan | None, size: int) -> RowAnswer:
    if plan is None:
        return RowAnswer({}, {"plan": None})
    for name in ("stop", "take", "add", "leave"):
        part = getattr(plan, name)
        assert part is None or part.shape == (size,), f"expected {name} of shape {(size,)}, was {part.shape}"
    reasons = plan.stop_reason if isinstance(plan.stop_reason, tuple) else (plan.stop_reason,) * size
    assert len(reasons) == size, f"expected {size} stop reasons, was {len(reasons)}"
    arrays: dict[str, object] = {"stop": plan.stop, "take": plan.take, "add": plan.add, "stop_reason": reasons}
    return RowAnswer(arrays, {"leave_at_ms": plan.leave_at_ms, "add_quote": plan.add_quote})


def _bits(values: np.ndarray) -> bytes:
    if values.dtype.kind == "f":
        # Which of the many NaNs it is carries no meaning, and numpy may choose.
        return np.where(np.isnan(values), np.nan, values).tobytes()
    return values.tobytes()


def _same_rows(whole: RowAnswer, part: RowAnswer, rows: range) -> None:
    expected = {}
    for name, values in whole.rows.items():
        cut = values[rows.start : rows.stop] if isinstance(values, (np.ndarray, tuple)) else values
        expected[name] = cut
    assert_same(f"rows {rows.start} to {rows.stop - 1}", expected, part.rows)
    assert_same(f"rows {rows.start} to {rows.stop - 1}", whole.facts, part.facts)


def _cuts(count: int, chance: random.Random) -> Iterator[range]:
    start = 0
    while start < count:
        stop = min(count, start + chance.randint(1, max(1, count // 2)))
        yield range(start, stop)
        start = stop


def _asked(ask: Ask, frame: MarketFrame, rows: range, warmup_rows: int, chance: random.Random) -> RowAnswer:
    """Ask with a frame that starts and ends at random, with other values in every row the answer may not use."""
    first_used = max(0, rows.start - warmup_rows)
    # Where history is short the frame begins with the first row: a guest would rightly find still more of it missing.
    start = chance.randint(0, first_used)
    stop = chance.randint(rows.stop, frame.rows)
    columns: dict[str, Array] = {}
    for name in COLUMNS:
        values = np.array(getattr(frame, name)[start:stop], order="F")
        for part in (slice(0, first_used - start), slice(rows.stop - start, None)):
            values[part] = chance.choice([np.nan, 1e-3, 1e9]) * np.ones_like(values[part])
        columns[name] = values
    other = frame.cut(start, rows.stop).other
    cut = MarketFrame(frame.timeframe_ms, frame.timestamps[start:stop], frame.symbols, columns, other)
    return ask(cut, range(rows.start - start, rows.stop - start))
