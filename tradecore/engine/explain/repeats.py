"""Tells a refusal that only comes again from one that says something new.

A condition that holds is met row after row, and a limit that refuses it refuses it each time: the same story every five
seconds. The first of such a run of rows is kept with all its inputs, and one a minute after it; of those between, the
outcome with its figures is kept, row by row.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tradecore.engine.verdict import Refused

FULL_EVERY_MS: Final = 60_000
"""While a refusal lasts it is kept in full at least so often, market time."""
_SYMBOLS_MAX: Final = 20_000


class _Last(NamedTuple):
    row_ms: int
    full_ms: int
    what: tuple[object, ...]


class Repeats:
    """Remembers the last refusal of each guest and symbol.

    Args:
        timeframe_ms: Length of a row.
    """

    def __init__(self, timeframe_ms: int) -> None:
        self._timeframe_ms: Final = timeframe_ms
        self._last: dict[tuple[str, str], _Last] = {}

    def again(self, plugin: str, symbol: str, row_ms: int, refused: Refused) -> bool:
        """Take note of a refusal.

        Returns:
            True where the row before brought the same and one that was kept in full is less than a minute old.
        """
        key, what = (plugin, symbol), (refused.reason, refused.by, refused.limit)
        last = self._last.get(key)
        same = (
            last is not None
            and last.what == what
            and row_ms - last.row_ms <= self._timeframe_ms
            and row_ms - last.full_ms < FULL_EVERY_MS
        )
        if len(self._last) >= _SYMBOLS_MAX:
            self._last.clear()
        full_ms = last.full_ms if same and last is not None else row_ms
        self._last[key] = _Last(row_ms, full_ms, what)
        return same
