"""Copies of a store, taken while it is used, and stores of an older program brought to this one's schema."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from tradecore.errors import SchemaMismatch, StateFolderError, StoreError
from tradecore.store.database import sqlite_url
from tradecore.store.migrate import head, upgrade

_PAGES = 4_096
"""Pages copied at a time: a run that writes meanwhile waits for none of them longer than some milliseconds."""


class Copy(NamedTuple):
    """A copy that was made."""

    path: Path
    schema: str
    """Its schema version; empty where it has none."""
    bytes: int


class Moved(NamedTuple):
    """What a migration did."""

    before: str
    after: str
    copy: Path | None
    """The store as it was; ``None``: it was current already."""


def back_up(store: Path, to: Path) -> Copy:
    """Copy a SQLite store as of one moment, also while a run writes to it; the copy is proven before it has its name.

    Args:
        store: The database file.
        to: File to write; must not be there yet.
    Raises:
        StateFolderError: There is no such store, the target is there already or cannot be written.
        StoreError: The store cannot be read, or the copy is not whole.
    Source:
        SQLite's online backup interface: a page that changes meanwhile is copied again.
    """
    if not store.is_file():
        raise StateFolderError(f"expected a store at {store}, found none")
    if to.exists():
        raise StateFolderError(f"expected a new file at {to}, was there already")
    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        schema = _copied(store, part)
        _to_disk(part)
        os.link(part, to)  # unlike a rename it replaces nothing
        _to_disk(to.parent)
    except OSError as error:
        raise StateFolderError(f"expected to write {to}, was: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return Copy(to, schema, to.stat().st_size)


def migrate(store: Path) -> Moved:
    """Bring a SQLite store to this program's schema, with a copy of it as it was beside it.

    The caller holds the state folder's lock: no run may use the store meanwhile.

    Args:
        store: The database file.
    Raises:
        StateFolderError: There is no such store, or the copy cannot be written.
        SchemaMismatch: A newer program wrote it, or it is no store of ours.
        StoreError: The migration failed; the store is as it was.
    """
    if not store.is_file():
        raise StateFolderError(f"expected a store at {store}, found none")
    before, after = schema_of(store), head()
    if before == after:
        return Moved(before, after, None)
    if not before or before > after:
        raise SchemaMismatch(f"expected a store of schema {after} or older at {store}, was {before or 'none'}")
    copy = back_up(store, _free(store.with_name(f"{store.name}.before-{after}")))
    return Moved(before, upgrade(sqlite_url(store)), copy.path)


def schema_of(store: Path) -> str:
    """Schema version of a SQLite store; empty where it has none.

    Raises:
        StoreError: It cannot be read as a database.
    """
    try:
        raw = sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return _version(raw)
        finally:
            raw.close()
    except sqlite3.Error as error:
        raise StoreError(f"expected a database at {store}, was: {error}") from error


def _copied(store: Path, part: Path) -> str:
    try:
        source, target = sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True), sqlite3.connect(part)
        try:
            source.backup(target, pages=_PAGES)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            (told,) = target.execute("PRAGMA integrity_check").fetchone()
            if told != "ok":
                raise StoreError(f"expected a whole copy of {store}, was: {told}")
            return _version(target)
        finally:
            source.close()
            target.close()
    except sqlite3.Error as error:
        raise StoreError(f"expected to copy {store}, was: {error}") from error


def _version(raw: sqlite3.Connection) -> str:
    if not raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
        return ""
    rows = raw.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(rows[0][0]) if len(rows) == 1 else ""


def _free(path: Path) -> Path:
    """The name itself, or the first of its numbered followers that nothing has."""
    number, wanted = 1, path
    while wanted.exists():
        number += 1
        wanted = path.with_name(f"{path.name}-{number}")
    return wanted


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
