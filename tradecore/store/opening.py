"""Opening a store: the one door for the composition root."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from tradecore.store.database import Database, Synchronous
from tradecore.store.inline import Follower, InlineStore
from tradecore.store.lease import Claim, take_lease
from tradecore.store.schema import check_whole, ensure_schema
from tradecore.store.threaded import ThreadedStore


def open_store(
    url: str,
    *,
    inline: bool,
    synchronous: Synchronous = "FULL",
    follower: Follower | None = None,
    claim: Claim | None = None,
) -> InlineStore | ThreadedStore:
    """Open a store; a new database gets its tables.

    Args:
        url: ``sqlite:///path`` (`sqlite_url` writes it) or ``postgresql://…``.
        inline: True on virtual time; else one writer thread.
        synchronous: SQLite only; ``FULL`` survives a power cut.
        follower: Takes the events of each transaction after its commit.
        claim: Who writes it from now on; ``None``: nobody else can, and no lease is taken.
    Raises:
        SettingsError: If the URL is of another kind, or its driver is missing.
        StateFolderError: If the folder of a SQLite file cannot be written, another process holds the lease, or the
            file is damaged: looked at where the holder before had not ended by itself.
        SchemaMismatch: If the database has another schema.
        StoreError: If the database cannot be reached.
    """
    database = Database(url, synchronous)
    database.make_folder()
    try:
        ensure_schema(database)
    except (SQLAlchemyError, database.error) as error:
        raise database.unusable(error) from error
    lease = take_lease(database, claim) if claim is not None else None
    if lease is not None and not lease.clean:
        check_whole(database)
    return InlineStore(database, follower, lease) if inline else ThreadedStore(database, follower, lease=lease)
