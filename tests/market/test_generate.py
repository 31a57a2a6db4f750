"""The generated market: the same however it is read, sound candles, and something of everything in it."""

import time
import tracemalloc
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.errors import SettingsError
from tradecore.market.derive import Fees
from tradecore.market.frame import COLUMNS
from tradecore.market.generate import START_MS, GeneratedSource
from tradecore.market.source import RowSource
from tradecore.model.units import is_step, price_of

MOODS = ("calm", "lively", "crash", "mixed")
MINUTE_MS = 60_000


def stack(source, rows):
    frame = source.read(0, rows)
    return {name: getattr(frame, name) for name in COLUMNS}


WHOLE = {mood: stack(GeneratedSource(5, 6, 5_000, mood), 5_000) for mood in ("lively", "mixed")}


@given(
    mood=st.sampled_from(sorted(WHOLE)),
    cuts=st.lists(st.tuples(st.integers(0, 4_990), st.integers(1, 700)), min_size=1, max_size=8),
)
@settings(max_examples=40, deadline=None)
def test_rows_are_the_same_in_any_order_and_cut(mood, cuts):
    source = GeneratedSource(5, 6, 5_000, mood)
    for start, length in cuts:
        stop = min(5_000, start + length)
        frame = source.read(start, stop)
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(frame, name), WHOLE[mood][name][start:stop])
        assert frame.timestamps[0] == START_MS + (start + 1) * 5_000


def test_going_far_and_back_gives_the_same_rows():
    straight, jumping = GeneratedSource(9, 3, MINUTE_MS, "mixed"), GeneratedSource(9, 3, MINUTE_MS, "mixed")
    far = jumping.read(150_000, 150_010)
    back = jumping.read(70_000, 70_010)
    expected = {}
    for start in range(0, 150_010, 4_001):
        frame = straight.read(start, start + 4_001)
        for row in (*range(70_000, 70_010), *range(150_000, 150_010)):
            if start <= row < start + 4_001:
                expected[row] = frame.close[row - start]
    np.testing.assert_array_equal(back.close, [expected[row] for row in range(70_000, 70_010)])
    np.testing.assert_array_equal(far.close, [expected[row] for row in range(150_000, 150_010)])
    assert len(jumping._starts) < 8


def test_a_symbol_moves_the_same_whichever_others_are_there():
    alone = GeneratedSource(5, ["SYS/USDT"], 5_000).read(0, 2_500)
    among = GeneratedSource(5, 20, 5_000).read(0, 2_500)
    np.testing.assert_array_equal(alone.close[:, 0], among.close[:, among.index("SYS/USDT")])


def test_another_seed_is_another_market():
    a, b = (GeneratedSource(seed, 3, MINUTE_MS).read(0, 200).close for seed in (1, 2))
    assert not (a == b).all(axis=0).any()


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize("timeframe_ms", [1_000, 5_000, MINUTE_MS, 3_600_000, 86_400_000])
def test_candles_are_sound_in_every_mood_and_timeframe(mood, timeframe_ms):
    source: RowSource = GeneratedSource(11, 40, timeframe_ms, mood)
    frame = source.read(0, 3_000)
    o, h, l, c, v = (getattr(frame, name) for name in COLUMNS)  # noqa: E741 - the letters of a candle
    there = ~np.isnan(c)
    for column in (o, h, l, v):
        assert (np.isnan(column) == ~there).all(), "a cell has all its columns or none"
    assert (l[there] > 0).all()
    assert (l[there] <= np.minimum(o, c)[there]).all()
    assert (h[there] >= np.maximum(o, c)[there]).all()
    assert (v[there] >= 0).all()
    quiet = there & (v == 0)
    assert (h[quiet] == l[quiet]).all(), "where nobody trades the candle is flat"
    first = c[0, there[0]] / np.array([float(price_of(x)) for x in o[0, there[0]]])
    assert (np.abs(np.log(first)) < 0.5).all()
    assert np.nanmax(h / np.nanmedian(c, axis=0)) < 60


def test_prices_are_on_the_tick_and_volumes_on_the_lot():
    source = GeneratedSource(3, 60, MINUTE_MS)
    frame = source.read(900, 1_100)
    for at, symbol in enumerate(source.symbols):
        instrument = source.instruments[symbol]
        for row in range(0, 200, 20):
            if np.isnan(frame.close[row, at]):
                continue
            for name in ("open", "high", "low", "close"):
                assert is_step(price_of(float(getattr(frame, name)[row, at])), instrument.tick_size), symbol
            assert is_step(Decimal(repr(float(frame.volume[row, at]))), instrument.lot_size), symbol


def test_a_row_opens_where_the_one_before_closed():
    frame = GeneratedSource(3, 4, MINUTE_MS).read(0, 3_000)
    np.testing.assert_array_equal(frame.open[1:], frame.close[:-1])


def test_there_are_drops_that_recover_and_drops_that_do_not():
    frame = GeneratedSource(7, 20, MINUTE_MS, "lively").read(0, 10_000)
    close, high = np.nan_to_num(frame.close), np.nan_to_num(frame.high)
    taken = lost = 0
    for at in range(20):
        top = np.lib.stride_tricks.sliding_window_view(high[:, at], 60).max(axis=1)
        dropped = np.flatnonzero(close[60:, at] <= 0.97 * top[:-1]) + 60
        for row in dropped[::50]:
            later, entry = close[row : row + 240, at], close[row, at]
            up, down = np.argmax(later >= entry * 1.015), np.argmax((later <= entry * 0.98) & (later > 0))
            taken += up > 0 and (down == 0 or up < down)
            lost += down > 0 and (up == 0 or down < up)
    assert taken > 20
    assert lost > 20
    assert 0.2 < taken / (taken + lost) < 0.85


def test_moods_differ_in_their_largest_drops():
    def fifth_worst(mood):
        close = GeneratedSource(2, 12, MINUTE_MS, mood).read(0, 8_000).close[:, :12]
        change = close[15:] / close[:-15] - 1
        return -np.sort(np.nanmin(change, axis=0))[4]

    assert fifth_worst("calm") < 0.05 < fifth_worst("lively")
    assert fifth_worst("lively") < fifth_worst("crash")


def test_thin_coins_have_empty_minutes_and_some_are_halted():
    source = GeneratedSource(4, 24, MINUTE_MS)
    frame = source.read(0, 6_000)
    empty = dict(zip(source.symbols, (frame.volume == 0).mean(axis=0), strict=True))
    assert empty["BTC/USDT"] == 0
    assert 0.2 < empty["SYS/USDT"] < 0.4
    halted = np.isnan(frame.close).sum(axis=0)
    assert halted[source.symbols.index("TEL/USDT")] >= 60
    assert halted[source.symbols.index("BTC/USDT")] == 0


def test_coins_move_together():
    close = GeneratedSource(6, 4, MINUTE_MS, "crash").read(0, 5_000).close
    change = np.diff(np.log(close[::15]), axis=0)
    correlation = np.corrcoef(change.T)
    assert correlation[np.triu_indices(4, 1)].mean() > 0.2


def test_an_endless_market_stays_in_sight_of_where_it_began():
    source = GeneratedSource(1, 5, 3_600_000, "crash")
    first, last = source.read(0, 10).close[0], source.read(80_000, 80_010).close[-1]
    assert source.rows is None
    assert (np.abs(np.log(last / first)) < 4).all()


def test_rows_end_where_they_are_told_to():
    source = GeneratedSource(1, 2, MINUTE_MS, rows=100)
    assert source.read(90, 200).rows == 10
    assert source.read(200, 300).rows == 0


def test_names_quote_start_and_fees_are_as_asked():
    source = GeneratedSource(
        1, ["BTC", "NEWCOIN/EUR"], MINUTE_MS, quote="EUR", start_ms=0, fees=Fees(Decimal(1), Decimal(2), "quote")
    )
    assert source.symbols == ("BTC/EUR", "NEWCOIN/EUR")
    assert source.first_close_ms == MINUTE_MS
    instrument = source.instruments["BTC/EUR"]
    assert (instrument.maker_fee_bps, instrument.taker_fee_bps) == (Decimal(1), Decimal(2))
    assert instrument.fee_currency == "EUR"
    assert "no real prices" in source.warnings[0]


def test_instruments_are_assorted():
    instruments = GeneratedSource(1, 137, MINUTE_MS).instruments.values()
    assert len(instruments) == 137
    assert len({i.tick_size for i in instruments}) > 6
    assert len({i.lot_size for i in instruments}) > 6
    assert len({i.min_notional_quote for i in instruments}) > 2
    prices = [GeneratedSource(1, [i.base], MINUTE_MS).read(0, 1).open[0, 0] for i in instruments]
    coarse = [float(i.lot_size) * p > 1 for i, p in zip(instruments, prices, strict=True)]
    assert 3 < sum(coarse) < 60, "some coins have lots worth more than a quote unit"
    assert min(prices) < 2e-6
    assert max(prices) > 5e4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1, 0, MINUTE_MS), "at least one generated symbol"),
        ((1, [], MINUTE_MS), "at least one generated symbol"),
        ((1, ["BTC", "BTC/USDT"], MINUTE_MS), "BTC twice"),
        ((1, ["BTC/EUR"], MINUTE_MS), "expected a generated symbol as 'BTC/USDT'"),
        ((1, ["B*"], MINUTE_MS), "expected a generated symbol"),
        ((1, 3, 10), "at least 1000 ms"),
        ((1, 3, MINUTE_MS, "angry"), "expected a mood"),
    ],
)
def test_what_cannot_be_is_refused(arguments, said):
    with pytest.raises(SettingsError, match=said):
        GeneratedSource(*arguments)
    with pytest.raises(SettingsError, match="at least one row"):
        GeneratedSource(1, 1, MINUTE_MS, rows=0)


def test_memory_does_not_grow_with_the_rows():
    def peak(rows):
        source = GeneratedSource(1, 5, 5_000)
        tracemalloc.start()
        for start in range(0, rows, 2_000):
            source.read(start, start + 2_000)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10_000)
    assert peak(400_000) < 1.2 * peak(100_000)


def test_it_is_fast_enough_to_be_no_bottleneck():
    source = GeneratedSource(1, 20, 5_000)
    began = time.perf_counter()
    for start in range(0, 10_000, 256):
        source.read(start, start + 256)
    assert (time.perf_counter() - began) / 10_000 < 1e-3
