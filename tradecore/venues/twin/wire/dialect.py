"""What both wires have in common, and what each must say in its own way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tradecore.model.instrument import Instrument
from tradecore.model.units import Side, TimeInForce, canonical
from tradecore.venues.twin.manners import Manners
from tradecore.venues.twin.records import OrderView, SelfTrade, TwinTrade
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.listing import Listing

Body = dict[str, Any]
Coins = Mapping[str, tuple[Decimal, Decimal]]
"""Free and locked by coin."""


class Asked(NamedTuple):
    """What a request for an order asks for, read in its venue's way."""

    wire_id: str
    side: Side
    time_in_force: TimeInForce
    price: Decimal | None
    """``None``: a market order."""
    quantity: Decimal | None
    """``None``: as much as `quote` buys or brings."""
    quote: Decimal | None
    post_only: bool
    answer: str
    """ACK, RESULT or FULL."""
    self_trade: SelfTrade


class Listed(NamedTuple):
    """One symbol for the list of symbols."""

    instrument: Instrument
    listing: Listing


class Dialect(ABC):
    """One venue's words for what happened. All bodies are plain JSON values.

    Args:
        manners: Ids, kinds and statuses in the venue's writing.
    """

    #: Most and usual rows of own trades, and of orders.
    trades_limit: tuple[int, int]
    orders_limit: tuple[int, int]
    newest_first: bool
    """True where own trades come newest first."""

    def __init__(self, manners: Manners) -> None:
        self.manners: Final = manners

    @abstractmethod
    def number(self, value: Decimal) -> str:
        """An amount as text."""

    @abstractmethod
    def order(self, view: OrderView) -> Body:
        """An order that was read."""

    @abstractmethod
    def placed(self, view: OrderView, answer: str) -> Body:
        """The answer to an order that was taken."""

    @abstractmethod
    def canceled(self, view: OrderView, cancel_id: str) -> Body:
        """The answer to a cancel."""

    @abstractmethod
    def exchange_info(self, now_ms: int, listed: Iterable[Listed], limits: Sequence[Body]) -> Body:
        """All symbols and their rules."""

    @abstractmethod
    def account(
        self, key: ApiKey, balances: Coins, updated_ms: int, fees: tuple[Decimal, Decimal]
    ) -> Body:  # fmt: skip
        """Balances and rights; fees are maker and taker as ratios."""

    def trade(self, trade: TwinTrade) -> Body:
        """One own trade."""
        number, raw_id = self.number, self.manners.raw_id
        return {
            "symbol": self.manners.raw_symbol(trade.symbol), "id": raw_id(trade.venue_trade_id),
            "orderId": raw_id(trade.venue_order_id), "orderListId": -1, "price": number(trade.price),
            "qty": number(trade.quantity), "quoteQty": number(trade.quote), "commission": number(trade.fee),
            "commissionAsset": trade.fee_coin, "time": trade.traded_ms, "isBuyer": trade.side is Side.BUY,
            "isMaker": trade.is_maker, "isBestMatch": True,
        }  # fmt: skip

    def _balances(self, balances: Coins) -> list[Body]:
        return [
            {"asset": coin, "free": self.number(free), "locked": self.number(locked)}
            for coin, (free, locked) in sorted(balances.items())
        ]


def decimals_of(step: Decimal) -> int:
    """Decimals of a step: 0.01 has two."""
    return len(canonical(step).partition(".")[2])
