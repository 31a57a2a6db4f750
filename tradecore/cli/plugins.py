"""``tradecore plugins``: who is installed, what each does, and what the contract suite said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from tradecore.cli.options import json_option
from tradecore.cli.plugins_check import check
from tradecore.cli.plugins_info import info
from tradecore.cli.plugins_new import new
from tradecore.cli.plugins_toggle import disable, enable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tradecore.cli.plugins_check import Verdict
    from tradecore.hooks.loader import PluginInfo


class Hooks(NamedTuple):
    """What loading one plugin alone has shown."""

    names: tuple[str, ...]
    error: str
    """Why it may not enter; empty where it may."""


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(context: click.Context) -> None:
    """See, check, switch and write plugins."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@plugins.command("list")
@click.option(
    "--hooks", "with_hooks", is_flag=True, help="Load each plugin and name its hooks, or why it may not enter."
)
@json_option
def list_(with_hooks: bool, as_json: bool) -> None:
    """Name installed plugins with version, newest contract report and summary; nothing of them is run."""
    from tradecore.cli.paper import print_json
    from tradecore.cli.plugins_check import verdict
    from tradecore.hooks.entries import survey

    found = survey()
    hooks = {name: _load_alone(name, found.plugins) for name in found.plugins} if with_hooks else {}
    verdicts = {name: verdict(info) for name, info in found.plugins.items()}
    for line in found.unreadable:
        click.echo(f"tradecore: note: {line}", err=True)
    if as_json:
        rows = [_facts(info, verdicts[name], hooks.get(name)) for name, info in found.plugins.items()]
        print_json({"plugins": rows, "unreadable": list(found.unreadable)})
        return
    _show(found.plugins, verdicts, hooks)


for _command in (info, check, enable, disable, new):
    plugins.add_command(_command)


def _load_alone(name: str, installed: Mapping[str, PluginInfo]) -> Hooks:
    from tradecore.errors import UsageError
    from tradecore.hooks.loader import load

    try:
        (guest,) = load([name], installed=installed)
    except UsageError as error:
        return Hooks((), str(error))
    return Hooks(tuple(sorted(guest.hooks)), "")


def _facts(info: PluginInfo, verdict: Verdict, hooks: Hooks | None) -> dict[str, object]:
    known: dict[str, object] = {
        "name": info.name,
        "version": info.version,
        "distribution": info.distribution,
        "summary": info.summary,
        "requires": list(info.requires),
        "fault": info.fault,
        "contract": verdict._asdict(),
    }
    if hooks is not None:
        known |= {"hooks": list(hooks.names), "error": hooks.error}
    return known


def _show(installed: Mapping[str, PluginInfo], verdicts: Mapping[str, Verdict], hooks: Mapping[str, Hooks]) -> None:
    from tradecore.cli.paper import console, table

    if not installed:
        click.echo("no plugin is installed; each comes with `pip install`, or begins with `tradecore plugins new NAME`")
        return
    last = "hooks" if hooks else "summary"
    shown = table("plugin", "version", "contract", last, wide=("contract", last))
    for name, about in installed.items():
        found = hooks.get(name)
        text = about.summary if found is None else found.error or ", ".join(found.names)
        shown.add_row(name, about.version, verdicts[name].in_words(), about.fault or text)
    console().print(shown)
