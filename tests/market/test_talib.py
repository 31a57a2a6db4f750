"""Our indicators against TA-Lib's, an implementation of its own: Wilder's RSI and ATR, highest, lowest, mean."""

import numpy as np
import pytest

from tradecore.market.frame import MarketFrame
from tradecore.market.indicators import atr_wilder, earliest_known, rolling_max, rolling_min, rsi_wilder, simple_mean

talib = pytest.importorskip("talib", reason="TA-Lib is not installed")

ROWS = 900
WARM = 600


@pytest.fixture(params=range(5))
def frame(request):
    draw = np.random.default_rng(request.param)
    close = 100 * np.exp(np.cumsum(draw.normal(0, 0.01, ROWS)))
    opened = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(opened, close) * (1 + draw.uniform(0, 0.005, ROWS))
    low = np.minimum(opened, close) * (1 - draw.uniform(0, 0.005, ROWS))
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": draw.uniform(1, 9, ROWS)}
    arrays = {name: np.asfortranarray(values.reshape(-1, 1)) for name, values in columns.items()}
    return MarketFrame(60_000, 60_000 * np.arange(1, ROWS + 1), ("C/USDT",), arrays)


@pytest.mark.parametrize("length", [2, 7, 14, 30])
def test_r36_rsi_is_talibs_once_the_start_is_forgotten(frame, length):
    ours = rsi_wilder(frame.close, range(WARM, ROWS), length, WARM)[:, 0]
    theirs = talib.RSI(frame.close[:, 0], length)[WARM:]
    # TA-Lib runs from the first row, ours starts anew 600 rows before each: what is left of the start is below this
    assert ours == pytest.approx(theirs, abs=100 * (1 - 1 / length) ** (WARM - length) + 1e-8)


@pytest.mark.parametrize("length", [2, 7, 14, 30])
def test_r27_atr_is_talibs_once_the_start_is_forgotten(frame, length):
    ours = atr_wilder(frame, range(WARM, ROWS), length, WARM)[:, 0]
    theirs = talib.ATR(frame.high[:, 0], frame.low[:, 0], frame.close[:, 0], length)[WARM:]
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_r36_rsi_from_the_first_row_on_is_talibs_exactly(frame):
    """Where both start at the same row, they agree to the last digits."""
    ours = rsi_wilder(frame.close, range(250, 251), 14, 250)[0, 0]
    assert ours == pytest.approx(talib.RSI(frame.close[:251, 0], 14)[-1], abs=1e-9)


def test_extremes_and_means_are_talibs(frame):
    rows = range(50, ROWS)
    for window in (2, 13, 50):
        assert np.array_equal(rolling_max(frame.high, rows, window)[:, 0], talib.MAX(frame.high[:, 0], window)[50:])
        assert np.array_equal(rolling_min(frame.low, rows, window)[:, 0], talib.MIN(frame.low[:, 0], window)[50:])
        mean = simple_mean(frame.close, rows, window)[:, 0]
        assert mean == pytest.approx(talib.SMA(frame.close[:, 0], window)[50:], rel=1e-12)


def test_r35_the_rise_over_a_window_is_talibs_rate_of_change(frame):
    begun = earliest_known(frame.close, range(50, ROWS), 15, before=True)[:, 0]
    ratio = frame.close[50:, 0] / begun
    assert ratio == pytest.approx(talib.ROCR(frame.close[:, 0], 15)[50:], rel=1e-12)
