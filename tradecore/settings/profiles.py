"""Profiles: where they lie, how they are read, and on which line a key stands."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import tradecore
from tradecore.errors import SettingsError
from tradecore.settings.wording import nearest

_HEADER: Final = re.compile(r"^\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_KEY: Final = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)


class ProfileFile(NamedTuple):
    """One settings file as read."""

    path: Path
    text: str
    values: dict[str, Any]

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


def find_profile(name: str | Path) -> Path:
    """Find a profile: a path that ends in ``.toml``, or the name of a shipped one.

    Raises:
        SettingsError: If there is no such file; the nearest shipped name is offered.
    """
    text = str(name)
    if isinstance(name, Path) or text.endswith(".toml") or "/" in text:
        path = Path(text)
        if not path.is_file():
            raise SettingsError(f"profile: expected a settings file, found none at {text!r}")
        return path
    folder = profile_folder()
    path = folder / f"{text}.toml"
    if not path.is_file():
        names = sorted(file.stem for file in folder.glob("*.toml") if file.stem != "base")
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
    return ProfileFile(path, text, values)
