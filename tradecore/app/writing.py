"""The store as a run opens it: for writing, under a lease where the store outlives the run (INV-14)."""

from __future__ import annotations

from pathlib import Path

from tradecore.clocks.clock import SystemClock
from tradecore.model.places import STORE_FILE
from tradecore.settings.sections import StoreSection
from tradecore.store.database import sqlite_url
from tradecore.store.holder import Holder
from tradecore.store.inline import Follower, InlineStore
from tradecore.store.lease import Claim
from tradecore.store.opening import open_store
from tradecore.store.threaded import ThreadedStore


def open_writer(
    settings: StoreSection, folder: Path, *, kept: bool, inline: bool, follower: Follower, holder: Holder
) -> InlineStore | ThreadedStore:
    """Open the store of a run.

    Args:
        folder: The run's; holds the SQLite file where no server is named.
        kept: False where the folder is gone with the run: nobody else can know of its store.
        inline: True on virtual time.
        follower: Takes the events of each transaction after its commit.
        holder: Who runs it, with the lock of the folder.
    Raises:
        StateFolderError: Another process writes the store, or its file cannot be written.
        SchemaMismatch: The database was written by another schema.
        StoreError: It cannot be reached.
    """
    server = settings.url.get_secret_value()
    claim = None
    if server or kept:
        claim = Claim(
            # the wall's time, since a holder on another machine has no market time of ours
            holder, int(settings.lease_s * 1_000), int(settings.lease_renew_s * 1_000), SystemClock().now_ms,
            # a file in the folder is written by nobody but who holds the folder's lock
            alone=not server and bool(holder.folder),
        )  # fmt: skip
    return open_store(
        server or sqlite_url(folder / STORE_FILE), inline=inline, follower=follower, claim=claim,
        # what is gone with the run need not survive a power cut
        synchronous=settings.synchronous if kept else "OFF",
    )  # fmt: skip
