"""A run that was kept: its folder, its store, and whether somebody runs on it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tradecore.model.records import Run
    from tradecore.store.light import Rows
    from tradecore.store.queries import Reader
    from tradecore.store.wide import WideRows

    AnyRows = Rows | WideRows

STORE_URL = "TRADECORE_STORE__URL"


class Kept(NamedTuple):
    """Where a run keeps its state."""

    folder: Path
    store: str | Path
    """Database URL, or path of the SQLite file in the folder."""


def find(state: Path) -> Kept:
    """Find a state folder, ``latest`` the newest below ``state/``, and its store.

    Raises:
        StateFolderError: If there is none.
    """
    from tradecore.model.places import STORE_FILE
    from tradecore.store.folder import named_state

    folder = named_state(state)
    return Kept(folder, os.environ.get(STORE_URL) or folder / STORE_FILE)


def holder(folder: Path) -> str | None:
    """Name the process that runs on a state folder; ``None``: nobody does.

    The lock is asked for shared and given back at once: two who look never meet, and a start is in the way of neither
    for longer than this call.
    """
    from tradecore.store.instance import LOCK_NAME

    try:
        file = (folder / LOCK_NAME).open(encoding="utf-8")
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            words = file.read().split()
            return f"pid {words[1]}" if words[:1] == ["pid"] else "a process that has not named itself yet"
        return None


def run_named(rows: AnyRows, text: str) -> Run:
    """Find a run of a state by its number, its id, or ``latest``.

    Raises:
        SettingsError: If there is none.
    """
    from tradecore.errors import SettingsError

    runs = rows.runs()
    for run in runs:
        if text in (str(run.number), run.run_id) or (text == "latest" and run is runs[0]):
            return run
    known = ", ".join(str(run.number) for run in runs[:10]) or "none"
    raise SettingsError(f"--run: expected the number or the id of a run of this state ({known}), was {text!r}")


def open_rows(kept: Kept) -> AnyRows:
    """Open the store for reading: at once where it is a SQLite file of this schema, by the full reader elsewhere.

    Raises:
        StateFolderError: There is no such file.
        SchemaMismatch: The database has another schema.
        StoreError: It cannot be reached.
    """
    if "://" not in str(kept.store):
        from tradecore.store.light import Rows

        rows = Rows(Path(kept.store))
        if rows.current:
            return rows
        rows.close()
    from tradecore.store.queries import open_reader
    from tradecore.store.wide import WideRows

    return WideRows(open_reader(kept.store))


def newest_ms(reader: Reader) -> int:
    """The newest moment of market time that a store knows of; 0 for an empty one."""
    moments = [memory.at_ms for memory in reader.memory().values()]
    run, trading = reader.last_run(), reader.trading()
    if run is not None:
        moments += [run.started_ms, run.ended_ms or 0]
    if trading is not None:
        moments.append(trading.since_ms)
    moments += [fill.trade.traded_ms for fill in reader.trades(limit=1)]
    moments += [attempt.prepared_ms for attempt in reader.orders(limit=1)]
    moments += [row.intent.created_ms for row in reader.intents(limit=1)]
    return max(moments, default=0)
