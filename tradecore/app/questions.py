"""The questions that a kept run was asked, read back from its journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tradecore.engine.explain.inputs import DecisionInputs
from tradecore.engine.explain.record import Decoder
from tradecore.errors import DataError
from tradecore.journal.day_index import LeftOut
from tradecore.journal.files import day_of, list_files
from tradecore.journal.query_lines import matching
from tradecore.journal.read import Line, decode, parse, read_journal
from tradecore.journal.sound import read_sound, tell
from tradecore.model.events import DecisionRecord, Taxonomy

KIND: Final = "decision_record"
_HOUR_NS: Final = 3_600 * 10**9


class Stored(NamedTuple):
    """One question with its place in the journal."""

    seq: int
    at_ns: int
    session: str
    """Run id."""
    inputs: DecisionInputs


def stored_questions(
    journal: Path, since_ns: int | None = None, until_ns: int | None = None, left_out: list[LeftOut] | None = None
) -> Iterator[Stored]:
    """Read questions in the order of market time.

    Args:
        journal: The journal's folder.
        since_ns: The first moment, included; ``None``: from the beginning.
        until_ns: The moment after the last; ``None``: to the end.
        left_out: Is given damaged lines, and the questions that refer to them; ``None``: nothing may be damaged.
    Raises:
        DataError: If a line cannot be read, or a question refers to a line that is gone, and nothing may be damaged.
    """
    decoder = Decoder()
    # parts that questions share are written anew every hour: the hour before is read along
    start = None if since_ns is None else since_ns // _HOUR_NS * _HOUR_NS
    lines = read_journal(journal, kinds=(KIND,), since=start) if left_out is None else _sound(journal, start, left_out)
    lost = 0
    for line in lines:
        if until_ns is not None and line.at_ns >= until_ns:
            break
        record = decode(line).event
        assert isinstance(record, DecisionRecord)
        if since_ns is not None and line.at_ns < since_ns:
            decoder.learn(line.session, record)
            continue
        try:
            inputs = decoder.decode(line.session, record)
        except DataError:
            # what a question shares with others stands in the first of them alone
            if not left_out:
                raise
            lost += 1
            continue
        yield Stored(line.seq, line.at_ns, line.session, inputs)
    if lost and left_out is not None:
        tell(left_out, [LeftOut(f"{lost} questions", 0, 0, "they refer to what is left out")])


def _sound(journal: Path, since_ns: int | None, left_out: list[LeftOut]) -> Iterator[Line]:
    for file in list_files(journal, Taxonomy.DECISION):
        if since_ns is None or file.day >= day_of(since_ns):
            lines = sorted(
                map(parse, matching(read_sound(file, left_out), (KIND,))), key=lambda one: (one.at_ns, one.seq)
            )
            yield from (line for line in lines if since_ns is None or line.at_ns >= since_ns)
