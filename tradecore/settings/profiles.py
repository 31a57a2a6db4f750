"""Profiles: where they lie, how they are read, what they extend, and on which line a key stands."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import tradecore
from tradecore.errors import SettingsError
from tradecore.settings.wording import nearest, shown

_HEADER: Final = re.compile(r"^\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_KEY: Final = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)


EXTENDS: Final = "extends"
"""Key at the top of a profile: the profile that it goes on from."""
BASE: Final = "base"
"""Name of the file of defaults, on which every profile stands whether it says so or not."""


class ProfileFile(NamedTuple):
    """One settings file as read."""

    path: Path
    text: str
    values: dict[str, Any]
    """What it sets, without `extends`."""
    extends: str = ""
    """The profile that it goes on from; empty where it stands on the defaults alone."""

    def line_of(self, path: tuple[str, ...]) -> int | None:
        """Line on which a key is set, from 1; ``None`` where it stands inside a value that spans lines."""
        table: tuple[str, ...] = ()
        quoted = False
        for number, line in enumerate(self.text.splitlines(), start=1):
            if not quoted:
                if header := _HEADER.match(line):
                    table = _parts(header[1])
                elif (key := _KEY.match(line)) and (whole := table + _parts(key[1])) == path[: len(whole)]:
                    return number
            if (line.count('"""') + line.count("'''")) % 2:
                quoted = not quoted
        return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def profile_folder() -> Path:
    """The folder of the shipped profiles: inside the package, or beside it where the source is run in place."""
    package = Path(tradecore.__file__).parent
    packaged = package / "profiles"
    return packaged if packaged.is_dir() else package.parent / "settings"


def shipped_profiles() -> list[str]:
    """Names of the shipped profiles; the defaults are none."""
    return sorted(file.stem for file in profile_folder().glob("*.toml") if file.stem != BASE)


def is_path(name: str | Path) -> bool:
    """Tell whether a profile is named by its path, not by the name of a shipped one."""
    return isinstance(name, Path) or name.endswith(".toml") or "/" in name


def find_profile(name: str | Path) -> Path:
    """Find a profile: a path that ends in ``.toml``, or the name of a shipped one.

    Raises:
        SettingsError: If there is no such file; the nearest shipped name is offered.
    """
    text = str(name)
    if is_path(name):
        path = Path(text)
        if not path.is_file():
            raise SettingsError(f"profile: expected a settings file, found none at {text!r}")
        return path
    path = profile_folder() / f"{text}.toml"
    if not path.is_file():
        names = shipped_profiles()
        raise SettingsError(
            f"profile: expected a path ending in .toml or one of {', '.join(names)}, was {text!r}{nearest(text, names)}"
        )
    return path


def read_profile(path: Path) -> ProfileFile:
    """Read a settings file; numbers with a point become exact decimals.

    Raises:
        SettingsError: If it cannot be read or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text, parse_float=Decimal)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: expected a readable settings file, was {type(error).__name__}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: expected TOML, found {str(error)[:1].lower()}{str(error)[1:]}") from error
    extends = values.pop(EXTENDS, "")
    if not isinstance(extends, str):
        raise SettingsError(f"{EXTENDS}: expected one profile as text, was {shown(extends)}, from {path.name}")
    return ProfileFile(path, text, values, extends)


def read_chain(path: Path) -> tuple[ProfileFile, ...]:
    """Read a profile and all that it extends, the farthest first: the order in which they are laid on the defaults.

    A name is that of a shipped profile; a path is taken from the folder of the file that names it.

    Raises:
        SettingsError: If a file cannot be read, is not there, or the chain leads back into itself.
    """
    chain = [read_profile(path)]
    while (extends := chain[-1].extends) and extends != BASE:
        last = chain[-1]
        try:
            file = read_profile(_extended(last.path, extends))
        except SettingsError as error:
            raise SettingsError(f"{error}, from {EXTENDS} of {last.path.name}") from error
        seen = [one.path.resolve() for one in chain]
        chain.append(file)
        if file.path.resolve() in seen:
            raise SettingsError(f"{EXTENDS}: expected a chain of profiles that ends, found {_in_words(chain)}")
    return tuple(reversed(chain))


def _extended(from_: Path, extends: str) -> Path:
    return find_profile(from_.parent / extends if extends.endswith(".toml") else extends)


def _in_words(chain: list[ProfileFile]) -> str:
    return " -> ".join(file.path.name for file in chain)
