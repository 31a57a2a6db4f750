"""Tunes: settings that one guest's job moves in another guest, from the next row on, and back again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tradecore.errors import PluginLoadError, SettingsError
from tradecore.hooks.admit import invite, validated
from tradecore.hooks.guest import Guest
from tradecore.hooks.slots import Slots
from tradecore.hooks.watchdog import Breadcrumb, Overrun
from tradecore.model.signal import Tune
from tradecore.settings.wording import fields_of, keyed, nearest, shown


class Tuned(NamedTuple):
    """A tune in force."""

    value: str | int | float | bool
    by: str
    """The guest whose job asked for it; empty where an operator or a restart did."""


class Tuner:
    """Makes a guest anew with other settings and puts it in its place.

    Args:
        slots: Where guests sit. As they are now they have the settings of the files, to which `undo` leads back.
        crumb: For the watchdog: a guest's constructor is the guest's code too.
        timer: Nanoseconds of the wall.
    """

    def __init__(self, slots: Slots, crumb: Breadcrumb, timer: Callable[[], int]) -> None:
        self._slots: Final = slots
        self._crumb: Final = crumb
        self._timer: Final = timer
        self._files: Final[dict[str, Guest]] = {guest.name: guest for guest in slots.guests}
        self._tuned: Final[dict[str, dict[str, Tuned]]] = {}

    @property
    def tunes(self) -> dict[str, Tuned]:
        """``plugin.key`` to the tune in force."""
        return {f"{plugin}.{key}": tuned for plugin, keys in self._tuned.items() for key, tuned in keys.items()}

    def mark(self, plugin: str) -> str:
        """Tell a guest's settings of the files from others by a few letters; empty where it is not here."""
        guest = self._files.get(plugin)
        return hashlib.sha256(shown(guest.settings).encode()).hexdigest()[:12] if guest is not None else ""

    def tune(self, tune: Tune, by: str) -> tuple[str, str]:
        """Put a tune in force.

        Returns:
            The old and the new value as text.
        Raises:
            SettingsError: If the setting does not exist or the value does not fit.
            PluginLoadError: If the guest cannot be made with it. Nothing has changed in either case.
        """
        name, _, key = tune.setting.partition(".")
        guest = self._slots.guest(name)
        if guest is None:
            known = [other.name for other in self._slots.guests]
            raise SettingsError(
                f"{tune.setting}: expected a setting of a guest of this run, was {name!r}{nearest(name, known)}"
            )
        fields = fields_of(type(guest.settings))
        if key not in fields:
            raise SettingsError(f"{tune.setting}: expected a key of {name}, was {key!r}{nearest(key, fields)}")
        if "on_start" in guest.hooks:
            raise SettingsError(
                f"{tune.setting}: expected a guest without on_start, it would be made anew and never start"
            )
        keys = {**self._tuned.get(name, {}), key: Tuned(tune.value, by)}
        old = shown(keyed(guest.settings)[key])
        made = self._made(self._files[name], keys)
        self._tuned[name] = keys
        self._slots.seat(made)
        return old, shown(keyed(made.settings)[key])

    def undo(self, plugin: str) -> tuple[str, ...]:
        """Lead a guest back to the settings of the files; returns the settings that were tuned."""
        return self._drop(plugin, frozenset(self._tuned.get(plugin, {})))

    def undo_by(self, by: str) -> tuple[str, ...]:
        """Undo all that one guest's jobs tuned; returns those settings."""
        undone: list[str] = []
        for plugin, keys in list(self._tuned.items()):
            theirs = frozenset(key for key, tuned in keys.items() if tuned.by == by)
            undone.extend(self._drop(plugin, theirs))
        return tuple(undone)

    def _drop(self, plugin: str, keys: frozenset[str]) -> tuple[str, ...]:
        if not keys:
            return ()
        left = {key: tuned for key, tuned in self._tuned.pop(plugin).items() if key not in keys}
        made = self._files[plugin]
        if left:
            try:
                made = self._made(made, left)
                self._tuned[plugin] = left
            except (SettingsError, PluginLoadError):
                # What is left does not fit without what goes: the guest of the files always does.
                keys |= left.keys()
        self._slots.seat(made)
        return tuple(f"{plugin}.{key}" for key in sorted(keys))

    def _made(self, file: Guest, keys: dict[str, Tuned]) -> Guest:
        values: dict[str, Any] = {**keyed(file.settings), **{key: tuned.value for key, tuned in keys.items()}}
        self._crumb.since_ns = self._timer()
        try:
            self._crumb.at = (file.name, "tune")
            settings = validated(file.name, type(file.settings), values)
            made = invite(file.name, type(file.plugin), settings, version=file.version, order=file.order)
            self._crumb.at = None  # here too: an interrupt that comes late still finds a handler
        except (PluginLoadError, SettingsError):
            raise
        except BaseException as error:  # noqa: BLE001 - a constructor and validators are the guest's code
            text = str(error) if isinstance(error, Overrun) else f"was {type(error).__name__}"
            raise PluginLoadError(f"{file.name}: expected a guest that can be made, {text}") from None
        finally:
            self._crumb.at = None
        if made.hooks != file.hooks or made.role != file.role:
            raise PluginLoadError(f"{file.name}: expected the same hooks and role with other settings, found others")
        return made
