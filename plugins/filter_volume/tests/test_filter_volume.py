"""filter_volume: money per minute worked out by hand, and the proof of row ranges."""

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_filter_volume.plugin import FilterVolume

from tradecore import MarketFrame
from tradecore.market.frame import window_rows
from tradecore.testing.readme import assert_readme_settings
from tradecore.testing.rows import assert_signal_rows, walk_frame

MINUTE = 60_000
NAN = float("nan")


def guest(**values):
    return FilterVolume(FilterVolume.Settings.model_validate(values))


def frame_of(close, volume=None, timeframe_ms=MINUTE):
    columns = {name: np.array(close, dtype=float) for name in ("open", "high", "low", "close", "volume")}
    if volume is not None:
        columns["volume"] = np.array(volume, dtype=float)
    arrays = {name: np.asfortranarray(values.reshape(len(close), -1)) for name, values in columns.items()}
    symbols = tuple(f"C{i}/USDT" for i in range(arrays["close"].shape[1]))
    return MarketFrame(timeframe_ms, timeframe_ms * np.arange(1, len(close) + 1), symbols, arrays)


def test_settings_are_frozen_and_the_readme_tells_them():
    with pytest.raises(ValidationError):
        FilterVolume.Settings().min_quote_per_minute = Decimal(3)
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), FilterVolume.Settings)


@pytest.mark.parametrize("values", [{"min_quote_per_minute": -1}, {"window": "later"}, {"window": "0m"}, {"volume": 2}])
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError) as caught:
        guest(**values)
    assert caught.value.errors()[0]["loc"] == tuple(values)


def test_hook_signal_r36_the_value_is_money_per_minute_over_the_window():
    frame = frame_of([10, 20, 10, 10], volume=[5, 5, 20, 1])
    wishes = guest(window="2m", min_quote_per_minute=100).signal(frame, range(4))
    assert np.array_equal(wishes.value[:, 0], [NAN, 75, 150, 105], equal_nan=True)
    assert wishes.hits()[:, 0].tolist() == [False, False, True, True]
    assert (wishes.op, wishes.unit) == (">=", "quote/min")


def test_r36_money_is_per_minute_whatever_the_rows_are():
    frame = frame_of([10] * 3, volume=[50] * 3, timeframe_ms=5 * MINUTE)
    assert guest(window="10m").signal(frame, range(2, 3)).value[0, 0] == 100


@pytest.mark.parametrize("cents", range(1, 500, 7))
def test_r36_exactly_the_minimum_passes_whatever_the_floats(cents):
    price = round(cents / 100, 2)
    frame = frame_of([price] * 60, volume=[0.1] * 60)
    wishes = guest(min_quote_per_minute=Decimal(cents) / 1000).signal(frame, range(59, 60))
    assert wishes.hits()[0, 0]
    less = guest(min_quote_per_minute=Decimal(cents) / 1000 + Decimal("0.000001"))
    assert not less.signal(frame, range(59, 60)).hits()[0, 0]


def test_r36_zero_volume_is_traded_money_of_nothing_and_not_unknown():
    frame = frame_of([10.0] * 3, volume=[0.0] * 3)
    assert guest(window="3m").signal(frame, range(2, 3)).value[0, 0] == 0.0
    assert not guest(window="3m").signal(frame, range(2, 3)).hits()[0, 0]


def test_r36_rows_without_data_count_as_nothing_traded_and_never_pass():
    frame = frame_of([10, NAN, 10, NAN], volume=[30, NAN, 30, NAN])
    wishes = guest(window="3m", min_quote_per_minute=0).signal(frame, range(4))
    assert np.array_equal(wishes.value[:, 0], [NAN, NAN, 200, NAN], equal_nan=True)


def test_it_judges_whom_it_is_told_to():
    assert FilterVolume.role == "filter"
    assert guest().applies_to is None
    assert guest(applies_to=["signals_drop"]).applies_to == ("signals_drop",)
    assert guest(window="4h").warmup == {"base": "4h"}
    assert guest(min_quote_per_minute=Decimal("2.5")).signal(frame_of([1.0]), range(0)).threshold == 2.5


@given(seed=st.integers(0, 2**32), window=st.sampled_from(["1m", "7m", "20r"]), empty=st.sampled_from([0.0, 0.1, 0.6]))
@settings(max_examples=40, deadline=None)
def test_answers_do_not_depend_on_how_rows_are_asked(seed, window, empty):
    chance = random.Random(seed)
    frame = walk_frame(chance, chance.randint(1, 90), chance.randint(1, 4), empty=empty)
    asked = guest(window=window)
    assert_signal_rows(asked.signal, frame, window_rows(asked.warmup["base"], frame.timeframe_ms), chance)
