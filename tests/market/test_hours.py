"""Hours added up from rows: by hand, against a plain reckoning, and the same however they are asked for."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.market.frame import COLUMNS, MarketFrame
from tradecore.market.hours import HOUR_MS, Hours

MINUTE = 60_000


class Made(NamedTuple):
    """A source of drawn rows that counts what is read of it."""

    symbols: tuple
    timeframe_ms: int
    first_close_ms: int
    columns: dict
    reads: list

    @property
    def rows(self):
        return len(self.columns["close"])

    def read(self, start, stop):
        self.reads.append((start, stop))
        stop = min(stop, self.rows)
        times = self.first_close_ms + self.timeframe_ms * np.arange(start, stop, dtype=np.int64)
        return MarketFrame(
            self.timeframe_ms, times, self.symbols, {name: column[start:stop] for name, column in self.columns.items()}
        )


def made(rows, *, seed=0, symbols=2, step_ms=MINUTE, first=HOUR_MS + MINUTE, empty=0.2):
    draw = np.random.default_rng(seed)
    base = np.exp(draw.normal(0, 0.1, (rows, symbols)))
    columns = {
        "open": base, "high": base * 1.1, "low": base * 0.9, "close": base * 1.01,
        "volume": draw.uniform(1, 9, (rows, symbols)),
    }  # fmt: skip
    gone = draw.random((rows, symbols)) < empty
    columns = {name: np.where(gone, np.nan, column) for name, column in columns.items()}
    return Made(tuple(f"C{n}/USDT" for n in range(symbols)), step_ms, first, columns, [])


def plain(source, row):
    """Hour to symbol to (open, high, low, close, volume), of the rows before `row`."""
    found = {}
    for at in range(row):
        close_ms = source.first_close_ms + at * source.timeframe_ms
        hour = -(-close_ms // HOUR_MS)
        for column in range(len(source.symbols)):
            o, h, low, c, v = (source.columns[name][at, column] for name in COLUMNS)
            if math.isnan(c):
                continue
            old = found.setdefault(hour, {}).get(column)
            found[hour][column] = (
                (o, h, low, c, v) if old is None else (old[0], max(old[1], h), min(old[2], low), c, old[4] + v)
            )
    return found


@given(
    seed=st.integers(0, 999), rows=st.integers(0, 400), step=st.sampled_from([1, 5, 7, 60, 240]),
    offset=st.integers(0, 59), symbols=st.integers(1, 3), count=st.integers(0, 30),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_hours_are_what_their_rows_are(seed, rows, step, offset, symbols, count):
    source = made(rows, seed=seed, symbols=symbols, step_ms=step * MINUTE, first=HOUR_MS + offset * MINUTE)
    frame = Hours(source).until(rows, count)
    last_ms = source.first_close_ms + (rows - 1) * source.timeframe_ms
    whole = list(range(-(-source.first_close_ms // HOUR_MS), last_ms // HOUR_MS + 1)) if rows else []
    wanted = whole[len(whole) - min(count, len(whole)) :]
    assert frame.timestamps.tolist() == [hour * HOUR_MS for hour in wanted]
    known = plain(source, rows)
    for at, hour in enumerate(wanted):
        for column in range(symbols):
            got = tuple(float(getattr(frame, name)[at, column]) for name in COLUMNS)
            told = known.get(hour, {}).get(column)
            assert got == pytest.approx(told, rel=1e-12) if told else all(map(math.isnan, got))


def test_an_hour_is_read_once():
    source = made(60 * 30)
    hours = Hours(source)
    whole = Hours(source).until(60 * 30, 24)
    source.reads.clear()
    for row in range(60, 60 * 30 + 1, 60):
        frame = hours.until(row, 24)
    assert np.array_equal(frame.close, whole.close, equal_nan=True)
    looked = [row for start, stop in source.reads for row in range(start, stop)]
    assert len(looked) == len(set(looked)), "no row twice"


def test_nothing_after_the_row_is_seen():
    source = made(180)
    before = Hours(source).until(119, 9)
    assert before.timestamps.tolist() == [2 * HOUR_MS], "59 rows of the second hour are no hour"
    after = Hours(source).until(120, 9)
    assert after.timestamps.tolist() == [2 * HOUR_MS, 3 * HOUR_MS]
