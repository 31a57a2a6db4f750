"""The sliding window: right rows whatever is asked, few rows made twice, little held."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.market.frame import COLUMNS
from tradecore.market.window import RowWindow, row_bytes


def window(rows, asked, symbols=2, budget_bytes=1):
    def fill(start, stop, columns):
        asked.append((start, stop))
        for name, column in columns.items():
            assert np.isnan(column).all()
            for at in range(symbols):
                column[:, at] = 1000.0 * COLUMNS.index(name) + np.arange(start, stop) + at / 2

    names = tuple(f"S{at}" for at in range(symbols))
    return RowWindow(
        symbols=names, timeframe_ms=1_000, first_close_ms=5_000, rows=rows, fill=fill, budget_bytes=budget_bytes
    )


@given(
    rows=st.one_of(st.none(), st.integers(1, 900)),
    reads=st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 300)), max_size=30),
)
def test_every_read_gives_its_rows(rows, reads):
    asked = []
    source = window(rows, asked)
    for start, length in reads:
        stop = start + length
        frame = source.read(start, stop)
        low, high = (start, stop) if rows is None else (min(start, rows), min(stop, rows))
        assert frame.timestamps.tolist() == [5_000 + 1_000 * k for k in range(low, high)]
        for number, name in enumerate(COLUMNS):
            column = getattr(frame, name)
            assert column[:, 1].tolist() == [1000.0 * number + k + 0.5 for k in range(low, high)]
    assert all(0 <= start < stop and (rows is None or stop <= rows) for start, stop in asked)


def test_reading_forward_with_a_look_back_makes_each_row_once():
    asked = []
    source = window(10_000, asked, budget_bytes=200 * row_bytes(2))
    for row in range(0, 10_000, 10):
        source.read(max(0, row - 40), row + 10)
    made = [row for start, stop in asked for row in range(start, stop)]
    assert sorted(made) == list(range(10_000))
    assert len(asked) < 100


def test_a_read_at_hand_is_a_view():
    source = window(1_000, [])
    first, second = source.read(0, 50), source.read(10, 40)
    assert np.shares_memory(first.close, second.close)


def test_frames_handed_out_stay_as_they_were():
    source = window(None, [])
    frame = source.read(0, 20)
    before = frame.close.copy()
    source.read(5_000, 5_020)
    np.testing.assert_array_equal(frame.close, before)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4)])
def test_rows_that_are_none_are_refused(start, stop):
    with pytest.raises(ValueError, match="expected 0 <= start <= stop"):
        window(10, []).read(start, stop)
