"""Changes of a profile's guest list on disk: everything else in the file, comments too, stays as it was written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, InlineTable, Table

from tradecore.errors import SettingsError
from tradecore.settings.profiles import find_profile, is_path, read_chain

_RUN: Final = "run"
_PLUGINS: Final = "plugins"


class Edit(NamedTuple):
    """Which file is read, and which is written."""

    source: Path
    target: Path

    @property
    def copies(self) -> bool:
        """True where the target is made by the first change."""
        return self.source != self.target


def editable(profile: str, folder: Path) -> Edit:
    """Find the file to edit: the one that a path names, or a copy of the shipped profile, which is left as it was.

    Args:
        profile: Path that ends in ``.toml``, or the name of a shipped profile.
        folder: Where the copy of a shipped one goes, as ``NAME.toml``; one that lies there is taken as it is.
    Raises:
        SettingsError: If there is no such profile.
    """
    path = find_profile(profile)
    if is_path(profile):
        return Edit(path, path)
    copy = folder / path.name
    return Edit(copy if copy.is_file() else path, copy)


def listed(path: Path) -> tuple[str, ...]:
    """The guest list that a profile and all that it extends set; later layers are left out.

    Raises:
        SettingsError: If a file cannot be read, or the list is none of texts.
    """
    names: Any = ()
    for file in read_chain(path):
        run = file.values.get(_RUN, {})
        names = run.get(_PLUGINS, names) if isinstance(run, dict) else names
    if isinstance(names, str):
        names = [part.strip() for part in names.split(",") if part.strip()]
    if not all(isinstance(name, str) for name in names):
        raise SettingsError(f"run.plugins: expected names, was {list(names)!r}, from {path.name}")
    return tuple(names)


def write_list(edit: Edit, names: Sequence[str]) -> None:
    """Set the guest list of a profile, whole or not at all.

    Names that stay keep their line and the comment behind it.

    Raises:
        SettingsError: If the file cannot be read or written, or is not TOML.
    """
    path = edit.source
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: expected a readable settings file, was {type(error).__name__}") from error
    except TOMLKitError as error:
        raise SettingsError(f"{path}: expected TOML, found {str(error)[:1].lower()}{str(error)[1:]}") from error
    run = document.get(_RUN)
    if run is None:
        run = document[_RUN] = tomlkit.table()
    if not isinstance(run, Table | InlineTable):
        raise SettingsError(f"run: expected a table, was {type(run).__name__}, from {path.name}")
    array = run.get(_PLUGINS)
    if isinstance(array, Array):
        _change(array, names)
    else:
        run[_PLUGINS] = list(names)
    _write(edit.target, tomlkit.dumps(document))


def _change(array: Array, names: Sequence[str]) -> None:
    """Take out what goes and put in what comes, where the rest keeps its order."""
    if "\n" not in array.as_string():
        array.clear()
    for name in [str(name) for name in array]:
        if name not in names:
            array.remove(name)
    for place, name in enumerate(names):
        if name not in array:
            array.insert(place, name)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise SettingsError(f"{path}: expected a file that can be written, was {type(error).__name__}") from error
