"""gate_roundtrip: ways out worked out by hand, what always holds, and a session that buys nothing it cannot sell."""

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_gate_roundtrip.plugin import GateRoundtrip

from tradecore import Book, Instrument, Intent, Market, MarketFrame, Portfolio, Side, Signal, TimeInForce
from tradecore.model.book import Level
from tradecore.model.events import DecisionOutcome
from tradecore.model.instrument import refusal_of
from tradecore.model.portfolio import TradingState
from tradecore.testing.factories import ScriptedSource, allower, closing_at, instrument, router, sizer, wisher
from tradecore.testing.harness import Scene, play
from tradecore.testing.readme import assert_readme_settings

D = Decimal
NOW = 1_700_000_000_000
A = "A/USDT"


def guest(**values):
    return GateRoundtrip(GateRoundtrip.Settings.model_validate(values))


def filters(**parts):
    plain = Instrument(A, "A", "USDT", D("0.01"), D("0.01"), D("0.01"), D(0), D(5), D(10), D(10), "USDT")
    return plain._replace(**parts)


def book_of(*bids):
    return Book(A, NOW, tuple(Level(D(p), D(q)) for p, q in bids), (Level(D(12), D(9)),), "test")


def market_of(found=None, book=None):
    empty = {name: np.zeros((0, 0)) for name in ("open", "high", "low", "close", "volume")}
    frame = MarketFrame(60_000, np.zeros(0, dtype=np.int64), (), empty)
    return Market(frame, NOW, {A: book} if book else {}, {A: found} if found else {})


def intent_of(quantity="0.5", price="12", sells=False, stop=None):
    side = Side.SELL if sells else Side.BUY
    signal = Signal("s", "w", A, side, NOW, NOW + 60_000, D(price), NOW, 0.5, "r", 1.0, 1.0, "n")
    stop_price = None if stop is None else D(stop)
    return Intent(
        "i", signal, A, side, D(quantity), D(price), NOW, D(price), NOW, NOW + 60_000, "c", sells, "p", {}, stop_price
    )


def portfolio_of():
    money = D(1000)
    return Portfolio(
        NOW, "USDT", TradingState.ACTIVE, money, money, money, money, D(0), D(0), (), (), (), 0, 0, {}, {}, (), {}
    )


DEEP = book_of(("11.99", "100"))


def checks_of(made, found, intent=None, book=DEEP):
    verdict = made.risk_check(intent or intent_of(), portfolio_of(), market_of(found, book))
    return {check.limit: check for check in verdict.checks}


def hits(*arguments, **parts):
    return [name for name, check in checks_of(*arguments, **parts).items() if check.hit]


def test_settings_and_the_readme():
    assert GateRoundtrip.Settings().stop_pct == 2
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), GateRoundtrip.Settings)
    for values in ({"stop_pct": 100}, {"depth_multiples": 0}, {"remainder_pct_max": -1}, {"depth": 1}):
        with pytest.raises(ValidationError):
            guest(**values)


def test_hook_risk_check_r30_the_example_of_the_readme():
    base_fee = filters(fee_currency="A")
    checks = checks_of(guest(), base_fee)
    assert hits(guest(), base_fee) == []
    assert checks["sellable quantity"].value == D("0.49")
    assert checks["notional at the stop"][1:4] == (D("5.7624"), D("5.5"), "USDT")
    assert checks["left behind"].value == 2
    assert checks["bids within 50 bps"][1:4] == (D(100), D("0.49"), "A")
    assert hits(guest(stop_pct=7), base_fee) == ["notional at the stop"]


def test_r30_selling_must_be_enabled():
    assert hits(guest(), filters(can_sell=False)) == ["selling enabled"]


def test_r30_a_symbol_that_the_venue_does_not_have_is_refused():
    assert hits(guest(), None) == ["known to the venue"]


def test_r30_fee_and_lot_may_leave_little_behind():
    coarse = filters(lot_size=D("0.4"), fee_currency="A", min_notional_quote=D(1))
    assert hits(guest(), coarse, intent_of("0.8")) == ["left behind"]
    assert hits(guest(remainder_pct_max=50), coarse, intent_of("0.8")) == []
    assert hits(guest(remainder_pct_max=100), coarse, intent_of("0.4")) == ["sellable quantity", "notional at the stop"]
    assert hits(guest(), coarse._replace(fee_currency="BNB"), intent_of("0.8")) == []


def test_r30_the_sale_is_within_the_venues_sizes():
    assert hits(guest(), filters(min_quantity=D("0.6"))) == ["sellable quantity"]
    assert hits(guest(), filters(max_quantity=D("0.4"))) == ["largest order"]
    assert hits(guest(), filters(max_quantity=D("0.5"))) == []


def test_r30_the_stop_of_the_wisher_counts_before_the_setting():
    assert hits(guest(), filters(), intent_of(stop="11.01")) == []
    assert hits(guest(), filters(), intent_of(stop="10.999")) == ["notional at the stop"]
    assert checks_of(guest(), filters(), intent_of(stop="10.999"))["notional at the stop"].value == D("5.495")
    assert hits(guest(), filters(min_notional_quote=D(0)), intent_of(stop="0.001")) == ["notional at the stop"]


def test_r30_depth_within_the_slippage():
    thin = book_of(("11.99", "0.3"), ("11.94", "0.1"), ("11.93", "9"))
    checks = checks_of(guest(), filters(), book=thin)
    assert checks["bids within 50 bps"][1:3] == (D("0.4"), D("0.5"))
    assert hits(guest(), filters(), book=thin) == ["bids within 50 bps"]
    assert hits(guest(exit_slippage_bps=51), filters(), book=thin) == []
    assert hits(guest(depth_multiples="0.8"), filters(), book=thin) == []
    assert hits(guest(), filters(), book=book_of()) == ["bids within 50 bps"]
    assert hits(guest(), filters(), book=None) == ["bids within 50 bps"]


def test_exits_get_no_objection():
    verdict = guest().risk_check(intent_of(sells=True), portfolio_of(), market_of())
    assert verdict.checks == ()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_what_is_allowed_can_be_sold_at_its_stop(seed):
    """The core's own look at an order agrees, whatever the steps and fees are."""
    chance = random.Random(seed)
    found = filters(
        lot_size=D(chance.choice(["0.001", "0.01", "0.3", "7"])), tick_size=D(chance.choice(["0.0001", "0.01", "0.5"])),
        min_quantity=D(chance.choice(["0", "0.01", "2"])), max_quantity=D(chance.choice(["0", "5"])),
        min_notional_quote=D(chance.choice(["0", "5", "20"])), fee_currency=chance.choice(["A", "USDT", "BNB"]),
        taker_fee_bps=D(chance.choice(["0", "10", "75"])), can_sell=chance.random() < 0.9,
    )  # fmt: skip
    lots = chance.randint(1, 60)
    intent = intent_of(str(found.lot_size * lots), str(chance.choice(["0.7", "12", "30"])))
    verdict = guest(remainder_pct_max=100).risk_check(
        intent, portfolio_of(), market_of(found, book_of(("11.99", "1e6")))
    )
    if any(check.hit for check in verdict.checks):
        return
    sellable, stop = D(verdict.inputs["sellable"]), D(verdict.inputs["stop"])
    assert sellable <= intent.quantity
    assert refusal_of(found, Side.SELL, sellable, stop) is None


# Sessions ----------------------------------------------------------------------------------------------------------


def test_r30_a_session_buys_only_what_it_can_sell(tmp_path):
    """One symbol whose lot leaves the sale below the minimum at the stop, and one that can be sold."""
    market = ScriptedSource(
        {"BAD/USDT": closing_at(*(10,) * 8), "GOOD/USDT": closing_at(*(10,) * 8)},
        {
            "BAD/USDT": instrument("BAD/USDT", min_notional="9.9"),
            "GOOD/USDT": instrument("GOOD/USDT", min_notional="5"),
        },
    )
    guests = [
        wisher({2: ("BAD/USDT", "GOOD/USDT")}), sizer("1"), allower(), "gate_roundtrip",
        router((TimeInForce.IOC, "20", 2_000)),
    ]  # fmt: skip
    played = play(Scene(market, guests, ("market.between_closes=false",)), tmp_path / "state")
    assert [str(v) for v in played.violations()] == []
    assert {row.intent.symbol for row in played.records.intents} == {"GOOD/USDT"}
    (told,) = [e.event for e in played.notes(DecisionOutcome) if e.event.symbol == "BAD/USDT"]
    assert (told.outcome, told.decided_by, told.limit) == ("RISK_REFUSED", "gate_roundtrip", "notional at the stop")
