"""Names each failure the moment it happens: a run that is cut off by its machine has said by then what failed."""

from __future__ import annotations

import pytest


class FailureTeller:
    """Writes one line for each failed test; the report at the end tells the rest."""

    NAME = "tradecore-failure-teller"

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say which test failed, in which phase."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            crash = getattr(report.longrepr, "reprcrash", None)
            message = (crash.message if crash is not None else str(report.longrepr)).partition("\n")[0]
            terminal.write_line(f" {report.nodeid} failed in its {report.when}: {message[:200]}", red=True)
