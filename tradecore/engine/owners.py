"""Whose an order or a trade of the venue is: found by ids, believed only where the rest fits.

Venues use order ids again, answer with other orders, and name no client id on trades: an id alone proves nothing.
"""

from __future__ import annotations

from tradecore.engine.desk import Desk, Transaction
from tradecore.engine.evidence import foreign_trade
from tradecore.model.fill import VenueTrade
from tradecore.model.order import ATTEMPT_UNPROVEN, Attempt
from tradecore.model.units import ClientOrderId


class ToldOnce:
    """Alarms about orders that are given once in a run for each of them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._told: set[tuple[str, ClientOrderId]] = set()

    def first(self, name: str, attempt: Attempt) -> bool:
        """Tell whether this is asked of an order for the first time."""
        key = (name, attempt.client_order_id)
        if key in self._told:
            return False
        self._told.add(key)
        return True

    def alert(self, name: str, severity: str, attempt: Attempt, text: str) -> None:
        """Alarm, unless it was done."""
        if self.first(name, attempt):
            self._desk.alert(name, severity, f"{attempt.symbol} {attempt.wire_id}: {text}")


class Owners:
    """Finds attempts. Reads books and store, changes nothing.

    Args:
        told: Alarms that were given.
    """

    def __init__(self, desk: Desk, told: ToldOnce) -> None:
        self._desk = desk
        self._told = told

    def find(self, wire_id: str, venue_order_id: str, symbol: str) -> Attempt | None:
        """Find the attempt that an order or a trade of the venue belongs to; ``None``: it is not ours.

        One that has ended long ago is found in the store: a late fill may name nothing but the venue's order id.
        """
        books = self._desk.books
        if wire_id:
            known = books.by_wire_id.get(wire_id)
            found = books.attempts[known] if known else self._desk.store.attempt_by_wire_id(wire_id)
            return found if found is not None and found.symbol == symbol else None  # an id names an order of one market
        if not venue_order_id:
            return None
        for attempt in books.attempts.values():
            if attempt.symbol == symbol and attempt.venue_order_id == venue_order_id:
                return attempt
        return self._desk.store.attempt_by_venue_order_id(symbol, venue_order_id)

    def of_trade(self, work: Transaction, trade: VenueTrade) -> Attempt | None:
        """The attempt that a trade fills; ``None``: none of ours, whatever id it bears."""
        found = self.find(trade.wire_id, trade.venue_order_id, trade.symbol)
        if found is None:
            return None
        found = work.attempt(found.client_order_id) or found
        return found if self.fits(work, found, trade) else None

    def fits(self, work: Transaction, attempt: Attempt, trade: VenueTrade) -> bool:
        """Tell whether a trade can be a fill of the attempt whose id it bears; one that is booked is."""
        if self._desk.store.fill_exists(self._desk.config.account, trade.symbol, trade.venue_trade_id):
            return True
        differs = foreign_trade(attempt, trade)
        if differs:
            self._told.alert(
                "foreign_trade", "critical", attempt, f"trade {trade.venue_trade_id} has its id, {differs}"
            )
        return not differs

    def may_be_ours(self, trade: VenueTrade) -> bool:
        """Tell whether a trade without a known order could be a fill of an attempt whose venue id is not known yet."""
        return not trade.wire_id and any(
            attempt.symbol == trade.symbol
            and attempt.side is trade.side
            and not attempt.venue_order_id
            and attempt.state in ATTEMPT_UNPROVEN
            and trade.traded_ms >= (attempt.sent_ms or attempt.prepared_ms) - self.slack_ms
            for attempt in self._desk.books.attempts.values()
        )

    @property
    def slack_ms(self) -> int:
        """A fill may bear a moment so much before our send: two clocks, which a start lets differ by so much (R21)."""
        timing = self._desk.venue.timing
        return timing.receive_window_ms // 2 + timing.clock_error_ms
