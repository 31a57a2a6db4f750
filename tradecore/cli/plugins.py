"""``tradecore plugins``: who is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from tradecore.cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tradecore.hooks.loader import PluginInfo


class Hooks(NamedTuple):
    """What loading one plugin alone has shown."""

    names: tuple[str, ...]
    error: str
    """Why it may not enter; empty where it may."""


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(context: click.Context) -> None:
    """See which plugins are installed."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@plugins.command("list")
@click.option(
    "--hooks", "with_hooks", is_flag=True, help="Load each plugin and name its hooks, or why it may not enter."
)
@json_option
def list_(with_hooks: bool, as_json: bool) -> None:
    """Name installed plugins with version and summary, read from their metadata."""
    from tradecore.cli.paper import print_json
    from tradecore.hooks.loader import available

    installed = available()
    hooks = {name: _load_alone(name, installed) for name in installed} if with_hooks else {}
    if as_json:
        print_json({"plugins": [_facts(info, hooks.get(name)) for name, info in installed.items()]})
        return
    _show(installed, hooks)


def _load_alone(name: str, installed: Mapping[str, PluginInfo]) -> Hooks:
    from tradecore.errors import UsageError
    from tradecore.hooks.loader import load

    try:
        (guest,) = load([name], installed=installed)
    except UsageError as error:
        return Hooks((), str(error))
    return Hooks(tuple(sorted(guest.hooks)), "")


def _facts(info: PluginInfo, hooks: Hooks | None) -> dict[str, object]:
    known: dict[str, object] = {
        "name": info.name,
        "version": info.version,
        "distribution": info.distribution,
        "summary": info.summary,
        "requires": list(info.requires),
    }
    if hooks is not None:
        known |= {"hooks": list(hooks.names), "error": hooks.error}
    return known


def _show(installed: Mapping[str, PluginInfo], hooks: Mapping[str, Hooks]) -> None:
    from tradecore.cli.paper import console, table

    if not installed:
        click.echo("no plugin is installed; each comes with `pip install`")
        return
    last = "hooks" if hooks else "summary"
    shown = table("plugin", "version", "distribution", last, wide=(last,))
    for name, info in installed.items():
        found = hooks.get(name)
        text = info.summary if found is None else found.error or ", ".join(found.names)
        shown.add_row(name, info.version, info.distribution, text)
    console().print(shown)
