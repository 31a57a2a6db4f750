"""exits: levels worked out by hand, what always holds, and the proof of row ranges."""

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_exits.plugin import Exits

from tradecore import MarketFrame, Position, Reason
from tradecore.market.frame import window_rows
from tradecore.testing.readme import assert_readme_settings
from tradecore.testing.rows import assert_follow_rows, walk_frame

MINUTE = 60_000
NAN = float("nan")


def guest(**values):
    return Exits(Exits.Settings.model_validate(values))


def frame_of(high, low, close):
    columns = {"high": high, "low": low, "close": close, "open": close, "volume": close}
    arrays = {name: np.asfortranarray(np.array(values, dtype=float)[:, None]) for name, values in columns.items()}
    return MarketFrame(MINUTE, MINUTE * np.arange(1, len(high) + 1), ("A/USDT",), arrays)


def position_of(opened_ms=0, average="100", peak=None, symbol="A/USDT", plugin="signals_drop"):
    price = Decimal(average)
    return Position("p1", symbol, plugin, "", Decimal(1), price, opened_ms, 1, Decimal(peak or average), price)


def test_settings_have_the_defaults_of_the_specification():
    made = Exits.Settings()
    assert (made.take_profit_pct, made.stop_loss_pct) == (Decimal("1.5"), Decimal("2.0"))
    assert (made.trailing_activation_pct, made.trailing_distance_pct) == (Decimal("1.0"), Decimal("0.5"))
    assert made.time_to_live == "240m"


@pytest.mark.parametrize(
    "values",
    [
        {"take_profit_pct": -1},
        {"stop_loss_pct": 100},
        {"trailing_activation_pct": 1001},
        {"trailing_distance_pct": 100},
        {"time_to_live": "soon"},
        {"plugins": "signals_drop"},
        {"stop_los_pct": 1},
        {"atr_multiple": -1},
        {"atr_length": 1},
    ],
)
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError) as caught:
        guest(**values)
    assert caught.value.errors()[0]["loc"] == tuple(values)


def test_settings_without_any_way_out_are_refused_and_the_readme_tells_them_all():
    off = {"take_profit_pct": 0, "stop_loss_pct": 0, "trailing_distance_pct": 0, "time_to_live": "off"}
    with pytest.raises(ValidationError, match="at least one way out"):
        guest(**off)
    assert guest(**off | {"time_to_live": "1h"}).settings.time_to_live == "1h"
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), Exits.Settings)


def test_hook_follow_r27_levels_of_a_hand_made_life():
    # Highs of 100.9 stay below the activation of 101; 101.2 starts the trail; the fall after it moves nothing.
    frame = frame_of(
        high=[100.5, 100.9, 101.2, 101.1, NAN, 102], low=[99, 99, 100, 99, NAN, 99], close=[100, 100, 101, 100, NAN, 99]
    )
    plan = guest().follow(frame, range(6), position_of())
    assert plan.stop.tolist() == [98, 98, 98, 100.694, 100.694, 100.694]
    assert plan.stop_reason == (Reason.STOP_LOSS,) * 3 + (Reason.TRAILING_STOP,) * 3
    assert plan.take.tolist() == [101.5] * 6
    assert plan.leave_at_ms == 240 * MINUTE
    assert plan.leave is None
    assert plan.add is None
    assert plan.memo is None
    assert plan.inputs == {
        "average": "100",
        "peak": "101.2",
        "trail": "100.694",
        "stop_loss": "98",
        "take": "101.5",
        "activation": "101",
    }


def test_r27_the_higher_of_stop_and_trail_binds_with_its_reason():
    frame = frame_of(high=[110, 110], low=[100, 100], close=[105, 105])
    wide = guest(stop_loss_pct=2, trailing_distance_pct=12).follow(frame, range(2), position_of())
    assert wide.stop.tolist() == [98, 98]
    assert wide.stop_reason == (Reason.STOP_LOSS, Reason.STOP_LOSS)
    level = guest(stop_loss_pct=1, trailing_distance_pct=10).follow(frame, range(2), position_of())
    assert level.stop.tolist() == [99, 99]
    assert level.stop_reason == (Reason.STOP_LOSS, Reason.STOP_LOSS)


def test_r27_each_way_out_can_be_turned_off():
    frame = frame_of(high=[103, 103], low=[100, 100], close=[102, 102])
    bare = guest(take_profit_pct=0, stop_loss_pct=0, trailing_distance_pct=0).follow(frame, range(2), position_of())
    assert np.isnan(bare.stop).all()
    assert bare.take is None
    assert bare.inputs["stop_loss"] == bare.inputs["take"] == bare.inputs["activation"] == "off"
    trail = guest(stop_loss_pct=0, time_to_live="off").follow(frame, range(2), position_of())
    assert np.array_equal(trail.stop, [NAN, 102.485], equal_nan=True)
    assert trail.stop_reason[1] is Reason.TRAILING_STOP
    assert trail.leave_at_ms is None


def test_r27_the_opening_row_counts_its_close_not_its_high():
    # Opened in the middle of row 0, whose high of 150 may be older than the position.
    frame = frame_of(high=[150, 100, 100], low=[90, 99, 99], close=[101.5, 100, 100])
    plan = guest().follow(frame, range(3), position_of(opened_ms=30_000))
    assert plan.stop.tolist() == [98, 100.9925, 100.9925]
    assert plan.leave_at_ms == 30_000 + 240 * MINUTE


def test_r27_a_row_not_closed_yet_can_be_asked_and_its_peak_is_carried():
    frame = frame_of(high=[101], low=[99], close=[100]).with_open_row()
    plan = guest().follow(frame, range(1, 2), position_of(peak="103.7"))
    assert plan.stop.tolist() == [103.1815]
    assert guest(time_to_live="10r").follow(frame, range(1, 2), position_of()).leave_at_ms == 10 * MINUTE


def test_positions_of_other_guests_are_left_alone_where_set():
    frame = frame_of(high=[101], low=[99], close=[100])
    led = guest(plugins=["signals_drop"])
    assert led.follow(frame, range(1), position_of()) is not None
    assert led.follow(frame, range(1), position_of(plugin="signals_momentum")) is None
    assert guest().follow(frame, range(1), position_of(plugin="signals_momentum")) is not None


def test_r27_atr_stop_of_hand_made_rows():
    # True ranges of 2, 2, 4, 1 (high - low, or the gap from the close before): ATR(2) of two rows is their mean.
    frame = frame_of(
        high=[101, 101, 101, 103, 103.5, 104], low=[99, 99, 99, 99, 102.5, 103], close=[100, 100, 100, 103, 103, 103]
    )
    asked = guest(
        atr_multiple=2, atr_length=2, atr_warm_rows=2, stop_loss_pct="10", trailing_distance_pct=0, time_to_live="off"
    )
    plan = asked.follow(frame, range(6), position_of())
    # 100 - 2 x ATR of the row before; the first three rows have fewer than 3 rows before them
    assert plan.stop.tolist() == [90, 90, 90, 96, 94, 95]
    assert plan.stop_reason == (Reason.STOP_LOSS,) * 3 + (Reason.ATR_STOP,) * 3
    assert plan.inputs["atr"] == "2.5"
    wide = guest(atr_multiple=60, atr_length=2, atr_warm_rows=2, stop_loss_pct=0, trailing_distance_pct=0)
    assert np.isnan(wide.follow(frame, range(6), position_of()).stop).all()


def test_r27_equal_stops_are_named_in_order():
    flat = frame_of(high=[101] * 6, low=[99] * 6, close=[100] * 6)
    asked = guest(atr_multiple=1, atr_length=2, atr_warm_rows=2, stop_loss_pct=2, trailing_distance_pct=0)
    plan = asked.follow(flat, range(5, 6), position_of())
    assert (plan.stop.tolist(), plan.stop_reason) == ([98], (Reason.STOP_LOSS,))


def test_the_atr_stop_alone_is_no_way_out_and_needs_its_rows():
    off = {"take_profit_pct": 0, "stop_loss_pct": 0, "trailing_distance_pct": 0, "time_to_live": "off"}
    with pytest.raises(ValidationError, match="at least one way out"):
        guest(**off, atr_multiple=2)
    with pytest.raises(ValidationError, match="at least atr_length=14"):
        guest(atr_warm_rows=13)


@given(average=st.decimals("0.00000137", "70000", places=8), percent=st.decimals("0.01", "20", places=2))
@settings(max_examples=100, deadline=None)
def test_levels_are_the_nearest_floats_to_the_exact_decimals(average, percent):
    frame = frame_of(high=[1], low=[1], close=[1])
    asked = guest(stop_loss_pct=percent, take_profit_pct=percent, trailing_distance_pct=0)
    plan = asked.follow(frame, range(1), position_of(average=str(average)))
    assert plan.stop[0] == float(average * (1 - percent / 100))
    assert plan.take[0] == float(average * (1 + percent / 100))


@given(seed=st.integers(0, 2**32), distance=st.sampled_from(["0.3", "2"]), activation=st.sampled_from([0, "0.5", 3]))
@settings(max_examples=50, deadline=None)
def test_r27_the_stop_never_falls_and_the_trail_stays_below_the_peak(seed, distance, activation):
    chance = random.Random(seed)
    frame = walk_frame(chance, 80, 1)
    opened = int(frame.timestamps[0]) + chance.randint(-MINUTE, 20 * MINUTE)
    asked = guest(trailing_distance_pct=distance, trailing_activation_pct=activation)
    plan = asked.follow(frame, range(80), position_of(opened, "100", symbol="C0/USDT"))
    assert (np.diff(plan.stop) >= 0).all()
    highest = np.fmax.accumulate(np.fmax(frame.high[:, 0], 100.0))
    assert (plan.stop[1:] < highest[:-1]).all()
    assert (plan.stop >= 98).all()


@given(
    seed=st.integers(0, 2**32),
    values=st.sampled_from(
        [
            {},
            {"trailing_activation_pct": 0, "trailing_distance_pct": "0.2"},
            {"stop_loss_pct": 0, "take_profit_pct": 0},
            {"trailing_distance_pct": 0, "time_to_live": "off"},
            {"plugins": ["another"]},
            {"atr_multiple": "1.5", "atr_length": 3, "atr_warm_rows": 8},
            {"atr_multiple": 40, "atr_length": 2, "atr_warm_rows": 2, "stop_loss_pct": 0},
        ]
    ),
)
@settings(max_examples=40, deadline=None)
def test_answers_do_not_depend_on_how_rows_are_asked(seed, values):
    chance = random.Random(seed)
    frame = walk_frame(chance, chance.randint(1, 50), 2, empty=chance.choice([0.0, 0.3]))
    opened = int(frame.timestamps[0]) + chance.randint(-3 * MINUTE, 30 * MINUTE)
    position = position_of(opened, "100.25", symbol="C1/USDT")
    warmup = guest(**values).warmup
    rows = window_rows(warmup["base"], MINUTE) if warmup else 0
    assert rows == (values["atr_warm_rows"] + 1 if "atr_multiple" in values else 0)
    assert_follow_rows(guest(**values).follow, frame, rows, position, chance)
