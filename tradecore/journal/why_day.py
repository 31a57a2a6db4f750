"""What a day's decisions come to: candidates by hour and reason, refusals after a signal by what refused them.

A finished day is summed up once and kept beside the journal (``index/decision-YYYY-MM-DD.json.gz``), so that a month is
answered without reading a month. A sum can always be made again from the day's file.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from tradecore.journal.day_index import FOLDER, LeftOut, mark_of, write_kept
from tradecore.journal.files import DayFile, day_text
from tradecore.journal.query_lines import matching
from tradecore.journal.sound import sound_of

_VERSION: Final = 2
_HOUR_MS: Final = 3_600_000
_DETAIL_MAX: Final = 160
_KINDS: Final = ("candidate_outcomes", "decision_outcome", "refusals_again")
_MOMENT: Final = {"candidate_outcomes": "first_ms", "decision_outcome": "row_ms", "refusals_again": "first_ms"}


class Cell(NamedTuple):
    """Candidates of one symbol (or of all, where it is empty) that ended alike within one span of time."""

    start_ms: int
    symbol: str
    outcome: str
    by: str
    unit: str
    times: int
    margin: float | None
    """Of the nearest one, relative to the threshold; ``None`` where nothing was measured."""
    value: float | None
    threshold: float | None
    row_ms: int
    """When the nearest one was."""


class Denial(NamedTuple):
    """Signals of one symbol that were refused alike within one span of time."""

    start_ms: int
    symbol: str
    plugin: str
    """The guest whose condition was met."""
    outcome: str
    by: str
    limit: str
    unit: str
    times: int
    total: float
    """Sum of what was measured, for the mean."""
    least: float | None
    most: float | None
    threshold: float | None
    """Of the newest."""
    last_ms: int
    detail: str
    """Of the newest."""


class Day(NamedTuple):
    """One day of decisions."""

    cells: tuple[Cell, ...]
    denials: tuple[Denial, ...]
    left_out: tuple[LeftOut, ...] = ()
    """Lines that could not be counted."""
    mark: str = ""
    """Of the file that it was made of; empty where that could not be read to its end."""

    @property
    def nearest(self) -> dict[str, Cell]:
        """The nearest miss of each symbol that has one."""
        found: dict[str, Cell] = {}
        for cell in self.cells:
            old = found.get(cell.symbol)
            if cell.margin is not None and (old is None or old.margin is None or cell.margin < old.margin):
                found[cell.symbol] = cell
        return found


def read_day(
    file: DayFile, span_ms: int = _HOUR_MS, within: tuple[int, int] | None = None, symbol: str | None = None
) -> Day:
    """Sum up a day's file.

    Args:
        span_ms: Length of the spans of time, > 0.
        within: Only what begins in this span of market time, the end not included; ``None``: the whole day.
        symbol: Only this symbol; ``None``: all.
    """
    cells: dict[tuple[int, str, str, str], Cell] = {}
    denials: dict[tuple[int, str, str, str, str, str], Denial] = {}
    texts = () if symbol is None else (b'"' + symbol.encode() + b'"',)
    sound = sound_of(file)
    for raw in matching(sound.data, _KINDS, texts):
        line = orjson.loads(raw)
        data = line["data"]
        kind = line["kind"]
        at_ms = data[_MOMENT[kind]]
        if within is not None and not within[0] <= at_ms < within[1]:
            continue
        if kind == "candidate_outcomes":
            _take_candidates(cells, data, span_ms, symbol)
        elif data["outcome"] != "INTENT_CREATED":
            _take_denial(denials, _denial(data) if kind == "decision_outcome" else _denials(data), span_ms)
    return Day(tuple(cells.values()), tuple(denials.values()), sound.left_out, sound.mark)


def _take_candidates(
    cells: dict[tuple[int, str, str, str], Cell], data: Mapping[str, Any], span_ms: int, only: str | None
) -> None:
    first = data["first_ms"]
    start = first // span_ms * span_ms
    for group in data["groups"]:
        outcome, by, unit = group["outcome"], group["by"], group["unit"]
        margins = group["margins"]
        for at, symbol in enumerate(group["symbols"]):
            if only is not None and symbol != only:
                continue
            key = (start, symbol, outcome, by)
            old = cells.get(key)
            times = group["counts"][at] + (old.times if old is not None else 0)
            margin = _number(margins[at]) if margins else None
            if margin is None or (old is not None and old.margin is not None and old.margin <= margin):
                cells[key] = (
                    old._replace(times=times)
                    if old is not None
                    else Cell(start, symbol, outcome, by, unit, times, None, None, None, first)
                )
            else:
                cells[key] = Cell(
                    start, symbol, outcome, by, unit, times, margin, _number(group["values"][at]),
                    _number(group["thresholds"][at]), first + group["offsets_ms"][at],
                )  # fmt: skip


def _take_denial(denials: dict[tuple[int, str, str, str, str, str], Denial], one: Denial, span_ms: int) -> None:
    one = one._replace(start_ms=one.start_ms // span_ms * span_ms)
    key = (one.start_ms, one.symbol, one.plugin, one.outcome, one.by, one.limit)
    old = denials.get(key)
    denials[key] = one if old is None else joined_denial(old, one)


def _denial(data: Mapping[str, Any]) -> Denial:
    """One refusal."""
    value, threshold, row_ms = _number(data.get("limit_value")), _number(data.get("limit_threshold")), data["row_ms"]
    return Denial(
        row_ms, data["symbol"], data["plugin"], data["outcome"], data["decided_by"], data.get("limit", ""),
        data.get("limit_unit", ""), 1, value or 0.0, value, value, threshold, row_ms, data["detail"][:_DETAIL_MAX],
    )  # fmt: skip


def _denials(data: Mapping[str, Any]) -> Denial:
    """A run of refusals that only came again."""
    values = [value for value in map(_number, data["limit_values"]) if value is not None]
    return Denial(
        data["first_ms"], data["symbol"], data["plugin"], data["outcome"], data["decided_by"], data["limit"],
        data["limit_unit"], len(data["offsets_ms"]), sum(values), min(values, default=None), max(values, default=None),
        _number(data["limit_threshold"]), data["first_ms"] + data["offsets_ms"][-1], data["detail"][:_DETAIL_MAX],
    )  # fmt: skip


def joined_denial(old: Denial, new: Denial) -> Denial:
    """Two sums of the same kind of refusal as one; the newer one's threshold and detail stay."""
    last = new if new.last_ms >= old.last_ms else old
    known = [value for value in (old.least, new.least) if value is not None]
    highest = [value for value in (old.most, new.most) if value is not None]
    return last._replace(
        start_ms=min(old.start_ms, new.start_ms), times=old.times + new.times, total=old.total + new.total,
        least=min(known, default=None), most=max(highest, default=None),
    )  # fmt: skip


def joined_cell(old: Cell, new: Cell) -> Cell:
    """Two sums of candidates that ended alike as one; the nearest of both stays."""
    near = new if new.margin is not None and (old.margin is None or new.margin < old.margin) else old
    return near._replace(start_ms=min(old.start_ms, new.start_ms), times=old.times + new.times)


def _number(value: Any) -> float | None:
    """A number of the journal: a float, or a decimal's text; ``None`` where there is none to reckon with."""
    if value is None or value in ("nan", "inf", "-inf", "NaN"):
        return None
    return float(value)


# Kept sums -------------------------------------------------------------------------------------------------------


def index_path(journal: Path, file: DayFile) -> Path:
    """Where the sum of a day is kept."""
    return journal / FOLDER / f"{file.taxonomy.value}-{day_text(file.day)}.json.gz"


def keep_day(journal: Path, file: DayFile) -> Day:
    """Sum up a finished day and keep the sum; where it cannot be written it is made again the next time."""
    day = read_day(file)
    if not day.mark:
        return day
    head = {"version": _VERSION, "day": file.day, "mark": day.mark, "left_out": day.left_out}
    lines = [orjson.dumps(head, tuple), orjson.dumps(_totals(day), tuple)]
    by_symbol: dict[str, tuple[list[Cell], list[Denial]]] = {}
    for cell in day.cells:
        by_symbol.setdefault(cell.symbol, ([], []))[0].append(cell)
    for denial in day.denials:
        by_symbol.setdefault(denial.symbol, ([], []))[1].append(denial)
    # a record is written as the row of its fields
    lines += [orjson.dumps([symbol, *by_symbol[symbol]], tuple) for symbol in sorted(by_symbol)]
    write_kept(index_path(journal, file), gzip.compress(b"\n".join(lines) + b"\n", 6, mtime=0))
    return day


def _totals(day: Day) -> tuple[list[Cell], list[Denial], list[Cell]]:
    """A day without its symbols and hours, and the nearest miss of each symbol."""
    cells, denials = total_cells(day.cells), total_denials(day.denials)
    return list(cells.values()), list(denials.values()), list(day.nearest.values())


def total_cells(cells: Iterable[Cell]) -> dict[tuple[str, str], Cell]:
    """Join cells by outcome and guest; each names the symbol of its nearest miss."""
    found: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        key = (cell.outcome, cell.by)
        found[key] = joined_cell(found[key], cell) if key in found else cell
    return found


def total_denials(denials: Iterable[Denial]) -> dict[tuple[str, str, str], Denial]:
    """Join refusals by outcome, guest and limit."""
    found: dict[tuple[str, str, str], Denial] = {}
    for denial in denials:
        key = (denial.outcome, denial.by, denial.limit)
        found[key] = joined_denial(found[key], denial) if key in found else denial
    return found


def kept_day(journal: Path, file: DayFile, symbol: str | None, *, hours: bool, nearest: bool = False) -> Day | None:
    """Read a kept sum.

    Args:
        symbol: Only this symbol; ``None``: all.
        hours: Keep hours and symbols apart; else the day's totals are enough.
        nearest: In place of the totals the nearest miss of each symbol.
    Returns:
        ``None`` where there is none, or it is of another version, or of another file than the one that is there.
    """
    try:
        raw = gzip.decompress(index_path(journal, file).read_bytes())
        head, totals, rest = raw.split(b"\n", 2)
        known = orjson.loads(head)
        if known["version"] != _VERSION or known["mark"] != mark_of(file):
            return None
        left_out = tuple([LeftOut(*one) for one in known["left_out"]])
        if symbol is not None or hours:
            return _of_symbols(rest, symbol)._replace(left_out=left_out)
        cells, denials, near = orjson.loads(totals)
        if nearest:
            return Day(tuple([Cell(*cell) for cell in near]), (), left_out)
        return Day(tuple([Cell(*cell) for cell in cells]), tuple([Denial(*one) for one in denials]), left_out)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return None  # whatever is wrong with it, it can be made again from the day itself


def _of_symbols(rest: bytes, symbol: str | None) -> Day:
    if symbol is not None:
        start = rest.find(b"[" + orjson.dumps(symbol) + b",")
        lines = [rest[start : rest.find(b"\n", start)]] if start >= 0 else []
    else:
        lines = rest.splitlines()
    cells: list[Cell] = []
    denials: list[Denial] = []
    for line in lines:
        _, some, others = orjson.loads(line)
        cells += [Cell(*cell) for cell in some]
        denials += [Denial(*one) for one in others]
    return Day(tuple(cells), tuple(denials))
