"""One database: its address, its driver's connections, its errors."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from tradecore.errors import (
    DuplicateRecord,
    SchemaMismatch,
    SettingsError,
    StateFolderError,
    StoreError,
    TradecoreError,
)
from tradecore.store.statements import Raw, statements_of

Synchronous = Literal["FULL", "NORMAL", "OFF"]
_UNIQUE_SQLITE: Final = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})
_UNIQUE_POSTGRES: Final = "23505"
_CONSTRAINT_POSTGRES: Final = "23"


def sqlite_url(path: Path) -> str:
    """The address of a SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def _parsed(url: str) -> URL:
    try:
        parsed = sqlalchemy.make_url(url)
    except ArgumentError as error:
        raise SettingsError("expected a database URL as sqlite:///file or postgresql://host/name") from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise SettingsError(f"expected a sqlite or postgresql URL, was {parsed.get_backend_name()}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError("expected the path of a file after sqlite:///, was none")
    return parsed


class Database:
    """Where the rows are.

    Args:
        url: ``sqlite:///path`` or ``postgresql://…``.
        synchronous: How hard SQLite flushes a commit; ``FULL`` survives a power cut.
        busy_ms_max: How long a statement waits for another process's lock before it gives up.
    """

    def __init__(self, url: str, synchronous: Synchronous = "FULL", busy_ms_max: int = 5_000) -> None:
        self.url = _parsed(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self._synchronous = synchronous
        self._busy_ms_max = busy_ms_max
        self.engine = self._engine()
        self.statements = statements_of(self.engine.dialect)
        self._dbapi: Any = self.engine.dialect.loaded_dbapi
        self.error: type[Exception] = self._dbapi.Error

    def _engine(self) -> Engine:
        try:
            if self.sqlite:
                # Autocommit: a transaction begins where `writer.py` says BEGIN IMMEDIATE and nowhere else.
                engine = sqlalchemy.create_engine(
                    self.url,
                    isolation_level="AUTOCOMMIT",
                    poolclass=NullPool,
                    connect_args={"check_same_thread": False},
                )
                event.listen(engine, "connect", self._set_pragmas)
                return engine
            seconds = max(1, self._busy_ms_max // 1_000)
            asked = self.url.query.get("options", "")
            return sqlalchemy.create_engine(
                self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool, paramstyle="format",
                connect_args={"connect_timeout": seconds, "options": f"{asked} -c lock_timeout={self._busy_ms_max}"},
            )  # fmt: skip
        except (ImportError, NoSuchModuleError) as error:
            raise SettingsError(
                "expected the driver psycopg, was not found: pip install 'tradecore[postgres]'"
            ) from error

    def _set_pragmas(self, connection: Any, _record: Any) -> None:
        for pragma in (
            f"busy_timeout = {self._busy_ms_max}",  # first: the others may meet another process's lock
            "journal_mode = WAL",
            f"synchronous = {self._synchronous}",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @property
    def relaxes(self) -> bool:
        """True where a commit may be told not to wait for the disk: SQLite that else does."""
        return self.sqlite and self._synchronous == "FULL"

    def connect(self) -> Raw:
        """Open a driver's connection in autocommit.

        Raises:
            StoreError: If the database cannot be reached.
            UsageError: If it is no database, or may not be written.
        """
        try:
            fairy = self.engine.raw_connection()
        except (SQLAlchemyError, self.error) as error:
            raise self.unusable(error) from error
        raw: Any = fairy.driver_connection
        fairy.detach()  # ours from here on: the pool must not roll anything back
        if not self.sqlite:
            raw.autocommit = True
        connection: Raw = raw
        return connection

    def unusable(self, error: Exception) -> TradecoreError:
        """Name what stands against opening by the reaction it asks for."""
        cause = getattr(error, "orig", None) or error
        name = str(getattr(cause, "sqlite_errorname", ""))
        if name == "SQLITE_NOTADB":
            return SchemaMismatch(f"expected a database at {self.shown}, was another kind of file")
        if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
            return StateFolderError(f"expected a file that can be written at {self.shown}, was: {first_line(cause)}")
        return StoreError(f"expected a database at {self.shown}, was: {first_line(cause)}")

    @property
    def shown(self) -> str:
        """The address without its password; of a file its path alone."""
        if self.sqlite:
            return sqlite_url(Path(unquote(str(self.url.database).removeprefix("file://"))))
        return self.url.render_as_string(hide_password=True)

    def make_folder(self) -> None:
        """Make the folder of a SQLite file.

        Raises:
            StateFolderError: If it cannot be made or written.
        """
        if not self.sqlite:
            return
        file = Path(str(self.url.database))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab"):  # the one honest proof that it can be written
                pass
        except OSError as error:
            raise StateFolderError(f"expected a folder that can be written at {file.parent}, was: {error}") from error

    def named(self, error: Exception, what: str) -> StoreError:
        """Name a driver's or a conversion's error by the reaction it asks for."""
        text = f"{what}: {first_line(error)}"
        return DuplicateRecord(text) if self._is_unique(error) else StoreError(text)

    def _is_unique(self, error: Exception) -> bool:
        if self.sqlite:
            return getattr(error, "sqlite_errorname", "") in _UNIQUE_SQLITE
        return getattr(error, "sqlstate", "") == _UNIQUE_POSTGRES

    def is_constraint(self, error: Exception) -> bool:
        """Tell whether the database refused the rows, and works as such."""
        if self.sqlite:
            return str(getattr(error, "sqlite_errorname", "")).startswith("SQLITE_CONSTRAINT")
        return str(getattr(error, "sqlstate", "") or "").startswith(_CONSTRAINT_POSTGRES)

    def try_close(self, raw: Raw) -> None:
        """Close a connection that may be broken."""
        with contextlib.suppress(self.error):
            raw.close()

    def finish(self, raw: Raw) -> None:
        """Fold SQLite's write-ahead file into the database, if nobody else holds it, and close."""
        if self.sqlite:
            self.try_run(raw, "PRAGMA busy_timeout = 200")  # the next start folds it as well
            self.try_run(raw, "PRAGMA wal_checkpoint(TRUNCATE)")
        self.try_close(raw)

    def try_run(self, raw: Raw, *statements: str) -> bool:
        """Run statements that may fail, as a rollback after the database has rolled back by itself."""
        try:
            for statement in statements:
                raw.execute(statement)
        except self.error:
            return False
        return True

    def is_lost(self, raw: Raw) -> bool:
        """Tell whether a server's connection is gone."""
        return not self.sqlite and bool(getattr(raw, "closed", False))


def first_line(error: Exception) -> str:
    """The first line of an error's text; its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
