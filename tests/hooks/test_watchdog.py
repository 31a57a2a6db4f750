"""The watchdog, with real threads and signals: sleeps and loops are interrupted, what cannot be ends the process."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from tradecore import Reason, Verdict, hookimpl
from tradecore.hooks.watchdog import EXIT_HUNG, Breadcrumb, Overrun, Watchdog

LIMIT_S = 0.2


@pytest.fixture
def watched(seat):
    """Calls under a watchdog whose end of the process is only noted."""
    dogs = []

    def make(*makers, hang_s=20.0, **options):
        calls = seat(*makers, **options)
        calls.reports, calls.hangs, calls.ends = [], [], []
        dog = Watchdog(
            calls.crumb, limit_s=LIMIT_S, hang_s=hang_s,
            on_overrun=lambda *facts: calls.reports.append((*facts, threading.current_thread().name)),
            on_hang=lambda *facts: calls.hangs.append(facts), end=calls.ends.append,
        )  # fmt: skip
        dog.start()
        dogs.append(dog)
        return calls

    before = signal.getsignal(signal.SIGUSR1)
    yield make
    assert all(dog.stop() for dog in dogs)
    assert signal.getsignal(signal.SIGUSR1) is before
    assert "watchdog" not in [thread.name for thread in threading.enumerate()]


def sleeps():
    time.sleep(30)


def loops():
    while True:
        pass


def loops_in_c_and_python():
    while True:
        sum(range(1000))


def swallows_every_exception():
    while True:
        try:
            time.sleep(30)
        except Exception:  # noqa: BLE001 - what a careless guest does
            continue


def risky(base, action, title="hangs"):
    class Hangs(base):
        name = title

        @hookimpl
        def risk_check(self, intent):
            action()
            return Verdict()

    return Hangs


@pytest.mark.parametrize("action", [sleeps, loops, loops_in_c_and_python, swallows_every_exception])
def test_a_guest_that_holds_the_program_is_interrupted_and_the_others_are_asked(watched, base, words, action):
    calls = watched(risky(base, action), risky(base, lambda: None, "fine"))
    start = time.monotonic()
    answer = calls.risk(words.intent, words.portfolio, words.market)
    assert time.monotonic() - start < LIMIT_S + 1.0
    assert not answer.allowed
    assert answer.fault == "hangs.risk_check: Overrun: overran 0.2 s and was interrupted"
    ((plugin, hook, seconds, thread),) = calls.reports
    assert (plugin, hook, thread) == ("hangs", "risk_check", "watchdog")
    assert LIMIT_S <= seconds < LIMIT_S + 1.0
    assert calls.ends == []


def test_an_exit_waits_no_longer_than_the_limit_for_a_router_that_hangs(watched, base, words):
    class Router(base):
        @hookimpl
        def route_order(self, intent):
            time.sleep(30)

    calls = watched(Router, strikes=1)
    start = time.monotonic()
    assert calls.route(words.exit, words.book, (), words.t0, "").answer is None
    assert time.monotonic() - start < LIMIT_S + 1.0
    start = time.monotonic()
    assert calls.route(words.exit, words.book, (), words.t0, "router").fault == "router.route_order: quarantined"
    assert time.monotonic() - start < 0.1


def test_an_error_whose_text_hangs_is_interrupted(watched, base, words):
    class Hangs(Exception):
        def __str__(self):
            time.sleep(30)
            return "late"

    def action():
        raise Hangs

    calls = watched(risky(base, action))
    start = time.monotonic()
    assert calls.risk(words.intent, words.portfolio, words.market).fault.endswith("its text could not be read")
    assert time.monotonic() - start < LIMIT_S + 1.0


async def test_a_coroutine_that_blocks_the_loop_is_interrupted(watched, base, words):
    class Blocks(base):
        @hookimpl
        async def on_fail(self, intent):
            time.sleep(30)  # noqa: ASYNC251 - this is the misbehaviour

    calls = watched(Blocks)
    start = time.monotonic()
    await calls.tell("on_fail", words.intent, Reason.NO_LIQUIDITY, "", "e")
    assert time.monotonic() - start < LIMIT_S + 1.0
    assert calls.ear.faults[0].fault == "Overrun: overran 0.2 s and was interrupted"


def test_many_short_calls_are_nobodys_overrun(watched, base, words):
    calls = watched(risky(base, lambda: None))
    end = time.monotonic() + LIMIT_S * 3
    while time.monotonic() < end:
        assert calls.risk(words.intent, words.portfolio, words.market).allowed
    assert calls.reports == []


def test_a_guest_that_catches_everything_a_few_times_is_interrupted_again(watched, base, words):
    caught = []

    def stubborn():
        while len(caught) < 3:
            try:
                time.sleep(30)
            except BaseException as error:  # noqa: BLE001 - what a stubborn guest does
                caught.append(type(error).__name__)
        time.sleep(30)

    calls = watched(risky(base, stubborn))
    assert not calls.risk(words.intent, words.portfolio, words.market).allowed
    assert caught == ["Overrun"] * 3
    assert len(calls.reports) == 1


def test_a_signal_after_the_guest_has_returned_raises_nowhere(watched, base, words):
    calls = watched(risky(base, lambda: None))
    assert calls.risk(words.intent, words.portfolio, words.market).allowed
    signal.raise_signal(signal.SIGUSR1)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    time.sleep(0.01)


def test_a_signal_meant_for_one_call_never_hits_another():
    """It is sent from another thread: the guest may have returned, or be asked again, before it arrives."""
    crumb = Breadcrumb()
    dog = Watchdog(crumb, limit_s=1, hang_s=1, on_overrun=print, on_hang=print)
    meant = (("a", "size"), 1)
    for at, since_ns in ((("b", "size"), 1), (("a", "size"), 2), (None, 1)):
        crumb.at, crumb.since_ns, dog._target = at, since_ns, meant
        dog._interrupt(signal.SIGUSR1, None)
    crumb.at, crumb.since_ns = meant
    with pytest.raises(Overrun, match="overran 1 s and was interrupted"):
        dog._interrupt(signal.SIGUSR1, None)
    dog._interrupt(signal.SIGUSR1, None)


PROCESS = """
    import hashlib, signal, sys, time
    from pydantic import BaseModel
    from tradecore import Verdict, hookimpl
    from tradecore.hooks.admit import admit
    from tradecore.hooks.calls import Calls
    from tradecore.hooks.watchdog import Watchdog

    def blocks_signals():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        time.sleep(60)

    def long_in_c():
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 400_000_000)

    def short_in_c():
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 1_500_000)

    def catches_all():
        while True:
            try:
                time.sleep(60)
            except BaseException:
                continue

    class Guest:
        class Settings(BaseModel, frozen=True, extra="forbid"):
            pass

        def __init__(self, settings):
            pass

        @hookimpl
        def risk_check(self, intent):
            globals()[sys.argv[1]]()
            return Verdict()

    class Clock:
        def monotonic_s(self):
            return 0.0

    calls = Calls(
        [admit("guest", Guest, {})], clock=Clock(), deadlines_ms={}, virtual=False, on_fault=print,
        on_quarantine=print, on_late=print,
    )

    def written(plugin, hook):
        with open(sys.argv[2], "w") as side:
            side.write(f"{plugin} {hook}")
        raise OSError("and the report fails on top")

    Watchdog(calls.crumb, limit_s=0.2, hang_s=0.4, on_overrun=lambda *facts: None, on_hang=written).start()
    class Intent:
        caps = None
    class Portfolio:
        def _replace(self, **changes):
            return self
        positions = pending = ()
        dust = fill_rate_24h = marks = quote_rates = None
    print("fault", calls.risk(Intent(), Portfolio(), None).fault)
    sys.exit(0)
"""


def in_process(name: str, side: Path) -> tuple[subprocess.CompletedProcess, float]:
    code = textwrap.dedent(PROCESS)
    start = time.monotonic()
    command = [sys.executable, "-c", code, name, str(side)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done, time.monotonic() - start


@pytest.mark.parametrize("name", ["blocks_signals", "long_in_c", "catches_all"])
def test_a_guest_that_cannot_be_interrupted_ends_the_process_with_75_and_its_name_on_disk(name, tmp_path):
    done, seconds = in_process(name, tmp_path / "side")
    assert done.returncode == EXIT_HUNG == 75, done.stderr
    assert (tmp_path / "side").read_text() == "guest risk_check"
    assert "watchdog: a report failed" in done.stderr
    assert seconds < 15


def test_a_guest_that_comes_back_late_from_c_is_a_fault(tmp_path):
    done, _ = in_process("short_in_c", tmp_path / "side")
    if done.returncode == EXIT_HUNG:
        pytest.skip("this machine took longer than the hang limit for the call in C")
    assert done.returncode == 0, done.stderr
    assert "fault guest.risk_check: Overrun: overran 0.2 s and was interrupted" in done.stdout
