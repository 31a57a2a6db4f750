"""Column types: what the database really holds, and what it is never given."""

from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal

import pytest
from sqlalchemy import create_engine, insert, select
from sqlalchemy.exc import StatementError

from tradecore.errors import UnitError
from tradecore.store.database import sqlite_url
from tradecore.store.opening import open_store
from tradecore.store.tables import METADATA, PostingTable, table_of
from tradecore.store.types import ExactDecimal

SAMPLES = ["0.1", "12345678901234.123456789012345678", "-0.000000000000000001", "1E+30", "123456789.1234567890", "-0"]


async def test_r26_every_amount_is_text_in_sqlite(tmp_path, make):
    store = open_store(sqlite_url(tmp_path / "x.sqlite3"), inline=True, synchronous="OFF")
    rows = [make.intent(1, stop_price=Decimal(1)), make.reservation(1), make.attempt(1), make.fill(1), make.posting(1)]
    await store.commit([*rows, make.position(1, stop_price=Decimal(1))], [])
    await store.close()
    raw = sqlite3.connect(tmp_path / "x.sqlite3")
    looked = 0
    for table in METADATA.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, ExactDecimal):
                kinds = raw.execute(f'SELECT DISTINCT typeof("{column.name}") FROM "{table.name}"').fetchall()
                assert kinds == [("text",)], column
                looked += 1
    raw.close()
    assert looked == 31


@pytest.mark.parametrize("text", SAMPLES)
def test_r26_sqlalchemy_reads_what_it_wrote(tmp_path, text):
    engine = create_engine(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    METADATA.create_all(engine)
    posting = table_of(PostingTable)
    row = {"posting_id": "p", "leg": 0, "account": "a", "currency": "c", "kind": "trade", "at_ms": 1}
    with engine.begin() as connection:
        connection.execute(insert(posting).values(**row, amount=Decimal(text)))
        assert connection.execute(select(posting.c.amount)).scalar_one() == Decimal(text)
    engine.dispose()


@pytest.mark.parametrize("bad", [0.1, 1, "0.1", Decimal("NaN"), Decimal("-Infinity")])
def test_r26_no_way_leads_a_float_into_a_money_column(tmp_path, bad):
    engine = create_engine(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    METADATA.create_all(engine)
    posting = table_of(PostingTable)
    row = {"posting_id": "p", "leg": 0, "account": "a", "currency": "c", "kind": "trade", "at_ms": 1}
    with engine.begin() as connection, pytest.raises((UnitError, StatementError), match="amount"):
        connection.execute(insert(posting).values(**row, amount=bad))
    engine.dispose()


def test_r26_postgres_keeps_numbers(postgres_url, postgres):
    schema = postgres_url.rpartition("%3D")[2]
    store = open_store(postgres_url, inline=False)
    asyncio.run(store.close())
    with postgres.connect() as connection:
        found = connection.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = %s",
            (schema,),
        ).fetchall()
    kinds = {(table, column): kind for table, column, kind in found}
    for table in METADATA.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, ExactDecimal):
                assert kinds[table.name, column.name] == "numeric"
