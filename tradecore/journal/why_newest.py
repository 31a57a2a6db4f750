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


def newest(journal: Path, since_ms: int, until_ms: int) -> Newest:
    """Count the rows that a run has judged since its newest `candidate_outcomes`.

    Args:
        journal: The journal's folder.
        since_ms: The first moment asked about, market time.
        until_ms: The moment after the last.
    """
    told_ms, lines = _untold(list_files(journal, Taxonomy.DECISION))
    outcomes: dict[str, int] = {}
    rows = [line for line in lines if line["row_ms"] > told_ms and since_ms <= line["row_ms"] < until_ms]
    for line in rows:
        for outcome, times in line["outcomes"].items():
            outcomes[outcome] = outcomes.get(outcome, 0) + times
    if not rows:
        return Newest()
    moments = [line["row_ms"] for line in rows]
    counted = dict(sorted(outcomes.items(), key=lambda item: (-item[1], item[0])))
    return Newest(len(rows), sum(line["candidates"] for line in rows), counted, min(moments), max(moments))


def _untold(files: list[DayFile]) -> tuple[int, list[dict[str, object]]]:
    """The last moment of the newest sum, 0 where there is none, and the scans written about since it began.

    A sum may lie in the file of the day before: midnight does not wait for five minutes to end.
    """
    lines: list[dict[str, object]] = []
    for file in reversed(files[-2:]):
        here: list[dict[str, object]] = []
        told_ms = 0
        for raw in matching(sound_of(file).data, _KINDS):
            line = orjson.loads(raw)
            if line["kind"] == "scan_outcomes":
                here.append(line["data"])
            else:
                # a row may be written about before the sum of those before it is
                told_ms = max(told_ms, line["data"]["last_ms"])
        lines += here
        if told_ms:
            return told_ms, lines
    return 0, lines
