"""exec_dynamic: allowances worked out by hand, what always holds, and a session in which the router obeys."""

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_exec_dynamic.plugin import ExecDynamic

from tradecore import Book, Intent, Market, MarketFrame, Portfolio, Side, Signal, TimeInForce
from tradecore.model.book import Level
from tradecore.model.events import DynamicConstraints
from tradecore.model.portfolio import FillRate, TradingState
from tradecore.model.units import add_bps
from tradecore.testing.factories import ScriptedSource, allower, closing_at, sizer, wisher
from tradecore.testing.harness import Scene, play
from tradecore.testing.readme import assert_readme_settings

D = Decimal
NOW = 1_700_000_000_000
MINUTE = 60_000
A = "A/USDT"


def guest(**values):
    quick = {"atr_length": 2, "atr_warm_rows": 2}
    return ExecDynamic(ExecDynamic.Settings.model_validate(quick | values))


def book_of(spread_bps="4", quantity="1000", bid="100"):
    ask = add_bps(D(bid), D(spread_bps))
    return Book(A, NOW, (Level(D(bid), D(quantity)),), (Level(ask, D(quantity)),), "test")


def market_of(book=None, ranges=(0, 0, 0), close=100.0):
    """Rows whose true range is `ranges`, around one close."""
    half = np.array(ranges, dtype=float)[:, None] / 2
    flat = np.full_like(half, close)
    columns = {"open": flat, "close": flat, "high": flat + half, "low": flat - half, "volume": flat}
    times = NOW + MINUTE * np.arange(len(ranges))
    books = {} if book is None else {A: book}
    return Market(MarketFrame(MINUTE, times, (A,), columns), NOW, books)


def intent_of(quantity="10", price="100", sells=False):
    side = Side.SELL if sells else Side.BUY
    signal = Signal("s", "w", A, side, NOW, NOW + MINUTE, D(price), NOW, 0.5, "r", 1.0, 1.0, "n")
    return Intent("i", signal, A, side, D(quantity), D(price), NOW, D(price) * 2, NOW, NOW + MINUTE, "c", sells, "p")


def portfolio_of(rates=None):
    money = D(1000)
    return Portfolio(
        NOW, "USDT", TradingState.ACTIVE, money, money, money, money, D(0), D(0), (), (), (), 0, 0, {}, rates or {},
        (), {},
    )  # fmt: skip


def verdict_of(made, market, intent=None, rates=None):
    return made.risk_check(intent or intent_of(), portfolio_of(rates), market)


def test_settings_and_the_readme():
    made = ExecDynamic.Settings()
    assert [(band.spread_above_bps, band.slippage_bps) for band in made.table] == [(50, 30), (20, 20), (0, 15)]
    assert ExecDynamic(made).warmup == {"base": "100r"}
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), ExecDynamic.Settings)


ROW = {"slippage_bps": 10, "spread_limit_bps": 20}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"table": []}, "at least 1"),
        ({"table": [{"spread_above_bps": 5, **ROW}]}, "the last at 0, was 5"),
        ({"table": [{"spread_above_bps": 0, **ROW}, {"spread_above_bps": 9, **ROW}]}, "was 0, 9"),
        ({"table": [{"spread_above_bps": 0, **ROW, "prefer": "FOK"}]}, "IOC"),
        ({"atr_length": 14, "atr_warm_rows": 13}, "at least atr_length=14"),
        ({"atr_calm_bps": 60}, "above atr_calm_bps=60"),
        ({"fill_factor_max": "0.9"}, "greater than or equal to 1"),
        ({"slippage": 5}, "Extra inputs"),
    ],
)
def test_settings_that_do_not_fit_are_refused(values, said):
    with pytest.raises(ValidationError, match=said):
        guest(**values)


@pytest.mark.parametrize(
    ("spread", "slippage", "limit", "takes"),
    [("4", "15", "20", None), ("20", "15", "20", None), ("20.01", "20", "60", None), ("50", "20", "60", None),
     ("50.01", "30", "60", 0)],
)  # fmt: skip
def test_hook_risk_check_r8_the_spread_names_the_row(spread, slippage, limit, takes):
    verdict = verdict_of(guest(depth_factor_min=1), market_of(book_of(spread)))
    assert verdict.checks == ()
    assert verdict.caps["slippage_bps_max"] == D(slippage)
    assert verdict.caps["spread_bps_max"] == D(limit)
    assert verdict.caps.get("taking_orders_max") == takes
    assert verdict.inputs["spread_bps"] == spread
    assert verdict.inputs["prefer"] == ("IOC" if takes is None else "GTC")


def test_r8_a_thin_book_lowers_it():
    made = guest()
    for there, allowed in (("30", "15"), ("100", "15"), ("15", "11.25"), ("0.001", "7.5")):
        verdict = verdict_of(made, market_of(book_of(quantity=there)))
        assert abs(verdict.caps["slippage_bps_max"] - D(allowed)) <= D("0.01")
        assert verdict.inputs["depth"] == there
    beyond = verdict_of(made, market_of(book_of("16")))
    assert beyond.inputs["depth"] == "0"
    assert beyond.caps["slippage_bps_max"] == D("7.5")


def test_r8_a_wild_market_raises_it():
    made = guest(depth_factor_min=1)
    for atr, allowed in ((0.1, "15"), (0.35, "18.75"), (0.6, "22.5"), (3, "22.5")):
        verdict = verdict_of(made, market_of(book_of(), ranges=(atr,) * 3))
        assert verdict.caps["slippage_bps_max"] == D(allowed)
        assert D(verdict.inputs["atr_bps"]) == D(str(atr)) * 100
    short = verdict_of(made, market_of(book_of(), ranges=(3, 3)))
    assert (short.caps["slippage_bps_max"], short.inputs["atr_bps"]) == (15, "none")
    empty = verdict_of(made, market_of(book_of(), ranges=(3, 3, np.nan)))
    assert (empty.caps["slippage_bps_max"], empty.inputs["atr_bps"]) == (15, "none")


def test_r8_own_orders_without_fills_raise_it():
    made = guest(depth_factor_min=1)
    for rate, allowed in (((9, 0), "15"), ((10, 0), "22.5"), ((20, 3), "18.75"), ((10, 3), "15"), ((10, 10), "15")):
        verdict = verdict_of(made, market_of(book_of()), rates={A: FillRate(*rate), "B/USDT": FillRate(99, 0)})
        assert verdict.caps["slippage_bps_max"] == D(allowed)
        assert verdict.inputs["fill_rate_of"] == str(rate[0])


def test_r8_the_example_of_the_readme():
    verdict = verdict_of(guest(), market_of(book_of("19.99", "15"), ranges=(0.35,) * 3))
    assert verdict.inputs["row"] == "above 0 bps"
    # 20 bps of the second row reach an ask 19.99 bps away: spread of 30 is met with a bid below the signal's price
    book = Book(A, NOW, (Level(D("99.82"), D(15)),), (Level(D("100.119"), D(15)),), "test")
    found = verdict_of(guest(), market_of(book, ranges=(0.35,) * 3))
    assert found.caps["slippage_bps_max"] == D("18.75")
    assert found.inputs["factors"] == "0.75 x 1.25 x 1"


def test_no_book_holds_the_last_row_at_its_tightest_and_exits_get_no_objection():
    verdict = verdict_of(guest(), market_of())
    assert verdict.caps == {"slippage_bps_max": D("7.5"), "spread_bps_max": D(20)}
    assert verdict_of(guest(), market_of(book_of()), intent_of(sells=True)).caps == {}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_never_above_the_cap_and_never_below_the_thin_books_share(seed):
    chance = random.Random(seed)
    cap = D(chance.choice(["10", "25", "50"]))
    made = guest(slippage_cap_bps=cap)
    book = book_of(str(chance.randint(0, 90)), str(chance.randint(1, 60)))
    market = market_of(book, ranges=[chance.uniform(0, 2) for _ in range(3)])
    rates = {A: FillRate(20, chance.randint(0, 20))}
    allowed = verdict_of(made, market, rates=rates).caps["slippage_bps_max"]
    base = next(
        b.slippage_bps for b in made.settings.table if book.spread_bps > b.spread_above_bps or not b.spread_above_bps
    )
    assert allowed <= min(cap, base * D("2.25"))
    assert allowed >= min(cap, base / 2) - D("0.01")
    more = verdict_of(made, market, intent_of("1000"), rates).caps["slippage_bps_max"]
    assert more <= allowed


# Sessions ----------------------------------------------------------------------------------------------------------

PAIR = "AAA/USDT"


def scene_of(*sets, spread="4"):
    guests = [wisher({3: (PAIR,)}), sizer("1"), allower(), "exec_dynamic", "exec_ioc_gtc"]
    quick = ("exec_dynamic.atr_length=2", "exec_dynamic.atr_warm_rows=2", "exec_dynamic.depth_factor_min=1")
    return Scene(
        ScriptedSource({PAIR: closing_at(*(100,) * 8)}), guests,
        ("market.between_closes=false", f"twin.spread_bps={spread}", "engine.max_spread_bps=60", *quick, *sets),
    )  # fmt: skip


def test_r8_value_and_inputs_are_written_into_the_intent(tmp_path):
    played = play(scene_of(), tmp_path / "s")
    assert [str(v) for v in played.violations()] == []
    intent = next(row.intent for row in played.records.intents if not row.intent.reduces)
    cap = intent.caps["slippage_bps_max"]
    assert (cap.value, cap.plugin) == (D(15), "exec_dynamic")
    assert cap.inputs["row"] == "above 0 bps"
    assert set(cap.inputs) >= {"spread_bps", "depth", "atr_bps", "fill_rate", "base_bps"}
    assert intent.price_cap <= add_bps(intent.price, D(15))
    (told,) = [event.event for event in played.notes(DynamicConstraints)]
    assert told.caps["slippage_bps_max"] == "15 exec_dynamic"
    assert told.inputs["exec_dynamic.base_bps"] == "15"


def test_r8_a_high_step_is_clipped_to_the_allowance(tmp_path):
    step = '[{time_in_force="IOC",premium_bps=40}]'
    played = play(scene_of(f"exec_ioc_gtc.steps={step}"), tmp_path / "s")
    assert [str(v) for v in played.violations()] == []
    (attempt,) = [one for one in played.records.attempts if not one.reduces]
    assert attempt.clipped_by == "exec_dynamic"
    assert attempt.request.price <= D("100.15")


def test_r8_a_wide_spread_rests_where_the_row_prefers_it(tmp_path):
    row = '[{spread_above_bps=0,slippage_bps=50,spread_limit_bps=60,prefer="GTC"}]'
    played = play(scene_of(f"exec_dynamic.table={row}", spread="30"), tmp_path / "s")
    assert [str(v) for v in played.violations()] == []
    kinds = [one.request.time_in_force for one in played.records.attempts if not one.reduces]
    assert kinds
    assert set(kinds) == {TimeInForce.GTC}
