"""A local order book from a snapshot and the changes behind it; a change that is missing is noticed, never skipped.

Source: Binance web-socket-streams.md, "How to manage a local order book correctly": changes carry the first and the
last update id (U, u); the first one applied has U <= lastUpdateId + 1 <= u, and each next one begins where the one
before ended. A quantity of 0 removes a level.
"""

from __future__ import annotations

import heapq
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tradecore.errors import UnitError
from tradecore.model.book import Book, Level
from tradecore.model.units import ZERO, decimal_of

_WAITING_MAX: Final = 1000
"""Changes kept while there is no snapshot; older ones go first, since a later snapshot covers them."""


class Change(NamedTuple):
    """Changed levels of a book."""

    first_id: int
    last_id: int
    bids: tuple[Level, ...]
    """Quantity 0 removes the price."""
    asks: tuple[Level, ...]


class Gap(Exception):
    """A change is missing: the book is unusable until a new snapshot is read."""


def _levels(rows: Any) -> tuple[Level, ...]:
    if not isinstance(rows, list):
        raise UnitError(f"expected a list of levels, was {type(rows).__name__}")
    found = []
    for row in rows:
        if not isinstance(row, list) or len(row) < 2:
            raise UnitError("expected a level of price and quantity")
        price, quantity = decimal_of(str(row[0])), decimal_of(str(row[1]))
        if price <= 0 or quantity < 0:
            raise UnitError(f"expected a positive price and no negative quantity, was {row[0]!r} and {row[1]!r}")
        found.append(Level(price, quantity))
    return tuple(found)


def change_of(event: Any) -> Change:
    """Read one ``depthUpdate`` event.

    Raises:
        UnitError: If ids or levels are malformed.
    """
    first, last = (event.get("U"), event.get("u")) if isinstance(event, dict) else (None, None)
    if not isinstance(first, int) or not isinstance(last, int) or first > last:
        raise UnitError(f"expected update ids U <= u, was {first!r} and {last!r}")
    return Change(first, last, _levels(event.get("b")), _levels(event.get("a")))


class LocalBook:
    """The book of one symbol, kept by changes.

    Args:
        symbol: Our name of it.
    """

    def __init__(self, symbol: str) -> None:
        self._symbol: Final = symbol
        self._bids: dict[Decimal, Decimal] = {}
        self._asks: dict[Decimal, Decimal] = {}
        self._last_id: int | None = None
        self._joined = False
        self._waiting: list[Change] = []
        self.received_ms = 0
        """Market time of the newest change or snapshot applied."""

    @property
    def joined(self) -> bool:
        """True once a change has followed the snapshot without a gap."""
        return self._joined

    @property
    def last_id(self) -> int | None:
        """Update id that the book stands at; ``None`` without a snapshot."""
        return self._last_id

    def snapshot(self, payload: Any, received_ms: int) -> None:
        """Begin anew from a REST snapshot, then apply the changes that waited for it.

        Raises:
            Gap: If the snapshot is older than the changes that waited: read another one.
            UnitError: If it is malformed; the book is as it was.
        """
        last_id = payload.get("lastUpdateId") if isinstance(payload, dict) else None
        if not isinstance(last_id, int):
            raise UnitError(f"expected lastUpdateId, was {last_id!r}")
        bids, asks = _levels(payload.get("bids")), _levels(payload.get("asks"))
        self._bids = {level.price: level.quantity for level in bids if level.quantity}
        self._asks = {level.price: level.quantity for level in asks if level.quantity}
        self._last_id, self._joined, self.received_ms = last_id, False, received_ms
        waiting, self._waiting = self._waiting, []
        for i, change in enumerate(waiting):
            try:
                self._apply(change)
            except Gap:
                self._waiting = waiting[i:]
                raise

    def apply(self, change: Change, received_ms: int) -> bool:
        """Take one change.

        Returns:
            True where it moved the book; False where it waits for a snapshot or is older than the book.
        Raises:
            Gap: If a change before it is missing; it waits for the next snapshot.
        """
        if self._last_id is None:
            self._wait(change)
            return False
        try:
            moved = self._apply(change)
        except Gap:
            self._wait(change)
            raise
        if moved:
            self.received_ms = received_ms
        return moved

    def _wait(self, change: Change) -> None:
        self._waiting.append(change)
        del self._waiting[:-_WAITING_MAX]

    def _apply(self, change: Change) -> bool:
        assert self._last_id is not None
        if change.last_id <= self._last_id:
            return False  # the snapshot, or a repeated event, has it already
        # Until the first change has joined, it may begin before the snapshot's id; afterwards none may overlap.
        follows = change.first_id <= self._last_id + 1 if not self._joined else change.first_id == self._last_id + 1
        if not follows:
            expected, self._last_id, self._joined = self._last_id + 1, None, False
            raise Gap(f"{self._symbol}: expected a change from {expected} on, was {change.first_id}")
        for side, levels in ((self._bids, change.bids), (self._asks, change.asks)):
            for price, quantity in levels:
                if quantity == ZERO:
                    side.pop(price, None)
                else:
                    side[price] = quantity
        self._last_id, self._joined = change.last_id, True
        return True

    def book(self, levels: int = 100) -> Book | None:
        """The best levels of both sides; ``None`` without a snapshot behind which every change was seen."""
        if self._last_id is None:
            return None
        bids = heapq.nlargest(levels, self._bids)
        asks = heapq.nsmallest(levels, self._asks)
        return Book(
            self._symbol, self.received_ms, tuple(Level(price, self._bids[price]) for price in bids),
            tuple(Level(price, self._asks[price]) for price in asks), "stream",
        )  # fmt: skip

    @property
    def crossed(self) -> bool:
        """True where the best bid reaches the best ask: a change was lost, or the venue erred."""
        return bool(self._bids) and bool(self._asks) and max(self._bids) >= min(self._asks)
