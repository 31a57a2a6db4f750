"""Locks: symbols on which no entry may be made for a while, by whom and why (R32)."""

from __future__ import annotations

from typing import Final, NamedTuple

EVERY_SYMBOL: Final = "*"
"""The symbol of a lock on all symbols."""


class Lock(NamedTuple):
    """A symbol (or ``*``) on which no entry may be made until `expires_ms`. Exits always pass."""

    symbol: str
    reason: str
    plugin: str
    """Who set it: a guest, or ``breaker``."""
    expires_ms: int
    """First moment at which it no longer binds; one that an operator has lifted ends at that moment."""
    rule: str = ""
    """The rule of the guest that asks for it, as ``cooldown 10m``: one lock per guest, rule and symbol."""
    since_ms: int = 0
    """Moment of the newest evidence for it, as the last stop that was counted."""

    def binds(self, symbol: str, now_ms: int) -> bool:
        """Tell whether it forbids entries on `symbol` at `now_ms`."""
        return self.expires_ms > now_ms and self.symbol in (symbol, EVERY_SYMBOL)
