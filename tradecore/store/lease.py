"""The lease: one process at a time writes a store, and every transaction proves that it is still that one (INV-14).

One row says who writes, since when and up to when; its epoch rises with each taking. The proof stands inside the
transaction that it guards: SQLite's writers come one after the other, and PostgreSQL's row stays locked until the
commit, so nobody can take the store between a proof and the commit that rests on it. Clocks decide only when a silent
holder may be replaced; that a replaced one writes nothing depends on none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from tradecore.errors import LeaseLost, StateFolderError
from tradecore.store.database import Database
from tradecore.store.holder import Holder, is_gone
from tradecore.store.statements import Raw

_MARK: Final = "epoch, taken_ms, machine, pid"
"""What tells one taking from every other: after an old copy was put back, an epoch alone might come twice."""
_COLUMNS: Final = f"{_MARK}, host, started, folder, run_id, renewed_ms, length_ms, released"
_HELD: Final = "slot = 1 AND epoch = ? AND taken_ms = ? AND machine = ? AND pid = ?"


class Claim(NamedTuple):
    """Who wants to write a store, and for how long without being heard of."""

    holder: Holder
    length_ms: int
    """Of the wall: a holder that is silent for longer may be replaced."""
    renew_ms: int
    """A commit that finds it renewed so long ago renews it; well below `length_ms`."""
    now_ms: Callable[[], int]
    """The wall's clock, whatever market time is."""
    alone: bool = False
    """True where whoever could write this store would hold a lock that we hold."""


class LeaseRow(NamedTuple):
    """The lease as the store keeps it."""

    epoch: int
    taken_ms: int
    """Of the wall."""
    holder: Holder
    run_id: str
    """Empty until the holder knows its run."""
    renewed_ms: int
    length_ms: int
    released: bool
    """The holder has ended by itself."""

    def left_ms(self, now_ms: int) -> int:
        """Time that a silent holder has left; 0 for one that may be replaced."""
        return 0 if self.released else max(0, self.renewed_ms + self.length_ms - now_ms)

    @property
    def shown(self) -> str:
        """The holder, for people."""
        run = f", run {self.run_id}" if self.run_id else ""
        return f"pid {self.holder.pid} on {self.holder.host}{run}"


def read_lease(raw: Raw) -> LeaseRow | None:
    """Read the lease; ``None``: nobody ever took it."""
    found = raw.execute(f"SELECT {_COLUMNS} FROM lease WHERE slot = 1").fetchone()
    return _row(found) if found is not None else None


def _row(v: Sequence[Any]) -> LeaseRow:
    holder = Holder(v[4], v[2], v[3], v[5], v[6])
    return LeaseRow(v[0], v[1], holder, v[7], v[8], v[9], bool(v[10]))


def take_lease(database: Database, claim: Claim) -> StoreLease:
    """Take the right to write a store, in a transaction of its own.

    Raises:
        StateFolderError: Another process holds it; the text names it.
        StoreError: The store did not answer.
    """
    raw = database.connect()
    try:
        taken = _take(database, raw, claim)
    except database.error as error:
        database.try_run(raw, "ROLLBACK")
        raise database.named(error, "expected to take the lease") from error
    except StateFolderError:
        database.try_run(raw, "ROLLBACK")
        raise
    finally:
        database.try_close(raw)
    return StoreLease(claim, taken[0], database, clean=taken[1])


def _take(database: Database, raw: Raw, claim: Claim) -> tuple[LeaseRow, bool]:
    """Take it; with whether the holder before had ended by itself."""
    sql, now = database.statements, claim.now_ms()
    raw.execute("BEGIN IMMEDIATE" if database.sqlite else "BEGIN")
    lock = "" if database.sqlite else " FOR UPDATE"
    found = raw.execute(f"SELECT {_COLUMNS} FROM lease WHERE slot = 1{lock}").fetchone()
    old = _row(found) if found is not None else None
    if old is not None and not claim.alone and old.left_ms(now) and not is_gone(old.holder, claim.holder):
        raise StateFolderError(
            f"expected nobody else to write {database.shown}, was held by {old.shown} (epoch {old.epoch}): stop it, "
            f"or start again when it has been silent for {old.length_ms / 1000:g} s, "
            f"{old.left_ms(now) / 1000:.1f} s from now"
        )
    new = LeaseRow(old.epoch + 1 if old is not None else 1, now, claim.holder, "", now, claim.length_ms, False)
    h = new.holder
    values = (new.epoch, now, h.machine, h.pid, h.host, h.started, h.folder, "", now, new.length_ms, False)
    if old is None:
        marks = ", ".join("?" * len(values))
        raw.execute(sql.marked(f"INSERT INTO lease (slot, {_COLUMNS}) VALUES (1, {marks})"), values)
    else:
        assigned = ", ".join(f"{name} = ?" for name in _COLUMNS.split(", "))
        raw.execute(sql.marked(f"UPDATE lease SET {assigned} WHERE slot = 1"), values)
    raw.execute("COMMIT")
    return new, old is None or old.released


class StoreLease:
    """A lease that was taken. `prove` and `confirm` belong to the writer's thread, the rest to the loop's.

    Args:
        claim: Whose it is.
        row: As it was written.
        database: Where.
        clean: The holder before had given it back, or there was none.
    """

    def __init__(self, claim: Claim, row: LeaseRow, database: Database, *, clean: bool = True) -> None:
        self._claim = claim
        self._held = [row.epoch, row.taken_ms, row.holder.machine, row.holder.pid]
        self._renewed_ms = row.renewed_ms
        self._coming_ms: int | None = None
        self._run_id = ""
        self._due = False
        self._lost = ""
        self.epoch: Final = row.epoch
        self.clean: Final = clean
        self.length_ms: Final = claim.length_ms
        self.renew_ms: Final = claim.renew_ms
        marked = database.statements.marked
        # On a server the proof asks for the transaction's number as well, so that it costs no question of its own.
        first = "" if database.sqlite else "pg_current_xact_id()::text, "
        self._look = f"SELECT {first}{_MARK} FROM lease WHERE slot = 1{'' if database.sqlite else ' FOR SHARE'}"
        self._move = marked(f"UPDATE lease SET renewed_ms = ?, run_id = ? WHERE {_HELD}")
        self._move += "" if database.sqlite else " RETURNING pg_current_xact_id()::text"
        self._leave = marked(f"UPDATE lease SET released = ? WHERE {_HELD}")
        self._read = f"SELECT {_COLUMNS} FROM lease WHERE slot = 1"
        self._sqlite = database.sqlite

    @property
    def lost(self) -> str:
        """Who took it, in words; empty as long as nobody is known to have."""
        return self._lost

    @property
    def fresh(self) -> bool:
        """True while nobody else can have taken it, by our own clock of the wall."""
        return not self._lost and 0 <= self._claim.now_ms() - self._renewed_ms < self.length_ms

    def name_run(self, run_id: str) -> None:
        """Have the next transaction write down which run holds it."""
        self._run_id = run_id
        self._due = True

    def prove(self, raw: Raw, *, renew: bool = False) -> str:
        """Prove, in a transaction just begun, that it is ours; renew it where its time has come.

        Args:
            renew: Renew it in any case.
        Returns:
            PostgreSQL's number of the transaction; empty on SQLite.
        Raises:
            LeaseLost: It is not. It never will be again: nothing more can be written.
        """
        if self._lost:
            raise LeaseLost(self._lost)
        now = self._claim.now_ms()
        self._coming_ms = None
        if not (renew or self._due) and 0 <= now - self._renewed_ms < self.renew_ms:
            found = raw.execute(self._look).fetchone()
            held = found is not None and list(found[0 if self._sqlite else 1 :]) == self._held
            mark = "" if self._sqlite or found is None else str(found[0])
        else:
            cursor = raw.execute(self._move, (now, self._run_id, *self._held))
            held, mark = cursor.rowcount == 1, ""
            if held and not self._sqlite:
                mark = str(cursor.fetchone()[0])
            self._coming_ms = now
        if not held:
            self._lose(raw)
        return mark

    def confirm(self) -> None:
        """Take note that the transaction of the last proof was committed."""
        if self._coming_ms is not None:
            self._renewed_ms, self._due = self._coming_ms, False

    def release(self, raw: Raw) -> None:
        """Give it back, so that the next start need not look whether we live. Nothing where it is not ours."""
        raw.execute(self._leave, (True, *self._held))

    def _lose(self, raw: Raw) -> None:
        found = raw.execute(self._read).fetchone()
        by = "nobody: an older copy of the store was put back" if found is None else _taker(_row(found))
        self._lost = f"expected the lease of epoch {self.epoch}, was held by {by}"
        raise LeaseLost(self._lost)


def _taker(row: LeaseRow) -> str:
    return f"{row.shown} (epoch {row.epoch})"


class Renewing:
    """The lease as the engine sees it (`ports/lease.py`).

    Args:
        lease: The one that was taken.
        renew: Renews it through the store's writer.
    """

    def __init__(self, lease: StoreLease, renew: Callable[[], Awaitable[None]]) -> None:
        self._lease = lease
        self._renew = renew

    def name_run(self, run_id: str) -> None:
        """Have the next transaction write down which run holds it."""
        self._lease.name_run(run_id)

    @property
    def epoch(self) -> int:
        """Number of this taking."""
        return self._lease.epoch

    @property
    def renew_s(self) -> float:
        """How often it is to be renewed, seconds of the wall."""
        return self._lease.renew_ms / 1000

    @property
    def fresh(self) -> bool:
        """True while nobody else can have taken it."""
        return self._lease.fresh

    async def renew(self) -> None:
        """Renew it in a transaction of its own.

        Raises:
            LeaseLost: Somebody else holds it.
            StoreError: The store did not answer.
        """
        await self._renew()
