"""Rows from prices: right by any cut, nothing invented, nothing of another row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.market.frame import COLUMNS
from tradecore.venues.live.bars import Bars, Cell

NAN = math.nan
ROW = 5_000
quotes = st.lists(
    st.tuples(st.integers(1, 60_000), st.integers(0, 2), st.floats(0.01, 1e6, allow_nan=False)), max_size=60
)  # fmt: skip


def played(script, keep=50):
    bars = Bars(("a", "b", "c"), ROW, keep, 1)
    for at_ms, column, price in script:
        bars.advance(-(-at_ms // ROW))
        bars.note(column, price, NAN)
    bars.advance(60_000 // ROW + 1)
    return bars


@given(quotes)
def test_a_bar_is_made_of_the_quotes_of_its_row_and_nothing_else(script):
    script.sort(key=lambda one: one[0])
    frame = played(script).frame(0, 100)
    assert list(frame.timestamps) == [ROW * n for n in range(1, 13)]
    for row, close_ms in enumerate(frame.timestamps):
        for column in range(3):
            within = [p for at, c, p in script if c == column and close_ms - ROW < at <= close_ms]
            bar = [float(getattr(frame, name)[row, column]) for name in COLUMNS[:4]]
            if not within:
                assert all(math.isnan(value) for value in bar)
                assert math.isnan(frame.volume[row, column])
                continue
            o, h, l, c = bar  # noqa: E741
            assert bar == [within[0], max(within), min(within), within[-1]]
            assert h >= max(o, c) >= min(o, c) >= l


@given(quotes, st.integers(1, 12))
def test_rows_do_not_depend_on_how_much_past_is_kept(script, keep):
    script.sort(key=lambda one: one[0])
    whole, short = played(script), played(script, keep)
    np.testing.assert_array_equal(whole.frame(13 - keep, 13).close, short.frame(13 - keep, 13).close)


def test_a_frame_handed_out_is_never_written_again():
    bars = Bars(("a",), ROW, 2, 1)
    frames = []
    for row in range(1, 400):
        bars.note(0, float(row), NAN)
        bars.advance(row + 1)
        frames.append((row, bars.frame(row - 1, row + 1)))
    for row, frame in frames:
        assert frame.close[-1, 0] == row
        assert frame.close.flags.f_contiguous or frame.rows == 1


def test_volume_is_the_pace_of_the_documented_day():
    """R38: the venue's 24 h quote volume for one row's time, in base units; NaN where the venue does not say."""
    bars = Bars(("a", "b"), ROW, 4, 1)
    bars.note(0, 50.0, 86_400.0)
    bars.note(1, 50.0, NAN)
    bars.advance(2)
    bars.note(0, 100.0, NAN)  # a stream that does not say leaves the figure as it was read
    bars.advance(3)
    volume = bars.frame(1, 3).volume
    assert volume[:, 0].tolist() == pytest.approx([0.1, 0.05])
    assert np.isnan(volume[:, 1]).all()


def test_a_symbol_that_is_shut_loses_the_row_under_way():
    bars = Bars(("a", "b"), ROW, 4, 1)
    bars.note(0, 50.0, NAN)
    bars.note(1, 60.0, NAN)
    bars.shut([0])
    bars.note(0, 51.0, NAN)
    bars.advance(2)
    assert np.isnan(bars.frame(1, 2).close[0, 0])
    assert bars.frame(1, 2).close[0, 1] == 60.0
    bars.shut([])
    bars.note(0, 52.0, NAN)
    bars.advance(3)
    assert bars.frame(2, 3).close[0, 0] == 52.0


def test_the_past_is_filled_where_it_is_empty_and_before_the_first_row():
    bars = Bars(("a", "b"), ROW, 10, 10 * ROW - 1, past_rows=6)
    assert bars.oldest == 4
    before = bars.frame(4, 10)
    cell = Cell(1.0, 2.0, 0.5, 1.5, 7.0)
    bars.fill_past({1: [(3, cell), (4, cell), (9, cell), (10, cell)]})
    bars.fill_past({1: [(9, Cell(9.0, 9.0, 9.0, 9.0, 9.0))]})
    bars.advance(11)
    frame = bars.frame(0, 11)
    assert list(frame.timestamps) == [ROW * n for n in range(4, 11)]
    assert [float(getattr(frame, name)[0, 1]) for name in COLUMNS] == [1.0, 2.0, 0.5, 1.5, 7.0]
    assert np.flatnonzero(~np.isnan(frame.close[:, 1])).tolist() == [0, 5]
    assert np.isnan(frame.close[:, 0]).all()
    assert np.isnan(before.close).all(), "a frame that was handed out stays as it was"


def test_a_jump_longer_than_the_past_leaves_it_empty():
    bars = Bars(("a",), ROW, 3, 1)
    bars.note(0, 5.0, NAN)
    bars.advance(2)
    assert bars.holds(1)
    bars.advance(10_000)
    assert not bars.holds(1)
    assert bars.missing(1) == 1
    assert np.isnan(bars.frame(9_990, 10_000).close).all()
    assert bars.frame(9_990, 10_000).rows == 3
    bars.advance(5)
    assert bars.row == 10_000
