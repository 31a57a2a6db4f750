"""Store, journal and log as a run opens them: the store under a lease where it outlives the run (INV-14)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tradecore.app.plain import retention_days
from tradecore.clocks.clock import SystemClock
from tradecore.journal.logs import open_logs
from tradecore.journal.mask import Mask
from tradecore.journal.opening import EventJournal, open_journal
from tradecore.journal.uncaught import Uncaught
from tradecore.model.places import JOURNAL_FOLDER, LOG_FILE, STORE_FILE
from tradecore.ports.clock import Clock
from tradecore.settings.sections import Settings, StoreSection
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


def journal_of(settings: Settings, folder: Path, run_id: str, clock: Clock, mask: Mask) -> EventJournal:
    """Open the journal of a state folder for a run.

    Raises:
        StateFolderError: It cannot be read or written.
    """
    journal = settings.journal
    return open_journal(
        folder / JOURNAL_FOLDER, session=run_id, clock=clock, mask=mask, queue=journal.queue,
        retention_days=retention_days(settings), cap_mb=journal.cap_mb, trace_sample=journal.trace_sample,
    )  # fmt: skip


def attach_logs(stack: AsyncExitStack, journal: EventJournal, clock: Clock, mask: Mask, folder: Path) -> None:
    """Open the text log, and make what nobody catches an event; on virtual time there is none."""
    if clock.virtual:
        return
    logs = open_logs(mask=mask, now_ns=clock.now_ns, file=folder / LOG_FILE)
    logs.attach(journal.note)
    stack.callback(logs.close, 1.0)
    uncaught = Uncaught(journal.note, logs.tell)
    uncaught.install(asyncio.get_running_loop())
    stack.callback(uncaught.uninstall)
