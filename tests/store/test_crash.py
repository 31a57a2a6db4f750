"""kill -9 after an acknowledged commit loses nothing, and the lock of a dead process is free."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from tradecore.errors import StateFolderError
from tradecore.store.database import sqlite_url
from tradecore.store.instance import InstanceLock
from tradecore.store.opening import open_store

WRITER = """
import asyncio, sys
from decimal import Decimal
from pathlib import Path
from tradecore.model.events import Ids, OrderAttempt, Stamped
from tradecore.model.records import Posting, PostingKind
from tradecore.store.database import sqlite_url
from tradecore.store.instance import InstanceLock
from tradecore.store.opening import open_store

async def main(folder, inline):
    InstanceLock(folder, "run-1").take()
    store = open_store(sqlite_url(folder / "x.sqlite3"), inline=inline)
    event = OrderAttempt("S", "buy", 1, "SENDING", "IOC", "IOC", Decimal(1), Decimal(1), "", None)

    async def one(n):
        posting = Posting(f"p{n}", 0, "assets", "USDT", Decimal("0.1"), PostingKind.TRADE, n)
        (booked,) = await store.commit([posting], [Stamped(n, event, Ids())])
        sys.stdout.write(f"{n} {booked.sequence}\\n")
        sys.stdout.flush()

    n = 0
    while n < 200_000:  # it is killed long before
        await asyncio.gather(*(one(n + k) for k in range(4)))
        n += 4

asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "inline"))
"""


def read_acknowledged(process, into, up_to):
    for line in process.stdout:
        number, sequence = line.split()
        into[int(number)] = int(sequence)
        if len(into) == up_to:
            return


@pytest.mark.parametrize("kind", ["inline", "threaded"])
def test_r22_kill_9_loses_no_acknowledged_commit(tmp_path, kind):
    acknowledged = {}
    run = [sys.executable, "-c", WRITER, tmp_path, kind]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:
        try:
            read_acknowledged(process, acknowledged, 150)
            assert len(acknowledged) == 150, "the writer ended by itself"
            with pytest.raises(StateFolderError, match=f"pid {process.pid} run run-1"):
                InstanceLock(tmp_path).take()
        finally:
            process.send_signal(signal.SIGKILL)
        # What it still said before it died; a last line may be torn.
        for line in process.stdout.read().splitlines(keepends=True):
            if line.endswith("\n"):
                number, sequence = line.split()
                acknowledged[int(number)] = int(sequence)
    with InstanceLock(tmp_path, "run-2"):
        store = open_store(sqlite_url(tmp_path / "x.sqlite3"), inline=True)
        events = store.events_after(0, 1_000_000)
        stored = {event.stamped.at_ns: event.sequence for event in events}
        assert {n: stored.get(n) for n in acknowledged} == acknowledged
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        # Rows and events of a transaction came together or not at all.
        assert store.load().balances["assets", "USDT"] * 10 == len(events)
        asyncio.run(store.close())


def test_r19_a_lock_outlives_what_took_it(tmp_path):
    """A lock whose object nobody kept must not be given back behind the process's back."""
    code = (
        "import gc, sys; from pathlib import Path; from tradecore.store.instance import InstanceLock;"
        "InstanceLock(Path(sys.argv[1]), 'run-1').take(); gc.collect(); print('held', flush=True); sys.stdin.read()"
    )
    run = [sys.executable, "-c", code, tmp_path]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            with pytest.raises(StateFolderError, match=f"pid {process.pid} run run-1"):
                InstanceLock(tmp_path).take()
        finally:
            process.kill()
    with InstanceLock(tmp_path):  # given back by the kernel
        assert process.returncode == -signal.SIGKILL


def test_r19_a_lock_is_held_once_and_given_back(tmp_path):
    folder = tmp_path / "new" / "state"
    first, second = InstanceLock(folder, "run-1"), InstanceLock(folder, "run-2")
    first.take()
    with pytest.raises(StateFolderError, match=f"pid {os.getpid()} run run-1"):
        second.take()
    first.release()
    first.release()
    with second, pytest.raises(StateFolderError, match="run-2"):
        first.take()
    first.take()
    first.release()


def test_r19_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderError, match="can be written"):
        InstanceLock(tmp_path / "file" / "state").take()
