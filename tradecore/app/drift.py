"""Settings files that change while a run goes on: told, and not in force before the next start (R54)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tradecore.engine.desk import Desk
from tradecore.model.events import ConfigDrift

_EVERY_MS: Final = 60_000
GONE: Final = "gone"
"""Stands for the digest of a file that cannot be read any more."""


class SettingsWatch:
    """Looks at the settings files once a minute of market time.

    Args:
        files: Path of each file to the SHA-256 of its bytes at the start.
        note: Takes the event; a journal's `note`.
    """

    def __init__(self, files: Mapping[str, str], note: Callable[[ConfigDrift], None]) -> None:
        self._files = dict(files)
        self._told = dict(files)
        self._note = note
        self._next_ms = 0

    def row(self, close_ms: int) -> None:
        """Look, if it is time; a change is told once, and so is the way back."""
        if close_ms < self._next_ms:
            return
        self._next_ms = close_ms + _EVERY_MS
        for path, at_start in self._files.items():
            now = _digest(Path(path))
            if now != self._told[path]:
                self._told[path] = now
                self._note(ConfigDrift(Path(path).name, at_start, now))


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return GONE


def tell_drift(desk: Desk, drift: ConfigDrift) -> None:
    """Tell people, too, that a settings file is no longer what the run goes by."""
    desk.note(drift)
    back = drift.digest_now == drift.digest_at_start
    said = "is again what this run read at its start" if back else "changed: not in force before the next start"
    desk.alert("config_drift", "info" if back else "warning", f"{drift.file} {said}", resolved=back)
