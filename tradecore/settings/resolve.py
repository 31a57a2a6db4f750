"""One answer to "what is set, and who set it": defaults < profile < environment < command line (R52).

A profile that extends another is laid on it key by key; both are the layer ``profile``.
"""

from __future__ import annotations

import copy
import datetime
import hashlib
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from tradecore.errors import SettingsError
from tradecore.settings.aliases import USE, check_aliases
from tradecore.settings.profiles import BASE, ProfileFile, find_profile, profile_folder, read_chain, read_profile
from tradecore.settings.sections import Settings
from tradecore.settings.wording import (
    MASK,
    fields_of,
    is_secret,
    keyed,
    model_of,
    nearest,
    settings_error,
    shown,
)

PREFIX: Final = "TRADECORE_"
_PLUGINS: Final = "plugins"
_TIMES: Final = (datetime.datetime, datetime.date, datetime.time)


class Origin(NamedTuple):
    """Where a value is from."""

    layer: str
    """``default``, ``profile``, ``environment`` or ``command line``."""
    where: str
    """File, variable or argument."""
    line: int | None = None
    """Line of the file, from 1; ``None`` where there is no file or the key stands inside a longer value."""

    def __str__(self) -> str:
        name = Path(self.where).name if self.line is not None or self.where.endswith(".toml") else self.where
        return f"{self.layer} {name}" + (f":{self.line}" if self.line is not None else "")


BUILT_IN: Final = Origin("default", "built in")


@dataclass(frozen=True)
class Resolved:
    """The settings in force, with the origin of each.

    Args:
        profile: Name of the profile, or of its file.
        settings: The validated root.
        sections: Per guest what its section holds, not yet validated (the loader asks the guest's ``Settings``).
        origins: Dotted key to where its value is from; a key that is absent has its built-in default.
        digest: SHA-256 of all values, secrets masked.
        files: Settings files that were read, with the SHA-256 of their bytes, to notice drift.
    """

    profile: str
    settings: Settings
    sections: Mapping[str, Mapping[str, Any]]
    origins: Mapping[str, Origin]
    digest: str
    files: Mapping[str, str]

    def origin_of(self, key: str) -> Origin:
        """Where a dotted key's value is from; the nearest key above it answers for it."""
        while key:
            if key in self.origins:
                return self.origins[key]
            key = key.rpartition(".")[0]
        return BUILT_IN

    def shown(self, guests: Mapping[str, BaseModel] = MappingProxyType({})) -> dict[str, str]:
        """All values as text by dotted key, secrets masked.

        Args:
            guests: Validated settings per plugin, once loaded: then a guest's defaults and secrets are known too.
        """
        return _texts(self.settings, self.sections, guests)


def resolve(
    profile: str | Path,
    env: Mapping[str, str],
    sets: Sequence[str] = (),
    plugins: str | None = None,
    *,
    installed: Collection[str],
    flags: Mapping[str, str] = MappingProxyType({}),
) -> Resolved:
    """Merge all layers and validate.

    Args:
        profile: Name of a shipped profile, or a path that ends in ``.toml``.
        env: The environment; every ``TRADECORE_*`` variable in it must name a setting.
        sets: ``section.key=value`` or ``plugin.key=value``, later ones win.
        plugins: Comma-separated list that replaces ``run.plugins``; ``None`` keeps it.
        installed: Names of all plugins that are installed.
        flags: Other arguments of the command line, as ``{"--seed": "run.seed=7"}``; they win over `sets`.
    Raises:
        SettingsError: If anything is unknown, of a wrong type, or impossible: one line.
    """
    base, path = read_profile(profile_folder() / f"{BASE}.toml"), find_profile(profile)
    merge = _Merge()
    merge.file(base, "default")
    chain = read_chain(path)
    for file in chain:
        merge.file(file, "profile")
    merge.environment(env, installed)
    for text in sets:
        merge.argument(text, Origin("command line", f"--set {text.partition('=')[0]}"))
    for flag, text in flags.items():
        merge.argument(text, Origin("command line", flag))
    if plugins is not None:
        merge.put(("run", _PLUGINS), plugins, Origin("command line", "--plugins"))
    settings = merge.validated(installed)
    texts = _texts(settings, settings.plugins, {})
    digest = hashlib.sha256("\n".join(f"{key}={text}" for key, text in texts.items()).encode()).hexdigest()
    files = {str(file.path): hashlib.sha256(file.text.encode()).hexdigest() for file in (base, *chain)}
    name = path.stem
    return Resolved(name, settings, settings.plugins, MappingProxyType(merge.origins), digest, files)


class _Merge:
    """Values so far, and who set each."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, Origin] = {}

    def file(self, file: ProfileFile, layer: str) -> None:
        """Take a settings file; a key's value is replaced as a whole."""
        where = str(file.path)
        for path, value in _leaves(file.values, Settings, (), f"{layer} {file.path.name}"):
            self.put(path, _plain(value), Origin(layer, where, file.line_of(path)))

    def environment(self, env: Mapping[str, str], installed: Collection[str]) -> None:
        """Take every ``TRADECORE_*`` variable, in the order of their names."""
        names = {*installed, *self.values.get(_PLUGINS, {})}
        for variable in sorted(env):
            if variable.startswith(PREFIX):
                path, info = _path_of(variable, names)
                self.put(path, _parsed(env[variable], info), Origin("environment", variable))

    def argument(self, text: str, origin: Origin) -> None:
        """Take ``section.key=value`` or ``plugin.key=value``."""
        key, equals, value = text.partition("=")
        parts = tuple(part.strip() for part in key.split("."))
        if not equals or len(parts) < 2 or not all(parts):
            raise SettingsError(f"{origin.where}: expected section.key=value or plugin.key=value, was {text!r}")
        if parts[0] not in Settings.model_fields:
            parts = (_PLUGINS, *parts)
        self.put(parts, _parsed(value.strip(), _info_of(parts)), origin)

    def put(self, path: tuple[str, ...], value: Any, origin: Origin) -> None:
        """Set one key. A path that goes below a free table changes that one entry of it."""
        depth = _leaf_depth(path, origin)
        node = self.values
        for part in path[: depth - 1]:
            node = node.setdefault(part, {})
        last, rest = path[depth - 1], path[depth:]
        key = ".".join(path)
        if not rest:
            node[last] = value
            self.origins = {name: kept for name, kept in self.origins.items() if not name.startswith(key + ".")}
        else:
            table = node[last] = copy.deepcopy(node.get(last, {}))
            for part in rest[:-1]:
                table = table.setdefault(part, {}) if isinstance(table, dict) else table
            if not isinstance(table, dict):
                raise SettingsError(f"{key}: expected a table to set an entry of, was {shown(table)}, from {origin}")
            table[rest[-1]] = value
        self.origins[key] = origin

    def validated(self, installed: Collection[str]) -> Settings:
        """Validate what was merged.

        Raises:
            SettingsError: On the first value that is wrong, or a section of a plugin that nobody knows.
        """
        try:
            settings = Settings(**self.values)
        except ValidationError as error:
            raise settings_error(error, Settings, "", self._text_of) from None
        aliases = check_aliases(settings.plugins, installed, self._text_of)
        known = {*installed, *settings.run.plugins, *aliases}
        for name, section in settings.plugins.items():
            if name not in known:
                origin = self._text_of(f"{_PLUGINS}.{name}.{next(iter(section), '')}")
                near = nearest(name, known | set(Settings.model_fields) - {_PLUGINS})
                raise SettingsError(
                    f"{name}: expected a section or an installed plugin, was {name!r}{near}"
                    + (f", from {origin}" if origin else "")
                )
        return settings

    def _text_of(self, key: str) -> str:
        while key:
            if key in self.origins:
                return str(self.origins[key])
            key = key.rpartition(".")[0]
        return ""


def _leaves(
    values: Mapping[str, Any], model: type[BaseModel], above: tuple[str, ...], source: str
) -> Iterator[tuple[tuple[str, ...], Any]]:
    fields = fields_of(model)
    for name, value in values.items():
        path = (*above, name)
        if path == (_PLUGINS,):
            yield from _plugin_leaves(value, source)
            continue
        if name not in fields:
            raise _unknown(path, source)
        inside = model_of(fields[name])
        if inside is None:
            yield path, value
        elif isinstance(value, Mapping):
            yield from _leaves(value, inside, path, source)
        else:
            raise SettingsError(f"{'.'.join(path)}: expected a table, was {shown(value)}, from {source}")


def _plugin_leaves(sections: Any, source: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(sections, Mapping):
        raise SettingsError(f"plugins: expected a table per plugin, was {shown(sections)}, from {source}")
    for name, section in sections.items():
        if not isinstance(section, Mapping):
            raise SettingsError(f"plugins.{name}: expected a table, was {shown(section)}, from {source}")
        for key, value in section.items():
            yield (_PLUGINS, name, key), value


def _leaf_depth(path: tuple[str, ...], origin: Origin) -> int:
    """How many parts of a path name the key itself; what is below is an entry of a free table."""
    if path[0] == _PLUGINS:
        if len(path) < 3:
            raise SettingsError(f"{'.'.join(path)}: expected plugins.NAME.KEY, from {origin}")
        return 3
    model: type[BaseModel] | None = Settings
    for depth, part in enumerate(path, start=1):
        info = fields_of(model).get(part) if model is not None else None
        if info is None:
            raise _unknown(path, str(origin))
        model = model_of(info)
        if model is None:
            if depth < len(path) and get_origin(info.annotation) is not Mapping:
                raise _unknown(path, str(origin))
            return depth
    raise SettingsError(f"{'.'.join(path)}: expected a key of this section, from {origin}")


def _info_of(path: tuple[str, ...]) -> FieldInfo | None:
    """The field that a path names; ``None`` where it is a plugin's, an entry's, or unknown."""
    model: type[BaseModel] | None = Settings
    info: FieldInfo | None = None
    for part in path:
        info = fields_of(model).get(part) if model is not None else None
        if info is None:
            return None
        model = model_of(info)
    return info


def all_keys(model: type[BaseModel] = Settings, above: str = "") -> Iterator[str]:
    """Every dotted key of the core's settings, in order."""
    for name, info in fields_of(model).items():
        inside = model_of(info)
        key = f"{above}{name}"
        if inside is not None:
            yield from all_keys(inside, key + ".")
        elif key != _PLUGINS:
            yield key


def _unknown(path: tuple[str, ...], source: str) -> SettingsError:
    key = ".".join(path)
    keys = {*all_keys(), *Settings.model_fields}
    return SettingsError(f"{key}: expected a known setting, was {path[-1]!r}{nearest(key, keys)}, from {source}")


def _path_of(variable: str, plugins: Collection[str]) -> tuple[tuple[str, ...], FieldInfo | None]:
    """Turn ``TRADECORE_ENGINE__POLL_MS`` into its path; entries of a free table keep their case."""
    parts = variable.removeprefix(PREFIX).split("__")
    if parts[0].lower() == _PLUGINS and len(parts) >= 3 and all(parts):
        names = {name.lower(): name for name in plugins}
        name = names.get(parts[1].lower())
        if name is None:
            raise _unused(variable, plugins)
        return (_PLUGINS, name, *(part.lower() for part in parts[2:])), None
    path: list[str] = []
    model: type[BaseModel] | None = Settings
    info: FieldInfo | None = None
    for part in parts:
        if model is None:
            if not part or info is None or get_origin(info.annotation) is not Mapping or len(path) + 1 != len(parts):
                raise _unused(variable, plugins)
            return (*path, part), None
        info = fields_of(model).get(part.lower())
        if info is None or (part.lower() == _PLUGINS and not path):
            raise _unused(variable, plugins)
        path.append(part.lower())
        model = model_of(info)
    if model is not None:
        raise _unused(variable, plugins)
    return tuple(path), info


def _unused(variable: str, plugins: Collection[str]) -> SettingsError:
    known = {PREFIX + key.upper().replace(".", "__"): key for key in all_keys()}
    known |= {f"{PREFIX}PLUGINS__{name.upper()}__KEY": name for name in plugins}
    near = nearest(variable.lower(), {name.lower() for name in known}).upper().replace(", NEAREST IS", ", nearest is")
    return SettingsError(f"{variable}: expected a variable that names a setting{near}, from environment")


def _parsed(text: str, info: FieldInfo | None) -> Any:
    """Read the text of a variable or an argument as a TOML value, else as the text it is."""
    try:
        values = tomllib.loads(f"value = {text}", parse_float=Decimal)
    except tomllib.TOMLDecodeError:
        return text
    if set(values) != {"value"}:
        return text
    value = values["value"]
    wants_text = info is not None and info.annotation in (str, SecretStr)
    if isinstance(value, _TIMES) or (wants_text and not isinstance(value, str)):
        return text
    return value


def _plain(value: Any) -> Any:
    """TOML dates become the text that they are written as; all else stays."""
    if isinstance(value, _TIMES):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _texts(
    settings: Settings, sections: Mapping[str, Mapping[str, Any]], guests: Mapping[str, BaseModel]
) -> dict[str, str]:
    texts: dict[str, str] = {}
    _write(settings, "", texts)
    for name in dict.fromkeys((*sections, *guests)):
        if name in guests:
            if USE in sections.get(name, {}):
                texts[f"{_PLUGINS}.{name}.{USE}"] = shown(sections[name][USE])
            _write(guests[name], f"{_PLUGINS}.{name}.", texts)
            continue
        for key, value in sections[name].items():
            texts[f"{_PLUGINS}.{name}.{key}"] = MASK if is_secret(key) else shown(value)
    return texts


def _write(model: BaseModel, above: str, texts: dict[str, str]) -> None:
    fields = fields_of(type(model))
    for name, value in keyed(model).items():
        key = f"{above}{name}"
        if key == _PLUGINS:
            continue
        if isinstance(value, BaseModel):
            _write(value, key + ".", texts)
        else:
            texts[key] = MASK if is_secret(key, fields[name]) and shown(value) not in ('""', "none") else shown(value)
