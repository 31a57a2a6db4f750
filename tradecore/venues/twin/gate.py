"""The twin's doorman: counts requests, answers 429, then 418 with growing bans."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

_MINUTE_MS: Final = 60_000
_FIRST_BAN_S: Final = 120
_LONGEST_BAN_S: Final = 3 * 24 * 3600


class Refused(NamedTuple):
    """Nobody was let through."""

    status: int
    """429, or 418 for those who go on asking."""
    retry_after_s: int


class _Counted:
    """Weight in one window."""

    def __init__(self, most: int | None, span_ms: int) -> None:
        self.most: Final = most
        self.span_ms: Final = span_ms
        self.used = 0
        self.times: Final[deque[tuple[int, int]]] = deque()

    def forget(self, now_ms: int) -> None:
        while self.times and self.times[0][0] <= now_ms - self.span_ms:
            self.used -= self.times.popleft()[1]

    def wait_ms(self, now_ms: int, weight: int) -> int | None:
        """Time until the oldest is forgotten, where a weight is too much; ``None`` where it is not."""
        if self.most is None or self.used + weight <= self.most:
            return None
        oldest_ms = self.times[0][0] if self.times else now_ms
        return oldest_ms + self.span_ms - now_ms


class Gate:
    """Requests of one customer.

    Args:
        per_minute: Most weight in any minute, 1 a request where nothing else is said; ``None`` counts without a limit.
        windows: Other limits: most weight, and the length of the span in milliseconds.
    Source: Binance rest-api.md, IP limits: 429, then 418 for 2 minutes to 3 days. MEXC: 300 in 10 s (orders.md 11).
    """

    def __init__(self, per_minute: int | None = None, windows: Sequence[tuple[int | None, int]] = ()) -> None:
        self._minute: Final = _Counted(per_minute, _MINUTE_MS)
        self._counted: Final = (self._minute, *(_Counted(most, span_ms) for most, span_ms in windows))
        self._until_ms = 0
        self._status = 429
        self._next_ban_s = _FIRST_BAN_S

    @property
    def used(self) -> int:
        """Weight let through in the last minute."""
        return self._minute.used

    def shut(self, now_ms: int, status: int, seconds: float) -> Refused:
        """Shut for a while and say so."""
        self._until_ms = now_ms + int(seconds * 1000)
        self._status = status
        return Refused(status, max(1, round(seconds)))

    def forget(self, now_ms: int) -> None:
        """Leave out what is older than its window."""
        for counted in self._counted:
            counted.forget(now_ms)

    def enter(self, now_ms: int, weight: int = 1) -> Refused | None:
        """Let one request of a weight through; ``None`` means that it may pass."""
        self.forget(now_ms)
        if now_ms < self._until_ms:
            if self._status == 418:
                return Refused(418, max(1, -(-(self._until_ms - now_ms) // 1000)))
            # Who asks on after a 429 is banned, longer each time.
            ban_s, self._next_ban_s = self._next_ban_s, min(self._next_ban_s * 2, _LONGEST_BAN_S)
            return self.shut(now_ms, 418, ban_s)
        waits = [wait for counted in self._counted if (wait := counted.wait_ms(now_ms, weight)) is not None]
        if waits:
            return self.shut(now_ms, 429, max(waits) / 1000)
        for counted in self._counted:
            counted.times.append((now_ms, weight))
            counted.used += weight
        return None
