"""The plugin under test: its class, what its distribution says, and the settings that it is asked with."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretBytes, SecretStr

from tradecore.errors import PluginLoadError, SettingsError
from tradecore.hooks.admit import admit
from tradecore.hooks.entries import PluginInfo, available
from tradecore.hooks.guest import Guest
from tradecore.hooks.specs import HOOKS
from tradecore.market.frame import MarketFrame
from tradecore.settings.wording import nearest
from tradecore.testing.contract.cards import Broken, Result
from tradecore.testing.contract.fingerprint import fingerprint
from tradecore.testing.contract.markets import Grid

CANARY: Final = "canary-4b1d"
"""Value of every secret setting in the suite; it must appear nowhere. Short, as messages cut long values."""
CANARY_VARIABLE: Final = "CONTRACT_SECRET"
"""Variable that holds the canary, for settings that say where a secret is."""
_CHANGING: Final = (dict, list, set, bytearray, int, float, str)
_SKIPPED: Final = frozenset(
    {"__builtins__", "__annotations__", "__cached__", "__spec__", "__warningregistry__", "__pytest_asserts__"}
)
DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType({})


class Subject:
    """One plugin, and what its cards found so far.

    Args:
        name: Name of its entry point.
        maker: What the entry point leads to.
        sections: Sections of the settings to ask it with; the first one is the main one.
        frames: Frames of the author's own, judged beside those of the suite.
        info: What its distribution says; ``None`` where the class was handed in without one.
    """

    def __init__(
        self,
        name: str,
        maker: Any,
        sections: Sequence[Mapping[str, Any]] = (DEFAULTS,),
        frames: Sequence[MarketFrame] = (),
        info: PluginInfo | None = None,
    ) -> None:
        self.name: Final = name
        self.maker: Final = maker
        self.sections: Final = tuple(sections) or (DEFAULTS,)
        self.frames: Final = tuple(frames)
        self.info: Final = info
        self.results: Final[dict[str, Result]] = {}
        """Number of a card to its result, as far as they were asked."""
        self.kept: Final[dict[str, object]] = {}
        """What one card measured for others, by a word."""
        self.begun: Final = self.module_values()
        """What its modules and its class held before any card was asked."""
        self._guests: dict[int, Guest] = {}

    @property
    def hooks(self) -> frozenset[str]:
        """Hooks that its class names, told without making an instance."""
        return frozenset(hook for hook in HOOKS if callable(getattr(self.maker, hook, None)))

    @property
    def settings_class(self) -> type[BaseModel] | None:
        """Its settings model; ``None`` where it has none."""
        found = getattr(self.maker, "Settings", None)
        return found if isinstance(found, type) and issubclass(found, BaseModel) else None

    def section(self, number: int = 0) -> dict[str, Any]:
        """One section with the canary in every secret that it leaves out; where a reference is meant, leading to it."""
        referred = getattr(self.maker, "secrets", ())
        secrets = {name: f"env:{CANARY_VARIABLE}" if name in referred else CANARY for name in self.secrets()}
        return secrets | dict(self.sections[number])

    def secrets(self) -> tuple[str, ...]:
        """Settings of a secret type."""
        model = self.settings_class
        if model is None:
            return ()
        return tuple(name for name, field in model.model_fields.items() if is_secret(field.annotation))

    def fresh(self, number: int = 0) -> Guest:
        """Make a new instance through the core's own door.

        Raises:
            Broken: If it may not enter.
        """
        version = "" if self.info is None else self.info.version
        try:
            return admit(self.name, self.maker, self.section(number), version=version)
        except (PluginLoadError, SettingsError) as error:
            raise Broken(f"the core refuses it: {error}; mend what the message names") from error

    def guest(self, number: int = 0) -> Guest:
        """The instance that most cards share."""
        if number not in self._guests:
            self._guests[number] = self.fresh(number)
        return self._guests[number]

    def guests(self) -> Iterator[tuple[str, Guest]]:
        """One instance per section, with a word for messages on which it is."""
        for number in range(len(self.sections)):
            yield self.about(number), self.guest(number)

    def about(self, number: int) -> str:
        """Say which settings are meant: nothing for the first, the section for others."""
        section = {key: value for key, value in self.sections[number].items() if key not in self.secrets()}
        return "" if not section else f" (settings {section})"

    def grid(self, number: int = 0) -> Grid:
        """Rows that suit its warm-up."""
        return Grid(self.guest(number).warmup)

    @property
    def modules(self) -> tuple[ModuleType, ...]:
        """The loaded modules of its top package."""
        home = getattr(self.maker, "__module__", "")
        top = home.partition(".")[0]
        if top == "tradecore" or not top:
            names = [home]
        else:
            names = [name for name in list(sys.modules) if name == top or name.startswith(top + ".")]
        found = [sys.modules.get(name) for name in {home, *names}]
        return tuple(sorted((module for module in found if module is not None), key=lambda module: module.__name__))

    def module_values(self) -> dict[str, object]:
        """Values of its modules and of its class that could change, by name."""
        owners = [(module.__name__, vars(module)) for module in self.modules]
        if isinstance(self.maker, type):
            owners.append((self.maker.__qualname__, dict(vars(self.maker))))
        return {
            f"{owner}.{name}": fingerprint(value)
            for owner, names in owners
            for name, value in list(names.items())
            if name not in _SKIPPED and (isinstance(value, _CHANGING) or value is None)
        }


def is_secret(annotation: Any) -> bool:
    """Tell whether a type is a secret one, or holds one as in ``SecretStr | None``."""
    if isinstance(annotation, type) and issubclass(annotation, (SecretStr, SecretBytes)):
        return True
    return any(is_secret(part) for part in get_args(annotation))


def subject_of(
    plugin: str | type[Any],
    sections: Sequence[Mapping[str, Any]] = (DEFAULTS,),
    frames: Sequence[MarketFrame] = (),
    name: str = "",
) -> Subject:
    """Make the subject of an installed plugin by its name, or of a class.

    Args:
        plugin: Name of an entry point, or a plugin's class.
        sections: As `Subject`.
        frames: As `Subject`.
        name: Name to use for a class that no entry point leads to; empty makes one of the class's name.
    Raises:
        PluginLoadError: If no plugin of that name is installed, or it cannot be imported.
    """
    installed = available()
    if isinstance(plugin, str):
        if plugin not in installed:
            known = ", ".join(installed) or "none"
            raise PluginLoadError(
                f"{plugin}: expected an installed plugin, was {plugin!r}{nearest(plugin, installed)} (installed: "
                f"{known})"
            )
        info = installed[plugin]
        try:
            maker = info.entry.load()
        except (Exception, SystemExit) as error:
            raise PluginLoadError(
                f"{plugin}: expected {info.target} to be importable, was {type(error).__name__}: {error}"
            ) from error
        return Subject(plugin, maker, sections, frames, info)
    target = f"{plugin.__module__}:{plugin.__qualname__}"
    found = next((info for info in installed.values() if info.target == target), None)
    return Subject(found.name if found else name or _snake(plugin.__name__), plugin, sections, frames, found)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
