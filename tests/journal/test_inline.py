"""The journal of virtual time: same bytes for the same run, each booked event once, days turned over."""

from __future__ import annotations

import gzip
import hashlib
import os

import pytest

from tradecore.errors import DataError, StateFolderError
from tradecore.journal.files import list_files
from tradecore.journal.mask import Mask
from tradecore.journal.opening import open_journal
from tradecore.journal.read import Torn, decode, read_journal
from tradecore.model.events import (
    AlertFired,
    BudgetReserved,
    Heartbeat,
    Ids,
    OrderFill,
    RetryAttempt,
    ScanOutcomes,
    Taxonomy,
)


def beat(number: int) -> Heartbeat:
    return Heartbeat(float(number), 0.0, 0, 0, 0, 0, "ACTIVE")


def tree(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def sequences(folder) -> list[int]:
    return [line.store_seq for line in read_journal(folder) if line.store_seq is not None]


async def scripted_run(folder, words, days: int = 3) -> None:
    """Three days of mixed events; enough for several flushes in each."""
    clock = words.HandClock()
    journal = open_journal(folder, session="run-1", clock=clock, mask=Mask(["a-secret-of-mine"]))
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    for number in range(days * 240):
        clock.ns += words.DAY_NS // 240
        journal.note(ScanOutcomes(clock.now_ms(), 5, {"NO_DROP": 4, "RSI": 1}, 0), Ids(decision=f"d{number}"))
        journal.note(beat(number))
        new = [event._replace(stamped=event.stamped._replace(at_ns=clock.ns)) for event in ledger.commit(2)]
        ledger.events[-2:] = new
        journal.follow(new)
        journal.note(RetryAttempt("ticker", "A/B", 1, 3, "Timeout", 100))
    assert await journal.flush(1)
    assert await journal.close(1)
    assert await journal.close(1)


async def test_r39_the_same_run_gives_the_same_bytes(tmp_path, words):
    await scripted_run(tmp_path / "one", words)
    await scripted_run(tmp_path / "two", words)
    first, second = tree(tmp_path / "one"), tree(tmp_path / "two")
    assert first == second
    assert sum(name.endswith(".jsonl.gz") for name in first) >= 12
    kinds = [line.kind for line in read_journal(tmp_path / "one")]
    assert kinds.count("journal_rotated") == sum(name.endswith(".jsonl.gz") for name in first)


async def test_r39_lines_are_numbered_without_a_hole_and_read_in_order_of_time(tmp_path, words):
    await scripted_run(tmp_path, words)
    lines = list(read_journal(tmp_path))
    assert sorted(line.seq for line in lines) == list(range(1, len(lines) + 1))
    assert [(line.at_ns, line.seq) for line in lines] == sorted((line.at_ns, line.seq) for line in lines)
    assert sequences(tmp_path) == list(range(1, 1441))


async def test_r39_packed_files_hold_neither_time_nor_name(tmp_path, words):
    await scripted_run(tmp_path, words, days=2)
    packed = [file for file in list_files(tmp_path, Taxonomy.ORDER) if file.packed]
    assert packed
    for file in packed:
        head = file.path.read_bytes()[:10]
        assert head[3] == 0, "no flag: no name, no comment"
        assert head[4:8] == b"\0\0\0\0"


async def test_r39_two_taxonomies_over_midnight(opened, tmp_path, clock, words):
    journal = opened()
    clock.ns = words.NOON_NS + words.DAY_NS // 2 - 1
    journal.note(beat(1))
    journal.note(ScanOutcomes(1, 1, {}, 0))
    clock.ns += 1
    journal.note(beat(2))
    clock.ns -= 10
    journal.note(beat(3))
    assert await journal.close(1)
    folder = tmp_path / "journal"
    health = list_files(folder, Taxonomy.HEALTH)
    assert [file.path.name for file in health] == ["2021-05-19.jsonl.gz", "2021-05-20.jsonl"]
    assert gzip.decompress(health[0].path.read_bytes()).count(b"\n") == 1
    # The decision family has nothing for the new day; its old file is packed all the same.
    assert [file.path.name for file in list_files(folder, Taxonomy.DECISION)] == ["2021-05-19.jsonl.gz"]
    beats = [decode(line).event.uptime_s for line in read_journal(folder, Taxonomy.HEALTH)]
    assert beats == [3.0, 1.0, 2.0], "a late line stands in the open file and is read in its place"


async def test_r39_files_beyond_their_days_are_deleted_and_told(opened, tmp_path, clock, words):
    journal = opened(retention_days={Taxonomy.HEALTH: 2})
    for number in range(6):
        journal.note(beat(number))
        journal.note(ScanOutcomes(number, 1, {}, 0))
        clock.ns += words.DAY_NS
    assert await journal.close(1)
    folder = tmp_path / "journal"
    assert [file.path.name[:10] for file in list_files(folder, Taxonomy.HEALTH)] == [
        "2021-05-22",
        "2021-05-23",
        "2021-05-24",
    ]
    assert len(list_files(folder, Taxonomy.DECISION)) == 6
    deleted = [decode(line).event for line in read_journal(folder, kinds={"journal_retention"})]
    assert [(event.journal, event.file, event.reason) for event in deleted] == [
        ("health", f"2021-05-{day}.jsonl.gz", "age") for day in (19, 20, 21)
    ]
    assert all(event.size_bytes > 0 for event in deleted)


async def test_r39_the_cap_deletes_the_oldest_and_keeps_each_newest(opened, tmp_path, clock, words):
    journal = opened(cap_mb=1)
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    for _ in range(8):
        for number in range(40):
            journal.note(AlertFired(f"a{number}", "warning", os.urandom(4_000).hex()))
        journal.follow(ledger.commit(1))
        clock.ns += words.DAY_NS
    assert await journal.close(1)
    folder = tmp_path / "journal"
    total = sum(path.stat().st_size for path in folder.rglob("*.jsonl*"))
    assert total <= 2**20
    told = [decode(line).event for line in read_journal(folder, kinds={"journal_retention"})]
    assert told
    assert {event.reason for event in told} == {"cap"}
    assert [event.file for event in told if event.journal == "health"] == sorted(
        event.file for event in told if event.journal == "health"
    )
    assert journal.dropped == 0
    assert sequences(folder)[-1] == 8


async def test_r39_a_cap_that_one_day_passes_drops_diagnostics_only(opened, tmp_path, words):
    journal = opened(cap_mb=1)
    noise = os.urandom(4_000).hex()
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    for number in range(400):
        journal.note(AlertFired(f"a{number}", "warning", noise))
        journal.follow(ledger.commit(1))
    assert await journal.close(1)
    folder = tmp_path / "journal"
    assert journal.dropped > 200
    assert sum(path.stat().st_size for path in folder.rglob("*.jsonl*")) < 1.5 * 2**20
    assert sequences(folder) == list(range(1, 401))
    assert journal.faults["cap"] == 1


async def test_r25_what_a_crash_kept_from_the_files_is_written_once(opened, tmp_path, words):
    ledger = words.Ledger()
    first = opened()
    first.catch_up(ledger.events_after)
    first.follow(ledger.commit(40))
    assert await first.flush(1)
    first.follow(ledger.commit(25))
    ledger.commit(10)
    # The first journal is left as kill -9 leaves it: 25 events in its buffer, 10 it never heard of.
    assert first.last_sequence == 40
    second = opened(session="run-2")
    assert second.last_sequence == 40
    second.catch_up(ledger.events_after)
    second.follow(ledger.commit(5))
    assert await second.close(1)
    assert second.last_sequence == 80
    assert sequences(tmp_path / "journal") == list(range(1, 81))
    lines = list(read_journal(tmp_path / "journal"))
    assert [line.session for line in lines if line.store_seq in (40, 41)] == ["run-1", "run-2"]
    assert sorted(line.seq for line in lines) == list(range(1, len(lines) + 1))


@pytest.mark.parametrize("kept", [0, 1, 20, 200])
@pytest.mark.parametrize("name", ["order", "audit"])
async def test_r25_a_torn_last_line_is_mended_and_its_event_written_again(opened, tmp_path, words, kept, name):
    ledger = words.Ledger()
    first = opened()
    first.catch_up(ledger.events_after)
    first.follow(ledger.commit(18))
    assert await first.flush(1)
    folder = tmp_path / "journal"
    head = (folder / "head.json").read_bytes()
    first.follow(ledger.commit(2))
    assert await first.close(1)
    (folder / "head.json").write_bytes(head)  # as a crash leaves it: behind the files
    torn = folder / name / "2021-05-19.jsonl"
    raw = torn.read_bytes()
    start = raw.rfind(b"\n", 0, -1) + 1
    torn.write_bytes(raw[: start + kept])
    # The order of writing: what follows the torn line in another file was not written either.
    if name == "audit":
        expected = 19
    else:
        expected = 18
        other = folder / "audit" / "2021-05-19.jsonl"
        text = other.read_bytes()
        other.write_bytes(text[: text.rfind(b"\n", 0, -1) + 1])
    second = opened(session="run-2")
    assert second.last_sequence == expected
    second.catch_up(ledger.events_after)
    assert await second.close(1)
    assert sequences(folder) == list(range(1, 21))
    assert second.faults.get("torn_line", 0) == (1 if kept else 0)
    faults = [decode(line).event for line in read_journal(folder, kinds={"journal_fault"})]
    assert [(fault.what, fault.times) for fault in faults] == ([("torn_line", 1)] if kept else [])


async def test_a_whole_last_line_without_its_line_feed_is_kept(opened, tmp_path, clock):
    first = opened()
    for number in range(3):
        first.note(beat(number))
    assert await first.close(1)
    path = tmp_path / "journal" / "health" / "2021-05-19.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    second = opened()
    second.note(beat(3))
    assert await second.close(1)
    beats = [decode(line).event.uptime_s for line in read_journal(tmp_path / "journal", kinds={"heartbeat"})]
    assert beats == [0.0, 1.0, 2.0, 3.0]
    assert second.faults["torn_line"] == 1


async def test_the_place_is_found_in_packed_files_too(opened, tmp_path, clock, words):
    ledger = words.Ledger()
    first = opened()
    first.catch_up(ledger.events_after)
    first.follow(ledger.commit(3))
    for _ in range(3):
        clock.ns += words.DAY_NS
        first.note(beat(1))
    assert await first.close(1)
    assert all(file.packed for file in list_files(tmp_path / "journal", Taxonomy.ORDER))
    second = opened()
    assert second.last_sequence == 3
    second.note(beat(2))
    second.catch_up(ledger.events_after)
    assert await second.close(1)
    lines = list(read_journal(tmp_path / "journal"))
    assert sequences(tmp_path / "journal") == [1, 2, 3]
    assert len({line.seq for line in lines}) == len(lines)


async def test_a_day_that_was_packed_is_not_opened_again(opened, tmp_path, clock, words):
    first = opened()
    first.note(beat(1))
    clock.ns += words.DAY_NS
    first.note(ScanOutcomes(1, 1, {}, 0))
    assert await first.close(1)
    clock.ns -= words.DAY_NS
    second = opened()
    second.note(beat(2))
    assert await second.close(1)
    beats = [decode(line).event.uptime_s for line in read_journal(tmp_path / "journal", kinds={"heartbeat"})]
    assert beats == [1.0, 2.0]
    assert [file.path.name for file in list_files(tmp_path / "journal", Taxonomy.HEALTH)] == [
        "2021-05-19.jsonl.gz",
        "2021-05-20.jsonl",
    ]


async def test_a_crash_while_packing_leaves_nothing_double(opened, tmp_path, clock, words):
    first = opened()
    for number in range(5):
        first.note(beat(number))
    assert await first.close(1)
    plain = tmp_path / "journal" / "health" / "2021-05-19.jsonl"
    plain.with_name(plain.name + ".gz").write_bytes(gzip.compress(plain.read_bytes()[:100]))
    plain.with_name(plain.name + ".gz.tmp").write_bytes(b"half")
    assert len(list(read_journal(tmp_path / "journal"))) == 5
    clock.ns += words.DAY_NS
    second = opened()
    second.note(beat(5))
    assert await second.close(1)
    assert not plain.exists()
    beats = [decode(line).event.uptime_s for line in read_journal(tmp_path / "journal", kinds={"heartbeat"})]
    assert beats == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert sorted(path.name for path in plain.parent.iterdir()) == ["2021-05-19.jsonl.gz", "2021-05-20.jsonl"]


async def test_r25_a_full_disk_costs_diagnostics_only_in_the_end(opened, tmp_path, disk, words):
    journal = opened()
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    disk.room = 50_000
    noise = "n" * 2_000
    for number in range(200):
        journal.note(AlertFired(f"a{number}", "warning", noise))
        journal.follow(ledger.commit(2))
    assert disk.refused >= 1
    assert not await journal.flush(1)
    assert journal.depth > 0
    for path in (tmp_path / "journal").rglob("*.jsonl"):
        rest = path.read_bytes()
        assert rest == b"" or rest.count(b"\n") >= 1
    disk.room = None
    journal.note(AlertFired("after", "warning", "room again"))
    assert await journal.close(1)
    folder = tmp_path / "journal"
    alerts = [decode(line).event.name for line in read_journal(folder, kinds={"alert_fired"})]
    assert alerts == [*(f"a{number}" for number in range(200)), "after"]
    assert sequences(folder) == list(range(1, 401))
    faults = [decode(line).event for line in read_journal(folder, kinds={"journal_fault"})]
    assert [fault.what for fault in faults] == ["sink_error"]
    assert faults[0].detail == "No space left on device"
    assert faults[0].times == disk.refused


async def test_r25_memory_stays_bounded_on_a_disk_that_stays_full(opened, tmp_path, disk, words, monkeypatch):
    monkeypatch.setattr("tradecore.journal.inline.HELD_BYTES_MAX", 200_000)
    journal = opened()
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    disk.room = 0
    for number in range(4_000):
        journal.note(beat(number))
        journal.follow(ledger.commit(1))
    assert journal._pen.held_bytes < 400_000
    assert journal.dropped > 1_000
    disk.room = None
    assert await journal.flush(1)
    assert await journal.close(1)
    folder = tmp_path / "journal"
    assert sequences(folder) == list(range(1, 4_001))
    drops = [decode(line).event for line in read_journal(folder, kinds={"journal_drops"})]
    assert sum(drop.dropped for drop in drops) == journal.dropped
    beats = sum(line.kind == "heartbeat" for line in read_journal(folder))
    assert beats + journal.dropped == 4_000


async def test_a_stray_event_is_counted_and_never_raised(opened, tmp_path):
    class Stray:
        pass

    journal = opened()
    journal.note(beat(1))
    journal.note(Stray())
    journal.note(AlertFired("x", "warning", Stray()))
    journal.note(beat(2))
    assert await journal.close(1)
    assert journal.faults == {"unencodable": 2}
    lines = list(read_journal(tmp_path / "journal"))
    assert [line.kind for line in lines] == ["heartbeat", "heartbeat", "journal_fault"]
    assert [line.seq for line in lines] == [1, 2, 3]


async def test_an_event_noted_from_within_a_note_is_not_lost(opened, tmp_path, clock):
    """A finaliser may log while an event is being encoded."""
    journal = opened()

    class Chatty(dict):
        def keys(self):
            journal.note(beat(8))
            return super().keys()

        def __iter__(self):
            return super().__iter__()

    journal.note(ScanOutcomes(1, 1, Chatty(a=1), 0))
    journal.note(beat(9))
    assert await journal.close(1)
    kinds = [line.kind for line in read_journal(tmp_path / "journal")]
    assert kinds.count("scan_outcomes") == 1
    assert kinds.count("heartbeat") >= 2
    assert sorted(line.seq for line in read_journal(tmp_path / "journal")) == list(range(1, len(kinds) + 1))


async def test_a_store_that_was_put_back_is_followed_from_there(opened, tmp_path, words):
    ledger = words.Ledger()
    first = opened()
    first.catch_up(ledger.events_after)
    first.follow(ledger.commit(30))
    assert await first.close(1)
    ledger.events = ledger.events[:20]
    second = opened(session="run-2")
    second.catch_up(ledger.events_after)
    second.follow(ledger.commit(3))
    assert await second.close(1)
    assert second.last_sequence == 23
    assert second.faults == {"store_behind": 1}
    third = opened(session="run-3")
    assert third.last_sequence == 23, "the last booked line counts, not the highest number"
    third.catch_up(ledger.events_after)
    third.follow(ledger.commit(2))
    assert await third.close(1)
    by_session = {name: [] for name in ("run-1", "run-2", "run-3")}
    for line in sorted(read_journal(tmp_path / "journal"), key=lambda line: line.seq):
        if line.store_seq is not None:
            by_session[line.session].append(line.store_seq)
    assert by_session == {"run-1": list(range(1, 31)), "run-2": [21, 22, 23], "run-3": [24, 25]}


async def test_a_new_store_beside_an_old_journal_loses_nothing(opened, tmp_path, words):
    old = words.Ledger()
    first = opened()
    first.catch_up(old.events_after)
    first.follow(old.commit(5))
    assert await first.close(1)
    fresh = words.Ledger()
    second = opened(session="run-2")
    second.follow(fresh.commit(8))
    second.catch_up(fresh.events_after)
    assert await second.close(1)
    written = [
        line.store_seq for line in read_journal(tmp_path / "journal") if line.session == "run-2" and line.store_seq
    ]
    assert sorted(written) == list(range(1, 9))


async def test_booked_events_wait_for_what_came_before_them(opened, tmp_path, words):
    ledger = words.Ledger()
    first = opened()
    first.catch_up(ledger.events_after)
    first.follow(ledger.commit(4))
    assert await first.close(1)
    ledger.commit(3)
    second = opened()
    second.follow(ledger.commit(2))
    assert second.depth == 5
    second.catch_up(ledger.events_after)
    assert await second.close(1)
    assert sequences(tmp_path / "journal") == list(range(1, 10))


async def test_a_hole_in_the_store_is_told_and_passed(opened, tmp_path, words):
    ledger = words.Ledger(10)
    ledger.events_after = lambda sequence, limit: [
        event for event in ledger.events if event.sequence > sequence and event.sequence not in (4, 5)
    ][:limit]
    journal = opened()
    journal.catch_up(ledger.events_after)
    assert await journal.close(1)
    assert sequences(tmp_path / "journal") == [1, 2, 3, 6, 7, 8, 9, 10]


async def test_r25_trace_sampling_keeps_every_nth_of_each_kind(opened, tmp_path):
    journal = opened(trace_sample=0.25)
    for number in range(100):
        journal.note(RetryAttempt("ticker", "A/B", number, 3, "Timeout", 100))
        journal.note(beat(number))
    assert await journal.close(1)
    kept = [decode(line).event.attempt for line in read_journal(tmp_path / "journal", Taxonomy.TRACER)]
    assert kept == list(range(3, 100, 4))
    assert sum(line.kind == "heartbeat" for line in read_journal(tmp_path / "journal")) == 100
    assert journal.dropped == 0


async def test_reading_filters_and_reports(opened, tmp_path, clock, words):
    journal = opened()
    for number in range(4):
        journal.note(beat(number))
        journal.note(ScanOutcomes(number, 1, {}, 0))
        clock.ns += words.DAY_NS // 2
    assert await journal.flush(1)
    folder = tmp_path / "journal"
    since = words.NOON_NS + words.DAY_NS
    assert [line.at_ns for line in read_journal(folder, Taxonomy.HEALTH, since=since)] == [
        since,
        since + words.DAY_NS // 2,
    ]
    assert {line.kind for line in read_journal(folder, kinds={"scan_outcomes"})} == {"scan_outcomes"}
    assert list(read_journal(folder, kinds={"moon_phase"})) == []
    assert list(read_journal(tmp_path / "nowhere")) == []
    last = max((folder / "health").glob("*.jsonl"))
    with last.open("ab") as file:
        file.write(b'{"seq":99,"at')
    torn: list[Torn] = []
    assert sum(1 for _ in read_journal(folder, Taxonomy.HEALTH, torn=torn)) == 4
    assert torn == [Torn(last, 13)]
    with last.open("ab") as file:
        file.write(b'\n{"seq":100}\n')
    with pytest.raises(DataError, match=r"2021-05-21\.jsonl:\d: expected a line of JSON"):
        list(read_journal(folder))
    assert await journal.close(1)


async def test_a_damaged_packed_file_is_named(opened, tmp_path, clock, words):
    journal = opened()
    for number in range(50):
        journal.note(beat(number))
    clock.ns += words.DAY_NS
    journal.note(beat(50))
    assert await journal.close(1)
    packed = tmp_path / "journal" / "health" / "2021-05-19.jsonl.gz"
    raw = packed.read_bytes()
    packed.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match=r"2021-05-19\.jsonl\.gz"):
        list(read_journal(tmp_path / "journal"))


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path, clock):
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(StateFolderError, match="expected a journal folder that can be written"):
        open_journal(tmp_path / "journal", session="r", clock=clock, mask=Mask())


async def test_events_keep_their_types_through_a_file(opened, tmp_path, words):
    journal = opened()
    events = words.booked(1, 2)
    journal.follow(events)
    assert await journal.close(1)
    back = [decode(line) for line in read_journal(tmp_path / "journal")]
    assert back == [event.stamped for event in events]
    assert [type(stamped.event) for stamped in back] == [OrderFill, BudgetReserved]
