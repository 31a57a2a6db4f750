"""Five recorded minutes of Binance's BTC/USDT through feed and paper venue: bars agree with the trades of the tape."""

from __future__ import annotations

import json
import lzma
import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from tests.venues.live.conftest import NAN, Exchange, instrument
from tradecore.model.book import Book, Level
from tradecore.model.order import NewOrder
from tradecore.model.units import Side, TimeInForce
from tradecore.ports.quotes import Quote
from tradecore.venues.live.feed import LiveFeed
from tradecore.venues.live.poller import LivePlan
from tradecore.venues.twin.build import TwinPlan
from tradecore.venues.twin.paper import open_paper

TAPE = Path(__file__).resolve().parents[4] / "shared" / "data" / "recorded" / "binance" / "btcusdt_20240808.txt.xz"
BTC = "BTC/USDT"
ROW = 5_000
pytestmark = pytest.mark.skipif(not TAPE.is_file(), reason="the recorded tape is not here")


class Hand:
    """A clock led by the tape."""

    virtual = False

    def __init__(self) -> None:
        self.at_ms = 0

    def now_ms(self):
        return self.at_ms

    def now_ns(self):
        return self.at_ms * 1_000_000

    def monotonic_s(self):
        return self.at_ms / 1_000

    async def sleep(self, seconds):
        self.at_ms += int(seconds * 1_000)

    async def sleep_until_ms(self, at_ms):
        self.at_ms = max(self.at_ms, at_ms)


@pytest.fixture(scope="module")
def tape():
    """(ms, bid, bid quantity, ask, ask quantity) and (ms, price) of the trades."""
    quotes, trades = [], []
    with lzma.open(TAPE, "rt") as lines:
        for line in lines:
            at, _, text = line.partition(" ")
            message = json.loads(text)
            data, stream = message.get("data", {}), message.get("stream", "")
            if stream.endswith("bookTicker"):
                quotes.append((int(at) // 1_000_000, *(float(data[key]) for key in "bBaA")))
            elif stream.endswith("@trade"):
                trades.append((int(at) // 1_000_000, float(data["p"])))
    return quotes, trades


def merged(tape):
    """Quotes as a ticker would show them: best prices with the last trade before."""
    quotes, trades = tape
    last, n = NAN, 0
    for at, bid, bid_size, ask, ask_size in quotes:
        while n < len(trades) and trades[n][0] <= at:
            last, n = trades[n][1], n + 1
        yield Quote(BTC, at, bid, ask, bid_size, ask_size, last, NAN, "stream")


def feed_on(clock):
    exchange = Exchange(clock, (BTC,))
    plan = LivePlan(history_rows=100, backfill=False)
    listed = {BTC: instrument(BTC, lot_size=Decimal("0.00001"), min_quantity=Decimal("0.00001"))}
    return exchange, LiveFeed(clock, exchange, None, plan, symbols=(BTC,), instruments=listed, note=print)


def test_bars_of_the_tape_agree_with_its_trades(tape):
    clock = Hand()
    clock.at_ms = tape[0][0][0]
    _, feed = feed_on(clock)
    for quote in merged(tape):
        clock.at_ms = quote.received_ms
        feed.take_quote(quote)
        while feed.take() is not None:
            pass
    frame = feed.history(100)
    assert frame.rows >= 60
    trades = tape[1]
    compared = 0
    for row, close_ms in enumerate(frame.timestamps):
        within = [price for at, price in trades if close_ms - ROW < at <= close_ms]
        bar = [float(column[row, 0]) for column in (frame.open, frame.high, frame.low, frame.close)]
        if np.isnan(bar[0]) or row == 0 or not within:
            continue
        compared += 1
        # one quote of the tape lies between two trades at most: two basis points of 61,800
        assert abs(bar[1] - max(within)) < 13
        assert abs(bar[2] - min(within)) < 13
        assert abs(bar[3] - within[-1]) < 13
    assert compared >= 55


async def test_paper_takes_of_the_tape_what_stood_at_the_touch(tape):
    clock = Hand()
    clock.at_ms = tape[0][0][0]
    exchange, feed = feed_on(clock)
    paper = open_paper(clock, feed, exchange, feed.instruments, generator=random.Random(1), plan=TwinPlan(latency_ms=0))
    paper.venue.open_balances({"USDT": Decimal(10_000_000)})
    wanted = Decimal(2)
    for n, quote in enumerate(merged(tape)):
        clock.at_ms = quote.received_ms
        feed.take_quote(quote)
        if n % 500:
            continue
        level = Level(Decimal(repr(quote.ask)), Decimal(repr(quote.ask_quantity)))
        exchange.books[BTC] = Book(BTC, clock.at_ms, (), (level,), "rest")
        before = (await paper.venue.balances()).get("BTC")
        order = NewOrder(f"{n:032x}", BTC, Side.BUY, TimeInForce.IOC, level.price, wanted)
        await paper.venue.place(order)
        got = (await paper.venue.order(BTC, order.wire_id)).executed_quantity
        assert got == min(wanted, level.quantity)
        after = (await paper.venue.balances())["BTC"]
        assert after.total - (before.total if before else 0) == got
    await paper.venue.close()
