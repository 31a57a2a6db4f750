"""Retention: what ended long ago goes, balances and open things stay."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradecore.model.intent import IntentState, ReservationState
from tradecore.model.order import AttemptState
from tradecore.model.position import PositionState
from tradecore.model.reasons import Reason
from tradecore.model.records import Command, CommandState, Report
from tradecore.model.units import exact_sum
from tradecore.store.database import sqlite_url
from tradecore.store.opening import open_store
from tradecore.store.retention import Deleted

BEFORE = 10_000
ENDED = {"ended_ms": 5_000, "reason": Reason.FILLED}


def trip(make, n, *, intent=None, attempt=None, reservation=None, position=None):
    """All rows of one finished round; keyword arguments keep a part of it from having ended."""
    return [
        make.intent(n, **(intent or {"state": IntentState.FILLED, **ENDED})),
        make.attempt(n, **(attempt or {"state": AttemptState.SETTLED, "settled_ms": 4_000})),
        make.reservation(n, **(reservation or {"state": ReservationState.RELEASED, "ended_ms": 5_000})),
        make.position(n, **(position or {"state": PositionState.CLOSED, "closed_ms": 4_000,
                                         "close_reason": Reason.TAKE_PROFIT, "dust_quantity": Decimal("0.1")})),
        make.fill(n), make.posting(n), make.posting(n, 1, "1.65"),
        Report(f"r{n}", f"order-{n}-1", "", "", "", "", 4_000),
    ]  # fmt: skip


async def test_r39_what_ended_goes_and_the_books_stay(place, make):
    store = place.open()
    for n in range(3):
        await store.commit(trip(make, n), [make.event(n)])
    before = store.load()
    deleted = await store.retention(BEFORE, journalled=100)
    assert deleted == Deleted(intents=3, reservations=3, attempts=3, reports=3, commands=0, events=2)
    after = store.load()
    assert after._replace(recent=()) == before._replace(recent=())
    assert [p.dust_quantity for p in after.dusty] == [Decimal("0.1")] * 3
    assert store.intent("intent-1") is None
    assert store.fill_exists("twin", "C1/USDT", "trade-1")
    assert [event.sequence for event in store.events_after(0, 10)] == [3]
    assert (await store.retention(BEFORE, journalled=100)) == Deleted(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "kept",
    [
        {"intent": {"state": IntentState.FILLED, "ended_ms": BEFORE, "reason": Reason.FILLED}},
        {"intent": {"state": IntentState.WORKING}},
        {"attempt": {"state": AttemptState.REOPENED, "settled_ms": 4_000}},
        {"attempt": {"state": AttemptState.CLOSED}},
        {"attempt": {"state": AttemptState.SETTLED, "settled_ms": BEFORE}},
        {"reservation": {"state": ReservationState.ACTIVE}},
        {"position": {"state": PositionState.OPEN}},
        {"position": {"state": PositionState.UNSELLABLE}},
    ],
    ids=str,
)
async def test_r39_what_has_not_ended_stays_whole(place, make, kept):
    store = place.open()
    await store.commit(trip(make, 1, **kept), [make.event(1)])
    deleted = await store.retention(BEFORE, journalled=100)
    assert (deleted.intents, deleted.attempts, deleted.reservations) == (0, 0, 0)
    assert store.intent("intent-1") is not None
    assert len(store.attempts_of("intent-1")) == 1


async def test_r39_events_wait_for_the_journal_and_numbers_go_on(place, make):
    store = place.open()
    await store.commit([], [make.event(n, at_ns=1_000_000 * n) for n in range(1, 6)])
    assert (await store.retention(4, journalled=2)).events == 2
    assert [event.sequence for event in store.events_after(0, 10)] == [3, 4, 5]
    assert (await store.retention(BEFORE, journalled=5)).events == 2
    await store.close()
    again = place.open()
    assert again.load().last_sequence == 5
    assert [event.sequence for event in await again.commit([], [make.event(6)])] == [6]


async def test_r39_asked_commands_and_the_newest_answers_stay(place):
    store = place.open()
    answered = [Command(f"c{n}", "halt", "", "", "", CommandState.DONE, "ok") for n in range(1_005)]
    await store.commit([Command("old", "halt", "", "", ""), *answered], [])
    assert (await store.retention(BEFORE, journalled=0)).commands == 5
    assert [command.command_id for command in await store.asked_commands()] == ["old"]


@settings(max_examples=10, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    amounts=st.lists(st.decimals(-(10**18), 10**18, allow_nan=False), max_size=20),
    before=st.integers(0, 2 * BEFORE),
    journalled=st.integers(0, 30),
)
async def test_r45_balances_are_the_same_to_the_last_digit(tmp_path_factory, make, amounts, before, journalled):
    store = open_store(sqlite_url(tmp_path_factory.mktemp("x") / "x.sqlite3"), inline=True, synchronous="OFF")
    for n, amount in enumerate(amounts):
        await store.commit([*trip(make, n)[:5], make.posting(n, amount=str(amount))], [make.event(n)])
    balances = store.load().balances
    await store.retention(before, journalled)
    assert store.load().balances == balances
    assert balances.get(("assets", "USDT"), 0) == exact_sum(amounts)
    await store.close()
