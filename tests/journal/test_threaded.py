"""The journal of real time: nobody waits for a disk, drops are counted, the writer ends on time."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc

import pytest

from tradecore.errors import StateFolderError
from tradecore.journal.head import read_head
from tradecore.journal.read import decode, read_journal
from tradecore.journal.threaded import ThreadedJournal
from tradecore.journal.verify import verify
from tradecore.model.events import AlertFired, Heartbeat, RetryAttempt, ScanOutcomes, Taxonomy


def beat(number: int) -> Heartbeat:
    return Heartbeat(float(number), 0.0, 0, 0, 0, 0, "ACTIVE")


def sequences(folder) -> list[int]:
    return [line.store_seq for line in read_journal(folder) if line.store_seq is not None]


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tradecore-journal"]


@pytest.fixture(autouse=True)
def _no_writer_is_left():
    yield
    for thread in writers():
        thread.join(5)
    assert writers() == []


async def until(condition, timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


async def test_r25_events_of_many_threads_all_arrive(opened, tmp_path, words):
    journal = opened(virtual=False)
    assert isinstance(journal, ThreadedJournal)
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)

    def noise(first: int) -> None:
        for number in range(first, first + 500):
            journal.note(beat(number))

    threads = [threading.Thread(target=noise, args=(number * 1_000,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        journal.follow(ledger.commit(3))
        await asyncio.sleep(0)
    for thread in threads:
        thread.join()
    assert await journal.flush(5)
    assert journal.depth == 0
    assert journal.last_sequence == 300
    folder = tmp_path / "journal"
    assert sequences(folder) == list(range(1, 301))
    beats = [decode(line).event.uptime_s for line in read_journal(folder, Taxonomy.HEALTH)]
    assert sorted(beats) == sorted(float(first * 1_000 + number) for first in range(4) for number in range(500))
    assert await journal.close(5)
    assert await journal.close(5)
    assert journal.dropped == 0


async def test_r25_a_hung_sink_blocks_nobody_and_drops_are_told(opened, tmp_path, disk, words):
    journal = opened(virtual=False, queue=100)
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    journal.note(beat(0))
    assert await journal.flush(5)
    disk.open_gate.clear()
    start = time.monotonic()
    for number in range(3_000):
        journal.note(beat(number))
        journal.follow(ledger.commit(1))
    assert time.monotonic() - start < 2
    assert journal.dropped > 500
    assert len(journal._follower._waiting) <= 100, "the rest waits in the store"
    start = time.monotonic()
    assert not await journal.flush(0.1)
    assert time.monotonic() - start < 1
    disk.open_gate.set()
    assert await journal.flush(10)
    assert sequences(tmp_path / "journal") == list(range(1, 3_001))
    drops = [decode(line).event for line in read_journal(tmp_path / "journal", kinds={"journal_drops"})]
    assert sum(drop.dropped for drop in drops) == drops[-1].total == journal.dropped
    written = sum(line.kind == "heartbeat" for line in read_journal(tmp_path / "journal"))
    assert written + journal.dropped == 3_001
    assert any(sequence > 0 for sequence in ledger.asked), "it caught up from the store"
    assert await journal.close(5)


async def test_r25_close_keeps_its_time_limit_on_a_hung_sink(opened, tmp_path, disk, words):
    journal = opened(virtual=False)
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    disk.open_gate.clear()
    journal.follow(ledger.commit(3))
    await asyncio.sleep(0.1)
    start = time.monotonic()
    assert not await journal.close(0.2)
    assert 0.15 < time.monotonic() - start < 1
    journal.note(beat(1))
    assert journal.dropped == 1
    assert all(thread.daemon for thread in writers())
    disk.open_gate.set()
    await until(lambda: not writers())
    again = opened(session="run-2")
    again.catch_up(ledger.events_after)
    assert await again.close(1)
    assert sequences(tmp_path / "journal") == [1, 2, 3]


async def test_r25_a_slow_sink_holds_nobody_up(opened, tmp_path, disk):
    journal = opened(virtual=False)
    disk.delay_s = 0.05
    start = time.monotonic()
    for number in range(5_000):
        journal.note(beat(number))
    assert time.monotonic() - start < 1
    assert await journal.close(10)
    assert disk.writes < 100, "lines are written in groups"
    assert sum(1 for _ in read_journal(tmp_path / "journal")) == 5_000


async def test_r25_a_full_disk_is_tried_again_and_leaves_no_half_line(opened, tmp_path, disk, words):
    journal = opened(virtual=False)
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    disk.room = 5_000
    for number in range(200):
        journal.note(beat(number))
        journal.follow(ledger.commit(1))
    await until(lambda: disk.refused >= 2)
    assert journal.faults["sink_error"] >= 1
    assert not await journal.flush(0.1)
    disk.room = None
    assert await journal.flush(10)
    assert await journal.close(5)
    folder = tmp_path / "journal"
    assert sequences(folder) == list(range(1, 201))
    assert [decode(line).event.uptime_s for line in read_journal(folder, kinds={"heartbeat"})] == [
        float(number) for number in range(200)
    ]
    faults = [decode(line).event for line in read_journal(folder, kinds={"journal_fault"})]
    assert {fault.what for fault in faults} == {"sink_error"}
    assert sum(fault.times for fault in faults) == disk.refused


async def test_r25_closing_on_a_full_disk_says_no_and_ends(opened, tmp_path, disk, words):
    journal = opened(virtual=False)
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    disk.room = 700
    journal.follow(ledger.commit(20))
    start = time.monotonic()
    assert not await journal.close(0.5)
    assert time.monotonic() - start < 2
    await until(lambda: not writers())
    disk.room = None
    again = opened(session="run-2")
    again.catch_up(ledger.events_after)
    assert await again.close(1)
    assert sequences(tmp_path / "journal") == list(range(1, 21))


async def test_r25_a_reader_that_raises_anything_does_not_end_the_writer(opened, tmp_path, words):
    journal = opened(virtual=False)
    ledger = words.Ledger(5)
    faults = iter([RuntimeError("locked"), KeyError("odd")])

    def reader(sequence: int, limit: int):
        for fault in faults:
            raise fault
        return ledger.events_after(sequence, limit)

    journal.catch_up(reader)
    journal.note(beat(1))
    assert await journal.flush(10)
    assert sequences(tmp_path / "journal") == [1, 2, 3, 4, 5]
    assert journal.faults["reader_error"] == 2
    assert sum(line.kind == "heartbeat" for line in read_journal(tmp_path / "journal")) == 1
    assert await journal.close(5)


async def test_r25_a_sink_that_raises_anything_does_not_end_the_writer(opened, tmp_path, disk, words):
    journal = opened(virtual=False)
    ledger = words.Ledger(3)
    disk.fault = ValueError("I/O operation on closed file")
    journal.catch_up(ledger.events_after)
    journal.note(beat(1))
    await until(lambda: journal.faults.get("writer_error", 0) >= 2)
    disk.fault = None
    assert await journal.close(5)
    assert sequences(tmp_path / "journal") == [1, 2, 3]
    assert sum(line.kind == "heartbeat" for line in read_journal(tmp_path / "journal")) == 1


async def test_r25_a_stray_event_is_counted(opened, tmp_path):
    journal = opened(virtual=False)
    journal.note(object())
    journal.note(beat(1))
    assert await journal.close(5)
    assert journal.faults == {"unencodable": 1}
    assert [line.kind for line in read_journal(tmp_path / "journal")] == ["heartbeat", "journal_fault"]


async def test_r25_no_start_without_the_writer_alive(opened, monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(StateFolderError, match="expected the journal's writer to start, was can't start new thread"):
        opened(virtual=False)


async def test_r25_a_hundred_thousand_events_keep_memory_flat(opened, tmp_path, disk):
    journal = opened(virtual=False, queue=2_000)
    events = [beat(number) for number in range(100)]
    tracemalloc.start()
    for number in range(100_000):
        journal.note(events[number % 100])
        if number % 1_000 == 0:
            await asyncio.sleep(0.001)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * 2**20
    assert await journal.close(20)
    lines = list(read_journal(tmp_path / "journal", kinds={"heartbeat"}))
    assert len(lines) + journal.dropped == 100_000


async def test_booked_events_and_diagnostics_stand_in_the_order_of_time(opened, tmp_path, clock, words):
    journal = opened(virtual=False)
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    for number in range(50):
        event = ledger.commit(1)[0]
        moved = event._replace(stamped=event.stamped._replace(at_ns=clock.ns))
        ledger.events[-1] = moved
        clock.ns += 10
        journal.note(ScanOutcomes(number, 1, {}, 0))
        journal.follow([moved])
        clock.ns += 10
    assert await journal.close(5)
    lines = sorted(read_journal(tmp_path / "journal"), key=lambda line: line.seq)
    assert len(lines) == 100
    inversions = sum(one.at_ns > two.at_ns for one, two in itertools.pairwise(lines))
    assert inversions <= 5


async def test_sampled_traces_do_not_enter_the_queue(opened, tmp_path, disk):
    journal = opened(virtual=False, trace_sample=0.0)
    for number in range(100):
        journal.note(RetryAttempt("ticker", "A/B", number, 3, "Timeout", 100))
    assert journal.depth == 0
    assert await journal.close(5)
    assert list(read_journal(tmp_path / "journal")) == []


async def test_day_and_retention_are_the_writers_work(opened, tmp_path, clock, words):
    journal = opened(virtual=False, retention_days={Taxonomy.HEALTH: 1})
    for number in range(4):
        journal.note(AlertFired(f"a{number}", "info", "x"))
        assert await journal.flush(5)
        clock.ns += words.DAY_NS
    assert await journal.close(5)
    names = sorted(path.name for path in (tmp_path / "journal" / "health").iterdir())
    assert names == ["2021-05-21.jsonl.gz", "2021-05-22.jsonl"]
    kinds = [line.kind for line in read_journal(tmp_path / "journal", Taxonomy.AUDIT)]
    assert kinds.count("journal_retention") == 2
    assert kinds.count("journal_rotated") >= 3


CRASH = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from conftest import HandClock, Ledger
from tradecore.journal.mask import Mask
from tradecore.journal.opening import open_journal
from tradecore.model.events import Heartbeat

async def main():
    journal = open_journal(Path({folder!r}), session="crash", clock=HandClock({virtual}), mask=Mask())
    ledger = Ledger({committed})
    journal.catch_up(ledger.events_after)
    print("up", flush=True)
    for number in range(1_000_000):
        journal.follow(ledger.commit(2))
        journal.note(Heartbeat(float(number), 0.0, 0, 0, 0, 0, "ACTIVE"))
        if number % 50 == 0:
            print(len(ledger.events), flush=True)
            await asyncio.sleep(0)

asyncio.run(main())
"""


@pytest.mark.parametrize("virtual", [True, False])
def test_r25_after_kill_nine_every_committed_event_is_in_the_files_once(tmp_path, opened, words, virtual):
    folder = tmp_path / "journal"
    committed = 0
    for round_number in range(2):
        code = CRASH.format(tests=os.path.dirname(__file__), folder=str(folder), virtual=virtual, committed=committed)
        child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "up\n"
        until_s = time.monotonic() + 0.1 + 0.2 * round_number
        while time.monotonic() < until_s:
            committed = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().splitlines()
        child.stdout.close()
        child.wait()
        whole = [line for line in rest if line.isdigit()]
        # All but the last line may be cut; the journal itself may have come further than what was printed.
        committed = max(committed, *(int(line) for line in whole[:-1])) if len(whole) > 1 else committed
        committed = max(committed, *(sequences(folder) or [0]))
    assert verify(folder).ok, "a kill leaves a torn end at most"
    again = opened(session="after")
    ledger = words.Ledger(committed)
    again.catch_up(ledger.events_after)
    assert asyncio.run(again.close(5))
    assert sequences(folder) == list(range(1, committed + 1))
    seqs = sorted(line.seq for line in read_journal(folder))
    assert seqs == sorted(set(seqs))
    assert verify(folder).findings == ()


async def test_r44_the_head_follows_while_lines_are_written(tmp_path, opened, clock, words, monkeypatch):
    """Nobody flushes for hours: what was written is vouched for all the same."""
    monkeypatch.setattr("tradecore.journal.threaded._HEAD_EVERY_S", 0.02)
    journal = opened(virtual=False)
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    seen = set()
    until_s = time.monotonic() + 10
    while len(seen) < 3 and time.monotonic() < until_s:
        journal.follow(ledger.commit(1))
        await asyncio.sleep(0.02)
        head = read_head(tmp_path / "journal")
        seen.add(head.sequence if head is not None else 0)
    assert len(seen) >= 3
    assert await journal.close(5)
    assert read_head(tmp_path / "journal").sequence == len(ledger.events)
