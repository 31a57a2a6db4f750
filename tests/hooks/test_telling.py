"""Telling hooks: alone, in order, awaited up to a deadline; nobody can hold the caller or bring it down."""

from __future__ import annotations

import asyncio
import time

import pytest

from tradecore import Reason, Resources, Verdict, hookimpl
from tradecore.hooks.relay import EventRelay
from tradecore.model.events import Heartbeat, SlowCycle, Stamped


def teller(base, action, title="bad"):
    class Bad(base):
        name = title

        @hookimpl
        def on_fail(self, intent, reason, detail, event_id):
            return action()

    return Bad


async def tell(calls, words):
    await calls.tell("on_fail", words.intent, Reason.NO_LIQUIDITY, "", "e")


async def exits():
    await asyncio.sleep(0)
    raise SystemExit(7)


async def interrupts():
    raise KeyboardInterrupt


async def cancels_itself():
    raise asyncio.CancelledError


async def raises():
    await asyncio.sleep(0)
    raise ValueError("later")


def raises_now():
    raise OSError("at once")


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (exits, "SystemExit: 7"),
        (interrupts, "KeyboardInterrupt"),
        (cancels_itself, "CancelledError"),
        (raises, "ValueError: later"),
        (raises_now, "OSError: at once"),
    ],
)
async def test_one_failure_is_counted_and_the_others_are_told(seat, base, words, action, said):
    heard = []
    calls = seat(teller(base, action), teller(base, lambda: heard.append(1), "good"))
    await tell(calls, words)
    assert heard == [1]
    assert [fault.fault for fault in calls.ear.faults] == [said]


async def test_a_deadline_ends_a_guest_that_waits(seat, base, words):
    ended = []

    async def waits():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    calls = seat(teller(base, waits), deadlines_ms={"on_fail": 30.0})
    start = time.perf_counter()
    await tell(calls, words)
    assert time.perf_counter() - start < 2.0
    assert calls.ear.faults[0].fault == "overran 30 ms and was told to end"
    assert calls.ear.late[0].deadline_ms == 30.0
    await asyncio.sleep(0.01)
    assert ended == [True]
    assert calls.unfinished == 0


async def test_a_guest_that_swallows_its_cancellation_holds_nobody(seat, base, words):
    release = asyncio.Event()
    heard = []

    async def stubborn():
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                heard.append("no")

    calls = seat(
        teller(base, stubborn), teller(base, lambda: heard.append("next"), "good"), deadlines_ms={"on_fail": 20.0}
    )
    await asyncio.wait_for(tell(calls, words), 2)
    await asyncio.sleep(0)
    assert sorted(heard) == ["next", "no"]
    assert calls.unfinished == 1
    release.set()
    await asyncio.sleep(0.01)
    assert calls.unfinished == 0


async def test_the_deadline_is_wall_time_on_a_fast_loop(seat, base, words):
    """60 seconds of the loop per second of the wall: 20 ms of the wall are 1.2 s of the loop."""
    calls = seat(teller(base, lambda: asyncio.sleep(0.3)), deadlines_ms={"on_fail": 20.0}, time_scale=60.0)
    await tell(calls, words)
    assert calls.ear.faults == []


async def test_on_virtual_time_lateness_is_told_by_market_time_and_never_acts(seat, base, words, still_clock):
    clock = still_clock(virtual=True)

    async def slow():
        clock.now_s += 5.0
        await asyncio.sleep(0.01)

    calls = seat(teller(base, slow), deadlines_ms={"on_fail": 1000.0}, clock=clock)
    await tell(calls, words)
    assert calls.ear.faults == []
    assert [(late.duration_ms, late.deadline_ms) for late in calls.ear.late] == [(5000.0, 1000.0)]


async def test_on_virtual_time_no_deadline_of_the_wall_ends_anybody(seat, base, words, still_clock):
    ended = []

    async def slow():
        await asyncio.sleep(0.1)
        ended.append(True)

    calls = seat(teller(base, slow), deadlines_ms={"on_fail": 5.0}, clock=still_clock(virtual=True))
    await tell(calls, words)
    assert ended == [True]
    assert calls.ear.faults == []


async def test_who_is_cancelled_while_telling_is_cancelled(seat, base, words):
    ended = []

    async def waits():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    calls = seat(teller(base, waits))
    task = asyncio.create_task(tell(calls, words))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert ended == [True]
    assert calls.ear.faults == []


async def test_who_is_cancelled_before_the_guest_begins_leaves_nothing_behind(seat, base, words):
    async def never():
        raise AssertionError("began")

    calls = seat(teller(base, never))
    task = asyncio.create_task(tell(calls, words))
    await asyncio.sleep(0)  # the guest's own task exists now and has not begun
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert calls.unfinished == 0


async def test_the_breadcrumb_is_set_while_a_coroutine_runs_and_not_while_it_waits(seat, base, words):
    seen = []

    async def steps():
        seen.append(calls.crumb.at)
        await asyncio.sleep(0.01)
        seen.append(calls.crumb.at)

    calls = seat(teller(base, steps))
    task = asyncio.create_task(tell(calls, words))
    await asyncio.sleep(0.002)
    seen.append(calls.crumb.at)
    await task
    assert seen == [("bad", "on_fail"), None, ("bad", "on_fail")]


async def test_three_failures_and_it_is_told_no_more(seat, base, words):
    told = []

    def fails():
        told.append(1)
        raise ValueError

    calls = seat(teller(base, fails))
    for _ in range(5):
        await tell(calls, words)
    assert len(told) == 3
    assert calls.quarantined == {("bad", "on_fail")}


async def test_shutdown_is_told_to_all_whoever_fails(seat, base):
    heard = []

    def maker(title, action):
        class One(base):
            name = title

            @hookimpl
            def on_shutdown(self, reason):
                heard.append(title)
                return action()

        return One

    makers = (maker("a", lambda: None), maker("b", lambda: asyncio.sleep(60)), maker("c", raises_now))
    calls = seat(*makers, deadlines_ms={"on_shutdown": 20.0})
    await asyncio.wait_for(calls.tell("on_shutdown", "stop"), 2)
    assert heard == ["c", "b", "a"]


async def test_a_guest_that_does_not_start_is_told_no_more_and_a_gate_is_shut(seat, base, words, tmp_path):
    class NoModel(base):
        @hookimpl
        async def on_start(self, resources):
            raise FileNotFoundError("model.bin")

        @hookimpl
        def risk_check(self, intent):
            return Verdict()

        @hookimpl
        def on_fail(self, intent):
            raise AssertionError("never told in this test")

    class Teller(base):
        @hookimpl
        def on_start(self, resources):
            raise OSError("no socket")

        @hookimpl
        def on_fail(self, intent):
            raise ValueError("told")

    calls = seat(NoModel, Teller)
    resources = Resources(tmp_path, {}, "run")
    await calls.start({"nomodel": resources, "teller": resources})
    assert calls.quarantined == {("nomodel", "on_start"), ("teller", "on_start")}
    assert {facts[:2] for facts in calls.ear.quarantines} == calls.quarantined
    assert (
        calls.risk(words.intent, words.portfolio, words.market).fault == "nomodel.risk_check: its guest did not start"
    )
    assert calls.active("on_fail") == ("nomodel", "teller")
    calls.lift("nomodel", "on_start")
    assert calls.risk(words.intent, words.portfolio, words.market).allowed


async def test_a_gate_stays_shut_after_a_restart_until_the_operator_lifts_it(seat, base, words, tmp_path):
    class Gate(base):
        @hookimpl
        def on_start(self, resources):
            raise AssertionError("not told: it is quarantined")

        @hookimpl
        def risk_check(self, intent):
            return Verdict()

    calls = seat(Gate)
    calls.restore([("gate", "on_start")])
    await calls.start({"gate": Resources(tmp_path, {}, "run")})
    assert not calls.risk(words.intent, words.portfolio, words.market).allowed
    assert calls.ear.faults == []


# Events beside the trading path -----------------------------------------------------------------------------------

SLOW = Stamped(1, SlowCycle("scan", "slow", 1200.0))
BEAT = Stamped(2, Heartbeat(1.0, 0.0, 0, 0, 0, 0, "ACTIVE"))


def listener(base, action, title="listener"):
    class One(base):
        name = title
        events = frozenset({"slow_cycle"})

        @hookimpl
        def on_event(self, event):
            return action(event)

    return One


async def test_the_relay_takes_only_kinds_that_somebody_wants(seat, base):
    heard = []
    relay = EventRelay(seat(listener(base, heard.append)), virtual=False)
    relay.start()
    assert relay.offer(SLOW)
    assert not relay.offer(BEAT)
    assert await relay.stop(1.0)
    assert heard == [SLOW]
    assert relay.dropped == 0
    assert not relay.offer(SLOW)


async def test_a_full_queue_drops_and_counts_and_never_waits(seat, base):
    release = asyncio.Event()
    heard = []

    async def slow(event):
        await release.wait()
        heard.append(event)

    relay = EventRelay(seat(listener(base, slow)), capacity=10, virtual=False)
    relay.start()
    await asyncio.sleep(0)
    taken = [relay.offer(SLOW) for _ in range(25)]
    assert taken == [True] * 10 + [False] * 15
    assert relay.dropped == 15
    release.set()
    assert await relay.stop(1.0)
    assert len(heard) == relay.told == 10


async def test_on_virtual_time_the_queue_drops_nothing(seat, base):
    heard = []
    relay = EventRelay(seat(listener(base, heard.append)), capacity=2, virtual=True)
    assert all(relay.offer(SLOW) for _ in range(50))
    relay.start()
    assert await relay.stop(0.0)
    assert len(heard) == 50


async def test_a_listener_that_hangs_does_not_hold_the_end(seat, base):
    relay = EventRelay(seat(listener(base, lambda event: asyncio.sleep(60))), virtual=False)
    relay.start()
    relay.offer(SLOW)
    relay.offer(SLOW)
    await asyncio.sleep(0)
    start = time.perf_counter()
    assert not await relay.stop(0.05)
    assert time.perf_counter() - start < 2.0
    assert relay.dropped == 1
    assert relay.depth == 0


async def test_a_listener_that_fails_is_quarantined_and_the_relay_goes_on(seat, base):
    heard = []

    def fails(event):
        raise ValueError

    calls = seat(listener(base, fails, "bad"), listener(base, heard.append, "good"))
    relay = EventRelay(calls, virtual=False)
    relay.start()
    for _ in range(5):
        relay.offer(SLOW)
    assert await relay.stop(1.0)
    assert len(heard) == 5
    assert calls.quarantined == {("bad", "on_event")}


async def test_a_relay_nobody_listens_to_has_no_task(seat):
    relay = EventRelay(seat(), virtual=False)
    relay.start()
    assert not relay.offer(SLOW)
    assert await relay.stop(0.0)
