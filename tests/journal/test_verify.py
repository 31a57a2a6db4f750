"""What is done to a journal's files shows, and each kind of harm is told apart from the others."""

from __future__ import annotations

import gzip
import os
import shutil
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradecore.journal.chain import link_after, unseal
from tradecore.journal.files import list_files
from tradecore.journal.head import HEAD_FILE, read_head
from tradecore.journal.links import What
from tradecore.journal.mask import Mask
from tradecore.journal.opening import open_journal
from tradecore.journal.read import decode, read_journal
from tradecore.journal.verify import verify
from tradecore.model.events import AlertFired, Heartbeat, Ids, JournalFault, RetryAttempt, ScanOutcomes, Taxonomy

FLIPS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


async def written(folder, words, days=3, lines=11, **kept):
    """A journal of a few days, closed in order: two days packed, the last one plain."""
    clock = words.HandClock()
    journal = open_journal(folder, session="run-1", clock=clock, mask=Mask(), **kept)
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    for number in range(days * lines):
        clock.ns += words.DAY_NS // lines
        journal.note(ScanOutcomes(clock.now_ms(), 5, {"NO_DROP": 4}, 0), Ids(decision=f"d{number}"))
        journal.note(Heartbeat(float(number), 0.0, 0, 0, 0, 0, "ACTIVE"))
        new = [event._replace(stamped=event.stamped._replace(at_ns=clock.ns)) for event in ledger.commit(2)]
        ledger.events[-2:] = new
        journal.follow(new)
        journal.note(RetryAttempt("ticker", "A/B", number, 3, "Timeout", 100))
    assert await journal.close(1)


@pytest.fixture
async def whole(tmp_path, words):
    await written(tmp_path / "whole", words)
    return tmp_path / "whole"


@pytest.fixture
def harmed(whole, tmp_path):
    """A copy of the whole journal, to do harm to."""

    def fresh():
        shutil.rmtree(tmp_path / "harmed", ignore_errors=True)
        return shutil.copytree(whole, tmp_path / "harmed")

    return fresh


def kinds(folder):
    return [finding.what for finding in verify(folder).findings]


def plain_files(folder):
    return [file for taxonomy in Taxonomy for file in list_files(folder, taxonomy) if not file.packed]


def all_files(folder):
    return [file for taxonomy in Taxonomy for file in list_files(folder, taxonomy)]


def rewrite(file, change):
    """Change a file's lines, whatever its form; packed again as the journal packs."""
    raw = gzip.decompress(file.path.read_bytes()) if file.packed else file.path.read_bytes()
    new = b"".join(change(raw.splitlines(keepends=True)))
    file.path.write_bytes(gzip.compress(new, 6, mtime=0) if file.packed else new)


def test_r44_a_journal_as_it_was_written_is_whole(whole):
    found = verify(whole)
    assert found.ok
    assert found.findings == ()
    assert found.files == len(all_files(whole)) == 20
    assert found.lines == len(list(read_journal(whole)))
    assert found.reached_seq == max(line.seq for line in read_journal(whole))
    assert set(found.links) == {taxonomy.value for taxonomy in Taxonomy}


@FLIPS
@given(data=st.data())
def test_r44_any_byte_that_changed_is_found_in_its_file(harmed, data):
    """In plain files, packed files and the head; the line is named where the file is plain."""
    folder = harmed()
    path = data.draw(st.sampled_from([*(file.path for file in all_files(folder)), folder / HEAD_FILE]))
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    line = raw[:at].count(b"\n") + 1
    path.write_bytes(raw)
    found = verify(folder)
    assert not found.ok
    assert found.findings[0].file == str(path.relative_to(folder))
    if path.name == HEAD_FILE:
        assert kinds(folder) == [What.HEAD]
    elif path.suffix == ".gz":
        assert {finding.what for finding in found.findings} <= {What.CHANGED, What.DAMAGED}
    else:
        assert kinds(folder) == [What.CHANGED]
        assert found.findings[0].line == line


@FLIPS
@given(data=st.data())
def test_r44_lines_that_were_removed_are_found(harmed, data):
    folder = harmed()
    file = data.draw(st.sampled_from(all_files(folder)))
    newest = file == list_files(folder, file.taxonomy)[-1]
    seen = {}

    def remove(lines):
        first = data.draw(st.integers(0, len(lines) - 1))
        last = data.draw(st.integers(first + 1, min(len(lines), first + 4)))
        seen["tail"] = last == len(lines)
        return lines[:first] + lines[last:]

    rewrite(file, remove)
    (finding,) = verify(folder).findings
    assert finding.what is (What.CUT if seen["tail"] and newest else What.REMOVED)
    assert finding.taxonomy == file.taxonomy.value


@FLIPS
@given(data=st.data())
def test_r44_lines_that_changed_places_are_found(harmed, data):
    folder = harmed()
    file = data.draw(st.sampled_from([file for file in all_files(folder) if file.taxonomy is not Taxonomy.AUDIT]))

    def swap(lines):
        if len(lines) < 2:
            return lines
        one = data.draw(st.integers(0, len(lines) - 2))
        two = data.draw(st.integers(one + 1, len(lines) - 1))
        lines[one], lines[two] = lines[two], lines[one]
        return lines

    before = file.path.read_bytes()
    rewrite(file, swap)
    if file.path.read_bytes() == before:
        return
    assert set(kinds(folder)) == {What.REORDERED}


@pytest.mark.parametrize("relinked", [False, True])
async def test_r44_a_line_written_anew_with_its_check_is_told_from_a_removed_one(tmp_path, words, relinked):
    """Two lines with numbers side by side had nothing between them that could be gone."""
    clock = words.HandClock()
    journal = open_journal(tmp_path, session="run-1", clock=clock, mask=Mask())
    journal.catch_up(words.Ledger().events_after)
    for number in range(5):
        journal.note(ScanOutcomes(number, 5, {"NO_DROP": 5}, 0))
    assert await journal.close(1)
    (file,) = list_files(tmp_path, Taxonomy.DECISION)
    assert verify(tmp_path).ok
    seals = [unseal(line) for line in file.path.read_bytes().splitlines(keepends=True)]
    body = seals[2].body.replace(b'"candidates":5', b'"candidates":6')
    assert body != seals[2].body
    link = link_after(seals[1].link, body) if relinked else seals[2].link
    forged = b'%b,"chain":"%b%08x"}\n' % (body, link, zlib.crc32(link, zlib.crc32(body)))
    rewrite(file, lambda lines: [*lines[:2], forged, *lines[3:]])
    (finding,) = verify(tmp_path).findings
    assert finding.what is What.CHANGED
    assert finding.line == 3 + relinked, "where it was linked anew the next line does not hang on it"


@FLIPS
@given(data=st.data())
def test_r44_a_line_that_was_put_in_is_found(harmed, data):
    """A copy of a line of the same file, of another file, or one made up with a check of its own."""
    folder = harmed()
    file = data.draw(st.sampled_from(all_files(folder)))
    other = data.draw(st.sampled_from(all_files(folder)))
    source = gzip.decompress(other.path.read_bytes()) if other.packed else other.path.read_bytes()
    line = data.draw(st.sampled_from(source.splitlines(keepends=True)))
    last = file == list_files(folder, file.taxonomy)[-1]
    seen = {}

    def put(lines):
        at = data.draw(st.integers(0, len(lines)))
        seen["end"] = last and at == len(lines)
        return [*lines[:at], line, *lines[at:]]

    rewrite(file, put)
    found = set(kinds(folder))
    if seen["end"] and other.taxonomy is not file.taxonomy:
        # Behind the last line nothing says that it does not belong there but that it hangs on nothing.
        assert found <= {What.INSERTED, What.REMOVED}
        assert found
    else:
        assert found == {What.INSERTED}


@FLIPS
@given(data=st.data())
def test_r44_a_file_that_was_cut_is_found_where_its_end_was_vouched_for(harmed, data):
    folder = harmed()
    file = data.draw(st.sampled_from(all_files(folder)))
    raw = file.path.read_bytes()
    size = data.draw(st.integers(0, len(raw) - 1))
    file.path.write_bytes(raw[:size])
    found = verify(folder)
    if not file.packed and size == len(raw) - 1:
        assert kinds(folder) == [What.TORN], "nothing but the line feed is gone"
        return
    assert not found.ok
    assert kinds(folder) == [What.CUT]


@pytest.mark.parametrize("number", range(20))
def test_r44_a_file_that_is_gone_is_named(harmed, number):
    folder = harmed()
    file = all_files(folder)[number]
    file.path.unlink()
    found = verify(folder)
    assert [finding.what for finding in found.findings] == [What.MISSING_FILE]
    assert found.findings[0].file == str(file.path.relative_to(folder))


def test_r44_a_whole_taxonomy_that_is_gone_is_named(harmed):
    folder = harmed()
    shutil.rmtree(folder / "order")
    assert kinds(folder) == [What.MISSING_FILE] * 4


def test_r44_a_head_that_is_gone_is_named_and_the_rest_still_proven(harmed):
    folder = harmed()
    (folder / HEAD_FILE).unlink()
    assert kinds(folder) == [What.HEAD]
    rewrite(list_files(folder, Taxonomy.HEALTH)[0], lambda lines: lines[:3] + lines[4:])
    assert set(kinds(folder)) == {What.HEAD, What.REMOVED}


def test_r44_two_kinds_of_harm_are_both_told(harmed):
    folder = harmed()
    rewrite(list_files(folder, Taxonomy.ORDER)[-1], lambda lines: lines[:3] + lines[4:])
    rewrite(
        list_files(folder, Taxonomy.DECISION)[-1],
        lambda lines: [
            line.replace(b'"NO_DROP":4', b'"NO_DROP":3') if n == 5 else line for n, line in enumerate(lines)
        ],
    )
    found = verify(folder)
    assert sorted((finding.what, finding.taxonomy) for finding in found.findings) == [
        (What.CHANGED, "decision"), (What.REMOVED, "order"),
    ]  # fmt: skip


async def crashed(opened, clock, words, tmp_path):
    """A journal whose process was killed: lines behind the head."""
    journal = opened()
    for number in range(6):
        journal.note(Heartbeat(float(number), 0.0, 0, 0, 0, 0, "ACTIVE"))
    assert await journal.flush(1)
    head = (tmp_path / "journal" / HEAD_FILE).read_bytes()
    for number in range(6):
        journal.note(Heartbeat(float(number), 1.0, 0, 0, 0, 0, "ACTIVE"))
    assert await journal.close(1)
    (tmp_path / "journal" / HEAD_FILE).write_bytes(head)
    return next((tmp_path / "journal" / "health").iterdir())


async def test_r44_a_torn_end_that_nobody_vouched_for_is_tolerated_mended_and_said(opened, clock, words, tmp_path):
    path = await crashed(opened, clock, words, tmp_path)
    assert kinds(tmp_path / "journal") == []
    path.write_bytes(path.read_bytes()[:-40])
    found = verify(tmp_path / "journal")
    assert found.ok
    assert [finding.what for finding in found.findings] == [What.TORN]
    again = opened(session="run-2")
    again.note(Heartbeat(9.0, 0.0, 0, 0, 0, 0, "ACTIVE"))
    assert await again.close(1)
    assert kinds(tmp_path / "journal") == []
    faults = [decode(line).event for line in read_journal(tmp_path / "journal", kinds={"journal_fault"})]
    assert [(fault.what, fault.detail) for fault in faults] == [
        ("torn_line", "health/2021-05-19.jsonl: mended at start")
    ]


async def test_r44_what_was_cut_before_a_start_stays_visible_after_it(opened, clock, words, tmp_path):
    path = await crashed(opened, clock, words, tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    again = opened(session="run-2")
    again.note(Heartbeat(9.0, 0.0, 0, 0, 0, 0, "ACTIVE"))
    assert await again.close(1)
    folder = tmp_path / "journal"
    assert kinds(folder) == [What.REMOVED]
    faults = [decode(line).event for line in read_journal(folder, kinds={"journal_fault"})]
    assert faults == [JournalFault("lines_missing", 1, 1, "health: the head reaches line 6, the files 3")]


async def test_r44_a_lost_head_is_made_anew_and_said(opened, clock, words, tmp_path):
    await crashed(opened, clock, words, tmp_path)
    folder = tmp_path / "journal"
    (folder / HEAD_FILE).unlink()
    again = opened(session="run-2")
    again.note(Heartbeat(9.0, 0.0, 0, 0, 0, 0, "ACTIVE"))
    assert await again.close(1)
    assert kinds(folder) == []
    assert [decode(line).event.what for line in read_journal(folder, kinds={"journal_fault"})] == ["head_missing"]


async def test_r39_what_retention_deleted_is_no_fault_and_the_rest_hangs_together(tmp_path, words):
    kept = {Taxonomy.HEALTH: 2, Taxonomy.TRACER: 1}
    await written(tmp_path, words, days=6, retention_days=kept)
    found = verify(tmp_path)
    assert found.findings == ()
    told = [decode(line).event.journal for line in read_journal(tmp_path, kinds={"journal_retention"})]
    assert [(gone.taxonomy, gone.files) for gone in found.gone] == [("tracer", 5), ("health", 4)]
    assert (told.count("tracer"), told.count("health")) == (5, 4)
    oldest = list_files(tmp_path, Taxonomy.HEALTH)[0]
    rewrite(oldest, lambda lines: lines[1:])
    assert [finding.what for finding in verify(tmp_path).findings] == [What.REMOVED]
    oldest.path.unlink()
    assert [finding.what for finding in verify(tmp_path).findings] == [What.MISSING_FILE]


async def test_r39_a_cap_that_deletes_leaves_a_chain_that_holds(opened, tmp_path, clock, words):
    journal = opened(cap_mb=1)
    for number in range(700):
        journal.note(AlertFired(f"a{number}", "warning", os.urandom(1_500).hex()))
        clock.ns += words.DAY_NS // 40
    assert await journal.close(1)
    found = verify(tmp_path / "journal")
    assert found.findings == ()
    assert found.gone


async def test_r44_runs_restarts_and_midnights_are_one_chain(opened, tmp_path, clock, words):
    ledger = words.Ledger()
    for run in range(5):
        journal = opened(session=f"run-{run}")
        journal.catch_up(ledger.events_after)
        for number in range(20):
            clock.ns += words.DAY_NS // 9
            journal.note(Heartbeat(float(number), 0.0, 0, 0, 0, 0, "ACTIVE"))
            journal.follow(ledger.commit(1))
        assert await journal.close(1)
        assert kinds(tmp_path / "journal") == []
    head = read_head(tmp_path / "journal")
    assert head is not None
    assert (head.sequence, head.seq) == (100, verify(tmp_path / "journal").reached_seq)


async def test_r44_a_journal_with_a_thread_keeps_the_chain_and_the_head(opened, tmp_path, clock, words):
    journal = opened(virtual=False)
    ledger = words.Ledger()
    journal.catch_up(ledger.events_after)
    for number in range(300):
        clock.ns += words.DAY_NS // 100
        journal.note(Heartbeat(float(number), 0.0, 0, 0, 0, 0, "ACTIVE"))
        journal.follow(ledger.commit(1))
    assert await journal.flush(5)
    assert await journal.close(5)
    assert verify(tmp_path / "journal").findings == ()


async def test_r44_a_journal_under_way_is_no_fault(opened, tmp_path, clock, words):
    journal = opened()
    for number in range(2_000):
        clock.ns += words.DAY_NS // 700
        journal.note(Heartbeat(float(number), 0.0, 0, 0, 0, 0, "ACTIVE"))
    assert verify(tmp_path / "journal").ok
    assert await journal.close(1)


async def test_r44_a_full_disk_breaks_no_chain(opened, tmp_path, disk, words):
    journal = opened()
    disk.room = 30_000
    for number in range(120):
        journal.note(AlertFired(f"a{number}", "warning", "n" * 2_000))
    assert disk.refused
    disk.room = None
    assert await journal.close(1)
    assert verify(tmp_path / "journal").findings == ()


def test_r44_a_folder_that_is_not_there_is_an_empty_journal(tmp_path):
    found = verify(tmp_path / "nowhere")
    assert found.ok
    assert (found.files, found.lines, found.reached_seq) == (0, 0, 0)
