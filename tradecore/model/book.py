"""The order book of one symbol at one moment."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tradecore.model.units import ZERO, Side, bps_between, exact_sum, plus, ratio


class Level(NamedTuple):
    """One price of one side."""

    price: Decimal
    """Quote per base, > 0."""
    quantity: Decimal
    """Base units, > 0."""


class Book(NamedTuple):
    """Best levels first on both sides; an empty side means that nobody stands there."""

    symbol: str
    received_ms: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    source: str

    @property
    def best_bid(self) -> Decimal | None:
        """Highest bid; ``None`` where nobody buys."""
        return self.bids[0].price if self.bids else None

    @property
    def best_ask(self) -> Decimal | None:
        """Lowest ask; ``None`` where nobody sells."""
        return self.asks[0].price if self.asks else None

    @property
    def spread_bps(self) -> Decimal | None:
        """Spread relative to the best bid in basis points; ``None`` where a side is empty."""
        if not self.bids or not self.asks:
            return None
        return bps_between(self.bids[0].price, self.asks[0].price)

    @property
    def mid(self) -> Decimal | None:
        """Middle of the best prices; ``None`` where a side is empty."""
        if not self.bids or not self.asks:
            return None
        return ratio(plus(self.bids[0].price, self.asks[0].price), Decimal(2))

    def quantity_within(self, side: Side, limit: Decimal) -> Decimal:
        """Base units that an order of `side` could take at `limit` or better."""
        if side is Side.BUY:
            return exact_sum(level.quantity for level in self.asks if level.price <= limit)
        return exact_sum(level.quantity for level in self.bids if level.price >= limit)

    def touch(self, side: Side) -> Decimal:
        """Price that an order of `side` meets first; 0 where there is none."""
        levels = self.asks if side is Side.BUY else self.bids
        return levels[0].price if levels else ZERO
