"""Gathers cards from pytest's reports and writes the suite's own: loaded where ``--tradecore-report`` is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tradecore.testing.contract.cards import Outcome
from tradecore.testing.contract.report import CardLine, parse_report, write_report
from tradecore.testing.plugin import CARD_RESULT, REPORT_HEAD, REPORT_OPTION


def pytest_configure(config: pytest.Config) -> None:
    """Listen to the run."""
    config.pluginmanager.register(_Writer(Path(config.getoption(REPORT_OPTION))), "tradecore-report")


class _Writer:
    """Gathers cards from pytest's reports, from its workers too, and writes them at the end.

    Args:
        path: Where to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._heads: dict[str, str] = {}
        self._cards: dict[str, dict[str, tuple[str, str]]] = {}
        self._said = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the card of one test."""
        properties: dict[str, Any] = dict(report.user_properties)
        if report.when != "teardown" or CARD_RESULT not in properties:
            return
        suite = report.nodeid.rpartition("::")[0]
        self._heads[suite] = properties[REPORT_HEAD]
        card, outcome, reason = properties[CARD_RESULT]
        self._cards.setdefault(suite, {})[card] = (outcome, reason)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report of the one plugin that was asked."""
        if len(self._heads) != 1:
            self._said = f"no report written: expected one plugin asked by the suite, were {len(self._heads)}"
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            return
        (suite,) = self._heads
        cards = sorted(self._cards[suite].items())
        lines = tuple(CardLine(card, Outcome(outcome), reason) for card, (outcome, reason) in cards)
        report = parse_report(self._heads[suite])._replace(cards=lines)
        write_report(self._path, report)
        self._said = f"{report.plugin}: {report.headline()}; written to {self._path}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the report is."""
        terminalreporter.write_line(self._said)
