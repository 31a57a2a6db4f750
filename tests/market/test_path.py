"""The walk through a candle: bounds, anchors, order, and always the same."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.market.path import Step, walk

OPEN_MS = 1_735_689_600_000


@st.composite
def candles(draw):
    scale = draw(st.sampled_from([1e-6, 0.01, 1.0, 60_000.0]))
    prices = sorted(draw(st.lists(st.floats(0.5, 2.0), min_size=4, max_size=4)))
    low, a, b, high = (price * scale for price in prices)
    return (a, high, low, b) if draw(st.booleans()) else (b, high, low, a)


@given(
    candle=candles(),
    seed=st.integers(-(2**63), 2**63),
    steps=st.integers(4, 40),
    timeframe_ms=st.integers(40, 86_400_000),
    between=st.booleans(),
)
def test_walk_visits_all_four_prices_and_never_leaves_the_candle(candle, seed, steps, timeframe_ms, between):
    o, h, l, c = candle  # noqa: E741 - as in the walk
    path = walk(seed, "BTC/USDT", OPEN_MS, timeframe_ms, o, h, l, c, steps, between)
    assert len(path) == (steps if between else 4)
    times = [step.at_ms for step in path]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert path[0] == Step(OPEN_MS + 1, o)
    assert path[-1] == Step(OPEN_MS + timeframe_ms, c)
    prices = [step.price for step in path]
    assert min(prices) == l
    assert max(prices) == h
    inner = prices[1:-1]
    assert l in inner
    assert h in inner
    assert path == walk(seed, "BTC/USDT", OPEN_MS, timeframe_ms, o, h, l, c, steps, between)


def test_without_between_closes_the_low_comes_before_the_high():
    path = walk(1, "A/USDT", OPEN_MS, 60_000, 10.0, 12.0, 9.0, 11.0, 8, False)
    assert path == (
        Step(OPEN_MS + 1, 10.0),
        Step(OPEN_MS + 20_000, 9.0),
        Step(OPEN_MS + 40_000, 12.0),
        Step(OPEN_MS + 60_000, 11.0),
    )


@pytest.mark.parametrize("hole", range(4))
def test_a_cell_without_data_has_no_path(hole):
    prices = [10.0, 12.0, 9.0, 11.0]
    prices[hole] = math.nan
    assert walk(1, "A/USDT", OPEN_MS, 60_000, *prices, 8, True) == ()


def test_a_rising_candle_is_more_often_at_its_low_first():
    def low_first(o, c):
        count = 0
        for k in range(2_000):
            prices = [s.price for s in walk(7, "A/USDT", k * 60_000, 60_000, o, 12.0, 9.0, c, 8, True)][1:-1]
            count += prices.index(9.0) < prices.index(12.0)
        return count / 2_000

    assert 0.62 < low_first(10.0, 11.0) < 0.78
    assert 0.22 < low_first(11.0, 10.0) < 0.38
    assert 0.42 < low_first(10.5, 10.5) < 0.58


def test_seed_symbol_and_candle_each_change_the_path():
    def path(seed=1, symbol="A/USDT", open_ms=OPEN_MS):
        return [s.price for s in walk(seed, symbol, open_ms, 60_000, 10.0, 12.0, 9.0, 11.0, 12, True)]

    paths = [path(), path(seed=2), path(symbol="B/USDT"), path(open_ms=OPEN_MS + 60_000)]
    assert len({tuple(p) for p in paths}) == 4


def test_a_path_is_the_same_on_every_machine():
    path = walk(42, "BTC/USDT", OPEN_MS, 60_000, 100.0, 103.0, 99.0, 102.0, 6, True)
    assert path == (
        Step(OPEN_MS + 1, 100.0),
        Step(OPEN_MS + 12_000, 99.85785319010417),
        Step(OPEN_MS + 24_000, 99.42764485677083),
        Step(OPEN_MS + 36_000, 99.0),
        Step(OPEN_MS + 48_000, 103.0),
        Step(OPEN_MS + 60_000, 102.0),
    )


@pytest.mark.parametrize(("steps", "timeframe_ms"), [(3, 60_000), (8, 7), (4, 5)])
def test_too_few_steps_or_too_short_a_candle_is_refused(steps, timeframe_ms):
    with pytest.raises(ValueError, match="expected"):
        walk(1, "A/USDT", OPEN_MS, timeframe_ms, 10.0, 12.0, 9.0, 11.0, steps, True)
