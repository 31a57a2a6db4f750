"""Admits the guests of a list, in its order.

A name of the list is an installed plugin, or one that stands for another by ``use`` in its section: then the same class
enters under this name, with settings of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import tradecore
from tradecore.errors import PluginLoadError, SettingsError
from tradecore.hooks.admit import admit
from tradecore.hooks.entries import PluginInfo, available
from tradecore.hooks.guest import Guest
from tradecore.settings.aliases import own_keys, plugin_of
from tradecore.settings.combinations import missing_guests, missing_words
from tradecore.settings.wording import nearest

__all__ = ["PluginInfo", "available", "check_scopes", "core_range", "load", "require_trading_set"]
_CORE: Final = "tradecore"


def load(
    names: Sequence[str],
    sections: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    *,
    installed: Mapping[str, PluginInfo] | None = None,
    origin: Callable[[str], str] = lambda key: "",
) -> tuple[Guest, ...]:
    """Admit the guests of a list, in its order.

    Args:
        names: The guest list; a name may stand for a plugin by ``use`` in its section.
        sections: Section per guest; a guest without one gets its defaults.
        installed: What `available` says; ``None`` asks it.
        origin: A dotted key (``plugins.NAME.KEY``) to where its value is from, for messages.
    Raises:
        PluginLoadError: If a name is unknown or twice in the list, a plugin asks for another version of the core, is
            offered by two distributions, or may not enter.
        SettingsError: If a section is wrong.
    """
    installed = available() if installed is None else installed
    infos = []
    for place, name in enumerate(names):
        if name in names[:place]:
            raise PluginLoadError(f"{name}: expected each plugin once in the list, was there twice")
        plugin = plugin_of(name, sections)
        if plugin not in installed:
            known = ", ".join(installed) or "none"
            raise PluginLoadError(
                f"{name}: expected an installed plugin, was {plugin!r}{nearest(plugin, installed)} (installed: {known})"
            )
        _check_entry(name, installed[plugin])
        infos.append(installed[plugin])
    guests = tuple(
        admit(
            name, _imported(name, info), own_keys(sections.get(name, {})),
            version=info.version, order=order, origin=origin,
        )
        for order, (name, info) in enumerate(zip(names, infos, strict=True))
    )  # fmt: skip
    check_scopes(guests, installed)
    return guests


def core_range(info: PluginInfo) -> SpecifierSet | None:
    """Read which versions of the core a plugin asks for; ``None``: it names none.

    Raises:
        PluginLoadError: If one of its requirements cannot be read.
    """
    wanted: SpecifierSet | None = None
    for text in info.requires:
        try:
            requirement = Requirement(text)
            # what only an extra asks for is not asked for here
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        except (InvalidRequirement, ValueError, KeyError) as error:
            raise PluginLoadError(
                f"{info.name}: expected requirements of {info.distribution} {info.version} to be readable, was {text!r}"
            ) from error
        if applies and canonicalize_name(requirement.name) == _CORE:
            wanted = requirement.specifier if wanted is None else wanted & requirement.specifier
    return wanted


def _check_entry(name: str, info: PluginInfo) -> None:
    """Refuse before its code is run a plugin whose metadata speaks against it."""
    if info.fault:
        raise PluginLoadError(f"{name}: {info.fault}")
    wanted = core_range(info)
    if wanted is not None and not wanted.contains(tradecore.__version__, prereleases=True):
        raise PluginLoadError(
            f"{name}: expected tradecore {wanted} as {info.distribution} {info.version} asks, "
            f"was tradecore {tradecore.__version__}"
        )


def _imported(name: str, info: PluginInfo) -> Any:
    try:
        return info.entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a package may leave with anything: it is its own fault, not ours
        text = " ".join(str(error).split())
        raise PluginLoadError(
            f"{name}: expected {info.target} of {info.distribution} {info.version} to be importable, "
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


def require_trading_set(guests: Sequence[Guest], allow: Sequence[str] = ()) -> None:
    """Refuse a list that could never trade, or trade unchecked: it needs a sizing, a risk and a routing guest.

    Args:
        guests: The list.
        allow: Codes of `run.allow`: without what they name a run only leads and leaves open positions.
    Raises:
        SettingsError: Naming what is missing, and how to run all the same.
    """
    barred = [
        one for one in missing_guests({hook for guest in guests for hook in guest.hooks}) if one.code not in allow
    ]
    if barred:
        names = ", ".join(guest.name for guest in guests) or "no plugin"
        codes = ",".join((*allow, *(one.code for one in barred)))
        raise SettingsError(
            f"run.plugins: expected a sizing, a risk and a routing guest, missing {missing_words(barred)} in {names}; "
            f"to run without new entries: --set run.allow={codes}"
        )
