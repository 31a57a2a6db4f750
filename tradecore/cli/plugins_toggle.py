"""``tradecore plugins enable`` and ``disable``: put a guest into a profile's list, or take it out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tradecore.settings.edit import Edit

F = TypeVar("F", bound="Callable[..., Any]")


def _profile(function: F) -> F:
    return click.option(
        "--profile",
        required=True,
        metavar="FILE",
        help="Settings file to change; the name of a shipped profile makes a copy of it here first.",
    )(function)


@click.command()
@click.argument("name")
@_profile
@click.option("--before", metavar="GUEST", help="Place in the list: before this guest; without it at the end.")
def enable(name: str, profile: str, before: str | None) -> None:
    """Put the plugin NAME (or a name that its section gives it by `use`) into run.plugins of a profile.

    Comments stay. The list is loaded with the profile's settings first: a plugin that may not enter is not enabled.
    """
    from tradecore.cli.paper import place
    from tradecore.errors import SettingsError
    from tradecore.settings.edit import editable, listed
    from tradecore.settings.wording import nearest

    edit = editable(profile, Path.cwd())
    names = list(listed(edit.source))
    if name in names:
        click.echo(f"{name} is in the list already; {place(edit.source)}: {', '.join(names)}")
        return
    if before is not None and before not in names:
        raise SettingsError(f"--before: expected a guest of the list, was {before!r}{nearest(before, names)}")
    names.insert(names.index(before) if before is not None else len(names), name)
    _must_load(edit.source, names)
    _write(f"{name} is enabled", edit, names)


@click.command()
@click.argument("name")
@_profile
def disable(name: str, profile: str) -> None:
    """Take NAME out of run.plugins of a profile; its section and all comments stay."""
    from tradecore.cli.paper import place
    from tradecore.errors import SettingsError
    from tradecore.settings.edit import editable, listed
    from tradecore.settings.wording import nearest

    edit = editable(profile, Path.cwd())
    names = list(listed(edit.source))
    if name not in names:
        raise SettingsError(
            f"{name}: expected a guest of the list, was none{nearest(name, names)} "
            f"({place(edit.source)}: {', '.join(names) or 'no guest'})"
        )
    names.remove(name)
    _write(f"{name} is disabled", edit, names)


def _must_load(path: Path, names: Sequence[str]) -> None:
    """Load the list as it will be, with the profile's settings.

    Raises:
        PluginLoadError: If a guest may not enter.
        SettingsError: If a section is wrong.
    """
    from tradecore.hooks.loader import available, load
    from tradecore.settings import resolve

    installed = available()
    resolved = resolve(path, os.environ, installed=installed)
    load(names, resolved.sections, installed=installed, origin=lambda key: str(resolved.origin_of(key)))


def _write(done: str, edit: Edit, names: Sequence[str]) -> None:
    from tradecore.cli.paper import place
    from tradecore.settings.edit import write_list

    write_list(edit, names)
    where = place(edit.target)
    if edit.copies:
        click.echo(f"copied the shipped profile to {where}; name that file from now on: --profile {where}")
    click.echo(f"{done}; {where}: {', '.join(names) or 'no guest'}")
