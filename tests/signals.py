"""Keeps what a test does to signals out of the next one.

A signal left ignored is inherited by every program that is started afterwards: it then cannot be ended by that signal.
"""

from __future__ import annotations

import signal
from collections.abc import Generator
from typing import Any

import pytest

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM)


class SignalGuard:
    """Fails the test that leaves a signal handled otherwise than it found it, and puts it right for those behind it."""

    NAME = "tradecore-signal-guard"

    def __init__(self) -> None:
        self._found: dict[signal.Signals, Any] = {}
        # a shell starts what runs in the background with SIGINT ignored: programs under test would inherit that
        for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, handler)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Remember how signals are handled before anything of the test has run."""
        self._found = {number: signal.getsignal(number) for number in _WATCHED}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, None, None]:
        """Compare after everything of the test has ended.

        Raises:
            AssertionError: A signal is not as it was.
        """
        try:
            return (yield)
        finally:
            changed = {number: found for number, found in self._found.items() if signal.getsignal(number) != found}
            left = [f"{number.name} left as {signal.getsignal(number)}" for number in changed]
            for number, found in changed.items():
                signal.signal(number, found)
            assert not left, ", ".join(left)
