"""What a run measures of its venue and its jobs, for `tradecore plan --state`: kept durably, decided by nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from statistics import median

from tradecore.model.events import BalanceRefresh, ExchangeCall

_CALLS_KEPT = 1_000


class Measured:
    """Latencies of calls to the venue, and the longest run of each job."""

    def __init__(self) -> None:
        self._latencies_ms: deque[float] = deque(maxlen=_CALLS_KEPT)
        self._jobs_ms: dict[str, float] = {}

    def take(self, event: object) -> None:
        """Take the latency out of an event of a call to the venue; other events say nothing here."""
        if isinstance(event, ExchangeCall) or (isinstance(event, BalanceRefresh) and event.ok):
            self._latencies_ms.append(event.latency_ms)

    def job(self, name: str, took_ms: float) -> None:
        """Take how long a job took, ms of the wall."""
        self._jobs_ms[name] = max(self._jobs_ms.get(name, 0.0), took_ms)

    def figures(self) -> Mapping[str, float]:
        """``latency_ms``, the median of the newest calls in market time, and ``job.NAME``, its longest run; ms.

        Returns:
            Empty where nothing was measured.
        """
        found = {f"job.{name}": round(took_ms, 3) for name, took_ms in sorted(self._jobs_ms.items())}
        if self._latencies_ms:
            found["latency_ms"] = round(median(self._latencies_ms), 3)
        return found
