"""Attacks on the limiter: clocks that step, loops that stall, waiters that leave, bans in the queue (F15, F16)."""

from __future__ import annotations

import asyncio
import math
import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop
from tradecore.ports.limiter import Priority
from tradecore.venues.classify import RawReply, retry_after_of
from tradecore.venues.limiter import SHARES, RequestLimiter
from tradecore.venues.weights import windows_of
from tradecore.venues.windows import Spent, Window

CANCEL, RECONCILE, ORDER, DATA = Priority
START_MS = 1_700_000_000_000
DAY_S = 86_400.0
#: What a venue, a proxy or a fool may ask us to wait, seconds.
WORDS = st.one_of(
    st.none(), st.floats(0, 200), st.sampled_from([0.0, -5.0, math.nan, math.inf, -math.inf, 1e300, 1e9])
)  # fmt: skip


class Stepping:
    """A market clock whose wall side may be stepped; its monotonic side goes on."""

    virtual = True

    def __init__(self, loop: MarketLoop) -> None:
        self._clock = LoopClock(loop, START_MS)
        self.step_ms = 0
        self.monotonic_s, self.sleep = self._clock.monotonic_s, self._clock.sleep

    def now_ms(self) -> int:
        return self._clock.now_ms() + self.step_ms


class Attack(RuleBasedStateMachine):
    """Whatever happens: no window overdrawn, nobody through in a ban, turns by priority, nobody left behind."""

    @initialize(
        limit=st.integers(1, 30), ten=st.one_of(st.none(), st.integers(1, 12)), orders=st.one_of(st.none(), st.just(2)),
        span_s=st.sampled_from([10.0, 60.0]),
    )  # fmt: skip
    def begin(self, limit, ten, orders, span_s):
        self.loop = MarketLoop()
        self.clock = Stepping(self.loop)
        self.windows = [Window(limit, 60.0)]
        self.windows += [Window(ten, span_s)] if ten else []
        self.windows += [Window(orders, 10.0, orders_only=True)] if orders else []
        self.limiter = RequestLimiter(self.clock, limit, self.windows[1:])
        self.used = [[] for _ in self.windows]
        self.weighed = [1] if ten else [0]
        """The window that weight is counted in: the venue's where it is known."""
        self.banned_s = -math.inf
        self.tasks = []
        self.keys = {}
        self.number = 0

    # What happens ------------------------------------------------------------------------------------------------

    @rule(
        priority=st.sampled_from(list(Priority)), weight=st.integers(1, 40),
        wait_ms=st.one_of(st.none(), st.integers(-100, 90_000)),
    )  # fmt: skip
    def ask(self, priority, weight, wait_ms):
        self.number += 1
        key = (int(priority), self.number)
        deadline_ms = None if wait_ms is None else self.clock.now_ms() + wait_ms

        async def turn():
            asked_s = self.clock.monotonic_s()
            self.keys[key] = None
            try:
                granted = await self.limiter.acquire(priority, weight=weight, deadline_ms=deadline_ms)
            finally:
                del self.keys[key]
            if granted:
                self.granted(key, priority, weight)
                assert deadline_ms is None or self.clock.now_ms() < deadline_ms, (
                    "a turn after its deadline is of no use"
                )
            else:
                assert deadline_ms is not None
                assert self.clock.now_ms() >= deadline_ms
                self.given_up_s = self.clock.monotonic_s() - asked_s

        self.tasks.append(self.loop.create_task(turn()))
        self.rest()

    @rule(data=st.data())
    def leave(self, data):
        pending = [task for task in self.tasks if not task.done()]
        if pending:
            data.draw(st.sampled_from(pending)).cancel()
        self.rest()

    @rule(seconds=st.floats(0, 30))
    def pass_time(self, seconds):
        self.go(self.clock.sleep(seconds))

    @rule(seconds=st.sampled_from([0.3, 9.9, 61.0, 600.0]), leaves=st.booleans(), data=st.data())
    def stall(self, seconds, leaves, data):
        """The loop is held, or the process stopped; many timers and a cancel are due in one round."""

        async def held():
            self.loop.jump(seconds)

        pending = [task for task in self.tasks if not task.done()]
        self.go(held())
        if leaves and pending:
            data.draw(st.sampled_from(pending)).cancel()
        self.rest()

    @rule(step_ms=st.sampled_from([-3_600_000, -500, 500, 3_600_000]))
    def step_wall(self, step_ms):
        self.clock.step_ms += step_ms

    @rule(word=WORDS)
    def ban(self, word):
        now_s = self.clock.monotonic_s()
        told = word is not None and word >= 0
        if told:
            self.banned_s = max(self.banned_s, now_s + min(word, 3 * DAY_S))
        elif not told and now_s >= self.banned_s + 1.0:  # sooner it is an answer of the same ban
            self.banned_s = now_s + 10.0
        self.limiter.penalize(word)

    @rule(used=st.integers(0, 60))
    def hear(self, used):
        now_s = self.clock.monotonic_s()
        for number in self.weighed:
            if self.windows[number].seconds == 60.0:
                own = sum(weight for at_s, weight in self.used[number] if now_s - at_s < 60.0)
                if used > own:
                    self.used[number].append((now_s, used - own))
        self.limiter.observe(used)

    # What must hold ----------------------------------------------------------------------------------------------

    def granted(self, key, priority, weight):
        now_s = self.clock.monotonic_s()
        assert now_s >= self.banned_s, "nobody goes while banned (INV-15)"
        assert all(key < other for other in self.keys if self.waits(other)), "turns by priority, then by arrival"
        for number, (window, used) in enumerate(zip(self.windows, self.used, strict=True)):
            if window.orders_only and priority is not ORDER:
                continue
            need = weight if number in self.weighed else 1
            allowed = max(1, int(window.most * (1.0 if window.orders_only else SHARES[priority])))
            before = sum(one for at_s, one in used if now_s - at_s < window.seconds - 1e-6)
            assert before + min(need, allowed) <= allowed, (window, before, need)
            used.append((now_s, need))

    def waits(self, key):
        return any(waiter.key[0] == key[0] for waiter in self.limiter._queue) and key in self.keys

    @invariant()
    def counts_its_queue(self):
        assert self.limiter.waiting == len(self.keys)
        assert self.limiter.left >= 0
        assert self.limiter.banned_until_ms >= 0

    @invariant()
    def no_task_died(self):
        for task in self.tasks:
            if task.done() and not task.cancelled():
                task.result()
        self.tasks = [task for task in self.tasks if not task.done()]

    def go(self, story):
        self.loop.run_until_complete(story)
        self.rest()

    def rest(self):
        async def rounds():
            for _ in range(6):
                await asyncio.sleep(0)

        self.loop.run_until_complete(rounds())

    def teardown(self):
        if not hasattr(self, "loop"):
            return
        try:
            # the longest ban and then a minute for each that waits: whoever is there still was forgotten
            self.go(self.clock.sleep(3 * DAY_S + 2 + 61.0 * (len(self.tasks) + 1)))
            self.no_task_died()
            assert self.tasks == []
            self.counts_its_queue()
            assert [task for task in asyncio.all_tasks(self.loop) if not task.done()] == []
        finally:
            self.loop.close()


Attack.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestF15F16Attack = Attack.TestCase


# Words of a venue ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "0"}, 0.0),
        ({"RETRY-AFTER": " 17 "}, 17.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "1e5"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "9" * 400}, 3 * DAY_S),
        ({"Retry-After": "999999999"}, 3 * DAY_S),
        ({"Retry-After": "Sat, 21 Nov 2026 07:00:30 GMT", "Date": "Sat, 21 Nov 2026 07:00:00 GMT"}, 30.0),
        ({"Retry-After": "Sat, 21 Nov 2026 07:00:30 -0000", "date": "Sat, 21 Nov 2026 07:00:00 GMT"}, 30.0),
        ({"Retry-After": "Sat, 21 Nov 2026 06:00:00 GMT", "Date": "Sat, 21 Nov 2026 07:00:00 GMT"}, 0.0),
        ({"Retry-After": "Sat, 21 Nov 2096 06:00:00 GMT", "Date": "Sat, 21 Nov 2026 07:00:00 GMT"}, 3 * DAY_S),
        ({"Retry-After": "Sat, 21 Nov 2026 07:00:30 GMT"}, None),
        ({"Retry-After": "Sat, 21 Nov 2026 07:00:30 GMT", "Date": "now"}, None),
        ({"Retry-After": "Sat, 99 Nov 99999 07:00:30 GMT", "Date": "Sat, 21 Nov 2026 07:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_f15_whatever_a_venue_says_is_seconds_or_nothing(headers, wait_s):
    assert retry_after_of(RawReply(True, 429, headers, "{}")) == wait_s


def test_f15_a_word_without_an_end_is_three_days(world):
    limiter = RequestLimiter(world.clock, 10)
    limiter.penalize(math.inf)
    assert limiter.banned_until_ms == world.start_ms + int(3 * DAY_S * 1000) + 1000

    async def story():
        assert await limiter.acquire(CANCEL)
        assert world.clock.now_ms() == world.start_ms + int(3 * DAY_S * 1000) + 1000

    world.run(story())


@pytest.mark.parametrize("word", [-5.0, math.nan, -math.inf])
def test_f15_a_word_that_is_none_bans_as_no_word_does(world, word):
    limiter = RequestLimiter(world.clock, 10)
    limiter.penalize(word)
    assert limiter.banned_until_ms == world.start_ms + 10_000


# Several windows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stretch_s", [0.0, 0.4, 0.9, 1.9])
def test_r34_mexc_counts_in_ten_seconds_however_late_requests_arrive(world, stretch_s):
    """Each request arrives late by chance, up to so much: the venue never counts more than 300 in ten seconds."""
    limiter, chance = RequestLimiter(world.clock, 100_000, windows_of("mexc")), random.Random(7)
    at_s: list[float] = []

    async def story():
        for _ in range(1_400):
            assert await limiter.acquire(CANCEL)
            at_s.append(world.clock.monotonic_s() + chance.uniform(0, stretch_s))

    world.run(story())
    at_s.sort()
    assert all(later - earlier > 10.0 for earlier, later in zip(at_s, at_s[300:], strict=False))
    assert at_s[-1] < 1_400 / 285 * 12, "and it is used"


@pytest.mark.parametrize("stretch_s", [0.4, 1.0, 1.9])
def test_r34_mexc_counts_no_more_where_a_machine_stalls_and_then_sends_at_once(world, stretch_s):
    """A loop that hangs holds back all that was let through meanwhile: at the venue it comes at one moment."""
    limiter = RequestLimiter(world.clock, 100_000, windows_of("mexc"))
    at_s: list[float] = []

    async def story():
        for _ in range(1_400):
            assert await limiter.acquire(CANCEL)
            now_s = world.clock.monotonic_s()
            at_s.append(math.ceil(now_s / stretch_s) * stretch_s)

    world.run(story())
    assert all(later - earlier > 10.0 for earlier, later in zip(at_s, at_s[300:], strict=False))


def test_r34_binance_counts_orders_in_ten_seconds_whatever_else_is_asked(world):
    limiter = RequestLimiter(world.clock, 6_000, windows_of("binance"))
    (most,) = (window.most for window in windows_of("binance") if window.orders_only)

    async def story():
        for _ in range(most):
            assert await limiter.acquire(ORDER)
            assert await limiter.acquire(RECONCILE, weight=4)
        assert world.clock.now_ms() == world.start_ms
        assert not await limiter.acquire(ORDER, deadline_ms=world.start_ms + 5_000)
        assert await limiter.acquire(CANCEL)
        assert world.clock.now_ms() == world.start_ms + 5_000
        assert await limiter.acquire(ORDER)
        assert world.clock.now_ms() == world.start_ms + 10_500

    world.run(story())
    assert most <= 100


def test_our_own_minute_counts_requests_where_the_venue_counts_weight(world):
    limiter = RequestLimiter(world.clock, 50, windows_of("binance"))

    async def story():
        for _ in range(49):
            assert await limiter.acquire(RECONCILE, weight=80)
        assert limiter.left == 1
        assert not await limiter.acquire(RECONCILE, weight=1, deadline_ms=world.start_ms + 1_000)
        assert await limiter.acquire(CANCEL)
        limiter.observe(6_000)  # others use the address
        assert not await limiter.acquire(CANCEL, deadline_ms=world.start_ms + 60_000)

    world.run(story())


def test_other_exchanges_have_no_window_that_we_know():
    assert windows_of("kraken") == ()


@pytest.mark.parametrize("window", [Window(0, 60.0), Window(5, 0.0), Window(5, math.inf), Window(5, math.nan)])
def test_a_window_of_nothing_is_refused(window):
    with pytest.raises(ValueError, match="at least 1 request"):
        Spent(window)


# Starvation ------------------------------------------------------------------------------------------------------


def test_reads_of_orders_never_use_up_the_room_of_cancels(world):
    limiter = RequestLimiter(world.clock, 100)

    async def story():
        for _ in range(98):
            assert await limiter.acquire(RECONCILE)
        assert not await limiter.acquire(RECONCILE, deadline_ms=world.start_ms + 1_000)
        for _ in range(2):
            assert await limiter.acquire(CANCEL)
        assert world.clock.now_ms() == world.start_ms + 1_000

    world.run(story())


def test_data_get_the_rest_while_others_keep_asking(world):
    """Half of the room is asked for without a pause by those who go first; data wait, and get the other half."""
    limiter = RequestLimiter(world.clock, 60)
    read: list[int] = []

    async def urgent():
        for _ in range(300):
            assert await limiter.acquire(RECONCILE)
            await world.clock.sleep(2)

    async def data():
        while True:
            assert await limiter.acquire(DATA)
            read.append(world.clock.now_ms())

    async def story():
        tasks = [asyncio.ensure_future(one) for one in (urgent(), data(), data(), data())]
        await tasks[0]
        for task in tasks[1:]:
            task.cancel()
        await asyncio.wait(tasks)

    world.run(story())
    minutes = [
        sum(world.start_ms + 60_000 * n <= at < world.start_ms + 60_000 * (n + 1) for at in read) for n in range(9)
    ]
    assert min(minutes[1:]) >= 15, minutes


def test_a_heavy_request_is_not_overtaken_for_ever_by_light_ones_of_its_kind(world):
    limiter = RequestLimiter(world.clock, 100)
    done: list[str] = []

    async def light():
        while "heavy" not in done:
            assert await limiter.acquire(DATA)

    async def heavy():
        assert await limiter.acquire(DATA, weight=80)
        done.append("heavy")

    async def story():
        lights = [asyncio.ensure_future(light()) for _ in range(3)]
        await world.clock.sleep(1)
        await asyncio.wait_for(heavy(), 130)
        await asyncio.gather(*lights)

    world.run(story())
    assert done == ["heavy"]
