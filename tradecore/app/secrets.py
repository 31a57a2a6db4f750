"""Keys by reference: where a secret is, never what it is, stands in settings (R54).

Three forms: ``env:NAME``, a variable; ``file:PATH``, a file that only its owner can read; ``credential:NAME``, a file
that systemd hands to the service (``LoadCredential=``), below ``CREDENTIALS_DIRECTORY``.
"""

from __future__ import annotations

import resource
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from tradecore.errors import SettingsError
from tradecore.settings import Resolved

_FORMS: Final = "env:NAME, file:PATH or credential:NAME"
_LONGEST: Final = 8_192
"""Bytes of the longest secret that is read; anything longer is the wrong file."""


def read_secret(reference: str, key: str, env: Mapping[str, str]) -> SecretStr:
    """Read the secret that a reference names.

    Args:
        reference: One of the three forms.
        key: Setting that holds the reference, for messages.
        env: The environment.
    Returns:
        The secret without white space around it, never empty.
    Raises:
        SettingsError: The reference has another form, or there is nothing behind it. Never quotes a value that may be
            the secret itself.
    """
    form, _, name = reference.partition(":")
    if form not in {"env", "file", "credential"} or not name:
        # somebody may have written the secret here: it is not repeated
        raise SettingsError(f"{key}: expected {_FORMS}, was a text of another form (not shown: it may be a secret)")
    if form == "env":
        text = env.get(name, "")
        where = f"variable {name}"
    else:
        path = Path(name).expanduser() if form == "file" else _credential(name, key, env)
        text = _read(path, key, private=form == "file")
        where = str(path)
    if not text.strip():
        raise SettingsError(f"{key}: expected a secret in {where}, found nothing")
    return SecretStr(text.strip())


def refuse_shown(resolved: Resolved) -> None:
    """Refuse a password among the arguments of the process: every user of the machine can read them (ps).

    Raises:
        SettingsError: Without the value.
    """
    origin = resolved.origin_of("store.url")
    url = resolved.settings.store.url.get_secret_value()
    if origin.layer == "command line" and ":" in url.partition("://")[2].rpartition("@")[0]:
        raise SettingsError(
            "store.url: expected no password on the command line, where everybody on this machine can read it; put the "
            "URL in the variable TRADECORE_STORE__URL or in a profile"
        )


def keep_out_of_core_files() -> None:
    """Have the system write no core file of this process: its memory holds keys from now on."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _credential(name: str, key: str, env: Mapping[str, str]) -> Path:
    folder = env.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise SettingsError(
            f"{key}: expected CREDENTIALS_DIRECTORY, which systemd sets for LoadCredential={name}:..., was not set"
        )
    if "/" in name or name.startswith("."):
        raise SettingsError(f"{key}: expected the plain name of a credential, was {name!r}")
    return Path(folder) / name


def _read(path: Path, key: str, *, private: bool) -> str:
    try:
        mode = path.stat().st_mode
        if private and stat.S_IMODE(mode) & 0o077:
            raise SettingsError(f"{key}: expected only its owner to read {path}, its mode is {mode & 0o777:o}")
        with path.open("rb") as file:
            raw = file.read(_LONGEST + 1)
    except OSError as error:
        raise SettingsError(f"{key}: expected a file that can be read at {path}, was: {error.strerror}") from error
    if len(raw) > _LONGEST:
        raise SettingsError(f"{key}: expected at most {_LONGEST} bytes in {path}, found more")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        # the error would quote the bytes
        raise SettingsError(f"{key}: expected text in {path}, found other bytes") from None
