"""``tradecore config``: every setting in force, its unit, and who set it; two profiles compared; one checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tradecore.cli.options import json_option, plugins_option, profile_option, sets_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradecore.cli.config_values import Line


@click.group(invoke_without_command=True)
@click.pass_context
def config(context: click.Context) -> None:
    """See, compare and check the settings."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@config.command()
@profile_option
@plugins_option
@sets_option
@click.option("--origin", is_flag=True, help="Name the file and line, variable or option that each value is from.")
@json_option
def show(profile: str, plugins: str | None, sets: Sequence[str], origin: bool, as_json: bool) -> None:
    """Print every setting that a run with the same options would use; secrets are masked."""
    from tradecore.cli.config_values import effective
    from tradecore.cli.paper import print_json

    found = effective(profile, plugins, sets)
    name, lines = found.profile, found.lines
    if as_json:
        settings = {line.key: {"value": line.value, "unit": line.unit, "origin": line.origin} for line in lines}
        print_json({"profile": name, "settings": settings})
        return
    show_lines(lines, origin)


@config.command()
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@json_option
def diff(one: str, other: str, as_json: bool) -> None:
    """Print the settings in which the profiles A and B differ: shipped names or paths of .toml files.

    Files alone are compared, with all that they extend: variables and options of this shell are left out.
    """
    from tradecore.cli.config_values import differences, effective
    from tradecore.cli.paper import console, print_json, table

    left, right = effective(one, env={}), effective(other, env={})
    found = differences(left.lines, right.lines)
    if as_json:
        settings = {line.key: {"a": line.left, "b": line.right, "unit": line.unit} for line in found}
        print_json({"a": left.profile, "b": right.profile, "settings": settings})
        return
    if not found:
        click.echo(f"{one} and {other} set the same")
        return
    first, second = (one, other) if one != other else (f"{one} (A)", f"{other} (B)")
    shown = table("key", first, second, "unit", wide=(first, second, "unit"))
    for line in found:
        shown.add_row(line.key, line.left or "-", line.right or "-", line.unit)
    console().print(shown)


@config.command()
@profile_option
@plugins_option
@sets_option
@json_option
def check(profile: str, plugins: str | None, sets: Sequence[str], as_json: bool) -> None:
    """Validate a profile with its plugins as `run` would, and run nothing: exit code 0, or 2 and one line."""
    from tradecore.cli.config_values import effective
    from tradecore.cli.paper import print_json
    from tradecore.hooks.loader import require_trading_set

    found = effective(profile, plugins, sets)
    require_trading_set(found.guests, found.allow)
    names = [guest.name for guest in found.guests]
    if as_json:
        print_json(
            {"profile": found.profile, "plugins": names, "files": list(found.files), "settings": len(found.lines)}
        )
        return
    click.echo(f"{found.profile}: {len(found.lines)} settings are right, from {' < '.join(found.files)}")
    click.echo(f"guests: {', '.join(names)}")


def show_lines(lines: Sequence[Line], origin: bool) -> None:
    """Print settings as a table, section by section."""
    from tradecore.cli.config_values import section_of
    from tradecore.cli.paper import console, table

    columns = ("key", "value", "unit", "from") if origin else ("key", "value", "unit")
    shown = table(*columns, wide=("value", "unit", "from"))
    section = ""
    for line in lines:
        above, key = section_of(line.key), line.key.rpartition(".")[2]
        if above != section:
            section = above
            shown.add_row(f"[{section}]", style="bold")
        shown.add_row(f"  {key}", line.value, line.unit, *((line.origin,) if origin else ()))
    console().print(shown)
