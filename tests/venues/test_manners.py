"""How the twin answers in each manner (reference orders.md 2.5, 2.8, 3.1), and what the bot reads of it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tradecore.model.order import CancelKind, NewOrder, PlacementKind, VenueStatus
from tradecore.model.units import ZERO, Side, TimeInForce, client_order_id
from tradecore.ports.feed import Feed
from tradecore.ports.venue import Venue
from tradecore.venues.classify import RawReply, classify_cancel, classify_place, read_order
from tradecore.venues.twin.manners import Manners
from tradecore.venues.twin.reads import view_of
from tradecore.venues.twin.records import OrderStatus, Rejected, Rejection, TwinOrder

SYMBOL = "BTC/USDT"
IOC, GTC, FOK = TimeInForce.IOC, TimeInForce.GTC, TimeInForce.FOK
STEADY = [(100.0, 100.02, 99.98, 100.0, 1_000.0)]
MANNERS = ("plain", "binance", "mexc")


def order_of(
    manners: Manners, tif: TimeInForce, status: OrderStatus, executed: str, *, post_only: bool = False
) -> TwinOrder:
    ended = None if status is OrderStatus.OPEN else 5
    return TwinOrder(
        7, manners.order_id(7), "a" * 32, SYMBOL, Side.BUY, tif, Decimal("100.10"), Decimal(2), post_only, False, 1, 2,
        status, Decimal(executed), Decimal(executed) * 100, ended,
    )  # fmt: skip


RAW_STATUS = [
    (GTC, OrderStatus.OPEN, "0", "NEW", "NEW"),
    (GTC, OrderStatus.OPEN, "1", "PARTIALLY_FILLED", "PARTIALLY_FILLED"),
    (GTC, OrderStatus.FILLED, "2", "FILLED", "FILLED"),
    (GTC, OrderStatus.CANCELED, "0", "CANCELED", "CANCELED"),
    (GTC, OrderStatus.CANCELED, "1", "CANCELED", "PARTIALLY_CANCELED"),
    (IOC, OrderStatus.EXPIRED, "0", "EXPIRED", "CANCELED"),
    (IOC, OrderStatus.EXPIRED, "1", "EXPIRED", "PARTIALLY_CANCELED"),
    (FOK, OrderStatus.EXPIRED, "0", "EXPIRED", "CANCELED"),
]


@pytest.mark.parametrize(("tif", "status", "executed", "binance", "mexc"), RAW_STATUS)
@pytest.mark.parametrize("name", MANNERS)
def test_raw_words_of_an_order_and_what_is_read_of_them(name, tif, status, executed, binance, mexc):
    manners = Manners(name)
    order = order_of(manners, tif, status, executed)
    answer = manners.order(view_of(order))
    raw = json.loads(answer.body)
    assert raw["status"] == (mexc if name == "mexc" else binance)
    assert raw["timeInForce"] == (None if name == "mexc" else str(tif))
    report = read_order(RawReply(True, answer.status, {}, answer.body), manners.rules, SYMBOL, "a" * 32)
    ends = {
        "CANCELED": VenueStatus.CANCELED,
        "PARTIALLY_CANCELED": VenueStatus.CANCELED,
        "EXPIRED": VenueStatus.EXPIRED,
    }
    if status is OrderStatus.OPEN:
        assert report.status is VenueStatus.OPEN
    elif status is OrderStatus.FILLED:
        assert report.status is VenueStatus.FILLED
    else:
        assert report.status is ends[raw["status"]]
    assert (report.executed_quantity, report.quantity, report.price) == (
        Decimal(executed),
        Decimal(2),
        Decimal("100.1"),
    )
    assert report.time_in_force is tif
    assert (report.side, report.symbol, report.venue_order_id) == (Side.BUY, SYMBOL, order.venue_order_id)


def test_mexc_says_nothing_but_the_id_and_binance_says_all():
    for name in MANNERS:
        manners = Manners(name)
        order = order_of(manners, IOC, OrderStatus.EXPIRED, "1")
        raw = json.loads(manners.placed(view_of(order)).body)
        told = {"status", "executedQty", "clientOrderId", "timeInForce", "fills"} & set(raw)
        assert told == (set() if name == "mexc" else {"status", "executedQty", "clientOrderId", "timeInForce", "fills"})
        canceled = json.loads(manners.canceled(view_of(order)).body)
        assert ("status" in canceled) == (name != "mexc")
        assert isinstance(raw["orderId"], int if name == "binance" else str)
    for name, tif, post_only, expected in (
        ("mexc", IOC, False, "IMMEDIATE_OR_CANCEL"),
        ("mexc", FOK, False, "FILL_OR_KILL"),
        ("binance", IOC, False, "LIMIT"),
        ("binance", GTC, True, "LIMIT_MAKER"),
    ):
        manners = Manners(name)
        view = view_of(order_of(manners, tif, OrderStatus.OPEN, "0", post_only=post_only))
        assert json.loads(manners.placed(view).body)["type"] == expected


REFUSED = [
    (Rejection.INSUFFICIENT_BASE, "-2010", "30005"),
    (Rejection.INSUFFICIENT_QUOTE, "-2010", "30004"),
    (Rejection.PRICE_OFF_TICK, "-1013", "30010"),
    (Rejection.QUANTITY_OFF_LOT, "-1013", "30002"),
    (Rejection.BELOW_MIN, "-1013", "30002"),
    (Rejection.BELOW_NOTIONAL, "-1013", "30002"),
    (Rejection.HALTED, "-2010", "30016"),
    (Rejection.UNKNOWN_SYMBOL, "-1121", "10007"),
    (Rejection.TOO_MANY_ORDERS, "-1013", "30029"),
    (Rejection.OUTSIDE_WINDOW, "-1021", "700003"),
    (Rejection.WOULD_TAKE, "-2010", "30041"),
]


@pytest.mark.parametrize(("rejection", "binance", "mexc"), REFUSED)
def test_r18_codes_of_each_venue_and_their_fate(rejection, binance, mexc):
    for name, code in (("plain", str(rejection)), ("binance", binance), ("mexc", mexc)):
        manners = Manners(name)
        answer = manners.rejected(Rejected(rejection))
        order = NewOrder("a" * 32, SYMBOL, Side.BUY, IOC, Decimal(1), Decimal(1))
        placement = classify_place(RawReply(True, answer.status, {}, answer.body), manners.rules, order)
        assert (placement.kind, placement.code) == (PlacementKind.REJECTED, code)
        rule = manners.rules.codes[code].narrowed(json.loads(answer.body)["msg"])
        assert placement.reason is rule.reason
        assert rule.text in placement.detail


@pytest.mark.parametrize("name", MANNERS)
def test_duplicates_and_missing_orders_in_each_manner(name):
    manners = Manners(name)
    order = NewOrder("a" * 32, SYMBOL, Side.BUY, IOC, Decimal(1), Decimal(1))
    twice = manners.rejected(Rejected(Rejection.DUPLICATE))
    assert classify_place(RawReply(True, 400, {}, twice.body), manners.rules, order).kind is PlacementKind.UNKNOWN
    gone = manners.rejected(Rejected(Rejection.UNKNOWN_ORDER), cancel=True)
    assert (
        classify_cancel(RawReply(True, 400, {}, gone.body), manners.rules, SYMBOL, "a" * 32).kind
        is CancelKind.NOT_FOUND
    )
    missing = manners.rejected(Rejected(Rejection.UNKNOWN_ORDER))
    assert read_order(RawReply(True, 400, {}, missing.body), manners.rules, SYMBOL, "a" * 32) is None
    if name != "plain":
        assert (json.loads(gone.body)["code"], json.loads(missing.body)["code"]) == (-2011, -2013)


@pytest.mark.parametrize("name", MANNERS)
def test_a_life_of_an_order_in_each_manner(world, name):
    twin = world.twin(world.rows(BTC_USDT=STEADY * 9), manners=name, latency_ms=40)
    venue: Venue = twin.venue
    feed: Feed = twin.feed

    async def story():
        await world.until(1_000)
        wire_id = venue.wire_id(client_order_id("a", "b", 1))
        assert venue.is_ours(wire_id)
        assert not venue.is_ours("web_123")
        book = await venue.book(SYMBOL)
        quantity = book.asks[0].quantity + book.asks[1].quantity + 1
        order = NewOrder(wire_id, SYMBOL, Side.BUY, IOC, book.asks[1].price, quantity)
        placed = await venue.place(order)
        assert placed.kind is PlacementKind.ACCEPTED
        assert placed.latency_ms == pytest.approx(40)
        assert placed.report.venue_order_id
        report = await venue.order(SYMBOL, wire_id)
        assert report.executed_quantity == quantity - 1
        page = await venue.trades(SYMBOL, "", 0)
        assert sum(trade.quantity for trade in page.trades) == quantity - 1
        assert sum(trade.quote_quantity for trade in page.trades) == report.executed_quote
        assert {trade.venue_order_id for trade in page.trades} == {placed.report.venue_order_id}
        assert len({trade.venue_trade_id for trade in page.trades}) == 2
        balances = await venue.balances()
        assert balances["BTC"].total == 10 + quantity - 1 - sum(t.fee for t in page.trades)
        resting = NewOrder("b" * 32, SYMBOL, Side.SELL, GTC, Decimal("105"), Decimal(1))
        await venue.place(resting)
        foreign = twin.venue.outside.place(NewOrder("web_1", SYMBOL, Side.SELL, GTC, Decimal("106"), Decimal(1), False))
        opened = await venue.open_orders(SYMBOL)
        assert [item.wire_id for item in opened] == ["b" * 32, "web_1"]
        assert len(await venue.recent_orders(SYMBOL, 0)) == 3
        assert (await venue.balances())["BTC"].locked == 2
        assert (await venue.cancel(SYMBOL, resting.wire_id, "")).kind is CancelKind.REQUESTED
        assert (await venue.order(SYMBOL, resting.wire_id)).status is VenueStatus.CANCELED
        assert foreign.foreign
        assert (await venue.balances())["BTC"].locked == 1
        assert (await venue.instruments())[SYMBOL].base == "BTC"
        assert await venue.server_time_ms() <= world.clock.now_ms()
        assert feed.book(SYMBOL) == twin.venue.peek_book(SYMBOL)
        assert venue.timing.receive_window_ms == 5_000
        await venue.close()
        await venue.close()

    world.run(story())


def test_r18_a_sale_of_more_than_is_held_is_30005_at_mexc(world):
    twin = world.twin(world.rows(BTC_USDT=STEADY * 9), manners="mexc", money={"BTC": "1", "USDT": "100"})

    async def story():
        await world.until(1_000)
        own_sell = world.order("105", "1", Side.SELL, GTC)
        await twin.venue.place(own_sell)
        placed = await twin.venue.place(world.order("90", "1", Side.SELL))
        assert (placed.kind, placed.code) == (PlacementKind.REJECTED, "30005")
        assert (await twin.venue.balances())["BTC"].free == ZERO

    world.run(story())
