"""Summing up a day when it is over, so that nobody who asks for a month has to wait for it."""

from __future__ import annotations

from pathlib import Path

from tradecore.journal.day_index import FOLDER
from tradecore.journal.files import DayFile
from tradecore.journal.query_day import keep_file
from tradecore.journal.sound import index_of
from tradecore.journal.why_day import keep_day
from tradecore.model.events import Taxonomy


def sum_up(journal: Path, file: DayFile) -> None:
    """Sum up a packed file and keep the sum and the ids in it; those of days whose file is gone go too."""
    index_of(file)
    if file.taxonomy is Taxonomy.DECISION:
        keep_day(journal, file)
    else:
        keep_file(journal, file)
    here = journal / file.taxonomy.value
    for path in (journal / FOLDER).glob(f"{file.taxonomy.value}-*"):
        day = path.name.removeprefix(f"{file.taxonomy.value}-").partition(".")[0]
        if not (here / f"{day}.jsonl.gz").exists() and not (here / f"{day}.jsonl").exists():
            path.unlink(missing_ok=True)
