"""The one price that a quote says, its age, and the book that it shows."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.model.book import Book, Level
from tradecore.model.units import Side
from tradecore.ports.quotes import Quote
from tradecore.venues.live.quotes import Quotes, book_of, price_in

NAN = math.nan
A = "AAA/USDT"
price = st.floats(1e-9, 1e9) | st.just(NAN) | st.just(0.0) | st.just(-1.0) | st.just(math.inf)


def quote(at_ms=0, bid=99.0, ask=101.0, last=100.0, size=1.0, volume=NAN):
    return Quote(A, at_ms, bid, ask, size, size, last, volume, "rest")


@given(price, price, price)
def test_a_price_is_a_trade_or_a_standing_quote_or_there_is_none(bid, ask, last):
    found = price_in(bid, ask, last)
    if math.isnan(found):
        assert not 0 < bid <= ask < math.inf
    else:
        assert bid <= found <= ask
        known = 0 < last < math.inf
        assert found in ({bid, ask, last} if known else {(bid + ask) / 2})


@pytest.mark.parametrize(
    ("bid", "ask", "last", "expected"),
    [(99, 101, 100, 100), (99, 101, 98, 99), (99, 101, 105, 101), (99, 101, NAN, 100), (100, 100, 99, 100)],
)
def test_the_price_is_the_median_of_bid_ask_and_last(bid, ask, last, expected):
    assert price_in(bid, ask, last) == expected


def test_f20_one_sided_and_crossed_quotes_have_a_price_only_with_a_trade():
    quotes = Quotes([A], 15_000)
    assert not quotes.note(quote(1, bid=NAN), 1), "the last trade may be of last week"
    assert quotes.fresh(A, 1) is None
    assert not quotes.note(quote(2, bid=NAN), 2)
    assert quotes.note(quote(3, bid=NAN, last=100.5), 3)
    assert quotes.fresh(A, 3) == 100.5
    assert not quotes.note(quote(4, bid=102.0, ask=101.0, last=100.5), 4)
    assert quotes.book(A) == Book(A, 4, (), (), "rest")
    assert quotes.newest(A) == (3, 100.5)


def test_r38_a_price_has_an_age_and_ends():
    quotes = Quotes([A], 15_000)
    assert quotes.fresh(A, 0) is None
    assert quotes.newest(A) is None
    quotes.note(quote(1_000), 1_000)
    assert quotes.fresh(A, 16_000) == 100.0
    assert quotes.fresh(A, 16_001) is None
    assert quotes.newest(A) == (1_000, 100.0)
    assert quotes.older_than(15_000, 16_000) == ()
    assert quotes.older_than(15_000, 16_001) == (A,)


def test_an_older_quote_never_takes_the_place_of_a_newer_one():
    quotes = Quotes([A], 15_000)
    assert quotes.note(quote(2_000, last=100.0), 2_000)
    assert not quotes.note(quote(1_999, last=99.5), 2_010)
    assert quotes.fresh(A, 2_010) == 100.0


def test_f45_a_clock_set_back_makes_prices_stale_until_new_ones_come():
    quotes = Quotes([A], 15_000)
    quotes.note(quote(600_000), 600_000)
    assert quotes.fresh(A, 1_000) is None, "of an unknown age"
    assert quotes.older_than(5_000, 1_000) == (A,)
    assert quotes.note(quote(1_500, last=100.2), 1_500)
    assert quotes.fresh(A, 1_500) == 100.2


def test_a_stream_that_names_no_trade_moves_the_price_by_its_book():
    quotes = Quotes([A], 15_000)
    quotes.note(quote(1, last=100.0), 1)
    quotes.note(quote(2, bid=102.0, ask=103.0, last=NAN), 2)
    assert quotes.fresh(A, 2) == 102.0


def test_a_late_quote_moves_no_bar():
    seen = []
    quotes = Quotes([A], 15_000)
    quotes.on_quote = lambda *facts: seen.append(facts)
    quotes.note(quote(1_000), 30_000)
    assert seen == []
    quotes.note(quote(29_000, volume=5.0), 30_000)
    assert seen == [(0, 100.0, 5.0)]


def test_a_quote_shows_one_level_a_side():
    book = book_of(quote(7, bid=0.00012300, ask=0.000124, size=2.5))
    assert (book.best_bid, book.best_ask) == (Decimal("0.000123"), Decimal("0.000124"))
    assert book.bids[0].quantity == Decimal("2.5")
    unsaid = book_of(quote(7, size=NAN))
    assert unsaid.best_bid == 99
    assert unsaid.quantity_within(Side.BUY, Decimal(200)) == 0
    assert book_of(quote(7, ask=NAN)).asks == ()


def test_the_newest_of_quote_and_whole_book_is_shown():
    quotes = Quotes([A], 15_000)
    deep = Book(A, 5, (Level(Decimal(99), Decimal(1)), Level(Decimal(98), Decimal(9))), (), "rest")
    quotes.note_book(deep)
    assert quotes.book(A) is deep
    quotes.note(quote(6, size=3.0), 6)
    assert quotes.book(A).bids == (Level(Decimal(99), Decimal(3)), Level(Decimal(98), Decimal(9)))
    quotes.note(quote(7, bid=98.5), 7)
    assert [level.price for level in quotes.book(A).bids] == [Decimal("98.5"), 98]
    quotes.note(quote(2_006, bid=98.5), 2_006)
    assert len(quotes.book(A).bids) == 1, "what stood behind two seconds ago says nothing"
    quotes.note_book(deep._replace(received_ms=2_007))
    assert len(quotes.book(A).bids) == 2
    quotes.note_book(deep)
    assert quotes.book(A).received_ms == 2_007
    quotes.shut(frozenset({A}))
    assert quotes.book(A) is None
    assert quotes.fresh(A, 2_007) is None


def test_a_stranger_is_not_kept():
    quotes = Quotes([A], 15_000)
    assert not quotes.note(quote(1)._replace(symbol="ZZZ/USDT"), 1)
    quotes.note_book(Book("ZZZ/USDT", 1, (), (), "rest"))
    assert quotes.quote("ZZZ/USDT") is quotes.book("ZZZ/USDT") is quotes.newest("ZZZ/USDT") is None
