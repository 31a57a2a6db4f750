"""Every candidate of every scan, counted by symbol over five minutes: exact counts, and the nearest miss of each.

The quiet majority costs forty bytes a symbol in five minutes. Counts are conserved: over all groups of an interval they
add up to its candidates, and each symbol of the universe is counted once in every row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore.engine.explain.deciders import QuietRow
from tradecore.market.frame import Array
from tradecore.model.events import CandidateOutcomes, OutcomeGroup
from tradecore.model.reasons import Reason

SPAN_MS: Final = 300_000
"""Market time that one event covers, on an even grid."""
_HIT: Final = 0


class _Nearest(NamedTuple):
    """Per symbol the smallest margin so far, with its facts."""

    margin: Array
    value: Array
    threshold: Array
    row_ms: npt.NDArray[np.int64]


class _Group(NamedTuple):
    unit: str
    counts: npt.NDArray[np.int64]
    nearest: _Nearest


class Tally:
    """Counts outcomes by symbol, reason and guest.

    Args:
        symbols: All symbols, in frame order.
        codes: Reasons in the order of the scan's codes; the first stands for a hit.
    """

    def __init__(self, symbols: Sequence[str], codes: Sequence[Reason]) -> None:
        self._symbols: Final = tuple(symbols)
        self._column: Final = {symbol: at for at, symbol in enumerate(symbols)}
        self._codes: Final = tuple(codes)
        self._groups: dict[tuple[str, str], _Group] = {}
        self._hits: Counter[tuple[str, str, str]] = Counter()
        self._span = -1
        self._rows = 0
        self._first_ms = self._last_ms = 0

    def row(
        self,
        row_ms: int,
        quiet: QuietRow,
        within: npt.NDArray[np.bool_],
        guests: Sequence[tuple[str, str]],
        hits: Mapping[str, tuple[Reason, str]],
    ) -> CandidateOutcomes | None:
        """Count one row.

        Args:
            row_ms: Its close.
            quiet: What each symbol ended as.
            within: Symbols of the universe.
            guests: Name and unit by the places in `quiet`.
            hits: Symbol to the reason and the guest that decided, for all symbols whose code is a hit.
        Returns:
            The interval before, where this row begins another; ``None`` within one.
        """
        ended = self.take() if row_ms // SPAN_MS != self._span and self._rows else None
        if not self._rows:
            self._span, self._first_ms = row_ms // SPAN_MS, row_ms
        self._rows += 1
        self._last_ms = row_ms
        places = quiet.codes.astype(np.int32) * 1_024 + quiet.guest + 1
        for place in np.unique(places[within]).tolist():
            code, guest = divmod(place, 1_024)
            if code != _HIT:
                name, unit = guests[guest - 1] if guest else ("core", "")
                group = self._group(self._codes[code], name, unit)
                _add(group, row_ms, quiet, within & (places == place))
        for symbol, (reason, by) in hits.items():
            self._hits[str(reason), by, symbol] += 1
        return ended

    def take(self) -> CandidateOutcomes | None:
        """Hand over what was counted and begin anew; ``None`` where nothing was."""
        if not self._rows:
            return None
        groups = [self._told(reason, by, group) for (reason, by), group in self._groups.items()]
        for reason, by in sorted({key[:2] for key in self._hits}):
            found = {symbol: n for (r, b, symbol), n in self._hits.items() if (r, b) == (reason, by)}
            at = sorted(found, key=self._column.__getitem__)
            groups.append(OutcomeGroup(reason, by, "", tuple(at), tuple([found[symbol] for symbol in at])))
        groups.sort(key=lambda group: (group.outcome, group.by))
        candidates = sum(sum(group.counts) for group in groups)
        event = CandidateOutcomes(self._first_ms, self._last_ms, self._rows, candidates, tuple(groups))
        self._groups, self._hits, self._rows = {}, Counter(), 0
        return event

    def _group(self, reason: Reason, by: str, unit: str) -> _Group:
        group = self._groups.get((str(reason), by))
        if group is None:
            size = len(self._symbols)
            nearest = _Nearest(
                np.full(size, np.inf), np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, dtype=np.int64)
            )
            group = self._groups[str(reason), by] = _Group(unit, np.zeros(size, dtype=np.int64), nearest)
        return group

    def _told(self, reason: str, by: str, group: _Group) -> OutcomeGroup:
        columns = np.flatnonzero(group.counts)
        names = tuple([self._symbols[column] for column in columns])
        counts = tuple(group.counts[columns].tolist())
        if not np.isfinite(group.nearest.margin[columns]).any():
            return OutcomeGroup(reason, by, group.unit, names, counts)
        near = group.nearest
        return OutcomeGroup(
            reason, by, group.unit, names, counts, _short(near.margin[columns]), _short(near.value[columns], 10),
            _short(near.threshold[columns], 10),
            tuple([max(0, ms - self._first_ms) for ms in near.row_ms[columns].tolist()]),
        )  # fmt: skip


def _add(group: _Group, row_ms: int, quiet: QuietRow, here: npt.NDArray[np.bool_]) -> None:
    """Count one row for the symbols of a mask, and keep what is nearer than before."""
    group.counts[here] += 1
    near = group.nearest
    with np.errstate(invalid="ignore"):
        nearer = here & (quiet.margin < near.margin)
    if nearer.any():
        np.copyto(near.margin, quiet.margin, where=nearer)
        np.copyto(near.value, quiet.value, where=nearer)
        np.copyto(near.threshold, quiet.threshold, where=nearer)
        near.row_ms[nearer] = row_ms


def _short(values: Array, digits: int = 6) -> tuple[float, ...]:
    """Figures for people, to so many significant digits."""
    return tuple([float(f"{value:.{digits}g}") for value in values.tolist()])
