"""Why candidates became no trades, over any span of time, from the journal alone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from tradecore.journal.day_index import LeftOut, mark_of
from tradecore.journal.files import DayFile, day_of, list_files
from tradecore.journal.sound import tell
from tradecore.journal.why_day import (
    Cell,
    Day,
    Denial,
    keep_day,
    kept_day,
    read_day,
    total_cells,
    total_denials,
)
from tradecore.model.events import Taxonomy

FINE_MS: Final = 90_000_000
"""Up to 25 hours the answer counts by five minutes; beyond that whole hours are told."""
SPAN_MS: Final = 300_000
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000


class Point(NamedTuple):
    """A span of time in a symbol's line of margins."""

    start_ms: int
    margin: float | None
    """The nearest to a condition, relative to the threshold; ``None`` where nothing was measured."""
    signals: int
    """Conditions met and refused."""


class Why(NamedTuple):
    """What became of candidates."""

    first_ms: int
    """The first span of time told, market time."""
    last_ms: int
    candidates: int
    created: int
    """Candidates that became intents."""
    cells: tuple[Cell, ...]
    """By outcome and guest, the most frequent first."""
    denials: tuple[Denial, ...]
    """By outcome, guest and limit, the most frequent first."""
    line: tuple[Point, ...]
    """The margins over time; empty where all symbols were asked about."""
    left_out: tuple[LeftOut, ...] = ()
    """Lines that could not be counted."""

    @property
    def refused(self) -> int:
        """Signals that were refused."""
        return sum(denial.times for denial in self.denials)


def why(journal: Path, since_ms: int, until_ms: int, symbol: str | None = None) -> Why:
    """Sum up what became of candidates.

    Args:
        journal: The journal's folder.
        since_ms: The first moment, market time. Spans are told whole: five minutes, or hours beyond a day.
        until_ms: The moment after the last.
        symbol: Only this symbol; ``None``: all.
    """
    fine = until_ms - since_ms <= FINE_MS
    span_ms = SPAN_MS if fine else _HOUR_MS
    first_ms = since_ms // span_ms * span_ms
    cells: list[Cell] = []
    denials: list[Denial] = []
    left_out: list[LeftOut] = []
    files = [file for file in list_files(journal, Taxonomy.DECISION) if file.day >= day_of(first_ms * 1_000_000)]
    for number, file in enumerate(files):
        if file.day * _DAY_MS >= until_ms:
            continue
        over = number + 1 < len(files)
        whole = first_ms <= file.day * _DAY_MS and (file.day + 1) * _DAY_MS <= until_ms
        within = (first_ms, until_ms) if fine else None
        day = _day(journal, file, symbol, over=over, whole=whole and symbol is None, within=within)
        tell(left_out, day.left_out)
        cells += [cell for cell in day.cells if fine or first_ms <= cell.start_ms < until_ms]
        denials += [denial for denial in day.denials if fine or first_ms <= denial.start_ms < until_ms]
    found = _sum(cells, denials, first_ms, until_ms, None if symbol is None else span_ms)
    return found._replace(left_out=tuple(left_out))


def _day(
    journal: Path, file: DayFile, symbol: str | None, *, over: bool, whole: bool, within: tuple[int, int] | None
) -> Day:
    """One day, from its kept sum where that says enough; a finished day without one is summed up and kept.

    Args:
        within: Read the day itself, and of it only this span of time.
    """
    if within is not None:
        # all symbols are not told over time: one span holds the day
        return _read(file, SPAN_MS if symbol is not None else _DAY_MS, within, symbol)
    if not over:
        return _read(file, _HOUR_MS, None, symbol)
    kept = kept_day(journal, file, symbol, hours=not whole)
    return kept if kept is not None else _only(keep_day(journal, file), symbol)


def _read(file: DayFile, span_ms: int, within: tuple[int, int] | None, symbol: str | None) -> Day:
    """Read a day; the same one is asked for its sums and for its nearest misses."""
    try:
        mark = mark_of(file)
    except OSError:
        return read_day(file, span_ms, within, symbol)  # packed between the listing and now, or damaged: it says so
    return _read_once(file, mark, span_ms, within, symbol)


@lru_cache(maxsize=4)
def _read_once(file: DayFile, mark: str, span_ms: int, within: tuple[int, int] | None, symbol: str | None) -> Day:
    """Read a day as it is under a mark: the day under way goes on."""
    return read_day(file, span_ms, within, symbol)


def _only(day: Day, symbol: str | None) -> Day:
    if symbol is None:
        return day
    return Day(
        tuple([cell for cell in day.cells if cell.symbol == symbol]),
        tuple([denial for denial in day.denials if denial.symbol == symbol]),
        day.left_out,
    )


def _sum(cells: list[Cell], denials: list[Denial], first_ms: int, until_ms: int, span_ms: int | None) -> Why:
    totals = total_cells(cells)
    refusals = total_denials(denials)
    created = sum(cell.times for cell in totals.values() if cell.outcome == "INTENT_CREATED")
    return Why(
        max(first_ms, min([cell.start_ms for cell in cells], default=first_ms)), until_ms,
        sum(cell.times for cell in totals.values()), created,
        tuple(sorted(totals.values(), key=lambda cell: (-cell.times, cell.outcome, cell.by))),
        tuple(sorted(refusals.values(), key=lambda one: (-one.times, one.outcome, one.by, one.limit))),
        _line(cells, denials) if span_ms is not None else (),
    )  # fmt: skip


def _line(cells: Iterable[Cell], denials: Iterable[Denial]) -> tuple[Point, ...]:
    """The nearest margin and the refused signals, span by span."""
    near: dict[int, float | None] = {}
    signals: dict[int, int] = {}
    for cell in cells:
        old = near.get(cell.start_ms)
        if cell.margin is not None and (old is None or cell.margin < old):
            near[cell.start_ms] = cell.margin
        else:
            near.setdefault(cell.start_ms, None)
    for denial in denials:
        signals[denial.start_ms] = signals.get(denial.start_ms, 0) + denial.times
    return tuple([Point(at, near.get(at), signals.get(at, 0)) for at in sorted(near.keys() | signals.keys())])


def nearest(journal: Path, since_ms: int, until_ms: int, most: int) -> tuple[Cell, ...]:
    """The symbols that came nearest to a condition without meeting it, the nearest first."""
    found: dict[str, Cell] = {}
    fine = until_ms - since_ms <= FINE_MS
    files = [file for file in list_files(journal, Taxonomy.DECISION) if file.day >= day_of(since_ms * 1_000_000)]
    for number, file in enumerate(files):
        if file.day * _DAY_MS < until_ms:
            over = number + 1 < len(files)
            whole = since_ms <= file.day * _DAY_MS and (file.day + 1) * _DAY_MS <= until_ms
            kept = kept_day(journal, file, None, hours=False, nearest=True) if over and whole and not fine else None
            limits = (since_ms // SPAN_MS * SPAN_MS, until_ms) if fine else None
            day = kept or _day(journal, file, None, over=over, whole=False, within=limits)
            within = tuple([cell for cell in day.cells if since_ms <= cell.row_ms < until_ms])
            for symbol, cell in Day(within, ()).nearest.items():
                old = found.get(symbol)
                if old is None or (cell.margin or 0.0) < (old.margin or 0.0):
                    found[symbol] = cell
    return tuple(sorted(found.values(), key=lambda cell: (cell.margin or 0.0, cell.symbol))[:most])
