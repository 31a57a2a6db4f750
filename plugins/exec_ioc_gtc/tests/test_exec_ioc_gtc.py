"""exec_ioc_gtc: ladders worked out by hand, and what always holds of an order."""

import random
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_exec_ioc_gtc.plugin import ExecIocGtc

from tradecore import AttemptView, Book, Done, Intent, OrderRequest, Reason, Side, Signal, TimeInForce
from tradecore.engine.sending import clipped_price
from tradecore.model.book import Level
from tradecore.model.intent import Cap
from tradecore.model.order import AttemptState, Outcome
from tradecore.testing.readme import assert_readme_settings

D = Decimal
NOW = 1_000_000


def guest(**values):
    return ExecIocGtc(ExecIocGtc.Settings.model_validate(values))


def intent_of(quantity="10", price_cap="100.25", reduces=False, expires_ms=NOW + 60_000):
    side = Side.SELL if reduces else Side.BUY
    signal = Signal(
        "s1", "signals_drop", "A/USDT", side, NOW, expires_ms, D(100), NOW, 0.5, "drop", 0.97, 0.98, "ratio"
    )
    return Intent(
        "i1", signal, "A/USDT", side, D(quantity), D(100), NOW, D(price_cap), NOW, expires_ms, "", reduces, "p1"
    )


def book_of(bid="99.9", ask="100"):
    bids = (Level(D(bid), D(5)),) if bid else ()
    asks = (Level(D(ask), D(5)),) if ask else ()
    return Book("A/USDT", NOW, bids, asks, "twin")


def settled(request, filled="0", outcome=None, number=1):
    filled = D(filled)
    outcome = outcome or (Outcome.FILLED if filled == request.quantity else Outcome.EXPIRED)
    return AttemptView(
        number, AttemptState.SETTLED, outcome, request.label, request.time_in_force, request.price, request.quantity,
        filled, request.price if filled else None, "", "", NOW, NOW,
    )  # fmt: skip


def climb(asked, intent, books, fills=(), now_ms=NOW):
    """Ask until it is done; the fill of each order is the next of `fills`, then nothing."""
    attempts, answers = [], []
    for number in range(1, 50):
        book = books[min(number, len(books)) - 1]
        answer = asked.route_order(intent, book, tuple(attempts), now_ms)
        answers.append(answer)
        if not isinstance(answer, OrderRequest):
            return answers
        filled = fills[number - 1] if number <= len(fills) else "0"
        attempts.append(settled(answer, filled, number=number))
    raise AssertionError("expected an end of the ladder, was none after 49 orders")


def test_settings_have_the_defaults_of_the_specification():
    made = ExecIocGtc.Settings()
    assert [(s.time_in_force, s.premium_bps, s.attempts, s.ttl_ms) for s in made.steps] == [
        ("IOC", 10, 2, 2_000),
        ("IOC", 30, 2, 2_000),
        ("GTC", 50, 1, 30_000),
    ]
    assert (made.exit_premiums_bps, made.exit_attempts, made.exit_ttl_ms) == ((10, 30, 50), 4, 3_000)
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), ExecIocGtc.Settings)


@pytest.mark.parametrize(
    "values",
    [
        {"steps": []},
        {"steps": [{"time_in_force": "GTD", "premium_bps": 1}]},
        {"steps": [{"time_in_force": "IOC"}]},
        {"steps": [{"time_in_force": "IOC", "premium_bps": -1}]},
        {"steps": [{"time_in_force": "IOC", "premium_bps": 1, "attempts": 0}]},
        {"steps": [{"time_in_force": "IOC", "premium_bps": 1, "ttl_ms": 49}]},
        {"steps": [{"time_in_force": "IOC", "premium_bps": 1, "ttl": 49}]},
        {"cap_bps": 1001},
        {"exit_premiums_bps": []},
        {"exit_attempts": 0},
        {"exit_ttl_ms": 60_001},
        {"step": []},
    ],
)
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError) as caught:
        guest(**values)
    assert caught.value.errors()[0]["loc"][0] == next(iter(values))


def test_r7_a_step_above_the_cap_is_refused_with_both_numbers():
    with pytest.raises(ValidationError, match=r"premium_bps of step 3 at most cap_bps=40, was 50"):
        guest(cap_bps=40)
    with pytest.raises(ValidationError, match=r"step 1 at most cap_bps=50, was 50\.5"):
        guest(steps=[{"time_in_force": "GTC", "premium_bps": 50.5}])
    assert guest(steps=[{"time_in_force": "GTC", "premium_bps": 50}]).settings.cap_bps == 50


def test_ladders_that_cannot_be_told_apart_or_reach_below_zero_are_refused():
    step = {"time_in_force": "IOC", "premium_bps": 10}
    with pytest.raises(ValidationError, match="was a step twice"):
        guest(steps=[step, {**step, "ttl_ms": 500}])
    with pytest.raises(ValidationError, match="exit_premiums_bps of 0 to 1000, was -1"):
        guest(exit_premiums_bps=[10, -1])


def test_hook_route_order_r6_climbs_the_ladder_for_what_remains():
    answers = climb(guest(), intent_of(price_cap="101"), [book_of()], fills=["4", "0", "1.5"])
    assert answers[:5] == [
        OrderRequest(TimeInForce.IOC, D("100.1"), D(10), 2_000, "IOC 10 bps 1/2"),
        OrderRequest(TimeInForce.IOC, D("100.1"), D(6), 2_000, "IOC 10 bps 2/2"),
        OrderRequest(TimeInForce.IOC, D("100.3"), D(6), 2_000, "IOC 30 bps 1/2"),
        OrderRequest(TimeInForce.IOC, D("100.3"), D("4.5"), 2_000, "IOC 30 bps 2/2"),
        OrderRequest(TimeInForce.GTC, D("100.5"), D("4.5"), 30_000, "GTC 50 bps 1/1"),
    ]
    assert answers[5:] == [Done(Reason.LADDER_EXHAUSTED, "after 5 attempts")]


def test_r6_the_price_follows_the_newest_book_and_the_core_clips_it():
    """A step above the allowance is asked for as it is: the core clips it, and says by whose cap."""
    intent = intent_of(price_cap="100.25")
    answers = climb(guest(), intent, [book_of(), book_of(ask="100.2"), book_of(ask="100.25")])
    asked = [answer.price for answer in answers[:-1]]
    assert asked == [D("100.1"), D("100.3002"), *[D("100.55075")] * 2, D("100.75125")]
    caps = {"slippage_bps_max": Cap(D(25), "exec_dynamic")}
    clipped = [clipped_price(intent._replace(caps=caps), price, {}) for price in asked]
    assert clipped == [(D("100.1"), ""), *[(D("100.25"), "exec_dynamic")] * 4]


def test_r8_no_leave_to_take_goes_to_the_resting_step():
    shut = intent_of()._replace(caps={"taking_orders_max": Cap(D(0), "exec_dynamic")})
    assert guest().route_order(shut, book_of(), (), NOW).label == "GTC 50 bps 1/1"
    one = intent_of()._replace(caps={"taking_orders_max": Cap(D(1), "exec_dynamic")})
    first = guest().route_order(one, book_of(), (), NOW)
    assert first.label == "IOC 10 bps 1/2"
    assert guest().route_order(one, book_of(), (settled(first),), NOW).label == "GTC 50 bps 1/1"
    only_ioc = guest(steps=[{"time_in_force": "IOC", "premium_bps": 10, "attempts": 3}])
    end = Done(Reason.LADDER_EXHAUSTED, "no resting step, taking_orders_max=0 by exec_dynamic")
    assert only_ioc.route_order(shut, book_of(), (), NOW) == end


def test_r10_ends_say_what_happened():
    assert climb(guest(), intent_of(), [book_of()])[-1].reason is Reason.NO_LIQUIDITY
    assert climb(guest(), intent_of(), [book_of()], fills=["10"])[1] == Done(Reason.FILLED)
    steps = [{"time_in_force": "FOK", "premium_bps": 5}]
    first = guest(steps=steps).route_order(intent_of(), book_of(), (), NOW)
    assert first.ttl_ms == 5_000
    for outcome in (Outcome.REJECTED, Outcome.NOT_SENT, Outcome.NOT_PLACED):
        end = guest(steps=steps).route_order(intent_of(), book_of(), (settled(first, outcome=outcome),), NOW)
        assert end.reason is Reason.LADDER_EXHAUSTED


def test_r9_the_wait_fits_the_time_in_force():
    waits = {"IOC": 2_000, "FOK": 5_000, "GTC": 30_000}
    for time_in_force, wait_ms in waits.items():
        asked = guest(steps=[{"time_in_force": time_in_force, "premium_bps": 5}])
        assert asked.route_order(intent_of(), book_of(), (), NOW).ttl_ms == wait_ms


def test_r6_no_entry_outlives_its_intent():
    late = intent_of(expires_ms=NOW + 700)
    assert guest().route_order(late, book_of(), (), NOW).ttl_ms == 700
    assert guest().route_order(late, book_of(), (), NOW + 700) == Done(Reason.INTENT_EXPIRED, "late_ms=0")


def test_r7_an_ask_beyond_the_cap_leaves_only_a_resting_order():
    away = book_of(bid="100.3", ask="100.4")
    resting = guest().route_order(intent_of(), away, (), NOW)
    assert resting == OrderRequest(TimeInForce.GTC, D("100.902"), D(10), 30_000, "GTC 50 bps 1/1")
    # The market came back in the meantime: a rung once passed does not come again.
    after = guest().route_order(intent_of(), book_of(), (settled(resting, outcome=Outcome.CANCELED),), NOW)
    assert after == Done(Reason.NO_LIQUIDITY, "after 1 attempts")
    only_ioc = guest(steps=[{"time_in_force": "IOC", "premium_bps": 10, "attempts": 3}])
    assert only_ioc.route_order(intent_of(), away, (), NOW) == Done(Reason.PRICE_MOVED, "touch=100.4, cap=100.25")


def test_an_entry_without_a_book_or_without_asks_ends():
    assert guest().route_order(intent_of(), None, (), NOW).reason is Reason.NO_BOOK
    assert guest().route_order(intent_of(), book_of(ask=None), (), NOW).reason is Reason.NO_LIQUIDITY


def test_r10_an_exit_has_its_own_ladder():
    answers = climb(
        guest(), intent_of(price_cap="95", reduces=True), [book_of(bid="100", ask="100.1")], fills=["0", "3"]
    )
    assert answers == [
        OrderRequest(TimeInForce.IOC, D("99.9"), D(10), 3_000, "IOC 10 bps 1/1"),
        OrderRequest(TimeInForce.IOC, D("99.7"), D(10), 3_000, "IOC 30 bps 1/1"),
        OrderRequest(TimeInForce.IOC, D("99.5"), D(7), 3_000, "IOC 50 bps 1/2"),
        OrderRequest(TimeInForce.IOC, D("99.5"), D(7), 3_000, "IOC 50 bps 2/2"),
        Done(Reason.LADDER_EXHAUSTED, "after 4 attempts"),
    ]


def test_r10_an_exit_round_shorter_than_its_premiums_stops_in_time():
    asked = guest(exit_attempts=2)
    answers = climb(asked, intent_of(price_cap="95", reduces=True), [book_of(bid="100")])
    assert [answer.price for answer in answers[:-1]] == [D("99.9"), D("99.7")]
    assert answers[-1].reason is Reason.NO_LIQUIDITY


def test_r10_an_exit_is_never_held_up_here():
    sell = intent_of(price_cap="99.8", reduces=True, expires_ms=NOW - 1)
    # Past its expiry it still sells, clipped to the collar.
    assert guest().route_order(sell, book_of(), (), NOW).price == D("99.8001")
    assert guest().route_order(sell, book_of(bid="99.85"), (), NOW).price == D("99.8")
    # Nothing to sell to here: the core's own ladder takes over.
    for book in (None, book_of(bid=None), book_of(bid="99.7")):
        assert guest().route_order(sell, book, (), NOW) is None


def test_attempts_of_another_ladder_count_as_rungs():
    old = guest(steps=[{"time_in_force": "IOC", "premium_bps": 7, "attempts": 9}])
    request = old.route_order(intent_of(), book_of(), (), NOW)
    attempts = tuple(settled(request, number=number) for number in (1, 2, 3))
    assert guest().route_order(intent_of(), book_of(), attempts, NOW).label == "IOC 30 bps 2/2"


prices = st.decimals("0.00000100", "60000", places=8)


@given(
    bid=prices,
    spread=st.decimals("0", "0.02", places=4),
    cap_bps=st.integers(-100, 400),
    quantity=st.decimals("0.001", "1000", places=3),
    reduces=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=200, deadline=None)
def test_orders_never_exceed_the_cap_the_remainder_or_the_ladder(bid, spread, cap_bps, quantity, reduces, seed):
    chance = random.Random(seed)
    ask = bid * (1 + spread)
    cap = ask * (1 + D(cap_bps) / 10_000)
    intent = intent_of(str(quantity), str(cap), reduces)
    attempts, sent = [], D(0)
    for number in range(1, 12):
        book = book_of(str(bid * D(chance.randint(990, 1010)) / 1000), str(ask * D(chance.randint(1010, 1020)) / 1000))
        answer = guest().route_order(intent, book, tuple(attempts), NOW)
        assert answer == guest().route_order(intent, book, tuple(attempts), NOW)
        if not isinstance(answer, OrderRequest):
            break
        assert answer.quantity == quantity - sent
        clipped, _ = clipped_price(intent, answer.price, {})
        assert clipped >= cap if reduces else clipped <= cap
        assert answer.price >= cap if reduces else answer.price <= book.touch(Side.BUY) * D("1.005")
        assert answer.price > 0
        filled = answer.quantity if chance.random() < 0.2 else answer.quantity * D(chance.randint(0, 3)) / 4
        sent += filled
        attempts.append(settled(answer, str(filled), number=number))
    assert number <= 6
    assert not isinstance(answer, OrderRequest)
    assert (answer == Done(Reason.FILLED)) == (sent == quantity)
