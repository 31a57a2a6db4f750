"""Fill rates of the last 24 hours per symbol, from settled attempts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tradecore.model.order import Attempt, Outcome
from tradecore.model.portfolio import FillRate

_DAY_MS = 86_400_000


class Ended(NamedTuple):
    """One attempt that reached the venue, or may have, and is settled."""

    at_ms: int
    symbol: str
    filled: bool
    rejected: bool
    """The venue said no."""
    failed: bool
    """It said no, or the order turned out never to have been placed."""


class RecentFills:
    """Keeps one entry per settled attempt for a day; the picture is made anew only when something changed."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, str, bool]] = deque()
        self.listeners: list[Callable[[Ended], None]] = []
        """Told of each settled attempt, those of an earlier run at the start; they must not wait."""
        self._rates: dict[str, FillRate] = {}
        self._picture: Mapping[str, FillRate] | None = None

    def add(self, at_ms: int, attempt: Attempt) -> None:
        """Take one settled attempt; one that was never sent says nothing.

        Args:
            at_ms: When it settled; never earlier than the one before.
        """
        if attempt.outcome is Outcome.NOT_SENT:
            return
        filled = attempt.executed_quantity > 0
        self._entries.append((at_ms, attempt.symbol, filled))
        self._count(attempt.symbol, 1, int(filled))
        rejected = attempt.outcome is Outcome.REJECTED
        ended = Ended(at_ms, attempt.symbol, filled, rejected, rejected or attempt.outcome is Outcome.NOT_PLACED)
        for listener in self.listeners:
            listener(ended)

    def restore(self, attempts: Sequence[Attempt]) -> None:
        """Take attempts that an earlier run settled, oldest first."""
        for attempt in attempts:
            if attempt.settled_ms is not None:
                self.add(attempt.settled_ms, attempt)

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
