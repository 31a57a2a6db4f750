"""The twin's durable file: what a real venue would still know after the bot was killed.

Every answer is committed here before it leaves the twin. The file is WAL with ``synchronous=OFF``: it survives
kill -9 of the process (reference orders.md 5, measured), not a power cut; a venue's own power is not ours to lose.
The bot's engine never reads it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from tradecore.errors import SchemaMismatch, StateFolderError
from tradecore.model.order import NewOrder
from tradecore.model.units import Side, TimeInForce, canonical
from tradecore.venues.twin.records import MOVED, Held, Moves, OrderStatus, TwinOrder, TwinTrade

_VERSION: Final = "1"
_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE orders (
  number INTEGER PRIMARY KEY, venue_order_id TEXT NOT NULL, wire_id TEXT NOT NULL, symbol TEXT NOT NULL,
  side TEXT NOT NULL, time_in_force TEXT NOT NULL, price TEXT NOT NULL, quantity TEXT NOT NULL,
  post_only INTEGER NOT NULL, is_foreign INTEGER NOT NULL, accepted_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
  status TEXT NOT NULL, executed TEXT NOT NULL, executed_quote TEXT NOT NULL, ended_ms INTEGER, locked TEXT NOT NULL,
  market INTEGER NOT NULL DEFAULT 0);
CREATE INDEX orders_wire ON orders (wire_id);
CREATE INDEX orders_updated ON orders (symbol, updated_ms);
CREATE INDEX orders_ended ON orders (ended_ms);
CREATE TABLE trades (
  number INTEGER PRIMARY KEY, venue_trade_id TEXT NOT NULL, order_number INTEGER NOT NULL,
  venue_order_id TEXT NOT NULL, wire_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, price TEXT NOT NULL,
  quantity TEXT NOT NULL, quote TEXT NOT NULL, fee TEXT NOT NULL, fee_coin TEXT NOT NULL, is_maker INTEGER NOT NULL,
  traded_ms INTEGER NOT NULL);
CREATE INDEX trades_order ON trades (order_number);
CREATE INDEX trades_symbol ON trades (symbol, number);
CREATE TABLE balances (coin TEXT PRIMARY KEY, free TEXT NOT NULL, locked TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE taken (symbol TEXT PRIMARY KEY, step_ms INTEGER NOT NULL, levels TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE held (wire_id TEXT NOT NULL, due_ms INTEGER NOT NULL, sent_ms INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE truth (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL);
"""
_ORDER_COLUMNS: Final = (
    "number, venue_order_id, wire_id, symbol, side, time_in_force, price, quantity, post_only, is_foreign,"
    " accepted_ms, updated_ms, status, executed, executed_quote, ended_ms, locked, market"
)
_PUT_ORDER: Final = f"INSERT OR REPLACE INTO orders ({_ORDER_COLUMNS}) VALUES ({', '.join('?' * 18)})"
_PUT_TRADE: Final = f"INSERT INTO trades VALUES ({', '.join('?' * 14)})"
_PUT_BALANCE: Final = "INSERT OR REPLACE INTO balances VALUES (?, ?, ?)"
_NOTE: Final = "note."
_PUT_META: Final = "INSERT OR REPLACE INTO meta VALUES (?, ?)"


def pack(facts: Mapping[str, Any]) -> str:
    """Write facts as JSON, amounts as canonical text."""
    return orjson.dumps(facts, default=_plain).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return canonical(value)
    raise TypeError(f"expected a plain value, was {type(value).__name__}")


class TwinState:
    """The file and the numbers that go on with it.

    Args:
        path: The file; ``None`` keeps everything in memory, gone with the process.
    Raises:
        StateFolderError: If the file cannot be opened, or is no database.
        SchemaMismatch: If another version of the twin wrote it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path: Final = path
        try:
            self._db = sqlite3.connect(str(path) if path else ":memory:", isolation_level=None, timeout=5.0)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=OFF")
            self.fresh: Final = not self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            if self.fresh:
                self._db.executescript(
                    f"BEGIN IMMEDIATE;{_SCHEMA}INSERT INTO meta VALUES ('version', '{_VERSION}');COMMIT;"
                )
            elif not any(row[1] == "market" for row in self._db.execute("PRAGMA table_info(orders)")):
                # A file from before there were orders without a price.
                self._db.execute("ALTER TABLE orders ADD COLUMN market INTEGER NOT NULL DEFAULT 0")
            meta = dict(self._db.execute("SELECT key, value FROM meta"))
        except sqlite3.Error as error:
            raise StateFolderError(f"expected a twin file at {path}, was not usable: {error}") from error
        if meta.get("version") != _VERSION:
            raise SchemaMismatch(f"expected twin file version {_VERSION} at {path}, was {meta.get('version')}")
        self._writes: list[tuple[str, Sequence[Any]]] = []
        self._orders_changed: dict[int, TwinOrder] = {}
        self._balances_changed: dict[str, tuple[str, str, str]] = {}
        self._saved: dict[str, int] = {}
        self.market_time_ms = int(meta.get("market_time_ms", 0))
        """Market time that the program has reached; 0 on a fresh file."""
        self.looked_ms = int(meta.get("looked_ms", 0))
        """Up to here resting orders have met the market."""
        self.orders_made = int(meta.get("orders_made", 0))
        self.trades_made = int(meta.get("trades_made", 0))
        self.draws = int(meta.get("draws", 0))
        """Chances of faults drawn so far."""
        self.opened = bool(int(meta.get("opened", 0)))
        """True once opening balances were set."""
        self._last_truth = int(self._db.execute("SELECT coalesce(max(seq), 0) FROM truth").fetchone()[0])

    # Writing: collected, then one transaction ---------------------------------------------------------------

    def put_order(self, order: TwinOrder) -> None:
        """Write an order as it will stand at the commit."""
        self._orders_changed[order.number] = order

    def put_trade(self, trade: TwinTrade) -> None:
        """Write a new trade."""
        row = (
            *trade[:6], str(trade.side), str(trade.price), str(trade.quantity), str(trade.quote), str(trade.fee),
            trade.fee_coin, int(trade.is_maker), trade.traded_ms,
        )  # fmt: skip
        self._writes.append((_PUT_TRADE, row))

    def put_balance(self, coin: str, free: Decimal, locked: Decimal) -> None:
        """Write one coin as it stands."""
        self._balances_changed[coin] = (coin, str(free), str(locked))

    def put_taken(self, symbol: str, step_ms: int, taken: Mapping[str, Decimal]) -> None:
        """Write what was taken of one symbol's running step."""
        self._writes.append(("INSERT OR REPLACE INTO taken VALUES (?, ?, ?)", (symbol, step_ms, pack(taken))))

    def put_held(self, held: Held) -> None:
        """Write a request that the network holds."""
        order = held.order
        body = pack({**order._asdict(), "window_ms": held.window_ms})
        self._writes.append(("INSERT INTO held VALUES (?, ?, ?, ?)", (order.wire_id, held.due_ms, held.sent_ms, body)))

    def drop_held(self, held: Held) -> None:
        """Forget a held request: it arrived."""
        sql = "DELETE FROM held WHERE wire_id = ? AND due_ms = ? AND sent_ms = ?"
        self._writes.append((sql, (held.order.wire_id, held.due_ms, held.sent_ms)))

    def put_truth(self, at_ms: int, kind: str, facts: Mapping[str, Any], moves: Moves) -> None:
        """Append one event to the truth log, with how the balances changed by it."""
        self._last_truth += 1
        body = pack({**facts, "moves": moves})
        self._writes.append(("INSERT INTO truth VALUES (?, ?, ?, ?)", (self._last_truth, at_ms, kind, body)))

    def put_note(self, key: str, value: str) -> None:
        """Write a word that the program around the engine wants to find again; it replaces the one before."""
        self._writes.append((_PUT_META, (_NOTE + key, value)))

    def commit(self) -> None:
        """Make everything written so far durable, as one transaction; with nothing written it costs nothing.

        Raises:
            StateFolderError: If the file takes no more: the twin must not answer then.
        """
        numbers = {
            "market_time_ms": self.market_time_ms, "draws": self.draws, "opened": int(self.opened),
            "orders_made": self.orders_made, "trades_made": self.trades_made,
        }  # fmt: skip
        if not (self._writes or self._orders_changed or numbers != self._saved):
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for sql, row in self._writes:
                self._db.execute(sql, row)
            self._db.executemany(_PUT_ORDER, [_order_row(order) for order in self._orders_changed.values()])
            self._db.executemany(_PUT_BALANCE, self._balances_changed.values())
            changed = [(key, str(value)) for key, value in numbers.items() if self._saved.get(key) != value]
            # Where nothing else was written a restart looks at the same steps again and finds the same.
            self._db.executemany(_PUT_META, [*changed, ("looked_ms", str(self.looked_ms))])
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StateFolderError(f"expected to write the twin file {self.path}, was not possible: {error}") from error
        self._saved = numbers
        self._writes.clear()
        self._orders_changed.clear()
        self._balances_changed.clear()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._db.close()

    # Reading ------------------------------------------------------------------------------------------------

    def open_orders(self) -> list[TwinOrder]:
        """Orders that stand, with their trades, by number."""
        return self._orders("status = 'OPEN' ORDER BY number", ())

    def by_wire_id(self, symbol: str, wire_id: str) -> TwinOrder | None:
        """The newest order with a client id: an id may be used again after its order has closed."""
        found = self._orders("wire_id = ? AND symbol = ? ORDER BY number DESC LIMIT 1", (wire_id, symbol))
        return found[0] if found else None

    def by_venue_id(self, symbol: str, venue_order_id: str) -> TwinOrder | None:
        """The order with the venue's id; ``None`` where there is none of this symbol."""
        found = self._orders("venue_order_id = ? AND symbol = ?", (venue_order_id, symbol))
        return found[0] if found else None

    def orders_page(
        self, symbol: str, *, since_ms: int, until_ms: int, limit: int, number: int | None = None
    ) -> list[TwinOrder]:  # fmt: skip
        """Orders of a symbol accepted in [since, until], by number: the newest, or from a number on the oldest."""
        where, values = "symbol = ? AND accepted_ms >= ? AND accepted_ms <= ?", (symbol, since_ms, until_ms)
        if number is not None:
            return self._orders(f"{where} AND number >= ? ORDER BY number LIMIT ?", (*values, number, limit))
        return self._orders(f"{where} ORDER BY number DESC LIMIT ?", (*values, limit))[::-1]

    def trades_page(
        self, symbol: str, *, since_ms: int, until_ms: int, limit: int, newest: bool,
        number: int = 0, order_number: int | None = None,
    ) -> list[TwinTrade]:  # fmt: skip
        """Trades of a symbol made in [since, until], by number: the newest or the oldest of them.

        Args:
            number: Trades before it are left out.
            order_number: Of one order only; ``None`` means of all.
        """
        sql = "SELECT * FROM trades WHERE symbol = ? AND number >= ? AND traded_ms >= ? AND traded_ms <= ?"
        values: list[Any] = [symbol, number, since_ms, until_ms]
        if order_number is not None:
            sql += " AND order_number = ?"
            values.append(order_number)
        sql += f" ORDER BY number {'DESC' if newest else 'ASC'} LIMIT ?"
        found = [_trade(row) for row in self._db.execute(sql, (*values, limit))]
        return found[::-1] if newest else found

    def notes(self) -> dict[str, str]:
        """Words of `put_note` by key."""
        sql = "SELECT key, value FROM meta WHERE key GLOB ?"
        return {key.removeprefix(_NOTE): value for key, value in self._db.execute(sql, (_NOTE + "*",))}

    def updated_since(self, symbol: str, since_ms: int) -> list[TwinOrder]:
        """Orders of a symbol that changed since then, by number."""
        return self._orders("symbol = ? AND updated_ms >= ? ORDER BY number", (symbol, since_ms))

    def ended_after(self, at_ms: int) -> list[TwinOrder]:
        """Orders that ended after a moment, by number."""
        return self._orders("ended_ms > ? ORDER BY number", (at_ms,))

    def trades_after(self, symbol: str, number: int, since_ms: int, until_ms: int, limit: int) -> list[TwinTrade]:
        """Trades of a symbol after a number, made in [since, until], oldest first."""
        sql = (
            "SELECT * FROM trades WHERE symbol = ? AND number > ? AND traded_ms >= ? AND traded_ms <= ?"
            " ORDER BY number LIMIT ?"
        )
        return [_trade(row) for row in self._db.execute(sql, (symbol, number, since_ms, until_ms, limit))]

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Free and locked by coin."""
        rows = self._db.execute("SELECT coin, free, locked FROM balances ORDER BY coin")
        return {coin: (Decimal(free), Decimal(locked)) for coin, free, locked in rows}

    def taken(self) -> Iterable[tuple[str, int, dict[str, Decimal]]]:
        """What was taken of each symbol's running step."""
        for symbol, step_ms, levels in self._db.execute("SELECT symbol, step_ms, levels FROM taken"):
            yield symbol, step_ms, {key: Decimal(value) for key, value in orjson.loads(levels).items()}

    def held(self) -> list[Held]:
        """Requests that the network holds, in order of arrival."""
        result = []
        for due_ms, sent_ms, body in self._db.execute("SELECT due_ms, sent_ms, body FROM held ORDER BY due_ms, rowid"):
            facts = orjson.loads(body)
            order = NewOrder(
                facts["wire_id"], facts["symbol"], Side(facts["side"]), TimeInForce(facts["time_in_force"]),
                Decimal(facts["price"]), Decimal(facts["quantity"]), facts["post_only"],
            )  # fmt: skip
            result.append(Held(due_ms, sent_ms, order, facts.get("window_ms")))
        return result

    def moves_after(self, at_ms: int) -> list[Moves]:
        """How the balances changed after a moment."""
        result: list[Moves] = []
        for when, body in self._db.execute("SELECT at_ms, body FROM truth ORDER BY seq DESC"):
            if when <= at_ms:
                break
            moves = orjson.loads(body)["moves"]
            result.append({coin: (Decimal(free), Decimal(locked)) for coin, (free, locked) in moves.items()})
        return result

    def transfers(self, since_ms: int) -> list[tuple[int, int, str, Decimal]]:
        """Deposits and withdrawals of the lists since a moment: number, moment, coin, amount; withdrawals below 0."""
        sql = "SELECT seq, at_ms, body FROM truth WHERE kind = ? AND at_ms >= ? ORDER BY seq"
        found = []
        for seq, at_ms, body in self._db.execute(sql, (MOVED, since_ms)):
            facts = orjson.loads(body)
            found.append((seq, at_ms, facts["coin"], Decimal(facts["amount"])))
        return found

    def truth(self) -> Iterable[tuple[int, int, str, dict[str, Any]]]:
        """All events of the truth log: sequence, moment, kind, facts."""
        for seq, at_ms, kind, body in self._db.execute("SELECT seq, at_ms, kind, body FROM truth ORDER BY seq"):
            yield seq, at_ms, kind, orjson.loads(body)

    def _orders(self, where: str, values: tuple[Any, ...]) -> list[TwinOrder]:
        rows = self._db.execute(f"SELECT {_ORDER_COLUMNS} FROM orders WHERE {where}", values).fetchall()
        orders = [_order(row) for row in rows]
        for order in orders:
            trades = self._db.execute("SELECT * FROM trades WHERE order_number = ? ORDER BY number", (order.number,))
            order.trades.extend(_trade(row) for row in trades)
        return orders


def _order_row(order: TwinOrder) -> tuple[Any, ...]:
    return (
        order.number, order.venue_order_id, order.wire_id, order.symbol, str(order.side), str(order.time_in_force),
        str(order.price), str(order.quantity), int(order.post_only), int(order.foreign), order.accepted_ms,
        order.updated_ms, str(order.status), str(order.executed), str(order.executed_quote), order.ended_ms,
        str(order.locked), int(order.market),
    )  # fmt: skip


def _order(row: Sequence[Any]) -> TwinOrder:
    return TwinOrder(
        row[0], row[1], row[2], row[3], Side(row[4]), TimeInForce(row[5]), Decimal(row[6]), Decimal(row[7]),
        bool(row[8]), bool(row[9]), row[10], row[11], OrderStatus(row[12]), Decimal(row[13]), Decimal(row[14]),
        row[15], Decimal(row[16]), market=bool(row[17]),
    )  # fmt: skip


def _trade(row: Sequence[Any]) -> TwinTrade:
    return TwinTrade(
        row[0], row[1], row[2], row[3], row[4], row[5], Side(row[6]), Decimal(row[7]), Decimal(row[8]),
        Decimal(row[9]), Decimal(row[10]), row[11], bool(row[12]), row[13],
    )  # fmt: skip
