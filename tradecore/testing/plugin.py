"""The pytest plugin: ``--tradecore-plugin NAME`` runs the contract suite, ``--tradecore-report PATH`` writes it down.

Loaded by every pytest run where tradecore is installed, so it imports nothing before an option asks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

PLUGIN_OPTION: Final = "tradecore_plugin"
REPORT_OPTION: Final = "tradecore_report"
REPORT_HEAD: Final = "tradecore_report_head"
"""Property of a test of the suite: the report without its cards, as JSON."""
CARD_RESULT: Final = "tradecore_card_result"
"""Property of a test of the suite: id, outcome and reason of its card."""
_REPORTER: Final = "tradecore.testing.contract.reporter"
_INSTALLED: Final = Path(__file__).parent / "contract" / "installed.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("tradecore", "contract suite of tradecore")
    group.addoption(
        "--tradecore-plugin", dest=PLUGIN_OPTION, metavar="NAME", default="",
        help="ask the installed plugin NAME all cards of the contract; without paths nothing else is run",
    )  # fmt: skip
    group.addoption(
        "--tradecore-report", dest=REPORT_OPTION, metavar="PATH", default="",
        help="write what the suite found of one plugin to PATH, as JSON",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Collect the suite where a plugin is named, and listen where a report is wanted."""
    if config.getoption(PLUGIN_OPTION):
        asked = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
        config.args = [*asked, str(_INSTALLED)]
    if config.getoption(REPORT_OPTION) and not hasattr(config, "workerinput"):
        config.pluginmanager.import_plugin(_REPORTER)
