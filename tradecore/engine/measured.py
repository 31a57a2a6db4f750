"""What a run measures of its venue and its jobs, for `tradecore plan --state`: kept durably, decided by nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from statistics import median

from tradecore.model.events import BalanceRefresh, DecisionOutcome, ExchangeCall, PriceSnapshot
from tradecore.model.units import bps_between

_KEPT = 1_000
_SPREAD = "spread_bps"


class Measured:
    """Latencies of calls to the venue, spreads at decisions, and the longest run of each job."""

    def __init__(self) -> None:
        self._latencies_ms: deque[float] = deque(maxlen=_KEPT)
        self._spreads_bps: deque[float] = deque(maxlen=_KEPT)
        self._jobs_ms: dict[str, float] = {}

    def take(self, event: object) -> None:
        """Take latency or spread out of an event; other events say nothing here.

        The spreads are those of the books that orders were priced by, and those that were refused for being too wide.
        """
        if isinstance(event, ExchangeCall) or (isinstance(event, BalanceRefresh) and event.ok):
            self._latencies_ms.append(event.latency_ms)
        elif isinstance(event, PriceSnapshot):
            if event.bid and event.ask:
                self._spreads_bps.append(float(bps_between(event.bid, event.ask)))
        elif isinstance(event, DecisionOutcome) and event.limit == _SPREAD and event.limit_value is not None:
            self._spreads_bps.append(float(event.limit_value))

    def job(self, name: str, took_ms: float) -> None:
        """Take how long a job took, ms of the wall."""
        self._jobs_ms[name] = max(self._jobs_ms.get(name, 0.0), took_ms)

    def figures(self) -> Mapping[str, float]:
        """Medians of the newest ``latency_ms`` (market time) and ``spread_bps``, and ``job.NAME``, its longest run, ms.

        Returns:
            Empty where nothing was measured.
        """
        found = {f"job.{name}": round(took_ms, 3) for name, took_ms in sorted(self._jobs_ms.items())}
        if self._latencies_ms:
            found["latency_ms"] = round(median(self._latencies_ms), 3)
        if self._spreads_bps:
            found[_SPREAD] = round(median(self._spreads_bps), 3)
        return found
