"""Settings as the command line shows them: what a run would use, guests' own defaults too, with unit and origin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from tradecore.hooks.guest import Guest


class Line(NamedTuple):
    """One setting."""

    key: str
    value: str
    unit: str
    origin: str


class Effective(NamedTuple):
    """What a run with the same options would use."""

    profile: str
    lines: Sequence[Line]
    guests: tuple[Guest, ...]
    files: tuple[str, ...]
    """Names of the files that were read, the defaults first."""
    allow: tuple[str, ...] = ()
    """Codes of findings to run in spite of."""


class Difference(NamedTuple):
    """A setting that is not the same in two profiles; a side is empty where it has no such setting."""

    key: str
    left: str
    right: str
    unit: str


def effective(
    profile: str, plugins: str | None = None, sets: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Effective:
    """Resolve the settings and admit the guests.

    Args:
        env: Variables to take; ``None`` takes those of this process.
    Raises:
        SettingsError: A setting is unknown or wrong.
        PluginLoadError: A guest may not enter.
    """
    from pathlib import Path

    from tradecore.hooks.loader import available, load
    from tradecore.settings import Settings, resolve

    installed = available()
    resolved = resolve(profile, os.environ if env is None else env, sets, plugins, installed=installed)
    guests = load(
        resolved.settings.run.plugins,
        resolved.sections,
        installed=installed,
        origin=lambda key: str(resolved.origin_of(key)),
    )
    settings = {guest.name: guest.settings for guest in guests}
    units = _units(Settings, "")
    for name, section in settings.items():
        units |= {f"plugins.{name}.use": "name"} | _units(type(section), f"plugins.{name}.")
    lines = [
        Line(key, value, units.get(key, ""), str(resolved.origin_of(key)))
        for key, value in resolved.shown(settings).items()
    ]
    places = {above: place for place, above in enumerate(dict.fromkeys(section_of(line.key) for line in lines))}
    lines.sort(key=lambda line: places[section_of(line.key)])
    return Effective(
        resolved.profile,
        lines,
        guests,
        tuple(Path(file).name for file in resolved.files),
        tuple(resolved.settings.run.allow),
    )


def differences(left: Sequence[Line], right: Sequence[Line]) -> list[Difference]:
    """Compare two profiles key by key, in the order of the left one; what only the right one has comes last."""
    ours, theirs = ({line.key: line for line in lines} for lines in (left, right))
    found = []
    for key in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(key), theirs.get(key)
        values = (one.value if one else "", other.value if other else "")
        if values[0] != values[1]:
            found.append(Difference(key, *values, (one or theirs[key]).unit))
    return found


def section_of(key: str) -> str:
    """The part of a dotted key above its last dot."""
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
