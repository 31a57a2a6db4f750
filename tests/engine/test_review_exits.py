"""Exits, as a review of the engine broke them: refused adds, refused commits, mad routers, late fills.

Each test is the story of one defect that was found and mended.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

from tradecore.errors import StoreError
from tradecore.market.answers import Plan
from tradecore.model.events import (
    AlertFired,
    DecisionOutcome,
    PositionClosed,
    SellSizingCalc,
    SellTriggerEval,
)
from tradecore.model.intent import IntentState
from tradecore.model.order import NewOrder, OrderRequest
from tradecore.model.position import Position, PositionState
from tradecore.model.signal import Size
from tradecore.model.units import Side, TimeInForce, add_bps
from tradecore.testing.around import AroundStore
from tradecore.testing.factories import (
    ScriptedSource,
    closing_at,
    instrument,
    leader,
    make_guest,
    router,
    row_close_ms,
    sizer,
)
from tradecore.testing.harness import at, twin_of

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A, B = "AAA/USDT", "BBB/USDT"
DIPS = [*closing_at(100, 100), (100.0, 100.0, 97.0, 100.0, 1_000.0), *closing_at(*(100,) * 8)]
"""Meets a stop once, for a moment, in row 2."""
DIP_MS = row_close_ms(1) + 20_000


def ms(stamped):
    return stamped.at_ns // 1_000_000


def errors(played):
    return dict(played.summary["errors"])


def outcomes(played):
    return Counter(e.event.outcome for e in played.notes(DecisionOutcome))


def alarms(played, name):
    return [e.event.text for e in played.notes(AlertFired) if e.event.name == name]


def later(engine, moment_ms, act):
    """Have a coroutine run at a moment of market time."""
    at(engine, moment_ms, lambda: engine.desk.spawn(act(), f"act at {moment_ms}"))


# A refused add (the stop is watched on) --------------------------------------------------------------------------


def test_refused_add_leaves_the_stop_watched_within_the_row(run, scene):
    """The price falls through the add level, which nobody wants to pay for, and on through the stop."""
    rows = [*closing_at(100, 100, 100), (98.0, 100.0, 90.0, 99.9, 1_000.0), *closing_at(*(99.9,) * 4)]

    def size(signal):
        return Size(Decimal(0) if signal.position_id else Decimal(1), "no adds")

    found = []
    for add in ({}, {"add": 0.985, "add_quote": 50.0}):
        story = scene(
            source=ScriptedSource({A: rows}), size=make_guest("size", size=size), guests=[leader(stop=0.95, **add)]
        )
        played = run(story, f"add-{len(found)}")
        (trigger,) = played.notes(SellTriggerEval)
        found.append((trigger.event.reason, ms(trigger)))
        assert played.summary["positions_open"] == 0
    assert outcomes(played)["SIZE_ZERO"] == 1
    assert found[0] == found[1] == ("STOP_LOSS", row_close_ms(2) + 20_000)


# A store that refuses on the way out -----------------------------------------------------------------------------


class Refusing(AroundStore):
    """Refuses the first commit that a test picks: nothing of it is written."""

    def __init__(self, inner, pick):
        super().__init__(inner)
        self._pick = pick
        self.refused = 0

    async def commit(self, rows, events):
        if not self.refused and self._pick(rows, events):
            self.refused += 1
            raise StoreError("expected a disk, was told to refuse once")
        return await super().commit(rows, events)


def play_refused(run, story, pick, begin=None):
    stores = []

    def around(store):
        stores.append(Refusing(store, pick))
        return stores[-1]

    played = run(story, begin=begin, around=around, errors=None)
    assert stores[0].refused == 1
    return played


def tells(kind):
    return lambda _, events: any(isinstance(e.event, kind) for e in events)


def holds(**fields):
    def pick(rows, _):
        return any(isinstance(r, Position) and all(getattr(r, k) == v for k, v in fields.items()) for r in rows)

    return pick


def refuse_first_sell(engine):
    at(engine, row_close_ms(1) + 5_000, lambda: twin_of(engine).faults.once("insufficient_30005"))


def lock_the_coin(engine):
    """Somebody's order holds the coin until half a second after the stop was met."""
    outside = twin_of(engine).outside
    theirs = NewOrder("by-hand", A, Side.SELL, GTC, Decimal(200), Decimal(1))
    at(engine, row_close_ms(1) + 5_000, lambda: outside.place(theirs))
    later(engine, row_close_ms(1) + 6_000, engine.money.refresh)
    at(engine, DIP_MS + 500, lambda: outside.cancel(A, "by-hand"))


@pytest.mark.parametrize(
    ("pick", "begin"),
    [
        pytest.param(tells(SellTriggerEval), None, id="leave"),
        pytest.param(tells(SellSizingCalc), None, id="create"),
        pytest.param(holds(exit_attempts=1), refuse_first_sell, id="again"),
        pytest.param(holds(state=PositionState.UNSELLABLE), lock_the_coin, id="cannot"),
    ],
)
def test_position_is_sold_within_seconds_though_the_store_fails_once(run, scene, pick, begin):
    """The price is back at once, so nothing but what was decided sells it."""
    story = scene(source=ScriptedSource({A: DIPS}), guests=[leader(stop=0.985)])
    played = play_refused(run, story, pick, begin)
    (closed,) = played.notes(PositionClosed)
    assert closed.event.reason == "STOP_LOSS"
    assert 0 < ms(closed) - DIP_MS < 5_000
    assert alarms(played, "store_unavailable")


@pytest.mark.parametrize("leave", [False, True], ids=["stop", "leave"])
def test_plans_that_the_store_refuses_leave_positions_led(run, scene, leave):
    """Row 3's plans are not written: the stop of before is watched all the same, and who wanted to leave leaves."""
    rows = [*closing_at(100, 100, 101, 102), (102.0, 102.0, 90.0, 102.0, 1_000.0), *closing_at(*(102,) * 4)]
    clocks = []

    def pick(rows, events):
        late = bool(clocks) and clocks[0].now_ms() >= row_close_ms(3)
        return late and any(isinstance(r, Position) for r in rows)

    guest = leader(stop=0.5 if leave else 0.985, leave_rows=(3,) if leave else ())
    story = scene(source=ScriptedSource({A: rows}), guests=[guest])
    played = play_refused(run, story, pick, lambda engine: clocks.append(engine.desk.clock))
    (closed,) = played.notes(PositionClosed)
    met_ms = row_close_ms(3) if leave else row_close_ms(3) + 20_000
    assert 0 < ms(closed) - met_ms < 1_000
    assert errors(played) == {"StoreError": 1}


def test_first_plan_of_a_position_is_asked_for_again(run, scene):
    """The levels of a new position are refused: nothing would watch it for the rest of its row."""
    played = play_refused(
        run, scene(source=ScriptedSource({A: DIPS}), guests=[leader(stop=0.985)]),
        lambda rows, _: any(isinstance(r, Position) and r.levels.stop is not None for r in rows),
    )  # fmt: skip
    (closed,) = played.notes(PositionClosed)
    assert 0 < ms(closed) - DIP_MS < 1_000


# Routers that stumble --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", ["1E+130", "1E+999999"])
def test_extreme_price_of_a_router_costs_an_exit_nothing_and_quarantines(run, scene, price):
    def route_order(intent, book):
        if intent.reduces:
            return OrderRequest(IOC, Decimal(price), intent.quantity, 2_000, "mad")
        return OrderRequest(IOC, add_bps(book.best_ask, Decimal(20)), intent.quantity, 2_000, "sound")

    story = scene(
        *(100,) * 12, buys={1: (A,), 4: (A,), 7: (A,)}, route=make_guest("route", route_order=route_order),
        guests=[leader(leave_after_ms=30_000)],
    )  # fmt: skip
    played = run(story)
    sold = [ms(c) - ms(t) for t, c in zip(played.notes(SellTriggerEval), played.notes(PositionClosed), strict=True)]
    assert len(sold) == 3
    assert max(sold) < 200
    assert played.summary["quarantined"] == ["route.route_order"]
    assert errors(played) == {}


def test_what_nobody_expected_takes_an_exit_to_the_ladder_of_the_core(run, scene):
    def begin(engine):
        route = engine.desk.calls.route

        def stumbles(intent, *arguments):
            if intent.reduces:
                raise RuntimeError("nobody expected this")
            return route(intent, *arguments)

        engine.desk.calls.route = stumbles

    story = scene(source=ScriptedSource({A: DIPS}), guests=[leader(stop=0.985)], route=router((IOC, "20", 2_000)))
    played = run(story, begin=begin, errors=True)
    (closed,) = played.notes(PositionClosed)
    assert 0 < ms(closed) - DIP_MS < 1_000
    assert errors(played) == {"RuntimeError": 1}


# Positions of unusual ways ---------------------------------------------------------------------------------------


def test_position_above_max_quantity_is_sold_without_waits(run, scene):
    """Seven orders of the largest size that the venue takes, one after the other: no back-off between them."""

    def follow(rows, position):
        price = float(position.average_price)
        return Plan(stop=np.full(len(rows), price * 0.95), add=np.full(len(rows), price), add_quote=100.0)

    rows = [*closing_at(*(100,) * 7), (100.0, 100.0, 90.0, 90.0, 1e6), *closing_at(*(90,) * 4)]
    source = ScriptedSource({A: rows}, {A: instrument(A, max_quantity="1")})
    story = scene(
        source=source, route=router((IOC, "30", 2_000)), guests=[make_guest("lead", follow=follow)],
        sets=("twin.depth_quote=1000000",),
    )  # fmt: skip
    played = run(story)
    (trigger,), (closed,) = played.notes(SellTriggerEval), played.notes(PositionClosed)
    sells = [row for row in played.records.intents if row.intent.side is Side.SELL]
    assert len(sells) >= 6
    assert {row.state for row in sells} == {IntentState.FILLED}
    assert ms(closed) - ms(trigger) < 200 * len(sells)


def test_position_reopened_by_a_late_fill_counts_once(run, scene):
    """Half of an order is bought and sold again; then the venue finds another part of it, which is sold too."""
    looked = []

    def begin(engine):
        twin = twin_of(engine)
        twin.faults.once("partial_fill", 0.01)

        def found():
            looked.append((engine.tally.positions_closed, len(engine.desk.books.closed)))
            order = next(o for o in twin.truth().orders() if o.side is Side.BUY or str(o.side) == "buy")
            now = engine.desk.clock.now_ms()
            placed = twin.engine.state.by_wire_id(A, order.wire_id)
            clearing = twin.engine._clearing
            clearing.open_orders[placed.number] = placed
            clearing.relock(placed)
            clearing.fill(placed, placed.price, Decimal("0.3"), now, maker=True)
            clearing.end(placed, placed.status, now)
            twin.engine.state.put_order(placed)
            twin.engine.state.commit()

        async def late():
            found()
            await engine.resolver.sweep(A, 0)

        def look():
            looked.append((engine.tally.positions_closed, len(engine.desk.books.closed)))

        later(engine, row_close_ms(4) + 500, late)
        at(engine, row_close_ms(8), look)

    story = scene(
        100, 100, 90, *(90,) * 8, guests=[leader(stop=0.985)], size=sizer("20"), route=router((IOC, "20", 2_000))
    )
    played = run(story, begin=begin)
    (position,) = played.records.positions
    assert position.state is PositionState.CLOSED
    assert looked == [(1, 1), (1, 1)]
    first, last = played.notes(PositionClosed)
    assert (played.summary["positions_closed"], Decimal(played.summary["realised_pnl"])) == (
        1, last.event.realised_pnl_quote,
    )  # fmt: skip
    assert last.event.realised_pnl_quote < first.event.realised_pnl_quote
