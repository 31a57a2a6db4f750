"""The writer thread: batches, order, room, cancelled callers, its end."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from tradecore.errors import StoreError
from tradecore.store.database import Database, sqlite_url
from tradecore.store.opening import open_store
from tradecore.store.schema import ensure_schema
from tradecore.store.threaded import ThreadedStore


class Gate:
    """Holds the writer before each batch, and counts them."""

    def __init__(self, store):
        self.real = store._writer.write
        self.sizes = []
        self.open = threading.Event()
        store._writer.write = self.write

    def write(self, batch):
        assert self.open.wait(10)
        self.sizes.append(len(batch))
        return self.real(batch)


@pytest.fixture
async def store(tmp_path):
    heard = []
    store = open_store(sqlite_url(tmp_path / "x.sqlite3"), inline=False, synchronous="OFF", follower=heard.extend)
    store.heard = heard
    yield store
    await store.close()


async def test_what_waits_shares_a_commit(store, make):
    gate = Gate(store)
    waiting = [asyncio.ensure_future(store.commit([], [make.event(n)])) for n in range(200)]
    await asyncio.sleep(0)
    gate.open.set()
    booked = await asyncio.gather(*waiting)
    assert [event.sequence for (event,) in booked] == list(range(1, 201))
    assert max(gate.sizes) == 64
    assert sum(gate.sizes) == 200
    assert [event.sequence for event in store.heard] == list(range(1, 201))


async def test_a_cancelled_caller_does_not_cancel_the_commit(store, make):
    gate = Gate(store)
    waiting = asyncio.ensure_future(store.commit([make.position(1)], [make.event(1)]))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.open.set()
    await store.commit([], [make.event(2)])
    assert store.position("position-1") == make.position(1)
    assert [event.sequence for event in store.heard] == [1, 2]


async def test_a_cancelled_caller_hears_nothing_of_a_failure_either(store, make, caplog):
    gate = Gate(store)
    waiting = asyncio.ensure_future(store.commit([make.reservation(1)], []))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.open.set()
    await store.commit([], [make.event(2)])
    del waiting
    gc.collect()  # asyncio complains when the future goes
    assert caplog.records == []


async def test_a_full_queue_makes_callers_wait_and_keeps_their_order(tmp_path, make):
    database = Database(sqlite_url(tmp_path / "x.sqlite3"), "OFF")
    ensure_schema(database)
    store = ThreadedStore(database, None, queue_max=4)
    gate = Gate(store)
    waiting = [asyncio.ensure_future(store.commit([make.position(n)], [make.event(n)])) for n in range(20)]
    await asyncio.sleep(0)
    assert len(store._waiting) == 16
    waiting[10].cancel()  # in the queue of the queue: shielded there too
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    await store.close()
    again = open_store(database.shown, inline=True)
    intents = [event.stamped.ids.intent for event in again.events_after(0, 100)]
    assert intents == [f"intent-{n}" for n in range(20)]
    await again.close()


async def test_closing_finishes_what_waits(tmp_path, make):
    database = Database(sqlite_url(tmp_path / "x.sqlite3"), "OFF")
    ensure_schema(database)
    store = ThreadedStore(database, None, queue_max=4)
    gate = Gate(store)
    waiting = [asyncio.ensure_future(store.commit([], [make.event(n)])) for n in range(20)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreError, match="closed"):
        await store.commit([], [make.event(99)])
    gate.open.set()
    await closing
    assert len(await asyncio.gather(*waiting)) == 20


async def test_r24_no_thread_survives(store):
    assert any(thread.name == "tradecore-store" for thread in threading.enumerate())
    await store.close()
    assert not any(thread.name == "tradecore-store" for thread in threading.enumerate())


async def test_the_follower_is_called_on_the_loops_thread_before_the_caller_goes_on(store, make):
    threads = []
    store._follower = lambda events: threads.append((threading.current_thread(), len(events)))
    await store.commit([], [make.event(1), make.event(2)])
    assert threads == [(threading.current_thread(), 2)]


def test_a_loop_that_is_gone_does_not_stop_the_writer(tmp_path, make):
    store = open_store(sqlite_url(tmp_path / "x.sqlite3"), inline=False, synchronous="OFF")
    gate = Gate(store)

    async def leave():
        task = asyncio.ensure_future(store.commit([make.position(1)], [make.event(1)]))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    gate.open.set()

    async def go_on():
        await store.commit([make.position(2)], [make.event(2)])
        await store.close()

    asyncio.run(go_on())
    again = open_store(store._db.shown, inline=True)
    assert [again.position(f"position-{n}") is not None for n in (1, 2)] == [True, True]
    asyncio.run(again.close())
