"""Orders, as a review of the engine broke them: ends without amounts, slow commits, orders that come back, lost reads.

Each test is the story of one defect that was found and mended.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradecore.errors import RetryableVenueError
from tradecore.model.events import AlertFired, DecisionOutcome, OrderAttempt, OrderCancel, OrderDone
from tradecore.model.intent import IntentState
from tradecore.model.order import Attempt, AttemptState, Outcome
from tradecore.model.units import TimeInForce
from tradecore.testing.around import AroundStore
from tradecore.testing.factories import ScriptedSource, closing_at, router, row_close_ms, sizer
from tradecore.testing.harness import at, twin_of

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A = "AAA/USDT"
RESTING = router((GTC, "-50", 5_000))


def alarms(played, *names):
    return [e.event.name for e in played.notes(AlertFired) if not names or e.event.name in names]


def outcomes(played):
    """How the candidates ended that wished for something."""
    return [e.event.outcome for e in played.notes(DecisionOutcome)]


def later(engine, moment_ms, act):
    """Have a coroutine run at a moment of market time."""
    at(engine, moment_ms, lambda: engine.desk.spawn(act(), f"act at {moment_ms}"))


async def no_answer(*_):
    raise RetryableVenueError("no answer")


# An end without its quantity -------------------------------------------------------------------------------------


def without_amounts(report):
    return report._replace(executed_quantity=None, executed_quote=None, trades=())


def test_cancel_that_names_no_quantity_is_read_again(run, scene):
    """Reads fail while the order fills in part; the cancel's answer says CANCELED and no amount: nothing is zero."""

    def begin(engine):
        twin = twin_of(engine)
        cancel, order = twin.cancel, twin.order
        twin.order = no_answer

        async def cancelled(symbol, wire_id, venue_order_id):
            twin.order = order
            answer = await cancel(symbol, wire_id, venue_order_id)
            return answer._replace(report=without_amounts(answer.report))

        twin.cancel = cancelled

    rows = [*closing_at(100, 100), (100.0, 100.0, 99.4, 100.0, 20.0), *closing_at(*(100,) * 6)]
    story = scene(
        source=ScriptedSource({A: rows}), size=sizer("10"), sets=("twin.depth_quote=50000",),
        route=router((GTC, "-40", 50_000), (IOC, "40", 2_000), (IOC, "40", 2_000), (IOC, "40", 2_000)),
    )  # fmt: skip
    played = run(story, begin=begin)
    resting, rest = played.records.attempts
    assert 0 < resting.executed_quantity == resting.booked_quantity < 10
    assert (resting.outcome, rest.outcome) == (Outcome.CANCELED, Outcome.FILLED)
    assert rest.request.quantity == 10 - resting.executed_quantity
    assert played.truth.total("AAA") == 10


def test_ack_of_a_filled_order_without_quantity_is_read_again(run, scene):
    def begin(engine):
        twin = twin_of(engine)
        place = twin.place

        async def placed(order):
            answer = await place(order)
            return answer._replace(report=without_amounts(answer.report))

        twin.place = placed

    played = run(scene(*(100,) * 5), begin=begin)
    (attempt,) = played.records.attempts
    assert (attempt.outcome, attempt.booked_quantity) == (Outcome.FILLED, 1)
    assert played.truth.total("AAA") == 1


# A slow commit of SENDING ----------------------------------------------------------------------------------------


class SlowStore(AroundStore):
    """Takes its time over the first row that says SENDING."""

    engine = None
    waited = 0

    def __init__(self, inner, seconds):
        super().__init__(inner)
        self._seconds = seconds

    async def commit(self, rows, events):
        sending = any(isinstance(row, Attempt) and row.state is AttemptState.SENDING for row in rows)
        if self.engine is not None and not self.waited and sending:
            self.waited += 1
            await self.engine.desk.clock.sleep(self._seconds)
        return await super().commit(rows, events)


def play_slowly(run, story, seconds, late_ms):
    stores = []

    def around(store):
        stores.append(SlowStore(store, seconds))
        return stores[-1]

    def begin(engine):
        stores[0].engine = engine
        twin_of(engine).faults.once("late_request", late_ms)

    played = run(story, begin=begin, around=around)
    assert stores[0].waited == 1
    return played


@pytest.mark.parametrize("seconds", [1.1, 6.0])
def test_commit_slower_than_the_fence_allows_is_not_followed_by_a_send(run, scene, seconds):
    played = play_slowly(run, scene(*(100,) * 6), seconds, 4_900)
    (attempt,), (row,) = played.records.attempts, played.records.intents
    assert (attempt.outcome, attempt.code) == (Outcome.NOT_SENT, "STORE_UNAVAILABLE")
    assert attempt.sent_ms is None
    assert (row.state, row.executed_quantity) == (IntentState.FAILED, 0)
    assert played.truth.orders == ()
    assert (played.summary["orders_sent"], played.summary["reserved"]) == (0, "0")


def test_fence_lies_behind_the_slowest_commit_and_the_latest_request(run, scene):
    """The slowest commit that is followed by a send, the latest request that the venue takes: adopted, not doubled."""
    played = play_slowly(run, scene(*(100,) * 6), 1.0, 4_999)
    (attempt,), (order,) = played.records.attempts, played.truth.orders
    assert attempt.outcome is Outcome.FILLED
    timing_ms = 5_000 + 1_000  # receive window and the engine's own time
    assert order.accepted_ms <= attempt.fence_ms
    assert attempt.fence_ms - attempt.sent_ms >= 1_000 + timing_ms


# Orders that come back -------------------------------------------------------------------------------------------


def test_order_called_not_placed_that_stands_is_reopened_and_cancelled(run, scene):
    """The venue shows an accepted order to nobody until long after the fence; then its list has it."""
    seen = []

    def begin(engine):
        faults = twin_of(engine).faults
        faults.once("lost_ack")
        faults.always("not_found_for", 600_000)

        async def shown():
            seen.extend(a.outcome for a in played_attempts(engine))
            faults.clear()
            faults.always("cancel_dropped")  # so that it stands for a while, and the next wish meets it
            await engine.reconciler.run("running")

        later(engine, row_close_ms(3) - 1_000, shown)
        at(engine, row_close_ms(4) + 1_000, faults.clear)

    story = scene(*(100,) * 12, buys={1: (A,), 4: (A,), 8: (A,)}, route=RESTING)
    played = run(story, begin=begin)
    first = played.records.attempts[0]
    assert seen == [Outcome.NOT_PLACED]
    assert alarms(played, "order_reopened") == ["order_reopened"]
    assert first.outcome is Outcome.CANCELED
    assert next(e.event.reason for e in played.notes(OrderCancel)) == "ttl"
    assert outcomes(played) == ["INTENT_CREATED", "SYMBOL_BUSY", "INTENT_CREATED"]
    assert {order.status for order in played.truth.orders} == {"CANCELED"}
    assert played.summary["pending"] == []


def played_attempts(engine):
    """Every attempt of the first orders' intents, also those that have left the books."""
    wire_ids = [order.wire_id for order in twin_of(engine).truth().orders()]
    return [engine.desk.store.attempt_by_wire_id(wire_id) for wire_id in wire_ids]


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


def test_order_of_an_ended_intent_that_lives_again_is_led_to_its_end(run, scene):
    """Its report comes back with an amount and its trades come much later: it is led, and entries wait."""
    states = []

    def begin(engine):
        twin = twin_of(engine)

        async def lives():
            (order,) = twin.truth().orders()
            twin.trades, trades = no_answer, twin.trades
            fill_after_all(engine, order, Decimal("0.5"))
            report = await twin.order(A, order.wire_id)
            (attempt,) = played_attempts(engine)
            assert attempt.state is AttemptState.SETTLED
            await engine.settler.apply(attempt.client_order_id, report._replace(trades=()))
            states.append(engine.desk.books.attempts[attempt.client_order_id].state)
            await engine.desk.clock.sleep_until_ms(row_close_ms(5) + 1_000)
            twin.trades = trades

        later(engine, row_close_ms(4) + 500, lives)

    story = scene(*(100,) * 12, buys={1: (A,), 5: (A,), 9: (A,)}, route=RESTING)
    played = run(story, begin=begin)
    first = played.records.attempts[0]
    assert states == [AttemptState.CLOSED]
    assert (first.state, first.executed_quantity, first.booked_quantity) == (
        AttemptState.SETTLED, Decimal("0.5"), Decimal("0.5"),
    )  # fmt: skip
    assert outcomes(played) == ["INTENT_CREATED", "SYMBOL_BUSY", "INTENT_CREATED"]
    done = [e for e in played.notes(OrderDone) if e.event.executed_quantity]
    assert 0 < done[0].at_ns // 1_000_000 - row_close_ms(5) < 60_000
    assert played.summary["pending"] == []


# Two clocks, lists that fail -------------------------------------------------------------------------------------


def test_trade_swept_before_its_order_is_known_is_booked_at_two_seconds_of_skew(run, scene):
    """Our clock is 2 s ahead, so a fill bears a moment long before its send; a sweep sees it while all is unknown."""
    skew_ms, kept = 2_000, []

    def begin(engine):
        twin = twin_of(engine)
        trades = twin.trades

        async def shifted(symbol, cursor, since_ms):
            page = await trades(symbol, cursor, since_ms)
            return page._replace(
                trades=tuple(t._replace(traded_ms=t.traded_ms - skew_ms, wire_id="") for t in page.trades)
            )

        async def server_time_ms():
            return engine.desk.clock.now_ms() - skew_ms

        twin.trades, twin.server_time_ms = shifted, server_time_ms

        def lose():
            twin.faults.once("lost_ack")
            twin.faults.once("not_found_for", 10_000, 2)

        async def sweep():
            kept.append(engine.desk.recall(f"cursor/{A}"))
            await engine.reconciler.run("running", [A])
            kept.append(engine.desk.recall(f"cursor/{A}"))

        at(engine, row_close_ms(3) - 1_000, lose)
        later(engine, row_close_ms(3) + 300, sweep)

    story = scene(*(100,) * 8, buys={1: (A,), 3: (A,)}, sets=("twin.manners=mexc",))
    played = run(story, begin=begin)
    assert kept[0] == kept[1] != ""
    assert [a.booked_quantity for a in played.records.attempts] == [1, 1]
    assert (played.summary["pending"], played.summary["positions_open"]) == ([], 2)


def test_fill_that_the_cursor_has_passed_is_found_by_time(run, scene):
    """Something moved the cursor over a trade of ours: an order that ended without its fills is read by time too."""

    def begin(engine):
        twin = twin_of(engine)
        twin.faults.always("ack_without_status")
        trades = twin.trades

        async def passed_over(symbol, cursor, since_ms):
            page = await trades(symbol, cursor, since_ms)
            return page._replace(trades=()) if cursor or not engine.desk.recall(f"cursor/{A}") else page

        twin.trades = passed_over

    played = run(scene(*(100,) * 8, sets=("twin.manners=mexc",)), begin=begin)
    (attempt,) = played.records.attempts
    assert (attempt.state, attempt.booked_quantity) == (AttemptState.SETTLED, 1)
    assert alarms(played, "fills_missing") == []


def test_unknown_order_whose_lists_never_answer_is_stuck_with_an_alarm(run, scene):
    """The order itself is 'not found', which proves nothing while the lists fail: a person is told."""

    def begin(engine):
        twin = twin_of(engine)
        twin.faults.once("lost_request")
        recent = twin.recent_orders
        twin.recent_orders = no_answer

        def answer():
            twin.recent_orders = recent

        at(engine, row_close_ms(5), answer)

    played = run(scene(*(100,) * 9), begin=begin)
    (attempt,) = played.records.attempts
    states = [e.event.state for e in played.notes(OrderAttempt)]
    assert states.count("STUCK") == 1
    assert alarms(played, "order_stuck") == ["order_stuck"]
    assert attempt.outcome is Outcome.NOT_PLACED
    assert played.summary["pending"] == []
