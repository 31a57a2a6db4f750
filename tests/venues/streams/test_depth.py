"""Changes of a book join any snapshot, whatever happened in between."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.venues.conftest import START_MS, Rows, instrument, wander
from tradecore.model.units import ZERO, Side
from tradecore.venues.twin.market import TwinMarket
from tradecore.venues.twin.records import BookShape
from tradecore.venues.twin.wire.streams_depth import DepthWatch

_SYMBOL = "BTC/USDT"
_Levels = dict[tuple[str, Decimal], Decimal]


class _Venue:
    """A market that is taken of, with the state numbers that the desk gives."""

    def __init__(self) -> None:
        rows = Rows({_SYMBOL: wander(3, 20, bps=60.0)}, {_SYMBOL: instrument(_SYMBOL)})
        self.market = TwinMarket(rows, 7, BookShape(steps=12))
        self.now_ms = START_MS + 60_000

    def state_id(self, symbol: str, at_ms: int) -> int:
        depth = self.market.depth(symbol, at_ms)
        return 0 if depth is None else depth.at_ms * 1_000 + depth.changes

    def levels(self) -> _Levels:
        book = self.market.book(_SYMBOL, self.now_ms)
        assert book is not None
        bids = {("bid", level.price): level.quantity for level in book.bids}
        return bids | {("ask", level.price): level.quantity for level in book.asks}

    def take(self, side: Side, share: int) -> None:
        depth = self.market.depth(_SYMBOL, self.now_ms)
        assert depth is not None
        levels = depth.asks if side is Side.BUY else depth.bids
        if levels:
            level = levels[0]
            part = level.quantity if share == 10 else Decimal(int(level.quantity * 1000) * share // 10) / 1000
            if part > 0:
                depth.take(side, level.price, part)
                self.market.note_taken(_SYMBOL, depth)


_ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.sampled_from([1, 40, 900, 5_000, 20_000])),
        st.tuples(st.just("buy"), st.integers(1, 10)),
        st.tuples(st.just("sell"), st.integers(1, 10)),
        st.tuples(st.just("snapshot"), st.just(0)),
        st.tuples(st.just("push"), st.just(0)),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(_ACTIONS)
def test_every_snapshot_joins(actions: list[tuple[str, int]]) -> None:
    """Each copy is kept as Binance tells its customers to: drop what is older, apply what follows."""
    venue = _Venue()
    watch = DepthWatch(venue.market, _SYMBOL, venue.state_id, venue.now_ms)
    copies: list[tuple[int, _Levels]] = [(venue.state_id(_SYMBOL, venue.now_ms), venue.levels())]
    last_id = copies[0][0]
    for action, amount in [*actions, ("pass", 40), ("push", 0)]:
        if action == "pass":
            venue.now_ms += amount
        elif action == "snapshot":
            copies.append((venue.state_id(_SYMBOL, venue.now_ms), venue.levels()))
        elif action in ("buy", "sell"):
            venue.take(Side.BUY if action == "buy" else Side.SELL, amount)
            watch.touch(venue.now_ms)
        else:
            change = watch.change(venue.now_ms)
            if change is not None:
                assert change.first_id == last_id + 1
                last_id = change.last_id
                copies = [_applied(copy, change) for copy in copies]
            assert all(levels == venue.levels() for _, levels in copies)


def _applied(copy: tuple[int, _Levels], change: object) -> tuple[int, _Levels]:
    seen_id, levels = copy
    first_id, last_id = change.first_id, change.last_id  # type: ignore[attr-defined]  # a DepthChange
    if last_id <= seen_id:
        return copy
    assert first_id <= seen_id + 1, "a gap between the snapshot and what follows"
    new = dict(levels)
    for side, rows in (("bid", change.bids), ("ask", change.asks)):  # type: ignore[attr-defined]
        for price, quantity in rows:
            if quantity == ZERO:
                new.pop((side, price), None)
            else:
                new[side, price] = quantity
    return last_id, new


@pytest.fixture
def venue() -> _Venue:
    return _Venue()


def test_nothing_is_told_where_nothing_changed(venue: _Venue) -> None:
    watch = DepthWatch(venue.market, _SYMBOL, venue.state_id, venue.now_ms)
    assert watch.change(venue.now_ms) is None
    venue.now_ms += 1
    assert watch.change(venue.now_ms) is None or watch.change(venue.now_ms) is None


def test_a_level_that_went_and_came_back_is_told(venue: _Venue) -> None:
    """A snapshot in between would keep it otherwise."""
    watch = DepthWatch(venue.market, _SYMBOL, venue.state_id, venue.now_ms)
    before = venue.levels()
    venue.take(Side.BUY, 10)
    watch.touch(venue.now_ms)
    venue.now_ms += 20_000  # past the step, so the taken level may stand again
    change = watch.change(venue.now_ms)
    assert change is not None
    gone = min(price for side, price in before if side == "ask")
    assert gone in [price for price, _ in change.asks]
