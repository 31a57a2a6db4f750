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
        per_minute: Most requests in any minute; ``None`` counts without a limit.
    Source: Binance rest-api.md, IP limits: 429, then 418 for 2 minutes to 3 days.
    """

    def __init__(self, per_minute: int | None = None) -> None:
        self._per_minute: Final = per_minute
        self._times: deque[int] = deque()
        self._until_ms = 0
        self._status = 429
        self._next_ban_s = _FIRST_BAN_S

    @property
    def used(self) -> int:
        """Requests let through in the last minute."""
        return len(self._times)

    def shut(self, now_ms: int, status: int, seconds: float) -> Refused:
        """Shut for a while and say so."""
        self._until_ms = now_ms + int(seconds * 1000)
        self._status = status
        return Refused(status, max(1, round(seconds)))

    def enter(self, now_ms: int) -> Refused | None:
        """Let one request through; ``None`` means that it may pass."""
        while self._times and self._times[0] <= now_ms - _MINUTE_MS:
            self._times.popleft()
        if now_ms < self._until_ms:
            if self._status == 418:
                return Refused(418, max(1, -(-(self._until_ms - now_ms) // 1000)))
            # Who asks on after a 429 is banned, longer each time.
            ban_s, self._next_ban_s = self._next_ban_s, min(self._next_ban_s * 2, _LONGEST_BAN_S)
            return self.shut(now_ms, 418, ban_s)
        if self._per_minute is not None and len(self._times) >= self._per_minute:
            return self.shut(now_ms, 429, (self._times[0] + _MINUTE_MS - now_ms) / 1000)
        self._times.append(now_ms)
        return None
