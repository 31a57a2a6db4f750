"""What a start with many open orders asks of the venue, and that what it leaves out is nothing (R19, R34, INV-22)."""

from __future__ import annotations

import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.engine.startup import Startup
from tradecore.engine.sweeping import Sweeping
from tradecore.model.events import SweepReport
from tradecore.model.order import AttemptState, NewOrder
from tradecore.model.places import STORE_FILE
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, sizer, wisher
from tradecore.testing.harness import Scene, play
from tradecore.testing.records import records_of

GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
#: Weights at Binance.
WEIGHT = {"trades": 20, "open_orders": 80, "order": 4, "balances": 20, "recent_orders": 20}
BEGIN_MS, MORE_MS = 150_000, 5_000
WHOLE, PART, CANCELLED, BOUGHT, ROUND_TRIP = "whole", "part", "cancelled", "bought", "round trip"
HAPPENS = (WHOLE, PART, CANCELLED, BOUGHT, ROUND_TRIP)


def symbols_of(count):
    return tuple(f"S{number:02d}/USDT" for number in range(count))


def scene_of(symbols, for_ms):
    """Each symbol gets an order that rests at half a percent below the price."""
    source = ScriptedSource({symbol: closing_at(*(100,) * 14) for symbol in symbols})
    guests = [
        wisher({1: symbols}),
        sizer("1"),
        allower(),
        router((GTC, "-50", 400_000)),
        leader(leave_after_ms=900_000),
    ]
    sets = ("market.between_closes=false", "intervals.reconcile_s=60", "shutdown.policy=keep", "twin.latency_ms=0")
    return Scene(source, guests, sets, for_ms=for_ms)


def opened(folder, symbols):
    """Trade until an order stands on each symbol, and leave them."""
    play(scene_of(symbols, BEGIN_MS), folder)
    states = [attempt.state for attempt in records_of(folder / STORE_FILE).attempts]
    assert states == [AttemptState.OPEN] * len(symbols)


def befall(venue, symbol, what):
    """Let something happen at the venue while nobody of ours looks."""
    engine, now_ms = venue.engine, venue.outside._led()
    (ours,) = [order for order in engine.open_orders.values() if order.symbol == symbol]
    match what:
        case "whole" | "part":
            engine.fill_now(ours, now_ms, Decimal(1) if what == WHOLE else Decimal("0.5"))
            engine.state.commit()
        case "cancelled":
            venue.outside.cancel(symbol, ours.wire_id)
        case _:
            sides = [Side.BUY, Side.SELL] if what == ROUND_TRIP else [Side.BUY]
            for side in sides:
                limit = Decimal(110) if side is Side.BUY else Decimal(90)
                placed = venue.outside.place(NewOrder(f"by-hand-{side}", symbol, side, IOC, limit, Decimal(2)))
                assert placed.trades, placed


class Start:
    """What one start asked for, and the books as it left them."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.books = {}
        self.trades_step = ""

    @property
    def weight(self):
        return sum(WEIGHT[name] * count for name, count in self.asked.items())


def started(folder, symbols, happened, *, whole=False):
    """Start on a copy of a state after something has happened; the copy is dropped."""
    seen = Start()

    async def run(self, *words):
        desk, venue = self._desk, self._desk.venue
        for symbol, what in happened.items():
            befall(venue, symbol, what)
        asked: Counter[str] = Counter()
        for name in WEIGHT:
            setattr(venue, name, _counting(asked, name, getattr(venue, name)))
        await real(self, *words)
        seen.asked = Counter(asked)
        books = desk.books
        seen.books = {
            "balances": {key: amount for key, amount in books.balances.items() if amount},
            "attempts": {a.symbol: (a.state, a.outcome, a.executed_quantity, a.booked_quantity)
                         for a in books.attempts.values()},
            "positions": {p.symbol: p.quantity for p in books.positions.values()},
            "consumed": {row.intent_id: row.consumed for row in books.reservations.values()},
            "fills": sorted((fill.trade.symbol, fill.trade.quantity, fill.trade.price)
                            for a in desk.store.load().attempts for fill in desk.store.fills_of(a.client_order_id)),
        }  # fmt: skip

    real = Startup.run
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as made:
        patch.setattr(Startup, "run", run)
        if whole:
            patch.setattr(Sweeping, "read_traces", Sweeping.read_trades)
        copy = Path(made) / "state"
        shutil.copytree(folder, copy)
        played = play(scene_of(symbols, BEGIN_MS + MORE_MS), copy)
        assert not played.violations()
        seen.trades_step = played.notes(SweepReport)[-1].event.steps[5].result
    return seen


def _counting(asked, name, call):
    async def counted(*args, **words):
        asked[name] += 1
        return await call(*args, **words)

    return counted


def test_r34_what_a_start_weighs_does_not_grow_with_orders_that_stand_as_booked(tmp_path):
    weights = {}
    for count in (4, 16):
        symbols = symbols_of(count)
        opened(tmp_path / str(count), symbols)
        start = started(tmp_path / str(count), symbols, {})
        assert start.trades_step == f"0 of {count} symbols read, nothing new"
        weights[count] = start.weight
    assert weights[4] == weights[16] == 80 + 2 * 20


@pytest.mark.parametrize("changed", [1, 3])
def test_r34_each_order_that_differs_adds_its_own_reads_and_no_others(tmp_path, changed):
    symbols = symbols_of(12)
    opened(tmp_path / "state", symbols)
    happened = dict(zip(symbols, (WHOLE, PART, CANCELLED)[:changed], strict=False))
    start = started(tmp_path / "state", symbols, happened)
    assert start.asked["trades"] == changed
    assert start.weight <= 2 * 80 + 3 * 20 + changed * (20 + 4)
    assert start.trades_step == f"{changed} of 12 symbols read, something new"


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A state with five open orders."""
    folder = tmp_path_factory.mktemp("standing") / "state"
    opened(folder, symbols_of(5))
    return folder


@settings(max_examples=12, deadline=None)
@given(happened=st.dictionaries(st.sampled_from(symbols_of(5)), st.sampled_from(HAPPENS)))
def test_inv22_whatever_happened_meanwhile_the_books_are_those_of_a_start_that_reads_all(standing, happened):
    symbols = symbols_of(5)
    cheap, full = started(standing, symbols, happened), started(standing, symbols, happened, whole=True)
    assert full.asked["trades"] >= 5
    assert cheap.asked["trades"] <= full.asked["trades"]
    assert cheap.books == full.books


@pytest.mark.parametrize("what", HAPPENS)
def test_inv22_each_thing_that_may_happen_is_found(standing, what):
    symbols = symbols_of(5)
    cheap, full = (started(standing, symbols, {symbols[2]: what}, whole=whole) for whole in (False, True))
    assert cheap.books == full.books
    assert cheap.asked["trades"] >= 1
