"""Whose database it is: made, opened, refused."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from decimal import Decimal

import pytest
from alembic import command
from sqlalchemy import create_engine

from tradecore.errors import SchemaMismatch, SettingsError, StateFolderError, StoreError
from tradecore.store import migrate
from tradecore.store.database import Database, sqlite_url
from tradecore.store.opening import open_store
from tradecore.store.queries import open_reader
from tradecore.store.schema import HEAD


def open_and_close(url):
    asyncio.run(open_store(url, inline=False).close())


def sqlite_schema(path):
    raw = sqlite3.connect(path)
    try:
        found = raw.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
        columns = {
            name: raw.execute(f"SELECT * FROM pragma_table_xinfo('{name}')").fetchall()
            for kind, name, _ in found if kind == "table"
        }  # fmt: skip
        constraints = {
            name: raw.execute(f"SELECT * FROM pragma_foreign_key_list('{name}')").fetchall() for name in columns
        }
        indexes = {(name, " ".join(sql.split())) for kind, name, sql in found if kind == "index" and sql}
        tables = {name: ("WITHOUT ROWID" in sql, sql.count("CHECK")) for kind, name, sql in found if kind == "table"}
        return columns, constraints, indexes, tables, raw.execute("SELECT * FROM alembic_version").fetchall()
    finally:
        raw.close()


def test_r26_the_fast_way_and_the_migrations_give_one_schema_on_sqlite(tmp_path):
    open_and_close(sqlite_url(tmp_path / "fast.sqlite3"))
    assert migrate.upgrade(sqlite_url(tmp_path / "migrated.sqlite3")) == HEAD
    fast, migrated = sqlite_schema(tmp_path / "fast.sqlite3"), sqlite_schema(tmp_path / "migrated.sqlite3")
    assert fast == migrated
    assert len(fast[0]) == 14


def test_r26_the_fast_way_and_the_migrations_give_one_schema_on_postgres(postgres_url, postgres):
    def schema_of(name):
        prefix = f"{name}."
        with postgres.connect() as connection:
            return [
                connection.execute(query, (prefix, name)).fetchall()
                for query in (
                    "SELECT table_name, ordinal_position, column_name, data_type, is_nullable,"
                    " replace(column_default, %s, '') FROM information_schema.columns WHERE table_schema = %s"
                    " ORDER BY 1, 2",
                    "SELECT indexname, replace(indexdef, %s, '') FROM pg_indexes WHERE schemaname = %s ORDER BY 1",
                    "SELECT conname, replace(pg_get_constraintdef(c.oid), %s, '') FROM pg_constraint c"
                    " JOIN pg_namespace n ON n.oid = connamespace WHERE nspname = %s ORDER BY 1, 2",
                )
            ]

    fast = postgres_url.rpartition("%3D")[2]
    with postgres.connect() as connection:
        connection.execute(f"CREATE SCHEMA {fast}_migrated")
    open_and_close(postgres_url)
    assert migrate.upgrade(postgres.url(f"{fast}_migrated")) == HEAD
    assert schema_of(fast) == schema_of(f"{fast}_migrated")
    assert len(schema_of(fast)[1]) > 20


def test_r26_the_head_is_the_newest_migration():
    assert migrate.head() == HEAD


def test_r26_positions_of_schema_0001_are_read_after_the_migration(tmp_path):
    """What older programs wrote: no dust of theirs was ever taken along."""
    path = tmp_path / "old.sqlite3"
    config = migrate.alembic_config()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO position VALUES ('p1', 'A/USDT', 'drop', '', '0', '10', 1, 1, '10', '10', NULL,"
            " '{}', 'CLOSED', '{}', '1', '10', '0.9', '9', '0', '0', 5, 'LEAVE', 0, NULL, '0.1')"
        )
    engine.dispose()
    assert migrate.upgrade(sqlite_url(path)) == HEAD
    store = open_store(sqlite_url(path), inline=True)
    (dusty,) = store.load().dusty
    asyncio.run(store.close())
    assert (dusty.dust_quantity, dusty.dust_gone, dusty.taken, dusty.taken_quote) == (Decimal("0.1"), 0, {}, 0)


def test_a_failed_migration_leaves_nothing_behind(tmp_path):
    path = tmp_path / "x.sqlite3"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE trading (slot INTEGER)")  # one of the last tables to be made
    raw.close()
    with pytest.raises(StoreError, match="migrate"):
        migrate.upgrade(sqlite_url(path))
    raw = sqlite3.connect(path)
    assert [name for (name,) in raw.execute("SELECT name FROM sqlite_master")] == ["trading"]
    raw.close()


def test_the_upgrade_is_a_command(tmp_path, capsys):
    url = sqlite_url(tmp_path / "x.sqlite3")
    assert migrate.main([url]) == 0
    assert capsys.readouterr().out == f"schema {HEAD}\n"
    open_and_close(url)
    assert migrate.main([]) == 2
    assert migrate.main(["mysql://x/y"]) == 2
    usage, refusal = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage:")
    assert refusal == "expected a sqlite or postgresql URL, was mysql"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE alembic_version SET version_num = '0000'", f"expected schema {HEAD} .* was 0000; .*migrate"),
        ("UPDATE alembic_version SET version_num = '0999'", "was 0999; .*newer"),
        ("UPDATE alembic_version SET version_num = 'ab12cd34'", "was ab12cd34; .*another program"),
        ("DELETE FROM alembic_version", "was none"),
        ("DROP TABLE alembic_version", "something else"),
        ("DROP TABLE report", "expected table report .* missing"),
        ("ALTER TABLE memory RENAME COLUMN content TO body", "expected column memory.content .* missing"),
    ],
)
def test_r26_another_schema_is_refused(tmp_path, change, said):
    path = tmp_path / "x.sqlite3"
    open_and_close(sqlite_url(path))
    raw = sqlite3.connect(path)
    raw.execute(change)
    raw.commit()
    before = raw.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    with pytest.raises(SchemaMismatch, match=said):
        open_and_close(sqlite_url(path))
    with pytest.raises(SchemaMismatch, match=said):
        open_reader(path)
    assert raw.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall() == before
    raw.close()


def test_r26_another_schema_is_refused_on_postgres(postgres_url, postgres):
    open_and_close(postgres_url)
    open_and_close(postgres_url)
    schema = postgres_url.rpartition("%3D")[2]
    with postgres.connect() as connection:
        connection.execute(f"UPDATE {schema}.alembic_version SET version_num = '0999'")
    with pytest.raises(SchemaMismatch, match="newer"):
        open_and_close(postgres_url)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "x.sqlite3"
    path.write_bytes(b"a photograph of a cat, and then some more of it" * 40)
    with pytest.raises(SchemaMismatch, match="another kind of file"):
        open_and_close(sqlite_url(path))


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderError, match="folder that can be written"):
        open_and_close(sqlite_url(tmp_path / "file" / "x.sqlite3"))
    with pytest.raises(StateFolderError, match="no file"):
        open_reader(tmp_path / "nowhere.sqlite3")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StateFolderError):
        open_and_close(sqlite_url(tmp_path / "x.sqlite3"))


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite://", "sqlite:///:memory:"])
def test_another_url_is_refused(url):
    with pytest.raises(SettingsError):
        Database(url)


def test_a_password_is_never_shown():
    with pytest.raises(StoreError) as caught:
        open_and_close("postgresql://me:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


async def test_r22_the_pragmas_are_set_on_every_connection(tmp_path):
    store = open_store(sqlite_url(tmp_path / "x.sqlite3"), inline=False)
    for raw in (store._reader, store._writer.raw):
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        assert [raw.execute(f"PRAGMA {name}").fetchone()[0] for name in asked] == ["wal", 2, 1, 5_000]
    await store.close()


async def test_closing_folds_the_write_ahead_file(tmp_path, make):
    path = tmp_path / "x.sqlite3"
    store = open_store(sqlite_url(path), inline=False)
    await store.commit([make.position(1)], [])
    assert path.with_name("x.sqlite3-wal").stat().st_size > 0
    await store.close()
    assert not path.with_name("x.sqlite3-wal").exists()
