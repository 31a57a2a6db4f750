"""Settings of all tests: hypothesis judges by what happens, not by how busy the machine was meanwhile.

And no secret that a test used may be found in what the run leaves or says.
"""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # what tests share is imported as tests.NAME

from tests.canary import KEY, KEY_FILE, SECRET, SECRET_FILE
from tests.failures import FailureTeller
from tests.leaks import LeakGuard
from tests.signals import SignalGuard

settings.register_profile("tradecore", deadline=None, print_blob=True)
settings.load_profile("tradecore")


def pytest_configure(config: pytest.Config) -> None:
    """Look for signals after each test, for the canary's words at the end of the run; name failures at once."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailureTeller(config), FailureTeller.NAME)
    config.pluginmanager.register(SignalGuard(), SignalGuard.NAME)
    config.pluginmanager.register(LeakGuard((KEY, SECRET), {KEY_FILE, SECRET_FILE}), LeakGuard.NAME)
