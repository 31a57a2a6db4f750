"""The pytest plugin: ``--tradecore-plugin NAME`` runs the contract suite, ``--tradecore-report PATH`` writes it down.

Loaded by every pytest run where tradecore is installed, so it imports nothing before an option asks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

PLUGIN_OPTION: Final = "tradecore_plugin"
_REPORT_OPTION: Final = "tradecore_report"
REPORT_HEAD: Final = "tradecore_report_head"
"""Property of a test of the suite: the report without its cards, as JSON."""
CARD_RESULT: Final = "tradecore_card_result"
"""Property of a test of the suite: id, outcome and reason of its card."""
_INSTALLED: Final = Path(__file__).parent / "contract" / "installed.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("tradecore", "contract suite of tradecore")
    group.addoption(
        "--tradecore-plugin", dest=PLUGIN_OPTION, metavar="NAME", default="",
        help="ask the installed plugin NAME all cards of the contract; without paths nothing else is run",
    )  # fmt: skip
    group.addoption(
        "--tradecore-report", dest=_REPORT_OPTION, metavar="PATH", default="",
        help="write what the suite found of one plugin to PATH, as JSON",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Collect the suite where a plugin is named, and listen where a report is wanted."""
    if config.getoption(PLUGIN_OPTION):
        asked = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
        config.args = [*asked, str(_INSTALLED)]
    if config.getoption(_REPORT_OPTION) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer(Path(config.getoption(_REPORT_OPTION))), "tradecore-report")


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
        # Now the suite has run, so importing it costs nothing more.
        from tradecore.testing.contract.cards import Outcome
        from tradecore.testing.contract.report import CardLine, parse_report, write_report

        (suite,) = self._heads
        cards = sorted(self._cards[suite].items())
        lines = tuple(CardLine(card, Outcome(outcome), reason) for card, (outcome, reason) in cards)
        report = parse_report(self._heads[suite])._replace(cards=lines)
        write_report(self._path, report)
        self._said = f"{report.plugin}: {report.headline()}; written to {self._path}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where the report is."""
        terminalreporter.write_line(self._said)
