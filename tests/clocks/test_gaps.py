"""A machine that sleeps, a process that is stopped, a wall clock that is set: told apart, and no clock runs back."""

import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradecore.clocks.clock import LoopClock
from tradecore.clocks.gaps import STALLED_MS, TOLD_MS, GapMeter, MachineTime
from tradecore.clocks.loop import MarketLoop, run
from tradecore.ports.clock import Gap

EPOCH_MS = 1_735_689_600_000
MS = 1_000_000


class Hands:
    """Three clocks that a test moves, on top of the real ones or alone."""

    def __init__(self, *, real: bool = False) -> None:
        self.monotonic = self.asleep = self.wall = 0
        self._real = real

    def machine(self) -> MachineTime:
        real_mono, real_wall = time.monotonic_ns, time.time_ns
        if not self._real:
            return MachineTime(lambda: self.monotonic, lambda: self.wall, lambda: self.asleep)
        return MachineTime(
            lambda: real_mono() + self.monotonic, lambda: real_wall() + self.wall, lambda: self.asleep
        )  # fmt: skip

    def pass_ms(self, ms: float) -> None:
        self.monotonic += int(ms * MS)
        self.wall += int(ms * MS)

    def sleep_ms(self, ms: float) -> None:
        """The machine is suspended: the monotonic clock stands still."""
        self.asleep += int(ms * MS)
        self.wall += int(ms * MS)

    def set_ms(self, ms: float) -> None:
        """Somebody sets the wall clock."""
        self.wall += int(ms * MS)


def test_a_quiet_round_tells_nothing():
    hands = Hands()
    meter = GapMeter(hands.machine())
    for waited_ms, asked_s in ((100, 0.1), (3, 5.0), (0, 0.0), (4_000, float("inf"))):
        hands.pass_ms(waited_ms)
        reading = meter.look(asked_s)
        assert reading is not None
        assert not reading.telling
        assert (reading.asleep_ns, reading.ahead_ms) == (0, 0)


def test_f36_a_stop_a_sleep_and_a_set_clock_are_told_apart():
    hands = Hands()
    meter = GapMeter(hands.machine())
    hands.pass_ms(600_000)  # SIGSTOP: all clocks go on
    assert meter.look(1.0) == (599_000, 0, 0)
    hands.sleep_ms(600_000)
    assert meter.look(1.0) == (599_000, 600_000 * MS, 0)
    hands.set_ms(3_600_000)
    hands.pass_ms(1_000)
    assert meter.look(1.0) == (0, 0, 3_600_000)
    hands.set_ms(-3_600_000)
    assert meter.look(1.0) == (0, 0, -3_600_000)


def test_noise_of_the_readings_never_adds_up_to_a_sleep():
    hands = Hands()
    meter = GapMeter(hands.machine())
    slept = 0
    for number in range(10_000):
        hands.pass_ms(1)
        hands.asleep = (number % 2) * 90_000  # two readings, a moment apart
        reading = meter.look(0.001)
        assert reading is not None
        slept += reading.asleep_ns
    assert slept == 0
    hands.asleep += 4 * MS
    meter.look(0.0)
    hands.asleep += 8 * MS
    reading = meter.look(0.0)
    assert reading is not None
    assert reading.asleep_ns >= 12 * MS - 90_000, "short sleeps are added up"


def test_a_stop_between_two_readings_is_not_taken_for_a_set_clock():
    moments = iter([0, 0, 0, 10_000 * MS, 10_000 * MS, 10_000 * MS])
    last = [10_000 * MS]

    def monotonic() -> int:
        last[0] = next(moments, last[0])
        return last[0]

    meter = GapMeter(MachineTime(monotonic, lambda: last[0], lambda: 0))
    reading = meter.look(0.0)
    assert reading is not None
    assert reading.ahead_ms == 0
    assert reading.stalled_ms == 10_000


_STEP = st.tuples(st.sampled_from(["pass", "sleep", "set"]), st.integers(-5_000_000, 5_000_000))


@given(st.lists(_STEP, max_size=40))
def test_f16_our_clock_never_runs_back_and_moves_on_by_proven_sleep_alone(steps):
    hands = Hands()
    loop = MarketLoop(1.0, hands.machine())
    clock = LoopClock(loop, EPOCH_MS)
    try:
        before = clock.now_ns()
        for kind, ms in steps:
            due = abs(ms) if kind != "set" else 0
            {"pass": hands.pass_ms, "sleep": hands.sleep_ms, "set": hands.set_ms}[kind](due if due else ms)
            loop._selector.select(0)
            now = clock.now_ns()
            moved = now - before
            assert moved >= 0
            assert moved == due * MS or (kind == "sleep" and abs(moved - due * MS) < 20 * MS)
            before = now
    finally:
        loop.close()


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_f36_after_a_sleep_timers_fire_at_once_and_who_decides_sees_the_new_time(speed):
    hands = Hands(real=True)
    loop = MarketLoop(speed, hands.machine())
    clock = LoopClock(loop, EPOCH_MS)
    told: list[tuple[Gap, int]] = []

    async def ticks():
        while True:  # a wait that began before a sleep goes on after it, so something must come round soon
            await clock.sleep(0.02 * speed)

    async def main():
        began = time.monotonic()
        ticking = loop.create_task(ticks())
        clock.on_gap(lambda gap: told.append((gap, clock.now_ms())))
        before_ms = clock.now_ms()
        loop.call_later(0.05 * speed, hands.sleep_ms, 600_000)
        await clock.sleep_until_ms(before_ms + int(600_000 * speed))
        assert time.monotonic() - began < 5
        assert abs(clock.behind_ms()) < 200 * speed
        ticking.cancel()
        return before_ms

    before_ms = run(main(), loop)
    ((gap, at_ms),) = told
    assert gap.moved_ms == int(600_000 * speed)
    assert gap.ahead_ms == 0
    assert at_ms - before_ms >= gap.moved_ms, "the listener is on the new time already"


def test_a_wall_clock_that_is_set_moves_nothing_but_is_told():
    hands = Hands(real=True)
    loop = MarketLoop(1.0, hands.machine())
    clock = LoopClock(loop, EPOCH_MS)
    told: list[Gap] = []

    async def main():
        clock.on_gap(told.append)
        began = clock.monotonic_s()
        hands.set_ms(3_600_000)
        await clock.sleep(0.02)
        assert clock.monotonic_s() - began < 2
        assert abs(clock.behind_ms() - 3_600_000) < 500
        clock.move_on(3_600_000)
        assert clock.monotonic_s() - began >= 3_600
        assert abs(clock.behind_ms()) < 500
        hands.set_ms(-TOLD_MS * 5)
        await clock.sleep(0.02)

    run(main(), loop)
    assert [(gap.moved_ms, round(gap.ahead_ms, -3)) for gap in told] == [(0, 3_600_000), (0, -5_000)]


def test_f36_a_process_that_was_stopped_is_told_how_long(tmp_path):
    code = f"""
import asyncio
from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop, run
loop = MarketLoop(1.0)
clock = LoopClock(loop, {EPOCH_MS})
done = loop.create_future()
clock.on_gap(lambda gap: done.done() or done.set_result(gap))
async def main():
    print("ready", flush=True)
    async def tick():
        while True:
            await clock.sleep(0.05)
    ticks = asyncio.ensure_future(tick())
    gap = await done
    print(*gap, flush=True)
run(main(), loop)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(STALLED_MS / 1_000 + 0.5)
        os.kill(process.pid, signal.SIGCONT)
        stalled_ms, moved_ms, ahead_ms = map(int, process.stdout.readline().split())
    finally:
        process.kill()
        process.communicate()
    assert STALLED_MS <= stalled_ms < STALLED_MS + 20_000
    assert (moved_ms, abs(ahead_ms) < 1_000) == (0, True)
