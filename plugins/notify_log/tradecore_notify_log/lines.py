"""A file of JSON lines that never grows beyond its bound and never fails its caller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_TEXT_MAX: Final = 4_000


class LineFile:
    """Appends lines; at its bound the file becomes ``NAME.1`` in the place of an older one.

    Args:
        path: Where to.
        bytes_max: Bound of one file, > 0.
    """

    def __init__(self, path: Path, bytes_max: int) -> None:
        self.failed = 0
        """Lines that could not be written."""
        self._path: Final = path
        self._bytes_max: Final = bytes_max

    def put(self, facts: Mapping[str, object]) -> bool:
        """Append one line; False where the disk did not take it."""
        cut = {key: value[:_TEXT_MAX] if isinstance(value, str) else value for key, value in facts.items()}
        line = json.dumps(cut, ensure_ascii=True, separators=(",", ":")) + "\n"
        try:
            if self._path.exists() and self._path.stat().st_size + len(line) > self._bytes_max:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            with self._path.open("a", encoding="ascii") as file:
                file.write(line)
        except OSError:
            self.failed += 1
            return False
        return True
