"""The SQL of one dialect, made once from the tables, and the conversion of each column.

A transaction stands on the way of every order, so statements are compiled by SQLAlchemy at the start and then run on
the driver's connection as they are: a one-row commit took 0.27 ms so, and 0.53 ms through the ORM (SQLite, FULL).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, cast

from sqlalchemy import Table, and_, bindparam, delete, insert, select, update
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement

from tradecore.store.rows import EVENT_TABLE, SHAPES, Values, event_together

Convert = Callable[[Any], Any]
_NUMERIC: Final = 1700
"""PostgreSQL's number for the type NUMERIC, which its driver's conversions ask for; all other types ignore it."""


class Cursor(Protocol):
    """What sqlite3 and psycopg have in common, as far as it is used."""

    @property
    def rowcount(self) -> int:
        """Rows that the statement touched."""

    def fetchone(self) -> Any:
        """Next row; ``None`` at the end."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""


class Raw(Protocol):
    """A driver's connection in autocommit: transactions are begun and ended by statements."""

    def execute(self, statement: Any, parameters: Any = ..., /) -> Cursor:
        """Run one statement."""

    def close(self) -> None:
        """Let go of the database."""


def _converters(table: Table, dialect: Dialect) -> tuple[tuple[Convert | None, ...], tuple[Convert | None, ...]]:
    into, out = [], []
    for column in table.columns:
        kind = column.type.dialect_impl(dialect)
        into.append(cast("Convert | None", kind.bind_processor(dialect)))
        out.append(cast("Convert | None", kind.result_processor(dialect, _NUMERIC)))
    return tuple(into), tuple(out)


def _apply(converters: tuple[Convert | None, ...], values: Values) -> list[Any]:
    return [
        value if convert is None else convert(value) for convert, value in zip(converters, values, strict=True)
    ]  # fmt: skip


class TableSql:
    """Statements and conversions of one table."""

    def __init__(self, table: Table, key: tuple[str, ...], dialect: Dialect) -> None:
        self._dialect = dialect
        self._into, self._out = _converters(table, dialect)
        names = [column.name for column in table.columns]
        self.at = {name: index for index, name in enumerate(names)}
        """Where each column stands in a converted row."""
        self.columns = ", ".join(dialect.identifier_preparer.format_column(column) for column in table.columns)
        self._key_at = tuple(names.index(name) for name in key)
        # A number that the database gives by itself is left out of an insert and never changed.
        self._given = tuple(i for i, c in enumerate(table.columns) if c is not table.autoincrement_column)
        self._changed = tuple(i for i in self._given if names[i] not in key)
        match = and_(*(table.c[name] == bindparam(f"key_{name}") for name in key))
        self.insert = self.text(
            insert(table).values({names[i]: bindparam(names[i]) for i in self._given}).inline()
        )  # fmt: skip
        self.select = self.text(select(table).where(match))
        self.delete = self.text(delete(table).where(match))
        self.update = self.text(
            update(table).values({names[i]: bindparam(names[i]) for i in self._changed}).where(match)
        )  # fmt: skip

    def text(self, statement: ClauseElement) -> str:
        """Compile a statement with positional parameters."""
        return str(statement.compile(dialect=self._dialect))

    def into(self, values: Values) -> list[Any]:
        """Convert a whole row for the database.

        Raises:
            UnitError: If an amount is a float or not finite.
        """
        return _apply(self._into, values)

    def out(self, values: Values) -> list[Any]:
        """Convert a row of the database."""
        return _apply(self._out, values)

    def key_of(self, converted: Values) -> list[Any]:
        """The key of a converted row."""
        return [converted[i] for i in self._key_at]

    def for_insert(self, converted: Values) -> list[Any]:
        """Parameters of `insert`."""
        return [converted[i] for i in self._given]

    def for_update(self, converted: Values) -> list[Any]:
        """Parameters of `update`."""
        return [converted[i] for i in self._changed] + self.key_of(converted)


class Statements:
    """All tables in one dialect. Making it takes 25 ms; `statements_of` makes it once."""

    def __init__(self, dialect: Dialect) -> None:
        self._mark = "?" if dialect.paramstyle == "qmark" else "%s"
        self.tables = {shape.record: TableSql(shape.table, shape.key, dialect) for shape in SHAPES.values()}
        self.event = TableSql(EVENT_TABLE, ("sequence",), dialect)
        self.sqlite = dialect.name == "sqlite"

    def marked(self, query: str) -> str:
        """Write ``?`` as the driver's mark."""
        return query.replace("?", self._mark)

    def fetch(self, raw: Raw, record: type[Any], rest: str = "", parameters: Sequence[Any] = ()) -> list[Any]:
        """Read records.

        Args:
            rest: What follows the table's name, with ``?`` for each parameter.
        """
        shape, sql = SHAPES[record], self.tables[record]
        query = self.marked(f"SELECT {sql.columns} FROM {shape.table.name} {rest}")
        return [shape.together(sql.out(values)) for values in raw.execute(query, parameters).fetchall()]

    def fetch_events(self, raw: Raw, rest: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Read booked events."""
        query = self.marked(f"SELECT {self.event.columns} FROM event {rest}")
        return [event_together(self.event.out(values)) for values in raw.execute(query, parameters).fetchall()]

    def rows(self, raw: Raw, query: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Read plain columns; ``?`` stands for each parameter."""
        return raw.execute(self.marked(query), parameters).fetchall()


_MADE: Final[dict[tuple[str, str], Statements]] = {}


def statements_of(dialect: Dialect) -> Statements:
    """The statements of a dialect; they depend on nothing else, so all stores of a process share them."""
    kind = (dialect.name, dialect.paramstyle)
    made = _MADE.get(kind)
    if made is None:
        made = _MADE[kind] = Statements(dialect)
    return made
