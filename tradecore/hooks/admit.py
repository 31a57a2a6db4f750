"""Who may enter: a class is checked, its section validated, its hooks compared with the promises.

Everything that would go wrong later without a word is refused here: a misspelt hook, a hook that nobody marked, an
argument that is never filled, a deciding hook that is a coroutine, a filter that judges nobody.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pluggy
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from tradecore.errors import PluginLoadError, SettingsError
from tradecore.hooks.guest import Ask, Guest, bound, spec_arguments
from tradecore.hooks.specs import HOOKS, PROJECT, TELLING, Hooks
from tradecore.market.frame import window_ms
from tradecore.model.events import REGISTRY
from tradecore.ports.operate import RIGHTS
from tradecore.settings.aliases import USE
from tradecore.settings.wording import fields_of, nearest, settings_error

ROLES: Final = ("wisher", "filter")
_ARGUMENTS: Final = {hook: spec_arguments(Hooks, hook) for hook in HOOKS}
_MARK: Final = f"{PROJECT}_impl"
_FLAGS: Final = ("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast")
_PLAIN: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def admit(
    name: str,
    maker: Any,
    section: Mapping[str, Any],
    *,
    version: str = "",
    order: int = 0,
    origin: Callable[[str], str] = lambda key: "",
) -> Guest:
    """Check a plugin class, validate its section, make its instance and read its promises.

    Args:
        name: Name of the entry point.
        maker: What the entry point leads to.
        section: The plugin's section of the settings, as read.
        version: Version of its distribution; empty where it has none.
        order: Place in the guest list, from 0.
        origin: A dotted key (``plugins.NAME.KEY``) to where its value is from.
    Raises:
        PluginLoadError: If it may not enter.
        SettingsError: If its section is wrong.
    """
    settings = validated(name, settings_class(name, maker), section, origin)
    return invite(name, maker, settings, version=version, order=order)


def settings_class(name: str, maker: Any) -> type[BaseModel]:
    """The settings class of a plugin class.

    Raises:
        PluginLoadError: If there is none, or it may change, take unknown keys, or read the environment by itself.
    """
    if not isinstance(maker, type):
        raise PluginLoadError(f"{name}: expected the entry point to lead to a class, was {type(maker).__name__}")
    settings = getattr(maker, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        raise PluginLoadError(f"{name}: expected a class Settings that is a pydantic BaseModel, found none")
    if issubclass(settings, BaseSettings):
        raise PluginLoadError(
            f"{name}: expected Settings to be a BaseModel, was BaseSettings, which reads the environment"
        )
    if not settings.model_config.get("frozen") or settings.model_config.get("extra") != "forbid":
        raise PluginLoadError(f'{name}: expected Settings with frozen=True and extra="forbid"')
    if USE in fields_of(settings):
        raise PluginLoadError(
            f"{name}: expected Settings without the key {USE!r}: by it a profile gives a plugin another name"
        )
    return settings


def validated(
    name: str, settings: type[BaseModel], section: Mapping[str, Any], origin: Callable[[str], str] = lambda key: ""
) -> BaseModel:
    """Validate a plugin's section.

    Raises:
        SettingsError: On the first key that is wrong.
    """
    try:
        return settings.model_validate(dict(section))
    except ValidationError as error:
        raise settings_error(error, settings, name, lambda key: origin(f"plugins.{key}")) from None
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from error
    except (Exception, SystemExit) as error:
        raise PluginLoadError(f"{name}: expected Settings that validate, {_raised(error)}") from error


def invite(name: str, maker: type[Any], settings: BaseModel, *, version: str = "", order: int = 0) -> Guest:
    """Make an instance with valid settings and read its promises.

    Raises:
        PluginLoadError: If it may not enter.
    """
    try:
        plugin = maker(settings)
        asks = _hooks_of(name, plugin)
        hooks = frozenset(asks)
        role, applies_to = _role_of(name, plugin, hooks)
        events = _events_of(name, plugin, hooks)
        warmup = _warmup_of(name, plugin)
        operates, secrets = _operates_of(name, plugin, hooks), _secrets_of(name, plugin, settings, hooks)
    except (PluginLoadError, SettingsError):
        raise
    except (Exception, SystemExit) as error:
        raise PluginLoadError(f"{name}: expected a plugin that can be made, {_raised(error)}") from error
    return Guest(
        name, version, plugin, settings, hooks, role, applies_to, warmup, events, order, asks, operates, secrets
    )  # fmt: skip


def _raised(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"was {type(error).__name__}" + (f": {text[:200]}" if text else "")


# Hooks -------------------------------------------------------------------------------------------------------


def _hooks_of(name: str, plugin: object) -> Mapping[str, Ask]:
    """Compare a plugin's methods with the specifications and bind them."""
    _check_marks(name, plugin)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginLoadError(f"{name}: {' '.join(str(error).split())}") from error
    asks: dict[str, Ask] = {}
    for caller in manager.get_hookcallers(plugin) or ():
        implementations = caller.get_hookimpls()
        if len(implementations) != 1:
            raise PluginLoadError(f"{name}.{caller.name}: expected one method, found {len(implementations)}")
        function = implementations[0].function
        takes = tuple(inspect.signature(function).parameters)
        asks[caller.name] = bound(function, takes, _ARGUMENTS[caller.name])
    if not asks:
        raise PluginLoadError(f"{name}: expected a method marked with hookimpl, found none")
    return MappingProxyType(asks)


def _check_marks(name: str, plugin: object) -> None:
    """Look at every attribute: what is marked must be a hook that can be asked, what is named so must be marked."""
    for attribute in dir(plugin):
        if attribute.startswith("__") or isinstance(inspect.getattr_static(plugin, attribute), property):
            continue
        value = getattr(plugin, attribute)
        options = getattr(value, _MARK, None)
        if options is None and isinstance(value, functools.partial):
            options = getattr(value.func, _MARK, None)
        if isinstance(options, dict):
            _check_hook(name, options.get("specname") or attribute, value, options)
        elif attribute in HOOKS and inspect.isroutine(value):
            raise PluginLoadError(
                f"{name}.{attribute}: expected the method to be marked with hookimpl: it is named like a hook"
            )


def _check_hook(name: str, hook: str, function: Any, options: Mapping[str, Any]) -> None:
    if hook not in HOOKS:
        raise PluginLoadError(f"{name}.{hook}: expected the name of a hook, was {hook!r}{nearest(hook, HOOKS)}")
    for flag in _FLAGS:
        if options.get(flag):
            raise PluginLoadError(
                f"{name}.{hook}: expected hookimpl without {flag}: guests are asked in the order of the list"
            )
    if not inspect.isroutine(function):
        raise PluginLoadError(f"{name}.{hook}: expected a method, was {type(function).__name__}")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in _PLAIN:
            raise PluginLoadError(f"{name}.{hook}: expected plain arguments, was {str(parameter)!r}")
        if parameter.name not in _ARGUMENTS[hook]:
            known = _ARGUMENTS[hook]
            raise PluginLoadError(
                f"{name}.{hook}: expected arguments out of ({', '.join(known)}), "
                f"was {parameter.name!r}{nearest(parameter.name, known)}"
            )
        if parameter.default is not inspect.Parameter.empty:
            raise PluginLoadError(f"{name}.{hook}: expected no default for {parameter.name!r}: it is always handed in")
    if hook not in TELLING and (kind := _suspends(function)):
        raise PluginLoadError(f"{name}.{hook}: expected a plain function, was {kind}: this hook is never awaited")


def _suspends(function: Any) -> str:
    """Say how a callable would hand back something unfinished; empty for a plain function.

    Looks through bound methods, ``functools.partial`` and ``functools.wraps``.
    """
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        if inspect.iscoroutinefunction(function):
            return "a coroutine function"
        if inspect.isasyncgenfunction(function):
            return "an async generator"
        if inspect.isgeneratorfunction(function):
            return "a generator"
        inner = getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)
        function = function.func if isinstance(function, functools.partial) else inner
    return ""


# Promises ----------------------------------------------------------------------------------------------------


def _role_of(name: str, plugin: object, hooks: frozenset[str]) -> tuple[str, tuple[str, ...] | None]:
    role = getattr(plugin, "role", "wisher")
    if role not in ROLES:
        raise PluginLoadError(f"{name}.role: expected wisher or filter, was {role!r}{nearest(str(role), ROLES)}")
    if role == "filter" and "signal" not in hooks:
        raise PluginLoadError(f"{name}.role: expected the hook signal for a filter, found none")
    applies_to = getattr(plugin, "applies_to", None)
    if applies_to is None:
        return role, None
    if isinstance(applies_to, str) or not all(isinstance(other, str) for other in applies_to):
        raise PluginLoadError(f"{name}.applies_to: expected names of guests or None, was {applies_to!r}")
    if role != "filter" or not applies_to:
        raise PluginLoadError(
            f"{name}.applies_to: expected None or names for a filter, was {applies_to!r} for a {role}"
        )
    return role, tuple(applies_to)


def _events_of(name: str, plugin: object, hooks: frozenset[str]) -> frozenset[str]:
    events = frozenset(getattr(plugin, "events", ()))
    for kind in sorted(events):
        if kind not in REGISTRY:
            raise PluginLoadError(
                f"{name}.events: expected kinds of events, was {kind!r}{nearest(str(kind), REGISTRY)}"
            )
    if bool(events) != ("on_event" in hooks):
        found = "kinds without the hook" if events else "the hook without kinds"
        raise PluginLoadError(f"{name}.events: expected both events and on_event, found {found}")
    return events


def _warmup_of(name: str, plugin: object) -> Mapping[str, str]:
    warmup = dict(getattr(plugin, "warmup", {}))
    for frame, window in warmup.items():
        try:
            window_ms(window, 1)
            if frame != "base":
                window_ms(frame, 1)
        except (SettingsError, TypeError) as error:
            raise PluginLoadError(
                f"{name}.warmup: expected 'base' or a timeframe to a window such as '60m', was {frame!r}: {window!r}"
            ) from error
    return MappingProxyType(warmup)


def _operates_of(name: str, plugin: object, hooks: frozenset[str]) -> frozenset[str]:
    operates = frozenset(getattr(plugin, "operates", ()))
    for right in sorted(operates - set(RIGHTS)):
        raise PluginLoadError(f"{name}.operates: expected {', '.join(RIGHTS)}, was {right!r}{nearest(right, RIGHTS)}")
    if operates and "on_start" not in hooks:
        raise PluginLoadError(f"{name}.operates: expected the hook on_start, which is handed the means, found none")
    return operates


def _secrets_of(name: str, plugin: object, settings: BaseModel, hooks: frozenset[str]) -> tuple[str, ...]:
    secrets = getattr(plugin, "secrets", ())
    if isinstance(secrets, str) or not all(isinstance(getattr(settings, key, None), SecretStr) for key in secrets):
        raise PluginLoadError(f"{name}.secrets: expected names of settings that are SecretStr, was {secrets!r}")
    if secrets and "on_start" not in hooks:
        raise PluginLoadError(f"{name}.secrets: expected the hook on_start, which is handed them, found none")
    return tuple(secrets)
