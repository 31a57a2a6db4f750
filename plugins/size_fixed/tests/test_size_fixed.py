"""size_fixed: sizes worked out by hand, and that rounding never adds."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tradecore_size_fixed.plugin import SizeFixed

from tradecore import Instrument, Intent, Market, MarketFrame, Portfolio, Position, Side, Signal
from tradecore.model.portfolio import TradingState
from tradecore.testing.readme import assert_readme_settings

D = Decimal
COLUMNS = ("open", "high", "low", "close", "volume")
MARKET = Market(MarketFrame(60_000, np.array([60_000]), (), dict.fromkeys(COLUMNS, np.empty((1, 0)))), 60_000, {})


def guest(**values):
    return SizeFixed(SizeFixed.Settings.model_validate(values))


def signal_of(price="0.137", quote_wanted=None, symbol="A/USDT", side=Side.BUY):
    wanted = None if quote_wanted is None else D(quote_wanted)
    return Signal(
        "s1", "signals_drop", symbol, side, 60_000, 120_000, D(price), 60_000, 0.5, "drop", 0.97, 0.98, "ratio",
        quote_wanted=wanted,
    )  # fmt: skip


def instrument_of(lot="0.1", min_quantity="0", max_quantity="0", min_notional="10", quote_rate="1"):
    return Instrument(
        "A/USDT", "A", "USDT", D("0.0001"), D(lot), D(min_quantity), D(max_quantity), D(min_notional), D(10), D(10),
        "A", quote_rate=D(quote_rate),
    )  # fmt: skip


def intent_of(quantity, price_cap, symbol="A/USDT", side=Side.BUY):
    signal = signal_of(price=price_cap, symbol=symbol, side=side)
    return Intent(
        "i1",
        signal,
        symbol,
        side,
        D(quantity),
        D(price_cap),
        60_000,
        D(price_cap),
        60_000,
        120_000,
        "",
        side is Side.SELL,
        "p9",
    )


def portfolio_of(equity="10000", positions=(), pending=(), marks=None):
    equity = D(equity)
    return Portfolio(
        60_000, "USDT", TradingState.ACTIVE, equity, equity, equity, equity, D(0), D(0), tuple(positions),
        tuple(pending), (), 0, 0, {}, {}, (), marks or {},
    )  # fmt: skip


def position_of(quantity, average, symbol="A/USDT"):
    return Position("p1", symbol, "signals_drop", "", D(quantity), D(average), 0, 1, D(average), D(average))


def size(asked, signal=None, portfolio=None, instrument=None):
    return asked.size(signal or signal_of(), portfolio or portfolio_of(), instrument or instrument_of(), MARKET)


@pytest.mark.parametrize(
    "values", [{"amount": -1}, {"equity_pct": 101}, {"symbol_max": -1}, {"amount": "a lot"}, {"amount_quote": 50}]
)
def test_settings_out_of_bounds_and_unknown_keys_are_refused(values):
    with pytest.raises(ValidationError) as caught:
        guest(**values)
    assert caught.value.errors()[0]["loc"] == tuple(values)


def test_settings_without_an_amount_are_refused_and_the_readme_tells_them_all():
    with pytest.raises(ValidationError, match="amount or equity_pct above 0"):
        guest(amount=0)
    assert SizeFixed.Settings().amount == 50
    assert_readme_settings((Path(__file__).parents[1] / "README.md").read_text(), SizeFixed.Settings)


def test_hook_size_rounds_the_amount_down_to_whole_lots():
    answer = size(guest())
    # 50 / 0.137 = 364.96...
    assert (answer.quantity, answer.constraint) == (D("364.9"), "amount")
    assert answer.inputs == {"amount": "50"}


def test_the_smallest_amount_binds_and_is_named():
    both = guest(amount=50, equity_pct=1)
    assert size(both, portfolio=portfolio_of("10000"))[:2] == (D("364.9"), "amount")
    # 1 % of 2740 = 27.4 = 200 x 0.137.
    assert size(both, portfolio=portfolio_of("2740"))[:2] == (D("200.0"), "equity_pct")
    assert size(both, portfolio=portfolio_of("5000"))[:2] == (D("364.9"), "amount")
    assert size(guest(amount=0, equity_pct=1), portfolio=portfolio_of("2740"))[:2] == (D("200.0"), "equity_pct")


def test_a_signal_can_ask_for_less_but_never_for_more():
    assert size(guest(), signal_of(quote_wanted="13.7"))[:2] == (D("100.0"), "quote_wanted")
    assert size(guest(), signal_of(quote_wanted="5000"))[:2] == (D("364.9"), "amount")


def test_the_most_per_symbol_counts_positions_at_their_marks_and_live_entries():
    asked = guest(symbol_max=100)
    books = portfolio_of(
        positions=[position_of("200", "0.1"), position_of("5", "900", "B/USDT")],
        pending=[intent_of("100", "0.15"), intent_of("9", "100", "B/USDT"), intent_of("50", "0.1", side=Side.SELL)],
        marks={"A/USDT": D("0.2")},
    )
    # 100 - 200 x 0.2 - 100 x 0.15 = 45; 45 / 0.137 = 328.4...
    assert size(asked, portfolio=books)[:2] == (D("328.4"), "symbol_max")
    full = portfolio_of(positions=[position_of("1000", "0.2")])
    answer = size(asked, portfolio=full)
    assert (answer.quantity, answer.constraint) == (0, "symbol_max: min_notional_quote 10")
    assert answer.inputs["symbol_max"] == "-100"


def test_amounts_are_in_account_currency_and_converted_at_the_quote_rate():
    # A pair quoted in a coin worth 2000 of the account's: 50 buy 0.025 of it, at 0.05 apiece 0.5 units.
    pair = instrument_of(lot="0.01", min_notional="0.001", quote_rate="2000")
    assert size(guest(), signal_of("0.05"), instrument=pair)[:2] == (D("0.5"), "amount")
    # The wish of 0.01 quote units is 20 of the account's.
    assert size(guest(), signal_of("0.05", quote_wanted="0.01"), instrument=pair)[:2] == (D("0.2"), "quote_wanted")


def test_below_the_venues_minimum_the_size_is_zero_and_names_it():
    assert size(guest(amount=5))[:2] == (0, "amount: min_notional_quote 10")
    assert size(guest(), instrument=instrument_of(min_quantity="400"))[:2] == (0, "amount: min_quantity 400")
    assert size(guest(amount=0, equity_pct=5), portfolio=portfolio_of("-3"))[0] == 0
    # Exactly the minimum is enough.
    assert size(guest(amount="13.7"), instrument=instrument_of(min_notional="13.7"))[:2] == (D("100.0"), "amount")


def test_the_venues_largest_order_cuts_the_size():
    assert size(guest(), instrument=instrument_of(max_quantity="99.95"))[:2] == (D("99.9"), "max_quantity")


amounts = st.decimals("0.01", "100000", places=4)


@given(
    amount=amounts,
    equity=amounts,
    percent=st.decimals("0.01", "100", places=2),
    price=st.decimals("0.00000001", "90000", places=8),
    lot=st.sampled_from(["0.00000001", "0.001", "0.3", "1", "1000"]),
    rate=st.sampled_from(["1", "0.00031", "61234.567"]),
)
@settings(max_examples=300, deadline=None)
def test_rounding_never_adds_and_never_leaves_a_whole_lot_behind(amount, equity, percent, price, lot, rate):
    instrument = instrument_of(lot=lot, min_notional="0", quote_rate=rate)
    answer = size(
        guest(amount=amount, equity_pct=percent), signal_of(str(price)), portfolio_of(str(equity)), instrument
    )
    allowed = min(amount, equity * percent / 100)
    unit_cost = price * D(rate)
    assert answer.quantity * unit_cost <= allowed
    assert (answer.quantity + D(lot)) * unit_cost > allowed
    assert answer.quantity % D(lot) == 0


def test_a_quotient_that_rounds_up_at_its_last_digit_still_stays_within_the_amount():
    # 0.2 less 10^-45 over 0.1 is 2 to forty digits.
    amount = D("0.1" + "9" * 44)
    answer = size(guest(amount=amount), signal_of("0.1"), instrument=instrument_of(lot="1", min_notional="0"))
    assert answer.quantity == 1
