"""Rows of a SQLite store for commands that must answer at once: the driver alone, without the tables' library.

Where a store is no SQLite file or has another schema, `wide.py` answers the same through the full reader. Opening this
one takes 30 ms, the other 800.
"""

from __future__ import annotations

import enum
import os
import sqlite3
import types
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_type_hints

from tradecore.errors import StateFolderError, StoreError
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.intent import Intent, IntentRow
from tradecore.model.order import Attempt, OrderRequest
from tradecore.model.position import ClosedPosition, Position, PositionState, closed_view
from tradecore.model.records import EXTERNAL_ORDER, Run, TradingRecord
from tradecore.store.codec import load

T = TypeVar("T")
_VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"
_OTHER_NAMES: Final = {"constraint": "bound_by", "group": "leg_group"}
"""Fields whose column is called otherwise: their names are words of SQL."""


class Filter(NamedTuple):
    """Which rows; an empty text and ``None`` mean all."""

    symbol: str = ""
    status: Sequence[str] = ()
    """States or outcomes, any of them."""
    reason: str = ""
    since_ms: int | None = None
    """Included."""
    until_ms: int | None = None
    """Not included."""
    limit: int = 100


class _Shape(NamedTuple):
    table: str
    columns: tuple[str, ...]
    converts: tuple[Callable[[Any], Any] | None, ...]
    build: Callable[[Sequence[Any]], Any]


def _shape(table: str, parts: Sequence[tuple[Any, Sequence[str]]], build: Callable[[Sequence[Any]], Any]) -> _Shape:
    """Columns out of the fields of one or more records, each converted by its type."""
    columns: list[str] = []
    converts: list[Callable[[Any], Any] | None] = []
    for record, left_out in parts:
        for name, hint in get_type_hints(record).items():
            if name not in left_out:
                columns.append(_OTHER_NAMES.get(name, name))
                converts.append(_convert(hint))
    return _Shape(table, tuple(columns), tuple(converts), build)


def _convert(hint: Any) -> Callable[[Any], Any] | None:
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    inner = [arg for arg in get_args(hint) if arg is not types.NoneType]
    if types.NoneType in get_args(hint):
        convert = _convert(inner[0])
        return None if convert is None else lambda value: None if value is None else convert(value)
    if hint in (str, int):
        return None
    if hint in (bool, Decimal) or (isinstance(hint, type) and issubclass(hint, enum.Enum)):
        return hint  # type: ignore[no-any-return]  # the type itself reads its value
    return lambda text: load(text, hint)


def _intent(v: Sequence[Any]) -> IntentRow:
    fields = len(Intent._fields)
    return IntentRow(Intent(*v[:fields]), *v[fields:])


def _attempt(v: Sequence[Any]) -> Attempt:
    wide = len(OrderRequest._fields)
    return Attempt._make((*v[:6], OrderRequest(*v[6 : 6 + wide]), *v[6 + wide :]))


def _fill(v: Sequence[Any]) -> Fill:
    wide = len(VenueTrade._fields)
    return Fill(v[0], VenueTrade(*v[1 : 1 + wide]), *v[1 + wide :])


def _attempt_shape() -> _Shape:
    hints = get_type_hints(Attempt)
    wanted: list[tuple[str, Any]] = []
    for name, hint in hints.items():
        wanted += list(get_type_hints(OrderRequest).items()) if name == "request" else [(name, hint)]
    return _Shape("attempt", tuple([n for n, _ in wanted]), tuple([_convert(h) for _, h in wanted]), _attempt)


def _fill_shape() -> _Shape:
    wanted: list[tuple[str, Any]] = []
    for name, hint in get_type_hints(Fill).items():
        wanted += list(get_type_hints(VenueTrade).items()) if name == "trade" else [(name, hint)]
    return _Shape("fill", tuple([n for n, _ in wanted]), tuple([_convert(h) for _, h in wanted]), _fill)


_SHAPES: Final[Mapping[type[Any], _Shape]] = {
    IntentRow: _shape("intent", ((Intent, ()), (IntentRow, ("intent",))), _intent),
    Attempt: _attempt_shape(),
    Fill: _fill_shape(),
    Position: _shape("position", ((Position, ()),), Position._make),
    Run: _shape("run", ((Run, ()),), Run._make),
    TradingRecord: _shape("trading", ((TradingRecord, ()),), TradingRecord._make),
}


def read_mode(path: Path) -> str:
    """How a SQLite file is opened for reading, as parameters of its URI.

    A file in write-ahead mode is read with a helper file beside it, also by those who only read. In a folder that
    nobody may write, such as a mounted backup, SQLite reads it only if told that nothing changes it: true where no
    write-ahead file holds rows of its own.

    Source: https://www.sqlite.org/wal.html, section 5, read-only databases.
    """
    wal = path.with_name(f"{path.name}-wal")
    if os.access(path.parent, os.W_OK) or (wal.exists() and wal.stat().st_size):
        return "mode=ro"
    return "mode=ro&immutable=1"


class Rows:
    """Rows as the model's words, newest first. Use it in a ``with`` block, in one thread.

    Args:
        path: The SQLite file.
    Raises:
        StateFolderError: If there is no such file.
        StoreError: If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise StateFolderError(f"expected a store at {path}, was no file")
        try:
            self._raw = sqlite3.connect(f"{path.resolve().as_uri()}?{read_mode(path)}", uri=True, timeout=2.0)
        except sqlite3.Error as error:
            raise StoreError(f"expected a store that can be read at {path}, was: {error}") from error

    @property
    def current(self) -> bool:
        """True where the store has this program's schema."""
        newest = max(path.name[1:5] for path in _VERSIONS.glob("v[0-9]*.py"))
        try:
            found = self._raw.execute("SELECT version_num FROM alembic_version").fetchall()
        except sqlite3.Error:
            return False
        return found == [(newest,)]

    def trades(self, wanted: Filter) -> Sequence[Fill]:
        """Fills by the venue's moment."""
        return self._list(Fill, "traded_ms", "venue_trade_id", wanted)

    def orders(self, wanted: Filter) -> Sequence[Attempt]:
        """Attempts by the moment at which they were prepared; a reason is a code."""
        return self._list(
            Attempt, "prepared_ms", "intent_id DESC, number", wanted, status="coalesce(outcome, state)", reason="code"
        )

    def intents(self, wanted: Filter) -> Sequence[IntentRow]:
        """Intents by the moment at which they were created."""
        return self._list(IntentRow, "created_ms", "intent_id", wanted, status="state", reason="reason")

    def closed(self, wanted: Filter) -> Sequence[ClosedPosition]:
        """Finished round trips by the moment of their end; dust that was sold by itself is none."""
        status = wanted._replace(status=(str(PositionState.CLOSED),))
        return [
            closed_view(one)
            for one in self._list(Position, "closed_ms", "position_id", status, status="state", reason="close_reason")
            if one.entries
        ]

    def open_positions(self) -> Sequence[Position]:
        """Positions that are not closed."""
        shape = _SHAPES[Position]
        query = f"SELECT {', '.join(shape.columns)} FROM position WHERE state <> ? ORDER BY opened_ms"
        return self._fetch(shape, query, (str(PositionState.CLOSED),))

    def runs(self) -> Sequence[Run]:
        """Runs on this state, the newest first."""
        shape = _SHAPES[Run]
        return self._fetch(shape, f"SELECT {', '.join(shape.columns)} FROM run ORDER BY number DESC", ())

    def trading(self) -> TradingRecord | None:
        """The trading state in force; ``None`` before the first start."""
        shape = _SHAPES[TradingRecord]
        found = self._fetch(shape, f"SELECT {', '.join(shape.columns)} FROM trading", ())
        return found[0] if found else None

    def external_orders(self) -> Sequence[tuple[str, str, int]]:
        """Orders of the account that are not ours (R19): the venue's id, what it is, when it was seen."""
        query = "SELECT substr(fact, ?), content, at_ms FROM memory WHERE substr(fact, 1, ?) = ? ORDER BY fact"
        found = self._ask(query, (len(EXTERNAL_ORDER) + 1, len(EXTERNAL_ORDER), EXTERNAL_ORDER))
        return [(str(order), str(what), int(at_ms)) for order, what, at_ms in found]

    def newest_ms(self) -> int:
        """The newest moment of market time that the store knows of; 0 for an empty one."""
        query = (
            "SELECT max(at) FROM (SELECT max(at_ms) at FROM memory UNION ALL SELECT max(max(started_ms), "
            "coalesce(max(ended_ms), 0)) FROM run UNION ALL SELECT max(since_ms) FROM trading UNION ALL "
            "SELECT max(traded_ms) FROM fill UNION ALL SELECT max(prepared_ms) FROM attempt UNION ALL "
            "SELECT max(created_ms) FROM intent)"
        )
        return int(self._ask(query, ())[0][0] or 0)

    def close(self) -> None:
        """Let go of the file."""
        self._raw.close()

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _list(
        self, record: type[T], moment: str, tie: str, wanted: Filter, *, status: str = "", reason: str = ""
    ) -> Sequence[T]:
        shape = _SHAPES[record]
        asked: list[tuple[str, Any]] = []
        if wanted.symbol:
            asked.append(("symbol = ?", wanted.symbol))
        if wanted.reason and reason:
            asked.append((f"{reason} = ?", wanted.reason))
        if wanted.since_ms is not None:
            asked.append((f"{moment} >= ?", wanted.since_ms))
        if wanted.until_ms is not None:
            asked.append((f"{moment} < ?", wanted.until_ms))
        conditions = [condition for condition, _ in asked]
        values = [value for _, value in asked]
        if wanted.status and status:
            conditions.append(f"{status} IN ({', '.join('?' * len(wanted.status))})")
            values += list(wanted.status)
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        query = (
            f"SELECT {', '.join(shape.columns)} FROM {shape.table} {where}ORDER BY {moment} DESC, {tie} DESC LIMIT ?"
        )
        return self._fetch(shape, query, (*values, wanted.limit))

    def _fetch(self, shape: _Shape, query: str, values: Sequence[Any]) -> Sequence[Any]:
        return [
            shape.build(
                [
                    value if convert is None else convert(value)
                    for convert, value in zip(shape.converts, row, strict=True)
                ]
            )
            for row in self._ask(query, values)
        ]

    def _ask(self, query: str, values: Sequence[Any]) -> list[Any]:
        try:
            return self._raw.execute(query, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"expected to read, was: {error}") from error
