"""Periodic work on APScheduler: every interval a setting, lateness and overlap counted, nothing starved (R5).

All jobs are coroutines on one loop, so a slow one never holds another back. APScheduler loses coalesced ticks without
a word (measured), so each run is timed here and each miss, overlap and failure is an event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from tradecore.engine.desk import Desk
from tradecore.engine.measured import Measured
from tradecore.model.events import SlowCycle

Work = Callable[[], Awaitable[None]]


class Jobs:
    """A scheduler whose every run is timed. Interval jobs only; jobs are rebuilt at each start.

    Args:
        measured: Takes how long each run took, where time is not virtual.
    """

    def __init__(self, desk: Desk, measured: Measured) -> None:
        self._desk = desk
        self._measured = measured
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        self._scheduler.add_listener(self._heard, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        self._running: set[str] = set()
        self.last_success_ms: dict[str, int] = {}
        """Job to the market time of its newest good end."""
        self.intervals_s: dict[str, float] = {}

    def add(self, name: str, work: Work, interval_s: float, *, first_ms: int | None = None) -> None:
        """Have `work` done every `interval_s` of market time.

        Args:
            first_ms: Market time of the first run; ``None``: one interval from now.
        """
        desk = self._desk
        self.intervals_s[name] = interval_s
        start = desk.clock.now_ms() + int(interval_s * 1_000) if first_ms is None else first_ms
        first = datetime.fromtimestamp(start / 1_000, UTC)

        async def run() -> None:
            await self._run(name, work)

        trigger = IntervalTrigger(seconds=interval_s, start_date=first, timezone="UTC")
        self._scheduler.add_job(run, trigger, id=name, name=name)

    def start(self) -> None:
        """Begin. Needs a running loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """Plan nothing more; runs under way go on until `end`."""
        if self._scheduler.running:
            self._scheduler.remove_all_jobs()

    @property
    def busy(self) -> bool:
        """True while a run is under way."""
        return bool(self._running)

    def end(self) -> None:
        """Let go of the scheduler; it cancels what is still under way. May be called twice."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _run(self, name: str, work: Work) -> None:
        desk = self._desk
        started = desk.clock.monotonic_s()
        self._running.add(name)
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the last door of a job: reported, counted, and the next run comes
            desk.report_uncaught(f"job {name}", error)
            self._slow(name, "failed", 0.0, f"{type(error).__name__}: {error}")
        else:
            self.last_success_ms[name] = desk.clock.now_ms()
        finally:
            self._running.discard(name)
        if desk.clock.virtual:
            return
        took_ms = (desk.clock.monotonic_s() - started) * 1_000 / desk.config.time_scale
        self._measured.job(name, took_ms)
        if took_ms > desk.config.slow_cycle_ms:
            self._slow(name, "slow", took_ms)

    def _heard(self, event: JobEvent) -> None:
        missed = event.code == EVENT_JOB_MISSED
        self._slow(str(event.job_id), "missed" if missed else "overlap", 0.0)

    def _slow(self, name: str, what: str, took_ms: float, detail: str = "") -> None:
        self._desk.tally.slow_cycles += 1
        self._desk.note(SlowCycle(name, what, took_ms, detail))

    def lags_ms(self) -> dict[str, float]:
        """Job to market time since its newest good end, less its interval; 0 where it is in time, ms."""
        now = self._desk.clock.now_ms()
        return {
            name: max(0.0, now - self.last_success_ms[name] - 1_000 * interval)
            for name, interval in self.intervals_s.items()
            if name in self.last_success_ms
        }

    def forgive(self, stalled_ms: int) -> None:
        """Leave out of account a time in which nothing could run, market ms: no job is late for it."""
        for name in self.last_success_ms:
            self.last_success_ms[name] += stalled_ms

    def overdue(self) -> list[str]:
        """Jobs that have not succeeded for three of their intervals."""
        now = self._desk.clock.now_ms()
        return [
            name
            for name, interval in self.intervals_s.items()
            if name in self.last_success_ms and now - self.last_success_ms[name] > 3_000 * interval + 1_000
        ]
