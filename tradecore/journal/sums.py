"""Summing up a day when it is over, so that nobody who asks for a month has to wait for it."""

from __future__ import annotations

from pathlib import Path

from tradecore.journal.files import DayFile
from tradecore.journal.query_day import keep_file
from tradecore.journal.why_day import FOLDER, keep_day
from tradecore.model.events import Taxonomy


def sum_up(journal: Path, file: DayFile) -> None:
    """Sum up a packed file and keep the sum; sums of days whose file is gone go too.

    Raises:
        DataError: If the file cannot be read.
    """
    if file.taxonomy is Taxonomy.DECISION:
        keep_day(journal, file)
    else:
        keep_file(journal, file)
    for path in (journal / FOLDER).glob(f"{file.taxonomy.value}-*.json.gz"):
        day = path.name.removeprefix(f"{file.taxonomy.value}-").removesuffix(".json.gz")
        here = journal / file.taxonomy.value
        if not (here / f"{day}.jsonl.gz").exists() and not (here / f"{day}.jsonl").exists():
            path.unlink(missing_ok=True)
