"""The feed on virtual time: rows at their close, the stream cut and back, symbols that go, a budget that holds."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from tests.venues.live.conftest import NAN, START_MS, A, B, Stage, Stream, instrument, rows
from tradecore.errors import RetryableVenueError
from tradecore.model.events import AlertFired, FeedPast, FeedSource, InstrumentsChanged, UncaughtException
from tradecore.ports.quotes import Candle, Quote
from tradecore.venues.limiter import RequestLimiter
from tradecore.venues.live.build import open_live_feed
from tradecore.venues.live.listing import Universe, choose
from tradecore.venues.live.poller import LivePlan

ROW = 5_000


def drift(symbol, at_ms):
    return 100.0 + (at_ms - START_MS) / 1e5 + (50.0 if symbol == B else 0.0)


def quotes_read(exchange, since_s=0.0, until_s=math.inf):
    low, high = START_MS + since_s * 1_000, START_MS + until_s * 1_000
    return [size for at, what, size in exchange.requests if what in {"quotes", "best"} and low <= at < high]


def test_rows_close_on_the_grid_and_hold_what_was_read(stage: Stage):
    exchange = stage.exchange()
    exchange.price = drift
    feed = stage.feed(exchange)

    async def story():
        await feed.start()
        assert feed.block(3, 256) is None, "nothing has closed yet"
        assert feed.take() is None
        taken = await rows(feed, stage.clock, START_MS + 60_000)
        assert taken == [START_MS + ROW * n for n in range(1, 13)]
        frame = feed.history(12)
        assert feed.steps(A, START_MS) == ()
        assert not feed.foresees
        await feed.close()
        return frame

    frame = stage.run(story())
    assert frame.symbols == (A, B)
    assert not np.isnan(frame.close).any()
    assert (frame.high >= np.maximum(frame.open, frame.close)).all()
    assert (frame.low <= np.minimum(frame.open, frame.close)).all()
    for row, close_ms in enumerate(frame.timestamps):
        for column, symbol in enumerate((A, B)):
            low, high = drift(symbol, int(close_ms) - ROW), drift(symbol, int(close_ms))
            # between whole reads the last trade is not known anew: it is held within bid and ask
            half = exchange.half_spread
            assert low - half <= frame.low[row, column] <= frame.high[row, column] <= high + half
    assert feed.gaps() == 0


def test_the_block_holds_the_row_that_closes_now(stage: Stage):
    exchange = stage.exchange(A)
    feed = stage.feed(exchange)

    async def story():
        await feed.start()
        await rows(feed, stage.clock, START_MS + 20_000)
        await stage.until(25)
        frame = feed.block(2, 256)
        assert frame is not None
        assert [int(t) - START_MS for t in frame.timestamps] == [15_000, 20_000, 25_000]
        assert [int(t) - START_MS for t in feed.history(2).timestamps] == [15_000, 20_000]
        again = feed.block(2, 256)
        assert again is not None
        np.testing.assert_array_equal(frame.close, again.close)
        await feed.close()

    stage.run(story())


@pytest.mark.parametrize("streaming", [False, True])
def test_a_book_is_young_when_its_row_is_judged(stage: Stage, streaming):
    """The engine refuses entries on books older than 2 s; a read comes shortly before each close."""
    stream = Stream() if streaming else None
    feed = stage.feed(stage.exchange(A), stream)
    ages = []

    async def story():
        await feed.start()
        while stage.clock.now_ms() < START_MS + 120_000:
            await stage.clock.sleep_until_ms(feed.next_close_ms)
            feed.take()
            ages.append(stage.clock.now_ms() - feed.book(A).received_ms)
        await feed.close()

    stage.run(story())
    assert len(ages) == 24
    assert max(ages[1:]) <= (2_000 if streaming else 1_000)


def test_r38_silence_makes_prices_stale_and_rows_empty(stage: Stage):
    exchange = stage.exchange(A)
    feed = stage.feed(exchange)

    async def story():
        await feed.start()
        await rows(feed, stage.clock, START_MS + 20_000)
        exchange.down = True
        await rows(feed, stage.clock, START_MS + 60_000)
        assert feed.last_price(A) is None
        assert feed.newest(A).price == 100.0
        assert np.isnan(feed.history(7).close).all()
        exchange.down = False
        await rows(feed, stage.clock, START_MS + 80_000)
        assert feed.last_price(A) == 100.0
        await feed.close()

    stage.run(story())
    assert feed.gaps() == 8
    alerts = [(note.name, note.severity) for note in stage.told(AlertFired)]
    assert alerts == [("quotes_unavailable", "critical"), ("quotes_available", "info")]
    assert feed.poller.failures >= 15


def test_f14_stream_cut_reads_take_over_and_it_comes_back(stage: Stage):
    exchange, stream = stage.exchange(), Stream()
    feed = stage.feed(exchange, stream)

    async def pushing(until_s):
        while stage.clock.now_ms() < START_MS + until_s * 1_000:
            if stream.alive:
                stream.push(exchange.quote(A, "stream"))
                stream.push(exchange.quote(B, "stream"))
            await stage.clock.sleep(0.5)

    async def story():
        await feed.start()
        assert stream.symbols == (A, B)
        pushes = asyncio.create_task(pushing(300))
        await rows(feed, stage.clock, START_MS + 100_000)
        stream.alive = False
        await rows(feed, stage.clock, START_MS + 200_000)
        stream.alive, stream.reconnects = True, 1
        await rows(feed, stage.clock, START_MS + 300_000)
        await feed.close()
        await pushes

    stage.run(story())
    assert feed.gaps() == 0, "the rows never noticed"
    assert not stream.alive
    assert [(note.source, note.detail) for note in stage.told(FeedSource)] == [
        ("stream", "reconnects=0"), ("rest", "reconnects=0"), ("stream", "reconnects=1"),
    ]  # fmt: skip
    alive, dead, back = (len(quotes_read(exchange, *span)) for span in ((5, 100), (102, 200), (210, 300)))
    assert alive <= 4, "while the stream is alive a sweep in 30 s is all"
    assert 40 <= dead <= 80
    assert back <= 4


def test_a_symbol_that_the_stream_is_silent_about_is_read(stage: Stage):
    exchange, stream = stage.exchange(), Stream()
    feed = stage.feed(exchange, stream)

    async def story():
        await feed.start()
        while stage.clock.now_ms() < START_MS + 120_000:
            stream.push(exchange.quote(A, "stream"))
            await stage.clock.sleep(0.5)
            if feed.next_close_ms <= stage.clock.now_ms():
                feed.take()
        frame = feed.history(20)
        assert not np.isnan(frame.close).any()
        await feed.close()

    stage.run(story())
    sizes = quotes_read(exchange, 10)
    assert sizes.count(2) in {3, 4, 5}, "sweeps that correct"
    assert sizes.count(1) >= 20


def test_symbols_that_matter_are_read_more_often(stage: Stage):
    exchange = stage.exchange(A, B)
    feed = stage.feed(exchange, quotes_ms=10_000)
    heard = []
    feed.on_price(heard.append)

    async def story():
        await feed.start()
        feed.attend(frozenset({B}))
        await stage.until(61)
        await feed.close()

    stage.run(story())
    assert heard.count(B) >= 50
    assert heard.count(A) <= 15


def test_reads_that_must_wait_do_not_starve_what_matters_most(stage: Stage):
    """The budget is too small for all symbols in every round: positions are read all the same."""
    names = [f"S{n:03d}/USDT" for n in range(600)]
    exchange = stage.exchange(*names, limiter=RequestLimiter(stage.clock, 240), batch=20)
    feed = stage.feed(exchange)
    ages = []

    async def story():
        await feed.start()
        feed.attend(frozenset({names[7]}))
        await stage.until(90)
        for _ in range(120):
            await stage.clock.sleep(1.0)
            ages.append(stage.clock.now_ms() - feed.newest(names[7]).at_ms)
        await feed.close()

    stage.run(story())
    assert np.median(ages) <= 1_500
    assert max(ages) < 15_000, "never stale"


def test_f22_halted_and_delisted_symbols_are_noticed(stage: Stage):
    exchange = stage.exchange(A, B)
    feed = stage.feed(exchange, instruments_ms=30_000)
    told = []
    feed.on_instruments(told.append)

    async def story():
        await feed.start()
        await rows(feed, stage.clock, START_MS + 20_000)
        exchange.listed[A] = instrument(A, can_buy=False, can_sell=False)
        exchange.listed["NEW/USDT"] = instrument("NEW/USDT")
        exchange.listed["NEW/EUR"] = instrument("NEW/EUR")
        await rows(feed, stage.clock, START_MS + 60_000)
        assert feed.last_price(A) is None
        assert feed.book(A) is None
        assert np.isnan(feed.history(1).close[0, 0])
        assert feed.last_price(B) == 100.0
        exchange.listed[A] = instrument(A, can_buy=False)
        await rows(feed, stage.clock, START_MS + 100_000)
        assert feed.last_price(A) == 100.0, "what can be sold has a price"
        del exchange.listed[B]
        await rows(feed, stage.clock, START_MS + 150_000)
        assert feed.last_price(B) is None
        assert feed.last_price(A) == 100.0, "one symbol that is gone costs the others nothing"
        assert not np.isnan(feed.history(3).close[:, 0]).any()
        assert np.isnan(feed.history(3).close[:, 1]).all()
        await feed.close()

    stage.run(story())
    first, second, third = stage.told(InstrumentsChanged)
    assert (first.halted, first.listed, first.delisted) == ((A,), ("NEW/USDT",), ())
    assert (second.resumed, second.changed) == ((A,), ())
    assert third.delisted == (B,)
    assert len(told) == 3
    assert told[0][A].can_buy is False
    assert B not in told[2]
    assert [n.text for n in stage.told(AlertFired) if n.name == "symbol_shut"] == [
        f"{symbol} cannot be traded any more" for symbol in (A, B)
    ]


def test_f22_a_refused_read_has_the_list_read_at_once(stage: Stage):
    exchange = stage.exchange(A, B)
    feed = stage.feed(exchange)  # the list is due in 300 s

    async def story():
        await feed.start()
        await rows(feed, stage.clock, START_MS + 40_000)
        del exchange.listed[B]
        await rows(feed, stage.clock, START_MS + 60_000)
        assert feed.last_price(A) == 100.0
        assert feed.listing.shut == {B}
        await feed.close()

    stage.run(story())
    assert feed.gaps() <= 3 + 3


def test_an_empty_or_failed_list_changes_nothing(stage: Stage):
    exchange = stage.exchange(A)
    feed = stage.feed(exchange, instruments_ms=20_000)

    async def story():
        await feed.start()
        kept, exchange.listed = exchange.listed, {}
        await stage.until(25)
        assert set(feed.instruments) == {A}
        exchange.listed = kept
        await feed.close()

    stage.run(story())
    assert feed.listing.failures >= 1
    assert stage.told(InstrumentsChanged) == []
    assert "instruments_unread" in {note.name for note in stage.told(AlertFired)}


@pytest.mark.parametrize("cheap", [False, True])
@pytest.mark.parametrize("streaming", [False, True])
def test_r38_two_thousand_symbols_within_800_requests_a_minute(stage: Stage, streaming, cheap):
    names = [f"S{n:04d}/USDT" for n in range(2_000)]
    limiter = RequestLimiter(stage.clock, 800)
    exchange = stage.exchange(*names, limiter=limiter)
    exchange.cheap = cheap
    stream = Stream() if streaming else None
    feed = stage.feed(exchange, stream, history_rows=5)

    async def story():
        await feed.start()
        while stage.clock.now_ms() < START_MS + 180_000:
            for name in names if stream is not None else ():
                stream.push(exchange.quote(name, "stream"))
            await stage.clock.sleep(2.5)
            while feed.take() is not None:
                pass
        shown = feed.history(5).close
        await feed.close()
        return shown

    shown = stage.run(story())
    assert set(quotes_read(exchange)) == ({100, 2_000} if cheap else {100})
    moments = [at for at, _, _ in exchange.requests]
    per_minute = [sum(1 for at in moments if start <= at < start + 60_000) for start in moments[::50]]
    assert max(per_minute) <= 640, "data may use four fifths of 800: orders always find room"
    if streaming or cheap:
        most = 120 if cheap else 320
        assert max(per_minute) <= most, "what was silent, or all where one answer holds all, and the sweeps"
        assert not np.isnan(shown).any()
    else:
        assert all(feed.newest(name) is not None for name in names)
        assert np.isnan(shown).mean() < 0.5


@pytest.mark.parametrize(("lost", "left"), [(1, False), (5, False), (40, True)])
def test_r24_a_cancel_that_a_read_swallows_holds_no_end_up(stage: Stage, lost, left):
    """aiohttp takes a cancel for its own time-out where both come in one turn of the loop."""
    exchange = stage.exchange(A)
    feed = stage.feed(exchange)
    swallowed = []

    async def swallowing(symbols):
        while len(swallowed) < lost:
            try:
                await stage.clock.sleep(1e6)
            except asyncio.CancelledError:
                swallowed.append(1)
        raise asyncio.CancelledError

    async def story():
        await feed.start()
        exchange.best = exchange.quotes = swallowing
        await stage.clock.sleep(40)
        began = stage.clock.monotonic_s()
        await feed.close()
        took = stage.clock.monotonic_s() - began
        for _ in range(lost):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await stage.clock.sleep(0.1)
        return took

    assert stage.run(story()) <= 5.5
    alerts = [note.name for note in stage.told(AlertFired)]
    assert ("feed_task_left" in alerts) is left


def test_f45_clock_set_forward_empty_rows_are_passed_over(stage: Stage):
    """An hour on: not 720 rows to judge one by one, and a past that shows the hole."""
    clock = Stepping(stage.clock)
    stage.clock = clock
    exchange = stage.exchange(A)
    feed = stage.feed(exchange)

    async def story():
        await feed.start()
        await rows(feed, clock, START_MS + 20_000)
        clock.offset_ms = 3_600_000
        assert feed.last_price(A) is None
        taken = []
        for _ in range(12):
            await clock.sleep(2.5)
            while feed.next_close_ms <= clock.now_ms():
                assert feed.block(3, 1) is not None
                taken.append(feed.take())
        assert len(taken) <= 8
        assert feed.last_price(A) == 100.0
        frame = feed.history(20)
        assert (np.diff(frame.timestamps) == ROW).all(), "windows given in time stay right"
        assert np.isnan(frame.close[:10]).all()
        await feed.close()

    stage.run(story())
    assert feed.gaps() >= 700


def test_f45_clock_set_back_rows_wait_and_prices_go_on(stage: Stage):
    clock = Stepping(stage.clock)
    stage.clock = clock
    feed = stage.feed(stage.exchange(A))

    async def story():
        await feed.start()
        taken = await rows(feed, clock, START_MS + 60_000)
        clock.offset_ms = -30_000
        assert feed.last_price(A) is None, "a quote of the future has no age"
        await clock.sleep(5)
        assert feed.last_price(A) == 100.0
        assert feed.take() is None
        again = await rows(feed, clock, START_MS + 90_000)
        await feed.close()
        assert [*taken, *again] == sorted({*taken, *again}), "no row closes twice"

    stage.run(story())


class Stepping:
    """A wall clock that somebody sets."""

    virtual = False

    def __init__(self, clock):
        self._clock, self.offset_ms = clock, 0

    def now_ms(self):
        return self._clock.now_ms() + self.offset_ms

    def now_ns(self):
        return self.now_ms() * 1_000_000

    def monotonic_s(self):
        return self._clock.monotonic_s()

    async def sleep(self, seconds):
        await self._clock.sleep(seconds)

    async def sleep_until_ms(self, at_ms):
        while self.now_ms() < at_ms:
            await self._clock.sleep((at_ms - self.now_ms()) / 1_000)


# The past --------------------------------------------------------------------------------------------------------


def minutes(count, price=100.0):
    first = START_MS - count * 60_000
    return [Candle(first + n * 60_000, price, price + n, price - n, price + n / 2, 60.0) for n in range(count)]


def test_minute_candles_land_in_the_row_that_closes_with_them(stage: Stage):
    exchange = stage.exchange(A)
    exchange.history[A, 60_000] = minutes(70)
    feed = stage.feed(exchange, backfill=True, history_rows=720)

    async def story():
        await feed.start()
        frame = feed.history(720)
        await feed.close()
        return frame

    frame = stage.run(story())
    assert frame.rows == 720
    held = np.flatnonzero(~np.isnan(frame.close[:, 0]))
    closes = frame.timestamps[held]
    assert (closes % 60_000 == 0).all()
    assert len(held) == 60
    for at in held:
        n = 69 - (START_MS - int(frame.timestamps[at])) // 60_000
        assert [float(c[at, 0]) for c in (frame.open, frame.high, frame.low, frame.close, frame.volume)] == [
            100.0, 100.0 + n, 100.0 - n, 100.0 + n / 2, 60.0,
        ]  # fmt: skip
    assert [what for _, what, _ in exchange.requests].count("candles") >= 2, "pages"
    assert [(note.symbols, note.failed) for note in stage.told(FeedPast)] == [(1, ())]


def test_candles_of_the_rows_length_are_rows(stage: Stage):
    exchange = stage.exchange(A, B)
    exchange.timeframes.add(ROW)
    first = START_MS - 100 * ROW
    exchange.history[A, ROW] = [Candle(first + n * ROW, 1.0 + n, 1.0 + n, 1.0 + n, 1.0 + n, 2.0) for n in range(100)]
    feed = stage.feed(exchange, backfill=True, history_rows=50)

    async def story():
        await feed.start()
        frame = feed.history(50)
        await feed.close()
        return frame

    frame = stage.run(story())
    assert not np.isnan(frame.close[:, 0]).any()
    assert (np.diff(frame.close[:, 0]) == 1.0).all()
    assert np.isnan(frame.close[:, 1]).all(), "what the exchange does not have is not made up"


def test_rows_longer_than_the_candles_are_added_up(stage: Stage):
    exchange = stage.exchange(A)
    exchange.history[A, 60_000] = minutes(60)
    feed = stage.feed(exchange, backfill=True, history_rows=10, row_ms=180_000)

    async def story():
        await feed.start()
        frame = feed.history(10)
        await feed.close()
        return frame

    frame = stage.run(story())
    at = int(np.flatnonzero(~np.isnan(frame.close[:, 0]))[-1])
    n = 59 - (START_MS - int(frame.timestamps[at])) // 60_000
    bar = [float(c[at, 0]) for c in (frame.open, frame.high, frame.low, frame.close, frame.volume)]
    assert bar == [100.0, 100.0 + n, 100.0 - n, 100.0 + n / 2, 180.0]


def test_a_slow_past_comes_in_beside_the_first_rows(stage: Stage):
    names = [f"S{n:03d}/USDT" for n in range(300)]
    exchange = stage.exchange(*names, limiter=RequestLimiter(stage.clock, 100))
    for name in names:
        exchange.history[name, 60_000] = minutes(10)
    feed = stage.feed(exchange, backfill=True, history_rows=60)

    async def story():
        await feed.start()
        assert stage.clock.now_ms() - START_MS <= 25_000, "positions are not left alone for the sake of the past"
        early = feed.history(60)
        shown = early.close.copy()
        await stage.until(400)
        np.testing.assert_array_equal(early.close, shown)
        await feed.close()

    stage.run(story())
    (past,) = stage.told(FeedPast)
    assert past.failed == ()
    assert past.took_ms > 100_000


def test_a_past_that_cannot_be_read_is_told_and_nothing_more(stage: Stage):
    exchange = stage.exchange(A, B)
    exchange.timeframes = set()
    feed = stage.feed(exchange, backfill=True)

    async def story():
        await feed.start()
        await rows(feed, stage.clock, START_MS + 20_000)
        await feed.close()

    stage.run(story())
    assert [note.failed for note in stage.told(FeedPast)] == [(A, B)]


def test_slower_frames_come_from_candles_and_then_from_our_quotes(stage: Stage):
    """The bar under way at the start is empty until the exchange's own candle of it is read."""
    exchange = stage.exchange(A)
    exchange.price = drift
    exchange.timeframes.add(300_000)
    tf = 300_000
    base = START_MS - START_MS % tf
    assert base < START_MS, "the run begins within a bar"
    exchange.history[A, tf] = [
        Candle(base + n * tf, 50.0, 60.0 + n, 40.0, 55.0 + n, 9.0) for n in range(-6, 1)
    ]  # fmt: skip
    feed = stage.feed(exchange, backfill=True, slower={"5m": 4})

    async def story():
        await feed.start()
        first = feed.history(20).other["5m"]
        await rows(feed, stage.clock, base + tf)
        at_close = feed.history(20).other["5m"]
        await rows(feed, stage.clock, base + tf + 30_000)
        read = feed.history(20).other["5m"]
        await rows(feed, stage.clock, base + 2 * tf)
        built = feed.history(20)
        block_end = int(built.timestamps[-1])
        await feed.close()
        return first, at_close, read, built.other["5m"], block_end

    first, at_close, read, built, block_end = stage.run(story())
    assert first.timeframe_ms == tf
    assert [int(t) for t in first.timestamps] == [base - n * tf for n in (3, 2, 1, 0)]
    assert first.close[:, 0].tolist() == [51.0, 52.0, 53.0, 54.0]
    assert [int(t) for t in at_close.timestamps][-1] == base + tf
    assert np.isnan(at_close.close[-1, 0]), "half of it was before our time"
    assert read.close[-1, 0] == 55.0
    assert (int(built.timestamps[-1]), block_end) == (base + 2 * tf, base + 2 * tf)
    low, high = drift(A, base + tf), drift(A, base + 2 * tf)
    assert low <= built.low[-1, 0] < built.high[-1, 0] <= high
    assert built.high[-1, 0] - built.low[-1, 0] > 0.95 * (high - low)
    assert int(built.timestamps[0]) == base - tf


# Starting and ending -----------------------------------------------------------------------------------------------


def test_r19_a_start_without_an_answer_is_no_start(stage: Stage):
    exchange = stage.exchange(A)
    exchange.down = True
    feed = stage.feed(exchange)

    async def story():
        with pytest.raises(RetryableVenueError):
            await feed.start()
        await feed.close()
        await feed.close()

    stage.run(story())


def test_what_nobody_expected_is_told_and_the_feed_goes_on(stage: Stage):
    exchange = stage.exchange(A)
    feed = stage.feed(exchange)

    async def story():
        await feed.start()
        fine, exchange.price = exchange.price, lambda symbol, at_ms: 1 / 0
        await stage.until(4)
        exchange.price = fine
        await rows(feed, stage.clock, START_MS + 30_000)
        assert feed.last_price(A) == 100.0
        await feed.close()

    stage.run(story())
    assert {note.error_class for note in stage.told(UncaughtException)} == {"ZeroDivisionError"}


def test_no_task_is_left_at_the_end(stage: Stage):
    feed = stage.feed(stage.exchange(A), Stream())

    async def story():
        await feed.start()
        await stage.until(12)
        await feed.close()
        return {task.get_name() for task in asyncio.all_tasks()} - {asyncio.current_task().get_name()}

    assert stage.run(story()) == set()


def test_the_universe_is_chosen_by_pattern_and_volume(stage: Stage):
    listed = {s: instrument(s) for s in ("AAA/USDT", "AAB/USDT", "BBB/USDT", "CCC/USDT", "AAA/EUR")}
    listed["AAC/USDT"] = instrument("AAC/USDT", can_buy=False, can_sell=False)
    volume = {"AAA/USDT": 5.0, "AAB/USDT": NAN, "BBB/USDT": 50.0, "CCC/USDT": 7.0}
    quotes = {s: Quote(s, 0, 1.0, 1.0, 1.0, 1.0, 1.0, v, "rest") for s, v in volume.items()}
    assert choose(listed, {}, Universe("USDT")) == ("AAA/USDT", "AAB/USDT", "BBB/USDT", "CCC/USDT")
    assert choose(listed, {}, Universe("USDT", ("AA*",), ("AAB/*",))) == ("AAA/USDT",)
    assert choose(listed, quotes, Universe("USDT", most=2)) == ("BBB/USDT", "CCC/USDT")
    assert choose(listed, quotes, Universe("USDT", most=1), ("AAB/USDT", "GONE/USDT", "AAC/USDT")) == (
        "AAB/USDT", "AAC/USDT", "BBB/USDT",
    )  # fmt: skip


def test_opening_chooses_by_the_volumes_of_the_moment(stage: Stage):
    exchange = stage.exchange("AAA/USDT", "BBB/USDT", "CCC/USDT")
    exchange.volume_24h = {"AAA/USDT": 1.0, "BBB/USDT": 9.0, "CCC/USDT": 5.0}

    async def story():
        plan = LivePlan(backfill=False)
        universe = Universe("USDT", most=2)
        feed = await open_live_feed(stage.clock, exchange, None, plan, universe, note=stage.notes.append)
        await feed.start()
        await feed.close()
        return feed.symbols

    assert stage.run(story()) == ("BBB/USDT", "CCC/USDT")


def test_hours_are_those_that_guests_declared(stage: Stage):
    exchange = stage.exchange(A)
    hour = 3_600_000
    base = START_MS - START_MS % hour
    exchange.timeframes.add(hour)
    exchange.history[A, hour] = [Candle(base - n * hour, 10.0, 12.0, 9.0, 11.0, 3.0) for n in range(6, 0, -1)]
    feed = stage.feed(exchange, backfill=True, slower={"1h": 4})
    bare = stage.feed(stage.exchange(A))

    async def story():
        await feed.start()
        await stage.until(20)
        found = [feed.hours(count) for count in (0, 2, 9)]
        nothing = bare.hours(5)
        await feed.close()
        return found, nothing

    (none, two, most), nothing = stage.run(story())
    assert (none.rows, two.rows, most.rows, nothing.rows) == (0, 2, 4, 0)
    assert two.timeframe_ms == 3_600_000
    assert two.close[:, 0].tolist() == [11.0, 11.0]
    assert nothing.symbols == (A,)
