"""What every store promises, on all three of them."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tradecore.errors import DuplicateRecord, StoreError
from tradecore.model.intent import IntentState, ReservationState
from tradecore.model.order import ATTEMPT_MOVES, AttemptState, Outcome
from tradecore.model.portfolio import TradingState
from tradecore.model.position import PositionState
from tradecore.model.reasons import Reason
from tradecore.model.records import Command, CommandState, Memory, Report, Run, TradingRecord
from tradecore.model.units import Side
from tradecore.ports.store import Store

D = Decimal
S = AttemptState


def test_it_is_a_store(store):
    port: Store = store
    loaded = port.load()
    assert loaded.trading is None
    assert loaded.last_run is None
    assert (loaded.last_sequence, dict(loaded.balances), list(loaded.intents)) == (0, {}, [])


async def test_r12_what_was_committed_is_there_after_reopening(place, make):
    store = place.open()
    rows = [make.reservation(1), make.attempt(1), make.intent(1), make.position(1), make.posting(1)]
    booked = await store.commit(rows, [make.event(1), make.cleared(1)])
    assert [event.sequence for event in booked] == [1, 2]
    await store.close()
    again = place.open()
    loaded = again.load()
    assert list(loaded.intents) == [make.intent(1)]
    assert list(loaded.attempts) == [make.attempt(1)]
    assert list(loaded.reservations) == [make.reservation(1)]
    assert list(loaded.positions) == [make.position(1)]
    assert dict(loaded.balances) == {("assets", "USDT"): D("-1.65")}
    assert loaded.last_sequence == 2
    assert list(again.events_after(0, 10)) == list(booked)
    assert list(again.events_after(1, 10)) == list(booked)[1:]
    assert list(again.events_after(0, 1)) == list(booked)[:1]


async def test_the_newest_orders_of_entries_are_those_that_were_sent_and_settled(store, make):
    settled = {"outcome": Outcome.EXPIRED, "settled_ms": 9_000}
    for n in range(1, 5):
        await store.commit([make.intent(n), make.attempt(n, S.PREPARED)], [])
    for state in (S.SENDING, S.CLOSED, S.SETTLED):
        ended = {"outcome": Outcome.EXPIRED} if state is S.CLOSED else settled if state is S.SETTLED else {}
        rows = [make.attempt(n, state, sent_ms=2_000 + n, **ended) for n in (1, 2)]
        await store.commit(rows, [])
    unsent = {"outcome": Outcome.NOT_SENT}
    await store.commit([make.attempt(3, S.CLOSED, **unsent), make.attempt(3, S.SETTLED, **{**settled, **unsent})], [])
    exit_row = make.intent(5, reduces=True, side=Side.SELL)
    sale = {"reduces": True, "side": Side.SELL, "sent_ms": 2_005}
    await store.commit([exit_row, make.attempt(5, S.PREPARED, **{**sale, "sent_ms": None})], [])
    for state in (S.SENDING, S.CLOSED, S.SETTLED):
        ended = {"outcome": Outcome.EXPIRED} if state is not S.SENDING else {}
        await store.commit([make.attempt(5, state, **sale, **ended)], [])
    assert [row.client_order_id for row in store.newest_entries(9)] == ["order-2-1", "order-1-1"]
    assert [row.client_order_id for row in store.newest_entries(1)] == ["order-2-1"]
    assert store.newest_entries(9)[1] == make.attempt(1, S.SETTLED, sent_ms=2_001, **settled)


async def test_a_transaction_is_all_or_nothing_and_leaves_no_hole(store, make):
    await store.commit([make.intent(1)], [make.event(1)])
    with pytest.raises(DuplicateRecord):
        await store.commit([make.position(7), make.intent(2, signal=make.signal(1))], [make.event(2), make.event(3)])
    assert store.position("position-7") is None
    booked = await store.commit([make.intent(3)], [make.event(4)])
    assert [event.sequence for event in booked] == [2]
    assert [event.sequence for event in store.events_after(0, 10)] == [1, 2]


async def test_look_ups(store, make):
    await store.commit([make.intent(1), make.attempt(1, number=2), make.attempt(1), make.fill(1)], [])
    assert store.fill_exists("twin", "C1/USDT", "trade-1")
    assert not store.fill_exists("other", "C1/USDT", "trade-1")
    assert store.attempt_by_wire_id("wire-1-2") == make.attempt(1, number=2)
    assert store.attempt_by_wire_id("wire-9-9") is None
    assert [attempt.number for attempt in store.attempts_of("intent-1")] == [1, 2]
    assert store.intent("intent-1") == make.intent(1)
    assert store.intent("intent-2") is None
    assert store.position("position-1") is None
    assert list(store.fills_of("order-1-1")) == [make.fill(1)]
    assert list(store.fills_of("order-1-2")) == []


async def test_r17_one_live_entry_per_symbol(store, make):
    await store.commit([make.intent(1, symbol="BTC/USDT")], [])
    with pytest.raises(DuplicateRecord, match="intent"):
        await store.commit([make.intent(2, symbol="BTC/USDT")], [])
    await store.commit([make.intent(1, IntentState.EXPIRED, symbol="BTC/USDT", ended_ms=5)], [])
    await store.commit([make.intent(2, symbol="BTC/USDT")], [])


async def test_r17_one_live_exit_per_position_beside_an_entry(store, make):
    def leaving(n):
        return make.intent(n, symbol="BTC/USDT", side=Side.SELL, reduces=True, position_id="position-1")

    await store.commit([make.intent(1, symbol="BTC/USDT"), leaving(2)], [])
    with pytest.raises(DuplicateRecord):
        await store.commit([leaving(3)], [])
    await store.commit([leaving(3)._replace(intent=leaving(3).intent._replace(position_id="position-2"))], [])


async def test_r17_an_end_and_a_new_entry_fit_one_transaction(store, make):
    await store.commit([make.intent(1, symbol="BTC/USDT")], [])
    ended = make.intent(1, IntentState.CANCELED, symbol="BTC/USDT", ended_ms=5, reason=Reason.OPERATOR)
    await store.commit([ended, make.intent(2, symbol="BTC/USDT")], [])
    assert [row.intent.intent_id for row in store.load().intents] == ["intent-2"]


@pytest.mark.parametrize(
    "taken",
    [
        {"client_order_id": "order-1-1", "number": 2, "wire_id": "new"},
        {"client_order_id": "new", "number": 2},
        {"client_order_id": "new", "wire_id": "new"},
    ],
    ids=["client order id", "wire id", "number"],
)
async def test_r12_an_order_id_is_taken_once(store, make, taken):
    await store.commit([make.intent(1), make.attempt(1)], [])
    with pytest.raises(DuplicateRecord):
        await store.commit([make.attempt(1)._replace(**taken)], [])
    assert list(store.attempts_of("intent-1")) == [make.attempt(1)]


@pytest.mark.parametrize("old", list(S))
async def test_r14_an_attempt_moves_by_the_table_alone(store, make, old):
    outcome = Outcome.CANCELED if old in (S.CLOSED, S.SETTLED) else None
    for n, new in enumerate(S):
        start = make.attempt(n, old, outcome=outcome, executed_quantity=D("0.5"))
        await store.commit([make.intent(n), start], [])
        moved = start._replace(state=new, detail="moved")
        if new in ATTEMPT_MOVES[old] or (new is old and old is not S.SETTLED):
            await store.commit([moved], [])
            assert store.attempts_of(f"intent-{n}")[0] == moved
        else:
            with pytest.raises(StoreError, match="expected"):
                await store.commit([moved], [])
            assert store.attempts_of(f"intent-{n}")[0] == start


async def test_r14_a_settled_attempt_may_be_said_again_but_not_otherwise(store, make):
    settled = make.attempt(1, S.SETTLED, outcome=Outcome.FILLED, executed_quantity=D("1.1"))
    await store.commit([make.intent(1), settled], [])
    await store.commit([settled], [])
    with pytest.raises(StoreError):
        await store.commit([settled._replace(booked_quantity=D(1))], [])
    reopened = settled._replace(state=S.REOPENED, executed_quantity=D("1.2"))
    await store.commit([reopened], [])
    with pytest.raises(StoreError, match="at least"):
        await store.commit([reopened._replace(executed_quantity=D("1.19"))], [])


async def test_r14_executed_is_compared_as_a_number(store, make):
    await store.commit([make.intent(1), make.attempt(1, S.OPEN, executed_quantity=D("9.5"))], [])
    await store.commit([make.attempt(1, S.OPEN, executed_quantity=D("10"))], [])
    with pytest.raises(StoreError):
        await store.commit([make.attempt(1, S.OPEN, executed_quantity=D("9.99"))], [])


async def test_r12_what_was_asked_of_a_venue_does_not_change(store, make):
    await store.commit([make.intent(1), make.attempt(1)], [])
    clipped = make.attempt(1)._replace(request=make.attempt(1).request._replace(price=D("1.505")))
    await store.commit([clipped._replace(state=S.SENDING)], [])
    with pytest.raises(StoreError, match="request"):
        await store.commit([make.attempt(1, S.OPEN)], [])


@pytest.mark.parametrize("new", [IntentState.RESERVED, IntentState.WORKING, IntentState.FILLED])
async def test_r15_an_intent_ends_once(store, make, new):
    ended = make.intent(1, IntentState.UNFILLED, ended_ms=5, reason=Reason.NO_LIQUIDITY)
    await store.commit([make.intent(1)], [])
    await store.commit([ended], [])
    with pytest.raises(StoreError):
        await store.commit([make.intent(1, new)], [])
    with pytest.raises(StoreError):
        await store.commit([ended._replace(ended_ms=6)], [])
    await store.commit([ended._replace(executed_quantity=D("0.1"), detail="a fill came late")], [])
    assert store.intent("intent-1").executed_quantity == D("0.1")
    assert list(store.load().intents) == []


async def test_r15_an_intent_is_never_changed(store, make):
    await store.commit([make.intent(1)], [])
    with pytest.raises(DuplicateRecord):
        await store.commit([make.intent(1, quantity=D("1.2"))], [])
    await store.commit([make.intent(1, IntentState.WORKING, quantity=D("1.100"))], [])  # the same number


async def test_r16_a_reservation_is_released_once(store, make):
    await store.commit([make.intent(1), make.reservation(1)], [])
    await store.commit([make.reservation(1, consumed=D("0.5"))], [])
    with pytest.raises(StoreError, match="at least"):
        await store.commit([make.reservation(1, consumed=D("0.4"))], [])
    released = make.reservation(
        1, consumed=D("0.5"), state=ReservationState.RELEASED, ended_ms=9, reason=Reason.FILLED, detail="done"
    )
    await store.commit([released], [])
    await store.commit([released], [])
    with pytest.raises(StoreError, match="once"):
        await store.commit([make.reservation(1, consumed=D("0.5"))], [])
    with pytest.raises(StoreError, match="once"):
        await store.commit([released._replace(ended_ms=10)], [])
    assert list(store.load().reservations) == []


async def test_r16_a_reservation_needs_its_intent(store, make):
    with pytest.raises(StoreError) as caught:
        await store.commit([make.reservation(1)], [])
    assert not isinstance(caught.value, DuplicateRecord)


async def test_r45_a_fill_twice_is_a_no_op_and_another_is_refused(store, make):
    await store.commit([make.fill(1), make.posting(1)], [])
    await store.commit([make.fill(1)._replace(booked_ms=99_999), make.posting(1)], [])
    assert list(store.fills_of("order-1-1")) == [make.fill(1)]
    with pytest.raises(DuplicateRecord, match="quantity"):
        await store.commit([make.fill(1, quantity=D("1.2"))], [])
    with pytest.raises(DuplicateRecord, match="amount"):
        await store.commit([make.posting(1, amount="-1.66")], [])
    await store.commit([make.posting(1, amount="-1.650")], [])  # the same number
    assert dict(store.load().balances) == {("assets", "USDT"): D("-1.65")}


async def test_r45_balances_are_exact_sums(store, make):
    amounts = ["12345678901234.123456789012345678", "0.000000000000000001", "-12345678901234.1"]
    await store.commit([make.posting(n, amount=amount) for n, amount in enumerate(amounts)], [])
    assert dict(store.load().balances) == {("assets", "USDT"): D("0.023456789012345679")}


async def test_reports_are_append_only(store):
    report = Report("r1", "order-1-1", "rest", "placement", "ok", "abc", 7)
    await store.commit([report, report], [])
    with pytest.raises(DuplicateRecord):
        await store.commit([report._replace(digest="abd")], [])


async def test_r33_one_trading_record_and_the_last_run(store):
    run = Run("run-1", 1, "twin", 7, "demo", "digest", 5)
    await store.commit([run, TradingRecord(TradingState.ACTIVE, "core", "start", 5)], [])
    halted = TradingRecord(TradingState.HALTED, "operator", "lunch", 6, 99)
    await store.commit(
        [run._replace(ended_ms=8, reason="done"), Run("run-2", 2, "twin", 7, "demo", "d", 9), halted], []
    )
    loaded = store.load()
    assert loaded.trading == halted
    assert loaded.last_run.run_id == "run-2"
    with pytest.raises(DuplicateRecord):
        await store.commit([Run("run-3", 2, "twin", 7, "demo", "d", 9)], [])


async def test_memory_is_replaced_and_forgotten(store):
    await store.commit([Memory("cursor/BTC/USDT", "5", 1), Memory("day", "x", 1)], [])
    await store.commit([Memory("cursor/BTC/USDT", "6", 2), Memory("day", "", 2), Memory("never", "", 2)], [])
    assert dict(store.load().memory) == {"cursor/BTC/USDT": Memory("cursor/BTC/USDT", "6", 2)}


async def test_r54_commands_in_the_order_in_which_they_came(store):
    for name in ("zeta", "alpha", "mid"):
        await store.commit([Command(name, "halt", "", "because", "me")], [])
    assert [command.command_id for command in await store.asked_commands()] == ["zeta", "alpha", "mid"]
    done = Command("alpha", "halt", "", "because", "me", CommandState.DONE, "halted")
    await store.commit([done], [])
    assert [command.command_id for command in await store.asked_commands()] == ["zeta", "mid"]
    with pytest.raises(StoreError):
        await store.commit([done._replace(state=CommandState.ASKED)], [])
    with pytest.raises(DuplicateRecord):
        await store.commit([Command("zeta", "exit", "all", "because", "me")], [])


async def test_r23_closed_positions_and_dust(store, make):
    def closed(n, **changes):
        return make.position(
            n, quantity=D(0), state=PositionState.CLOSED, closed_ms=5_000 - n, close_reason=Reason.TAKE_PROFIT,
            bought_quantity=D(10), bought_quote=D(15), sold_quantity=D(9), sold_quote=D(18), fees_quote=D("0.5"),
        )._replace(**changes)  # fmt: skip

    await store.commit([closed(1, dust_quantity=D("1")), closed(2), make.position(3)], [])
    await store.commit([closed(4, symbol="C1/USDC", dust_quantity=D("0.5"))], [])
    loaded = store.load()
    assert [position.position_id for position in loaded.closed] == ["position-4", "position-2", "position-1"]
    # Sold 18, cost 15 less 1 unit of dust at 1.5, fees 0.5.
    assert loaded.closed[-1].realised_pnl_quote == D("4.0")
    assert loaded.closed[-1].return_ratio == pytest.approx(4 / 15)
    assert [(p.position_id, p.dust_quantity) for p in loaded.dusty] == [
        ("position-4", D("0.5")),
        ("position-1", D("1")),
    ]
    assert [position.position_id for position in loaded.positions] == ["position-3"]


async def test_attempts_of_live_intents_and_unsettled_ones_are_loaded(store, make):
    ended = {"ended_ms": 5, "reason": Reason.NO_LIQUIDITY}
    await store.commit(
        [
            make.intent(1), make.attempt(1, S.SETTLED),
            make.intent(2, IntentState.UNFILLED, **ended), make.attempt(2, S.SETTLED),
            make.intent(3, IntentState.UNFILLED, **ended), make.attempt(3, S.REOPENED),
        ], [],
    )  # fmt: skip
    assert [attempt.client_order_id for attempt in store.load().attempts] == ["order-1-1", "order-3-1"]


async def test_the_follower_hears_of_commits_alone_and_in_order(place, make):
    heard = []
    store = place.open(heard.extend)
    await asyncio.gather(*(store.commit([], [make.event(n), make.cleared(n)]) for n in range(20)))
    with pytest.raises(StoreError):
        await store.commit([make.reservation(1)], [make.event(99)])
    await store.commit([make.position(1)], [])
    assert [event.sequence for event in heard] == list(range(1, 41))
    assert list(store.events_after(0, 100)) == heard


@pytest.mark.parametrize("bad", [1.5, D("NaN"), D("Infinity"), "1.5", None])
async def test_r26_an_amount_that_is_no_exact_number_is_refused(store, make, bad):
    with pytest.raises(StoreError):
        await store.commit([make.position(1, quantity=bad)], [make.event(1)])
    with pytest.raises(StoreError):
        await store.commit([make.intent(1, signal=make.signal(1, price=bad))], [])
    assert store.position("position-1") is None
    assert [event.sequence for event in await store.commit([make.position(1)], [make.event(1)])] == [1]


async def test_what_is_no_record_and_no_booked_event_is_refused(store, make):
    from tradecore.model.events import Heartbeat, Stamped

    with pytest.raises(StoreError, match="record"):
        await store.commit([("a", "b")], [])
    with pytest.raises(StoreError, match="diagnostic"):
        await store.commit([], [Stamped(1, Heartbeat(1.0, 1.0, 0, 0, 0, 0, "ACTIVE"))])
    with pytest.raises(StoreError, match="registered"):
        await store.commit([], [Stamped(1, "hello")])


async def test_a_strange_text_never_stops_a_transaction(store, make):
    await store.commit([make.intent(1, detail="a\0b\ud800c", router="grün €")], [])
    assert store.intent("intent-1").detail == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    assert store.intent("intent-1").router == "grün €"


async def test_closing_twice_and_writing_afterwards(store, make):
    await store.commit([make.position(1)], [])
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.commit([make.position(2)], [])
