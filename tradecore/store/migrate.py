"""Bringing a database of an older program to this program's schema, by Alembic.

Run it as ``python -m tradecore.store.migrate URL`` on a database that no process uses, with a copy at hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from tradecore.errors import StoreError, UsageError
from tradecore.store.database import Database, first_line


def alembic_config() -> Config:
    """The configuration that names the migrations of this package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def head() -> str:
    """The newest migration's number."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head() or ""


def upgrade(url: str) -> str:
    """Run what migrations are missing, all or none of them.

    Returns:
        The version that the database has now.
    Raises:
        StoreError: If the database cannot be reached, or a migration failed; it is as it was.
    """
    database = Database(url)
    database.make_folder()
    config = alembic_config()
    try:
        with database.engine.connect() as connection:
            # In autocommit, as everywhere here: both databases take table changes inside a transaction.
            connection.exec_driver_sql("BEGIN IMMEDIATE" if database.sqlite else "BEGIN")
            try:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
    except (SQLAlchemyError, database.error) as error:
        raise StoreError(f"expected to migrate {database.shown}, was: {first_line(error)}") from error
    return head()


def main(arguments: list[str]) -> int:
    """Upgrade the database that the one argument names; the answer is an exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tradecore.store.migrate URL\n")
        return 2
    try:
        version = upgrade(arguments[0])
    except (UsageError, StoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"schema {version}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
