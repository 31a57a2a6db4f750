"""What a fill was worth a moment later: the mid after 1, 10 and 60 s of market time, as events.

A fill whose price the market leaves at once was bought too dear. Nothing is decided here and nothing waits for it; a
run that ends first leaves the later ones out.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from tradecore.engine.desk import Desk, ids_of
from tradecore.engine.settle import Booked
from tradecore.model.events import MarkOut

DELAYS_S: Final = (1, 10, 60)
_WAITING_MAX: Final = 500
"""Fills watched at once; more are not followed."""


class MarkOuts:
    """Notes the mid after each fill. Put `fills` among the settler's listeners."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting = 0

    def fills(self, booked: Sequence[Booked]) -> None:
        """Follow each fill for a minute."""
        for one in booked:
            if self._waiting < _WAITING_MAX and not self._desk.stopping:
                self._waiting += 1
                self._desk.spawn(self._follow(one), f"mark-out {one.fill.trade.venue_trade_id}")

    async def _follow(self, one: Booked) -> None:
        desk, trade = self._desk, one.fill.trade
        ids = ids_of(one.intent)._replace(client_order=one.fill.client_order_id)
        begun_ms = desk.clock.now_ms()
        try:
            for delay_s in DELAYS_S:
                await desk.clock.sleep_until_ms(begun_ms + delay_s * 1_000)
                mid = self._mid(trade.symbol)
                if mid is not None:
                    facts = (trade.symbol, str(trade.side), trade.venue_trade_id, trade.price, trade.quote_quantity)
                    desk.note(MarkOut(*facts, delay_s, mid), ids)
        finally:
            self._waiting -= 1

    def _mid(self, symbol: str) -> Decimal | None:
        book = self._desk.feed.book(symbol)
        return book.mid if book is not None else None
