"""The outbox with a note of every command that came: each is carried out once, whatever Telegram tells again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tradecore.channels.outbox import Outbox

_UPDATES_KEPT: Final = 2_000
_LARGEST: Final = 2**63 - 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS taken (update_id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
"""


class Notebook(Outbox):
    """The outbox of one bot.

    Args:
        path: The file; ``None`` keeps everything in memory.
        wall_ms: The wall's clock.
    Raises:
        sqlite3.Error: The file cannot be opened; nothing is left open.
    """

    def __init__(self, path: Path | None, wall_ms: Callable[[], int]) -> None:
        super().__init__(path, wall_ms)
        try:
            self._raw.executescript(_SCHEMA)
        except sqlite3.Error:
            self.close()
            raise

    def take(self, update_id: int, at_ms: int) -> bool:
        """Note that an update is acted on now; False where it has been before. Durable when this returns.

        Raises:
            sqlite3.Error: It could not be noted.
        """
        if not 0 <= update_id <= _LARGEST:
            return False
        cursor = self._raw.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (update_id, at_ms))
        if cursor.rowcount:
            self._raw.execute(
                "DELETE FROM taken WHERE update_id IN (SELECT update_id FROM taken ORDER BY at_ms DESC, update_id DESC "
                f"LIMIT -1 OFFSET {_UPDATES_KEPT})"
            )
        return cursor.rowcount > 0

    def newest_update(self) -> tuple[int, int] | None:
        """Id and moment (ms of the wall) of the newest update taken; ``None``: none ever was.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        found = self._raw.execute(
            "SELECT update_id, at_ms FROM taken ORDER BY at_ms DESC, update_id DESC LIMIT 1"
        ).fetchone()
        return None if found is None else (int(found[0]), int(found[1]))
