"""What the command line reads beside a running process, and the commands that it writes."""

from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from tradecore.errors import DuplicateRecord, StoreError
from tradecore.model.intent import IntentState, ReservationState
from tradecore.model.order import AttemptState
from tradecore.model.portfolio import TradingState
from tradecore.model.position import PositionState
from tradecore.model.reasons import Reason
from tradecore.model.records import Command, CommandState, Memory, Run, TradingRecord
from tradecore.store import queries
from tradecore.store.opening import open_store
from tradecore.store.queries import open_reader, put_command


@pytest.fixture
async def filled(place, make):
    store = place.open()
    ended = {"ended_ms": 5, "reason": Reason.NO_LIQUIDITY}
    for n in range(1, 6):
        state = IntentState.UNFILLED if n < 4 else IntentState.WORKING
        rows = [make.intent(n, state, **(ended if n < 4 else {})), make.attempt(n), make.fill(n), make.posting(n)]
        await store.commit([*rows, make.reservation(n), make.position(n)], [make.event(n)])
    await store.commit([make.attempt(1, AttemptState.CLOSED), make.attempt(1, number=2)], [])
    await store.commit([make.reservation(1, state=ReservationState.RELEASED, ended_ms=9)], [])
    closed = make.position(
        1, state=PositionState.CLOSED, closed_ms=9, close_reason=Reason.STOP_LOSS, quantity=Decimal(0)
    )
    await store.commit([closed, Memory("day/x", "a", 1), Memory("day_x", "b", 1), Memory("cursor/x", "c", 1)], [])
    await store.commit([Run("run-1", 1, "twin", 7, "demo", "d", 5)], [])
    await store.commit([TradingRecord(TradingState.HALTED, "me", "lunch", 5)], [])
    return place


async def test_r43_lists(filled, make):
    with open_reader(filled.url) as reader:
        assert list(reader.trades(2)) == [make.fill(5), make.fill(4)]
        assert [fill.trade.symbol for fill in reader.trades(symbol="C2/USDT")] == ["C2/USDT"]
        assert len(reader.trades(since_ms=2_004)) == 2
        assert [(a.intent_id, a.number) for a in reader.orders(symbol="C1/USDT")] == [("intent-1", 2), ("intent-1", 1)]
        assert [a.client_order_id for a in reader.orders(state=AttemptState.CLOSED)] == ["order-1-1"]
        assert len(reader.orders(intent_id="intent-1")) == 2
        assert [a.intent_id for a in reader.orders(1, since_ms=1_002)] == ["intent-5"]
        assert [i.intent.intent_id for i in reader.intents(state=IntentState.WORKING)] == ["intent-5", "intent-4"]
        assert [i.intent.intent_id for i in reader.intents(1, since_ms=1_002)] == ["intent-5"]
        assert len(reader.positions()) == 5
        assert [p.position_id for p in reader.positions(state=PositionState.CLOSED)] == ["position-1"]
        assert [p.position_id for p in reader.open_positions()] == [f"position-{n}" for n in (2, 3, 4, 5)]
        assert [p.reason for p in reader.closed()] == [Reason.STOP_LOSS]
        assert [r.intent_id for r in reader.reservations()] == [f"intent-{n}" for n in (2, 3, 4, 5)]


async def test_r43_figures(filled):
    with open_reader(filled.url) as reader:
        assert reader.last_run().run_id == "run-1"
        assert reader.trading().state is TradingState.HALTED
        assert list(reader.memory()) == ["cursor/x", "day/x", "day_x"]
        assert list(reader.memory("day/")) == ["day/x"]
        assert dict(reader.balances()) == {("assets", "USDT"): Decimal("-8.25")}
        counts = reader.counts()
        assert dict(counts.intents) == {"UNFILLED": 3, "WORKING": 2}
        assert dict(counts.attempts) == {"CLOSED": 1, "PREPARED": 5}
        assert dict(counts.positions) == {"CLOSED": 1, "OPEN": 4}
        assert (dict(counts.commands), counts.fills, counts.events) == ({}, 5, 5)


async def test_an_empty_store_answers_with_nothing(place):
    place.open()
    with open_reader(place.url) as reader:
        assert reader.trading() is None
        assert reader.last_run() is None
        assert reader.command("none") is None
        assert list(reader.trades()) == list(reader.orders()) == list(reader.commands()) == []


async def test_a_reader_cannot_write(place):
    place.open()
    with open_reader(place.url) as reader, pytest.raises(reader._db.error):
        reader._raw.execute("DELETE FROM event")


async def test_r54_a_command_reaches_the_running_process(place):
    store = place.open()
    command = Command("one", "halt", "", "lunch", "me")
    await asyncio.to_thread(put_command, place.url, command)
    await asyncio.to_thread(put_command, place.url, Command("two", "resume", "", "back", "me"))
    assert [asked.command_id for asked in await store.asked_commands()] == ["one", "two"]
    await store.commit([command._replace(state=CommandState.DONE, result="halted")], [])
    with open_reader(place.url) as reader:
        assert reader.command("one").result == "halted"
        assert [asked.command_id for asked in reader.commands()] == ["two", "one"]
    with pytest.raises(DuplicateRecord):
        await asyncio.to_thread(put_command, place.url, command._replace(verb="exit"))


async def test_r54_commands_of_many_processes_keep_their_order_and_disturb_nobody(place, make):
    store = place.open()
    commands = [Command(f"c{n}", "halt", "", "r", "me") for n in range(10)]
    puts = asyncio.gather(*(asyncio.to_thread(put_command, place.url, command) for command in commands))
    for n in range(50):
        await store.commit([make.position(n)], [make.event(n)])
        await asyncio.sleep(0)
    await puts
    assert {asked.command_id for asked in await store.asked_commands()} == {f"c{n}" for n in range(10)}
    assert [event.sequence for event in store.events_after(0, 100)] == list(range(1, 51))


async def test_a_locked_database_refuses_a_command_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(queries, "BUSY_MS_MAX", 50)
    path = Path(tmp_path / "x.sqlite3")
    store = open_store(f"sqlite:///{path}", inline=True, synchronous="OFF")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        put_command(path, Command("one", "halt", "", "lunch", "me"))
    other.close()
    put_command(path, Command("one", "halt", "", "lunch", "me"))
    await store.close()
