"""``tradecore plugins info``: all that is known of one plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tradecore.cli.options import json_option

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tradecore.hooks.guest import Guest
    from tradecore.hooks.loader import PluginInfo


@click.command()
@click.argument("name")
@json_option
def info(name: str, as_json: bool) -> None:
    """Print what the plugin NAME is: version, range of the core, hooks, settings with units, newest report."""
    from tradecore import __version__
    from tradecore.cli.paper import print_json
    from tradecore.cli.plugins_check import verdict
    from tradecore.hooks.loader import core_range, load

    about = named(name)
    (guest,) = load([name], installed={name: about})
    wanted = core_range(about)
    report = verdict(about)
    settings = settings_table(type(guest.settings))
    if as_json:
        print_json(
            {
                "name": about.name, "version": about.version, "distribution": about.distribution,
                "summary": about.summary, "class": about.target, "core": __version__,
                "core_range": str(wanted) if wanted is not None else None, "hooks": sorted(guest.hooks),
                "role": guest.role, "warmup": dict(guest.warmup), "events": sorted(guest.events),
                "settings": [
                    dict(zip(("key", "default", "unit", "meaning"), row, strict=True)) for row in settings
                ],
                "contract": report._asdict(),
            }
        )  # fmt: skip
        return
    _show(about, guest, f"{wanted}" if wanted is not None else "any: it names none", report.in_words(), settings)


def named(name: str) -> PluginInfo:
    """Find an installed plugin.

    Raises:
        PluginLoadError: If there is none of this name; the nearest is offered.
    """
    from tradecore.errors import PluginLoadError
    from tradecore.hooks.entries import available
    from tradecore.settings.wording import nearest

    installed = available()
    if name not in installed:
        known = ", ".join(installed) or "none"
        raise PluginLoadError(
            f"{name}: expected an installed plugin, was {name!r}{nearest(name, installed)} (installed: {known})"
        )
    return installed[name]


def settings_table(model: type[BaseModel], above: str = "") -> list[tuple[str, str, str, str]]:
    """Tell key, default, unit and meaning of each setting, in order; a nested model's fields follow it."""
    from pydantic_core import PydanticUndefined

    from tradecore.settings.wording import MASK, fields_of, is_secret, model_of, shown, unit_of

    rows = []
    for key, field in fields_of(model).items():
        default = field.get_default(call_default_factory=True)
        text = "required" if default is PydanticUndefined else "not set" if default is None else shown(default)
        if is_secret(key, field) and default not in (None, PydanticUndefined):
            text = MASK
        rows.append((above + key, text, unit_of(field), field.description or ""))
        inside = model_of(field)
        if inside is not None:
            rows += settings_table(inside, f"{above}{key}.")
    return rows


def _range(wanted: str) -> str:
    """Write a range from its lower end: packaging lists its parts in no order of its own."""
    return ",".join(sorted(wanted.split(","), key=lambda part: (not part.startswith(">"), part)))


def _show(about: PluginInfo, guest: Guest, wanted: str, report: str, settings: list[tuple[str, str, str, str]]) -> None:
    from tradecore import __version__
    from tradecore.cli.paper import console, table

    out = console()
    facts = table("plugin", about.name, wide=(about.name,))
    for label, text in (
        ("summary", about.summary),
        ("version", f"{about.version} of {about.distribution}"),
        ("class", about.target),
        ("core", f"{_range(wanted)} (this is {__version__})"),
        ("hooks", ", ".join(sorted(guest.hooks))),
        ("role", guest.role if "signal" in guest.hooks else ""),
        ("warmup", ", ".join(f"{frame} {window}" for frame, window in guest.warmup.items())),
        ("events", ", ".join(sorted(guest.events))),
        ("contract", report),
    ):
        if text:
            facts.add_row(label, text)
    out.print(facts)
    out.print()
    if not settings:
        out.print("it has no settings")
        return
    shown = table("setting", "default", "unit", "meaning", wide=("default", "unit", "meaning"))
    for row in settings:
        shown.add_row(*row)
    out.print(shown)
