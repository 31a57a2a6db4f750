"""APScheduler on market time: R5's intervals exactly on time through a virtual day."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import STATE_STOPPED
from apscheduler.triggers import interval

from tradecore.clocks import scheduler as market_scheduler
from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop, run
from tradecore.clocks.scheduler import MarketDatetime, install

EPOCH_MS = 1_735_689_600_000
HOUR_S = 3600
INTERVALS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 900, 3600)


def test_r5_eleven_jobs_run_exactly_on_time_through_virtual_hours():
    install()
    loop = MarketLoop()
    clock = LoopClock(loop, EPOCH_MS)
    runs = defaultdict(list)

    async def main():
        jobs = AsyncIOScheduler(timezone="UTC")

        def job_of(every_s):
            async def job():
                runs[every_s].append(clock.now_ns())

            return job

        for every_s in INTERVALS_S:
            jobs.add_job(
                job_of(every_s), "interval", seconds=every_s, misfire_grace_time=None, coalesce=True, max_instances=1
            )
        jobs.start()
        await clock.sleep_until_ms(EPOCH_MS + 6 * HOUR_S * 1000 + 1)
        jobs.shutdown(wait=False)
        await asyncio.sleep(0)
        assert jobs.state == STATE_STOPPED

    run(main(), loop)
    for every_s in INTERVALS_S:
        expected = [(EPOCH_MS + k * every_s * 1000) * 1_000_000 for k in range(1, 6 * HOUR_S // every_s + 1)]
        assert runs[every_s] == expected, every_s


def test_install_twice_changes_nothing():
    install()
    before = interval.datetime
    install()
    assert interval.datetime is before is MarketDatetime


def test_outside_a_market_loop_it_is_real_time():
    assert abs(MarketDatetime.now(UTC) - datetime.now(UTC)) < timedelta(seconds=5)

    async def main():
        return MarketDatetime.now(UTC)

    assert abs(asyncio.run(main()) - datetime.now(UTC)) < timedelta(seconds=5)
    assert abs(run(main(), MarketLoop()) - datetime.now(UTC)) < timedelta(seconds=5), "no clock on that loop"


@pytest.mark.parametrize("speed", [None, 100])
def test_on_a_market_loop_it_is_market_time_and_a_plain_datetime(speed):
    loop = MarketLoop(speed)
    LoopClock(loop, EPOCH_MS)

    async def main():
        await asyncio.sleep(1.25)
        aware, naive = MarketDatetime.now(UTC), MarketDatetime.now()
        assert type(aware) is type(naive) is datetime
        assert naive.tzinfo is None
        assert abs(naive.astimezone(UTC) - aware) < timedelta(seconds=30)
        return aware

    now = run(main(), loop)
    due = datetime(2025, 1, 1, 0, 0, 1, 250_000, tzinfo=UTC)
    assert now == due if speed is None else due <= now < due + timedelta(seconds=60)


def test_every_datetime_is_an_instance():
    assert isinstance(datetime.now(UTC), MarketDatetime)
    assert not isinstance(5, MarketDatetime)
    assert type(MarketDatetime.fromtimestamp(0, UTC)) is datetime


def test_the_modules_still_read_the_name_that_install_replaces():
    for module in (market_scheduler.schedulers, market_scheduler.executors, market_scheduler.interval):
        assert hasattr(module, "datetime")
