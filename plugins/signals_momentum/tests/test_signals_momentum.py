"""signals_momentum: what it wishes for, with numbers worked out by hand, and the proof of row ranges."""

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_signals_momentum.plugin import SignalsMomentum

from tradecore import MarketFrame
from tradecore.market.frame import window_rows
from tradecore.testing.readme import assert_readme_settings
from tradecore.testing.rows import assert_signal_rows, walk_frame

MINUTE = 60_000
NAN = float("nan")


def guest(**values):
    return SignalsMomentum(SignalsMomentum.Settings.model_validate(values))


def frame_of(close, volume=None, timeframe_ms=MINUTE):
    columns = {name: np.array(close, dtype=float) for name in ("open", "high", "low", "close", "volume")}
    if volume is not None:
        columns["volume"] = np.array(volume, dtype=float)
    arrays = {name: np.asfortranarray(values.reshape(len(close), -1)) for name, values in columns.items()}
    symbols = tuple(f"C{i}/USDT" for i in range(arrays["close"].shape[1]))
    return MarketFrame(timeframe_ms, timeframe_ms * np.arange(1, len(close) + 1), symbols, arrays)


def test_settings_are_frozen_and_the_readme_tells_them():
    with pytest.raises(ValidationError):
        SignalsMomentum.Settings().rise_pct = Decimal(3)
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), SignalsMomentum.Settings)


@pytest.mark.parametrize(
    "values",
    [{"rise_pct": 0}, {"rise_pct": "NaN"}, {"lookback": "soon"}, {"expires_s": 0}, {"stop_pct": 100}, {"rise": 2}],
)
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError) as caught:
        guest(**values)
    assert caught.value.errors()[0]["loc"] == tuple(values)


def test_hook_signal_r35_a_rise_over_the_window_is_wished_for():
    wishes = guest(lookback="2m").signal(frame_of([100, 101, 102, 101.5, 103.02]), range(5))
    expected = [NAN, NAN, 1.02, round(101.5 / 101, 12), 1.01]
    assert np.array_equal(wishes.value[:, 0], expected, equal_nan=True)
    assert (wishes.op, wishes.threshold, wishes.unit) == (">=", 1.02, "ratio")
    assert wishes.hits()[:, 0].tolist() == [False, False, True, False, False]
    assert wishes.expires_after_ms == 60_000


def test_r35_defaults_are_those_of_the_specification():
    made = SignalsMomentum.Settings()
    assert (made.rise_pct, made.lookback) == (Decimal("2.0"), "15m")


def test_r35_strength_grows_from_the_threshold():
    wishes = guest(lookback="1r").signal(frame_of([100, 102, 105.06, 110.313]), range(1, 4))
    assert wishes.strength[:, 0] == pytest.approx([0.0, 0.25, 0.75])


def test_r35_the_oldest_close_with_data_is_the_anchor():
    frame = frame_of([NAN, 100, NAN, 103, NAN, NAN, NAN, 110])
    wishes = guest(lookback="3m").signal(frame, range(8))
    assert np.array_equal(wishes.value[:, 0], [NAN] * 3 + [1.03] + [NAN] * 4, equal_nan=True)


@given(
    ticks=st.integers(1_000, 9_999_999), rise=st.decimals("0.05", "60", places=2), off=st.integers(-2, 2),
    scale=st.integers(0, 8),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_r35_a_close_exactly_on_the_threshold_counts(ticks, rise, off, scale):
    begun = Decimal(ticks).scaleb(-scale)
    exact = begun * (1 + rise / 100)
    close = exact.quantize(Decimal(1).scaleb(-scale)) + Decimal(off).scaleb(-scale)
    for price in (exact, close):
        wishes = guest(lookback="1r", rise_pct=rise).signal(frame_of([float(begun), float(price)]), range(1, 2))
        assert bool(wishes.hits()[0, 0]) == (price >= exact)


@given(
    seed=st.integers(0, 2**32), lookback=st.sampled_from(["1m", "7m", "20r"]), empty=st.sampled_from([0.0, 0.1, 0.6])
)
@settings(max_examples=40, deadline=None)
def test_answers_do_not_depend_on_how_rows_are_asked(seed, lookback, empty):
    chance = random.Random(seed)
    frame = walk_frame(chance, chance.randint(1, 90), chance.randint(1, 4), empty=empty)
    asked = guest(lookback=lookback, rise_pct="0.3", stop_pct=2)
    assert_signal_rows(asked.signal, frame, window_rows(asked.warmup["base"], frame.timeframe_ms), chance)
