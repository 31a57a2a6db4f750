"""What goes wrong with disks, locks and servers: nothing half written, an error by name, and on with the next."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time

import pytest

from tradecore.errors import DuplicateRecord, StoreError
from tradecore.store.database import Database, sqlite_url
from tradecore.store.inline import InlineStore
from tradecore.store.opening import open_store
from tradecore.store.schema import ensure_schema
from tradecore.store.threaded import ThreadedStore
from tradecore.store.writer import Transaction, Writer


@pytest.fixture
def url(tmp_path):
    return sqlite_url(tmp_path / "x.sqlite3")


@pytest.fixture(params=[True, False], ids=["inline", "threaded"])
async def sqlite(request, url):
    store = open_store(url, inline=request.param, synchronous="OFF")
    yield store
    await store.close()


def short_patience(url, kind):
    database = Database(url, "OFF", busy_ms_max=50)
    ensure_schema(database)
    return kind(database, None)


async def test_r22_a_full_disk_is_an_error_and_not_the_end(sqlite, make):
    await sqlite.commit([make.position(0)], [make.event(0)])
    raw = sqlite._writer.raw
    used = raw.execute("PRAGMA page_count").fetchone()[0]
    raw.execute(f"PRAGMA max_page_count = {used}")
    large = [make.position(n, memo={"note": "x" * 3_000}) for n in range(1, 20)]
    with pytest.raises(StoreError, match="full") as caught:
        await sqlite.commit(large, [make.event(1)])
    assert not isinstance(caught.value, DuplicateRecord)
    assert sqlite.position("position-1") is None
    raw.execute("PRAGMA max_page_count = 100000")
    booked = await sqlite.commit(large, [make.event(1)])
    assert [event.sequence for event in booked] == [2]


async def test_r22_a_full_disk_fails_alone_in_a_batch(url, make):
    store = open_store(url, inline=False, synchronous="OFF")
    used = store._writer.raw.execute("PRAGMA page_count").fetchone()[0]
    store._writer.raw.execute(f"PRAGMA max_page_count = {used}")
    small = [Transaction([make.position(1)], [make.event(1)]), Transaction([make.position(3)], [make.event(3)])]
    large = Transaction([make.position(n, memo={"note": "x" * 3_000}) for n in range(10, 30)], [make.event(2)])
    first, second, third = store._writer.write([small[0], large, small[1]])
    assert [event.sequence for event in (*first, *third)] == [1, 2]
    assert isinstance(second, StoreError)
    await store.close()


async def test_r22_a_read_only_database_is_an_error_and_not_the_end(sqlite, make):
    raw = sqlite._writer.raw
    raw.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="readonly"):
        await sqlite.commit([make.position(1)], [make.event(1)])
    raw.execute("PRAGMA query_only = OFF")
    assert [event.sequence for event in await sqlite.commit([make.position(1)], [make.event(1)])] == [1]


@pytest.mark.parametrize("kind", [InlineStore, ThreadedStore])
async def test_r22_a_lock_that_stays_is_an_error_and_not_the_end(url, make, kind):
    store = short_patience(url, kind)
    other = sqlite3.connect(store._db.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        await store.commit([make.position(1)], [make.event(1)])
    assert store.position("position-1") is None  # readers do not wait
    other.execute("COMMIT")
    other.close()
    assert [event.sequence for event in await store.commit([make.position(1)], [make.event(1)])] == [1]
    await store.close()


async def test_r20_a_lock_never_holds_the_loop(url, make):
    store = open_store(url, inline=False, synchronous="OFF")
    other = sqlite3.connect(store._db.url.database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    timer.start()
    writing = asyncio.ensure_future(store.commit([make.position(1)], []))
    longest, last = 0.0, time.monotonic()
    while not writing.done():
        await asyncio.sleep(0.002)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    await writing  # the lock was given back within the patience
    timer.join()
    other.close()
    await store.close()
    assert longest < 0.2


async def test_one_transaction_of_a_batch_fails_alone(url, make):
    store = open_store(url, inline=False, synchronous="OFF")
    await store.commit([make.intent(1)], [])
    batch = [
        Transaction([make.position(1)], [make.event(1)]),
        Transaction([make.position(2), make.intent(2, signal=make.signal(1))], [make.event(2)]),
        Transaction([make.intent(3)], [make.event(3)]),
        Transaction([make.reservation(9)], [make.event(4)]),
        Transaction([make.position(5, quantity=1.5)], [make.event(5)]),
        Transaction([make.position(6)], [make.event(6)]),
    ]
    answers = store._writer.write(batch)
    kinds = [type(answer) for answer in answers]
    assert kinds == [list, DuplicateRecord, list, StoreError, StoreError, list]
    assert [event.sequence for event in store.events_after(0, 10)] == [1, 2, 3]
    found = [store.position(f"position-{n}") is not None for n in (1, 2, 5, 6)]
    assert found == [True, False, False, True]
    await store.close()


async def test_a_bug_in_the_writer_reaches_the_caller_and_the_thread_lives(url, make, monkeypatch):
    store = open_store(url, inline=False, synchronous="OFF")
    real = Writer._apply

    def broken(self, transaction):
        real(self, transaction)
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Writer, "_apply", broken)
    with pytest.raises(StoreError, match="ZeroDivisionError"):
        await store.commit([make.position(1)], [make.event(1)])
    monkeypatch.setattr(Writer, "_apply", real)
    assert [event.sequence for event in await store.commit([make.position(2)], [make.event(2)])] == [1]
    assert store.position("position-1") is None
    await store.close()


class Breaking:
    """A connection that loses its server before or after a COMMIT has arrived."""

    def __init__(self, raw, *, arrives):
        self.raw = raw
        self.arrives = arrives
        self.closed = False

    def execute(self, statement, parameters=None):
        if self.closed or statement != "COMMIT":
            return self.raw.execute(statement, parameters)
        if self.arrives:
            self.raw.execute("COMMIT")
        self.closed = True
        self.raw.close()
        return self.raw.execute("SELECT 1")  # raises what psycopg raises on a lost connection

    def close(self):
        self.raw.close()


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("arrives", [True, False], ids=["committed", "lost"])
async def test_r13_a_lost_answer_to_a_commit_is_looked_up(postgres_url, make, arrives, size):
    store = open_store(postgres_url, inline=False)
    writer = store._writer
    writer.raw = Breaking(writer.raw, arrives=arrives)
    batch = [Transaction([make.position(n)], [make.event(n)]) for n in range(size)]
    answers = writer.write(batch)
    if arrives or size > 1:  # a batch whose commit is known to be lost is written again, one by one
        assert [event.sequence for answer in answers for event in answer] == list(range(1, size + 1))
    else:
        assert [type(answer) for answer in answers] == [StoreError]
    await store.commit([make.position(9)], [make.event(9)])
    stored = [event.sequence for event in store.events_after(0, 100)]
    assert stored == list(range(1, len(stored) + 1))
    assert len(stored) == (size + 1 if arrives or size > 1 else 1)
    await store.close()


async def test_r13_an_end_that_cannot_be_found_out_stops_the_writing(postgres_url, make, monkeypatch):
    store = open_store(postgres_url, inline=False)
    writer = store._writer
    writer._pause = lambda seconds: None
    writer.raw = Breaking(writer.raw, arrives=True)

    def unreachable():
        raise StoreError("expected a server, was none")

    monkeypatch.setattr(store._db, "connect", unreachable)
    with pytest.raises(StoreError):
        await store.commit([make.position(1)], [make.event(1)])
    monkeypatch.undo()
    with pytest.raises(StoreError, match="start again"):
        await store.commit([make.position(2)], [make.event(2)])
    await store.close()
    again = open_store(postgres_url, inline=False)
    assert again.load().last_sequence == 1
    await again.close()


async def test_a_server_that_ends_our_connections_is_found_again(postgres_url, postgres, make):
    store = open_store(postgres_url, inline=False)
    await store.commit([make.position(1)], [make.event(1)])
    ours = [store._writer.raw.info.backend_pid, store._reader.info.backend_pid]
    with postgres.connect() as connection:
        for pid in ours:
            connection.execute("SELECT pg_terminate_backend(%s, 2000)", (pid,))
    booked = await store.commit([make.position(2)], [make.event(2)])
    assert [event.sequence for event in booked] == [2]
    assert store.position("position-2") == make.position(2)
    await store.close()
