"""Texts that people read: only characters that show, and no longer than allowed."""

from __future__ import annotations

import unicodedata
from typing import Final

_FORBIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARK: Final = " …"


def plain(text: str) -> str:
    """Put ``?`` in the place of what does not show: controls, bidirectional overrides, joiners, lone surrogates."""
    return "".join(
        one if one == "\n" or unicodedata.category(one) not in _FORBIDDEN else "?" for one in text
    )  # fmt: skip


def units(text: str) -> int:
    """Length in UTF-16 code units, the largest count of those in use."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, longest: int) -> str:
    """Shorten a text to so many UTF-16 code units, and show that it was."""
    if units(text) <= longest:
        return text
    kept = text[: longest - len(_MARK)]
    while units(kept) > longest - len(_MARK):
        kept = kept[:-1]
    return kept + _MARK


def line(text: str, longest: int = 300) -> str:
    """Text of others as a part of one line."""
    return cut(plain(text.replace("\n", " ")), longest)
