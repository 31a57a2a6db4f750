"""The engine: what must hold for every order, and each kind of order by example."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradecore.model.order import CancelKind, PlacementKind, VenueStatus
from tradecore.model.reasons import Reason
from tradecore.model.units import ZERO, Side, TimeInForce, exact_sum, times
from tradecore.venues.twin.manners import Manners
from tradecore.venues.twin.records import Rejected, Rejection, Terms

SYMBOL = "BTC/USDT"
IOC, GTC, FOK = TimeInForce.IOC, TimeInForce.GTC, TimeInForce.FOK
STEADY = [(100.0, 100.02, 99.98, 100.0, 1_000.0)]

_ACT = st.one_of(
    st.tuples(
        st.just("place"),
        st.sampled_from([Side.BUY, Side.SELL]),
        st.sampled_from([IOC, IOC, GTC, GTC, FOK]),
        st.integers(-40, 40),
        st.sampled_from(["0.05", "0.3", "2", "25", "400"]),
        st.booleans(),
    ),
    st.tuples(st.just("wait"), st.integers(1, 400_000)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("foreign"), st.integers(-30, 30)),
    st.tuples(st.just("deposit"), st.integers(1, 500)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(_ACT, min_size=1, max_size=25),
    fee=st.sampled_from(["BTC", "USDT", "BNB"]),
    bps=st.tuples(st.sampled_from(["-1", "0", "10"]), st.sampled_from(["0", "7.5", "60"])),
    seed=st.integers(0, 500),
)
def test_r14_fills_balances_and_locks_always_agree(make_world, candles, filters, acts, fee, bps, seed):
    world = make_world()
    item = filters(SYMBOL)._replace(fee_currency=fee, maker_fee_bps=Decimal(bps[0]), taker_fee_bps=Decimal(bps[1]))
    rows = world.rows(BTC_USDT=candles(seed, 120, volume=40.0))
    twin = world.twin(rows, seed=seed, instruments={SYMBOL: item}, money={"USDT": "3000", "BTC": "30", "BNB": "0.02"})
    venue, engine = twin.venue, twin.venue.engine

    async def story():
        await world.until(1_000)
        sent = []
        for act in acts:
            if act[0] == "wait":
                await world.clock.sleep(act[1] / 1000)
            elif act[0] == "place":
                _, side, tif, ticks, quantity, post_only = act
                price = Decimal("100") + ticks * Decimal("0.05")
                order = world.order(price, quantity, side, tif, post_only=post_only and tif is GTC)
                before = len(venue.truth().trades())
                placed = await venue.place(order)
                if placed.kind is PlacementKind.ACCEPTED:
                    sent.append(order)
                    check_placed(order, placed.report, venue.truth().trades()[before:])
                else:
                    assert placed.kind is PlacementKind.REJECTED
            elif act[0] == "cancel" and sent:
                await venue.cancel(SYMBOL, sent[act[1] % len(sent)].wire_id, "")
            elif act[0] == "foreign":
                venue.outside.place(world.order(Decimal(100) + act[1], "0.1", Side.SELL, GTC))
            elif act[0] == "deposit":
                venue.outside.deposit("USDT", Decimal(act[1]))
            check(engine, venue)

    world.run(story())


def check_placed(order, report, trades):
    mine = [trade for trade in trades if trade.wire_id == order.wire_id]
    assert exact_sum(t.quantity for t in mine) == report.executed_quantity <= order.quantity
    assert exact_sum(t.quote for t in mine) == report.executed_quote
    for trade in mine:
        assert trade.price <= order.price if order.side is Side.BUY else trade.price >= order.price
    if order.time_in_force is not GTC:
        assert report.status in (VenueStatus.FILLED, VenueStatus.EXPIRED), "IOC and FOK leave nothing open"
    if order.time_in_force is FOK:
        assert report.executed_quantity in (ZERO, order.quantity), "FOK fills all or nothing"
    if order.post_only:
        assert report.executed_quantity == ZERO, "post-only never takes"


def check(engine, venue):
    truth = venue.truth()
    balances = {coin: held for coin, held in engine.balances.items() if held != (ZERO, ZERO)}
    told = {coin: held for coin, held in truth.balances().items() if held != (ZERO, ZERO)}
    assert told == balances, "the truth log's moves sum up to the balances"
    assert {c: h for c, h in engine.state.balances().items() if h != (ZERO, ZERO)} == balances
    put_in: dict[str, Decimal] = {}
    for event in truth.events():
        if event.kind in ("OPENED", "MOVED"):
            coin = event.facts["coin"]
            put_in[coin] = put_in.get(coin, ZERO) + Decimal(event.facts["amount"])
    for coin in {*balances, *put_in}:
        free, locked = balances.get(coin, (ZERO, ZERO))
        assert free >= 0
        assert locked >= 0
        assert free + locked == put_in.get(coin, ZERO) + truth.traded(coin), "money comes from trades and deposits only"
    locks: dict[str, Decimal] = {}
    for order in engine.open_orders.values():
        coin = "USDT" if order.side is Side.BUY else "BTC"
        locks[coin] = locks.get(coin, ZERO) + order.locked
        assert order.time_in_force is GTC
        assert ZERO <= order.executed < order.quantity
    for coin, (_, locked) in balances.items():
        assert locked == locks.get(coin, ZERO), "what is locked belongs to an open order"
    for order in truth.orders():
        assert order.executed <= order.quantity


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(looks=st.lists(st.integers(1, 900_000), max_size=12), seed=st.integers(0, 100))
def test_resting_orders_fill_the_same_however_often_somebody_looks(make_world, candles, looks, seed):
    async def story(world, twin, moments):
        await world.until(1_000)
        for ticks, side in ((-10, Side.BUY), (-11, Side.BUY), (10, Side.SELL), (14, Side.SELL)):
            await twin.venue.place(world.order(Decimal(100) + ticks * Decimal("0.01"), "40", side, GTC))
        for moment in sorted(moments):
            await world.until(1_000 + moment)
            await twin.venue.open_orders()
        await world.until(1_000_000)
        await twin.venue.open_orders()
        return [(trade.number, trade.traded_ms, trade.price, trade.quantity) for trade in twin.venue.truth().trades()]

    told = []
    for moments in (looks, []):
        world = make_world()
        rows = world.rows(BTC_USDT=candles(seed, 30, volume=100.0))
        told.append(
            world.run(story(world, world.twin(rows, seed=seed, money={"USDT": "20000", "BTC": "100"}), moments))
        )
    assert told[0] == told[1]
    assert [row[1] for row in told[0]] == sorted(row[1] for row in told[0])


@pytest.fixture
def steady(world):
    return world.twin(world.rows(BTC_USDT=STEADY * 30))


def test_r14_ioc_without_liquidity_in_reach_ends_unfilled(world, steady):
    async def story():
        await world.until(1_000)
        placed = await steady.venue.place(world.order("99.00"))
        assert (placed.report.status, placed.report.executed_quantity) == (VenueStatus.EXPIRED, ZERO)
        assert await steady.venue.open_orders() == []
        assert (await steady.venue.balances())["USDT"].locked == ZERO

    world.run(story())


@pytest.mark.parametrize("row", [(100.0, 101.0, 99.0, 100.0, 0.0), (float("nan"),) * 5])
def test_r14_ioc_in_a_market_where_nobody_trades_ends_unfilled(world, row):
    twin = world.twin(world.rows(BTC_USDT=[*STEADY, row, row]))

    async def story():
        await world.until(100_000)
        for side in Side:
            placed = await twin.venue.place(world.order("100.00", "0.5", side))
            assert (placed.report.status, placed.report.executed_quantity) == (VenueStatus.EXPIRED, ZERO)

    world.run(story())


def test_an_order_larger_than_the_book_fills_in_part_and_the_rest_is_gone_until_the_next_step(world, steady):
    async def story():
        await world.until(1_000)
        book = steady.venue.peek_book(SYMBOL)
        there = exact_sum(level.quantity for level in book.asks[:2])
        first = await steady.venue.place(world.order(book.asks[1].price, there + 1))
        assert (first.report.status, first.report.executed_quantity) == (VenueStatus.EXPIRED, there)
        assert steady.venue.peek_book(SYMBOL).asks == book.asks[2:]
        second = await steady.venue.place(world.order(book.asks[1].price, there))
        assert second.report.executed_quantity == ZERO
        await world.until(20_000)
        assert len(steady.venue.peek_book(SYMBOL).asks) == len(book.asks)

    world.run(story())


def test_part_of_a_level_stays_for_the_next_order(world, steady):
    async def story():
        await world.until(1_000)
        best = steady.venue.peek_book(SYMBOL).asks[0]
        await steady.venue.place(world.order(best.price, "0.25"))
        left = best.quantity - Decimal("0.25")
        assert steady.venue.peek_book(SYMBOL).asks[0] == (best.price, left)
        second = await steady.venue.place(world.order(best.price, best.quantity))
        assert second.report.executed_quantity == left

    world.run(story())


def test_an_order_placed_in_the_moment_of_a_step_does_not_meet_that_step_again(world):
    flat = (100.0, 100.0, 100.0, 100.0, 8_000.0)
    twin = world.twin(world.rows(BTC_USDT=[flat] * 3))

    async def story():
        before, after = twin.market.steps(SYMBOL, 0)[3:5]
        await world.clock.sleep_until_ms(before.at_ms)
        price = twin.venue.peek_book(SYMBOL).best_ask - Decimal("0.01")
        assert price >= 100, "the step's price would fill it"
        order = world.order(price, "1", tif=GTC)
        await twin.venue.place(order)
        await world.clock.sleep(0.001)
        assert (await twin.venue.order(SYMBOL, order.wire_id)).executed_quantity == ZERO
        await world.clock.sleep_until_ms(after.at_ms)
        assert (await twin.venue.order(SYMBOL, order.wire_id)).executed_quantity > ZERO

    world.run(story())


def test_fok_takes_all_or_nothing(world, steady):
    async def story():
        await world.until(1_000)
        book = steady.venue.peek_book(SYMBOL)
        there = exact_sum(level.quantity for level in book.asks[:3])
        limit = book.asks[2].price
        over = await steady.venue.place(world.order(limit, there + Decimal("0.001"), tif=FOK))
        assert (over.report.status, over.report.executed_quantity) == (VenueStatus.EXPIRED, ZERO)
        whole = await steady.venue.place(world.order(limit, there, tif=FOK))
        assert (whole.report.status, whole.report.executed_quantity) == (VenueStatus.FILLED, there)

    world.run(story())


def test_post_only_rests_or_is_refused(world, steady):
    async def story():
        await world.until(1_000)
        book = steady.venue.peek_book(SYMBOL)
        crossing = await steady.venue.place(world.order(book.best_ask, tif=GTC, post_only=True))
        assert (crossing.kind, crossing.reason) == (PlacementKind.REJECTED, Reason.PRICE_MOVED)
        resting = await steady.venue.place(world.order(book.best_bid, tif=GTC, post_only=True))
        assert resting.report.status is VenueStatus.OPEN
        odd = await steady.venue.place(world.order(book.best_bid, tif=IOC, post_only=True))
        assert odd.kind is PlacementKind.REJECTED

    world.run(story())


def test_a_resting_order_fills_at_its_limit_when_the_price_trades_through(world):
    fall = (100.0, 100.0, 95.0, 96.0, 5_000.0)
    twin = world.twin(world.rows(BTC_USDT=[*STEADY, fall, *STEADY]))

    async def story():
        await world.until(50_000)
        placed = await twin.venue.place(world.order("97.00", "2", tif=GTC))
        assert placed.report.status is VenueStatus.OPEN
        await world.until(130_000)
        report = await twin.venue.order(SYMBOL, placed.report.wire_id)
        assert (report.status, report.executed_quote) == (VenueStatus.FILLED, Decimal("194.00"))
        (trade,) = (await twin.venue.trades(SYMBOL, "", 0)).trades
        assert trade.is_maker
        # The fill carries the moment of the step, not of the look.
        assert world.start_ms + 60_000 < trade.traded_ms <= world.start_ms + 120_000
        step = twin.market.step(SYMBOL, trade.traded_ms)
        assert step.at_ms == trade.traded_ms
        assert step.price < 97

    world.run(story())


def test_a_touched_order_gets_a_seeded_share_of_the_queue(make_world):
    flat = (100.0, 100.0, 100.0, 100.0, 8.0)
    shares = set()
    for seed in range(6):
        world = make_world()
        twin = world.twin(world.rows(BTC_USDT=[flat] * 3), seed=seed)

        async def story(world=world, twin=twin):
            await world.until(1_000)
            placed = await twin.venue.place(world.order("100.00", "5", tif=GTC, side=Side.BUY, post_only=True))
            if placed.kind is not PlacementKind.ACCEPTED:
                return None
            await world.until(9_000)
            return (await twin.venue.order(SYMBOL, placed.report.wire_id)).executed_quantity

        got = world.run(story())
        if got is not None:
            assert ZERO <= got <= 1, "one of eight steps brings an eighth of the row's volume at most"
            shares.add(got)
    assert len(shares) > 1


def test_better_and_older_orders_fill_first(world):
    fall = (100.0, 100.0, 99.4, 99.45, 16.0)
    twin = world.twin(world.rows(BTC_USDT=[*STEADY, fall, *STEADY]))

    async def story():
        await world.until(50_000)
        orders = [world.order(price, "30", tif=GTC) for price in ("99.50", "99.60", "99.50")]
        for order in orders:
            await twin.venue.place(order)
        await world.until(121_000)
        await twin.venue.open_orders()
        done = {t.wire_id: t.number for t in reversed(twin.venue.truth().trades())}
        worse_old, better, worse_new = (done.get(order.wire_id) for order in orders)
        assert better is not None
        assert worse_old is None or better < worse_old
        assert worse_new is None or (worse_old is not None and worse_old < worse_new)

    world.run(story())


@pytest.mark.parametrize(
    ("changes", "quantity", "price", "reason"),
    [
        ({}, "0.0005", "100", Reason.QUANTITY_BELOW_MIN),
        ({}, "1.0005", "100", Reason.QUANTITY_OFF_LOT),
        ({}, "1", "100.005", Reason.PRICE_OFF_TICK),
        ({}, "0.001", "100", Reason.NOTIONAL_BELOW_MIN),
        ({"max_quantity": Decimal(2)}, "3", "100", Reason.QUANTITY_ABOVE_MAX),
        ({"can_buy": False}, "1", "100", Reason.SYMBOL_HALTED),
        ({}, "1000", "100", Reason.INSUFFICIENT_FUNDS),
    ],
)
def test_r18_filters_refuse_with_a_code(world, steady, filters, changes, quantity, price, reason):
    async def story():
        await world.until(1_000)
        steady.venue.outside.change(filters(SYMBOL)._replace(**changes))
        placed = await steady.venue.place(world.order(price, quantity))
        assert (placed.kind, placed.reason) == (PlacementKind.REJECTED, reason)
        assert len(steady.venue.truth().rejections()) == 1
        assert steady.venue.truth().orders() == []

    world.run(story())


def test_f47_locks_keep_the_last_funds_from_being_spent_twice(world, steady):
    async def story():
        await world.until(1_000)
        fates = [(await steady.venue.place(world.order("99.00", "60", tif=GTC))).kind for _ in range(3)]
        assert fates == [PlacementKind.ACCEPTED, PlacementKind.REJECTED, PlacementKind.REJECTED]
        (locked,) = [b.locked for c, b in (await steady.venue.balances()).items() if c == "USDT"]
        assert locked == Decimal("5940")

    world.run(story())


def test_a_client_id_is_unique_among_open_orders_only(world, steady):
    async def story():
        await world.until(1_000)
        resting = world.order("99.00", tif=GTC)
        assert (await steady.venue.place(resting)).kind is PlacementKind.ACCEPTED
        assert (await steady.venue.place(resting)).kind is PlacementKind.UNKNOWN
        assert (await steady.venue.cancel(SYMBOL, resting.wire_id, "")).kind is CancelKind.REQUESTED
        assert (await steady.venue.cancel(SYMBOL, resting.wire_id, "")).kind is CancelKind.NOT_FOUND
        assert (await steady.venue.place(resting)).kind is PlacementKind.ACCEPTED
        assert len(steady.venue.truth().orders()) == 2

    world.run(story())


def test_open_orders_have_a_limit_of_number(world):
    twin = world.twin(world.rows(BTC_USDT=STEADY * 3), terms=Terms(max_open_orders=2))

    async def story():
        await world.until(1_000)
        fates = [(await twin.venue.place(world.order("99.00", tif=GTC))).kind for _ in range(3)]
        assert fates == [PlacementKind.ACCEPTED, PlacementKind.ACCEPTED, PlacementKind.REJECTED]

    world.run(story())


@pytest.mark.parametrize(
    ("fee_coin", "buy_fee", "sell_fee"),
    [
        ("BTC", ("0.001", "BTC"), ("q", "USDT")),
        ("USDT", ("q", "USDT"), ("q", "USDT")),
        ("BNB", ("t", "BNB"), ("t", "BNB")),
    ],
)
def test_f25_fees_in_base_quote_or_a_third_coin(world, filters, fee_coin, buy_fee, sell_fee):
    item = filters(SYMBOL, fee=fee_coin)
    money = {"USDT": "1000", "BTC": "1", "BNB": "1"}
    twin = world.twin(world.rows(BTC_USDT=STEADY * 3), instruments={SYMBOL: item}, money=money)

    async def story():
        await world.until(1_000)
        for side, (kind, coin) in ((Side.BUY, buy_fee), (Side.SELL, sell_fee)):
            book = twin.venue.peek_book(SYMBOL)
            await twin.venue.place(world.order(book.touch(side), "1", side))
            trade = twin.venue.truth().trades()[-1]
            in_quote = times(trade.quote, Decimal("0.001"))
            expected = {"q": in_quote, "t": (in_quote / 600).quantize(Decimal("1E-8"), "ROUND_DOWN")}
            assert (trade.fee, trade.fee_coin) == (expected.get(kind) or Decimal(kind), coin)

    world.run(story())


def test_f25_a_third_coin_that_runs_out_leaves_the_fee_in_the_coin_received(world, filters):
    item = filters(SYMBOL, fee="BNB")
    twin = world.twin(world.rows(BTC_USDT=STEADY * 3), instruments={SYMBOL: item}, money={"USDT": "1000"})

    async def story():
        await world.until(1_000)
        await twin.venue.place(world.order(twin.venue.peek_book(SYMBOL).best_ask, "1"))
        assert twin.venue.truth().trades()[-1].fee_coin == "BTC"

    world.run(story())


def test_f26_a_buy_with_its_fee_in_base_leaves_less_than_was_filled(world, filters):
    twin = world.twin(world.rows(BTC_USDT=STEADY * 3), money={"USDT": "1000"})

    async def story():
        await world.until(1_000)
        await twin.venue.place(world.order(twin.venue.peek_book(SYMBOL).best_ask, "1"))
        free = (await twin.venue.balances())["BTC"].free
        assert free == Decimal("0.999")
        sold = await twin.venue.place(world.order("90", "1", Side.SELL))
        assert (sold.kind, sold.reason) == (PlacementKind.REJECTED, Reason.INSUFFICIENT_FUNDS)

    world.run(story())


def test_f48_withdrawals_never_take_what_is_locked(world, steady):
    async def story():
        await world.until(1_000)
        await steady.venue.place(world.order("99.00", "100", tif=GTC))
        with pytest.raises(ValueError, match="free"):
            steady.venue.outside.withdraw("USDT", Decimal(101))
        steady.venue.outside.withdraw("USDT", Decimal(100))
        assert (await steady.venue.balances())["USDT"].free == ZERO

    world.run(story())


def test_f22_a_halted_symbol_takes_no_order_and_cancels_still_pass(world, steady):
    async def story():
        await world.until(1_000)
        resting = await steady.venue.place(world.order("99.00", tif=GTC))
        steady.venue.outside.halt(SYMBOL)
        assert not (await steady.venue.instruments())[SYMBOL].can_buy
        assert (await steady.venue.place(world.order("100"))).reason is Reason.SYMBOL_HALTED
        answer = await steady.venue.cancel(SYMBOL, resting.report.wire_id, resting.report.venue_order_id)
        assert answer.kind is CancelKind.REQUESTED

    world.run(story())


def test_every_rejection_of_the_engine_has_words_in_every_manner():
    for name in ("plain", "binance", "mexc"):
        for rejection in Rejection:
            assert Manners(name).rejected(Rejected(rejection)).status == 400
