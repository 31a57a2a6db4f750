"""One side-by-side ladder of prices around a last price: seeded spread, gaps and sizes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from tradecore.model.book import Level
from tradecore.model.instrument import Instrument
from tradecore.model.units import EXACT, ZERO, Side, floor_to_lot, minus
from tradecore.venues.twin.records import BookShape

_BPS: Final = 1e-4


class Grid:
    """Steps of price and quantity of one instrument, as float for drawing and exact for levels."""

    __slots__ = ("lot", "lot_float", "tick", "tick_float")

    def __init__(self, instrument: Instrument) -> None:
        self.tick: Final = instrument.tick_size
        self.lot: Final = instrument.lot_size
        self.tick_float: Final = float(instrument.tick_size)
        self.lot_float: Final = float(instrument.lot_size)

    def lots(self, quantity: float) -> Decimal:
        """A float quantity as whole lots, rounded down."""
        return EXACT.multiply(Decimal(int(quantity / self.lot_float)), self.lot)


class Depth:
    """What stands in the book of one symbol during one step. Liquidity that was taken stays taken."""

    __slots__ = ("_asks", "_bids", "at_ms", "changes", "price", "taken")

    def __init__(self, at_ms: int, price: float, bids: list[Level], asks: list[Level]) -> None:
        self.at_ms: Final = at_ms
        self.price: Final = price
        self._bids = bids
        self._asks = asks
        self.taken: dict[str, Decimal] = {}
        """By side of the book and price, base units gone."""
        self.changes = 0
        """How often something was taken since the step."""

    @property
    def bids(self) -> Sequence[Level]:
        """Buyers, best first."""
        return self._bids

    @property
    def asks(self) -> Sequence[Level]:
        """Sellers, best first."""
        return self._asks

    def within(self, side: Side, limit: Decimal) -> list[Level]:
        """Levels that an order of `side` meets at `limit` or better, best first."""
        if side is Side.BUY:
            return [level for level in self._asks if level.price <= limit]
        return [level for level in self._bids if level.price >= limit]

    def take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Let an order of `side` take from one level; it is gone until the next step."""
        levels = self._asks if side is Side.BUY else self._bids
        at = next(i for i, level in enumerate(levels) if level.price == price)
        left = minus(levels[at].quantity, quantity)
        assert left >= 0, "more was taken than stood there"
        if left == ZERO:
            del levels[at]
        else:
            levels[at] = Level(price, left)
        key = f"{side}:{price}"
        self.changes += 1
        self.taken[key] = EXACT.add(self.taken.get(key, ZERO), quantity)

    def retake(self, taken: dict[str, Decimal]) -> None:
        """Take again what had been taken before a restart."""
        for key, quantity in taken.items():
            side, _, price = key.partition(":")
            # New filters may have drawn another ladder meanwhile; what no longer stands there cannot be taken.
            for level in self.within(Side(side), Decimal(price)):
                if level.price == Decimal(price):
                    self.take(Side(side), level.price, min(quantity, level.quantity))


def make_depth(
    chance: random.Random,
    grid: Grid,
    shape: BookShape,
    *,
    at_ms: int,
    price: float,
    traded_quote: float,
    haste: float,
) -> Depth:  # fmt: skip
    """Draw the book around a last price.

    Args:
        chance: Generator of this step and symbol alone.
        price: Last traded price, quote per base, > 0.
        traded_quote: Quote units traded per minute in the row; 0 means that nobody is there.
        haste: 0 in a calm market; 1 doubles the spread and halves the depth.
    """
    side_quote = min(shape.depth_quote, shape.depth_share * traded_quote) / (1 + haste)
    if side_quote <= 0:
        return Depth(at_ms, price, [], [])
    center = round(price / grid.tick_float)
    spread_ticks = price * shape.spread_bps * _BPS * (1 + haste) * (0.6 + 0.8 * chance.random()) / grid.tick_float
    if spread_ticks < 2:
        # A coarse tick: the last trade was at the bid or at the ask, the other side stands one tick off.
        bid = center if chance.random() < 0.5 else center - 1
        ask = bid + 1
    else:
        bid, ask = center - int(spread_ticks / 2), center + int(spread_ticks / 2)
    gap = max(1.0, spread_ticks / 2)
    bids = _side(chance, grid, shape.depth_levels, best=bid, gap=-gap, side_quote=side_quote)
    asks = _side(chance, grid, shape.depth_levels, best=ask, gap=gap, side_quote=side_quote)
    return Depth(at_ms, price, bids, asks)


def _side(
    chance: random.Random, grid: Grid, count: int, *, best: int, gap: float, side_quote: float
) -> list[Level]:  # fmt: skip
    weights = [(0.5 + chance.random()) * (1 + 0.3 * i) for i in range(count)]
    scale = side_quote / sum(weights)
    levels: list[Level] = []
    ticks = best
    for weight in weights:
        if ticks < 1:
            break
        quantity = grid.lots(scale * weight / (ticks * grid.tick_float))
        if quantity > 0:
            levels.append(Level(EXACT.multiply(Decimal(ticks), grid.tick), quantity))
        move = max(1, round(abs(gap) * (0.5 + chance.random())))
        ticks += move if gap > 0 else -move
    return levels


def share_of(quantity: Decimal, share: Decimal, lot: Decimal) -> Decimal:
    """A share (0 to 1) of a quantity in whole lots, rounded down."""
    return floor_to_lot(EXACT.multiply(quantity, share), lot)
