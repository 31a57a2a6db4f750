"""The twin's doorman: counts requests, answers 429, then 418 with growing bans."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

_MINUTE_MS: Final = 60_000
_FIRST_BAN_S: Final = 120
_LONGEST_BAN_S: Final = 3 * 24 * 3600


class Refused(NamedTuple):
    """Nobody was let through."""

    status: int
    """429, or 418 for those who go on asking."""
    retry_after_s: int


class Gate:
    """Requests of one customer.

    Args:
        per_minute: Most weight in any minute, 1 a request where nothing else is said; ``None`` counts without a limit.
    Source: Binance rest-api.md, IP limits: 429, then 418 for 2 minutes to 3 days.
    """

    def __init__(self, per_minute: int | None = None) -> None:
        self._per_minute: Final = per_minute
        self._times: deque[tuple[int, int]] = deque()
        self._used = 0
        self._until_ms = 0
        self._status = 429
        self._next_ban_s = _FIRST_BAN_S

    @property
    def used(self) -> int:
        """Weight let through in the last minute."""
        return self._used

    def shut(self, now_ms: int, status: int, seconds: float) -> Refused:
        """Shut for a while and say so."""
        self._until_ms = now_ms + int(seconds * 1000)
        self._status = status
        return Refused(status, max(1, round(seconds)))

    def forget(self, now_ms: int) -> None:
        """Leave out what is older than a minute."""
        while self._times and self._times[0][0] <= now_ms - _MINUTE_MS:
            self._used -= self._times.popleft()[1]

    def enter(self, now_ms: int, weight: int = 1) -> Refused | None:
        """Let one request of a weight through; ``None`` means that it may pass."""
        self.forget(now_ms)
        if now_ms < self._until_ms:
            if self._status == 418:
                return Refused(418, max(1, -(-(self._until_ms - now_ms) // 1000)))
            # Who asks on after a 429 is banned, longer each time.
            ban_s, self._next_ban_s = self._next_ban_s, min(self._next_ban_s * 2, _LONGEST_BAN_S)
            return self.shut(now_ms, 418, ban_s)
        if self._per_minute is not None and self._used + weight > self._per_minute:
            oldest_ms = self._times[0][0] if self._times else now_ms
            return self.shut(now_ms, 429, (oldest_ms + _MINUTE_MS - now_ms) / 1000)
        self._times.append((now_ms, weight))
        self._used += weight
        return None
