"""Every fault of the twin in turn, and all together: the three records agree, and what is unproven says so."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tradecore.model.events import (
    AlertFired,
    DuplicateOrderFound,
    OrderAck,
    OrderAttempt,
    OrderCancel,
    OrderFailed,
    OrderFill,
)
from tradecore.model.intent import INTENT_LIVE, IntentState
from tradecore.model.order import ATTEMPT_LIVE, AttemptState, NewOrder, Outcome
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import (
    ScriptedSource,
    allower,
    closing_at,
    leader,
    router,
    row_close_ms,
    sizer,
    wandering,
    wisher,
)
from tradecore.testing.harness import Scene, at, twin_of
from tradecore.venues.twin.faults import FAULTS

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
A, B = "AAA/USDT", "BBB/USDT"
ROWS = 20
QUICK = ("intervals.reconcile_s=60", "twin.read_lag_ms=0")
ARGUMENTS = {"maintenance": 3_000, "not_found_for": 4_000, "read_lag": 2_000, "late_fills": 3_000, "balance_lag": 2_000,
             "late_request": 2_500, "banned": 30}  # fmt: skip
#: Faults that hit every call are rarer, so that something gets through at all.
CHANCES = {"banned": 0.08, "rate_limited": 0.05, "maintenance": 0.05, "balance_lag": 1.0}
#: Faults of trade reads need a venue whose answers to orders carry no trades.
MEXC = frozenset({"late_fills", "duplicate_fills", "ack_without_status"})


def busy_scene(seed=1, sets=()):
    """Two symbols traded again and again; each entry rests before it takes, so that cancels and partial fills occur."""
    chance = random.Random(seed)
    source = ScriptedSource({symbol: wandering(chance, ROWS, volume=40) for symbol in (A, B)})
    guests = [
        wisher(dict.fromkeys(range(1, ROWS - 4, 4), (A, B))), sizer("3"), allower(),
        router((GTC, "-2", 4_000), (IOC, "10", 2_000), (GTC, "-1", 6_000), (IOC, "40", 2_000)),
        leader(stop=0.997, take=1.003, leave_after_ms=150_000),
    ]  # fmt: skip
    return Scene(source, guests, (*QUICK, *sets), seed=seed)


def check_ends(played):
    """Nothing is pending but what is listed; the ledger is the truth."""
    summary = played.summary
    listed = " ".join(summary["pending"])
    records = played.records
    for row in records.intents:
        assert row.state not in INTENT_LIVE or row.intent.intent_id in listed
    for attempt in records.attempts:
        assert attempt.state not in ATTEMPT_LIVE or attempt.wire_id in listed
    assert (played.exit_code == 3) == bool(summary["pending"])
    assert summary["ledger_balanced"]
    assert summary["errors"] == {}
    for coin in ("USDT", "AAA", "BBB"):
        if not summary["pending"]:
            assert records.balances.get(("assets", coin), 0) == played.truth.total(coin)


@pytest.mark.parametrize("name", FAULTS)
def test_fault_breaks_no_invariant(run, name):
    hits = []

    def begin(engine):
        faults = twin_of(engine).faults
        faults.sometimes(name, CHANCES.get(name, 0.25), ARGUMENTS.get(name))
        hits.append(faults)

    manners = "mexc" if name in MEXC else "plain"
    played = run(busy_scene(sets=(f"twin.manners={manners}",)), begin=begin)
    assert hits[0].happened[name] > 0
    assert played.summary["orders_sent"] > 5
    check_ends(played)


@pytest.mark.parametrize("seed", range(1, 7))
def test_all_faults_together(run, seed):
    chance = random.Random(seed)

    def begin(engine):
        faults = twin_of(engine).faults
        for name in FAULTS:
            faults.sometimes(name, CHANCES.get(name, 0.3) * chance.random() * 0.25, ARGUMENTS.get(name))
        at(engine, row_close_ms(ROWS - 6), faults.clear)

    manners = ("plain", "binance", "mexc")[seed % 3]
    fee_in = ("quote", "base", "other")[seed % 3]
    sets = (f"twin.manners={manners}", f"twin.fee_in={fee_in}", "account.opening={USDT=10000,BNB=9}")
    played = run(busy_scene(seed, sets), begin=begin)
    check_ends(played)
    assert played.summary["pending"] == []


# One by one ----------------------------------------------------------------------------------------------------


def one_order(scene, *rungs, **fields):
    return scene(*(100,) * 8, route=router(*(rungs or ((IOC, "20", 2_000),))), **fields)


def armed(*names, argument=None, times=1):
    def begin(engine):
        for name in names:
            twin_of(engine).faults.once(name, argument, times)

    return begin


def states(played):
    return [e.event.state for e in played.notes(OrderAttempt)]


def test_r13_unknown_holds_money_and_symbol(run, scene):
    """The answer is lost and reads fail: no second order, no release, no other entry, until there is evidence."""
    seen = {}

    def begin(engine):
        twin = twin_of(engine)
        twin.faults.once("lost_ack")
        twin.faults.once("read_lost", times=12)

        def look():
            books = engine.desk.books
            seen["state"] = [a.state for a in books.attempts.values()]
            seen["held"] = books.reserved("USDT")
            seen["busy"] = books.symbol_busy(A)

        at(engine, row_close_ms(1) + 30_000, look)

    story = one_order(scene, buys={1: (A,), 2: (A,)}, wish=wisher({1: (A,), 2: (A,)}))
    played = run(story, begin=begin)
    assert seen["state"] == [AttemptState.UNKNOWN]
    assert seen["held"] > 100
    assert seen["busy"]
    assert played.summary["outcomes"]["SYMBOL_BUSY"] == 1
    assert len(played.truth.orders) == 1
    assert played.records.intents[0].state is IntentState.FILLED


def test_r13_not_placed_only_after_the_fence(run, scene):
    played = run(one_order(scene), begin=armed("lost_request"))
    attempt = played.records.attempts[0]
    assert attempt.outcome is Outcome.NOT_PLACED
    assert attempt.misses == 2
    assert (attempt.settled_ms or 0) > (attempt.fence_ms or 0) > (attempt.sent_ms or 0) + 5_000
    assert len(played.truth.orders) == 0
    assert played.summary["reserved"] == "0"


@pytest.mark.parametrize("delay_ms", [500, 4_000, 4_999])
def test_request_that_arrives_late_is_adopted(run, scene, delay_ms):
    played = run(one_order(scene), begin=armed("late_request", argument=delay_ms))
    (attempt,) = played.records.attempts
    assert attempt.outcome is Outcome.FILLED
    assert len(played.truth.orders) == 1
    assert [e.event.outcome for e in played.notes(OrderFailed)] == ["UNKNOWN"]


def test_request_beyond_the_window_is_refused_and_never_doubled(run, scene):
    played = run(one_order(scene), begin=armed("late_request", argument=5_500))
    assert played.records.attempts[0].outcome is Outcome.NOT_PLACED
    assert [e.facts["why"] for e in played.truth.rejections] == ["OUTSIDE_WINDOW"]


def test_unknown_whose_reads_fail_long_is_stuck_with_an_alarm(run, scene):
    def begin(engine):
        faults = twin_of(engine).faults
        faults.once("lost_ack")
        faults.always("read_lost")
        at(engine, row_close_ms(5), faults.clear)

    played = run(one_order(scene, buys={1: (A,)}), begin=begin)
    assert "STUCK" in states(played)
    assert [e.event.name for e in played.notes(AlertFired) if e.event.name == "order_stuck"] == ["order_stuck"]
    assert played.records.intents[0].state is IntentState.FILLED


def test_stuck_at_the_end_is_listed_with_exit_code_3(run, scene):
    def begin(engine):
        faults = twin_of(engine).faults
        faults.once("lost_ack")
        faults.always("read_lost")

    story = one_order(scene)
    played = run(story, begin=begin)
    assert played.exit_code == 3
    (attempt,) = played.records.attempts
    assert any(attempt.wire_id in line and "STUCK" in line for line in played.summary["pending"])
    assert played.summary["reserved"] != "0"
    # the next start finds the venue answering and leads it to its end
    again = run(story)
    assert again.summary["pending"] == []
    assert again.records.intents[0].state is IntentState.FILLED


@pytest.mark.parametrize("manners", ["binance", "mexc"])
def test_trade_of_an_unknown_order_is_not_passed_over(run, scene, manners):
    """While a rung is unknown, the exit's sweep sees its trade, which names no order that we know by then."""
    waited = []

    def begin(engine):
        faults, book = twin_of(engine).faults, engine.settler.book

        async def spied(trades, cursor=None):
            booked, waiting = await book(trades, cursor)
            waited.extend(waiting)
            return booked, waiting

        engine.settler.book = spied
        faults.always("ack_without_status")  # so that fills come by sweeps alone

        def second():
            faults.once("lost_ack")
            faults.always("not_found_for", 5_000)

        at(engine, row_close_ms(1) + 90, second)
        at(engine, row_close_ms(1) + 5_500, lambda: faults.clear("not_found_for"))

    rows = [*closing_at(100, 100), (100.0, 100.0, 80.0, 80.0, 1_000.0), *closing_at(*(80,) * 3)]
    story = scene(
        source=ScriptedSource({A: rows}), guests=[leader(stop=0.995)], size=sizer("6"),
        route=router((IOC, "8", 2_000), (IOC, "49", 2_000)),
        sets=(f"twin.manners={manners}", "market.between_closes=true", "market.steps_per_row=60",
              "twin.depth_quote=900"),
    )  # fmt: skip
    played = run(story, begin=begin)
    assert waited
    assert played.summary["pending"] == []
    assert len(played.records.fills) == len(played.truth.trades)


@pytest.mark.parametrize("manners", ["plain", "binance", "mexc"])
def test_trade_after_the_end_of_everything_is_still_ours(run, scene, manners):
    """The order settled unfilled on a stale word, its intent ended, the books forgot it; then its trade comes."""

    def begin(engine):
        async def late():
            twin = twin_of(engine)
            (order,) = twin.truth().orders()
            instrument = engine.desk.instruments[A]
            # the venue finds a fill of the closed order after all
            placed = twin.engine.state.by_wire_id(A, order.wire_id)
            clearing = twin.engine._clearing
            clearing.open_orders[placed.number] = placed
            clearing.relock(placed)
            clearing.fill(placed, placed.price, instrument.lot_size * 500, engine.desk.clock.now_ms(), maker=True)
            clearing.end(placed, placed.status, engine.desk.clock.now_ms())
            twin.engine.state.put_order(placed)
            twin.engine.state.commit()
            await engine.resolver.sweep(A, 0)

        at(engine, row_close_ms(4), lambda: engine.desk.spawn(late(), "late fill"))

    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(*(103,) * 5)]
    story = scene(source=ScriptedSource({A: rows}), route=router((IOC, "0", 2_000)), sets=(f"twin.manners={manners}",))
    played = run(story, begin=begin)
    (attempt,), (fill,) = played.records.attempts, played.notes(OrderFill)
    assert fill.event.late
    assert (attempt.state, attempt.booked_quantity) == (AttemptState.SETTLED, Decimal("0.5"))
    assert [e.event.name for e in played.notes(AlertFired)].count("late_fill") == 1
    assert played.summary["positions_open"] == 1
    assert played.summary["unexplained_drift"] == "0"


def test_late_fills_reopen_what_had_settled(run, scene):
    """The order looks unfilled and ended; its trade comes in later and brings it back."""

    def begin(engine):
        faults = twin_of(engine).faults
        faults.once("late_fills", 9_000, times=30)
        faults.once("lost_ack")
        faults.once("stale_executed", times=1)

    played = run(one_order(scene, sets=("intervals.reconcile_s=60",)), begin=begin)
    (attempt, *_) = played.records.attempts
    assert attempt.state is AttemptState.SETTLED
    assert attempt.booked_quantity == 1
    assert [e.event.late for e in played.notes(OrderFill)] in ([False], [True])
    assert played.summary["positions_open"] == 1


@pytest.mark.parametrize("manners", ["plain", "mexc"])
def test_ack_without_status_is_read(run, scene, manners):
    sets = ("twin.ack_without_status=true", f"twin.manners={manners}")
    played = run(one_order(scene, sets=sets))
    (attempt,) = played.records.attempts
    assert (attempt.state, attempt.outcome) == (AttemptState.SETTLED, Outcome.FILLED)
    (ack,) = played.notes(OrderAck)
    assert ack.event.status == ""


def test_r11_ioc_that_became_gtc_is_noticed_and_cancelled(run, scene):
    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(*(103,) * 5)]
    story = scene(source=ScriptedSource({A: rows}), route=router((IOC, "0", 2_000)))
    played = run(story, begin=armed("ioc_becomes_gtc"))
    (attempt,) = played.records.attempts
    (ack,) = played.notes(OrderAck)
    assert ack.event.echo == "time_in_force asked IOC was GTC"
    assert [e.event.name for e in played.notes(AlertFired)].count("echo_mismatch") == 1
    (cancel,) = played.notes(OrderCancel)
    assert (cancel.event.reason, attempt.outcome) == ("ttl", Outcome.CANCELED)
    assert 2_000 <= cancel.event.age_ms < 3_000


def test_fill_that_wins_against_the_cancel_counts(run, scene):
    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(*(103,) * 5)]
    story = scene(source=ScriptedSource({A: rows}), route=router((GTC, "0", 5_000)))
    played = run(story, begin=armed("cancel_refused_filled"))
    (attempt,), (row,) = played.records.attempts, played.records.intents
    assert (attempt.outcome, row.state) == (Outcome.FILLED, IntentState.FILLED)


@pytest.mark.parametrize("name", ["cancel_lost", "cancel_502", "cancel_dropped", "not_sent"])
def test_cancel_without_an_answer_is_found_out(run, scene, name):
    rows = [*closing_at(100, 100), (103.0, 103.0, 103.0, 103.0, 900.0), *closing_at(*(103,) * 5)]
    story = scene(source=ScriptedSource({A: rows}), route=router((GTC, "0", 5_000)))

    def begin(engine):
        at(engine, row_close_ms(1) + 3_000, lambda: twin_of(engine).faults.once(name))

    played = run(story, begin=begin)
    (attempt,) = played.records.attempts
    assert attempt.outcome is Outcome.CANCELED
    assert (attempt.settled_ms or 0) - (attempt.sent_ms or 0) < 20_000


def test_order_nobody_wrote_is_cancelled_and_alarmed(run, scene):
    """An order of our form without a row: the store was put back to an older backup, perhaps."""
    ghost = NewOrder("0" * 31 + "7", A, Side.BUY, GTC, Decimal(90), Decimal(1))

    def begin(engine):
        at(engine, row_close_ms(0), lambda: twin_of(engine).engine.place(ghost, engine.desk.clock.now_ms()))

    played = run(scene(*(100,) * 5, buys={}, sets=QUICK), begin=begin, sound=False)
    assert {v.invariant for v in played.violations()} == {"INV-3"}
    assert played.notes(DuplicateOrderFound)
    (order,) = played.truth.orders
    assert order.status == "CANCELED"


def test_r46_withdrawal_by_hand_is_named_and_entries_stop(run, scene):
    def begin(engine):
        at(engine, row_close_ms(0), lambda: twin_of(engine).outside.withdraw("USDT", Decimal(500)))

    played = run(scene(*(100,) * 200, buys={190: (A,)}, sets=QUICK), begin=begin)
    assert played.summary["unexplained_drift"] == "500"
    assert played.summary["trading_state"] == "REDUCING"
    assert played.summary["outcomes"]["TRADING_REDUCING"] == 1


def test_r19_foreign_order_is_left_alone(run, scene):
    theirs = NewOrder("by-hand", A, Side.BUY, GTC, Decimal(90), Decimal(10))

    def begin(engine):
        at(engine, row_close_ms(0), lambda: twin_of(engine).outside.place(theirs))

    played = run(scene(*(100,) * 130, buys={125: (A,)}, sets=QUICK), begin=begin)
    assert any(key.startswith("external/") for key in played.records.memory)
    foreign = [order for order in played.truth.orders if order.foreign]
    assert [order.status for order in foreign] == ["OPEN"]
    assert played.summary["intents"] == {"FILLED": 1}
