"""Each fault by name: what the bot sees, and what is true (reference orders.md 2.2 and 8)."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from pathlib import Path

import pytest

from tradecore.errors import RetryableVenueError, SettingsError
from tradecore.model.order import CancelKind, PlacementKind, VenueStatus
from tradecore.model.reasons import Reason
from tradecore.model.units import ZERO, Side, TimeInForce
from tradecore.venues.twin.faults import FAULTS, Faults
from tradecore.venues.twin.records import OrderStatus

SYMBOL = "BTC/USDT"
IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
STEADY = [(100.0, 100.02, 99.98, 100.0, 1_000.0)]
MANNERS = ("plain", "binance", "mexc")


@pytest.fixture(params=MANNERS)
def twin(request, world):
    return world.twin(world.rows(BTC_USDT=STEADY * 60), manners=request.param)


@pytest.fixture
def plain(world):
    return world.twin(world.rows(BTC_USDT=STEADY * 60))


async def buy(world, twin, quantity="1"):
    return world.order(twin.venue.peek_book(SYMBOL).best_ask, quantity)


ACCEPTED_BUT_UNKNOWN = [
    "lost_ack", "cut_after_accept", "http_500_accepted", "http_502_accepted", "http_503_accepted",
    "http_504_accepted", "code_1006_accepted", "truncated_body", "html_200", "empty_body", "empty_object", "null_body",
    "wrong_id",
]  # fmt: skip


@pytest.mark.parametrize("fault", ACCEPTED_BUT_UNKNOWN)
def test_f2_f5_f17_accepted_but_unknown(world, twin, fault):
    async def story():
        await world.until(1_000)
        order = await buy(world, twin)
        twin.venue.faults.once(fault)
        placed = await twin.venue.place(order)
        assert placed.kind is PlacementKind.UNKNOWN
        (true,) = twin.venue.truth().orders()
        assert (true.wire_id, true.status) == (order.wire_id, OrderStatus.FILLED)
        found = await twin.venue.order(SYMBOL, order.wire_id)
        assert found.executed_quantity == Decimal(1)
        assert twin.venue.faults.happened == {fault: 1}

    world.run(story())


@pytest.mark.parametrize("fault", ["lost_request", "http_502", "http_403", "http_404", "http_504", "maintenance"])
def test_f1_not_placed_and_unknown(world, twin, fault):
    async def story():
        await world.until(1_000)
        order = await buy(world, twin)
        twin.venue.faults.once(fault)
        assert (await twin.venue.place(order)).kind is PlacementKind.UNKNOWN
        assert twin.venue.truth().orders() == []
        assert await twin.venue.order(SYMBOL, order.wire_id) is None

    world.run(story())


def test_not_sent_leaves_no_trace(world, twin):
    async def story():
        await world.until(1_000)
        twin.venue.faults.once("not_sent")
        assert (await twin.venue.place(await buy(world, twin))).kind is PlacementKind.NOT_SENT
        twin.venue.faults.once("not_sent")
        with pytest.raises(RetryableVenueError):
            await twin.venue.balances()

    world.run(story())


def test_f45_wrong_echo_is_unknown(world, plain):
    async def story():
        await world.until(1_000)
        order = await buy(world, plain)
        plain.venue.faults.once("wrong_echo")
        placed = await plain.venue.place(order)
        assert (placed.kind, placed.reason) == (PlacementKind.UNKNOWN, Reason.ECHO_MISMATCH)
        plain.venue.faults.once("wrong_echo")
        with pytest.raises(RetryableVenueError, match=order.wire_id):
            await plain.venue.order(SYMBOL, order.wire_id)

    world.run(story())


def test_f3_a_late_request_is_accepted_after_its_sender_gave_up(world, plain):
    async def story():
        await world.until(1_000)
        order = await buy(world, plain)
        plain.venue.faults.once("late_request", 3_000)
        assert (await plain.venue.place(order)).kind is PlacementKind.UNKNOWN
        assert await plain.venue.order(SYMBOL, order.wire_id) is None
        await world.until(10_000)
        assert (await plain.venue.order(SYMBOL, order.wire_id)).status is not None
        (true,) = plain.venue.truth().orders()
        assert true.accepted_ms == world.start_ms + 4_000

    world.run(story())


def test_f4_a_request_later_than_the_receive_window_is_refused(world, plain):
    async def story():
        await world.until(1_000)
        plain.venue.faults.once("late_request", 5_001)
        await plain.venue.place(await buy(world, plain))
        await world.until(30_000)
        await plain.venue.open_orders()
        assert plain.venue.truth().orders() == []
        assert [event.facts["why"] for event in plain.venue.truth().rejections()] == ["OUTSIDE_WINDOW"]

    world.run(story())


def test_ack_without_status_must_be_read(world):
    for setting in (True, False):
        twin = world.twin(world.rows(BTC_USDT=STEADY * 9), ack_without_status=setting)

        async def story(twin=twin, setting=setting):
            await world.clock.sleep(1)
            if not setting:
                twin.venue.faults.once("ack_without_status")
            placed = await twin.venue.place(await buy(world, twin))
            assert placed.kind is PlacementKind.ACCEPTED
            assert (placed.report.status, placed.report.executed_quantity, placed.report.trades) == (None, None, ())

        world.run(story())


def test_r11_an_ioc_that_becomes_gtc_is_reported_as_such(world, plain):
    """The acknowledgement does not prove our order; a read finds it as it stands, and it can be cancelled."""

    async def story():
        await world.until(1_000)
        plain.venue.faults.once("ioc_becomes_gtc")
        order = world.order("99.00")
        placed = await plain.venue.place(order)
        assert (placed.kind, placed.reason) == (PlacementKind.UNKNOWN, Reason.ECHO_MISMATCH)
        assert "time in force asked IOC was GTC" in placed.detail
        (report,) = await plain.venue.open_orders(SYMBOL)
        found = await plain.venue.order(SYMBOL, order.wire_id)
        assert found.venue_order_id == report.venue_order_id
        assert (found.wire_id, found.time_in_force, found.status) == (order.wire_id, GTC, VenueStatus.OPEN)
        await plain.venue.cancel(SYMBOL, order.wire_id, "")
        assert (await plain.venue.order(SYMBOL, order.wire_id)).status is VenueStatus.CANCELED
        assert not await plain.venue.open_orders(SYMBOL)

    world.run(story())


def test_no_liquidity_and_partial_fills_on_demand(world, plain):
    async def story():
        await world.until(1_000)
        plain.venue.faults.once("no_liquidity")
        empty = await plain.venue.place(await buy(world, plain))
        assert (empty.report.status, empty.report.executed_quantity) == (VenueStatus.EXPIRED, ZERO)
        plain.venue.faults.once("partial_fill", 0.25)
        there = plain.venue.peek_book(SYMBOL).asks[0].quantity
        part = await plain.venue.place(await buy(world, plain, there))
        assert part.report.status is VenueStatus.EXPIRED
        assert there / 4 - Decimal("0.001") < part.report.executed_quantity <= there / 4

    world.run(story())


def test_f27_insufficient_is_the_code_of_the_venue(world):
    for manners, code in (("mexc", "30005"), ("binance", "-2010"), ("plain", "INSUFFICIENT_BASE")):
        twin = world.twin(world.rows(BTC_USDT=STEADY * 9), manners=manners)

        async def story(twin=twin, code=code):
            await world.clock.sleep(1)
            twin.venue.faults.once("insufficient_30005")
            placed = await twin.venue.place(world.order("90", side=Side.SELL))
            assert (placed.kind, placed.code, placed.reason) == (
                PlacementKind.REJECTED, code, Reason.INSUFFICIENT_FUNDS,
            )  # fmt: skip

        world.run(story())


def test_f22_halted_and_f16_clock_skew(world, twin):
    async def story():
        await world.until(1_000)
        twin.venue.faults.once("symbol_halted")
        assert (await twin.venue.place(await buy(world, twin))).reason is Reason.SYMBOL_HALTED
        twin.venue.faults.always("clock_skew", 7_000)
        assert await twin.venue.server_time_ms() == world.clock.now_ms() + 7_000
        assert (await twin.venue.place(await buy(world, twin))).kind is PlacementKind.REJECTED
        twin.venue.faults.clear("clock_skew")
        assert await twin.venue.server_time_ms() == world.clock.now_ms()
        twin.venue.faults.always("clock_skew", 2_000)
        assert (await twin.venue.place(await buy(world, twin))).kind is PlacementKind.ACCEPTED

    world.run(story())


def test_f15_a_429_names_its_time_and_who_asks_on_is_banned_longer_each_time(world, twin):
    async def story():
        await world.until(1_000)
        twin.venue.faults.once("rate_limited", 30)
        placed = await twin.venue.place(await buy(world, twin))
        assert (placed.kind, placed.status, placed.retry_after_s) == (PlacementKind.REJECTED, 429, 30.0)
        with pytest.raises(RetryableVenueError) as caught:
            await twin.venue.balances()
        assert caught.value.retry_after_s == 120.0
        await world.clock.sleep(119)
        with pytest.raises(RetryableVenueError):
            await twin.venue.balances()
        await world.clock.sleep(2)
        assert await twin.venue.balances()
        twin.venue.faults.once("rate_limited", 1)
        for _ in range(2):
            with pytest.raises(RetryableVenueError) as caught:
                await twin.venue.open_orders()
        assert caught.value.retry_after_s == 240.0

    world.run(story())


def test_f15_a_real_limit_and_a_ban_on_demand(world):
    twin = world.twin(world.rows(BTC_USDT=STEADY * 9), requests_per_minute=3)

    async def story():
        await world.until(1_000)
        for _ in range(3):
            await twin.venue.server_time_ms()
        with pytest.raises(RetryableVenueError) as caught:
            await twin.venue.server_time_ms()
        assert caught.value.retry_after_s == 60.0
        await world.clock.sleep(61)
        await twin.venue.server_time_ms()
        twin.venue.faults.once("banned", 90)
        cancel = await twin.venue.cancel(SYMBOL, "a" * 32, "")
        assert (cancel.kind, cancel.retry_after_s) == (CancelKind.UNKNOWN, 90.0)

    world.run(story())


def test_f23_maintenance_lasts(world, plain):
    async def story():
        await world.until(1_000)
        plain.venue.faults.once("maintenance", 60_000)
        for _ in range(2):
            with pytest.raises(RetryableVenueError, match="503"):
                await plain.venue.balances()
        await world.clock.sleep(60)
        assert await plain.venue.balances()

    world.run(story())


async def resting(world, twin, price="99.00"):
    return (await twin.venue.place(world.order(price, "1", tif=GTC))).report


@pytest.mark.parametrize(("fault", "done"), [("cancel_lost", True), ("cancel_502", True), ("cancel_dropped", False)])
def test_f12_a_cancel_whose_answer_is_lost(world, twin, fault, done):
    async def story():
        await world.until(1_000)
        report = await resting(world, twin)
        (open_order,) = await twin.venue.open_orders()
        twin.venue.faults.once(fault)
        assert (await twin.venue.cancel(SYMBOL, open_order.wire_id, "")).kind is CancelKind.UNKNOWN
        now = await twin.venue.order(SYMBOL, open_order.wire_id)
        assert now.status is (VenueStatus.CANCELED if done else VenueStatus.OPEN)
        assert report.venue_order_id == now.venue_order_id

    world.run(story())


def test_f10_f11_a_cancel_that_loses_the_race_against_a_fill(world, twin):
    async def story():
        await world.until(1_000)
        await resting(world, twin)
        (open_order,) = await twin.venue.open_orders()
        twin.venue.faults.once("cancel_refused_filled")
        answer = await twin.venue.cancel(SYMBOL, open_order.wire_id, open_order.venue_order_id)
        assert answer.kind is CancelKind.NOT_FOUND
        now = await twin.venue.order(SYMBOL, open_order.wire_id)
        assert (now.status, now.executed_quantity) == (VenueStatus.FILLED, Decimal(1))

    world.run(story())


def test_f8_read_lag_hides_what_is_young_from_every_read(world):
    for how in ("fault", "setting", "not_found_for"):
        twin = world.twin(world.rows(BTC_USDT=STEADY * 60), read_lag_ms=20_000 if how == "setting" else 0)
        if how == "fault":
            twin.venue.faults.always("read_lag", 20_000)
        if how == "not_found_for":
            twin.venue.faults.always("not_found_for", 20_000)

        async def story(twin=twin, how=how):
            await world.clock.sleep(1)
            placed = world.clock.now_ms()
            filled = await buy(world, twin)
            stands = world.order("99.00", tif=GTC)
            await twin.venue.place(filled)
            await twin.venue.place(stands)

            async def seen():
                return (
                    await twin.venue.order(SYMBOL, filled.wire_id) is not None,
                    len(await twin.venue.open_orders()),
                    len(await twin.venue.recent_orders(SYMBOL, placed)),
                    len((await twin.venue.trades(SYMBOL, "", placed)).trades),
                )

            trades_at_once = 1 if how == "not_found_for" else 0
            assert await seen() == (False, 0, 0, trades_at_once)
            await world.clock.sleep(19.9)
            assert await seen() == (False, 0, 0, trades_at_once)
            await world.clock.sleep(0.1)
            assert await seen() == (True, 1, 2, 1)

        world.run(story())


def test_f7_a_lagging_read_shows_the_order_as_it_was(world):
    fall = (100.0, 100.0, 95.0, 96.0, 5_000.0)
    twin = world.twin(world.rows(BTC_USDT=[*STEADY, fall, *STEADY * 3]))

    async def story():
        await world.until(50_000)
        order = world.order("97.00", "2", tif=GTC)
        await twin.venue.place(order)
        await world.until(121_000)
        twin.venue.faults.always("read_lag", 65_000)
        old = await twin.venue.order(SYMBOL, order.wire_id)
        assert (old.status, old.executed_quantity) == (VenueStatus.OPEN, ZERO)
        (listed,) = await twin.venue.open_orders()
        assert listed.executed_quantity == ZERO
        twin.venue.faults.clear()
        now = await twin.venue.order(SYMBOL, order.wire_id)
        assert (now.status, now.executed_quantity) == (VenueStatus.FILLED, Decimal(2))
        assert await twin.venue.open_orders() == []

    world.run(story())


def test_f7_stale_executed_lacks_the_newest_fill(world, plain):
    async def story():
        await world.until(1_000)
        book = plain.venue.peek_book(SYMBOL)
        order = world.order(book.asks[1].price, book.asks[0].quantity + book.asks[1].quantity)
        await plain.venue.place(order)
        plain.venue.faults.once("stale_executed")
        stale = await plain.venue.order(SYMBOL, order.wire_id)
        assert (stale.status, stale.executed_quantity) == (VenueStatus.OPEN, book.asks[0].quantity)
        fresh = await plain.venue.order(SYMBOL, order.wire_id)
        assert (fresh.status, fresh.executed_quantity) == (VenueStatus.FILLED, order.quantity)

    world.run(story())


def test_f10_late_fills_and_f6_duplicate_fills(world, plain):
    async def story():
        await world.until(1_000)
        order = await buy(world, plain)
        plain.venue.faults.always("late_fills", 8_000)
        await plain.venue.place(order)
        assert (await plain.venue.order(SYMBOL, order.wire_id)).executed_quantity == Decimal(1)
        page = await plain.venue.trades(SYMBOL, "", world.start_ms)
        assert (page.trades, page.cursor) == ((), "")
        await world.clock.sleep(8)
        plain.venue.faults.once("duplicate_fills")
        twice = await plain.venue.trades(SYMBOL, page.cursor, world.start_ms)
        assert len(twice.trades) == 2
        assert len({trade.venue_trade_id for trade in twice.trades}) == 1
        assert (await plain.venue.trades(SYMBOL, twice.cursor, world.start_ms)).trades == ()

    world.run(story())


def test_f24_balances_lag_behind_fills(world, plain):
    async def story():
        await world.until(1_000)
        before = await plain.venue.balances()
        await plain.venue.place(await buy(world, plain))
        after = await plain.venue.balances()
        assert after != before
        plain.venue.faults.always("balance_lag", 5_000)
        await world.clock.sleep(1)
        # Opening balances are younger than the lag too, so wait until they are visible.
        await world.clock.sleep(4.5)
        assert await plain.venue.balances() == after
        await plain.venue.place(await buy(world, plain))
        assert await plain.venue.balances() == after
        plain.venue.faults.clear()
        assert await plain.venue.balances() != after

    world.run(story())


@pytest.mark.parametrize("fault", ["read_lost", "http_502", "html_200", "empty_body", "null_body", "truncated_body"])
@pytest.mark.parametrize(
    "read",
    [
        lambda v: v.balances(), lambda v: v.order(SYMBOL, "a" * 32), lambda v: v.open_orders(),
        lambda v: v.recent_orders(SYMBOL, 0), lambda v: v.trades(SYMBOL, "", 0), lambda v: v.server_time_ms(),
        lambda v: v.instruments(), lambda v: v.book(SYMBOL),
    ],
    ids=["balances", "order", "open", "recent", "trades", "time", "instruments", "book"],
)  # fmt: skip
def test_a_missing_answer_is_never_an_empty_one(world, plain, fault, read):
    async def story():
        await world.until(1_000)
        plain.venue.faults.once(fault)
        if fault in ("html_200", "empty_body", "null_body", "truncated_body"):
            # These spoil what would have been a good answer.
            order = world.order("99.00", tif=GTC, wire_id="a" * 32)
            plain.venue.outside.place(order)
        with pytest.raises(RetryableVenueError):
            await read(plain.venue)
        await read(plain.venue)

    world.run(story())


def test_unmapped_status_is_no_end(world, plain):
    async def story():
        await world.until(1_000)
        order = await buy(world, plain)
        await plain.venue.place(order)
        plain.venue.faults.once("unmapped_status")
        assert (await plain.venue.order(SYMBOL, order.wire_id)).status is VenueStatus.UNMAPPED

    world.run(story())


def test_every_fault_has_a_test():
    text = Path(__file__).read_text()
    untested = [name for name in FAULTS if not re.search(rf'"{name}"', text)]
    assert untested == []


# Asking for faults ------------------------------------------------------------------------------------------


def test_chances_are_seeded_and_roughly_met():
    def hits(seed):
        faults = Faults(random.Random(seed), ["lost_ack:0.3"])
        return [bool(faults.draw("place")) for _ in range(400)]

    assert hits(1) == hits(1) != hits(2)
    assert 80 < sum(hits(1)) < 160


def test_a_fault_hits_only_its_own_operations():
    faults = Faults(random.Random(1))
    faults.once("cancel_lost")
    assert faults.draw("place") == {}
    assert faults.draw("cancel") == {"cancel_lost": 0.0}
    assert faults.draw("cancel") == {}


def test_texts_set_chance_and_argument():
    faults = Faults(random.Random(1), ["read_lag:1:2500", "late_fills"])
    assert faults.draw("trades") == {"read_lag": 2500.0, "late_fills": 1000.0}


@pytest.mark.parametrize(
    "text",
    ["lost_akc", "lost_ack:2", "lost_ack:x", "lost_ack:0.5:7", "read_lag:1:-5", "read_lag:1:2:3", "", "lost_ack:nan"],
)
def test_wrong_texts_are_refused_in_one_line(text):
    with pytest.raises(SettingsError) as caught:
        Faults(random.Random(1), [text])
    assert "\n" not in str(caught.value)
    if text == "lost_akc":
        assert "lost_ack" in str(caught.value)


def test_unknown_manners_are_refused(world):
    with pytest.raises(SettingsError, match="manners"):
        world.twin(world.rows(BTC_USDT=STEADY), manners="kraken")
