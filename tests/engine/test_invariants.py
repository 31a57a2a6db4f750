"""The checker bites: one violation of each invariant is put into sound records, and it is named."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

import pytest

from tradecore.model.events import (
    AlertFired,
    BudgetReleased,
    IntentCleared,
    IntentCreated,
    LedgerEntry,
    OrderAttempt,
    OrderDone,
    UncaughtException,
)
from tradecore.model.intent import IntentState, Reservation, ReservationState
from tradecore.model.order import AttemptState, Outcome
from tradecore.model.position import PositionState
from tradecore.model.units import Side, TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, leader, router, sizer, wisher
from tradecore.testing.harness import STORE_FILE, Scene, play
from tradecore.testing.invariants import check_run
from tradecore.testing.records import records_of
from tradecore.testing.watch import Watch

A = "AAA/USDT"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A session with an entry up a ladder, a stop loss, and a second position that stays open."""
    closes = (100, 100, 100, 97, 97, 97, 97)
    guests = [
        wisher({1: (A,), 5: (A,)}), sizer("1"), allower(),
        router((TimeInForce.IOC, "-50", 2_000), (TimeInForce.IOC, "20", 2_000)), leader(stop=0.985),
    ]  # fmt: skip
    scene = Scene(ScriptedSource({A: closing_at(*closes)}), guests, ("market.between_closes=false",))
    played = play(scene, tmp_path_factory.mktemp("sound") / "state")
    assert played.violations() == ()
    assert played.summary["intents"] == {"FILLED": 3}
    return played


@pytest.fixture
def found(sound):
    """Which invariants the checker names after a change of records or truth."""

    def found(change):
        records, truth, notes = change(sound.records, sound.truth, sound.notes())
        return {v.invariant for v in check_run(records, truth, sound.instruments, sound.account, notes)}

    assert found(lambda r, t, n: (r, t, n)) == set()
    return found


def changed(rows, at, **fields):
    rows = list(rows)
    rows[at] = rows[at]._replace(**fields)
    return tuple(rows)


def filled(records):
    return next(i for i, a in enumerate(records.attempts) if a.executed_quantity)


def with_events(records, kind, change):
    """Change, drop (None) or double (a list) the first event of a kind."""
    events = list(records.events)
    at = next(i for i, booked in enumerate(events) if isinstance(booked.stamped.event, kind))
    made = change(events[at].stamped.event)
    made = made if isinstance(made, list) else [] if made is None else [made]
    events[at : at + 1] = [events[at]._replace(stamped=events[at].stamped._replace(event=one)) for one in made]
    return records._replace(events=tuple(events))


def order_of(truth, **fields):
    at = next(i for i, order in enumerate(truth.orders) if order.executed)
    return truth._replace(orders=changed(truth.orders, at, **fields))


CHANGES = {
    "the venue executed more than the intent": ("INV-1", lambda r, t, n: (
        r, order_of(t, executed=Decimal(7), quantity=Decimal(7)), n)),
    "an id was accepted twice": ("INV-2", lambda r, t, n: (
        r, t._replace(orders=(*t.orders, t.orders[0]._replace(venue_order_id="again"))), n)),
    "an order has no row": ("INV-3", lambda r, t, n: (
        r, t._replace(orders=(*t.orders, t.orders[0]._replace(wire_id="f" * 32, executed=Decimal(0)))), n)),
    "an order was accepted before its SENDING": ("INV-3", lambda r, t, n: (r, order_of(t, accepted_ms=1), n)),
    "a row calls a live order not placed": ("INV-3", lambda r, t, n: (
        r._replace(attempts=changed(r.attempts, filled(r), outcome=Outcome.NOT_PLACED)), t, n)),
    "a fill is missing": ("INV-4", lambda r, t, n: (r._replace(fills=r.fills[1:]), t, n)),
    "a fill is booked twice": ("INV-4", lambda r, t, n: (r._replace(fills=(*r.fills, r.fills[0])), t, n)),
    "a fill never happened": ("INV-4", lambda r, t, n: (r, t._replace(trades=t.trades[1:]), n)),
    "a fill has another fee": ("INV-4", lambda r, t, n: (
        r._replace(fills=changed(r.fills, 0, trade=r.fills[0].trade._replace(fee=Decimal(9)))), t, n)),
    "a settled attempt says another figure": ("INV-4", lambda r, t, n: (
        r._replace(attempts=changed(r.attempts, filled(r), booked_quantity=Decimal("0.5"))), t, n)),
    "an ended intent still holds money": ("INV-5", lambda r, t, n: (r._replace(reservations=(Reservation(
        r.intents[0].intent.intent_id, "USDT", Decimal(1), Decimal(0), ReservationState.ACTIVE, 0),)), t, n)),
    "a live intent holds nothing": ("INV-5", lambda r, t, n: (
        r._replace(intents=changed(r.intents, 0, state=IntentState.WORKING)), t, n)),
    "money is released twice": ("INV-5", lambda r, t, n: (
        with_events(r, BudgetReleased, lambda e: [e, e]), t, n)),
    "a live intent holds less than its order may cost": ("INV-5", lambda r, t, n: (
        live_sell(r, Decimal("0.1")), t, n)),
    "more is reserved than is there": ("INV-6", lambda r, t, n: (r._replace(reservations=(Reservation(
        r.intents[0].intent.intent_id, "USDT", Decimal(10**6), Decimal(0), ReservationState.ACTIVE, 0),)), t, n)),
    "more is released than was left": ("INV-6", lambda r, t, n: (
        with_events(r, BudgetReleased, lambda e: e._replace(released=Decimal(99))), t, n)),
    "a position holds what no fill brought": ("INV-6", lambda r, t, n: (
        r._replace(positions=changed(r.positions, 0, quantity=Decimal(4), state=PositionState.OPEN)), t, n)),
    "a fill came before its send": ("INV-7", lambda r, t, n: (
        with_events(r, OrderAttempt, lambda e: None), t, n)),
    "a row runs ahead of the venue": ("INV-7", lambda r, t, n: (
        r, order_of(t, executed=Decimal("0.5")), n)),
    "an order settled and nobody was told": ("INV-7", lambda r, t, n: (
        with_events(r, OrderDone, lambda e: None), t, n)),
    "an order that had ended is being sent": ("INV-7", lambda r, t, n: (
        r._replace(attempts=changed(r.attempts, 0, state=AttemptState.SENDING)), t, n)),
    "an intent ended without a reason": ("INV-8", lambda r, t, n: (
        r._replace(intents=changed(r.intents, 0, reason=None)), t, n)),
    "an intent's end was told twice": ("INV-8", lambda r, t, n: (
        with_events(r, IntentCleared, lambda e: [e, e]), t, n)),
    "an order settled without a code": ("INV-8", lambda r, t, n: (
        r._replace(attempts=changed(r.attempts, 0, code="")), t, n)),
    "an order is stuck in silence": ("INV-8", lambda r, t, n: (
        r._replace(attempts=changed(r.attempts, 0, state=AttemptState.STUCK)), t,
        [note for note in n if not isinstance(note.event, AlertFired)])),
    "an exception is not counted": ("INV-8", lambda r, t, n: (
        r, t, [*n, n[0]._replace(event=UncaughtException("job", "ValueError", "lost", ""))])),
    "a posting does not balance": ("INV-9", lambda r, t, n: (
        with_events(r, LedgerEntry, lambda e: e._replace(legs=e.legs[:1])), t, n)),
    "a posting was made twice": ("INV-9", lambda r, t, n: (with_events(r, LedgerEntry, lambda e: [e, e]), t, n)),
    "a balance is not its postings": ("INV-9", lambda r, t, n: (
        r._replace(balances={**r.balances, ("fees", "USDT"): Decimal(1)}), t, n)),
    "the venue holds something else": ("INV-10", lambda r, t, n: (
        r, t._replace(balances={**t.balances, "USDT": (Decimal(1), Decimal(0))}), n)),
    "the venue holds an unknown coin": ("INV-10", lambda r, t, n: (
        r, t._replace(balances={**t.balances, "XXX": (Decimal(1), Decimal(0))}), n)),
    "an order is off the tick": ("INV-11", lambda r, t, n: (price(r, "96.0001"), t, n)),
    "an order is beyond its cap": ("INV-11", lambda r, t, n: (price(r, "500"), t, n)),
    "an order asks for more than its intent": ("INV-11", lambda r, t, n: (
        r._replace(attempts=changed(r.attempts, 0, request=request_of(r, quantity=Decimal(3)))), t, n)),
    "the venue got another price": ("INV-11", lambda r, t, n: (r, order_of(t, price=Decimal(42)), n)),
    "an entry was sent after its time": ("INV-11", lambda r, t, n: (
        r._replace(attempts=changed(r.attempts, 0, sent_ms=2**60)), t, n)),
    "a price is not finite": ("INV-12", lambda r, t, n: (r._replace(intents=changed(
        r.intents, 0, intent=r.intents[0].intent._replace(price=Decimal("NaN")))), t, n)),
    "a quantity is zero": ("INV-12", lambda r, t, n: (r._replace(intents=changed(
        r.intents, 0, intent=r.intents[0].intent._replace(quantity=Decimal(0)))), t, n)),
    "a fill's money is not its product": ("INV-12", lambda r, t, n: (r._replace(fills=changed(
        r.fills, 0, trade=r.fills[0].trade._replace(quote_quantity=Decimal(1)))), t, n)),
    "a notional was told wrong": ("INV-12", lambda r, t, n: (
        with_events(r, IntentCreated, lambda e: e._replace(notional_quote=Decimal(1))), t, n)),
}  # fmt: skip


def request_of(records, **fields):
    return records.attempts[0].request._replace(**fields)


def price(records, text):
    request = request_of(records, price=Decimal(text))
    return records._replace(attempts=changed(records.attempts, 0, request=request))


def live_sell(records, amount):
    """Open the exit again: its order rests, and too little is set aside for it."""
    at = next(i for i, a in enumerate(records.attempts) if a.side is Side.SELL)
    attempt = records.attempts[at]
    row = next(i for i, r in enumerate(records.intents) if r.intent.intent_id == attempt.intent_id)
    held = Reservation(attempt.intent_id, "AAA", amount, Decimal(0), ReservationState.ACTIVE, 0)
    return records._replace(
        attempts=changed(records.attempts, at, state=AttemptState.OPEN, booked_quantity=Decimal(0)),
        intents=changed(records.intents, row, state=IntentState.WORKING),
        reservations=(held,),
    )


@pytest.mark.parametrize("name", CHANGES)
def test_violation_is_named(found, name):
    invariant, change = CHANGES[name]
    assert invariant in found(change)


def test_every_invariant_has_a_case():
    assert {invariant for invariant, _ in CHANGES.values()} == {f"INV-{n}" for n in range(1, 13)}


def test_rows_edited_in_the_database_are_found(sound, tmp_path):
    """The same through the file: a fill's row goes, a balance is touched."""
    path = tmp_path / STORE_FILE
    source = sqlite3.connect(sound.folder / STORE_FILE)
    target = sqlite3.connect(path)
    source.backup(target)
    source.close()
    target.execute("DELETE FROM fill WHERE venue_trade_id = (SELECT min(venue_trade_id) FROM fill)")
    target.execute("DELETE FROM posting WHERE leg = 0 AND posting_id = (SELECT max(posting_id) FROM posting)")
    target.commit()
    target.close()
    violations = check_run(records_of(path), sound.truth, sound.instruments, sound.account)
    assert {"INV-4", "INV-9"} <= {v.invariant for v in violations}


# The watch ------------------------------------------------------------------------------------------------------


@pytest.fixture
def watch(sound):
    """A watch that has seen all rows of the session but its end states."""
    made = Watch(sound.instruments)
    records = sound.records
    made._balances = dict(records.balances)
    made._intents = {row.intent.intent_id: row for row in records.intents}
    made._attempts = {row.client_order_id: row for row in records.attempts}
    return made


def test_watch_sees_a_move_off_the_table(watch, sound):
    watch.committed([sound.records.attempts[0]._replace(state=AttemptState.OPEN)])
    assert [v.invariant for v in watch.violations][:1] == ["INV-7"]


def test_watch_sees_executed_fall(watch, sound):
    attempt = sound.records.attempts[filled(sound.records)]
    watch.committed([attempt._replace(executed_quantity=Decimal(0))])
    assert "INV-7" in {v.invariant for v in watch.violations}


def test_watch_sees_a_resurrected_intent(watch, sound):
    watch.committed([sound.records.intents[0]._replace(state=IntentState.WORKING)])
    assert {"INV-5", "INV-7"} <= {v.invariant for v in watch.violations}


def test_watch_sees_money_reserved_twice(watch, sound):
    intent_id = sound.records.intents[0].intent.intent_id
    row = Reservation(intent_id, "USDT", Decimal(10**7), Decimal(0), ReservationState.RELEASED, 0)
    watch.committed([row])
    watch.committed([row._replace(state=ReservationState.ACTIVE)])
    assert "INV-5" in {v.invariant for v in watch.violations}


def test_watch_sees_books_that_drift_from_the_rows(scene, tmp_path):
    """Somebody changes the books in memory: the next commit shows it."""

    def begin(engine):
        engine.desk.books.balances["assets", "USDT"] += 1

    story = scene(*(100,) * 4)
    played = play(story, tmp_path / "state", begin=begin)
    assert {v.invariant for v in played.watched} == {"INV-6"}
