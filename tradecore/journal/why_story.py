"""The whole life of one intent, or of a signal that became none, from the journal alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from tradecore.journal.day_index import LeftOut
from tradecore.journal.files import DayFile, list_files
from tradecore.journal.query_lines import matching
from tradecore.journal.read import Line, parse
from tradecore.journal.sound import index_of, read_sound, tell
from tradecore.model.events import Ids, Taxonomy

_NAMED: Final = (Taxonomy.ORDER, Taxonomy.DECISION)
"""Every life stands in these; what else belongs to it lies within a day of that."""
_OF_LEAVING: Final = ("sell_trigger_eval", "exit_refused", "position_closed")
_OF_ATTEMPT: Final = ("order_attempt", "order_ack", "order_fill", "order_cancel", "order_done", "order_failed")


class AttemptStory(NamedTuple):
    """One order request."""

    number: int
    client_order: str
    venue_order: str
    request: Mapping[str, Any]
    """The first event about it; empty where it is not in the journal."""
    states: tuple[tuple[int, str], ...]
    """(market nanoseconds, state) in order."""
    answer: Mapping[str, Any]
    """The venue's acknowledgement, or the failure; empty where neither came."""
    latency_ms: float | None
    fills: tuple[Mapping[str, Any], ...]
    end: Mapping[str, Any]
    """How it settled; empty while it has not."""


class Story(NamedTuple):
    """Everything that was written about one signal and its intent. Mappings are empty where nothing was."""

    decision: str
    intent: str
    symbol: str
    signal: Mapping[str, Any]
    sizing: Mapping[str, Any]
    checks: tuple[Mapping[str, Any], ...]
    """One per time the risk guests were asked."""
    caps: Mapping[str, Any]
    outcome: Mapping[str, Any]
    created: Mapping[str, Any]
    attempts: tuple[AttemptStory, ...]
    ledger: tuple[Mapping[str, Any], ...]
    budget: tuple[tuple[str, Mapping[str, Any]], ...]
    cleared: Mapping[str, Any]
    lines: tuple[Line, ...]
    """All of it in order."""
    trigger: Mapping[str, Any] = {}
    """For an exit: what decided that the position is to be left."""
    refusals: tuple[Mapping[str, Any], ...] = ()
    """For an exit: rounds of its position that became no order."""
    position: Mapping[str, Any] = {}
    """How the position ended; empty while it is held."""


def story(journal: Path, name: str, left_out: list[LeftOut] | None = None) -> Story | None:
    """Find a life by the id of its intent, its signal or one of its orders.

    Args:
        left_out: Is given what the answer is given without; ``None``: nobody wants to know.
    Returns:
        ``None`` where the journal holds no such id.
    """
    days = _Days(journal, left_out)
    lines = [line for line in days.newest(_marks(name)) if name in line.ids]
    if not lines:
        days.tell_all()
        return None
    # A venue may give a number twice, on two symbols: the newest is meant.
    intent = next((line.ids.intent for line in reversed(lines) if line.ids.intent), "")
    of_it = [line for line in lines if not intent or line.ids.intent == intent]
    decision = next((line.ids.decision for line in reversed(of_it) if line.ids.decision), "")
    # an order names its intent, an intent its signal: the rest of the life stands under those
    wanted = sorted({intent, decision} - {""}) or [name]
    told = _told(days.all_with(wanted), intent, decision)
    return told if not told.created.get("reduces") else _with_position(told, days)


def _with_position(found: Story, days: _Days) -> Story:
    """Add what was decided about an exit's position: those lines name the position and no intent."""
    lines = days.of_position(str(found.created.get("position_id", "")))

    def every(kind: str) -> tuple[Mapping[str, Any], ...]:
        return tuple([line.data for line in lines if line.kind == kind])

    whole = {line.seq: line for line in (*found.lines, *lines)}
    return found._replace(
        trigger=(every("sell_trigger_eval") or ({},))[-1], refusals=every("exit_refused"),
        position=(every("position_closed") or ({},))[-1],
        lines=tuple(sorted(whole.values(), key=lambda line: (line.at_ns, line.seq))),
    )  # fmt: skip


def _marks(name: str) -> list[bytes]:
    """How a line says that it is about an id; as a word inside of a text it would mean nothing."""
    return [b'"%s":%s' % (key.encode(), orjson.dumps(name)) for key in Ids._fields]


class _Days:
    """A journal's files, each read once, and only where an id may stand in it.

    Args:
        left_out: Is given what is left out of the files that are read.
    """

    def __init__(self, journal: Path, left_out: list[LeftOut] | None) -> None:
        self._files: Final = {taxonomy: list_files(journal, taxonomy) for taxonomy in Taxonomy}
        self._left_out = left_out
        self._read: dict[Path, bytes] = {}

    def newest(self, marks: Sequence[bytes]) -> list[Line]:
        """Lines with one of some marks out of the newest file that has any: the small files of orders first."""
        name = orjson.loads(marks[0].partition(b":")[2])
        for taxonomy in _NAMED:
            for file in reversed(self._files[taxonomy]):
                if self._may_hold(file, name):
                    found = self._lines(file, marks)
                    if found:
                        return found
        return []

    def all_with(self, names: Sequence[str]) -> list[Line]:
        """All lines about some ids, in order."""
        marks = [mark for name in names for mark in _marks(name)]
        found: dict[int, Line] = {}
        held: set[int] = set()
        for taxonomy in _NAMED:
            for file in self._files[taxonomy]:
                if self._may_hold(file, *names):
                    lines = self._lines(file, marks)
                    found.update((line.seq, line) for line in lines)
                    held.update([file.day] if lines else [])
        around = {day + step for day in held for step in (-1, 0, 1)}
        for taxonomy in Taxonomy:
            for file in self._files[taxonomy]:
                if taxonomy not in _NAMED and file.day in around:
                    found.update((line.seq, line) for line in self._lines(file, marks))
        return sorted(found.values(), key=lambda line: (line.at_ns, line.seq))

    def of_position(self, position: str) -> list[Line]:
        """Lines about leaving a position, in order."""
        mark = b'"position_id":%s' % orjson.dumps(position)
        found = [
            line
            for file in self._files[Taxonomy.ORDER]
            if self._may_hold(file, position)
            for line in self._lines(file, (mark,))
            if line.kind in _OF_LEAVING
        ]
        return sorted(found, key=lambda line: (line.at_ns, line.seq))

    def tell_all(self) -> None:
        """Name what is damaged anywhere: an id that was looked for everywhere may have stood there."""
        for taxonomy in _NAMED:
            for file in self._files[taxonomy]:
                index = index_of(file)
                if index is not None:
                    tell(self._left_out, index.left_out)

    def _may_hold(self, file: DayFile, *names: str) -> bool:
        index = index_of(file)
        return index is None or index.may_hold(*names)

    def _lines(self, file: DayFile, marks: Sequence[bytes]) -> list[Line]:
        if file.path not in self._read:
            self._read[file.path] = read_sound(file, self._left_out)
        data = self._read[file.path]
        found = {raw for mark in marks if mark in data for raw in matching(data, (), (mark,))}
        return sorted(map(parse, found), key=lambda line: line.seq)


def _told(lines: Sequence[Line], intent: str, decision: str) -> Story:
    by_kind: dict[str, list[Line]] = {}
    for line in lines:
        by_kind.setdefault(line.kind, []).append(line)

    def first(kind: str) -> Mapping[str, Any]:
        return by_kind[kind][0].data if kind in by_kind else {}

    def last(kind: str) -> Mapping[str, Any]:
        return by_kind[kind][-1].data if kind in by_kind else {}

    def every(kind: str) -> tuple[Mapping[str, Any], ...]:
        return tuple([line.data for line in by_kind.get(kind, ())])

    created = first("intent_created")
    symbol = str(created.get("symbol") or next((line.data["symbol"] for line in lines if "symbol" in line.data), ""))
    budget = [(line.kind, line.data) for line in lines if line.kind in ("budget_reserved", "budget_released")]
    return Story(
        decision, intent, symbol, first("drop_trigger_eval"),
        first("sizing_calc") or first("sell_sizing_calc"), every("guards_eval"), last("dynamic_constraints"),
        last("decision_outcome"), created, _attempts(lines), every("ledger_entry"), tuple(budget),
        last("intent_cleared"), tuple(lines),
    )  # fmt: skip


def _attempts(lines: Iterable[Line]) -> tuple[AttemptStory, ...]:
    of: dict[str, list[Line]] = {}
    for line in lines:
        if line.kind in _OF_ATTEMPT and line.ids.client_order:
            of.setdefault(line.ids.client_order, []).append(line)
    return tuple(sorted([_attempt(order, some) for order, some in of.items()], key=lambda one: one.number))


def _attempt(client_order: str, lines: Sequence[Line]) -> AttemptStory:
    def data(kind: str) -> list[Mapping[str, Any]]:
        return [line.data for line in lines if line.kind == kind]

    requests, acks, failures, ends = data("order_attempt"), data("order_ack"), data("order_failed"), data("order_done")
    answer = (acks or failures or [{}])[0]
    return AttemptStory(
        int(lines[0].data.get("number", 0)), client_order,
        next((line.ids.venue_order for line in lines if line.ids.venue_order), ""),
        requests[0] if requests else {},
        tuple([(line.at_ns, line.data["state"]) for line in lines if line.kind == "order_attempt"]),
        answer, answer.get("latency_ms"), tuple(data("order_fill")), (ends or failures or [{}])[-1],
    )  # fmt: skip
