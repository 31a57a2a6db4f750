"""Texts as Telegram takes them: of one kind of characters only, and no longer than allowed."""

from __future__ import annotations

import unicodedata
from typing import Final

LONGEST: Final = 4_096
"""Characters of one message as Telegram counts them: UTF-16 code units (Bot API, sendMessage, text)."""
_FORBIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARK: Final = " …"


def plain(text: str) -> str:
    """Put ``?`` in the place of what does not show: controls, bidirectional overrides, joiners, lone surrogates."""
    return "".join(
        one if one == "\n" or unicodedata.category(one) not in _FORBIDDEN else "?" for one in text
    )  # fmt: skip


def units(text: str) -> int:
    """Length as Telegram counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, longest: int = LONGEST) -> str:
    """Shorten a text to what one message holds, and say so."""
    if units(text) <= longest:
        return text
    kept = text[: longest - len(_MARK)]
    while units(kept) > longest - len(_MARK):
        kept = kept[:-1]
    return kept + _MARK


def line(text: str, longest: int = 300) -> str:
    """Text of others as a part of one line."""
    return cut(plain(text.replace("\n", " ")), longest)
