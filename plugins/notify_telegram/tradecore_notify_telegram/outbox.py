"""Messages that wait, on disk: each is sent at least once, and never put in twice. Commands that came, too: each once.

A kill between a send and its note sends that message again: Telegram knows no id of ours to tell the two apart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

_WAITING_MAX: Final = 2_000
_KEPT: Final = 20_000
_UPDATES_KEPT: Final = 2_000
_TRIM_EVERY: Final = 500
_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, chat INTEGER NOT NULL, text TEXT NOT NULL,
    state TEXT NOT NULL, UNIQUE (chat, key)
);
CREATE INDEX IF NOT EXISTS waiting ON message (chat, number) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS taken (update_id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
"""


class Waiting(NamedTuple):
    """A message that waits."""

    number: int
    text: str


class Outbox:
    """A file of messages. Trouble with the disk raises `sqlite3.Error`; the caller goes on without.

    Args:
        path: The file; ``None`` keeps everything in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self.dropped = 0
        """Messages given up because too many waited."""
        self._puts = 0
        self._raw: Final = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=0.2)
        try:
            self._raw.executescript(_SCHEMA)
        except sqlite3.Error:
            self._raw.close()
            raise

    def put(self, key: str, chat: int, text: str) -> bool:
        """Add a message; False where one with this key has been put for this chat before."""
        cursor = self._raw.execute(
            "INSERT OR IGNORE INTO message (key, chat, text, state) VALUES (?, ?, ?, 'waiting')", (key, chat, text)
        )
        if cursor.rowcount == 0:
            return False
        self._puts += 1
        if self._puts % _TRIM_EVERY == 0:
            self._trim()
        return True

    def waiting(self, chat: int, most: int) -> Sequence[Waiting]:
        """The oldest messages that wait for a chat."""
        found = self._raw.execute(
            "SELECT number, text FROM message WHERE state = 'waiting' AND chat = ? ORDER BY number LIMIT ?",
            (chat, most),
        )
        return [Waiting(int(number), str(text)) for number, text in found]

    def chats(self) -> Sequence[int]:
        """Chats for which something waits, the longest wait first."""
        found = self._raw.execute(
            "SELECT chat FROM message WHERE state = 'waiting' GROUP BY chat ORDER BY min(number)"
        ).fetchall()
        return [int(chat) for (chat,) in found]

    def depth(self) -> int:
        """Messages that wait."""
        return int(self._raw.execute("SELECT count(*) FROM message WHERE state = 'waiting'").fetchone()[0])

    def done(self, numbers: Sequence[int], state: str) -> None:
        """Note what became of messages: ``sent`` or ``failed``."""
        with self._raw:
            self._raw.executemany(
                "UPDATE message SET state = ?, text = '' WHERE number = ?", [(state, number) for number in numbers]
            )

    def take(self, update_id: int, at_ms: int) -> bool:
        """Note that an update is acted on now; False where it has been before. Durable when this returns."""
        cursor = self._raw.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (update_id, at_ms))
        if cursor.rowcount:
            self._raw.execute(
                "DELETE FROM taken WHERE update_id IN (SELECT update_id FROM taken ORDER BY at_ms DESC, update_id DESC "
                f"LIMIT -1 OFFSET {_UPDATES_KEPT})"
            )
        return cursor.rowcount > 0

    def newest_update(self) -> tuple[int, int] | None:
        """Id and moment (ms of the wall) of the newest update taken; ``None``: none ever was."""
        found = self._raw.execute(
            "SELECT update_id, at_ms FROM taken ORDER BY at_ms DESC, update_id DESC LIMIT 1"
        ).fetchone()
        return None if found is None else (int(found[0]), int(found[1]))

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self._raw.close()

    def _trim(self) -> None:
        """Give up the oldest where too many wait; forget keys that are old."""
        cursor = self._raw.execute(
            "UPDATE message SET state = 'dropped', text = '' WHERE number IN (SELECT number FROM message WHERE state = "
            f"'waiting' ORDER BY number DESC LIMIT -1 OFFSET {_WAITING_MAX})"
        )
        self.dropped += cursor.rowcount
        self._raw.execute(
            "DELETE FROM message WHERE state != 'waiting' AND number NOT IN (SELECT number FROM message WHERE state != "
            f"'waiting' ORDER BY number DESC LIMIT {_KEPT})"
        )
