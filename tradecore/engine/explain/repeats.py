"""Tells a refusal that only comes again from one that says something new, and keeps the former in columns.

A condition that holds is met row after row, and a limit that refuses it refuses it each time: the same story every
five seconds. The first of such a run of rows is kept with all its inputs, and the first in every five minutes; the
others are one event with a column for each figure that moves.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.engine.explain.tally import SPAN_MS
from tradecore.engine.scan import Hit
from tradecore.engine.verdict import Refused
from tradecore.model.events import RefusalsAgain

_SYMBOLS_MAX: Final = 20_000


class _Last(NamedTuple):
    row_ms: int
    what: tuple[object, ...]
    again: bool


class _Run:
    """Rows that say the same."""

    def __init__(self, hit: Hit, row_ms: int, refused: Refused) -> None:
        self.first_ms = row_ms
        self.hit, self.refused = hit, refused
        self.offsets: list[int] = []
        self.values: list[float] = []
        self.measured: list[Decimal] = []


class Repeats:
    """Remembers the last refusal of each guest and symbol.

    Args:
        timeframe_ms: Length of a row.
    """

    def __init__(self, timeframe_ms: int) -> None:
        self._timeframe_ms: Final = timeframe_ms
        self._last: dict[tuple[str, str], _Last] = {}
        self._runs: dict[tuple[str, str], _Run] = {}

    def again(self, hit: Hit, row_ms: int, refused: Refused) -> bool:
        """Take note of a refusal; asked twice about the same one it says the same.

        Returns:
            True where the row before, of the same five minutes, brought the same.
        """
        key, what = (hit.plugin, hit.symbol), (refused.reason, refused.by, refused.limit)
        last = self._last.get(key)
        if last is not None and (last.row_ms, last.what) == (row_ms, what):
            return last.again
        again = (
            last is not None
            and last.what == what
            and 0 < row_ms - last.row_ms <= self._timeframe_ms
            and row_ms // SPAN_MS == last.row_ms // SPAN_MS
        )
        if len(self._last) >= _SYMBOLS_MAX:
            self._last.clear()
        self._last[key] = _Last(row_ms, what, again)
        return again

    def add(self, hit: Hit, row_ms: int, refused: Refused) -> None:
        """Keep the figures of a refusal that only came again."""
        key = (hit.plugin, hit.symbol)
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = _Run(hit, row_ms, refused)
        run.hit, run.refused = hit, refused
        run.offsets.append(row_ms - run.first_ms)
        run.values.append(hit.value)
        if refused.value is not None:
            run.measured.append(refused.value)

    def take(self, plugin: str, symbol: str) -> RefusalsAgain | None:
        """Hand over the run of a guest and a symbol; ``None`` where there is none."""
        run = self._runs.pop((plugin, symbol), None)
        return _event(run) if run is not None else None

    def take_all(self) -> list[RefusalsAgain]:
        """Hand over all runs."""
        runs = list(self._runs.values())
        self._runs.clear()
        return [_event(run) for run in runs]


def _event(run: _Run) -> RefusalsAgain:
    hit, refused = run.hit, run.refused
    return RefusalsAgain(
        hit.plugin, hit.symbol, str(refused.reason), refused.by, run.first_ms, tuple(run.offsets), tuple(run.values),
        hit.threshold, hit.unit, refused.limit, tuple(run.measured), refused.threshold, refused.unit, refused.detail,
    )  # fmt: skip
