"""Fill rates of the last 24 hours per symbol, from settled attempts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

from tradecore.model.portfolio import FillRate

_DAY_MS = 86_400_000


class RecentFills:
    """Keeps one entry per settled attempt for a day; the picture is made anew only when something changed."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, str, bool]] = deque()
        self._rates: dict[str, FillRate] = {}
        self._picture: Mapping[str, FillRate] | None = None

    def add(self, at_ms: int, symbol: str, filled: bool) -> None:
        """Take one settled attempt.

        Args:
            at_ms: When it settled; never earlier than the one before.
        """
        self._entries.append((at_ms, symbol, filled))
        self._count(symbol, 1, int(filled))

    def rates(self, now_ms: int) -> Mapping[str, FillRate]:
        """Attempts and those with a fill, by symbol, of the last 24 hours. Frozen."""
        while self._entries and self._entries[0][0] < now_ms - _DAY_MS:
            _, symbol, filled = self._entries.popleft()
            self._count(symbol, -1, -int(filled))
        if self._picture is None:
            self._picture = MappingProxyType(dict(self._rates))
        return self._picture

    def _count(self, symbol: str, attempts: int, filled: int) -> None:
        old = self._rates.get(symbol, FillRate(0, 0))
        new = FillRate(old.attempts + attempts, old.filled + filled)
        if new.attempts:
            self._rates[symbol] = new
        else:
            del self._rates[symbol]
        self._picture = None
