"""Runs what was prepared, in a state folder that nobody else uses meanwhile."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tradecore.app.floor import FloorMaker
from tradecore.app.prepare import Prepared, state_folder
from tradecore.app.session import Outcome, Screen, Session
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on
from tradecore.store.holder import this_process
from tradecore.store.instance import InstanceLock


def execute(
    prepared: Prepared,
    screen: Screen | None = None,
    *,
    last: bool = False,
    maker: FloorMaker | None = None,
    undo: Callable[[Callable[[], object]], object] | None = None,
) -> Outcome:
    """Run what was prepared to its end.

    Args:
        last: The process ends with this run: signals after its end are ignored, so that its report is whole.
        maker: Makes venue and feed, where the settings name an exchange; ``None``: the embedded venue.
        undo: Keeps what is to be done where a signal ends the process before the session answers signals; ``None``:
            nobody ends it so.
    Raises:
        StateFolderError: The state folder cannot be written, is in use, or belongs to another market.
        SchemaMismatch: The database was written by another schema.
        RetryableVenueError: The venue did not answer at the start.
        Interrupted: A signal came before the run began.
    """
    kept = state_folder(prepared)
    folder = kept if kept is not None else Path(tempfile.mkdtemp(prefix="tradecore-"))
    if kept is None and undo is not None:
        undo(lambda: shutil.rmtree(folder, ignore_errors=True))
    started = time.monotonic()
    try:
        lock = InstanceLock(folder, prepared.resolved.profile)
        lock.take()
        try:
            loop = MarketLoop(prepared.settings.run.scale)
            holder = this_process(lock.identity)
            session = Session(prepared, folder, kept is not None, started, last=last, maker=maker, holder=holder)
            return run_on(session.run(loop, screen), loop)
        finally:
            lock.release()
    finally:
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)
