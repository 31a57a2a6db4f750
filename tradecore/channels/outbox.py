"""Messages that wait, on disk: each is sent at least once, and never put in twice.

A kill between a send and its note sends that message again: services know no id of ours to tell the two apart. A disk
that takes nothing costs what a restart would have told, not what can be told now: messages wait in memory then.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tradecore.channels.words import cut, plain

_WAITING_MAX: Final = 2_000
_SPARE_MAX: Final = 500
"""Messages that wait in memory while the disk takes none."""
_KEPT: Final = 20_000
_TRIM_EVERY: Final = 500
_KEY_MAX: Final = 300
_TEXT_MAX: Final = 8_000
_OPEN_S: Final = 0.2
_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, chat INTEGER NOT NULL, text TEXT NOT NULL,
    state TEXT NOT NULL, UNIQUE (chat, key)
);
CREATE INDEX IF NOT EXISTS waiting ON message (chat, number) WHERE state = 'waiting';
"""
_LOG: Final = logging.getLogger("tradecore_channels")


class Waiting(NamedTuple):
    """A message that waits."""

    number: int
    text: str
    at_ms: int
    """When it was put, wall; 0: nobody knows."""


class _Spare(NamedTuple):
    """A message that waits in memory."""

    number: int
    """Below 0, the oldest nearest to it."""
    place: int
    key: str
    text: str
    at_ms: int


class Outbox:
    """A file of messages to places, each place a number. After the opening the disk may fail: nothing here raises then.

    Args:
        path: The file; ``None`` keeps everything in memory.
        wall_ms: The wall's clock.
    Raises:
        sqlite3.Error: The file cannot be opened; nothing is left open.
    """

    def __init__(self, path: Path | None, wall_ms: Callable[[], int]) -> None:
        self.dropped = 0
        """Messages given up because too many waited."""
        self.trouble = ""
        """What the disk says; empty while it takes what it is given."""
        self._wall_ms: Final = wall_ms
        self._puts = 0
        self._spare: list[_Spare] = []
        self._spared = 0
        self._owed: dict[int, str] = {}
        """Numbers of messages to what became of them, not yet written: they are not sent again."""
        self._raw: Final = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=_OPEN_S)
        try:
            self._raw.executescript(_SCHEMA)
            if all(column[1] != "at_ms" for column in self._raw.execute("PRAGMA table_info (message)")):
                self._raw.execute("ALTER TABLE message ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0")
            self._trim()
            # whoever else holds the file must not hold up those who put messages in
            self._raw.execute("PRAGMA busy_timeout = 0")
        except sqlite3.Error:
            self._raw.close()
            raise

    def put(self, key: str, place: int, text: str) -> bool:
        """Add a message; False where one with this key has been put for this place before."""
        key, text, at_ms = plain(key)[:_KEY_MAX], cut(plain(text), _TEXT_MAX), self._wall_ms()
        if any((one.place, one.key) == (place, key) for one in self._spare):
            return False
        try:
            cursor = self._raw.execute(
                "INSERT OR IGNORE INTO message (key, chat, text, state, at_ms) VALUES (?, ?, ?, 'waiting', ?)",
                (key, place, text, at_ms),
            )
            if cursor.rowcount == 0:
                return False
            self._puts += 1
            if self._puts % _TRIM_EVERY == 0:
                self._trim()
        except sqlite3.Error as error:
            self._ill(error)
            self._put_spare(key, place, text, at_ms)
            return True
        self._well()
        return True

    def waiting(self, place: int, most: int) -> Sequence[Waiting]:
        """The oldest messages that wait for a place; those in memory are younger than those on disk."""
        found = self._read(
            "SELECT number, text, at_ms FROM message WHERE state = 'waiting' AND chat = ? AND number NOT IN "
            f"({self._marks()}) ORDER BY number LIMIT ?",
            (place, *self._owed, most),
        )
        spare = [Waiting(one.number, one.text, one.at_ms) for one in self._spare if one.place == place]
        return [*(Waiting(int(number), str(text), int(at_ms)) for number, text, at_ms in found), *spare][:most]

    def places(self) -> Sequence[int]:
        """Places for which something waits, the longest wait first."""
        self._settle()
        found = self._read(
            f"SELECT chat FROM message WHERE state = 'waiting' AND number NOT IN ({self._marks()}) GROUP BY chat "
            "ORDER BY min(number)",
            tuple(self._owed),
        )
        return list(dict.fromkeys([*(int(place) for (place,) in found), *(one.place for one in self._spare)]))

    def depth(self) -> int:
        """Messages that wait."""
        ((count,),) = self._read("SELECT count(*) FROM message WHERE state = 'waiting'", ()) or [(0,)]
        return int(count) - len(self._owed) + len(self._spare)

    def done(self, numbers: Sequence[int], state: str) -> None:
        """Note what became of messages: ``sent`` or ``failed``. What the disk does not take is noted later."""
        self._spare = [one for one in self._spare if one.number not in numbers]
        self._owed.update((number, state) for number in numbers if number > 0)
        self._settle()

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self._raw.close()

    def _settle(self) -> None:
        if not self._owed:
            return
        try:
            with self._raw:
                self._raw.execute("BEGIN")
                self._raw.executemany(
                    "UPDATE message SET state = ?, text = '' WHERE number = ?",
                    [(state, number) for number, state in self._owed.items()],
                )
        except sqlite3.Error as error:
            self._ill(error)
        else:
            self._owed.clear()
            self._well()

    def _put_spare(self, key: str, place: int, text: str, at_ms: int) -> None:
        self._spared += 1
        self._spare.append(_Spare(-self._spared, place, key, text, at_ms))
        self.dropped += max(0, len(self._spare) - _SPARE_MAX)
        del self._spare[:-_SPARE_MAX]

    def _read(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            return self._raw.execute(query, tuple(values)).fetchall()
        except sqlite3.Error as error:
            self._ill(error)
            return []

    def _marks(self) -> str:
        return ",".join("?" * len(self._owed))

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

    def _ill(self, error: sqlite3.Error) -> None:
        if not self.trouble:
            _LOG.warning("the outbox waits in memory, its file takes nothing: %s", error)
        self.trouble = str(error) or type(error).__name__

    def _well(self) -> None:
        if self.trouble:
            _LOG.info("the outbox is on disk again")
        self.trouble = ""
