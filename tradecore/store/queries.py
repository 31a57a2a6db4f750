"""Reads for the command line, beside a running process, and the one thing another process may write: a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from tradecore.errors import StateFolderError, StoreError
from tradecore.model.fill import Fill
from tradecore.model.intent import IntentRow, IntentState, Reservation
from tradecore.model.order import Attempt, AttemptState, Outcome
from tradecore.model.position import ClosedPosition, Position, PositionState, closed_view
from tradecore.model.records import EXTERNAL_ORDER, Command, Memory, Posting, Run, TradingRecord
from tradecore.store.database import Database, sqlite_url
from tradecore.store.lease import LeaseRow, read_lease
from tradecore.store.light import read_mode
from tradecore.store.load import sum_balances
from tradecore.store.schema import check_existing
from tradecore.store.tables import ACTIVE, NOT_CLOSED
from tradecore.store.writer import Transaction, Writer

T = TypeVar("T")
BUSY_MS_MAX: Final = 2_000
"""How long the command line waits for a lock."""


class Counts(NamedTuple):
    """Rows by state; a state without rows is missing."""

    intents: Mapping[str, int]
    attempts: Mapping[str, int]
    positions: Mapping[str, int]
    commands: Mapping[str, int]
    fills: int
    events: int


def database_of(place: str | Path) -> Database:
    """Name a database by its URL, or by the path of a SQLite file, which must exist.

    Raises:
        StateFolderError: If there is no such file.
    """
    url = str(place) if "://" in str(place) else sqlite_url(Path(place))
    database = Database(url, busy_ms_max=BUSY_MS_MAX)
    if not database.sqlite:
        return database
    file = Path(str(database.url.database))
    if not file.is_file():
        raise StateFolderError(f"expected a store at {file}, was no file")
    mode = read_mode(file)
    if "immutable" not in mode:
        return database
    return Database(f"sqlite:///{file.resolve().as_uri()}?{mode}&uri=true", busy_ms_max=BUSY_MS_MAX)


def open_reader(place: str | Path) -> Reader:
    """Open a store for reading only; a running process is not disturbed.

    Args:
        place: Database URL, or path of a SQLite file.
    Raises:
        StateFolderError: If there is no such file.
        SchemaMismatch: If the database has another schema.
        StoreError: If it cannot be reached.
    """
    database = database_of(place)
    checked(database)
    return Reader(database)


def checked(database: Database) -> None:
    """Assert that a database can be reached and has this program's schema; errors as those of `open_reader`."""
    try:
        check_existing(database)
    except (SQLAlchemyError, database.error) as error:
        raise database.unusable(error) from error


def put_command(place: str | Path, command: Command) -> None:
    """Write an operator's command for the running process to poll; waits 2 s at most for its lock.

    Raises:
        DuplicateRecord: If the id is taken by another command.
        StateFolderError, SchemaMismatch, StoreError: As `open_reader`; nothing was written.
    """
    database = database_of(place)
    checked(database)
    raw = database.connect()
    try:
        answer = Writer(database, raw).write((Transaction((command,), ()),))[0]
    except database.error as error:
        raise database.named(error, "expected to write") from error
    finally:
        database.try_close(raw)
    if isinstance(answer, StoreError):
        raise answer


class Reader:
    """Rows as the model's words, newest first unless said otherwise. Use it in a ``with`` block, in one thread."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql = database.statements
        self._raw = database.connect()
        self._raw.execute("PRAGMA query_only = ON" if database.sqlite else "SET default_transaction_read_only = on")

    def trades(self, limit: int = 100, symbol: str | None = None, since_ms: int | None = None) -> Sequence[Fill]:
        """Fills by the venue's moment.

        Args:
            limit: Rows at most.
            symbol: ``None`` for all.
            since_ms: Oldest moment, included; ``None`` for no bound.
        """
        return self._list(Fill, "traded_ms", "venue_trade_id", limit, symbol=symbol, since_ms=since_ms)

    def orders(
        self,
        limit: int = 100,
        symbol: str | None = None,
        since_ms: int | None = None,
        state: AttemptState | None = None,
        intent_id: str | None = None,
        *,
        outcome: Outcome | None = None,
    ) -> Sequence[Attempt]:
        """Attempts by the moment at which they were prepared."""
        return self._list(
            Attempt, "prepared_ms", "intent_id DESC, number", limit,
            symbol=symbol, since_ms=since_ms, state=state, intent_id=intent_id, outcome=outcome,
        )  # fmt: skip

    def intents(
        self,
        limit: int = 100,
        symbol: str | None = None,
        since_ms: int | None = None,
        state: IntentState | None = None,
    ) -> Sequence[IntentRow]:
        """Intents by the moment at which they were created."""
        return self._list(IntentRow, "created_ms", "intent_id", limit, symbol=symbol, since_ms=since_ms, state=state)

    def positions(
        self, limit: int = 100, symbol: str | None = None, state: PositionState | None = None
    ) -> Sequence[Position]:
        """Positions by the moment at which they were opened, closed ones too."""
        return self._list(Position, "opened_ms", "position_id", limit, symbol=symbol, state=state)

    def open_positions(self) -> Sequence[Position]:
        """Positions that are not closed, oldest first."""
        return self._fetch(Position, f"WHERE {NOT_CLOSED} ORDER BY opened_ms, position_id")

    def closed(self, limit: int = 100) -> Sequence[ClosedPosition]:
        """Finished round trips by the moment of their end."""
        rest = f"WHERE NOT ({NOT_CLOSED}) ORDER BY closed_ms DESC, position_id DESC LIMIT ?"
        return [closed_view(position) for position in self._fetch(Position, rest, (limit,)) if position.entries]

    def reservations(self) -> Sequence[Reservation]:
        """Active reservations, oldest first."""
        return self._fetch(Reservation, f"WHERE {ACTIVE} ORDER BY created_ms, intent_id")

    def commands(self, limit: int = 100) -> Sequence[Command]:
        """Operators' commands in the order in which they came, the newest first."""
        return self._fetch(Command, "ORDER BY number DESC LIMIT ?", (limit,))

    def command(self, command_id: str) -> Command | None:
        """One command; ``None``: there is none."""
        found = self._fetch(Command, "WHERE command_id = ?", (command_id,))
        return found[0] if found else None

    def trading(self) -> TradingRecord | None:
        """The trading state in force; ``None`` before the first start."""
        found = self._fetch(TradingRecord)
        return found[0] if found else None

    def lease(self) -> LeaseRow | None:
        """Who writes the store, or wrote it last; ``None``: nobody ever did under a lease."""
        return self._read(lambda: read_lease(self._raw))

    def last_run(self) -> Run | None:
        """The newest run; ``None`` before the first start."""
        found = self._fetch(Run, "ORDER BY number DESC LIMIT 1")
        return found[0] if found else None

    def runs(self) -> Sequence[Run]:
        """Runs on this state, the newest first."""
        return self._fetch(Run, "ORDER BY number DESC")

    def memory(self, prefix: str = "") -> Mapping[str, Memory]:
        """Small facts whose key begins with `prefix`, by key."""
        found = self._fetch(Memory, "WHERE substr(fact, 1, ?) = ? ORDER BY fact", (len(prefix), prefix))
        return {memory.key: memory for memory in found}

    def postings(self) -> Sequence[Posting]:
        """All legs of the ledger, in the order of their ids."""
        return self._fetch(Posting, "ORDER BY posting_id, leg")

    def external_orders(self) -> Sequence[tuple[str, str, int]]:
        """Orders of the account that are not ours (R19): the venue's id, what it is, when it was first or last seen."""
        found = self.memory(EXTERNAL_ORDER)
        return [(key.removeprefix(EXTERNAL_ORDER), fact.text, fact.at_ms) for key, fact in found.items()]

    def balances(self) -> Mapping[tuple[str, str], Decimal]:
        """Ledger balance by (account, currency), exact."""
        return self._read(lambda: sum_balances(self._raw, self._sql))

    def counts(self) -> Counts:
        """Count rows by state."""
        by_state = {name: self._by_state(name) for name in ("intent", "attempt", "position", "command")}
        return Counts(
            by_state["intent"], by_state["attempt"], by_state["position"], by_state["command"],
            self._count("fill"), self._count("event"),
        )  # fmt: skip

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Let all reads of a block see the same moment, however the running process goes on."""
        begin = "BEGIN" if self._db.sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self._read(lambda: self._raw.execute(begin))
        try:
            yield
        finally:
            self._db.try_run(self._raw, "COMMIT")

    def close(self) -> None:
        """Let go of the database. May be called twice."""
        self._db.try_close(self._raw)

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _list(self, record: type[T], moment: str, tie: str, limit: int, **wanted: Any) -> Sequence[T]:
        since = wanted.pop("since_ms", None)
        asked = {column: value for column, value in wanted.items() if value is not None}
        conditions = [f"{column} = ?" for column in asked]
        parameters: list[Any] = [str(value) for value in asked.values()]
        if since is not None:
            conditions.append(f"{moment} >= ?")
            parameters.append(since)
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        return self._fetch(record, f"{where}ORDER BY {moment} DESC, {tie} DESC LIMIT ?", (*parameters, limit))

    def _by_state(self, table: str) -> Mapping[str, int]:
        query = f"SELECT state, count(*) FROM {table} GROUP BY state ORDER BY state"
        return {str(state): int(count) for state, count in self._read(lambda: self._sql.rows(self._raw, query))}

    def _count(self, table: str) -> int:
        return int(self._read(lambda: self._sql.rows(self._raw, f"SELECT count(*) FROM {table}"))[0][0])

    def _fetch(self, record: type[T], rest: str = "", parameters: Sequence[Any] = ()) -> Sequence[T]:
        return self._read(lambda: self._sql.fetch(self._raw, record, rest, parameters))

    def _read(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except self._db.error as error:
            raise self._db.named(error, "expected to read") from error
