"""What readers of the twin see: the engine's records as they stood at some moment.

A venue answers reads from copies that lag behind its engine (reference orders.md 2.8). Every order and trade carries
its moments, so any past state can be told without keeping copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from tradecore.venues.twin.account import before
from tradecore.venues.twin.matching import Engine
from tradecore.venues.twin.records import OrderView, TwinOrder, TwinTrade
from tradecore.venues.twin.views import view_of

PAGE: Final = 500
"""Trades per page."""


class Reads:
    """Reads of one engine's records.

    Args:
        engine: Led up to now by the caller.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine: Final = engine

    def order(self, symbol: str, wire_id: str, until_ms: int) -> TwinOrder | None:
        """The newest order with an id, if it was there at a moment."""
        order = self._engine.find_open(symbol, wire_id) or self._engine.state.by_wire_id(symbol, wire_id)
        return order if order and order.accepted_ms <= until_ms else None

    def open_orders(self, symbol: str | None, until_ms: int, now_ms: int) -> list[OrderView]:
        """Orders that stood at a moment, foreign ones too, by number."""
        found: list[TwinOrder] = list(self._engine.open_orders.values())
        if until_ms < now_ms:
            found += self._engine.state.ended_after(until_ms)
        return self._views((o for o in found if symbol in (None, o.symbol)), until_ms)

    def recent_orders(self, symbol: str, since_ms: int, until_ms: int) -> list[OrderView]:
        """Orders updated since a moment, as they stood at another, by number."""
        return self._views(self._engine.state.updated_since(symbol, since_ms), until_ms)

    def trades(
        self, symbol: str, after: int, since_ms: int, until_ms: int
    ) -> tuple[list[TwinTrade], bool]:  # fmt: skip
        """A page of trades after a number, and whether more wait behind it."""
        found = self._engine.state.trades_after(symbol, after, since_ms, until_ms, PAGE + 1)
        return found[:PAGE], len(found) > PAGE

    def balances(self, until_ms: int, now_ms: int) -> dict[str, tuple[Decimal, Decimal]]:
        """Balances as they stood at a moment, coins without any left out."""
        now = self._engine.balances
        past = dict(now) if until_ms >= now_ms else before(now, self._engine.state.moves_after(until_ms))
        return {coin: held for coin, held in past.items() if held[0] or held[1]}

    @staticmethod
    def _views(orders: Iterable[TwinOrder], until_ms: int) -> list[OrderView]:
        there = sorted((o for o in orders if o.accepted_ms <= until_ms), key=lambda o: o.number)
        return [view_of(order, until_ms) for order in there]
