"""Large answers in pieces: a list of thousands of markets must not hold the loop while it is read (INV-20).

One call of ``json.loads`` on the markets of a venue takes more than a tenth of a second, and nothing else moves
meanwhile, not in a thread either: the parser keeps the interpreter to itself.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final

LARGE: Final = 200_000
"""Characters of an answer that is read in pieces; about 7 ms of parsing."""
_PIECE: Final = 100_000
"""Characters read before others go first, about 4 ms."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder(parse_float=str)


def parse_answer(text: str) -> Any:
    """Parse an answer in one go; a fraction stays the text that it was.

    Raises:
        ValueError: If it is no JSON.
    """
    return _DECODER.decode(text)


async def parse_in_pieces(text: str) -> Any:
    """Parse an answer as `parse_answer` does, and let others go first now and then.

    Raises:
        ValueError: If it is no JSON.
    """
    reader = _Reader(text)
    value = await reader.value(deep=2)
    reader.space()
    if reader.at != len(text):
        raise ValueError(f"expected the end of the answer, was more at {reader.at}")
    return value


class _Reader:
    """Walks the outer levels of a text by itself and gives what is inside to the parser."""

    def __init__(self, text: str) -> None:
        self._text: Final = text
        self.at = 0
        self._rested = 0

    async def value(self, deep: int) -> Any:
        """Read the value that comes next.

        Args:
            deep: Levels that are walked, so that there is a place to rest between their members.
        """
        self.space()
        first = self._text[self.at : self.at + 1]
        if deep and first == "{":
            return await self._object(deep)
        if deep and first == "[":
            return await self._list(deep)
        value, self.at = _DECODER.raw_decode(self._text, self.at)
        if self.at - self._rested > _PIECE:
            self._rested = self.at
            await asyncio.sleep(0)
        return value

    async def _object(self, deep: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.at += 1
        if self._takes("}"):
            return found
        while True:
            self.space()
            if self._text[self.at : self.at + 1] != '"':
                raise ValueError(f"expected a name at {self.at}")
            name, self.at = _DECODER.raw_decode(self._text, self.at)
            self._need(":")
            found[name] = await self.value(deep - 1)
            if self._takes("}"):
                return found
            self._need(",")

    async def _list(self, deep: int) -> list[Any]:
        found: list[Any] = []
        self.at += 1
        if self._takes("]"):
            return found
        while True:
            found.append(await self.value(deep - 1))
            if self._takes("]"):
                return found
            self._need(",")

    def space(self) -> None:
        """Skip what stands between values."""
        matched = _SPACE.match(self._text, self.at)
        assert matched is not None, "the pattern matches nothing too"
        self.at = matched.end()

    def _takes(self, mark: str) -> bool:
        self.space()
        taken = self._text.startswith(mark, self.at)
        self.at += taken
        return taken

    def _need(self, mark: str) -> None:
        if not self._takes(mark):
            raise ValueError(f"expected {mark!r} at {self.at}")
