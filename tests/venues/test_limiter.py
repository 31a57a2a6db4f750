"""The request limiter on a simulated clock (F15, F16; reference orders.md 2.10)."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradecore.ports.limiter import Priority
from tradecore.venues.limiter import SHARES, RequestLimiter

CANCEL, RECONCILE, ORDER, DATA = Priority


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 30),
    asks=st.lists(
        st.tuples(st.integers(0, 90_000), st.sampled_from(list(Priority)), st.integers(1, 6), st.booleans()),
        min_size=1,
        max_size=60,
    ),
)
def test_no_minute_ever_holds_more_than_the_limit(make_world, limit, asks):
    world = make_world()
    limiter = RequestLimiter(world.clock, limit)
    granted: list[tuple[float, int, Priority]] = []

    async def turn(priority, weight):
        assert await limiter.acquire(priority, weight=weight)
        granted.append((world.clock.monotonic_s(), weight, priority))

    async def ask(at_ms, priority, weight, leaves):
        await world.until(at_ms)
        task = asyncio.ensure_future(turn(priority, weight))
        if leaves:
            await world.clock.sleep(0.5)
            task.cancel()
        await asyncio.wait({task})
        assert task.cancelled() or task.exception() is None

    async def story():
        await asyncio.gather(*(ask(*one) for one in asks))

    world.run(story())
    assert limiter.waiting == 0
    assert len(granted) >= sum(1 for one in asks if not one[3])
    for i, (start, _, _) in enumerate(granted):
        inside = [weight for at, weight, _ in granted[i:] if at < start + 59.999]
        assert sum(inside) <= limit or len(inside) == 1, "a request heavier than the limit goes alone"


def test_with_room_it_does_not_yield_to_the_loop(world):
    limiter = RequestLimiter(world.clock, 10)
    turn = limiter.acquire(ORDER)
    with pytest.raises(StopIteration) as ended:
        turn.send(None)
    assert ended.value.value is True


def test_f15_after_a_ban_cancels_go_first_then_by_arrival(world):
    limiter = RequestLimiter(world.clock, 100)
    order: list[str] = []

    async def ask(name, priority):
        assert await limiter.acquire(priority)
        order.append(name)

    async def story():
        limiter.penalize(30.0)
        asks = [("data", DATA), ("order 1", ORDER), ("reconcile", RECONCILE), ("order 2", ORDER), ("cancel", CANCEL)]
        tasks = [asyncio.ensure_future(ask(*one)) for one in asks]
        await world.clock.sleep(30.9)
        assert order == []
        await asyncio.gather(*tasks)
        assert world.clock.now_ms() == world.start_ms + 31_000, "a second later than the venue said"

    world.run(story())
    assert order == ["cancel", "reconcile", "order 1", "order 2", "data"]


def test_reading_data_never_uses_up_the_room_of_cancels(world):
    limiter = RequestLimiter(world.clock, 100)

    async def story():
        for _ in range(80):
            assert await limiter.acquire(DATA)
        now = world.clock.now_ms()
        assert not await limiter.acquire(DATA, deadline_ms=now + 1_000)
        for _ in range(15):
            assert await limiter.acquire(ORDER)
        assert not await limiter.acquire(ORDER, deadline_ms=world.clock.now_ms() + 1_000)
        for _ in range(5):
            assert await limiter.acquire(CANCEL)
        assert world.clock.now_ms() == now + 2_000

    world.run(story())
    assert SHARES[CANCEL] == 1.0


def test_f15_bans_grow_and_are_forgiven_after_quiet_time(world):
    limiter = RequestLimiter(world.clock, 100)

    def ban():
        limiter.penalize(None)
        return limiter.banned_until_ms - world.clock.now_ms()

    async def story():
        waits = []
        for _ in range(4):
            waits.append(ban())
            assert limiter.banned_until_ms == world.clock.now_ms() + waits[-1]
            await world.clock.sleep(waits[-1] / 1000)
            assert limiter.banned_until_ms == 0
        assert waits == [10_000, 20_000, 40_000, 80_000]
        await world.clock.sleep(601)
        assert ban() == 10_000

    world.run(story())


def test_f15_the_venues_word_holds_and_several_answers_at_once_are_one_ban(world):
    limiter = RequestLimiter(world.clock, 100)

    async def story():
        for _ in range(5):
            limiter.penalize(3.0)
        assert limiter.banned_until_ms == world.clock.now_ms() + 4_000
        limiter.penalize(7.0)
        limiter.penalize(None)
        assert limiter.banned_until_ms == world.clock.now_ms() + 8_000
        await world.clock.sleep(8)
        limiter.penalize(2.0)
        assert limiter.banned_until_ms == world.clock.now_ms() + 20_000

    world.run(story())


def test_a_deadline_that_comes_first_costs_nothing(world):
    limiter = RequestLimiter(world.clock, 1)

    async def story():
        assert await limiter.acquire(CANCEL)
        start = world.clock.now_ms()
        assert not await limiter.acquire(CANCEL, deadline_ms=start + 5_000)
        assert world.clock.now_ms() == start + 5_000
        assert not await limiter.acquire(CANCEL, deadline_ms=start)
        assert await limiter.acquire(CANCEL, deadline_ms=start + 61_000)
        assert world.clock.now_ms() == start + 60_000

    world.run(story())


def test_a_cancelled_waiter_costs_nothing_and_stalls_nobody(world):
    limiter = RequestLimiter(world.clock, 1)

    async def story():
        assert await limiter.acquire(CANCEL)
        waiters = [asyncio.ensure_future(limiter.acquire(ORDER)) for _ in range(5)]
        await world.clock.sleep(1)
        for waiter in waiters[:4]:
            waiter.cancel()
        assert await waiters[4]
        assert world.clock.now_ms() == world.start_ms + 60_000
        assert limiter.waiting == 0

    world.run(story())


def test_f16_a_wall_clock_that_steps_back_stalls_nobody(world):
    class Stepping:
        virtual = True
        step_ms = 0

        def now_ms(self):
            return world.clock.now_ms() + self.step_ms

        now_ns = monotonic_s = sleep = sleep_until_ms = None

    clock = Stepping()
    clock.monotonic_s = world.clock.monotonic_s
    clock.sleep = world.clock.sleep
    limiter = RequestLimiter(clock, 1)

    async def story():
        assert await limiter.acquire(ORDER)
        waiter = asyncio.ensure_future(limiter.acquire(ORDER))
        await world.clock.sleep(10)
        clock.step_ms = -3_600_000
        limiter.penalize(5.0)
        assert limiter.banned_until_ms == clock.now_ms() + 6_000
        assert await waiter
        assert world.clock.now_ms() == world.start_ms + 60_000

    world.run(story())


def test_a_limit_below_one_is_refused(world):
    with pytest.raises(ValueError, match="at least 1"):
        RequestLimiter(world.clock, 0)


def test_r34_what_others_use_counts(world):
    limiter = RequestLimiter(world.clock, 100)

    async def story():
        assert await limiter.acquire(DATA, weight=10)
        limiter.observe(5)  # a venue counts from its minute's start: less than ours means nothing
        assert limiter._minute.weight == 10
        limiter.observe(90)
        assert limiter._minute.weight == 90
        assert not await limiter.acquire(DATA, weight=5, deadline_ms=world.start_ms + 1_000)
        assert await limiter.acquire(CANCEL, weight=5), "a cancel has the whole minute"
        assert await limiter.acquire(DATA, weight=5)
        assert world.clock.now_ms() == world.start_ms + 60_000

    world.run(story())


def test_f16_observing_after_a_pause_forgets_what_is_over(world):
    limiter = RequestLimiter(world.clock, 100)

    async def story():
        assert await limiter.acquire(DATA, weight=50)
        await world.clock.sleep(61)
        limiter.observe(20)
        assert limiter._minute.weight == 20

    world.run(story())
