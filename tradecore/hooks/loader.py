"""Admits the guests of a list, in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tradecore.errors import PluginLoadError, SettingsError
from tradecore.hooks.admit import admit
from tradecore.hooks.entries import PluginInfo, available
from tradecore.hooks.guest import Guest
from tradecore.settings.wording import nearest

__all__ = ["PluginInfo", "available", "check_scopes", "load", "require_trading_set"]
_NEEDED: Final = {"size": "sizing", "risk_check": "risk", "route_order": "routing"}


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
