"""Finds plugins by entry point and admits those on the guest list, in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tradecore.errors import PluginLoadError, SettingsError
from tradecore.hooks.admit import admit
from tradecore.hooks.guest import Guest
from tradecore.settings.wording import nearest

GROUP: Final = "tradecore"
_NEEDED: Final = {"size": "sizing", "risk_check": "risk", "route_order": "routing"}


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


def load(
    names: Sequence[str],
    sections: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    *,
    installed: Mapping[str, PluginInfo] | None = None,
    origin: Callable[[str], str] = lambda key: "",
) -> tuple[Guest, ...]:
    """Admit the guests of a list, in its order.

    Args:
        names: The guest list.
        sections: Section per plugin; a guest without one gets its defaults.
        installed: What `available` says; ``None`` asks it.
        origin: A dotted key (``plugins.NAME.KEY``) to where its value is from, for messages.
    Raises:
        PluginLoadError: If a name is unknown or twice in the list, or a plugin may not enter.
        SettingsError: If a section is wrong.
    """
    installed = available() if installed is None else installed
    for place, name in enumerate(names):
        if name in names[:place]:
            raise PluginLoadError(f"{name}: expected each plugin once in the list, was there twice")
        if name not in installed:
            known = ", ".join(installed) or "none"
            raise PluginLoadError(
                f"{name}: expected an installed plugin, was {name!r}{nearest(name, installed)} (installed: {known})"
            )
    guests = tuple(
        admit(
            name, _imported(installed[name]), sections.get(name, {}),
            version=installed[name].version, order=order, origin=origin,
        )
        for order, name in enumerate(names)
    )  # fmt: skip
    check_scopes(guests, installed)
    return guests


def _imported(info: PluginInfo) -> Any:
    try:
        return info.entry.load()
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())
        raise PluginLoadError(
            f"{info.name}: expected {info.target} of {info.distribution} {info.version} to be importable, "
            f"was {type(error).__name__}: {text[:200]}"
        ) from error


def check_scopes(guests: Sequence[Guest], installed: Iterable[str] = ()) -> None:
    """Refuse a filter whose `applies_to` names a guest that nobody knows: misspelt, it would judge nothing.

    Raises:
        PluginLoadError: Naming the filter, the name, and the nearest valid one.
    """
    known = {*installed, *(guest.name for guest in guests)}
    for guest in guests:
        for other in guest.applies_to or ():
            if other not in known:
                raise PluginLoadError(
                    f"{guest.name}.applies_to: expected names of plugins, was {other!r}{nearest(other, known)}"
                )


def require_trading_set(guests: Sequence[Guest]) -> None:
    """Refuse a list that could never trade, or trade unchecked: it needs a sizing, a risk and a routing guest.

    Raises:
        SettingsError: Naming what is missing.
    """
    hooks = {hook for guest in guests for hook in guest.hooks}
    missing = [f"{word} ({hook})" for hook, word in _NEEDED.items() if hook not in hooks]
    if missing:
        names = ", ".join(guest.name for guest in guests) or "no plugin"
        raise SettingsError(
            f"run.plugins: expected a sizing, a risk and a routing guest, missing {' and '.join(missing)} in {names}"
        )
