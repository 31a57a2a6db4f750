"""The clocks keep their port's word."""

import asyncio
import time

from tradecore.clocks.clock import LoopClock, SystemClock
from tradecore.clocks.loop import MarketLoop, run
from tradecore.ports.clock import Clock

EPOCH_MS = 1_735_689_600_000


def test_the_system_clock_is_the_wall_s():
    clock: Clock = SystemClock()
    assert not clock.virtual
    assert abs(clock.now_ms() - time.time() * 1000) < 1_000
    assert abs(clock.now_ns() // 1_000_000 - clock.now_ms()) < 1_000

    async def main():
        until_ms = clock.now_ms() + 30
        before = clock.monotonic_s()
        await clock.sleep_until_ms(until_ms)
        assert clock.now_ms() >= until_ms
        await clock.sleep_until_ms(until_ms - 10_000)
        await clock.sleep(0.001)
        return clock.monotonic_s() - before

    assert 0.02 < asyncio.run(main()) < 2


def test_a_virtual_clock_counts_from_its_epoch():
    loop = MarketLoop()
    clock: Clock = LoopClock(loop, EPOCH_MS)
    assert clock.virtual
    assert clock.now_ms() == EPOCH_MS

    async def main():
        await clock.sleep(1.5)
        assert clock.now_ms() == EPOCH_MS + 1_500
        assert clock.monotonic_s() == 1.5
        await clock.sleep_until_ms(EPOCH_MS)
        assert clock.now_ms() == EPOCH_MS + 1_500

    run(main(), loop)


def test_a_cancelled_sleep_leaves_no_timer_behind():
    loop = MarketLoop()
    clock = LoopClock(loop, EPOCH_MS)

    async def main():
        sleeper = asyncio.ensure_future(clock.sleep_until_ms(EPOCH_MS + 3_600_000))
        await asyncio.sleep(1)
        sleeper.cancel()
        await asyncio.gather(sleeper, return_exceptions=True)
        await asyncio.sleep(1)
        return clock.now_ms()

    assert run(main(), loop) == EPOCH_MS + 2_000


def test_a_scaled_clock_is_not_virtual():
    loop = MarketLoop(60)
    assert not LoopClock(loop, EPOCH_MS).virtual
    loop.close()
