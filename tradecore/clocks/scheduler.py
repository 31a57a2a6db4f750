"""Give APScheduler the time of the loop that it runs on.

APScheduler asks ``datetime.now()`` in three of its modules. `install` puts a class in that name's place: on a
`MarketLoop` with an epoch its `now` is market time, everywhere else real time, so that nothing else changes.

Source: reference libraries.md section 3; APScheduler 3.11, the three modules that read a clock.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from apscheduler.executors import base as executors
from apscheduler.schedulers import base as schedulers
from apscheduler.triggers import interval

from tradecore.clocks.loop import MarketLoop

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _AnyDatetime(type):
    """Lets ``isinstance(x, datetime)`` in APScheduler hold for every datetime, not only for ours."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, datetime)


class MarketDatetime(datetime, metaclass=_AnyDatetime):
    """A datetime class whose `now` is market time. It makes plain datetimes only."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain datetime, on purpose
        """Market time on a loop with a clock, else the wall's; to the microsecond."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return datetime.now(tz)
        if not isinstance(loop, MarketLoop) or loop.epoch_ms is None:
            return datetime.now(tz)
        moment = _EPOCH + timedelta(milliseconds=loop.epoch_ms, microseconds=loop.now_ns() // 1_000)
        return moment.astimezone(tz) if tz is not None else moment.astimezone().replace(tzinfo=None)

    @classmethod
    def fromtimestamp(cls, timestamp: float, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # as above
        """Turn seconds since 1970 into a plain datetime."""
        return datetime.fromtimestamp(timestamp, tz)


def install() -> None:
    """Put market time into APScheduler's modules. May be called often; once is enough."""
    for module in (schedulers, executors, interval):
        module.datetime = MarketDatetime
