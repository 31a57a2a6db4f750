"""Rows that were judged and stand in no sum yet: what became of their candidates before their five minutes end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import orjson

from tradecore.journal.files import DayFile, list_files
from tradecore.journal.query_lines import matching
from tradecore.journal.sound import sound_of
from tradecore.model.events import Taxonomy

_KINDS = ("candidate_outcomes", "scan_outcomes")


class Newest(NamedTuple):
    """Rows after the newest sum of candidates, all symbols together."""

    rows: int = 0
    candidates: int = 0
    outcomes: Mapping[str, int] = {}
    """Candidates by outcome, the most frequent first."""
    first_ms: int = 0
    """The first of those rows, market time; 0: there is none."""
    last_ms: int = 0


class _Row(NamedTuple):
    """One row that was judged."""

    row_ms: int
    candidates: int
    outcomes: Mapping[str, int]


def newest(journal: Path, since_ms: int, until_ms: int) -> Newest:
    """Count the rows that a run has judged since its newest `candidate_outcomes`.

    Args:
        journal: The journal's folder.
        since_ms: The first moment asked about, market time.
        until_ms: The moment after the last.
    """
    told_ms, judged = _untold(list_files(journal, Taxonomy.DECISION))
    rows = [row for row in judged if row.row_ms > told_ms and since_ms <= row.row_ms < until_ms]
    if not rows:
        return Newest()
    outcomes: dict[str, int] = {}
    for row in rows:
        for outcome, times in row.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + times
    moments = [row.row_ms for row in rows]
    counted = dict(sorted(outcomes.items(), key=lambda item: (-item[1], item[0])))
    return Newest(len(rows), sum(row.candidates for row in rows), counted, min(moments), max(moments))


def _untold(files: list[DayFile]) -> tuple[int, list[_Row]]:
    """The last moment of the newest sum, 0 where there is none, and the rows of the files that had to be read for it.

    A sum may lie in the file of the day before: midnight does not wait for five minutes to end.
    """
    rows: list[_Row] = []
    for file in reversed(files[-2:]):
        told_ms = 0
        for raw in matching(sound_of(file).data, _KINDS):
            line = orjson.loads(raw)
            data = line["data"]
            if line["kind"] == "scan_outcomes":
                rows.append(_Row(data["row_ms"], data["candidates"], data["outcomes"]))
            else:
                # a row may be written about before the sum of those before it is
                told_ms = max(told_ms, data["last_ms"])
        if told_ms:
            return told_ms, rows
    return 0, rows
