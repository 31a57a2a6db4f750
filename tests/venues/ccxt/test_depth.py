"""The local book: joins its snapshot, notices every gap, never crosses by itself."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.errors import UnitError
from tradecore.venues.ccxt.depth import Change, Gap, LocalBook, change_of

SNAPSHOT = {"lastUpdateId": 10, "bids": [["99", "1"], ["98", "2"]], "asks": [["101", "1"], ["102", "2"]]}


def _event(first, last, bids=(), asks=()):
    return change_of({"U": first, "u": last, "b": [list(row) for row in bids], "a": [list(row) for row in asks]})


def test_joins_the_snapshot_and_follows():
    book = LocalBook("BTC/USDT")
    assert not book.apply(_event(5, 8, [["99", "9"]]), 1), "waits for a snapshot"
    assert not book.apply(_event(9, 12, [["99", "0"], ["99.5", "4"]]), 2)
    assert book.book() is None
    book.snapshot(SNAPSHOT, 3)
    assert (book.joined, book.last_id) == (True, 12)
    assert book.apply(_event(13, 13, (), [["101", "0"]]), 4)
    shown = book.book(2)
    assert [str(level.price) for level in shown.bids] == ["99.5", "98"]
    assert [str(level.price) for level in shown.asks] == ["102"]
    assert shown.received_ms == 4
    assert not book.apply(_event(9, 12), 5), "a repeated event changes nothing"
    assert not book.crossed


def test_f13_a_missing_change_makes_the_book_unusable_until_the_next_snapshot():
    book = LocalBook("BTC/USDT")
    book.snapshot(SNAPSHOT, 1)
    book.apply(_event(11, 12), 2)
    with pytest.raises(Gap, match="expected a change from 13 on, was 14"):
        book.apply(_event(14, 15, [["97", "1"]]), 3)
    assert book.book() is None
    with pytest.raises(Gap):
        book.snapshot({**SNAPSHOT, "lastUpdateId": 12}, 4)  # too old: what waits begins behind it
    assert book.book() is None
    book.snapshot({**SNAPSHOT, "lastUpdateId": 14}, 5)
    assert (book.joined, book.last_id) == (True, 15)
    assert Decimal(97) in [level.price for level in book.book().bids]


def test_what_waits_is_bounded():
    book = LocalBook("BTC/USDT")
    for i in range(5000):
        book.apply(_event(i, i), i)
    assert len(book._waiting) == 1000


@pytest.mark.parametrize(
    "event",
    [None, {}, {"U": 2, "u": 1, "b": [], "a": []}, {"U": "1", "u": 2}, {"U": 1, "u": 2, "b": None, "a": []},
     {"U": 1, "u": 2, "b": [["NaN", "1"]], "a": []}, {"U": 1, "u": 2, "b": [["1", "-1"]], "a": []},
     {"U": 1, "u": 2, "b": [["1"]], "a": []}],
)  # fmt: skip
def test_f17_malformed_events_are_refused(event):
    with pytest.raises(UnitError):
        change_of(event)


@given(
    st.lists(
        st.lists(st.tuples(st.booleans(), st.integers(1, 6), st.integers(0, 3)), max_size=4), min_size=1, max_size=12
    ),
    st.integers(0, 12),
    st.data(),
)
def test_any_order_of_join_gives_the_same_book(changes, at, data):
    """Wherever the snapshot is taken, book and changes together say the same."""
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    at = min(at, len(changes))
    snapshot = None
    events = []
    for i, rows in enumerate([*changes, []]):
        if i == at:
            snapshot = {
                "lastUpdateId": i,
                "bids": [[str(p), str(q)] for p, q in bids.items()],
                "asks": [[str(p), str(q)] for p, q in asks.items()],
            }
        if i == len(changes):
            break
        for bid, offset, quantity in rows:
            side, price = (bids, 100 - offset) if bid else (asks, 100 + offset)
            side.pop(price, None)
            if quantity:
                side[price] = quantity
        sides = ([], [])
        for bid, offset, quantity in rows:
            sides[not bid].append([str(100 - offset if bid else 100 + offset), str(quantity)])
        events.append(_event(i + 1, i + 1, *sides))
    book = LocalBook("X/Y")
    early = data.draw(st.integers(0, len(events)))
    for event in events[:early]:
        book.apply(event, 0)
    if early > at or early == len(events) or at >= early:
        book.snapshot(snapshot, 0)
    for event in events[max(early, 0) :]:
        if event.first_id == book.last_id + 1 or event.last_id <= book.last_id:
            book.apply(event, 0)
        else:
            with pytest.raises(Gap):
                book.apply(event, 0)
            return
    shown = book.book()
    assert {int(level.price): int(level.quantity) for level in shown.bids} == bids
    assert {int(level.price): int(level.quantity) for level in shown.asks} == asks


def test_changes_are_values():
    assert _event(1, 2) == Change(1, 2, (), ())
