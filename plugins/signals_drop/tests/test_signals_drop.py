"""signals_drop: what it wishes for, with numbers worked out by hand, and the proof of row ranges."""

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_signals_drop.plugin import SignalsDrop

from tradecore import MarketFrame, Side
from tradecore.market.frame import window_rows
from tradecore.testing.readme import assert_readme_settings
from tradecore.testing.rows import assert_signal_rows, walk_frame

MINUTE = 60_000
NAN = float("nan")


def guest(**values):
    return SignalsDrop(SignalsDrop.Settings.model_validate(values))


def frame_of(high, close, timeframe_ms=MINUTE):
    columns = {name: np.array(close, dtype=float) for name in ("open", "low", "close", "volume")}
    columns["high"] = np.array(high, dtype=float)
    arrays = {name: np.asfortranarray(values.reshape(len(high), -1)) for name, values in columns.items()}
    symbols = tuple(f"C{i}/USDT" for i in range(arrays["high"].shape[1]))
    return MarketFrame(timeframe_ms, timeframe_ms * np.arange(1, len(high) + 1), symbols, arrays)


def test_settings_have_the_defaults_of_the_specification():
    made = SignalsDrop.Settings()
    assert (made.drop_pct, made.lookback, made.expires_s) == (Decimal("2.0"), "60m", 60)
    assert made.quote_wanted is None
    assert made.stop_pct is None


@pytest.mark.parametrize(
    "values",
    [
        {"drop_pct": 0},
        {"drop_pct": 100},
        {"drop_pct": "NaN"},
        {"lookback": "an hour"},
        {"lookback": "0m"},
        {"full_strength_extra_pct": 0},
        {"expires_s": 0},
        {"quote_wanted": 0},
        {"stop_pct": 100},
        {"drop": 2},
    ],
)
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError) as caught:
        guest(**values)
    assert caught.value.errors()[0]["loc"] == tuple(values)


def test_settings_are_frozen_and_the_readme_tells_them():
    with pytest.raises(ValidationError):
        SignalsDrop.Settings().drop_pct = Decimal(3)
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), SignalsDrop.Settings)


def test_hook_signal_r34_anchor_is_the_highest_high_before_the_row():
    # The row's own high of 120 is not part of its anchor: 98.5 / 100 misses 0.98, 97 / 100 does not; then 120 counts.
    frame = frame_of(high=[90, 100, 95, 120, 99], close=[90, 99, 98.5, 97, 118])
    wishes = guest(lookback="2m").signal(frame, range(5))
    assert np.array_equal(wishes.value[:, 0], [NAN, NAN, 0.985, 0.97, round(118 / 120, 12)], equal_nan=True)
    assert (wishes.op, wishes.threshold, wishes.unit, wishes.side) == ("<=", 0.98, "ratio", Side.BUY)
    assert wishes.hits()[:, 0].tolist() == [False, False, False, True, False]
    assert wishes.expires_after_ms == 60_000
    assert "2m" in wishes.reason


def test_r34_strength_rises_from_the_threshold_to_the_full_drop():
    frame = frame_of(high=[100] * 5, close=[99, 98, 97, 94, 80])
    wishes = guest(lookback="1r").signal(frame, range(1, 5))
    assert wishes.strength[:, 0] == pytest.approx([0.0, 0.25, 1.0, 1.0])
    assert guest(lookback="1r").signal(frame_of([100, NAN], [99, NAN]), range(2)).strength.tolist() == [[0.0], [0.0]]


def test_r34_no_answer_without_data_or_history():
    frame = frame_of(high=[100, NAN, 100, NAN, NAN, 90], close=[99, NAN, 97, NAN, NAN, 80])
    wishes = guest(lookback="2m").signal(frame, range(6))
    # Row 2 sees the 100 of row 0 past the empty row 1; row 5 has an empty window.
    assert np.array_equal(wishes.value[:, 0], [NAN, NAN, 0.97, NAN, NAN, NAN], equal_nan=True)
    assert wishes.hits()[:, 0].tolist() == [False, False, True, False, False, False]


def test_money_and_stop_are_asked_for_where_set():
    frame = frame_of(high=[[100, 100], [100, 100]], close=[[97, 97], [97, NAN]])
    plain = guest(lookback="1m").signal(frame, range(1, 2))
    assert plain.quote_wanted is None
    assert plain.stop_price is None
    wishes = guest(lookback="1m", quote_wanted="12.5", stop_pct=2).signal(frame, range(1, 2))
    assert wishes.quote_wanted == 12.5
    assert wishes.stop_price[0, 0] == pytest.approx(97 * 0.98)
    assert np.isnan(wishes.stop_price[0, 1])


def test_windows_are_time_whatever_the_rows_are():
    assert guest().warmup == {"base": "60m"}
    high = [200] + [100] * 12
    five_minutes = frame_of(high=high, close=[97] * 13, timeframe_ms=5 * MINUTE)
    wishes = guest().signal(five_minutes, range(12, 13))
    assert wishes.value[0, 0] == 97 / 200
    assert np.isnan(guest().signal(five_minutes, range(11, 12)).value[0, 0])


@given(
    ticks=st.integers(1_000, 9_999_999),
    drop=st.decimals("0.05", "60", places=2),
    off=st.integers(-2, 2),
    scale=st.integers(0, 8),
)
@settings(max_examples=300, deadline=None)
def test_r34_a_close_exactly_on_the_threshold_counts(ticks, drop, off, scale):
    """The comparison in floats equals the one in exact decimals, at the threshold and a tick beside it."""
    anchor = Decimal(ticks).scaleb(-scale)
    exact = anchor * (1 - drop / 100)
    close = exact.quantize(Decimal(1).scaleb(-scale)) + Decimal(off).scaleb(-scale)
    for price in (exact, close):
        frame = frame_of(high=[float(anchor), 1.0], close=[float(anchor), float(price)])
        wishes = guest(lookback="1r", drop_pct=drop).signal(frame, range(1, 2))
        assert bool(wishes.hits()[0, 0]) == (price <= exact)


@given(
    seed=st.integers(0, 2**32),
    lookback=st.sampled_from(["1m", "7m", "20r", "1h"]),
    empty=st.sampled_from([0.0, 0.1, 0.6]),
    stop=st.sampled_from([None, 2]),
)
@settings(max_examples=40, deadline=None)
def test_answers_do_not_depend_on_how_rows_are_asked(seed, lookback, empty, stop):
    chance = random.Random(seed)
    frame = walk_frame(chance, chance.randint(1, 90), chance.randint(1, 4), empty=empty)
    asked = guest(lookback=lookback, drop_pct="0.8", stop_pct=stop)
    warmup = window_rows(asked.warmup["base"], frame.timeframe_ms)
    assert_signal_rows(asked.signal, frame, warmup, chance)


def test_the_proof_fails_with_a_warmup_declared_too_short():
    frame = walk_frame(random.Random(5), 60, 3)
    with pytest.raises(AssertionError):
        assert_signal_rows(guest(lookback="20m").signal, frame, 18, random.Random(5))
