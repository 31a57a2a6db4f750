"""Recorded candles: the grid, the gaps, the faults, the window, and the real sets."""

import itertools
import time
import tracemalloc
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.conftest import MINUTE_MS, START_MS, Candles
from tradecore.errors import DataError, SettingsError
from tradecore.market import archive
from tradecore.market.archive import open_archive
from tradecore.market.candles import pieces
from tradecore.market.derive import Fees
from tradecore.market.frame import COLUMNS
from tradecore.market.source import RowSource
from tradecore.model.units import is_step, price_of


def two_symbols(folder):
    Candles(100, seed=1).write(folder / "deep" / "AAA_USDT-1m.parquet")
    Candles(80, seed=2, start_ms=START_MS + 30 * MINUTE_MS).write(folder / "BBB_USDT-1m.csv")
    return folder


def test_rows_are_stamped_with_their_close_on_one_grid(tmp_path):
    source: RowSource = open_archive(two_symbols(tmp_path), "1m")
    assert source.symbols == ("AAA/USDT", "BBB/USDT")
    assert (source.rows, source.timeframe_ms) == (110, MINUTE_MS)
    assert source.first_close_ms == START_MS + MINUTE_MS
    frame = source.read(0, 1_000)
    assert frame.timestamps.tolist() == [START_MS + (k + 1) * MINUTE_MS for k in range(110)]
    a, b = Candles(100, seed=1).data, Candles(80, seed=2).data
    for name in COLUMNS:
        values = getattr(frame, name)
        assert values[:100, 0].tolist() == a[name].tolist()
        assert values[30:, 1].tolist() == b[name].tolist()
        assert np.isnan(values[100:, 0]).all()
        assert np.isnan(values[:30, 1]).all()
        assert values.flags.f_contiguous or values.strides[0] == 8, "one symbol's history is one piece of memory"
        assert not values.flags.writeable


def test_gaps_are_counted_and_said(tmp_path):
    mask = np.ones(50, dtype=bool)
    mask[10:17] = False
    Candles(50).keep(mask).write(tmp_path / "AAA_USDT-1m.parquet")
    source = open_archive(tmp_path, "1m")
    assert source.gap_cells == 7
    assert any("7 of 50 candles are absent in 1 of 1 symbols" in line for line in source.warnings)
    close = source.read(0, 50).close[:, 0]
    assert np.isnan(close).nonzero()[0].tolist() == list(range(10, 17))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_range_cuts_to_whole_candles_inside_it(tmp_path, suffix):
    Candles(100).write(tmp_path / f"AAA_USDT-1m.{suffix}")
    source = open_archive(
        tmp_path, "1m", start_ms=START_MS + 10 * MINUTE_MS - 1, stop_ms=START_MS + 20 * MINUTE_MS + 59_999
    )
    assert source.first_close_ms == START_MS + 11 * MINUTE_MS
    assert source.rows == 10
    assert source.read(0, 99).close[:, 0].tolist() == Candles(100).data["close"][10:20].tolist()


def test_symbols_outside_the_range_or_of_another_quote_are_left_out_with_a_line(tmp_path):
    two_symbols(tmp_path)
    Candles(100).write(tmp_path / "ETH_BTC-1m.parquet")
    source = open_archive(tmp_path, "1m", stop_ms=START_MS + 20 * MINUTE_MS)
    assert source.symbols == ("AAA/USDT",)
    text = "\n".join(source.warnings)
    assert "left out, not quoted in USDT: ETH/BTC" in text
    assert "left out, no candle between --from and --to: BBB/USDT" in text
    assert open_archive(tmp_path, "1m", quote="BTC").symbols == ("ETH/BTC",)


def test_patterns_choose_and_exclude(tmp_path):
    two_symbols(tmp_path)
    assert open_archive(tmp_path, "1m", symbols=["A*"]).symbols == ("AAA/USDT",)
    assert open_archive(tmp_path, "1m", exclude=["AAA/*"]).symbols == ("BBB/USDT",)
    with pytest.raises(DataError, match=r"none of the symbols asked for.*AAA/USDT, BBB/USDT"):
        open_archive(tmp_path, "1m", symbols=["ZZZ/USDT"])
    with pytest.raises(DataError, match=r"quoted in EUR.*AAA/USDT"):
        open_archive(tmp_path, "1m", quote="EUR")


def test_other_timeframes_and_strange_files_are_not_read(tmp_path):
    two_symbols(tmp_path)
    Candles(10, step_ms=5 * MINUTE_MS).write(tmp_path / "AAA_USDT-5m.parquet")
    (tmp_path / "notes.csv").write_text("anything")
    source = open_archive(tmp_path, "1m")
    assert len(source.symbols) == 2
    assert any("not read, not called BASE_QUOTE-timeframe: notes.csv" in line for line in source.warnings)
    with pytest.raises(DataError, match=r"BASE_QUOTE-1h.*there are 1m, 5m"):
        open_archive(tmp_path, "1h")


def test_missing_and_empty_folders_and_ranges_without_data_are_one_clear_line(tmp_path):
    with pytest.raises(DataError, match="expected a folder of candle files"):
        open_archive(tmp_path / "nowhere", "1m")
    with pytest.raises(DataError, match="none of any timeframe"):
        open_archive(tmp_path, "1m")
    two_symbols(tmp_path)
    with pytest.raises(DataError, match="lies between --from and --to: they open from 2025-01-01T00:00:00Z"):
        open_archive(tmp_path, "1m", start_ms=START_MS + 10**9)
    with pytest.raises(DataError, match="--from before --to"):
        open_archive(tmp_path, "1m", start_ms=START_MS, stop_ms=START_MS)
    with pytest.raises(SettingsError, match="timeframe"):
        open_archive(tmp_path, "one minute")


def test_a_symbol_found_twice_names_both_files(tmp_path):
    first = Candles(10).write(tmp_path / "x" / "AAA_USDT-1m.parquet")
    second = Candles(10).write(tmp_path / "y" / "AAA_USDT-1m.csv")
    with pytest.raises(DataError) as caught:
        open_archive(tmp_path, "1m")
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)
    assert open_archive(tmp_path / "x", "1m").rows == 10


@pytest.mark.parametrize("change", ["extra", "missing", "text", "seconds", "float32", "twice"])
def test_a_parquet_file_of_other_columns_is_named(tmp_path, change):
    data = dict(Candles(10).data)
    if change == "extra":
        data["trades"] = np.arange(10)
    elif change == "missing":
        del data["volume"]
    elif change == "text":
        data["close"] = [str(value) for value in data["close"]]
    elif change == "seconds":
        data["ts"] = pa.array(data["ts"], pa.timestamp("ms"))
    elif change == "float32":
        data["open"] = data["open"].astype(np.float32)
    table = pa.table(data)
    if change == "twice":
        table = table.append_column("ts", table["ts"])
    paths = [tmp_path / "AAA_USDT-1m.parquet", tmp_path / "BBB_USDT-1m.parquet"]
    for path in paths:
        pq.write_table(table, path)
    with pytest.raises(DataError, match="expected the columns ts int64") as caught:
        open_archive(tmp_path, "1m")
    assert all(str(path) in str(caught.value) for path in paths)
    assert "\n" not in str(caught.value)


def test_columns_may_stand_in_any_order(tmp_path):
    good = Candles(10)
    good.data = dict(reversed(good.data.items()))
    good.write(tmp_path / "AAA_USDT-1m.parquet")
    good.write(tmp_path / "BBB_USDT-1m.csv")
    frame = open_archive(tmp_path, "1m").read(0, 10)
    assert frame.high[:, 0].tolist() == frame.high[:, 1].tolist() == good.data["high"].tolist()


@pytest.mark.parametrize(
    "text",
    ["", "ts,open,high,low,close\n", "\n\n", "1,2,3,4,5,6\n", "ts,open,high,low,close,volume\n", "ts;open\n1;2\n"],
)
def test_a_csv_without_its_header_or_rows_is_named(tmp_path, text):
    path = tmp_path / "AAA_USDT-1m.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=str(path)) as caught:
        open_archive(tmp_path, "1m")
    assert "\n" not in str(caught.value)


def spoil_ts(data, row, value):
    data["ts"][row] = value(data["ts"], row)


FAULTS = {
    "nan": (lambda d, r: d["close"].__setitem__(r, np.nan), "finite prices"),
    "infinite": (lambda d, r: d["high"].__setitem__(r, np.inf), "finite prices"),
    "negative price": (lambda d, r: d["low"].__setitem__(r, -1.0), "prices above 0"),
    "zero price": (lambda d, r: d["low"].__setitem__(r, 0.0), "prices above 0"),
    "high below low": (lambda d, r: d["high"].__setitem__(r, d["low"][r] - 0.5), "high at or above low"),
    "high below close": (lambda d, r: d["close"].__setitem__(r, d["high"][r] + 1), "between low and high"),
    "low above open": (lambda d, r: d["open"].__setitem__(r, d["low"][r] - 1), "between low and high"),
    "negative volume": (lambda d, r: d["volume"].__setitem__(r, -0.5), "volume of 0 or more"),
    "nan volume": (lambda d, r: d["volume"].__setitem__(r, np.nan), "finite prices and volume"),
    "backwards": (lambda d, r: spoil_ts(d, r, lambda ts, k: ts[k - 1] - MINUTE_MS), "times to rise"),
    "duplicate": (lambda d, r: spoil_ts(d, r, lambda ts, k: ts[k - 1]), "twice"),
    "off the grid": (lambda d, r: spoil_ts(d, r, lambda ts, k: ts[k] + 1), "on the grid of 60 s"),
    "seconds": (lambda d, r: spoil_ts(d, r, lambda ts, k: ts[k] // 1000), "milliseconds UTC"),
}


@given(
    fault=st.sampled_from(sorted(FAULTS)),
    rows=st.integers(2, 400),
    at=st.integers(1, 10**6),
    suffix=st.sampled_from(["parquet", "csv"]),
    group=st.sampled_from([None, 7, 64]),
)
@settings(max_examples=120, deadline=None)
def test_every_fault_is_found_wherever_it_is_and_named_by_file_and_row(fault, rows, at, suffix, group):
    spoil, said = FAULTS[fault]
    row = 1 + at % (rows - 1)
    spoilt = Candles(rows, seed=rows)
    spoil(spoilt.data, row)
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = spoilt.write(folder / f"AAA_USDT-1m.{suffix}", group)
        Candles(5).write(folder / "BBB_USDT-1m.parquet")
        with pytest.raises(DataError) as caught:
            open_archive(folder, "1m")
    text = str(caught.value)
    assert text.startswith(f"{path}, row {row + 1}: expected")
    assert said in text
    assert "\n" not in text


@given(
    kept=st.lists(st.lists(st.booleans(), min_size=30, max_size=30), min_size=1, max_size=4),
    cuts=st.lists(st.tuples(st.integers(0, 35), st.integers(0, 35)), max_size=12),
    group=st.sampled_from([None, 5]),
)
@settings(max_examples=60, deadline=None)
def test_reads_in_any_order_and_cut_give_the_same_cells(kept, cuts, group):
    masks = [np.array(mask) for mask in kept if any(mask)]
    if not masks:
        return
    with TemporaryDirectory() as name:
        for number, mask in enumerate(masks):
            Candles(30, seed=number).keep(mask).write(Path(name) / f"C{number}_USDT-1m.parquet", group)
        source = open_archive(Path(name), "1m")
        first = (source.first_close_ms - MINUTE_MS - START_MS) // MINUTE_MS
        whole = np.full((source.rows, len(masks)), np.nan)
        for number, mask in enumerate(masks):
            values = np.where(mask, Candles(30, seed=number).data["close"], np.nan)
            whole[:, number] = values[first : first + source.rows]
        assert source.gap_cells == np.isnan(whole).sum()
        for low, high in (*((min(cut), max(cut)) for cut in cuts), (0, source.rows)):
            frame = source.read(low, high)
            np.testing.assert_array_equal(frame.close, whole[low:high])
            assert frame.timestamps.tolist() == [
                source.first_close_ms + k * MINUTE_MS for k in range(low, min(high, source.rows))
            ]


@pytest.mark.parametrize("rows", [0, 3, 40, -20, -1])
def test_a_torn_file_is_one_clear_line(tmp_path, rows):
    path = Candles(500).write(tmp_path / "AAA_USDT-1m.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:rows])
    with pytest.raises(DataError, match="torn or unreadable") as caught:
        open_archive(tmp_path, "1m")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damage_inside_a_parquet_page_is_one_clear_line(tmp_path):
    path = Candles(5_000).write(tmp_path / "AAA_USDT-1m.parquet")
    damaged = bytearray(path.read_bytes())
    damaged[200:1_200] = bytes(1_000)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=str(path)) as caught:
        open_archive(tmp_path, "1m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1735689720000,1,1,1,1", "torn"),
        ("1735689720000,1,1,1,1,1,1", "torn"),
        ("1735689720000,1,1,1,one,1", "torn"),
        ("1735689720000,1,1,1,,1", "row 2: expected a number in every column, was no close"),
        ("1735689720.5,1,1,1,1,1", "torn"),
        ("1735689720000,nan,1,1,1,1", "row 2: expected finite"),
    ],
)
def test_a_bad_line_of_a_csv_is_named(tmp_path, line, said):
    path = tmp_path / "AAA_USDT-1m.csv"
    path.write_text(f"ts,open,high,low,close,volume\n1735689660000,1,1,1,1,1\n{line}\n")
    with pytest.raises(DataError, match=said) as caught:
        open_archive(tmp_path, "1m")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_value_in_a_parquet_file_is_named(tmp_path):
    data = dict(Candles(9).data)
    data["volume"] = pa.array([None if k == 4 else float(k) for k in range(9)], pa.float64())
    path = tmp_path / "AAA_USDT-1m.parquet"
    pq.write_table(pa.table(data), path)
    with pytest.raises(DataError, match="row 5: expected a number in every column, was no volume"):
        open_archive(tmp_path, "1m")


def test_a_file_that_changes_after_the_check_is_found(tmp_path):
    path = Candles(50).write(tmp_path / "AAA_USDT-1m.parquet")
    source = open_archive(tmp_path, "1m")
    spoilt = Candles(50)
    spoilt.data["ts"][20] = spoilt.data["ts"][19]
    spoilt.write(path)
    with pytest.raises(DataError, match="changed meanwhile"):
        source.read(0, 50)


def test_weekly_candles_keep_the_exchange_s_own_grid(tmp_path):
    week_ms, monday_ms = 7 * 86_400_000, 1_735_516_800_000
    Candles(20, start_ms=monday_ms, step_ms=week_ms).write(tmp_path / "AAA_USDT-1w.parquet")
    assert open_archive(tmp_path, "1w").first_close_ms == monday_ms + week_ms
    Candles(20, start_ms=monday_ms + 86_400_000, step_ms=week_ms).write(tmp_path / "BBB_USDT-1w.parquet")
    with pytest.raises(DataError, match=r"BBB_USDT-1w.parquet, row 1: expected times on the grid"):
        open_archive(tmp_path, "1w")


def test_instruments_come_from_the_folder_s_file_else_from_decimals_with_one_warning(tmp_path):
    two_symbols(tmp_path)
    (tmp_path / "instruments.toml").write_text(
        '["AAA/USDT"]\ntick = "0.01"\nlot = 0.5\nmin_notional = 10\ntaker_fee_bps = 7.5\nfee_currency = "BNB"\n'
        '["QQQ/USDT"]\ntick = 1\n'
    )
    source = open_archive(tmp_path, "1m", fees=Fees(Decimal(2), Decimal(4), "quote"))
    named, derived = (source.instruments[symbol] for symbol in source.symbols)
    assert (named.tick_size, named.lot_size, named.min_notional_quote) == (Decimal("0.01"), Decimal("0.5"), Decimal(10))
    assert (named.min_quantity, named.taker_fee_bps, named.maker_fee_bps) == (
        Decimal("0.5"),
        Decimal("7.5"),
        Decimal(2),
    )
    assert named.fee_currency == "BNB"
    assert (derived.tick_size, derived.lot_size, derived.fee_currency) == (Decimal("0.01"), Decimal("0.001"), "USDT")
    text = [line for line in source.warnings if "derived" in line]
    assert len(text) == 1
    assert text[0].endswith(": BBB/USDT")
    assert any("no candles here: QQQ/USDT" in line for line in source.warnings)


def test_noisy_last_bits_are_snapped_to_their_text(tmp_path):
    noisy = Candles(60)
    for name in ("open", "high", "low", "close"):
        noisy.data[name] = noisy.data[name] * 1e-6 * (1 + 2e-16)
    assert any(len(repr(float(value))) > 12 for value in noisy.data["close"])
    noisy.write(tmp_path / "AAA_BTC-1m.parquet")
    source = open_archive(tmp_path, "1m", quote="BTC")
    tick = source.instruments["AAA/BTC"].tick_size
    assert tick == Decimal("0.00000001")
    frame = source.read(0, 60)
    for name in ("open", "high", "low", "close"):
        assert all(is_step(price_of(value), tick) for value in getattr(frame, name)[:, 0])


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_WINDOW_BYTES", 200_000)

    def peak(rows):
        folder = tmp_path / str(rows)
        for number in range(4):
            Candles(rows, seed=number).write(folder / f"C{number}_USDT-1m.parquet", 2_000)
        source = open_archive(folder, "1m")
        tracemalloc.start()
        for start in range(0, rows, 500):
            source.read(max(0, start - 60), start + 500)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(60_000) < 1.3 * peak(10_000)


def test_row_groups_outside_the_range_are_not_decoded(tmp_path):
    path = Candles(1_000).write(tmp_path / "AAA_USDT-1m.parquet", 100)
    file = open_archive(tmp_path, "1m")._scans[0].file
    got = [piece.ts for piece in pieces(file, START_MS + 450 * MINUTE_MS, START_MS + 460 * MINUTE_MS)]
    assert sum(map(len, got)) == 100
    assert path.exists()


REAL = [
    ("binance-2021-05-crash", "1m", "USDT", 6, 138_124),
    ("binance-2023-outage", "1m", "USDT", 3, 240),
    ("kucoin-2023-03", "1m", "USDT", 10, 0),
    ("binance-2024-07-universe", "5m", "USDT", 124, 0),
    ("binance-2018-btc", "5m", "BTC", 4, 48),
    ("binance-delisting", "5m", "USDT", 1, 44_412),
]


@pytest.mark.parametrize(("name", "timeframe", "quote", "symbols", "gaps"), REAL)
def test_the_recorded_sets_are_sound_and_their_prices_are_on_the_tick(recorded, name, timeframe, quote, symbols, gaps):
    began = time.perf_counter()
    source = open_archive(recorded(name), timeframe, quote=quote)
    assert time.perf_counter() - began < 10, "the check is one fast look at each file"
    assert len(source.symbols) == symbols
    assert source.gap_cells == gaps
    absent = 0
    for start in range(0, source.rows, 4_000):
        frame = source.read(start, start + 4_000)
        absent += int(np.isnan(frame.close).sum())
    assert absent == gaps
    frame = source.read(0, 300)
    for at, symbol in enumerate(source.symbols):
        instrument = source.instruments[symbol]
        closes = frame.close[:, at]
        for value in closes[~np.isnan(closes)][:50]:
            assert is_step(price_of(value), instrument.tick_size)
        assert instrument.lot_size > 0


def test_real_lots_and_ticks_are_the_exchange_s(recorded):
    instruments = open_archive(recorded("binance-2023-outage"), "1m").instruments
    btc, ada = instruments["BTC/USDT"], instruments["ADA/USDT"]
    assert (btc.tick_size, btc.lot_size, btc.min_notional_quote) == (Decimal("0.01"), Decimal("0.00001"), Decimal(5))
    assert (ada.tick_size, ada.lot_size) == (Decimal("0.0001"), Decimal("0.1"))


def test_the_whole_archive_holds_symbols_twice_and_says_so(recorded):
    with pytest.raises(DataError, match="expected one file of 5m candles"):
        open_archive(recorded("binance-2024-07-universe").parent, "5m")


def test_names_are_counted_where_there_are_many():
    assert archive._some(itertools.repeat("A", 5)) == "A"
    assert archive._some(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
