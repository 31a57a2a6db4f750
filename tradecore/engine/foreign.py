"""Trades of the account that are not ours: booked as external entries, and taken back where they prove to be ours."""

from __future__ import annotations

from tradecore.engine.desk import Desk, Transaction
from tradecore.engine.ledger import EXTERNAL, entry_event, external_id, external_postings, reversed_postings
from tradecore.model.events import DuplicateOrderFound
from tradecore.model.fill import VenueTrade
from tradecore.model.units import canonical

LEDGER_OPENED = "ledger_opened"
"""Fact: the moment whose balances the ledger began with. What others traded before it is in them already."""


class ForeignTrades:
    """Books what others trade on the account: it moves our coins, and nothing else of ours (R19, F48)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def book(self, work: Transaction, trade: VenueTrade) -> bool:
        """Book a trade that no order of ours explains.

        Returns:
            True: booked now; False: it was booked before, or is older than the ledger.
        """
        desk = self._desk
        opened = desk.recall(LEDGER_OPENED)
        if not opened or trade.traded_ms <= int(opened):
            return False
        legs = external_postings(desk.config.account, trade)
        if work.put_already(legs[0]) or desk.store.postings_of(legs[0].posting_id):
            return False
        work.put(*legs)
        work.tell(entry_event(legs))
        moved = f"{trade.side} {canonical(trade.quantity)} at {canonical(trade.price)}"
        desk.alert("external_trade", "info", f"{trade.symbol} {trade.venue_trade_id}: {moved}")
        if trade.wire_id and desk.venue.is_ours(trade.wire_id):
            work.tell(DuplicateOrderFound(trade.symbol, trade.wire_id, f"trade {trade.venue_trade_id} without a row"))
            desk.alert("orphan_trade", "critical", f"{trade.symbol} {trade.wire_id}")
        return True

    def take_back(self, work: Transaction, trade: VenueTrade) -> None:
        """Reverse the external entry of a trade that is booked as ours now, if there is one."""
        desk = self._desk
        if (EXTERNAL, trade.symbol.partition("/")[0]) not in desk.books.balances:
            return  # nobody ever traded this coin but us: no need to ask the store on the way of every fill
        legs = desk.store.postings_of(external_id(desk.config.account, trade))
        if legs:
            back = reversed_postings(legs, desk.clock.now_ms())
            work.put(*back)
            work.tell(entry_event(back))
            desk.alert("external_trade_ours", "warning", f"{trade.symbol} {trade.venue_trade_id}")
