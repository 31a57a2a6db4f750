"""The questions that a kept run was asked, read back from its journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tradecore.engine.explain.inputs import DecisionInputs
from tradecore.engine.explain.record import Decoder
from tradecore.journal.read import decode, read_journal
from tradecore.model.events import DecisionRecord

KIND: Final = "decision_record"
_HOUR_NS: Final = 3_600 * 10**9


class Stored(NamedTuple):
    """One question with its place in the journal."""

    seq: int
    at_ns: int
    session: str
    """Run id."""
    inputs: DecisionInputs


def stored_questions(journal: Path, since_ns: int | None = None, until_ns: int | None = None) -> Iterator[Stored]:
    """Read questions in the order of market time.

    Args:
        journal: The journal's folder.
        since_ns: The first moment, included; ``None``: from the beginning.
        until_ns: The moment after the last; ``None``: to the end.
    Raises:
        DataError: If a line cannot be read, or a question refers to a line that is gone.
    """
    decoder = Decoder()
    # parts that questions share are written anew every hour: the hour before is read along
    start = None if since_ns is None else since_ns // _HOUR_NS * _HOUR_NS
    for line in read_journal(journal, kinds=(KIND,), since=start):
        if until_ns is not None and line.at_ns >= until_ns:
            return
        record = decode(line).event
        assert isinstance(record, DecisionRecord)
        if since_ns is not None and line.at_ns < since_ns:
            decoder.learn(line.session, record)
        else:
            yield Stored(line.seq, line.at_ns, line.session, decoder.decode(line.session, record))
