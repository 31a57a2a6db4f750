"""``tradecore plugins check``: run the contract suite on one plugin and keep its report, which ``list`` shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from tradecore.cli.options import json_option

if TYPE_CHECKING:
    from tradecore.hooks.loader import PluginInfo

REPORTS: Final = Path(".tradecore")
"""Beside the working directory, as ``state`` is: reports belong to the environment that one works in."""
EXIT_BROKEN: Final = 1
NEEDED: Final = "expected the test tools of the core (pip install 'tradecore[testing]')"


class Verdict(NamedTuple):
    """What the newest report of a plugin says, and whether it is still about the plugin that is installed."""

    outcome: str
    """``passed``, ``failed``, ``not checked`` or ``unreadable``."""
    counts: str = ""
    """``61 passed, 0 failed, 9 skipped``; empty where there is no report."""
    failed: tuple[str, ...] = ()
    """Cards that failed."""
    stale: str = ""
    """What changed since the report: ``files changed``, ``another version`` or ``another core``; empty: nothing."""

    def in_words(self) -> str:
        """Write it in one line."""
        text = self.outcome if self.outcome != "failed" else f"failed {', '.join(self.failed)}"
        return f"{text} ({self.stale} since)" if self.stale else text


@click.command()
@click.argument("name")
@json_option
def check(name: str, as_json: bool) -> int:
    """Ask the plugin NAME every question of the contract suite; exit code 0 where all were passed, else 1.

    The report is kept in .tradecore/reports/NAME.json below the working directory.
    """
    from tradecore.cli.paper import console, place, print_json, table
    from tradecore.cli.plugins_info import named
    from tradecore.errors import SettingsError

    info = named(name)
    try:
        from tradecore.testing.contract import check as ask
        from tradecore.testing.contract import report_path, write_report
    except ImportError as error:
        raise SettingsError(f"plugins check: {NEEDED}, {error.name} is missing") from error
    found = ask(info.name)
    path = report_path(REPORTS, info.name)
    write_report(path, found)
    if as_json:
        print_json(
            {**verdict(info)._asdict(), "report": place(path), "cards": [card._asdict() for card in found.cards]}
        )
        return 0 if found.passed else EXIT_BROKEN
    if found.failures:
        shown = table("card", "what was found, and what to change", wide=("what was found, and what to change",))
        for card in found.failures:
            shown.add_row(card.id, card.reason)
        console().print(shown)
    click.echo(f"{info.name} {info.version}: {found.headline()}; report: {place(path)}")
    return 0 if found.passed else EXIT_BROKEN


def verdict(info: PluginInfo) -> Verdict:
    """Read the newest report of a plugin; nothing of the plugin is run, only its files are digested."""
    from tradecore import __version__
    from tradecore.errors import DataError
    from tradecore.testing.contract.report import digest_of, read_report, report_path

    try:
        report = read_report(report_path(REPORTS, info.name))
    except (DataError, OSError):
        return Verdict("unreadable")
    if report is None:
        return Verdict("not checked")
    stale = ""
    if report.plugin_version != info.version:
        stale = "another version"
    elif report.digest != digest_of(info.target.partition(":")[0]):
        stale = "files changed"
    elif report.core_version != __version__:
        stale = "another core"
    failed = tuple(card.id for card in report.failures)
    return Verdict("passed" if report.passed else "failed", report.headline(), failed, stale)
