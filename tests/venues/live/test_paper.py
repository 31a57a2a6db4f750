"""Paper trading: fills are what a live book held, once; a resting order waits until the market comes to it."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.venues.live.conftest import NAN, A, Stage, instrument
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.book import Book, Level
from tradecore.model.order import NewOrder, PlacementKind
from tradecore.model.units import Side, TimeInForce
from tradecore.ports.quotes import Quote
from tradecore.venues.twin.build import TwinPlan
from tradecore.venues.twin.paper import Paper, open_paper

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
IOC, GTC, FOK = TimeInForce.IOC, TimeInForce.GTC, TimeInForce.FOK


def levels(*pairs):
    return tuple(Level(D(price), D(quantity)) for price, quantity in pairs)


def book(bids=(("99", "1"),), asks=(("101", "1"),)):
    return Book(A, 0, levels(*bids), levels(*asks), "rest")


class Desk:
    """A paper venue over a scripted exchange."""

    def __init__(self, stage: Stage, path=None, **plan) -> None:
        self.stage, self.exchange = stage, stage.exchange(A)
        self.feed = stage.feed(self.exchange)
        self.plan = TwinPlan(**{"latency_ms": 0, **plan})
        self.paper = self.open(path)
        self._ids = 0

    def open(self, path=None) -> Paper:
        paper = open_paper(
            self.stage.clock, self.feed, self.exchange, {A: instrument(A)}, generator=random.Random(1), path=path,
            plan=self.plan,
        )  # fmt: skip
        paper.venue.open_balances({"USDT": D(100_000), "AAA": D(1_000)})
        return paper

    async def send(self, side, price, quantity, tif=IOC, **fields):
        self._ids += 1
        order = NewOrder(f"{self._ids:032x}", A, side, tif, D(price), D(quantity), **fields)
        placed = await self.paper.venue.place(order)
        report = await self.paper.venue.order(A, order.wire_id)
        return placed, report, order

    async def quoted(self, bid, ask, last=NAN, size=1.0, after_s=1.0):
        """Let a quote come in."""
        await self.stage.clock.sleep(after_s)
        now = self.stage.clock.now_ms()
        self.feed.take_quote(Quote(A, now, bid, ask, size, size, last, NAN, "stream"))

    async def executed(self, order):
        return (await self.paper.venue.order(A, order.wire_id)).executed_quantity

    async def trades(self):
        return [(t.price, t.quantity, t.is_maker) for t in (await self.paper.venue.trades(A, "", 0)).trades]


@pytest.fixture
def desk(stage: Stage) -> Desk:
    return Desk(stage)


def test_an_order_takes_what_the_book_holds_and_no_more(desk, stage):
    desk.exchange.books[A] = book(asks=(("101", "1"), ("101.5", "2"), ("103", "9")))

    async def story():
        placed, report, _ = await desk.send(BUY, "102", "5")
        assert placed.kind is not PlacementKind.REJECTED
        assert report.executed_quantity == 3
        assert await desk.trades() == [(D("101"), D(1), False), (D("101.5"), D(2), False)]
        assert (await desk.paper.venue.balances())["AAA"].total == 1_003

    stage.run(story())


def test_an_ioc_that_finds_nothing_at_its_price_fails_on_paper_too(desk, stage):
    desk.exchange.books[A] = book()

    async def story():
        _, report, _ = await desk.send(BUY, "100.99", "1")
        assert report.executed_quantity == 0
        assert report.status.name != "OPEN"
        _, report, _ = await desk.send(BUY, "101", "2", FOK)
        assert report.executed_quantity == 0
        assert await desk.trades() == []
        balances = await desk.paper.venue.balances()
        assert balances["USDT"].locked == 0

    stage.run(story())


def test_what_was_taken_stays_taken_until_the_book_changes(desk, stage):
    desk.exchange.books[A] = book(asks=(("101.00", "2"), ("102", "1")))

    async def story():
        assert (await desk.send(BUY, "101", "1.5"))[1].executed_quantity == D("1.5")
        assert (await desk.send(BUY, "101", "1.5"))[1].executed_quantity == D("0.5")
        assert (await desk.send(BUY, "101", "1.5"))[1].executed_quantity == 0
        await desk.quoted(99.0, 101.0, size=2.0)  # pushed as 101.0, read as 101.00: the same level
        assert (await desk.paper.venue.book(A)).asks == levels(("102", "1"))
        desk.exchange.books[A] = book(asks=(("101", "1.8"), ("102", "1")))
        assert (await desk.send(BUY, "101", "1.5"))[1].executed_quantity == D("1.5")
        assert (await desk.send(BUY, "101", "1.5"))[1].executed_quantity == D("0.3")

    stage.run(story())


def test_what_was_taken_survives_a_restart(stage, tmp_path):
    desk = Desk(stage, tmp_path / "paper.db")
    desk.exchange.books[A] = book(asks=(("101", "2"),))

    async def story():
        assert (await desk.send(BUY, "101", "1.25"))[1].executed_quantity == D("1.25")
        await desk.paper.venue.close()
        desk.paper = desk.open(tmp_path / "paper.db")
        assert (await desk.paper.venue.balances())["AAA"].total == D("1001.25")
        assert (await desk.send(BUY, "101", "2"))[1].executed_quantity == D("0.75")
        await desk.paper.venue.close()

    stage.run(story())


def test_a_resting_order_fills_when_a_trade_goes_through_it(desk, stage):
    desk.exchange.books[A] = book()

    async def story():
        await desk.quoted(99.0, 101.0, 100.0)
        _, report, buy = await desk.send(BUY, "99.5", "3", GTC)
        assert report.executed_quantity == 0
        _, _, sell = await desk.send(SELL, "100.5", "2", GTC)
        await desk.quoted(99.0, 101.0, 100.0)
        assert await desk.executed(buy) == 0, "the same last trade is no new one"
        await desk.quoted(99.0, 101.0, 99.5)
        assert await desk.executed(buy) == 0, "traded at our limit: nobody knows how many stood before us"
        await desk.quoted(99.0, 101.0, 99.4)
        assert await desk.executed(buy) == 3
        assert await desk.executed(sell) == 0
        await desk.quoted(99.0, 101.0, 100.51)
        assert await desk.executed(sell) == 2
        assert await desk.trades() == [(D("99.5"), D(3), True), (D("100.5"), D(2), True)]

    stage.run(story())


def test_a_resting_order_fills_from_whoever_comes_to_its_price(desk, stage):
    desk.exchange.books[A] = book()

    async def story():
        await desk.quoted(99.0, 101.0, 100.0)
        _, _, buy = await desk.send(BUY, "99.5", "3", GTC)
        await desk.quoted(99.0, 99.5, size=0.8)
        assert await desk.executed(buy) == D("0.8")
        await desk.quoted(99.0, 99.5, size=0.8)
        assert await desk.executed(buy) == D("0.8"), "that one was taken already"
        await desk.quoted(99.0, 99.4, size=1.0)
        assert await desk.executed(buy) == D("1.8")
        await desk.quoted(99.0, 99.6, size=9.0)
        assert await desk.executed(buy) == D("1.8")
        assert (await desk.paper.venue.cancel(A, buy.wire_id, "")) is not None
        await desk.quoted(90.0, 91.0, 90.0)
        assert await desk.executed(buy) == D("1.8")

    stage.run(story())


def test_post_only_is_held_against_the_live_book(desk, stage):
    desk.exchange.books[A] = book()

    async def story():
        placed, _, _ = await desk.send(BUY, "101", "1", GTC, post_only=True)
        assert placed.kind is PlacementKind.REJECTED
        placed, _, _ = await desk.send(BUY, "100.99", "1", GTC, post_only=True)
        assert placed.kind is not PlacementKind.REJECTED

    stage.run(story())


def test_f19_of_an_old_book_nothing_can_be_had(desk, stage):
    desk.exchange.books[A] = book()

    async def story():
        assert (await desk.send(BUY, "101", "0.2"))[1].executed_quantity == D("0.2")
        desk.exchange.down = True
        await stage.clock.sleep(1.0)
        assert (await desk.send(BUY, "101", "0.2"))[1].executed_quantity == D("0.2"), "a second old"
        await stage.clock.sleep(5.0)
        assert (await desk.send(BUY, "101", "0.2"))[1].executed_quantity == 0
        assert desk.paper.venue.book_failures == 2
        with pytest.raises(RetryableVenueError):
            await desk.paper.venue.book(A)

    stage.run(story())


def test_an_order_does_not_wait_for_a_book_that_does_not_come(desk, stage):
    async def never(symbol):
        await stage.clock.sleep(3_600)

    desk.exchange.book = never

    async def story():
        await desk.quoted(99.0, 101.0)
        began = stage.clock.now_ms()
        _, report, _ = await desk.send(BUY, "101", "0.5")
        assert stage.clock.now_ms() - began <= 2_100
        assert report.executed_quantity == D("0.5"), "the quote of two seconds ago still holds"

    stage.run(story())


def test_f22_a_halt_out_there_is_a_halt_here(desk, stage):
    desk.exchange.books[A] = book()

    async def story():
        await desk.quoted(99.0, 101.0, 100.0)
        listing = desk.feed.listing
        listing.apply({A: instrument(A, can_buy=False, maker_fee_bps=D(7))})
        assert (await desk.paper.venue.instruments())[A] == instrument(A, can_buy=False), "this account's fees stay"
        placed, _, _ = await desk.send(BUY, "101", "1")
        assert placed.kind is PlacementKind.REJECTED
        listing.apply({})
        assert (await desk.paper.venue.instruments())[A].can_sell is False
        with pytest.raises((VenueRefused, RetryableVenueError)):
            await desk.paper.venue.book(A)

    stage.run(story())


def test_f2_faults_of_the_twin_work_on_paper(stage):
    desk = Desk(stage, faults=("lost_ack:1",))
    desk.exchange.books[A] = book()

    async def story():
        placed, report, _ = await desk.send(BUY, "101", "0.5")
        assert placed.kind is PlacementKind.UNKNOWN
        assert report.executed_quantity == D("0.5"), "and yet it was there"
        assert desk.paper.venue.name == "paper"

    stage.run(story())


quantity = st.integers(1, 3_000).map(lambda n: D(n) / 1_000)
moves = st.lists(
    st.tuples(st.sampled_from(["take", "rest", "quote"]), st.integers(0, 6), quantity, st.booleans()), max_size=25
)  # fmt: skip


@given(moves)
def test_taking_never_gets_more_than_the_levels_ever_showed(script):
    stage = Stage()
    desk = Desk(stage)
    shown: dict[Decimal, Decimal] = {}

    def show(asks):
        desk.exchange.books[A] = book(bids=(("90", "1"),), asks=asks)
        before = {level.price: level.quantity for level in current[0]}
        for level in levels(*asks):
            if before.get(level.price) != level.quantity:
                shown[level.price] = shown.get(level.price, D(0)) + level.quantity
        current[0] = levels(*asks)

    current = [()]

    async def story():
        show((("101", "1"),))
        for what, step, size, flag in script:
            await stage.clock.sleep(0.5)
            if what == "quote":
                show(((str(101 + step), str(size)), ("110", "2")))
            elif what == "take":
                await desk.send(BUY, str(101 + step), size, IOC if flag else FOK)
        taken: dict[Decimal, Decimal] = {}
        for price, got, maker in await desk.trades():
            assert not maker
            taken[price] = taken.get(price, D(0)) + got
        assert all(got <= shown.get(price, D(0)) for price, got in taken.items()), (taken, shown)

    stage.run(story())


def test_nothing_of_paper_needs_a_seed(stage):
    """The same market gives the same fills: luck has no part in them."""

    def fills(seed):
        made = Stage()
        desk = Desk(made)
        desk.exchange.books[A] = book()

        async def story():
            random.seed(seed)
            await desk.quoted(99.0, 101.0, 100.0)
            await desk.send(BUY, "99.5", "3", GTC)
            await desk.quoted(98.0, 99.2, 99.5)
            await desk.send(SELL, "98", "0.4")
            return await desk.trades()

        return made.run(story())

    assert fills(1) == fills(2)
    assert len(fills(1)) == 2
