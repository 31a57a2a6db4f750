"""Orders, attacked: late, wrong and contradicting evidence at the worst moment.

Nothing is over-bought, doubled or forgotten.

Each story was told first to an engine that got it wrong, or names the line that a mutation of it broke.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tradecore.engine.halts import halt_entries
from tradecore.engine.intents import create_intents
from tradecore.errors import DuplicateRecord, RetryableVenueError
from tradecore.model.events import AlertFired, OrderFailed
from tradecore.model.fill import VenueTrade
from tradecore.model.intent import IntentState
from tradecore.model.order import Attempt, AttemptState, OrderReport, Outcome, Placement, PlacementKind, VenueStatus
from tradecore.model.reasons import Reason
from tradecore.model.units import Side, TimeInForce
from tradecore.ports.limiter import Priority
from tradecore.ports.venue import TradePage
from tradecore.testing.around import AroundStore
from tradecore.testing.factories import ScriptedSource, closing_at, router, row_close_ms, sizer
from tradecore.testing.harness import at, twin_of

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A, B = "AAA/USDT", "BBB/USDT"
S = AttemptState
RESTING = router((GTC, "-50", 5_000))
UNKNOWN = Placement(PlacementKind.UNKNOWN, Reason.OUTCOME_UNKNOWN, detail="no answer came")
THIN = ("twin.depth_quote=50",)
"""Levels so thin that an order of 2 fills in several trades."""


def alarms(played, *names):
    return [e.event.name for e in played.notes(AlertFired) if not names or e.event.name in names]


def later(engine, moment_ms, act):
    """Have a coroutine run at a moment of market time."""
    at(engine, moment_ms, lambda: engine.desk.spawn(act(), f"act at {moment_ms}"))


def fill_after_all(engine, order, quantity):
    """Have the venue find a fill of an order that had ended."""
    twin, now = twin_of(engine), engine.desk.clock.now_ms()
    placed = twin.engine.state.by_wire_id(A, order.wire_id)
    clearing = twin.engine._clearing
    clearing.open_orders[placed.number] = placed
    clearing.relock(placed)
    clearing.fill(placed, placed.price, quantity, now, maker=True)
    clearing.end(placed, placed.status, now)
    twin.engine.state.put_order(placed)
    twin.engine.state.commit()


def sound_but_for_what_is_prepared(played):
    """All invariants; an order that was prepared before the late evidence came, and is never sent, needs no money."""
    assert [str(found) for found in played.violations() if found.invariant != "INV-5"] == []
    assert played.summary["errors"] == {}


# Fills that come while an order is on its way ----------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["lost", "refused"])
def test_inv4_a_fill_that_is_booked_before_the_answer_to_the_send_is_kept(run, scene, answer):
    """A sweep books the first trade of an order whose send is under way; then its answer is lost, or says no."""
    seen = []

    def begin(engine):
        twin = twin_of(engine)
        place, trades = twin.place, twin.trades

        async def first_only(symbol, cursor, since_ms):
            page = await trades(symbol, cursor, since_ms)
            return page._replace(trades=page.trades[:1], cursor=cursor, more=False)

        async def placed(order):
            twin.place = place
            await place(order)
            twin.trades = first_only
            await engine.resolver.sweep(A, 0)
            twin.trades = trades
            (attempt,) = engine.desk.books.live_attempts()
            seen.append((attempt.state, attempt.booked_quantity))
            if answer == "lost":
                return UNKNOWN
            return Placement(PlacementKind.REJECTED, Reason.VENUE_REJECTED, "BAD_PARAMETER", "no such luck")

        twin.place = placed

    played = run(scene(*(100,) * 8, size=sizer("2"), sets=THIN, route=router((IOC, "300", 2_000))), begin=begin)
    ((state, booked),) = seen
    assert state is S.SENDING
    assert 0 < booked < 2
    (attempt, *_) = played.records.attempts
    assert attempt.state is S.SETTLED
    assert attempt.outcome in {Outcome.EXPIRED, Outcome.FILLED}
    assert attempt.booked_quantity > booked
    assert played.summary["pending"] == []


def test_inv1_a_late_fill_while_the_next_rung_waits_for_its_turn_is_not_bought_again(run, scene):
    """The first IOC ended unfilled; its fill turns up while the second, prepared for the whole, stands in line."""

    def begin(engine):
        twin, limiter = twin_of(engine), engine.desk.limiter
        twin.faults.once("no_liquidity")
        acquire, turns = limiter.acquire, []

        async def in_line(priority, **facts):
            if priority is Priority.ORDER:
                turns.append(priority)
                if len(turns) == 2:
                    (order,) = twin.truth().orders()
                    fill_after_all(engine, order, Decimal("0.6"))
                    await engine.resolver.sweep(A, 0)
            return await acquire(priority, **facts)

        limiter.acquire = in_line

    story = scene(*(100,) * 8, route=router((IOC, "20", 2_000), (IOC, "40", 2_000), (IOC, "40", 2_000)))
    played = run(story, begin=begin, sound=False)
    sound_but_for_what_is_prepared(played)
    first, second, third = played.records.attempts
    assert (first.executed_quantity, second.outcome, second.code) == (Decimal("0.6"), Outcome.NOT_SENT, "STALE_DATA")
    assert (third.request.quantity, third.outcome) == (Decimal("0.4"), Outcome.FILLED)
    assert played.truth.total("AAA") == 1


def test_inv13_an_order_that_comes_back_while_the_next_rung_waits_is_settled_first(run, scene):
    """The first order ended, by the venue's word; while the second stands in line the venue lists it as open."""

    def begin(engine):
        twin, limiter = twin_of(engine), engine.desk.limiter
        acquire, turns = limiter.acquire, []
        twin.faults.once("lost_request")

        async def in_line(priority, **facts):
            if priority is Priority.ORDER:
                turns.append(priority)
                if len(turns) == 2:
                    (attempt,) = [a for a in engine.desk.books.attempts.values() if a.outcome is Outcome.NOT_PLACED]
                    report = report_for(attempt, VenueStatus.OPEN, "0")
                    await engine.settler.apply(attempt.client_order_id, report)
            return await acquire(priority, **facts)

        limiter.acquire = in_line
        order = twin.order

        async def found(symbol, wire_id):
            attempt = engine.desk.store.attempt_by_wire_id(wire_id)
            if attempt.number == 1 and attempt.state in {S.OPEN, S.CANCELING}:
                return report_for(attempt, VenueStatus.CANCELED, "0")
            return await order(symbol, wire_id)

        twin.order = found

    sets = ("engine.intent_ttl_s=600",)
    story = scene(*(100,) * 12, sets=sets, route=router((IOC, "20", 2_000), (IOC, "40", 2_000), (IOC, "40", 2_000)))
    played = run(story, begin=begin, sound=False)
    sound_but_for_what_is_prepared(played)
    first, second, third = played.records.attempts
    assert (first.state, first.outcome) == (S.SETTLED, Outcome.CANCELED)
    assert (second.outcome, second.code) == (Outcome.NOT_SENT, "STALE_DATA")
    assert third.outcome is Outcome.FILLED
    assert first.settled_ms <= third.sent_ms
    assert len(played.truth.orders) == 1


def in_line(engine, number, act):
    """Have something happen while an order stands in line for its turn at the limiter; `number` from 1."""
    acquire, turns = engine.desk.limiter.acquire, []

    async def waiting(priority, **facts):
        if priority is Priority.ORDER:
            turns.append(priority)
            if len(turns) == number:
                await act()
        return await acquire(priority, **facts)

    engine.desk.limiter.acquire = waiting


def test_inv13_an_order_of_an_ended_intent_that_comes_back_holds_the_next_entry(run, scene):
    """Two intents on one symbol in turn; the first one's order turns up while the second one's stands in line."""

    def begin(engine):
        twin_of(engine).faults.once("no_liquidity")

        async def back():
            (order,) = twin_of(engine).truth().orders()
            attempt = engine.desk.store.attempt_by_wire_id(order.wire_id)
            fill_after_all(engine, order, Decimal("0.5"))
            await engine.settler.apply(attempt.client_order_id, report_for(attempt, VenueStatus.OPEN, "0.5"))

        in_line(engine, 2, back)

    played = run(
        scene(*(100,) * 9, buys={1: (A,), 4: (A,)}, route=router((IOC, "20", 2_000))), begin=begin, sound=False
    )
    sound_but_for_what_is_prepared(played)
    first, second = played.records.attempts
    assert (first.state, first.booked_quantity) == (S.SETTLED, Decimal("0.5"))
    assert (second.outcome, second.code) == (Outcome.NOT_SENT, "SYMBOL_BUSY")
    assert len(played.truth.orders) == 1


def test_inv11_a_symbol_that_is_halted_while_an_order_stands_in_line_gets_none(run, scene):
    def begin(engine):
        async def halted():
            engine.desk.instruments[A] = engine.desk.instruments[A]._replace(can_buy=False)

        in_line(engine, 1, halted)

    played = run(scene(*(100,) * 5), begin=begin)
    (attempt,) = played.records.attempts
    assert (attempt.outcome, attempt.code) == (Outcome.NOT_SENT, "SYMBOL_HALTED")
    assert played.truth.orders == ()


def test_inv15_trading_that_is_halted_while_an_order_stands_in_line_sends_none(run, scene):
    def begin(engine):
        in_line(engine, 1, lambda: halt_entries(engine.desk, "test", "while it stands in line"))

    played = run(scene(*(100,) * 5), begin=begin)
    (attempt,) = played.records.attempts
    assert (attempt.outcome, attempt.code) == (Outcome.NOT_SENT, "TRADING_HALTED")
    assert played.truth.orders == ()


def report_for(attempt, status, executed, **facts):
    """The venue's word on an attempt."""
    from_request = attempt.request
    fields = {
        "wire_id": attempt.wire_id, "venue_order_id": attempt.venue_order_id or "T777", "symbol": attempt.symbol,
        "side": attempt.side, "status": status, "price": from_request.price, "quantity": from_request.quantity,
        "executed_quantity": Decimal(executed), "executed_quote": None, "time_in_force": None, "updated_ms": 0,
    }  # fmt: skip
    return OrderReport(**fields | facts)


class Slow(AroundStore):
    """Takes its time over the commit that ends an order; evidence that brings it back comes meanwhile."""

    engine = None
    done = False

    async def commit(self, rows, events):
        settled = [row for row in rows if isinstance(row, Attempt) and row.state is S.SETTLED]
        if settled and not self.done:
            self.done = True
            report = report_for(settled[0], VenueStatus.OPEN, "0.3")
            self.engine.desk.spawn(self.engine.settler.apply(settled[0].client_order_id, report), "late evidence")
            await self.engine.desk.clock.sleep(0.1)
        return await super().commit(rows, events)


def test_an_order_that_comes_back_at_its_intents_last_moment_keeps_the_intent_alive(run, scene):
    """The intent is about to end and waits for the books: before it stands who brings its order back."""
    stores = []

    def around(store):
        stores.append(Slow(store))
        return stores[-1]

    def begin(engine):
        stores[0].engine = engine
        twin = twin_of(engine)
        twin.faults.always("no_liquidity")

        def fill():
            (placed,) = twin.truth().orders()
            fill_after_all(engine, placed, Decimal("0.3"))

        at(engine, row_close_ms(1) + 500, fill)

    played = run(scene(*(100,) * 9, route=router((IOC, "20", 2_000))), begin=begin, around=around, sound=False)
    assert played.summary["errors"] == {}
    assert stores[0].done
    (row,), (attempt,) = played.records.intents, played.records.attempts
    assert row.state is IntentState.PARTIAL
    assert (attempt.state, attempt.booked_quantity) == (S.SETTLED, Decimal("0.3"))
    assert played.summary["pending"] == []
    assert played.summary["reserved"] == "0"
    # the evidence came half a second before its fill could be seen: executed ran ahead of the venue for so long
    assert [str(found) for found in played.violations() if found.invariant != "INV-7"] == []


# Answers about another order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        {"wire_id": "0" * 32}, {"side": Side.SELL}, {"symbol": B}, {"quantity": Decimal(7)},
        {"quantity": None, "executed_quantity": Decimal(7)},
    ],
    ids=["id", "side", "symbol", "quantity", "executed"],
)  # fmt: skip
def test_f45_look_ups_that_answer_with_another_order_prove_nothing(run, scene, facts):
    """Every read answers with an order that cannot be ours: it is alarmed, the order is STUCK, and found in the end."""

    def begin(engine):
        twin = twin_of(engine)
        twin.faults.once("lost_ack")
        order = twin.order

        async def other(symbol, wire_id):
            report = await order(symbol, wire_id)
            return report._replace(**facts, trades=()) if report is not None else None

        twin.order = other
        at(engine, row_close_ms(5), lambda: setattr(twin, "order", order))

    played = run(scene(*(100,) * 9), begin=begin)
    (attempt,) = played.records.attempts
    assert (attempt.outcome, attempt.executed_quantity) == (Outcome.FILLED, 1)
    assert set(alarms(played)) >= {"another_order", "order_stuck"}
    assert alarms(played, "another_order") == ["another_order"]
    assert {e.event.code for e in played.notes(OrderFailed)} >= {"ECHO_MISMATCH"}
    assert played.truth.total("AAA") == 1


def test_inv3_our_id_on_another_market_is_an_order_that_nobody_leads(run, scene):
    """A list shows our id on another symbol: no row explains it, so it is cancelled and alarmed, and books nothing."""
    canceled = []

    def begin(engine):
        twin = twin_of(engine)
        open_orders, cancel = twin.open_orders, twin.cancel

        async def listed(symbol=None):
            (attempt,) = [engine.desk.store.attempt_by_wire_id(one.wire_id) for one in twin.truth().orders()]
            return [*await open_orders(symbol), report_for(attempt, VenueStatus.OPEN, "0", symbol=B)]

        async def asked(symbol, wire_id, venue_order_id):
            canceled.append(symbol)
            return await cancel(symbol, wire_id, venue_order_id)

        twin.cancel = asked

        async def look():
            twin.open_orders = listed
            await engine.reconciler.run("running")
            twin.open_orders = open_orders

        later(engine, row_close_ms(3) + 1_000, look)

    rows = {A: closing_at(*(100,) * 8), B: closing_at(*(100,) * 8)}
    played = run(scene(source=ScriptedSource(rows)), begin=begin)
    assert canceled == [B]
    assert alarms(played, "orphan_order") == ["orphan_order"]
    (attempt,) = played.records.attempts
    assert (attempt.symbol, attempt.executed_quantity) == (A, 1)


@pytest.mark.parametrize(
    ("facts", "quantity"),
    [({"symbol": B}, "0.5"), ({"side": Side.SELL}, "0.5"), ({}, "0.5"), ({"late": True}, "0.5")],
    ids=["symbol", "side", "whole already", "days later"],
)  # fmt: skip
def test_inv1_a_trade_with_an_id_of_ours_that_cannot_be_its_fill_is_somebody_elses(run, scene, facts, quantity):
    """Order ids come again at some venues: the coins moved, so it is booked, but as no fill of ours."""
    filled = "late" not in facts

    def begin(engine):
        twin = twin_of(engine)
        if not filled:
            twin.faults.always("no_liquidity")

        async def swept():
            (order,) = twin.truth().orders()
            (trade,) = [await told(order, engine.desk.clock.now_ms())]
            await engine.settler.book([trade], (A, "i:99"))

        async def told(order, now):
            traded = now + 3 * 86_400_000 if not filled else now
            whole = VenueTrade(
                "9007199254740993", order.venue_order_id, "", A, order.side, Decimal(100), Decimal(quantity),
                Decimal(50), Decimal(0), "", True, traded,
            )  # fmt: skip
            return whole._replace(**{name: value for name, value in facts.items() if name != "late"})

        later(engine, row_close_ms(4), swept)

    played = run(scene(*(100,) * 8, route=router((IOC, "20", 2_000))), begin=begin, sound=False)
    (attempt,) = played.records.attempts
    assert attempt.booked_quantity == attempt.executed_quantity == (1 if filled else 0)
    assert [fill.trade.symbol for fill in played.records.fills] == ([A] if filled else [])
    expected = [] if facts.get("symbol") else ["foreign_trade"]
    assert alarms(played, "foreign_trade") == expected
    assert alarms(played, "external_trade") == ["external_trade"]
    assert alarms(played, "late_fill") == []


# Ends that contradict themselves -----------------------------------------------------------------------------------


def test_inv1_filled_with_less_executed_than_ordered_is_read_again(run, scene):
    """The status runs ahead of the amount: the rest is not ordered a second time."""

    def begin(engine):
        twin = twin_of(engine)
        place, order, left = twin.place, twin.order, [3]

        def old(report):
            return report._replace(executed_quantity=Decimal("0.4"), executed_quote=Decimal("0"), trades=())

        async def placed(request):
            answer = await place(request)
            return answer._replace(report=old(answer.report))

        async def read(symbol, wire_id):
            report = await order(symbol, wire_id)
            left[0] -= 1
            return old(report) if report is not None and left[0] >= 0 else report

        twin.place, twin.order = placed, read
        twin.trades, trades = nothing_yet(twin.trades), twin.trades
        at(engine, row_close_ms(3), lambda: setattr(twin, "trades", trades))

    played = run(scene(*(100,) * 8), begin=begin)
    (attempt,) = played.records.attempts
    assert (attempt.outcome, attempt.executed_quantity) == (Outcome.FILLED, 1)
    assert alarms(played, "filled_in_part") == ["filled_in_part"]
    assert played.truth.total("AAA") == 1


def test_inv1_an_end_that_names_no_amount_is_read_again(run, scene):
    """EXPIRED, and not a word of how much was executed, three reads long: nothing is taken for zero."""

    def begin(engine):
        twin = twin_of(engine)
        twin.faults.always("ack_without_status")
        order, left, twin.trades, trades = twin.order, [3], nothing_yet(twin.trades), twin.trades

        async def bare(symbol, wire_id):
            report = await order(symbol, wire_id)
            left[0] -= 1
            silent = report is not None and left[0] >= 0
            return report._replace(executed_quantity=None, executed_quote=None, trades=()) if silent else report

        twin.order = bare
        at(engine, row_close_ms(3), lambda: setattr(twin, "trades", trades))

    story = scene(*(100,) * 8, size=sizer("2"), sets=THIN, route=router((IOC, "300", 2_000)))
    played = run(story, begin=begin)
    (attempt,) = played.records.attempts
    assert 0 < attempt.executed_quantity == attempt.booked_quantity < 2
    assert attempt.outcome is Outcome.EXPIRED
    assert alarms(played, "late_fill") == []


def nothing_yet(trades):
    """Reads of trades that find none."""

    async def empty(symbol, cursor, since_ms):
        page = await trades(symbol, cursor, since_ms)
        return page._replace(trades=(), cursor=cursor, more=False)

    return empty


def test_trades_that_add_up_prove_an_order_filled_though_no_read_finds_it(run, scene):
    """Accepted, then gone from every read of orders, as at venues that forget: its trades are enough."""

    def begin(engine):
        twin = twin_of(engine)
        twin.faults.always("ack_without_status")

        async def gone(symbol, wire_id):
            return None

        twin.order = gone
        later(engine, row_close_ms(3), lambda: engine.resolver.sweep(A, 0))

    played = run(scene(*(100,) * 8), begin=begin)
    (attempt,) = played.records.attempts
    assert (attempt.state, attempt.outcome, attempt.code) == (S.SETTLED, Outcome.FILLED, "FILLED")
    assert played.summary["pending"] == []


def test_inv21_an_order_listed_as_open_long_after_its_end_is_read_again_once(run, scene):
    """The venue said EXPIRED and goes on listing it: it is looked at once more, and a ghost costs no more than that."""
    reads = []

    def begin(engine):
        twin = twin_of(engine)
        twin.faults.always("no_liquidity")
        open_orders, order = twin.open_orders, twin.order

        async def listed(symbol=None):
            attempts = [engine.desk.store.attempt_by_wire_id(one.wire_id) for one in twin.truth().orders()]
            return [*await open_orders(symbol), *(report_for(one, VenueStatus.OPEN, "0") for one in attempts)]

        async def read(symbol, wire_id):
            reads.append(wire_id)
            return await order(symbol, wire_id)

        async def ghosts():
            twin.open_orders, twin.order = listed, read
            for _ in range(3):
                await engine.reconciler.run("running")
                await engine.desk.clock.sleep(20)
            twin.open_orders = open_orders

        later(engine, row_close_ms(4), ghosts)

    played = run(scene(*(100,) * 12, route=router((IOC, "20", 2_000))), begin=begin)
    (attempt,) = played.records.attempts
    assert alarms(played, "order_reopened") == ["order_reopened"]
    assert 1 <= len(reads) <= 3
    assert (attempt.state, attempt.outcome) == (S.SETTLED, Outcome.EXPIRED)
    assert played.summary["pending"] == []


def test_a_fill_of_an_order_called_never_placed_takes_that_word_back(run, scene):
    """Reads lag longer than told; the fill comes by a sweep: how the order ended is read, not guessed."""

    def begin(engine):
        twin = twin_of(engine)
        twin.faults.once("lost_ack")
        twin.faults.always("partial_fill", 0.5)
        twin.faults.always("not_found_for", 600_000)
        twin.trades, trades = nothing_yet(twin.trades), twin.trades

        async def shown():
            (attempt,) = engine.desk.books.attempts.values() or [None]
            assert attempt is None or attempt.outcome is Outcome.NOT_PLACED
            twin.faults.clear()
            twin.trades = trades
            await engine.resolver.sweep(A, 0)

        later(engine, row_close_ms(3), shown)

    story = scene(*(100,) * 9, size=sizer("2"), sets=("twin.depth_quote=100",), route=router((IOC, "20", 2_000)))
    played = run(story, begin=begin, sound=False)
    first = played.records.attempts[0]
    assert first.outcome not in {Outcome.NOT_PLACED, None}
    assert first.state is S.SETTLED
    assert first.executed_quantity == first.booked_quantity > 0
    assert alarms(played, "late_fill") == ["late_fill"]
    assert [str(found) for found in played.violations() if "INV-1:" not in str(found)] == []


def test_f8_an_order_that_no_read_shows_before_the_lag_is_over_is_adopted(run, scene):
    """Accepted, answer lost; reads show what was half a minute ago, as was told: the fence alone is too short."""

    def begin(engine):
        twin_of(engine).faults.once("lost_ack")

    played = run(scene(*(100,) * 8, sets=("twin.read_lag_ms=30000",)), begin=begin)
    (attempt,), (order,) = played.records.attempts, played.truth.orders
    assert (attempt.outcome, attempt.executed_quantity) == (Outcome.FILLED, 1)
    assert attempt.fence_ms + 10_000 < order.accepted_ms + 30_000 <= attempt.settled_ms
    assert played.truth.total("AAA") == 1


def test_f9_a_sweep_reads_page_by_page_until_there_is_no_more(run, scene):
    """Pages of one trade: an order that fills in several is settled by one sweep, not by one for each trade."""

    def begin(engine):
        twin = twin_of(engine)
        twin.faults.always("ack_without_status")
        trades = twin.trades

        async def by_one(symbol, cursor, since_ms):
            every = (await trades(symbol, "", 0)).trades
            start = int(cursor or 0)
            return TradePage(every[start : start + 1], str(min(start + 1, len(every))), start + 1 < len(every))

        twin.trades = by_one

    story = scene(*(100,) * 5, size=sizer("2"), sets=THIN, route=router((IOC, "300", 2_000)))
    played = run(story, begin=begin)
    (attempt,) = played.records.attempts
    assert len(played.records.fills) == len(played.truth.trades) > 1
    assert attempt.settled_ms - attempt.sent_ms < 1_000


# What is old, doubled, odd -----------------------------------------------------------------------------------------


def test_inv7_executed_never_goes_back_and_an_average_of_nothing_is_no_price(run, scene):
    """Reads swing between new and old, with no amount of quote: the next rung asks for the rest, not for more."""
    seen = []

    def begin(engine):
        twin = twin_of(engine)
        order, turn = twin.order, [0]

        async def swinging(symbol, wire_id):
            report = await order(symbol, wire_id)
            turn[0] += 1
            old = report is not None and report.executed_quantity and turn[0] % 2 and report.status is VenueStatus.OPEN
            return report._replace(executed_quantity=Decimal(0), executed_quote=Decimal(0)) if old else report

        twin.order = swinging
        engine.settler.listeners.append(lambda booked: seen.extend(one.fill.client_order_id for one in booked))

    rows = [*closing_at(100, 100), (100.0, 100.0, 99.4, 100.0, 20.0), *closing_at(*(100,) * 6)]
    story = scene(
        source=ScriptedSource({A: rows}), size=sizer("10"), sets=("twin.depth_quote=50000",),
        route=router((GTC, "-40", 50_000), (IOC, "40", 2_000), (IOC, "40", 2_000)),
    )  # fmt: skip
    played = run(story, begin=begin)
    resting, rest = played.records.attempts
    assert 0 < resting.executed_quantity < 10
    assert rest.request.quantity == 10 - resting.executed_quantity
    assert played.truth.total("AAA") == 10
    assert seen


def test_fills_while_a_reconciliation_is_under_way_are_booked_once(run, scene):
    """Every read of a sweep is slow, and the order fills in each gap."""

    def begin(engine):
        twin = twin_of(engine)

        def slow(read):
            async def slowly(*args):
                found = await read(*args)
                await engine.desk.clock.sleep(2)
                return found

            return slowly

        twin.open_orders, twin.trades, twin.balances = slow(twin.open_orders), slow(twin.trades), slow(twin.balances)
        for second in range(0, 200, 3):
            at(engine, row_close_ms(1) + 500 + 1_000 * second, lambda: engine.sweeping.ask("attack"))

    played = run(scene(*(100,) * 8, buys={1: (A,), 3: (A,)}, size=sizer("2"), sets=THIN,
                       route=router((IOC, "300", 2_000), (IOC, "300", 2_000))), begin=begin)  # fmt: skip
    assert len(played.records.fills) == len(played.truth.trades) > 1
    assert played.summary["unexplained_drift"] == "0"


def test_inv10_a_rebate_of_a_fill_that_nobody_has_seen_is_no_deposit(run, scene):
    """A third coin is given for a fill whose order and trades do not answer: what came is not booked as money sent."""

    def begin(engine):
        twin = twin_of(engine)

        async def silent(*_):
            raise RetryableVenueError("no answer")

        def go_silent():
            twin.order = twin.trades = twin.recent_orders = twin.open_orders = silent

        async def prove():
            await engine.money.refresh()
            await engine.reconciler.conservation.prove()

        rebate = twin.engine.market.instruments[A]._replace(maker_fee_bps=Decimal(-1))
        twin.outside.change(rebate)
        engine.desk.instruments[A] = rebate._replace(fee_currency="AAA")  # a real venue does not tell of its own coin
        at(engine, row_close_ms(3) + 1_000, go_silent)
        for second in range(20, 200, 20):
            later(engine, row_close_ms(3) + second * 1_000, prove)

        def answer():
            del twin.order, twin.trades, twin.recent_orders, twin.open_orders

        at(engine, row_close_ms(7), answer)

    dip = (100.0, 100.0, 98.0, 100.0, 500.0)
    rows = [*closing_at(100, 100), dip, *closing_at(100), dip, *closing_at(*(100,) * 6)]
    story = scene(
        source=ScriptedSource({A: rows}), buys={1: (A,), 3: (A,)},
        route=router((GTC, "-20", 3_000_000)),
        sets=("twin.fee_in=other", "twin.fee_coin=BNB", "engine.intent_ttl_s=36000",
              'account.opening={USDT="10000",BNB="50"}'),
    )  # fmt: skip
    played = run(story, begin=begin)
    assert [fill.trade.fee < 0 for fill in played.records.fills] == [True, True]
    assert not [key for key in played.records.balances if key[0] in {"deposit", "withdrawal"}]
    assert played.summary["unexplained_drift"] == "0"


# One wish, many wishes ---------------------------------------------------------------------------------------------


def test_f46_the_same_signal_asked_for_again_and_again_at_once_is_one_intent(run, scene):
    """Whoever asks, and however often at one moment: a signal has one intent, and its symbol one entry."""
    refused = []

    def begin(engine):
        async def again():
            (row,) = engine.desk.books.intents.values()
            copies = [row.intent._replace(intent_id=f"{row.intent.intent_id[:-2]}{n:02}") for n in range(5)]
            made = [create_intents(engine.desk, [copy]) for copy in copies]
            refused.extend(await asyncio.gather(*made, return_exceptions=True))
            assert len(engine.desk.books.intents) == len(engine.desk.books.reservations) == 1

        later(engine, row_close_ms(1) + 1_000, again)

    played = run(scene(*(100,) * 6, route=RESTING, sets=("engine.intent_ttl_s=600",)), begin=begin)
    assert [type(one) for one in refused] == [DuplicateRecord] * 5
    assert len(played.records.intents) == 1


def test_f47_a_hundred_wishes_for_the_last_money_reserve_no_more_than_there_is(run, scene):
    """All in one row: each commit is held against INV-5 and INV-6, and what does not fit says so."""
    symbols = [f"C{number:02}/USDT" for number in range(100)]
    source = ScriptedSource({symbol: closing_at(*(100,) * 5) for symbol in symbols})
    played = run(scene(source=source, buys={1: tuple(symbols)}, sets=('account.opening={USDT="1000"}',)))
    made = len(played.records.intents)
    assert 9 <= made <= 10
    assert played.summary["outcomes"]["BUDGET_EXHAUSTED"] >= 90
    assert played.truth.total("USDT") >= 0
    assert sum(order.executed for order in played.truth.orders) <= 10
