"""Which plugins are installed, read from their metadata: nothing is imported, so that a list of them is quick."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Final, NamedTuple

from tradecore.errors import PluginLoadError

GROUP: Final = "tradecore"


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


def available() -> Mapping[str, PluginInfo]:
    """Read which plugins are installed, by name, without importing any.

    Raises:
        PluginLoadError: If two distributions offer the same name.
    """
    found: dict[str, PluginInfo] = {}
    for distribution in metadata.distributions():
        for entry in distribution.entry_points:
            if entry.group != GROUP:
                continue
            info = _info(entry, distribution)
            older = found.setdefault(entry.name, info)
            # The same distribution twice on the path is one: the first hides the others, as for imports.
            if older.distribution != info.distribution:
                raise PluginLoadError(
                    f"{entry.name}: expected one distribution with this plugin, "
                    f"found {older.distribution} and {info.distribution}"
                )
    return MappingProxyType(dict(sorted(found.items())))


def _info(entry: metadata.EntryPoint, distribution: metadata.Distribution) -> PluginInfo:
    about = distribution.metadata
    requires = tuple(distribution.requires or ())
    name, summary = about["Name"], about.json.get("summary", "")
    return PluginInfo(entry.name, name, distribution.version, entry.value, requires, str(summary), entry)
