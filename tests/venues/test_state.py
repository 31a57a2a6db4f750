"""The twin's file: it answers from where it was, after an orderly end and after kill -9 (R22, F29)."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tradecore.errors import SchemaMismatch, StateFolderError
from tradecore.model.order import PlacementKind
from tradecore.model.units import Side, TimeInForce
from tradecore.venues.twin.state import TwinState
from tradecore.venues.twin.truth import TruthLog

SYMBOL = "BTC/USDT"
GTC = TimeInForce.GTC


async def act(world, twin, n):
    """One step of a story that uses all of the twin: orders of all kinds, cancels, faults, reads."""
    venue = twin.venue
    await world.until(1_000 + n * 7_300)
    if n % 9 == 0:
        venue.note_market_time(world.clock.now_ms())
    side = Side.BUY if n % 2 else Side.SELL
    book = venue.peek_book(SYMBOL)
    told = [book]
    if book.bids and book.asks:
        tif = (TimeInForce.IOC, GTC, TimeInForce.FOK)[n % 3]
        price = book.touch(side) if n % 4 else book.touch(Side.SELL if side is Side.BUY else Side.BUY)
        order = world.order(price, Decimal("0.7"), side, tif, wire_id=f"{n:032x}")
        told.append((await venue.place(order))._replace(latency_ms=0))
    told.append(await venue.cancel(SYMBOL, f"{n - 5:032x}", ""))
    told.append(await venue.open_orders())
    told.append(await venue.order(SYMBOL, f"{max(0, n - 2):032x}"))
    told.append(await venue.trades(SYMBOL, "", 0))
    told.append(await venue.balances())
    return repr(told)


FAULTS = ("lost_ack:0.1", "partial_fill:0.2:0.4", "late_request:0.1:9000", "read_lag:0.3:4000")


def test_f29_a_restart_between_any_calls_goes_on_identically(make_world, candles, tmp_path):
    def twin_of(world, path):
        rows = world.rows(BTC_USDT=candles(4, 40, volume=60.0))
        return world.twin(rows, path=path, faults=FAULTS, money={"USDT": "3000", "BTC": "30"})

    world = make_world()
    twin = twin_of(world, tmp_path / "whole.db")
    whole = [world.run(act(world, twin, n)) for n in range(60)]
    truth = twin.venue.truth().events()
    assert len(twin.venue.truth().trades()) > 10

    pieces = []
    for start in range(0, 60, 7):
        world = make_world()
        twin = twin_of(world, tmp_path / "cut.db")
        pieces += [world.run(act(world, twin, n)) for n in range(start, min(60, start + 7))]
        world.run(twin.venue.close())
    assert pieces == whole
    assert TruthLog(tmp_path / "cut.db").events() == truth


def test_the_same_seed_gives_the_same_truth_and_another_seed_another(make_world, candles):
    def truth(seed):
        world = make_world()
        twin = world.twin(world.rows(BTC_USDT=candles(4, 40, volume=60.0)), seed=seed, faults=FAULTS)
        for n in range(30):
            world.run(act(world, twin, n))
        return [event[1:] for event in twin.venue.truth().events()]

    assert truth(1) == truth(1)
    assert truth(1) != truth(2)


_CHILD = """
import asyncio, json, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from conftest import World, wander
from test_state import act, FAULTS

world = World()
twin = world.twin(world.rows(BTC_USDT=wander(4, 400, volume=60.0)), path=Path({path!r}), latency_ms=40)
first = len(twin.venue.truth().orders())

async def story():
    for n in range(first, first + 3000):
        await world.until(1_000 + n * 7_300)
        book = twin.venue.peek_book("BTC/USDT")
        side = __import__("tradecore.model.units", fromlist=["Side"]).Side
        way = side.BUY if n % 2 else side.SELL
        order = world.order(book.touch(way) or "100", "0.3", way, wire_id=f"{{n:032x}}")
        placed = await twin.venue.place(order)
        if placed.report is not None:
            print(json.dumps([placed.report.wire_id, str(placed.report.executed_quantity)]), flush=True)

world.run(story())
"""


def test_f29_kill_9_loses_nothing_that_was_acknowledged(tmp_path):
    path = tmp_path / "twin.db"
    script = tmp_path / "child.py"
    script.write_text(_CHILD.format(here=str(Path(__file__).parent), path=str(path)))
    root = str(Path(__file__).parents[2])
    acknowledged = []
    for lines in (3, 17, 40):
        env = {**os.environ, "PYTHONPATH": root}
        child = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=env, text=True)
        for _ in range(lines):
            acknowledged.append(json.loads(child.stdout.readline()))
        os.kill(child.pid, signal.SIGKILL)
        rest, _ = child.communicate()
        acknowledged += [json.loads(line) for line in rest.splitlines() if line.endswith("]")]
    truth = TruthLog(path)
    held = {order.wire_id: order.executed for order in truth.orders()}
    assert len(acknowledged) >= 60
    for wire_id, executed in acknowledged:
        assert held[wire_id] == Decimal(executed)
    assert len(held) <= len(acknowledged) + 3, "at most the call in flight of each run was not heard"
    state = TwinState(path)
    assert {c: h for c, h in truth.balances().items() if any(h)} == {
        c: h for c, h in state.balances().items() if any(h)
    }
    truth.close()
    state.close()


def test_opening_balances_are_set_once(world, make_world, tmp_path):
    path = tmp_path / "twin.db"
    first = world.twin(path=path)
    assert not first.venue.open_balances({"USDT": Decimal(5)})
    again = make_world().twin(path=path)
    assert again.venue.engine.balances["USDT"] == (Decimal(10_000), Decimal(0))
    assert [event.kind for event in again.venue.truth().events()].count("OPENED") == 2


def test_a_resting_order_survives_and_fills_after_the_restart(world, make_world, tmp_path):
    fall = (100.0, 100.0, 95.0, 96.0, 5_000.0)
    steady = (100.0, 100.02, 99.98, 100.0, 1_000.0)
    rows = world.rows(BTC_USDT=[steady, fall, steady, steady])
    order = world.order("97.00", "2", tif=GTC)

    async def before():
        await world.until(50_000)
        assert (await world.twin(rows, path=tmp_path / "t.db").venue.place(order)).kind is PlacementKind.ACCEPTED

    world.run(before())
    later = make_world()

    async def after():
        await later.until(200_000)
        return await later.twin(rows, path=tmp_path / "t.db").venue.order(SYMBOL, order.wire_id)

    assert later.run(after()).executed_quantity == Decimal(2)


def test_trades_are_paged_without_a_gap(world):
    steady = (100.0, 100.02, 99.98, 100.0, 1_000.0)
    twin = world.twin(world.rows(BTC_USDT=[steady] * 3_000), money={"USDT": "10000000", "BTC": "10000"})

    async def story():
        for n in range(400):
            await world.until(1_000 + n * 10_000)
            book = twin.venue.peek_book(SYMBOL)
            await twin.venue.place(world.order(book.asks[2].price, book.quantity_within(Side.BUY, book.asks[2].price)))
        true = [trade.venue_trade_id for trade in twin.venue.truth().trades()]
        assert len(true) == 1_200
        found, cursor, more, pages = [], "", True, 0
        while more:
            page = await twin.venue.trades(SYMBOL, cursor, 0)
            found += [trade.venue_trade_id for trade in page.trades]
            cursor, more, pages = page.cursor, page.more, pages + 1
        assert (found, pages) == (true, 3)
        since = await twin.venue.trades(SYMBOL, "", world.start_ms + 3_000_000)
        assert since.trades[0].traded_ms >= world.start_ms + 3_000_000

    world.run(story())


def test_foreign_files_and_versions_are_refused_in_one_line(tmp_path):
    torn = tmp_path / "torn.db"
    torn.write_bytes(b"this is no database, and long enough to be looked at as one " * 20)
    with pytest.raises(StateFolderError, match="twin file"):
        TwinState(torn)
    with pytest.raises(StateFolderError):
        TwinState(tmp_path / "no" / "such" / "folder.db")
    with pytest.raises(StateFolderError):
        TruthLog(tmp_path / "missing.db")
    old = tmp_path / "old.db"
    TwinState(old).close()
    with sqlite3.connect(old) as db:
        db.execute("UPDATE meta SET value = '0' WHERE key = 'version'")
    db.close()
    with pytest.raises(SchemaMismatch, match="version"):
        TwinState(old)


def test_a_file_that_takes_no_more_stops_the_twin_before_it_answers(world, tmp_path):
    twin = world.twin(path=tmp_path / "twin.db")
    blocker = sqlite3.connect(tmp_path / "twin.db")
    twin.venue.engine.state._db.execute("PRAGMA query_only=1")

    async def story():
        await world.until(1_000)
        with pytest.raises(StateFolderError):
            await twin.venue.place(world.order("100"))

    world.run(story())
    blocker.close()


def test_no_amount_in_the_file_is_a_float(world, tmp_path):
    twin = world.twin(path=tmp_path / "twin.db")
    for n in range(12):
        world.run(act(world, twin, n))
    db = sqlite3.connect(tmp_path / "twin.db")
    for table, columns in {
        "orders": ("price", "quantity", "executed", "executed_quote", "locked"),
        "trades": ("price", "quantity", "quote", "fee"),
        "balances": ("free", "locked"),
    }.items():
        for column in columns:
            assert {row[0] for row in db.execute(f"SELECT typeof({column}) FROM {table}")} == {"text"}
    db.close()
