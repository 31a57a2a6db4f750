"""The kit of indicators: right values, and the same bits under every cut."""

import itertools
import math
import random
from decimal import Decimal
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.market.frame import MarketFrame
from tradecore.market.indicators import (
    atr_wilder,
    rolling_max,
    rolling_min,
    rsi_wilder,
    running_peak,
    simple_mean,
)
from tradecore.model.position import Position
from tradecore.model.units import PositionId, price_of
from tradecore.testing.rows import RowAnswer, assert_row_ranges, walk_frame

MINUTE = 60_000
NAN = math.nan


def frame_of(high, low=None, close=None, start_ms=0):
    """One symbol; the first row opens at `start_ms`."""
    columns = {"high": high, "low": low or high, "close": close or high, "open": close or high, "volume": high}
    arrays = {name: np.asfortranarray(np.array(values, dtype=float)[:, None]) for name, values in columns.items()}
    times = start_ms + MINUTE * np.arange(1, len(high) + 1)
    return MarketFrame(MINUTE, times, ("A/USDT",), arrays)


def position_of(opened_ms=0, average="100", peak="100", trough="100", symbol="A/USDT"):
    return Position(
        PositionId("p1"),
        symbol,
        "signals_drop",
        "",
        Decimal(1),
        Decimal(average),
        opened_ms,
        1,
        Decimal(peak),
        Decimal(trough),
    )


def test_rolling_extremes_of_a_hand_made_column():
    values = np.array([[3.0], [1.0], [NAN], [2.0], [5.0], [NAN], [NAN], [NAN]])
    rows = range(8)
    assert np.array_equal(rolling_max(values, rows, 3)[:, 0], [NAN, NAN, 3, 2, 5, 5, 5, NAN], equal_nan=True)
    assert np.array_equal(rolling_min(values, rows, 3)[:, 0], [NAN, NAN, 1, 1, 2, 2, 5, NAN], equal_nan=True)
    before = rolling_max(values, rows, 3, before=True)[:, 0]
    assert np.array_equal(before, [NAN, NAN, NAN, 3, 2, 5, 5, 5], equal_nan=True)
    assert np.array_equal(rolling_max(values, range(3, 5), 1)[:, 0], [2, 5])


def test_simple_mean_skips_cells_without_data():
    values = np.array([2.0, NAN, 4.0, 9.0, NAN, NAN, NAN])
    assert np.array_equal(simple_mean(values, range(7), 3), [NAN, NAN, 3, 6.5, 6.5, 9, NAN], equal_nan=True)
    assert np.array_equal(simple_mean(values, range(2, 4), 2, before=True), [2.0, 4.0])


@given(seed=st.integers(0, 2**32), rows=st.integers(1, 60), window=st.integers(1, 40), before=st.booleans())
@settings(max_examples=60, deadline=None)
def test_rolling_windows_agree_with_plain_python(seed, rows, window, before):
    values = walk_frame(random.Random(seed), rows, 2, empty=0.3).high
    found = {fold: fold(values, range(rows), window, before=before) for fold in (rolling_max, rolling_min, simple_mean)}
    for row in range(rows):
        stop = row if before else row + 1
        for column in range(2):
            cells = values[max(0, stop - window) : stop, column].tolist()
            known = [cell for cell in cells if not math.isnan(cell)]
            enough = stop - window >= 0 and known
            for fold, plain in ((rolling_max, max), (rolling_min, min), (simple_mean, fmean)):
                expected = plain(known) if enough else NAN
                assert found[fold][row, column] == pytest.approx(expected, rel=1e-12, nan_ok=True)


def wilder_by_hand(moves, length):
    average = fmean(moves[:length])
    for move in moves[length:]:
        average = (average * (length - 1) + move) / length
    return average


def rsi_by_hand(closes, length):
    known = [close for close in closes if not math.isnan(close)]
    changes = [b - a for a, b in itertools.pairwise(known)]
    if math.isnan(closes[-1]) or len(changes) < length:
        return NAN
    gain = wilder_by_hand([max(change, 0.0) for change in changes], length)
    loss = wilder_by_hand([max(-change, 0.0) for change in changes], length)
    return 50.0 if gain + loss == 0 else 100.0 * gain / (gain + loss)


@given(seed=st.integers(0, 2**32), empty=st.sampled_from([0.0, 0.05, 0.4, 0.9]), length=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_r36_rsi_agrees_with_wilders_formula(seed, empty, length):
    warm = length + random.Random(seed).randint(0, 25)
    close = walk_frame(random.Random(seed), 60, 2, empty=empty).close
    found = rsi_wilder(close, range(60), length, warm)
    for row in range(60):
        for column in range(2):
            window = close[max(0, row - warm) : row + 1, column].tolist()
            expected = rsi_by_hand(window, length) if row >= warm else NAN
            assert found[row, column] == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


def test_r36_rsi_of_known_markets():
    rows = range(250, 252)
    rising = np.arange(1.0, 253.0)[:, None]
    assert np.array_equal(rsi_wilder(rising, rows)[:, 0], [100.0, 100.0])
    assert np.array_equal(rsi_wilder(rising[::-1], rows)[:, 0], [0.0, 0.0])
    assert np.array_equal(rsi_wilder(np.full((252, 1), 7.0), rows)[:, 0], [50.0, 50.0])
    assert np.isnan(rsi_wilder(rising, range(249, 250))).all()
    # Ups of 2 and downs of 1 in turn, length 2: the seed is (2 + 0) / 2 = 1 and (0 + 1) / 2 = 0.5, then
    # gain (1 + 2) / 2 = 1.5, loss (0.5 + 0) / 2 = 0.25: 100 x 1.5 / 1.75.
    zigzag = np.array([[10.0], [12.0], [11.0], [13.0]])
    assert rsi_wilder(zigzag, range(3, 4), 2, 3)[0, 0] == pytest.approx(100 * 1.5 / 1.75)


def test_atr_of_a_hand_made_market():
    # True ranges after the first row: max(12, 9) - min(10, 9) = 3; row 2 is empty; then max(11, 11) - min(8, 11) = 3;
    # then a gap up from 9: 15 - 9 = 6. Length 2: (3 + 3) / 2 = 3, then (3 + 6) / 2 = 4.5.
    frame = frame_of(high=[10, 12, NAN, 11, 15], low=[8, 10, NAN, 8, 14], close=[9, 11, NAN, 9, 14])
    assert atr_wilder(frame, range(4, 5), 2, 4)[0, 0] == 4.5
    assert math.isnan(atr_wilder(frame, range(2, 3), 1, 2)[0, 0])
    assert math.isnan(atr_wilder(frame, range(3, 4), 2, 2)[0, 0])


@given(seed=st.integers(0, 2**32), empty=st.sampled_from([0.0, 0.02, 0.5]))
@settings(max_examples=25, deadline=None)
def test_every_indicator_gives_the_same_bits_under_every_cut(seed, empty):
    chance = random.Random(seed)
    warm = chance.randint(5, 20)
    frame = walk_frame(chance, chance.randint(1, 60), chance.randint(1, 4), empty=empty)

    def ask(cut, rows):
        return RowAnswer(
            {
                "max": rolling_max(cut.high, rows, warm, before=True),
                "min": rolling_min(cut.low, rows, warm),
                "mean": simple_mean(cut.volume, rows, warm),
                "rsi": rsi_wilder(cut.close, rows, 5, warm),
                "atr": atr_wilder(cut, rows, 5, warm),
            }
        )

    assert_row_ranges(ask, frame, warm, chance)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e300])
def test_one_row_of_one_symbol_gives_the_bits_of_the_block(scale):
    """One cell is worked out in plain floats, a block in arrays; infinite moves too must come out the same."""
    chance = np.random.default_rng(11)
    close = np.exp(np.cumsum(chance.normal(0, 0.01, (120, 1)), axis=0)) * scale
    frame = frame_of((close * 1.01)[:, 0].tolist(), (close * 0.99)[:, 0].tolist(), close[:, 0].tolist())
    with np.errstate(over="ignore", invalid="ignore"):
        for length, warm in ((2, 2), (14, 60), (60, 60)):
            block = atr_wilder(frame, range(60, 120), length, warm)
            rsi = rsi_wilder(frame.close, range(60, 120), length, warm)
            for row in range(60, 120):
                one = atr_wilder(frame, range(row, row + 1), length, warm)
                assert one.tobytes() == block[row - 60 : row - 59].tobytes()
                other = rsi_wilder(frame.close, range(row, row + 1), length, warm)
                assert other.tobytes() == rsi[row - 60 : row - 59].tobytes()


def test_chunks_of_a_long_block_leave_no_trace():
    chance = random.Random(11)
    for empty in (0.0, 0.01):
        frame = walk_frame(chance, 700, 2, empty=empty)
        whole = rsi_wilder(frame.close, range(700), 14, 50)
        parts = [rsi_wilder(frame.close, range(a, a + 35), 14, 50) for a in range(0, 700, 35)]
        assert whole.tobytes() == np.concatenate(parts).tobytes()


def test_the_proof_of_row_ranges_finds_a_guest_that_looks_further_back():
    frame = walk_frame(random.Random(3), 40, 2)
    with pytest.raises(AssertionError, match="rows"):
        assert_row_ranges(
            lambda cut, rows: RowAnswer({"x": rolling_max(cut.high, rows, 9)}), frame, 7, random.Random(3)
        )
    with pytest.raises(AssertionError, match="rows"):
        assert_row_ranges(
            lambda cut, rows: RowAnswer({"x": cut.close[rows.start : rows.stop] + np.nansum(cut.close[-1])}),
            frame,
            7,
            random.Random(3),
        )


def test_running_peak_of_a_hand_made_life():
    # Opened in the middle of row 1 at 100; the row's own extremes 150 and 50 may be older than the position.
    frame = frame_of(
        high=[200, 150, 103, NAN, 110, 999], low=[1, 50, 99, NAN, 97, 1], close=[10, 101, 102, NAN, 98, 500]
    )
    peak, trough = running_peak(frame, range(6), position_of(opened_ms=90_000))
    assert np.array_equal(peak, [100, 100, 101, 103, 103, 110])
    assert np.array_equal(trough, [100, 100, 100, 99, 99, 97])


def test_running_peak_of_a_position_opened_at_a_close():
    frame = frame_of(high=[200, 103, 999], low=[1, 99, 1])
    peak, trough = running_peak(frame, range(3), position_of(opened_ms=60_000))
    assert np.array_equal(peak, [100, 100, 103])
    assert np.array_equal(trough, [100, 100, 99])


def test_running_peak_counts_no_opening_row_without_data():
    frame = frame_of(high=[NAN, NAN, 90], low=[NAN, NAN, 80])
    peak, trough = running_peak(frame, range(3), position_of(opened_ms=30_000, average="120", peak="110", trough="110"))
    assert np.array_equal(peak, [110, 110, 110])
    assert np.array_equal(trough, [110, 110, 110])


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_running_peak_carried_from_row_to_row_equals_one_block(seed):
    chance = random.Random(seed)
    frame = walk_frame(chance, 30, 1)
    opened = int(frame.timestamps[0]) + chance.randint(-2 * MINUTE, 20 * MINUTE)
    position = position_of(opened, "100.25", "100.25", "100.25", "C0/USDT")
    peaks, troughs = running_peak(frame, range(30), position)
    for row in range(30):
        assert (float(position.peak_price), float(position.trough_price)) == (peaks[row], troughs[row])
        # As the core does after each close: the row that closed, and one that has not closed yet.
        closed = frame.cut(max(0, row - 1), row + 1).with_open_row()
        peak, trough = running_peak(closed, range(closed.rows - 2, closed.rows), position)
        position = position._replace(peak_price=price_of(peak[1]), trough_price=price_of(trough[1]))


def test_bad_questions_are_refused():
    frame = walk_frame(random.Random(1), 10, 1)
    for rows in (range(-1, 3), range(2, 11), range(0, 4, 2)):
        with pytest.raises(ValueError, match="expected rows within 0 to 10"):
            rolling_max(frame.high, rows, 3)
        with pytest.raises(ValueError, match="expected rows within"):
            rsi_wilder(frame.close, rows, 2, 3)
    with pytest.raises(ValueError, match="window of 1 row or more"):
        simple_mean(frame.volume, range(10), 0)
    with pytest.raises(ValueError, match="length <= warm"):
        rsi_wilder(frame.close, range(10), 14, 13)
    with pytest.raises(KeyError):
        running_peak(frame, range(10), position_of())


def test_no_rows_asked_gives_no_rows():
    frame = walk_frame(random.Random(1), 10, 2)
    assert rolling_max(frame.high, range(5, 5), 3).shape == (0, 2)
    assert rsi_wilder(frame.close, range(5, 5), 2, 3).shape == (0, 2)
    peak, trough = running_peak(frame, range(5, 5), position_of(symbol="C0/USDT"))
    assert peak.shape == trough.shape == (0,)
