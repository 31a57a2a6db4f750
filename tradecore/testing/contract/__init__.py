"""The contract suite: what the core asks of every plugin, as numbered cards that anyone can run on his own.

Run it on an installed plugin with ``pytest --tradecore-plugin NAME``, inherit it with `ContractSuite`, or call `check`.
``docs/contract.md`` has all cards.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradecore.testing.contract.cards import SUITE_VERSION as SUITE_VERSION
    from tradecore.testing.contract.cards import Card as Card
    from tradecore.testing.contract.cards import Outcome as Outcome
    from tradecore.testing.contract.cards import Result as Result
    from tradecore.testing.contract.report import CardLine as CardLine
    from tradecore.testing.contract.report import Report as Report
    from tradecore.testing.contract.report import digest_of as digest_of
    from tradecore.testing.contract.report import read_report as read_report
    from tradecore.testing.contract.report import report_path as report_path
    from tradecore.testing.contract.report import write_report as write_report
    from tradecore.testing.contract.runner import CARDS as CARDS
    from tradecore.testing.contract.runner import check as check
    from tradecore.testing.contract.suite import ContractSuite as ContractSuite

# Imported on first use: reading a report for a list needs neither pytest nor numpy nor the engine.
_HOMES = {
    "cards": ("SUITE_VERSION", "Card", "Outcome", "Result"),
    "report": ("CardLine", "Report", "digest_of", "read_report", "report_path", "write_report"),
    "runner": ("CARDS", "check"),
    "suite": ("ContractSuite",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)  # noqa: PLE0605 - the names are strings, built from the table above


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
