"""Virtual and scaled loops: time jumps exactly, foreign threads are refused, signals arrive, ends are clean."""

import asyncio
import os
import signal
import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop, run

EPOCH_MS = 1_735_689_600_000


def test_virtual_time_jumps_a_year_at_once():
    loop = MarketLoop()
    clock = LoopClock(loop, EPOCH_MS)

    async def main():
        for hour in range(1, 24 * 365 + 1):
            await clock.sleep_until_ms(EPOCH_MS + hour * 3_600_000)
            assert clock.now_ns() == (EPOCH_MS + hour * 3_600_000) * 1_000_000
        return clock.monotonic_s()

    began = time.monotonic()
    assert run(main(), loop) == 365 * 86_400.0
    assert time.monotonic() - began < 20


@given(st.lists(st.integers(1, 40 * 365 * 86_400_000), min_size=1, max_size=30))
@settings(max_examples=60)
def test_each_sleep_until_ends_exactly_then_among_odd_timers(moments):
    loop = MarketLoop()
    clock = LoopClock(loop, EPOCH_MS)

    async def sleeper(at_ms):
        await clock.sleep_until_ms(EPOCH_MS + at_ms)
        return clock.now_ns() - (EPOCH_MS + at_ms) * 1_000_000

    async def main():
        # Timers that end just before, on no whole microsecond, must not wake the others early.
        for at_ms in moments:
            asyncio.get_running_loop().call_at(at_ms / 1000 - 1e-6, int)
            asyncio.get_running_loop().call_at(at_ms / 1000 - 3.7e-7, int)
        return await asyncio.gather(*map(sleeper, moments))

    assert set(run(main(), loop)) == {0}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
@settings(max_examples=60)
def test_virtual_timers_fire_in_order_and_time_never_runs_back(delays):
    loop = MarketLoop()
    seen = []

    async def sleeper(delay):
        await asyncio.sleep(delay)
        seen.append((delay, loop.time()))

    async def main():
        await asyncio.gather(*map(sleeper, delays))

    run(main(), loop)
    assert len(seen) == len(delays)
    times = [at for _, at in seen]
    assert times == sorted(times)
    assert all(abs(at - delay) < 1e-6 for delay, at in seen)


def test_the_order_of_virtual_events_is_always_the_same():
    def once():
        loop, log = MarketLoop(), []

        async def worker(name, every):
            for _ in range(50):
                await asyncio.sleep(every)
                log.append((name, loop.now_ns()))

        async def main():
            await asyncio.gather(worker("a", 0.3), worker("b", 0.1), worker("c", 0.30000000001))

        run(main(), loop)
        return log

    assert once() == once()


def test_a_scaled_loop_runs_faster_than_the_wall():
    loop = MarketLoop(50)
    clock = LoopClock(loop, EPOCH_MS)

    async def main():
        await clock.sleep_until_ms(EPOCH_MS + 10_000)
        assert EPOCH_MS + 10_000 <= clock.now_ms() < EPOCH_MS + 60_000
        await clock.sleep(5)

    began = time.monotonic()
    run(main(), loop)
    assert 0.29 <= time.monotonic() - began < 3


def test_a_loop_at_speed_one_keeps_the_wall_s_pace():
    loop = MarketLoop(1)

    async def main():
        await asyncio.sleep(0.1)
        return loop.time()

    began = time.monotonic()
    market_s = run(main(), loop)
    assert 0.1 <= market_s <= time.monotonic() - began + 0.05


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_that_is_none_is_refused(speed):
    with pytest.raises(ValueError, match="positive speed"):
        MarketLoop(speed)


def test_a_wake_up_from_a_foreign_thread_raises_in_the_thread_and_on_the_loop():
    loop = MarketLoop()
    raised = []

    def intrude():
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as error:
            raised.append(str(error))

    async def main():
        thread = threading.Thread(target=intrude, name="intruder")
        thread.start()
        thread.join()
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError, match="intruder"):
        run(main(), loop)
    assert "virtual time" in raised[0]


def test_work_in_a_thread_is_refused_on_virtual_time_and_done_on_a_scaled_loop():
    async def main():
        return await asyncio.to_thread(threading.get_ident)

    with pytest.raises(RuntimeError, match="no thread"):
        run(main(), MarketLoop())
    assert run(main(), MarketLoop(10)) != threading.get_ident()


def test_call_soon_threadsafe_from_the_loop_s_own_thread_is_a_plain_call():
    loop = MarketLoop()

    async def main():
        done = asyncio.Event()
        loop.call_soon_threadsafe(done.set)
        await done.wait()
        return loop.time()

    assert run(main(), loop) == 0.0


def test_waiting_for_nothing_on_virtual_time_is_an_error_not_a_hang():
    async def main():
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing scheduled"):
        run(main(), MarketLoop())


def test_sockets_are_served_before_virtual_time_moves():
    loop = MarketLoop()

    async def main():
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            right.setblocking(False)
            for k in range(200):
                reading = asyncio.ensure_future(loop.sock_recv(right, 8))
                await asyncio.sleep(0)
                await loop.sock_sendall(left, str(k).encode())
                assert await asyncio.wait_for(reading, 3600) == str(k).encode()
        return loop.time()

    assert run(main(), loop) == 0.0


@pytest.mark.parametrize("speed", [None, 1, 600])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_their_handlers_promptly(speed, number):
    loop = MarketLoop(speed)
    heard = []

    async def main():
        stop = asyncio.Event()

        def handler():
            heard.append(time.monotonic())
            stop.set()

        loop.add_signal_handler(number, handler)
        killer = threading.Timer(0.1, os.kill, (os.getpid(), number))
        killer.start()
        while not stop.is_set():  # noqa: ASYNC110 - the loop must stay busy with timers
            await asyncio.sleep(0.5)
        killer.join()
        loop.remove_signal_handler(number)

    found = signal.getsignal(number)
    began = time.monotonic()
    run(main(), loop)
    signal.signal(number, found)  # a test run may have been started with SIGINT ignored
    assert 0.09 < heard[0] - began < 1.5


def test_a_signal_reaches_a_virtual_loop_that_waits_for_nothing_else():
    loop = MarketLoop()

    async def main():
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        killer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
        killer.start()
        await stop.wait()
        killer.join()
        loop.remove_signal_handler(signal.SIGTERM)
        return loop.time()

    assert run(main(), loop) == 0.0


def test_run_cancels_what_is_left_and_closes_the_loop():
    loop, ended = MarketLoop(), []

    async def leftover():
        try:
            await asyncio.sleep(1e6)
        finally:
            ended.append(loop.time())

    async def main():
        loop.create_task(leftover())
        await asyncio.sleep(2)
        return 7

    assert run(main(), loop) == 7
    assert ended == [2.0]
    assert loop.is_closed()
    late = main()
    with pytest.raises(RuntimeError, match="fresh loop"):
        run(late, loop)


def test_run_reports_a_leftover_that_raises_while_it_is_cancelled():
    loop, heard = MarketLoop(), []
    loop.set_exception_handler(lambda _, context: heard.append(context["exception"]))

    async def leftover():
        try:
            await asyncio.sleep(1e6)
        finally:
            raise ValueError("on the way out")

    async def main():
        loop.create_task(leftover())
        await asyncio.sleep(1)

    run(main(), loop)
    assert [str(error) for error in heard] == ["on the way out"]


def test_run_hands_on_what_main_raised_and_still_closes():
    loop = MarketLoop()

    async def main():
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run(main(), loop)
    assert loop.is_closed()


def test_a_loop_has_one_epoch():
    loop = MarketLoop()
    LoopClock(loop, EPOCH_MS)
    LoopClock(loop, EPOCH_MS)
    with pytest.raises(RuntimeError, match="one epoch"):
        LoopClock(loop, EPOCH_MS + 1)
    loop.close()
