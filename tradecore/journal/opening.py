"""How a journal is opened: inline on virtual time, with a writer thread elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tradecore.journal.encode import Encoder
from tradecore.journal.files import RETENTION_DAYS, Folder
from tradecore.journal.inline import InlineJournal
from tradecore.journal.mask import Mask
from tradecore.journal.pen import Pen
from tradecore.journal.recover import recover
from tradecore.journal.sample import Sampler
from tradecore.journal.sink import FileSink, OpenSink
from tradecore.journal.sums import sum_up
from tradecore.journal.threaded import ThreadedJournal
from tradecore.model.events import Taxonomy
from tradecore.ports.clock import Clock

EventJournal = InlineJournal | ThreadedJournal
"""Both keep the port's promises, and have `catch_up` and `faults` besides."""


def open_journal(
    folder: Path,
    *,
    session: str,
    clock: Clock,
    mask: Mask,
    queue: int = 10_000,
    retention_days: Mapping[Taxonomy, int] = RETENTION_DAYS,
    cap_mb: int = 2048,
    trace_sample: float = 1.0,
    open_sink: OpenSink = FileSink,
) -> EventJournal:
    """Open the journal of a state folder: mend torn ends, find the place to go on from, start the writer.

    Give the store `follow` as its follower, then call `catch_up` with the store's `events_after` before the run
    commits anything: events that a crash kept from the files are written then, once.

    Args:
        folder: Holds the five taxonomies' folders; is made where it does not exist.
        session: The run id, written into every line.
        clock: Stamps diagnostics; a virtual clock makes the journal inline.
        mask: Knows the secrets; more may be added later.
        queue: Most diagnostics that wait for the writer, >= 1.
        retention_days: Days that a file is kept after its own, >= 1, by taxonomy.
        cap_mb: Most MiB of all files together, >= 1.
        trace_sample: Share of tracer events to keep, 0 to 1.
        open_sink: Opens a file for appending.
    Raises:
        StateFolderError: If the folder cannot be read or written, or the writer does not come up.
        SettingsError: If `trace_sample` lies outside 0 to 1.
    """
    sampler = Sampler(trace_sample)
    files = Folder(folder, retention_days=retention_days, cap_bytes=cap_mb * 2**20, open_sink=open_sink, packed=sum_up)
    place = recover(folder)
    pen = Pen(files, Encoder(session, mask), place)
    if clock.virtual:
        return InlineJournal(pen, clock, sampler, place.head.sequence)
    journal = ThreadedJournal(pen, clock, sampler, place.head.sequence, queue=queue)
    journal.start()
    return journal
