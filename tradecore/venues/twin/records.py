"""The twin's own words: its orders, its trades, why it rejects, and its terms of business."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.model.order import NewOrder
from tradecore.model.units import ZERO, Side, TimeInForce, minus

MOVED: Final = "MOVED"
"""Truth: coins came or went, and the list of deposits or withdrawals says so."""
UNLISTED: Final = "UNLISTED"
"""Truth: coins came or went, and no list says so."""


class BookShape(NamedTuple):
    """How the twin makes prices and depth of candles."""

    spread_bps: float = 4.0
    """Spread in a calm market, basis points of the price."""
    depth_quote: float = 20_000.0
    """Most quote units that stand on one side."""
    depth_levels: int = 10
    """Prices per side, >= 1."""
    depth_share: float = 1.0
    """What stands on one side, as a share of the value traded per minute; `depth_quote` is the ceiling."""
    calm_range_bps: float = 40.0
    """A minute with this range is one measure of haste: spread doubles, depth halves. Longer rows may range more."""
    steps: int = 8
    """Prices per row, >= 4."""
    between_closes: bool = True
    """False: four prices per row, open, low, high, close."""


class Terms(NamedTuple):
    """What the twin asks of its customer."""

    fee_coin_price: Decimal = Decimal(600)
    """Quote units per unit of a third fee coin where the market has no pair of the two."""
    max_open_orders: int = 200
    """Per symbol."""
    receive_window_ms: int = 5_000
    """A request that arrives later than this after it was sent is rejected."""


class OrderStatus(enum.StrEnum):
    """Where an order stands in the twin's engine; manners put it into a venue's words."""

    OPEN = "OPEN"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"
    """Would have met another order of the same account."""


class Rejection(enum.StrEnum):
    """Why the twin says no."""

    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    HALTED = "HALTED"
    BAD_PARAMETER = "BAD_PARAMETER"
    PRICE_OFF_TICK = "PRICE_OFF_TICK"
    QUANTITY_OFF_LOT = "QUANTITY_OFF_LOT"
    BELOW_MIN = "BELOW_MIN"
    ABOVE_MAX = "ABOVE_MAX"
    BELOW_NOTIONAL = "BELOW_NOTIONAL"
    TOO_MANY_ORDERS = "TOO_MANY_ORDERS"
    INSUFFICIENT_BASE = "INSUFFICIENT_BASE"
    INSUFFICIENT_QUOTE = "INSUFFICIENT_QUOTE"
    DUPLICATE = "DUPLICATE"
    WOULD_TAKE = "WOULD_TAKE"
    OUTSIDE_WINDOW = "OUTSIDE_WINDOW"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    # These come from rules that only the wire has.
    PRICE_OUT_OF_RANGE = "PRICE_OUT_OF_RANGE"
    PRICE_TOO_FAR = "PRICE_TOO_FAR"
    MARKET_QUANTITY = "MARKET_QUANTITY"
    ABOVE_NOTIONAL = "ABOVE_NOTIONAL"
    NOT_THROUGH_API = "NOT_THROUGH_API"
    SUSPENDED = "SUSPENDED"


class SelfTrade(enum.StrEnum):
    """What happens where an order would meet another one of the same account."""

    NONE = "NONE"
    """They pass each other by."""
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class Rejected(NamedTuple):
    """A no of the engine."""

    rejection: Rejection
    detail: str = ""


class TwinTrade(NamedTuple):
    """One trade of the account."""

    number: int
    """Rises by one per trade of this venue, from 1."""
    venue_trade_id: str
    order_number: int
    venue_order_id: str
    wire_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    quote: Decimal
    fee: Decimal
    """Units of `fee_coin`; negative is a rebate."""
    fee_coin: str
    is_maker: bool
    traded_ms: int


@dataclass(slots=True)
class TwinOrder:
    """One order in the engine. The only mutable word here: nothing outside the engine writes to it."""

    number: int
    venue_order_id: str
    wire_id: str
    symbol: str
    side: Side
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    post_only: bool
    foreign: bool
    """Placed by somebody else on the same account."""
    accepted_ms: int
    updated_ms: int
    status: OrderStatus = OrderStatus.OPEN
    executed: Decimal = ZERO
    executed_quote: Decimal = ZERO
    ended_ms: int | None = None
    locked: Decimal = ZERO
    """Units of the coin that it would spend."""
    trades: list[TwinTrade] = field(default_factory=list)
    """Of open orders and of those that ended in this call; read from the file otherwise."""
    market: bool = False
    """Asked for without a price; `price` is the worst that it could get."""

    @property
    def remaining(self) -> Decimal:
        """Base units not filled."""
        return minus(self.quantity, self.executed)


class OrderView(NamedTuple):
    """An order as a reader sees it at some moment, perhaps not the newest."""

    order: TwinOrder
    status: OrderStatus
    executed: Decimal
    executed_quote: Decimal
    updated_ms: int
    trades: tuple[TwinTrade, ...]


class Held(NamedTuple):
    """A request on its way: the network holds it, the sender has given up waiting."""

    due_ms: int
    sent_ms: int
    order: NewOrder
    window_ms: int | None = None
    """Longest way that it may take, ms; ``None`` is the twin's usual."""


Moves = Mapping[str, tuple[Decimal, Decimal]]
"""Per coin, by how much free and locked changed."""


class EngineEvent(NamedTuple):
    """Something that happened in the engine, for whoever pushes news to customers."""

    kind: str
    """ACCEPTED, FILL, CANCELED, EXPIRED, EXPIRED_IN_MATCH, MOVED or OPENED."""
    at_ms: int
    view: OrderView | None
    """The order right after it; ``None`` where none took part."""
    trade: TwinTrade | None
    """Of a FILL."""
    moves: Moves
    """By how much balances changed; may be empty."""
    balances: Mapping[str, tuple[Decimal, Decimal]]
    """Free and locked, right after it, of the coins that changed."""
