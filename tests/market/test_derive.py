"""Ticks and lots out of decimals; instruments out of a file."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.errors import DataError
from tradecore.market.derive import USUAL_FEES, Decimals, Fees, derive_instrument, read_instruments, snap
from tradecore.model.units import is_step, price_of


def decimals_of(values, most=12):
    decimals = Decimals(most)
    for part in np.array_split(np.array(values, dtype=float), 3):
        decimals.look_at(part)
    return decimals


@given(st.integers(0, 8), st.lists(st.integers(1, 10**6), min_size=1, max_size=50))
def test_the_decimals_found_are_those_of_the_finest_text(digits, units):
    texts = [Decimal((0, tuple(map(int, str(unit))), -digits)) for unit in units]
    finest = max(max(0, -int(text.normalize().as_tuple().exponent)) for text in texts)
    decimals = decimals_of([float(text) for text in texts])
    assert decimals.digits == finest
    assert decimals.telling
    assert not decimals.inexact
    assert decimals.odd == 0


@given(st.integers(1, 9), st.lists(st.integers(1, 10**6), min_size=1, max_size=50))
def test_noise_in_the_last_bits_is_seen_and_snapped_away(digits, units):
    clean = np.array([float(f"{unit}e-{digits}") for unit in units])
    noisy = np.nextafter(np.nextafter(clean, 1e9), 1e9)
    decimals = decimals_of(noisy)
    assert decimals.digits <= digits
    assert decimals.inexact
    step = Decimal((0, (1,), -digits))
    assert all(is_step(price_of(float(value)), step) for value in snap(noisy, digits))
    assert snap(noisy, digits).tolist() == clean.tolist()


def test_a_few_computed_numbers_do_not_make_the_tick():
    values = [*np.round(np.random.default_rng(1).uniform(1, 2, 200), 4), 1 / 3]
    decimals = decimals_of(values)
    assert (decimals.digits, decimals.odd, decimals.telling) == (4, 1, True)


def test_computed_numbers_tell_nothing_and_the_price_s_size_decides():
    noise = decimals_of(np.random.default_rng(1).uniform(1, 2, 50))
    assert not noise.telling
    instrument = derive_instrument("AAA/USDT", noise, noise, 0.0345, USUAL_FEES)
    assert instrument.tick_size == Decimal("0.0000001")
    assert 0.01 <= float(instrument.lot_size) * 0.0345 <= 0.1


@pytest.mark.parametrize("price", [1.2e-6, 0.02, 1.0, 88.0, 60_000.0])
@pytest.mark.parametrize("quote", ["USDT", "BTC", "ETH", "TRY"])
def test_a_lot_that_volumes_do_not_show_is_a_small_share_of_the_least_order(price, quote):
    nothing, prices = Decimals(), decimals_of([price])
    instrument = derive_instrument(f"AAA/{quote}", prices, nothing, price, USUAL_FEES)
    worth = float(instrument.lot_size) * price / float(instrument.min_notional_quote)
    assert 0.0019 < worth <= 0.0201


def test_volumes_without_decimals_do_not_make_a_lot_of_a_whole_bitcoin():
    instrument = derive_instrument("BTC/USDT", decimals_of([60_000.5]), decimals_of([3.0, 17.0]), 60_000.5, USUAL_FEES)
    assert instrument.tick_size == Decimal("0.1")
    assert instrument.lot_size == Decimal("0.000001")


def test_a_fee_s_coin_is_the_base_the_quote_or_a_third():
    prices = decimals_of([1.5])

    def coin(currency):
        fees = Fees(Decimal(1), Decimal(2), currency)
        return derive_instrument("AAA/USDT", prices, prices, 1.5, fees).fee_currency

    assert [coin(currency) for currency in ("base", "quote", "BNB")] == ["AAA", "USDT", "BNB"]


def test_a_file_of_instruments_is_read_exactly(tmp_path):
    path = tmp_path / "instruments.toml"
    path.write_text('["A/B"]\ntick = 0.1\nlot = "1e-5"\nmin_notional = 5\nmax_quantity = 0\ncan_buy = false\n')
    assert read_instruments(path) == {
        "A/B": {
            "tick_size": Decimal("0.1"),
            "lot_size": Decimal("0.00001"),
            "min_notional_quote": Decimal(5),
            "max_quantity": Decimal(0),
            "can_buy": False,
        }
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tick = ", "expected TOML"),
        ("x = 1", "expected a table"),
        ('["A/B"]\ntik = 1', "expected one of tick"),
        ('["A/B"]\ntick = 0', "above 0"),
        ('["A/B"]\nlot = -1', "above 0"),
        ('["A/B"]\nlot = nan', "above 0"),
        ('["A/B"]\nmin_notional = "five"', "0 or more"),
        ('["A/B"]\nmin_notional = true', "0 or more"),
        ('["A/B"]\ncan_sell = 1', "true or false"),
        ('["A/B"]\nfee_currency = ""', "coin's name"),
    ],
)
def test_a_faulty_file_of_instruments_is_one_clear_line(tmp_path, text, said):
    path = tmp_path / "instruments.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        read_instruments(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
