"""filter_rsi: Wilder's RSI against numbers of its own book, and the proof of row ranges."""

import itertools
import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_filter_rsi.plugin import FilterRsi

from tradecore import MarketFrame
from tradecore.market.frame import window_rows
from tradecore.testing.readme import assert_readme_settings
from tradecore.testing.rows import assert_signal_rows, walk_frame

MINUTE = 60_000
NAN = float("nan")


def guest(**values):
    return FilterRsi(FilterRsi.Settings.model_validate(values))


def frame_of(close, volume=None, timeframe_ms=MINUTE):
    columns = {name: np.array(close, dtype=float) for name in ("open", "high", "low", "close", "volume")}
    if volume is not None:
        columns["volume"] = np.array(volume, dtype=float)
    arrays = {name: np.asfortranarray(values.reshape(len(close), -1)) for name, values in columns.items()}
    symbols = tuple(f"C{i}/USDT" for i in range(arrays["close"].shape[1]))
    return MarketFrame(timeframe_ms, timeframe_ms * np.arange(1, len(close) + 1), symbols, arrays)


def test_settings_are_frozen_and_the_readme_tells_them():
    with pytest.raises(ValidationError):
        FilterRsi.Settings().level = Decimal(3)
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), FilterRsi.Settings)


@pytest.mark.parametrize(
    "values", [{"level": 101}, {"level": "NaN"}, {"length": 1}, {"side": "beside"}, {"warm_rows": 1}, {"rsi": 2}]
)
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError):
        guest(**values)


def test_history_shorter_than_the_length_is_refused():
    with pytest.raises(ValidationError, match="at least length=14"):
        guest(warm_rows=10)


def test_r36_defaults_are_those_of_the_specification():
    made = FilterRsi.Settings()
    assert (made.level, made.length, made.warm_rows, made.side) == (50, 14, 250, "above")
    assert guest().warmup == {"base": "250r"}
    assert FilterRsi.role == "filter"


def wilder(closes, length):
    """Wilder's own recipe, step by step: even averages of the first moves, then a smoothing of 1 / length."""
    moves = [b - a for a, b in itertools.pairwise(closes)]
    gain = sum(max(move, 0) for move in moves[:length]) / length
    loss = sum(max(-move, 0) for move in moves[:length]) / length
    for move in moves[length:]:
        gain = (gain * (length - 1) + max(move, 0)) / length
        loss = (loss * (length - 1) + max(-move, 0)) / length
    return 100 * gain / (gain + loss)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_hook_signal_r36_the_value_is_wilders_rsi(seed):
    chance = random.Random(seed)
    closes = [100.0]
    for _ in range(120):
        closes.append(closes[-1] * (1 + chance.uniform(-0.02, 0.02)))
    wishes = guest(warm_rows=100).signal(frame_of(closes), range(len(closes)))
    assert np.isnan(wishes.value[:100, 0]).all()
    for row in (100, 110, 120):
        assert wishes.value[row, 0] == pytest.approx(wilder(closes[row - 100 : row + 1], 14), abs=1e-9)


def test_r36_the_side_is_the_settings():
    rising = frame_of(list(range(100, 140)))
    assert guest(warm_rows=20).signal(rising, range(39, 40)).hits().all()
    assert not guest(warm_rows=20, side="below").signal(rising, range(39, 40)).hits().any()


def test_r36_no_answer_shuts():
    assert not guest(warm_rows=20, level=0).signal(frame_of(list(range(1, 20))), range(19)).hits().any()


def test_it_judges_whom_it_is_told_to():
    assert guest().applies_to is None
    assert guest(applies_to=["signals_drop"]).applies_to == ("signals_drop",)


@given(seed=st.integers(0, 2**32), empty=st.sampled_from([0.0, 0.1, 0.6]))
@settings(max_examples=30, deadline=None)
def test_answers_do_not_depend_on_how_rows_are_asked(seed, empty):
    chance = random.Random(seed)
    frame = walk_frame(chance, chance.randint(1, 90), chance.randint(1, 4), empty=empty)
    asked = guest(length=5, warm_rows=30)
    assert_signal_rows(asked.signal, frame, window_rows(asked.warmup["base"], frame.timeframe_ms), chance)
