"""Which plugins are installed, read from their metadata: nothing is imported, so that a list of them is quick.

What is wrong with a package is noted and told where its plugin is asked for: the others are found all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Final, NamedTuple

GROUP: Final = "tradecore"
_TARGET: Final = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*(\.\w+)*")


class PluginInfo(NamedTuple):
    """An installed plugin as its metadata says; nothing of it was imported."""

    name: str
    distribution: str
    version: str
    target: str
    """``module:Class``."""
    requires: tuple[str, ...]
    summary: str
    entry: metadata.EntryPoint
    fault: str = ""
    """Why it can never be loaded, as far as its metadata tells; empty where nothing speaks against it."""


class Survey(NamedTuple):
    """What a look at all installed distributions has shown."""

    plugins: Mapping[str, PluginInfo]
    """By name, sorted; one with a `fault` is among them."""
    unreadable: tuple[str, ...]
    """One line for each distribution of which nobody can tell whether it holds plugins."""


def available() -> Mapping[str, PluginInfo]:
    """Read which plugins are installed, by name, without importing any."""
    return survey().plugins


def survey() -> Survey:
    """Read the metadata of all installed distributions; a broken one is noted and passed over."""
    found: dict[str, PluginInfo] = {}
    unreadable: list[str] = []
    for distribution in metadata.distributions():
        try:
            entries = [entry for entry in distribution.entry_points if entry.group == GROUP]
        except Exception as error:  # noqa: BLE001 - whatever a stranger's files do to the parser, the others are found
            unreadable.append(f"{_named(distribution)}: expected entry points that can be read, {_raised(error)}")
            continue
        for entry in entries:
            info = _info(entry, distribution)
            older = found.setdefault(entry.name, info)
            # The same distribution twice on the path is one: the first hides the others, as for imports.
            if _normal(older.distribution) != _normal(info.distribution):
                names = f"{older.distribution} and {info.distribution}"
                fault = f"expected one distribution with this plugin, found {names}"
                found[entry.name] = older._replace(fault=older.fault or fault)
    return Survey(MappingProxyType(dict(sorted(found.items()))), tuple(sorted(unreadable)))


def _info(entry: metadata.EntryPoint, distribution: metadata.Distribution) -> PluginInfo:
    fault = ""
    if not _TARGET.fullmatch(entry.value):
        fault = f"expected an entry point such as 'package.module:Class', was {entry.value!r}"
    try:
        about = distribution.metadata
        name, version = str(about["Name"] or ""), str(about["Version"] or "")
        summary = str(about.json.get("summary", ""))
        requires = tuple(distribution.requires or ())
    except Exception as error:  # noqa: BLE001 - as above: this plugin cannot be used, the others can
        named = _named(distribution)
        fault = f"expected metadata of {named} that can be read, {_raised(error)}"
        return PluginInfo(entry.name, named, "", entry.value, (), "", entry, fault)
    if not name or not version:
        fault = f"expected metadata of {_named(distribution)} with a name and a version, found neither or one"
    return PluginInfo(
        entry.name, name or _named(distribution), version, entry.value, requires, summary, entry, fault
    )  # fmt: skip


def _named(distribution: metadata.Distribution) -> str:
    """Name a distribution whose metadata may be broken: by the folder of its metadata."""
    folder = getattr(distribution, "_path", None)
    return str(getattr(folder, "name", "")) or "a distribution without a name"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _raised(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"was {type(error).__name__}" + (f": {text[:200]}" if text else "")
