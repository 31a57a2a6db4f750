"""Copies taken while a run writes, and stores of an older program."""

import asyncio
import sqlite3

import pytest
from alembic import command
from sqlalchemy import create_engine

from tradecore.errors import SchemaMismatch, StateFolderError, StoreError
from tradecore.store import migrate as migrations
from tradecore.store.backup import back_up, migrate, schema_of
from tradecore.store.database import sqlite_url
from tradecore.store.opening import open_store
from tradecore.store.schema import HEAD


@pytest.fixture
def current(tmp_path):
    path = tmp_path / "tradecore.db"
    asyncio.run(open_store(sqlite_url(path), inline=False).close())
    return path


@pytest.fixture
def older(tmp_path):
    path = tmp_path / "tradecore.db"
    config = migrations.alembic_config()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    return path


def dumped(path):
    raw = sqlite3.connect(path)
    try:
        return list(raw.iterdump())
    finally:
        raw.close()


def test_a_copy_is_the_store_of_one_moment_while_another_writes(current, tmp_path):
    writer = sqlite3.connect(current, isolation_level=None)
    writer.execute("CREATE TABLE pair (a INTEGER, b INTEGER)")
    writer.execute("INSERT INTO pair VALUES (1, 1)")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE pair SET a = 2")
    made = back_up(current, tmp_path / "copy.db")
    writer.execute("UPDATE pair SET b = 2")
    writer.execute("COMMIT")
    writer.close()
    raw = sqlite3.connect(made.path)
    assert raw.execute("SELECT a, b FROM pair").fetchall() == [(1, 1)]
    raw.close()
    assert (made.schema, made.bytes) == (HEAD, made.path.stat().st_size)
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in tmp_path.glob("*copy*")) == ["copy.db"]


def test_a_copy_holds_what_only_the_write_ahead_log_holds(current, tmp_path):
    writer = sqlite3.connect(current, isolation_level=None)
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("CREATE TABLE late (a INTEGER)")
    writer.execute("INSERT INTO late VALUES (7)")
    made = back_up(current, tmp_path / "copy.db")
    writer.close()
    raw = sqlite3.connect(made.path)
    assert raw.execute("SELECT a FROM late").fetchall() == [(7,)]
    raw.close()


def test_nothing_is_overwritten_and_nothing_is_left_of_a_copy_that_failed(current, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a letter")
    with pytest.raises(StateFolderError, match="was there already"):
        back_up(current, taken)
    assert taken.read_text() == "a letter"
    with pytest.raises(StateFolderError, match="found none"):
        back_up(tmp_path / "nowhere.db", tmp_path / "copy.db")
    with pytest.raises(StateFolderError, match="expected to write"):
        back_up(current, tmp_path / "no" / "copy.db")
    torn = tmp_path / "torn.db"
    torn.write_bytes(current.read_bytes()[:6_000])
    with pytest.raises(StoreError, match=r"torn\.db"):
        back_up(torn, tmp_path / "copy.db")
    assert not list(tmp_path.glob("*copy*"))


def test_an_older_store_is_migrated_and_stays_beside_it_as_it_was(older):
    as_it_was = dumped(older)
    moved = migrate(older)
    assert (moved.before, moved.after) == ("0001", HEAD)
    assert moved.copy is not None
    assert moved.copy.name == f"tradecore.db.before-{HEAD}"
    assert dumped(moved.copy) == as_it_was
    assert schema_of(older) == HEAD
    asyncio.run(open_store(sqlite_url(older), inline=True).close())
    assert migrate(older) == (HEAD, HEAD, None)


def test_a_second_copy_has_a_name_of_its_own(older):
    older.with_name(f"tradecore.db.before-{HEAD}").write_text("of another time")
    moved = migrate(older)
    assert moved.copy is not None
    assert moved.copy.name == f"tradecore.db.before-{HEAD}-2"


def test_what_is_newer_or_none_of_ours_is_left_alone(current, tmp_path):
    with sqlite3.connect(current) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(SchemaMismatch, match="9999"):
        migrate(current)
    assert schema_of(current) == "9999"
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as raw:
        raw.execute("CREATE TABLE letters (text TEXT)")
    raw.close()
    with pytest.raises(SchemaMismatch, match="was none"):
        migrate(other)
    letter = tmp_path / "letter.db"
    letter.write_bytes(b"dear all, " * 900)
    with pytest.raises(StoreError, match=r"letter\.db"):
        migrate(letter)


def test_a_migration_that_fails_leaves_the_store_and_its_copy(older):
    with sqlite3.connect(older) as raw:
        raw.execute("CREATE TABLE lease (slot INTEGER)")  # in the way of a later migration
    raw.close()
    as_it_was = dumped(older)
    with pytest.raises(StoreError, match="migrate"):
        migrate(older)
    assert dumped(older) == as_it_was
