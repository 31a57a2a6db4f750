"""Three stores under one contract, a PostgreSQL server of our own, and records to write."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tradecore.model.events import Ids, IntentCleared, OrderAttempt, Stamped
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.intent import Cap, Intent, IntentRow, IntentState, Reservation, ReservationState
from tradecore.model.order import Attempt, AttemptState, OrderRequest
from tradecore.model.position import Position
from tradecore.model.records import Posting, PostingKind
from tradecore.model.signal import Signal
from tradecore.model.units import Side, TimeInForce
from tradecore.store.database import sqlite_url
from tradecore.store.inline import InlineStore
from tradecore.store.opening import open_store
from tradecore.store.tables import METADATA
from tradecore.store.threaded import ThreadedStore

D = Decimal
AnyStore = InlineStore | ThreadedStore


class Records:
    """Valid records by number; keyword arguments replace fields."""

    def signal(self, n: int, **changes: Any) -> Signal:
        return Signal(
            f"signal-{n}", "drop", f"C{n}/USDT", Side.BUY, 1_000 + n, 9_000, D("1.50"), 1_000, 0.25, "fell", 0.031,
            0.03, "ratio", quote_wanted=D("12.3450"),
        )._replace(**changes)  # fmt: skip

    def intent(self, n: int, state: IntentState = IntentState.RESERVED, **changes: Any) -> IntentRow:
        row = {k: changes.pop(k) for k in list(changes) if k in IntentRow._fields}
        signal = changes.pop("signal", self.signal(n))
        intent = Intent(
            f"intent-{n}", signal, f"C{n}/USDT", Side.BUY, D("1.10"), D("1.50"), 1_000, D("1.51"), 1_000 + n, 9_000,
            "size_fixed: quote", False, f"position-{n}", {"slippage_bps_max": Cap(D("25.5"), "risk_limits")},
        )._replace(**changes)  # fmt: skip
        return IntentRow(intent, state)._replace(**row)

    def reservation(self, n: int, **changes: Any) -> Reservation:
        return Reservation(f"intent-{n}", "USDT", D("1.661"), D(0), ReservationState.ACTIVE, 1_000 + n)._replace(
            **changes
        )

    def attempt(self, n: int, state: AttemptState = AttemptState.PREPARED, number: int = 1, **changes: Any) -> Attempt:
        request = OrderRequest(TimeInForce.IOC, D("1.51"), D("1.1"), 2_000, "IOC 10 bps 1/2")
        return Attempt(
            f"order-{n}-{number}", f"intent-{n}", number, f"wire-{n}-{number}", f"C{n}/USDT", Side.BUY, request,
            state, False, prepared_ms=1_000 + n,
        )._replace(**changes)  # fmt: skip

    def fill(self, n: int, **trade: Any) -> Fill:
        venue_trade = VenueTrade(
            f"trade-{n}", "venue-1", f"wire-{n}-1", f"C{n}/USDT", Side.BUY, D("1.5"), D("1.1"), D("1.65"), D("0.0011"),
            "BNB", False, 2_000 + n,
        )._replace(**trade)  # fmt: skip
        return Fill("twin", venue_trade, f"order-{n}-1", f"intent-{n}", f"position-{n}", 2_100)

    def posting(self, n: int, leg: int = 0, amount: str = "-1.65", currency: str = "USDT") -> Posting:
        account = "assets" if leg == 0 else "venue"
        return Posting(f"posting-{n}", leg, account, currency, D(amount), PostingKind.TRADE, 2_000)

    def position(self, n: int, **changes: Any) -> Position:
        return Position(
            f"position-{n}", f"C{n}/USDT", "drop", "", D("1.1"), D("1.5"), 2_000 + n, 1, D("1.6"), D("1.4")
        )._replace(**changes)  # fmt: skip

    def event(self, n: int, at_ns: int = 5_000_000_000) -> Stamped:
        what = OrderAttempt("BTC/USDT", "buy", n, "SENDING", "IOC", "IOC", D("1.5"), D(1), "", None)
        return Stamped(at_ns, what, Ids(f"signal-{n}", f"intent-{n}"))

    def cleared(self, n: int) -> Stamped:
        what = IntentCleared("BTC/USDT", "buy", "UNFILLED", "NO_LIQUIDITY", "", D(1), D(0), 2, 300)
        return Stamped(6_000_000_000, what, Ids(f"signal-{n}", f"intent-{n}"))


@pytest.fixture
def make() -> Records:
    return Records()


class Server(NamedTuple):
    """A running PostgreSQL."""

    port: int
    user: str

    def url(self, schema: str) -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/postgres?options=-csearch_path%3D{schema}"

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(host="127.0.0.1", port=self.port, user=self.user, dbname="postgres", autocommit=True)


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return debian[-1].parent if debian else None


def _who() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("no user to run PostgreSQL as")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server in a temporary folder on a free port; skipped where PostgreSQL is not installed."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("initdb was not found: install postgresql to run this")
    who = _who()
    folder = Path(tempfile.mkdtemp(prefix="tradecore-pg-", dir="/tmp"))
    try:
        if who:
            os.chown(folder, who["user"], who["group"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **who}
        subprocess.run(
            [binaries / "initdb", "-D", folder / "data", "-U", "tradecore", "-A", "trust", "-E", "UTF8",
             "--locale=C", "--no-sync"], check=True, **options,
        )  # fmt: skip
        process = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-c", "fsync=off",
             "-c", "listen_addresses=127.0.0.1"], **options,
        )  # fmt: skip
        try:
            server = Server(port, "tradecore")
            _wait(server, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            server.connect().close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, "PostgreSQL ended"
            assert time.monotonic() < end, "PostgreSQL did not answer within 20 s"
            time.sleep(0.05)


_schemas = iter(range(10_000))


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    schema = f"t{next(_schemas)}"
    with postgres.connect() as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return postgres.url(schema)


@pytest.fixture(scope="session")
def postgres_door(postgres: Server) -> Iterator[psycopg.Connection[Any]]:
    with postgres.connect() as connection:
        connection.execute("CREATE SCHEMA emptied")
        yield connection


@pytest.fixture
def postgres_emptied(postgres: Server, postgres_door: psycopg.Connection[Any]) -> str:
    """One schema for many tests: emptying it is cheaper than making it."""
    found = postgres_door.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'emptied'").fetchone()
    if found is not None and found[0]:
        # What refers to a table stands behind it in the order of creation, and goes first.
        names = [table.name for table in reversed(METADATA.sorted_tables)]
        postgres_door.execute("; ".join(f"DELETE FROM emptied.{name}" for name in names))
    return postgres.url("emptied")


class Place(NamedTuple):
    """One database, to be opened as often as a test likes."""

    url: str
    inline: bool
    opened: list[AnyStore]

    def open(self, follower: Callable[[Any], None] | None = None) -> AnyStore:
        store = open_store(self.url, inline=self.inline, synchronous="OFF", follower=follower)
        self.opened.append(store)
        return store


@pytest.fixture(params=["sqlite-inline", "sqlite-threaded", "postgresql-threaded"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    kind = request.param
    if kind.startswith("postgresql"):
        url = request.getfixturevalue("postgres_emptied")
    else:
        url = sqlite_url(tmp_path / "tradecore.sqlite3")
    place = Place(url, kind.endswith("inline"), [])
    yield place
    for store in place.opened:
        await store.close()


@pytest.fixture
def store(place: Place) -> AnyStore:
    return place.open()
