"""``tradecore config``: every setting in force, its unit, and who set it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import click

from tradecore.cli.options import json_option, plugins_option, profile_option, sets_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel


class Line(NamedTuple):
    """One setting."""

    key: str
    value: str
    unit: str
    origin: str


@click.group(invoke_without_command=True)
@click.pass_context
def config(context: click.Context) -> None:
    """See the settings."""
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
    from tradecore.cli.paper import print_json

    name, lines = _effective(profile, plugins, sets)
    if as_json:
        settings = {line.key: {"value": line.value, "unit": line.unit, "origin": line.origin} for line in lines}
        print_json({"profile": name, "settings": settings})
        return
    _show(lines, origin)


def _effective(profile: str, plugins: str | None, sets: Sequence[str]) -> tuple[str, Sequence[Line]]:
    from tradecore.hooks.loader import available, load
    from tradecore.settings import Settings, resolve

    installed = available()
    resolved = resolve(profile, os.environ, sets, plugins, installed=installed)
    guests = load(
        resolved.settings.run.plugins,
        resolved.sections,
        installed=installed,
        origin=lambda key: str(resolved.origin_of(key)),
    )
    settings = {guest.name: guest.settings for guest in guests}
    units = _units(Settings, "")
    for name, section in settings.items():
        units |= _units(type(section), f"plugins.{name}.")
    lines = [
        Line(key, value, units.get(key, ""), str(resolved.origin_of(key)))
        for key, value in resolved.shown(settings).items()
    ]
    places = {above: place for place, above in enumerate(dict.fromkeys(_section_of(line.key) for line in lines))}
    return resolved.profile, sorted(lines, key=lambda line: places[_section_of(line.key)])


def _section_of(key: str) -> str:
    return key.rpartition(".")[0]


def _units(model: type[BaseModel], above: str) -> dict[str, str]:
    from tradecore.settings.wording import fields_of, model_of, unit_of

    units: dict[str, str] = {}
    for name, info in fields_of(model).items():
        inside = model_of(info)
        if inside is None:
            units[above + name] = unit_of(info)
        else:
            units |= _units(inside, f"{above}{name}.")
    return units


def _show(lines: Sequence[Line], origin: bool) -> None:
    from tradecore.cli.paper import console, table

    columns = ("key", "value", "unit", "from") if origin else ("key", "value", "unit")
    shown = table(*columns, wide=("value", "unit", "from"))
    section = ""
    for line in lines:
        above, key = _section_of(line.key), line.key.rpartition(".")[2]
        if above != section:
            section = above
            shown.add_row(f"[{section}]", style="bold")
        shown.add_row(f"  {key}", line.value, line.unit, *((line.origin,) if origin else ()))
    console().print(shown)
