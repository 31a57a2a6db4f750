"""``tradecore query sql``: the views say what the store says; nothing is written, nothing but the journal is read."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tradecore.errors import SettingsError
from tradecore.journal.files import list_files
from tradecore.journal.read import read_journal
from tradecore.journal.sql import VIEWS, JournalSql
from tradecore.journal.sums import sum_up
from tradecore.journal.upkeep import pack
from tradecore.model.events import Taxonomy

DOCS = Path(__file__).parents[2] / "docs" / "why.md"


def files_of(folder):
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.suffix.startswith(".db")
    }


def copied(session, folder, *, packed):
    """A copy of the session's state, its files packed as midnight does where asked."""
    shutil.copytree(session.played.folder, folder)
    for taxonomy in Taxonomy if packed else ():
        for file in list_files(folder / "journal", taxonomy):
            pack(file.path, taxonomy)
            sum_up(folder / "journal", list_files(folder / "journal", taxonomy)[0])
    return folder


@pytest.fixture(scope="module")
def state(session, tmp_path_factory):
    return copied(session, tmp_path_factory.mktemp("sql") / "it's state", packed=True)


@pytest.fixture
def sql(cli, state):
    def ask(question, *more):
        result = cli("query", "sql", "--state", state, "--json", *(more or ("--limit", 100_000)), "--", question)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return ask


def test_intents_orders_and_fills_are_those_of_the_store(sql, session):
    records = session.played.records
    rows = sql("select * from intents")["rows"]
    assert {row["intent"]: (row["state"], row["reason"], Decimal(row["executed_quantity"])) for row in rows} == {
        str(row.intent.intent_id): (str(row.state), str(row.reason), row.executed_quantity) for row in records.intents
    }
    assert {row["intent"]: (row["reduces"], Decimal(row["price"])) for row in rows} == {
        str(row.intent.intent_id): (row.intent.reduces, round(row.intent.price, 12)) for row in records.intents
    }
    rows = sql("select * from orders")["rows"]
    assert {row["client_order"]: (row["outcome"], row["number"], Decimal(row["quantity"])) for row in rows} == {
        str(one.client_order_id): (str(one.outcome), one.number, one.request.quantity) for one in records.attempts
    }
    rows = sql("select symbol, sum(quantity) as quantity, sum(fee) as fee, count(*) as n from fills group by 1")["rows"]
    for row in rows:
        mine = [fill.trade for fill in records.fills if fill.trade.symbol == row["symbol"]]
        assert (Decimal(row["quantity"]), row["n"]) == (sum(trade.quantity for trade in mine), len(mine))
        assert Decimal(row["fee"]) == sum(trade.fee for trade in mine)
    assert len(rows) == len({fill.trade.symbol for fill in records.fills})


def test_guards_and_events_are_the_lines(sql, session):
    lines = list(read_journal(session.played.journal))
    (row,) = sql("select count(*) as n, count(distinct kind) as kinds, max(seq) as last from events")["rows"]
    assert (row["n"], row["kinds"]) == (len(lines), len({line.kind for line in lines}))
    assert row["last"] == max(line.seq for line in lines)
    checks = [check for line in lines if line.kind == "guards_eval" for check in line.data["checks"]]
    (row,) = sql("select count(*) as n, count(*) filter (hit) as hits from guards")["rows"]
    assert (row["n"], row["hits"]) == (len(checks), sum(check["hit"] for check in checks))
    (row,) = sql("select min(at_utc) as first from events")["rows"]
    first = min(line.at_ns for line in lines)
    assert row["first"] == datetime.fromtimestamp(first / 1e9, UTC).replace(tzinfo=None).isoformat(
        timespec="milliseconds"
    )
    (row,) = sql("select sum(executed_quantity * price) as worth from orders")["rows"]
    assert Decimal(row["worth"]) > 0


REFUSED = (
    "copy (select 1) to '{here}/x.csv'", "copy events to '{here}/journal/order/x.csv'", "export database '{here}/x'",
    "attach '{here}/x.db'", "attach '{here}/tradecore.db' (type sqlite)", "install httpfs", "load httpfs",
    "create table t (a int)", "create view v as select 1", "insert into events values (1)", "drop view events",
    "set enable_external_access = true", "set lock_configuration = false", "set allowed_paths = ['/etc/passwd']",
    "pragma database_list", "call pragma_version()", "explain analyze copy (select 1) to '{here}/x.csv'",
    "prepare p as select 1", "begin", "checkpoint", "use memory",
    "select * from read_csv('/etc/passwd')", "select * from read_text('/etc/passwd')", "select * from '/etc/passwd'",
    "select * from read_text('{here}/tradecore.db')", "select * from read_blob('{here}/*')", "select * from glob('/*')",
    "select * from read_json('{here}/journal/head.json')", "select * from 'https://example.com/x.csv'",
    "select * from read_json('https://example.com/x.json')", "select * from read_parquet('s3://a/b')",
    "select * from sqlite_scan('{here}/tradecore.db', 'run')", "select * from query('copy events to ''{here}/x''')",
    "with x as (insert into events values (1) returning *) select * from x",
    "select 1; copy (select 1) to '{here}/x.csv'", "", "-- nothing", "selec",
)  # fmt: skip


def test_nothing_is_written_and_nothing_else_is_read(state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = files_of(state)
    with JournalSql(state / "journal") as journal:
        for question in REFUSED:
            asked = question.replace("{here}", str(state).replace("'", "''"))
            with pytest.raises(
                SettingsError, match=r"query sql: expected (one SELECT|a question that can be answered), was"
            ):
                journal.ask(asked, 5)
            assert journal.ask("select count(*) from events", 1).rows[0][0] > 0, question
    assert files_of(state) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("question", ["copy (select 1) to 'x.csv'", "install httpfs", "selec", "select 1; select 2"])
def test_a_statement_that_does_not_read_is_one_line(cli, state, question):
    result = cli("query", "sql", question, "--state", state)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("tradecore: query sql: expected ")


def test_a_journal_that_is_still_plain_answers_the_same(session, state, tmp_path):
    plain = copied(session, tmp_path / "plain", packed=False)
    with JournalSql(state / "journal") as one, JournalSql(plain / "journal") as other:
        for view in VIEWS:
            question = f"select * from {view} order by all"
            assert one.ask(question, 10**6) == other.ask(question, 10**6)


def test_without_the_package_one_line_says_how_to_get_it(cli, state, monkeypatch):
    monkeypatch.delitem(sys.modules, "tradecore.journal.sql")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    result = cli("query", "sql", "select 1", "--state", state)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "tradecore: query sql: expected the package duckdb, found none; pip install 'tradecore[duckdb]' brings it\n"
    )


def test_rows_are_cut_where_asked_and_it_is_said(cli, state, sql):
    found = sql("select seq from events order by seq", "--limit", 3)
    assert ([row["seq"] for row in found["rows"]], found["cut"]) == ([1, 2, 3], True)
    result = cli("query", "sql", "select seq, kind from events order by seq", "--limit", 3, "--csv", "--state", state)
    assert [row["seq"] for row in csv.DictReader(io.StringIO(result.stdout))] == ["1", "2", "3"]
    assert result.stderr == "the first 3; --limit N shows more\n"
    assert cli("query", "sql", "select 1 where false", "--state", state).stdout == "no rows\n"
    empty = cli("query", "sql", "select seq, kind from events where false", "--csv", "--state", state)
    assert empty.stdout == "seq,kind\n"


def test_damaged_lines_are_left_out_and_named(cli, session, tmp_path):
    folder = shutil.copytree(session.played.folder, tmp_path / "state")
    (file,) = list_files(folder / "journal", Taxonomy.ORDER)
    raw = file.path.read_bytes()
    file.path.write_bytes(raw.replace(b'"data":{"', b'"data":{\0', 1) + b'{"seq":')
    result = cli("query", "sql", "select count(*) as n from fills", "--state", folder, "--json")
    found = json.loads(result.stdout)
    assert [one["line"] for one in found["left_out"]] == [1, raw.count(b"\n") + 1]
    assert found["rows"] == [{"n": len(session.played.records.fills)}]
    assert "answered without order/" in cli("query", "sql", "select 1", "--state", folder).stderr


def test_an_empty_journal_has_no_rows(tmp_path):
    with JournalSql(tmp_path) as journal:
        for view in VIEWS:
            assert journal.ask(f"select * from {view}", 5).rows == ()
        with pytest.raises(SettingsError):
            journal.ask("select * from nobody", 5)


def test_the_page_names_every_view_and_column(state):
    text = DOCS.read_text()
    with JournalSql(state / "journal") as journal:
        for view in VIEWS:
            (line,) = [line for line in text.splitlines() if line.startswith(f"| `{view}` |")]
            missing = [name for name in journal.ask(f"select * from {view}", 1).columns if f"`{name}`" not in line]
            assert missing == [], view


@pytest.mark.parametrize("width", [80, 160])
def test_no_column_is_lost_on_a_narrow_screen(cli, state, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    shown = cli("query", "sql", "select * from intents limit 3", "--state", state).stdout
    head = shown.splitlines()[0].split()
    with JournalSql(state / "journal") as journal:
        assert head == list(journal.ask("select * from intents", 1).columns)
