"""The truth log: what really happened at the twin, for checkers and tests. The bot never reads it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from tradecore.errors import StateFolderError
from tradecore.model.units import ZERO, Side, TimeInForce, minus, plus, times
from tradecore.venues.twin.records import OrderStatus, TwinTrade
from tradecore.venues.twin.state import TwinState


class TruthEvent(NamedTuple):
    """One event of the engine."""

    sequence: int
    at_ms: int
    kind: str
    """ACCEPTED, REJECTED, FILL, CANCELED, EXPIRED, EXPIRED_IN_MATCH, MOVED (in or out) or OPENED (first balances)."""
    facts: dict[str, Any]


class TruthOrder(NamedTuple):
    """An order as its events tell it."""

    venue_order_id: str
    wire_id: str
    symbol: str
    side: Side
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    foreign: bool
    accepted_ms: int
    status: OrderStatus
    executed: Decimal
    executed_quote: Decimal
    ended_ms: int | None
    """``None`` while it stands."""


class TruthLog:
    """Orders, trades and balances told from the events alone, never from the engine's own tables.

    Args:
        source: The twin's file, or the state of a twin that lives in memory.
    Raises:
        StateFolderError: If the file does not exist.
    """

    def __init__(self, source: Path | TwinState) -> None:
        if isinstance(source, Path) and not source.exists():
            raise StateFolderError(f"expected a twin file, found nothing at {source}")
        self._own: Final = isinstance(source, Path)
        self._state: Final = TwinState(source) if isinstance(source, Path) else source

    def events(self) -> list[TruthEvent]:
        """Every event, oldest first."""
        return [TruthEvent(*row) for row in self._state.truth()]

    def orders(self) -> list[TruthOrder]:
        """Every order that the engine accepted, in order of acceptance."""
        orders: dict[str, TruthOrder] = {}
        for event in self.events():
            facts = event.facts
            key = facts.get("venue_order_id", "")
            if event.kind == "ACCEPTED":
                orders[key] = TruthOrder(
                    key, facts["wire_id"], facts["symbol"], Side(facts["side"]), TimeInForce(facts["time_in_force"]),
                    Decimal(facts["price"]), Decimal(facts["quantity"]), facts["foreign"], event.at_ms,
                    OrderStatus.OPEN, ZERO, ZERO, None,
                )  # fmt: skip
            elif event.kind == "FILL":
                old = orders[key]
                executed = plus(old.executed, Decimal(facts["quantity"]))
                full = executed == old.quantity
                orders[key] = old._replace(
                    executed=executed,
                    executed_quote=plus(old.executed_quote, Decimal(facts["quote"])),
                    status=OrderStatus.FILLED if full else OrderStatus.OPEN,
                    ended_ms=event.at_ms if full else None,
                )
            elif event.kind in ("CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"):
                orders[key] = orders[key]._replace(status=OrderStatus(event.kind), ended_ms=event.at_ms)
        return list(orders.values())

    def trades(self) -> list[TwinTrade]:
        """Every trade, oldest first."""
        return [
            TwinTrade(
                facts["number"], facts["venue_trade_id"], facts["order_number"], facts["venue_order_id"],
                facts["wire_id"], facts["symbol"], Side(facts["side"]), Decimal(facts["price"]),
                Decimal(facts["quantity"]), Decimal(facts["quote"]), Decimal(facts["fee"]), facts["fee_coin"],
                facts["is_maker"], facts["traded_ms"],
            )
            for _, _, kind, facts in self._state.truth()
            if kind == "FILL"
        ]  # fmt: skip

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Free and locked by coin, summed over all events."""
        result: dict[str, tuple[Decimal, Decimal]] = {}
        for event in self.events():
            for coin, (free, locked) in event.facts["moves"].items():
                old = result.get(coin, (ZERO, ZERO))
                result[coin] = (plus(old[0], Decimal(free)), plus(old[1], Decimal(locked)))
        return result

    def rejections(self) -> list[TruthEvent]:
        """Every order that the engine refused."""
        return [event for event in self.events() if event.kind == "REJECTED"]

    def traded(self, coin: str) -> Decimal:
        """By how much all trades and their fees changed a coin."""
        total = ZERO
        for trade in self.trades():
            base, _, quote = trade.symbol.partition("/")
            sign = Decimal(1 if trade.side is Side.BUY else -1)
            if coin == base:
                total = plus(total, times(trade.quantity, sign))
            if coin == quote:
                total = minus(total, times(trade.quote, sign))
            if coin == trade.fee_coin:
                total = minus(total, trade.fee)
        return total

    def close(self) -> None:
        """Let go of a file that this reader opened."""
        if self._own:
            self._state.close()
