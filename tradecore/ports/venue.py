"""What the engine asks of a venue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from tradecore.model.book import Book
from tradecore.model.fill import VenueTrade
from tradecore.model.instrument import Instrument
from tradecore.model.order import Cancelation, NewOrder, OrderReport, Placement
from tradecore.model.units import ClientOrderId, plus


class Balance(NamedTuple):
    """One coin of the account as the venue reports it."""

    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """Free and locked."""
        return plus(self.free, self.locked)


class VenueTiming(NamedTuple):
    """The times that make the fence sound (reference orders.md 2.9), milliseconds."""

    receive_window_ms: int
    engine_timeout_ms: int
    read_lag_ms: int
    clock_error_ms: int


class TradePage(NamedTuple):
    """Own trades, oldest first, and where to go on. The cursor is opaque and durable."""

    trades: Sequence[VenueTrade]
    cursor: str
    more: bool


class CoinTransfer(NamedTuple):
    """Coins that came to the account, or went from it, without a trade, as the venue lists them."""

    transfer_id: str
    """The venue's; unique within the coin."""
    coin: str
    amount: Decimal
    """Units: > 0 came, < 0 went."""
    fee: Decimal
    """Units, >= 0, that the venue took beside what went."""
    at_ms: int
    """When it was asked for, or first seen on its way to us."""


class KeyRights(NamedTuple):
    """What a key may do (R21); ``None`` where the venue does not tell."""

    trade: bool | None
    withdraw: bool | None
    key_print: str = ""
    """What tells this key from another, and is no secret; empty where there is none."""


class Venue(Protocol):
    """A spot venue. Reads raise; `place` and `cancel` answer for every outcome instead.

    Every read raises ``RetryableVenueError`` where no usable answer came (time-out, 5xx, unparsable), and
    ``VenueRefused`` where the venue said no. A missing answer is never an empty one.
    """

    @property
    def name(self) -> str:
        """Short name, as ``twin`` or ``binance``."""

    @property
    def timing(self) -> VenueTiming:
        """Times of the fence."""

    def wire_id(self, client_order_id: ClientOrderId) -> str:
        """Write our id in the form that the venue takes; the same id always gives the same form."""

    def is_ours(self, wire_id: str) -> bool:
        """Tell whether an id has the form of ours (INV-3, orphan adoption)."""

    def weight_of(self, operation: str) -> int:
        """Tell what a call costs at the limiter, >= 1; whoever calls takes the turn.

        Args:
            operation: ``place``, ``cancel``, ``order``, ``open_orders`` (of one symbol), ``open_orders_all``,
                ``recent_orders``, ``trades`` or ``balances``. Every other read takes its own turn.
        """

    async def instruments(self) -> Mapping[str, Instrument]:
        """Read what can be traded, by symbol."""

    async def balances(self) -> Mapping[str, Balance]:
        """Read all coins of the account that are not zero."""

    async def book(self, symbol: str) -> Book:
        """Read the order book."""

    async def place(self, order: NewOrder) -> Placement:
        """Send once. Never raises for what a venue or a network does; never sends twice."""

    async def cancel(self, symbol: str, wire_id: str, venue_order_id: str) -> Cancelation:
        """Ask for a cancel. `venue_order_id` may be empty. The caller reads the order afterwards."""

    async def order(self, symbol: str, wire_id: str) -> OrderReport | None:
        """Read one order by our id; ``None`` means that the venue says it has no such order."""

    async def open_orders(self, symbol: str | None = None) -> Sequence[OrderReport]:
        """Read open orders, foreign ones too."""

    async def recent_orders(self, symbol: str, since_ms: int) -> Sequence[OrderReport]:
        """Read orders of one symbol updated since then, whatever their state."""

    async def trades(self, symbol: str, cursor: str, since_ms: int) -> TradePage:
        """Read own trades after `cursor`; an empty cursor starts at `since_ms`."""

    async def transfers(self, since_ms: int) -> Sequence[CoinTransfer] | None:
        """Read deposits and withdrawals of all coins that were first seen since then and have moved the balance.

        A deposit counts once it is credited, a withdrawal from when it is asked for until it is refused or called off.

        Returns:
            ``None`` where the venue does not tell; an empty list means that it says there were none.
        """

    async def server_time_ms(self) -> int:
        """Read the venue's clock."""

    async def rights(self) -> KeyRights:
        """Read what our key may do."""

    async def close(self) -> None:
        """Let go of connections. May be called twice."""
