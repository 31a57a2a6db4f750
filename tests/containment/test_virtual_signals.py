"""On virtual time no watchdog acts: a guest that never comes back is broken by the second signal (R24)."""

import os
import signal
import threading
import time

import pytest

from tradecore.testing.factories import ScriptedSource, allower, closing_at, make_guest, router, sizer, wisher
from tradecore.testing.harness import Scene, play

ROWS = 6


def endless():
    def risk_check(self, intent, portfolio, market):
        began = time.monotonic()
        while time.monotonic() - began < 30:
            pass

    return make_guest("endless", risk_check=risk_check)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_r24_a_second_signal_breaks_a_guest_that_holds_virtual_time(tmp_path, number):
    source = ScriptedSource({"AAA/USDT": closing_at(*[100.0] * ROWS)})
    guests = [wisher({row: ["AAA/USDT"] for row in range(ROWS)}), sizer("1"), allower(), endless(), router()]

    over = threading.Event()

    def twice():
        for wait_s in (1.0, 0.3):
            if over.wait(wait_s):
                return  # a signal to a run that has ended would be one to pytest
            os.kill(os.getpid(), number)

    sender = threading.Thread(target=twice)
    began = time.monotonic()
    sender.start()
    try:
        played = play(Scene(source, guests), tmp_path / "state")
    finally:
        over.set()
        sender.join()
    assert time.monotonic() - began < 10
    assert played.exit_code == 0
    assert played.summary["ended"] == number.name
    assert played.summary["orders_sent"] == 0
    assert played.summary["outcomes"]["RISK_MISSING"] >= 1
    assert played.violations() == ()
