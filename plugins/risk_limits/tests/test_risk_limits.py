"""risk_limits: every limit at its edge, and what counts how."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_risk_limits.plugin import RiskLimits

from tradecore import Intent, Market, MarketFrame, Portfolio, Position, Side, Signal, Verdict
from tradecore.model.lock import Lock
from tradecore.model.portfolio import TradingState
from tradecore.model.signal import CAPS
from tradecore.testing.readme import assert_readme_settings

D = Decimal
NOW = 1_000_000
COLUMNS = ("open", "high", "low", "close", "volume")
MARKET = Market(MarketFrame(60_000, np.array([NOW]), (), dict.fromkeys(COLUMNS, np.empty((1, 0)))), NOW, {})


def guest(**values):
    return RiskLimits(RiskLimits.Settings.model_validate(values))


def intent_of(position="new", quantity="10", price_cap="5", symbol="A/USDT", reduces=False, adds=False):
    side = Side.SELL if reduces else Side.BUY
    target = position if adds or reduces else None
    signal = Signal(
        "s1",
        "signals_drop",
        symbol,
        side,
        NOW,
        NOW + 60_000,
        D(price_cap),
        NOW,
        0.5,
        "drop",
        0.97,
        0.98,
        "ratio",
        target,
    )
    return Intent(
        f"i-{position}", signal, symbol, side, D(quantity), D(price_cap), NOW, D(price_cap), NOW, NOW + 60_000, "",
        reduces, position,
    )  # fmt: skip


def position_of(name, quantity="10", average="5", symbol="A/USDT", bought=None):
    price = D(average)
    return Position(
        name, symbol, "signals_drop", "", D(quantity), price, 0, 1, price, price, bought_quantity=D(bought or quantity)
    )


def portfolio_of(**values):
    base = Portfolio(
        NOW,
        "USDT",
        TradingState.ACTIVE,
        D(1000),
        D(1000),
        D(1000),
        D(1000),
        D(0),
        D(0),
        (),
        (),
        (),
        0,
        0,
        {},
        {},
        (),
        {},
    )
    return base._replace(**values)


def verdict_of(intent=None, portfolio=None, **values):
    return guest(**values).risk_check(intent or intent_of(), portfolio or portfolio_of(), MARKET)


def check_of(verdict, limit):
    return next(check for check in verdict.checks if check.limit == limit)


def hits(verdict):
    return [check.limit for check in verdict.checks if check.hit]


def test_settings_have_the_defaults_of_the_specification():
    made = RiskLimits.Settings()
    assert (made.max_exposure_pct, made.max_positions, made.max_daily_drawdown_pct) == (80, 10, 8)
    assert (made.max_trades_per_day, made.spread_bps_max, made.slippage_bps_max) == (120, 20, 50)
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), RiskLimits.Settings)


@pytest.mark.parametrize(
    "values",
    [
        {"max_exposure_pct": 0},
        {"max_exposure_pct": 101},
        {"max_positions": 0},
        {"max_positions": 2.5},
        {"max_positions_per_symbol": 0},
        {"max_daily_drawdown_pct": 0},
        {"max_trades_per_day": 0},
        {"max_notional_per_symbol": -1},
        {"max_orders_per_minute": 0},
        {"spread_bps_max": -1},
        {"slippage_bps_max": 1001},
        {"max_exposure": 80},
    ],
)
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError) as caught:
        guest(**values)
    assert caught.value.errors()[0]["loc"] == tuple(values)


def test_hook_risk_check_r31_names_every_limit_hit_or_not():
    verdict = verdict_of(max_notional_per_symbol=500)
    assert [check.limit for check in verdict.checks] == [
        "max_exposure",
        "max_notional_per_symbol",
        "max_daily_drawdown",
        "max_positions",
        "max_positions_per_symbol",
        "max_trades_per_day",
        "max_orders_per_minute",
        "lock",
    ]
    assert hits(verdict) == []
    assert check_of(verdict, "max_exposure")[1:] == (D(50), D(800), "USDT", False)
    assert all(isinstance(number, Decimal) for check in verdict.checks for number in (check.value, check.threshold))
    assert verdict.inputs == {"equity": "1000", "equity_day_peak": "1000", "entry": "50"}


def test_r7_caps_travel_with_the_verdict():
    assert verdict_of().caps == {"spread_bps_max": D(20), "slippage_bps_max": D(50)}
    assert verdict_of(spread_bps_max=0, slippage_bps_max=30).caps == {"slippage_bps_max": D(30)}
    assert set(verdict_of().caps) <= CAPS


def test_an_exit_gets_no_objection():
    crowded = portfolio_of(equity=D(-5), locks=(Lock("*", "halt", "protections", NOW + 1),))
    assert verdict_of(intent_of("p1", reduces=True), crowded) == Verdict()


def test_r31_exposure_counts_positions_at_marks_live_entries_and_this_one():
    books = portfolio_of(
        positions=(position_of("p1", "10", "20", "B/USDT"), position_of("p2", "4", "25", "C/USDT")),
        pending=(intent_of("p3", "10", "10", "D/USDT"), intent_of("p1", "10", "30", "B/USDT", reduces=True)),
        marks={"B/USDT": D(50)},
        # The books' own figure may already hold this entry's reservation; it is not what is compared.
        exposure=D(999_999),
    )
    # 10 x 50 + 4 x 25 (no mark: what was paid) + 10 x 10 + 10 x 5 = 750; the exit adds nothing.
    verdict = verdict_of(portfolio=books, max_exposure_pct=75)
    assert check_of(verdict, "max_exposure")[1:] == (D(750), D(750), "USDT", False)
    verdict = verdict_of(portfolio=books, max_exposure_pct="74.9")
    assert hits(verdict) == ["max_exposure"]


def test_r31_exposure_is_reckoned_in_account_currency():
    books = portfolio_of(positions=(position_of("p1", "2", "3", "B/ETH"),), quote_rates={"B/ETH": D(40), "A/ETH": D(2)})
    verdict = verdict_of(intent_of(symbol="A/ETH"), books)
    assert check_of(verdict, "max_exposure").value == 2 * 3 * 40 + 10 * 5 * 2


def test_r31_without_equity_nothing_is_bought():
    verdict = verdict_of(portfolio=portfolio_of(equity=D(0), equity_day_peak=D(0)))
    assert hits(verdict) == ["max_exposure"]


def test_r31_an_entry_asked_about_again_is_not_counted_twice():
    intent = intent_of("p1", "10", "5")
    before = verdict_of(intent, max_positions=1, max_trades_per_day=3, portfolio=portfolio_of(trades_today=2))
    # Six units filled, fees of 0.006 taken in base: the position holds 5.994, four units may still be bought.
    partly = portfolio_of(trades_today=3, positions=(position_of("p1", "5.994", "5", bought="6"),))
    after = verdict_of(intent, partly, max_positions=1, max_trades_per_day=3)
    assert hits(before) == hits(after) == []
    assert check_of(before, "max_exposure").value == D(50)
    assert check_of(after, "max_exposure").value == D("5.994") * 5 + 4 * 5
    for limit in ("max_positions", "max_positions_per_symbol", "max_trades_per_day"):
        assert check_of(before, limit) == check_of(after, limit)


def test_r31_an_add_opens_no_position_and_counts_whole():
    books = portfolio_of(positions=(position_of("p1", "10", "5"),))
    verdict = verdict_of(intent_of("p1", "8", "5", adds=True), books, max_positions=1)
    assert hits(verdict) == []
    assert check_of(verdict, "max_positions").value == 1
    assert check_of(verdict, "max_exposure").value == 90
    assert hits(verdict_of(intent_of("p2", symbol="B/USDT"), books, max_positions=1)) == ["max_positions"]


def test_r31_positions_count_with_those_that_live_entries_would_open():
    books = portfolio_of(
        positions=tuple(position_of(f"p{i}", "1", "1", f"P{i}/USDT") for i in range(8)),
        pending=(intent_of("p8", "1", "1", "P8/USDT"), intent_of("p0", "1", "1", "P0/USDT", adds=True)),
    )
    verdict = verdict_of(portfolio=books)
    assert check_of(verdict, "max_positions")[1:] == (10, 10, "positions", False)
    more = books._replace(pending=(*books.pending, intent_of("p9", "1", "1", "P9/USDT")))
    assert hits(verdict_of(portfolio=more)) == ["max_positions"]


def test_r31_positions_per_symbol():
    books = portfolio_of(positions=(position_of("p1", "1", "1"), position_of("p2", "1", "1", "B/USDT")))
    assert hits(verdict_of(portfolio=books)) == ["max_positions_per_symbol"]
    assert check_of(verdict_of(portfolio=books, max_positions_per_symbol=2), "max_positions_per_symbol").value == 2


def test_r31_notional_per_symbol():
    books = portfolio_of(positions=(position_of("p1", "10", "7"), position_of("p2", "99", "1", "B/USDT")))
    verdict = verdict_of(portfolio=books, max_notional_per_symbol=120, max_positions_per_symbol=9)
    assert check_of(verdict, "max_notional_per_symbol")[1:] == (120, 120, "USDT", False)
    tight = verdict_of(portfolio=books, max_notional_per_symbol="119.99", max_positions_per_symbol=9)
    assert hits(tight) == ["max_notional_per_symbol"]


def test_r31_drawdown_is_measured_from_the_peak_of_the_day():
    at_limit = portfolio_of(equity=D(1104), equity_day_open=D(1000), equity_day_peak=D(1200))
    assert check_of(verdict_of(portfolio=at_limit), "max_daily_drawdown")[1:] == (D(8), D(8), "%", False)
    below = at_limit._replace(equity=D("1103.99"))
    assert hits(verdict_of(portfolio=below)) == ["max_daily_drawdown"]


def test_r31_trades_per_day_and_orders_per_minute():
    waiting = (intent_of("p7", "1", "1", "B/USDT"),)
    assert hits(verdict_of(portfolio=portfolio_of(trades_today=118, pending=waiting))) == []
    assert hits(verdict_of(portfolio=portfolio_of(trades_today=119, pending=waiting))) == ["max_trades_per_day"]
    assert hits(verdict_of(portfolio=portfolio_of(orders_last_minute=29))) == []
    assert hits(verdict_of(portfolio=portfolio_of(orders_last_minute=30))) == ["max_orders_per_minute"]


def test_r32_locks_in_force_on_the_symbol_or_on_all_are_hit():
    locks = (
        Lock("A/USDT", "3 stops", "protections", NOW + 5_000),
        Lock("*", "drawdown", "breaker", NOW + 1),
        Lock("B/USDT", "other symbol", "protections", NOW + 5_000),
        Lock("A/USDT", "over", "protections", NOW),
    )
    verdict = verdict_of(portfolio=portfolio_of(locks=locks))
    assert hits(verdict) == ["lock by protections: 3 stops", "lock by breaker: drawdown"]
    assert check_of(verdict, "lock by protections: 3 stops")[1:] == (5_000, 0, "ms left", True)


@given(
    quantity=st.decimals("0.001", "1000", places=3),
    more=st.decimals("0", "1000", places=3),
    fraction=st.decimals("0", "1", places=2),
)
@settings(max_examples=150, deadline=None)
def test_more_is_never_allowed_where_less_is_refused_and_a_part_fill_changes_nothing(quantity, more, fraction):
    books = portfolio_of(positions=(position_of("p0", "7", "11", "B/USDT"),))
    small = check_of(verdict_of(intent_of("p1", str(quantity)), books), "max_exposure")
    large = check_of(verdict_of(intent_of("p1", str(quantity + more)), books), "max_exposure")
    assert large.value >= small.value
    assert large.hit or not small.hit
    bought = quantity * fraction
    if bought:
        # Bought and marked at the cap itself: position and remainder add up to the whole entry.
        filled = books._replace(positions=(*books.positions, position_of("p1", str(bought), "5")))
        assert check_of(verdict_of(intent_of("p1", str(quantity)), filled), "max_exposure") == small
