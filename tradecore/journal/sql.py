"""SQL over the journal's files through DuckDB: one statement that reads, on those files alone, without a network.

What may be asked is decided here and not by whoever asks: one SELECT. The database lives in memory, its
files are named one by one, nothing else of the disk or of a network can be opened, and what is so is locked before the
first word of the question is read.

Source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview: allowed_paths,
    enable_external_access, lock_configuration.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

import duckdb

from tradecore.errors import SettingsError
from tradecore.journal.day_index import LeftOut
from tradecore.journal.files import DayFile, list_files
from tradecore.journal.sound import index_of, sound_of, tell
from tradecore.model.events import Taxonomy

_COLUMNS: Final = (
    "{seq:'BIGINT', at_ns:'BIGINT', kind:'VARCHAR', taxonomy:'VARCHAR', session:'VARCHAR', decision:'VARCHAR', "
    "intent:'VARCHAR', client_order:'VARCHAR', venue_order:'VARCHAR', store_seq:'BIGINT', data:'JSON'}"
)
_MEMORY_MB: Final = 1_024
_EMPTY: Final = (
    "(SELECT 0::BIGINT AS seq, 0::BIGINT AS at_ns, '' AS kind, '' AS taxonomy, '' AS session, '' AS decision, "
    "'' AS intent, '' AS client_order, '' AS venue_order, NULL::BIGINT AS store_seq, NULL::JSON AS data WHERE false)"
)


def _number(name: str, event: str = "data") -> str:
    return f"CAST({event}->>'{name}' AS DECIMAL(38, 12))"


def _at(ns: str = "at_ns") -> str:
    return f"make_timestamp({ns} // 1000)"


VIEWS: Final = {
    "events": " UNION ALL ".join(f"SELECT {_at()} AS at_utc, * FROM {taxonomy}_lines" for taxonomy in Taxonomy),
    "intents": f"""
        SELECT {_at("c.at_ns")} AS at_utc, c.intent, c.decision, c.session, c.data->>'symbol' AS symbol,
            c.data->>'side' AS side, CAST(c.data->>'reduces' AS BOOLEAN) AS reduces, c.data->>'plugin' AS plugin,
            c.data->>'reason' AS because, {_number("quantity", "c.data")} AS quantity,
            {_number("price", "c.data")} AS price, {_number("price_cap", "c.data")} AS price_cap,
            {_number("notional_quote", "c.data")} AS notional_quote, c.data->>'position_id' AS position_id,
            e.data->>'state' AS state, e.data->>'reason' AS reason, e.data->>'detail' AS detail,
            {_number("executed_quantity", "e.data")} AS executed_quantity,
            CAST(e.data->>'attempts' AS INTEGER) AS attempts, CAST(e.data->>'age_ms' AS BIGINT) AS age_ms
        FROM (SELECT * FROM order_lines WHERE kind = 'intent_created') c
        LEFT JOIN (SELECT * FROM order_lines WHERE kind = 'intent_cleared') e ON e.intent = c.intent""",
    "orders": f"""
        SELECT {_at("a.at_ns")} AS at_utc, a.client_order, a.intent, a.decision, a.session, a.data->>'symbol' AS symbol,
            a.data->>'side' AS side, CAST(a.data->>'number' AS INTEGER) AS number, a.data->>'label' AS label,
            a.data->>'time_in_force' AS time_in_force, {_number("price", "a.data")} AS price,
            {_number("quantity", "a.data")} AS quantity, k.latency_ms, d.data->>'outcome' AS outcome,
            coalesce(d.data->>'code', f.code) AS code, {_number("executed_quantity", "d.data")} AS executed_quantity,
            {_number("average_price", "d.data")} AS average_price
        FROM (SELECT * FROM order_lines WHERE kind = 'order_attempt' QUALIFY
            row_number() OVER (PARTITION BY client_order ORDER BY seq) = 1) a
        LEFT JOIN (SELECT * FROM order_lines WHERE kind = 'order_done' QUALIFY
            row_number() OVER (PARTITION BY client_order ORDER BY seq DESC) = 1) d ON d.client_order = a.client_order
        LEFT JOIN (SELECT client_order, max(data->>'code') AS code FROM order_lines WHERE kind = 'order_failed'
            GROUP BY client_order) f ON f.client_order = a.client_order
        LEFT JOIN (SELECT client_order, round(min(CAST(data->>'latency_ms' AS DOUBLE)), 3) AS latency_ms
            FROM order_lines WHERE kind IN ('order_ack', 'order_failed') GROUP BY client_order) k
            ON k.client_order = a.client_order""",
    "fills": f"""
        SELECT {_at()} AS at_utc, client_order, intent, session, data->>'symbol' AS symbol, data->>'side' AS side,
            data->>'venue_trade_id' AS venue_trade_id, {_number("price")} AS price, {_number("quantity")} AS quantity,
            {_number("quote_quantity")} AS quote_quantity, {_number("fee")} AS fee,
            data->>'fee_currency' AS fee_currency, CAST(data->>'is_maker' AS BOOLEAN) AS is_maker
        FROM order_lines WHERE kind = 'order_fill'""",
    "guards": """
        SELECT make_timestamp(at_ns // 1000) AS at_utc, decision, intent, session, data->>'symbol' AS symbol,
            CAST(data->>'attempt' AS INTEGER) AS attempt, CAST(data->>'allowed' AS BOOLEAN) AS allowed,
            one->>'plugin' AS plugin, one->>'limit' AS limit_name, CAST(one->>'value' AS DOUBLE) AS value,
            CAST(one->>'threshold' AS DOUBLE) AS threshold, one->>'unit' AS unit, CAST(one->>'hit' AS BOOLEAN) AS hit
        FROM (SELECT *, unnest(CAST(data->'checks' AS JSON[])) AS one FROM decision_lines
            WHERE kind = 'guards_eval')""",
}
"""View to what it is made of; the table in ``docs/why.md`` names their columns."""


class Answer(NamedTuple):
    """Rows of a question."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: bool
    """True where there are more rows than were asked for."""


class JournalSql:
    """The views over one journal. Use it in a ``with`` block.

    Damaged lines are left out, as everywhere; a file under way is read as it stands now.

    Args:
        journal: The journal's folder.
    """

    def __init__(self, journal: Path) -> None:
        self.left_out: list[LeftOut] = []
        """What the answers are given without."""
        self._folder = tempfile.TemporaryDirectory(prefix="tradecore-sql-")
        try:
            files = {one.value: [self._readable(file) for file in list_files(journal, one)] for one in Taxonomy}
            self._database = _opened(files)
        except BaseException:
            self._folder.cleanup()
            raise

    def ask(self, question: str, most: int) -> Answer:
        """Ask one question.

        Args:
            question: One SELECT.
            most: Rows at most, >= 1.
        Raises:
            SettingsError: If it is no such statement, or the database refuses it.
        """
        try:
            statements = self._database.extract_statements(question)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                found = ", ".join(str(one.type).rpartition(".")[2] for one in statements) or "nothing"
                raise SettingsError(f"query sql: expected one SELECT, was {found}")
            cursor = self._database.execute(statements[0])
            rows = cursor.fetchmany(most + 1)
            names = tuple([str(column[0]) for column in cursor.description or ()])
        except duckdb.Error as error:
            raise SettingsError(f"query sql: expected a question that can be answered, was: {error}") from error
        return Answer(names, tuple(rows[:most]), len(rows) > most)

    def close(self) -> None:
        """Let go of the database and of the copies."""
        self._database.close()
        self._folder.cleanup()

    def __enter__(self) -> JournalSql:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _readable(self, file: DayFile) -> Path:
        """A file that holds sound lines alone: the journal's own where it does, else a copy of those."""
        index = index_of(file)
        if index is not None and not index.left_out:
            return file.path
        sound = sound_of(file)
        tell(self.left_out, sound.left_out)
        copy = Path(self._folder.name) / f"{file.taxonomy.value}-{file.day}.jsonl"
        copy.write_bytes(sound.data)
        return copy


def _opened(files: Mapping[str, Sequence[Path]]) -> duckdb.DuckDBPyConnection:
    """Open the database, shut in; files by taxonomy."""
    database = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    listed = {name: ", ".join(map(_text, paths)) for name, paths in files.items()}
    lines = [
        f"CREATE VIEW {name}_lines AS SELECT * FROM "
        + (f"read_json([{paths}], format='newline_delimited', columns={_COLUMNS})" if paths else _EMPTY)
        for name, paths in listed.items()
    ]
    for statement in (
        "SET enable_progress_bar = false", f"SET memory_limit = '{_MEMORY_MB}MB'", "SET temp_directory = ''",
        "SET TimeZone = 'UTC'", f"SET allowed_paths = [{', '.join(filter(None, listed.values()))}]",
        "SET enable_external_access = false", *lines,
        *[f"CREATE VIEW {name} AS {body}" for name, body in VIEWS.items()], "SET lock_configuration = true",
    ):  # fmt: skip
        database.execute(statement)
    return database


def _text(path: Path) -> str:
    return "'" + str(path.resolve()).replace("'", "''") + "'"
