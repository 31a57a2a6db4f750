"""One plugin under several names: ``[plugins.dip_fast]`` with ``use = "signals_drop"`` is a guest of its own.

The alias is the guest's name everywhere: in the guest list, in settings, in events, in quarantines and tunes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from tradecore.errors import SettingsError
from tradecore.settings.sections import Settings
from tradecore.settings.wording import nearest, shown

USE: Final = "use"
"""The key of a plugin's section that belongs to the core, not to the plugin."""
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


def plugin_of(name: str, sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Name of the installed plugin behind a guest's name: the name itself, unless its section says ``use``."""
    used = sections.get(name, {}).get(USE, name)
    return used if isinstance(used, str) else name


def own_keys(section: Mapping[str, Any]) -> dict[str, Any]:
    """A section without what belongs to the core: what the plugin validates."""
    return {key: value for key, value in section.items() if key != USE}


def refusal_of_name(name: str) -> str:
    """Say why a guest cannot be called so; empty where it can.

    ``--set name.key`` would mean another thing if a guest had the name of a section, and variables hold no ``__``
    inside of a name.
    """
    if not _NAME.fullmatch(name):
        return f"expected a name of small letters, digits and single _, was {name!r}"
    if name in Settings.model_fields:
        return f"expected a name that is no section of the settings, was {name!r}"
    return ""


def check_aliases(
    sections: Mapping[str, Mapping[str, Any]], installed: Collection[str], origin: Callable[[str], str]
) -> frozenset[str]:
    """Check every section that says ``use``.

    Args:
        sections: Section per guest.
        installed: Names of the installed plugins.
        origin: A dotted key to where its value is from; empty where that is not known.
    Returns:
        The names that stand for another plugin.
    Raises:
        SettingsError: If `use` names no installed plugin, or the alias hides one or cannot be a name.
    """
    aliases = set()
    for name, section in sections.items():
        if USE not in section or section[USE] == name:
            continue
        key = f"plugins.{name}.{USE}"
        source = f", from {origin(key)}" if origin(key) else ""
        if refusal := refusal_of_name(name):
            raise SettingsError(f"{key}: {refusal}{source}")
        used = section[USE]
        if not isinstance(used, str) or used not in installed:
            near = nearest(used, installed) if isinstance(used, str) else ""
            also = f", which is a name for {plugin_of(used, sections)!r} itself" if _is_alias(used, sections) else near
            raise SettingsError(f"{key}: expected an installed plugin, was {shown(used)}{also}{source}")
        if name in installed:
            raise SettingsError(f"{key}: expected a name that no installed plugin has, was {name!r}{source}")
        aliases.add(name)
    return frozenset(aliases)


def _is_alias(used: object, sections: Mapping[str, Mapping[str, Any]]) -> bool:
    return isinstance(used, str) and USE in sections.get(used, {})
