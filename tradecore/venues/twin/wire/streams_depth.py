"""Changes of a book, joined to its snapshots: whoever applies them to a snapshot has the book.

Every state of a book has a number, which a snapshot carries as ``lastUpdateId``. A change tells all levels that were
different in any state since the change before, as they stand now; so a snapshot of any state in between joins.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.model.units import ZERO, Side
from tradecore.venues.twin.market import TwinMarket

_Key = tuple[str, Decimal]


class DepthChange(NamedTuple):
    """Levels as they stand now; quantity 0: nobody stands there any more."""

    symbol: str
    first_id: int
    last_id: int
    bids: list[tuple[Decimal, Decimal]]
    """Price and quantity, best first."""
    asks: list[tuple[Decimal, Decimal]]


class DepthWatch:
    """Follows the book of one symbol.

    Args:
        market: Where books come from.
        symbol: Ours.
        state_id: Number of the book's state at a moment.
        now_ms: Market time; changes count from here.
    """

    def __init__(self, market: TwinMarket, symbol: str, state_id: Callable[[str, int], int], now_ms: int) -> None:
        self._market: Final = market
        self.symbol: Final = symbol
        self._state_id: Final = state_id
        self._until_ms = now_ms
        self._last_id = state_id(symbol, now_ms)
        self._told = self._levels(now_ms)
        self._moved: set[_Key] = set()

    def touch(self, at_ms: int) -> None:
        """Note what was taken of the book as it stood at a moment: a snapshot may have shown it before."""
        depth = self._market.depth(self.symbol, at_ms)
        for taken in depth.taken if depth is not None else ():
            side, _, price = taken.partition(":")
            self._moved.add(("ask" if side == Side.BUY else "bid", Decimal(price)))

    def change(self, now_ms: int) -> DepthChange | None:
        """What changed up to now; ``None`` where nothing did."""
        market, since_ms, self._until_ms = self._market, self._until_ms, now_ms
        for row in range(max(0, market.row_at(since_ms + 1)), market.row_at(now_ms) + 1):
            for step in market.steps(self.symbol, row):
                if since_ms < step.at_ms < now_ms:
                    self._moved |= _different(self._told, self._levels(step.at_ms))
        levels = self._levels(now_ms)
        moved = self._moved | _different(self._told, levels)
        if not moved:
            return None
        # A row without trades empties the book and has no number of its own.
        first_id, self._last_id = self._last_id + 1, max(self._last_id + 1, self._state_id(self.symbol, now_ms))
        self._told, self._moved = levels, set()
        told = sorted((side, price, levels.get((side, price), ZERO)) for side, price in moved)
        bids = [(price, quantity) for side, price, quantity in reversed(told) if side == "bid"]
        asks = [(price, quantity) for side, price, quantity in told if side == "ask"]
        return DepthChange(self.symbol, first_id, self._last_id, bids, asks)

    def _levels(self, at_ms: int) -> dict[_Key, Decimal]:
        book = self._market.book(self.symbol, at_ms)
        if book is None:
            return {}
        bids = {("bid", level.price): level.quantity for level in book.bids}
        return bids | {("ask", level.price): level.quantity for level in book.asks}


def _different(old: dict[_Key, Decimal], new: dict[_Key, Decimal]) -> set[_Key]:
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
