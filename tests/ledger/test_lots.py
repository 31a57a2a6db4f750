"""R45: lots follow from fills and postings alone, whatever the order of delivery, and every digit is accounted for."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tradecore.engine.ledger import external_postings, imbalance, reversed_postings, trade_postings, transfer
from tradecore.engine.lots import gains, history, lots_of
from tradecore.engine.portfolio import close_position, open_position, with_fill
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.intent import Intent
from tradecore.model.lot import Why
from tradecore.model.position import Position, PositionState
from tradecore.model.reasons import Reason
from tradecore.model.records import PostingKind
from tradecore.model.signal import Signal
from tradecore.model.units import ZERO, PositionId, Side, exact_sum, minus, plus, times

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def trade(n, side=BUY, quantity="1", price="100", fee="0", coin="USDT", symbol="AAA/USDT", at_ms=None):
    q, p = D(quantity), D(price)
    return VenueTrade(f"t{n}", "o1", "", symbol, side, p, q, times(q, p), D(fee), coin, False, at_ms or 1_000 * n)


def fill(one, position="P"):
    return Fill("demo", one, "c1", "i1", position, one.traded_ms + 5)


def book_of(fills, postings=(), positions=(), money="USDT"):
    return lots_of(history(fills, postings), positions, money)


def test_r45_first_in_is_first_out():
    book = book_of([
        fill(trade(1, quantity="1", price="100")), fill(trade(2, quantity="2", price="110")),
        fill(trade(3, SELL, quantity="1.5", price="120")),
    ])  # fmt: skip
    assert [(part.quantity, part.cost, part.proceeds, part.gain) for part in book.taken] == [
        (1, 100, 120, 20), (D("0.5"), 55, 60, 5),
    ]  # fmt: skip
    (left,) = book.lots("AAA")
    assert (left.quantity, left.cost) == (D("1.5"), 165)


def test_r45_a_fee_in_base_makes_the_lot_smaller_and_not_cheaper():
    fills = [fill(trade(1, fee="0.001", coin="AAA")), fill(trade(2, SELL, quantity="0.999", price="101"))]
    book = book_of(fills)
    assert book.held("AAA") == 0
    gain = gains(book, fills)["P"]
    assert (gain.proceeds, gain.cost, gain.fees) == (D("100.899"), 100, 0)
    assert gain.gain == D("0.899")


def test_r45_a_fee_in_a_third_coin_takes_that_coins_lots():
    opening = transfer("opening/demo/BNB", "BNB", D(5), PostingKind.OPENING, 0)
    bought = fill(trade(1, symbol="BNB/USDT", quantity="2", price="300"), position="Q")
    book = book_of([bought, fill(trade(2, fee="0.1", coin="BNB"))], opening)
    assert [(lot.owner, lot.quantity) for lot in book.lots("BNB")] == [("", D("4.9")), ("Q", 2)]
    assert [(part.coin, part.why, part.cost) for part in book.taken] == [("BNB", Why.FEE, None)]


def test_r45_a_rebate_is_a_lot_that_cost_nothing():
    fills = [fill(trade(1, fee="-0.01", coin="AAA")), fill(trade(2, SELL, quantity="1.01", price="100"))]
    book = book_of(fills)
    assert gains(book, fills)["P"].gain == 1
    assert not book.lots()


def test_r45_r28_what_a_position_leaves_is_a_dust_lot_of_the_account():
    fills = [fill(trade(1, fee="0.0005", coin="AAA")), fill(trade(2, SELL, quantity="0.999"))]
    ended = close_position(position_of(fills), 9_000, Reason.TAKE_PROFIT)
    book = book_of(fills, (), [ended])
    (left,) = book.lots("AAA")
    assert left.quantity == ended.dust_quantity == D("0.0005")
    assert book.is_dust(left.owner)
    # a later sale of nobody's coins takes it before the lots of an open position
    later = [fill(trade(10, price="90"), "Q"), fill(trade(11, SELL, quantity="0.0005"), None)]
    assert [lot.owner for lot in book_of([*fills, *later], (), [ended]).lots("AAA")] == ["Q"]


def test_r45_a_sale_by_hand_takes_the_accounts_coins_before_a_positions():
    opening = transfer("opening/demo/AAA", "AAA", D(2), PostingKind.OPENING, 0)
    theirs = external_postings("demo", trade(5, SELL, quantity="2.5"))
    book = book_of([fill(trade(1))], [*opening, *theirs])
    (left,) = book.lots("AAA")
    assert (left.owner, left.quantity) == ("P", D("0.5"))
    assert {part.why for part in book.taken} == {Why.EXTERNAL}


def test_r45_coins_that_nobody_adopted_are_short_and_not_negative_lots():
    theirs = external_postings("demo", trade(5, SELL, quantity="2"))
    book = book_of([], theirs)
    assert (book.short, book.held("AAA"), book.lots()) == ({"AAA": 2}, -2, [])


def test_r45_a_purchase_by_hand_has_its_cost():
    (lot,) = book_of([], external_postings("demo", trade(5, quantity="3", price="7"))).lots("AAA")
    assert (lot.cost, lot.cost_currency, lot.owner) == (21, "USDT", "")


def test_r45_an_external_entry_that_was_taken_back_is_none():
    legs = external_postings("demo", trade(5, quantity="3"))
    back = reversed_postings(legs, 9_000)
    assert imbalance([*legs, *back]) == {}
    assert exact_sum(leg.amount for leg in (*legs, *back) if leg.account == "assets") == 0
    assert not book_of([], [*legs, *back]).lots()


def test_r45_a_coin_that_pays_leaves_its_lots():
    fills = [
        fill(trade(1, symbol="BTC/USDT", quantity="1", price="30000"), None),
        fill(trade(2, symbol="ETH/BTC", quantity="10", price="0.05", fee="0.0005", coin="BTC")),
        fill(trade(3, SELL, symbol="ETH/BTC", quantity="10", price="0.06", fee="0.0006", coin="BTC")),
    ]
    book = book_of(fills)
    assert book.held("BTC") == 1 - D("0.5005") + D("0.5994")
    assert gains(book, fills)["P"].gain == D("0.1") - D("0.0011")
    assert [lot.cost for lot in book.lots("BTC")] == [times(D("0.4995"), D(30000)), None]


# Properties ------------------------------------------------------------------------------------------------------

SIGNAL = Signal("s", "p", "AAA/USDT", BUY, 0, 10**15, D(100), 0, 0.1, "r", 0.1, 0.0, "ratio")
INTENT = Intent("i1", SIGNAL, "AAA/USDT", BUY, D(1), D(100), 0, D(101), 0, 10**15, "x", False, "P", {}, None)


def position_of(fills) -> Position:
    """What the engine makes of these fills, in this order."""
    first, *rest = [f.trade for f in fills]
    position = open_position(INTENT, first, lambda *_: None)
    for one in rest:
        position = with_fill(position, one, lambda *_: None, first_of_intent=False)
    return position


amounts = st.decimals("0.001", "50", places=3)
prices = st.decimals("0.01", "500", places=2)
rates = st.sampled_from(["0", "0.001", "0.00075", "-0.0002"])


@st.composite
def runs(draw):
    """Purchases and sales of one position that never sell more than is there; fees anywhere, rebates too."""
    made, held = [], ZERO
    for n in range(1, draw(st.integers(1, 12)) + 1):
        sells = bool(held) and draw(st.booleans())
        quantity = draw(amounts)
        if sells:
            quantity = held if draw(st.booleans()) else min(quantity, held)
        price, rate, coin = draw(prices), D(draw(rates)), draw(st.sampled_from(["AAA", "USDT", "BNB"]))
        if coin == "AAA" and sells:
            coin = "USDT"  # no venue takes it out of what is sold
        fee = times(quantity if coin == "AAA" else times(quantity, price), rate)
        if coin == "BNB":
            fee = times(fee, D("0.003"))
        made.append(fill(trade(n, SELL if sells else BUY, str(quantity), str(price), str(fee), coin)))
        held = minus(held, quantity) if sells else plus(held, quantity)
        if coin == "AAA":
            held = minus(held, fee)
    return made


@given(runs(), st.randoms(use_true_random=False), st.booleans())
def test_r45_any_delivery_gives_the_same_ledger(fills, random, closed):
    """Duplicates and another order of delivery: the same balances, the same lots; each coin sums to zero."""
    opening = transfer("opening/demo/BNB", "BNB", D(10_000), PostingKind.OPENING, 0)
    delivered = [*fills, *random.sample(fills, random.randint(0, len(fills)))]
    random.shuffle(delivered)
    kept: dict[object, Fill] = {}
    for one in delivered:
        kept.setdefault((one.account, one.trade.symbol, one.trade.venue_trade_id), one)
    legs = [leg for one in kept.values() for leg in trade_postings(one)]
    assert imbalance(legs) == {}
    positions = [close_position(position_of(fills), 10**9, Reason.LEAVE)] if closed else []
    one, other = book_of(fills, opening, positions), book_of(kept.values(), [*legs, *opening], positions)
    assert (one.lots(), one.taken, one.short) == (other.lots(), other.taken, other.short)
    for coin in ("AAA", "BNB"):
        booked = exact_sum(leg.amount for leg in (*legs, *opening) if (leg.account, leg.currency) == ("assets", coin))
        assert one.held(coin) == booked


@given(runs())
def test_r45_lots_are_the_position_and_its_dust(fills):
    position = position_of(fills)
    opening = transfer("opening/demo/BNB", "BNB", D(10_000), PostingKind.OPENING, 0)
    book = book_of(fills, opening)
    assert exact_sum(lot.quantity for lot in book.lots("AAA")) == position.quantity
    ended = close_position(position, 10**9, Reason.LEAVE)
    dust = book_of(fills, opening, [ended])
    assert exact_sum(lot.quantity for lot in dust.lots("AAA") if dust.is_dust(lot.owner)) == ended.dust_quantity
    assert all(lot.quantity > 0 for lot in book.lots())


@given(runs())
def test_r45_realised_is_proceeds_less_cost_less_fees_exactly(fills):
    """No digit is lost on the way through the lots: what was paid is sold, or still there."""
    book = book_of(fills, transfer("opening/demo/BNB", "BNB", D(10_000), PostingKind.OPENING, 0))
    gain = gains(book, fills)["P"]
    trades = [f.trade for f in fills]
    proceeds = exact_sum(t.quote_quantity for t in trades if t.side is SELL)
    paid = exact_sum(t.quote_quantity for t in trades if t.side is BUY)
    left = exact_sum(lot.cost for lot in book.lots("AAA"))
    assert (gain.proceeds, gain.cost, gain.unpriced) == (proceeds, minus(paid, left), 0)
    assert gain.fees == exact_sum(t.fee for t in trades if t.fee_currency == "USDT")
    assert gain.gain == minus(minus(minus(proceeds, paid), gain.fees), left.copy_negate())


@given(runs())
def test_r45_a_position_that_is_sold_whole_realises_what_its_sums_say(fills):
    """FIFO and the sums of the position agree to the last digit once nothing is left."""
    position = position_of(fills)
    book = book_of(fills, transfer("opening/demo/BNB", "BNB", D(10_000), PostingKind.OPENING, 0))
    if position.quantity:
        rest = fill(trade(99, SELL, str(position.quantity), "77.77"))
        fills = [*fills, rest]
        position = position_of(fills)
        book = book_of(fills, transfer("opening/demo/BNB", "BNB", D(10_000), PostingKind.OPENING, 0))
    assert gains(book, fills)["P"].gain == minus(
        minus(position.sold_quote, position.bought_quote), exact_sum(
            f.trade.fee for f in fills if f.trade.fee_currency == "USDT"
        )
    )  # fmt: skip


# Dust that a later position takes along --------------------------------------------------------------------------


def led(name, opened_ms, *, taken=None, closed_ms=None, **parts):
    state = PositionState.CLOSED if closed_ms is not None else PositionState.OPEN
    return Position(
        PositionId(name), "AAA/USDT", "g", "", ZERO, D(100), opened_ms, 1, D(100), D(100), state=state,
        closed_ms=closed_ms, taken={PositionId(n): D(q) for n, q in (taken or {}).items()},
    )._replace(**parts)  # fmt: skip


def test_r50_dust_goes_along_with_its_moment_and_its_cost():
    # P leaves 0.01 that had cost 1; Q takes it along and sells it before its own
    fills = [
        fill(trade(1, price="100")), fill(trade(2, SELL, quantity="0.99", price="110")),
        fill(trade(4, price="200"), "Q"), fill(trade(5, SELL, quantity="0.5", price="210"), "Q"),
    ]  # fmt: skip
    positions = [led("P", 1_000, closed_ms=2_500), led("Q", 4_000, taken={"P": "0.01"})]
    book = book_of(fills, positions=positions)
    assert [(part.owner, part.quantity, part.cost) for part in book.taken[1:]] == [
        ("Q", D("0.01"), 1), ("Q", D("0.49"), 98),
    ]  # fmt: skip
    assert [(m.owner, m.quantity, m.position_id) for m in book.moved] == [("P", D("0.01"), "Q")]
    assert [(lot.owner, lot.quantity) for lot in book.lots("AAA")] == [("Q", D("0.51"))]
    assert gains(book, fills)["Q"].gain == D("0.5") * 210 - 1 - 98
    assert book.held("AAA") == D("0.51")


def test_r50_what_was_sold_by_hand_meanwhile_comes_out_of_what_belongs_to_nobody():
    came = transfer("deposit/1", "AAA", D(1), PostingKind.DEPOSIT, 3_500)
    by_hand = external_postings("demo", trade(3, SELL, quantity="0.01", price="90"))
    fills = [fill(trade(1)), fill(trade(2, SELL, quantity="0.99")), fill(trade(4), "Q")]
    positions = [led("P", 1_000, closed_ms=2_500), led("Q", 4_000, taken={"P": "0.01"})]
    book = book_of(fills, [*by_hand, *came], positions)
    assert [(m.owner, m.quantity) for m in book.moved] == [("", D("0.01"))]
    assert book.held("AAA") == D("1.99") + D("0.01")
    assert exact_sum(lot.quantity for lot in book.lots("AAA") if lot.owner == "Q") == D("1.01")


def test_r50_a_sale_that_the_venues_clock_puts_before_the_taking_finds_the_dust_all_the_same():
    # the position of dust opened at 5,000 by our clock; the venue says that it sold at 4,990
    fills = [
        fill(trade(1)),
        fill(trade(2, SELL, quantity="0.9")),
        fill(trade(5, SELL, quantity="0.1", at_ms=4_990), "Q"),
    ]
    opening = transfer("opening/AAA", "AAA", D(7), PostingKind.OPENING, 0)
    positions = [led("P", 1_000, closed_ms=2_500), led("Q", 5_000, taken={"P": "0.1"})]
    book = book_of(fills, opening, positions)
    (sold,) = [part for part in book.taken if part.position_id == "Q"]
    assert (sold.owner, sold.cost) == ("Q", 10)
    assert [(lot.owner, lot.quantity) for lot in book.lots("AAA")] == [("", 7)]


@given(parts=st.lists(st.integers(1, 60), min_size=1, max_size=6))
def test_r50_taking_along_keeps_every_unit_and_every_cost(parts):
    """A chain of positions, each with the dust of the one before: quantities and costs add up to what was bought."""
    fills, positions, left, at_ms = [], [], 0, 0
    for n, dust in enumerate(parts):
        at_ms += 10_000
        fills.append(fill(trade(at_ms, price=f"{100 + n}.37", at_ms=at_ms), f"P{n}"))
        taken = {f"P{n - 1}": D(left) / 1000} if left else None
        going = 1000 + left - dust
        fills.append(fill(trade(at_ms + 1, SELL, quantity=str(D(going) / 1000), at_ms=at_ms + 1_000), f"P{n}"))
        positions.append(led(f"P{n}", at_ms, taken=taken, closed_ms=at_ms + 2_000))
        left = dust
    book = book_of(fills, positions=positions)
    assert book.held("AAA") == D(left) / 1000
    assert {lot.owner for lot in book.lots("AAA")} == {f"P{len(parts) - 1}"}
    bought = exact_sum(f.trade.quote_quantity for f in fills if f.trade.side is BUY)
    assert exact_sum(p.cost for p in book.taken) + exact_sum(lot.cost for lot in book.lots("AAA")) == bought
    assert not book.short
