"""State folders that are not as they were left: a named refusal, or going on with what can be told."""

import gzip
import json
import os
import shutil
import sqlite3
from collections import Counter

import pytest
from bot import lines_of

from tradecore.journal.read import read_journal


@pytest.fixture(scope="module")
def kept(tmp_path_factory, clean_run):
    """A state folder with some trading in it, ended cleanly."""
    return clean_run(tmp_path_factory.mktemp("kept") / "s")


@pytest.fixture
def state(kept, tmp_path):
    """A copy of it that a test may spoil."""
    return shutil.copytree(kept, tmp_path / "s")


def test_r26_a_database_of_another_schema_is_refused(state, play, assert_refused):
    with sqlite3.connect(state / "tradecore.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'v9999'")
    assert_refused(play(state), "v9999")


def test_a_database_that_is_none_is_refused(state, play, assert_refused):
    (state / "tradecore.db").write_bytes(b"this was somebody's letter\n" * 400)
    assert_refused(play(state), "tradecore.db")


def test_a_torn_venue_file_is_refused_and_not_made_anew(state, play, assert_refused):
    """Without the venue's own record nothing that was sent could be proven: going on would invent an account."""
    whole = (state / "twin.db").read_bytes()
    (state / "twin.db").write_bytes(whole[: len(whole) // 2])
    assert_refused(play(state), "twin.db")
    assert (state / "twin.db").read_bytes() == whole[: len(whole) // 2]


def test_a_missing_venue_file_is_refused_where_the_store_knows_of_a_venue(state, play, assert_refused):
    """An empty twin would answer every question with "no such order", and every balance with the opening one."""
    (state / "twin.db").unlink()
    assert_refused(play(state), "twin.db")
    assert not (state / "twin.db").exists()


def test_another_market_on_the_same_state_is_refused(state, play, assert_refused):
    assert_refused(play(state, "--seed", "2"), "another")


def test_r25_booked_events_of_a_lost_journal_are_written_again(state, play, clean, sound):
    """The journal follows the store by sequence number, so a lost folder costs the diagnostics alone."""
    shutil.rmtree(state / "journal")
    clean(play(state))
    assert lines_of(state, "alert_fired", "journal_lost") == 1
    assert sound(state, ended=True) == []


def test_r25_a_lost_file_of_one_family_stops_nothing_and_doubles_nothing(state, play, clean, sound):
    """What stood in it is still in the store; the other families are not written a second time for its sake."""
    lost = next((state / "journal" / "audit").iterdir())
    lost.unlink()
    clean(play(state))
    numbers = Counter(line.store_seq for line in read_journal(state / "journal") if line.store_seq is not None)
    assert set(numbers.values()) == {1}
    assert len(list(read_journal(state / "journal", kinds=["session_started"]))) == 1, "of the new run"
    missing = [text for text in sound(state, ended=True) if "is missing" not in text]
    assert missing == []


def test_a_torn_last_line_is_cut_off_and_written_again(state, play, clean, sound):
    files = [next((state / "journal" / family).iterdir()) for family in ("order", "audit")]
    newest = max(files, key=lambda file: json.loads(file.read_bytes().splitlines()[-1])["seq"])
    newest.write_bytes(newest.read_bytes()[:-20])
    clean(play(state))
    assert lines_of(state, "journal_fault", "torn_line") == 1
    assert sound(state, ended=True) == []


def test_a_damaged_packed_journal_file_is_refused(state, play, assert_refused):
    file = max((state / "journal" / "order").iterdir())
    packed = gzip.compress(file.read_bytes())
    file.with_name(file.name + ".gz").write_bytes(packed[: len(packed) // 2])
    file.unlink()
    assert_refused(play(state), "journal")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start as somebody else")
def test_a_folder_without_write_permission_is_refused(tmp_path, start, assert_refused, as_nobody):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    assert_refused(
        start(closed / "s", "--speed", "max", "--for", "1m", prefix=as_nobody).wait(), "can be written", "closed"
    )
    assert list(closed.iterdir()) == []
