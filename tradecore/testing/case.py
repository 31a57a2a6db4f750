"""The three records of one session side by side, with the look-ups that the checks need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tradecore.model.events import (
    Stamped,
)
from tradecore.model.fill import Fill
from tradecore.model.instrument import Instrument
from tradecore.model.order import Attempt
from tradecore.testing.records import Records, Truth
from tradecore.venues.twin.truth import TruthOrder


class Case:
    """The three records, with the look-ups that several checks need."""

    def __init__(
        self, records: Records, truth: Truth, instruments: Mapping[str, Instrument], account: str,
        notes: Sequence[Stamped] | None,
    ) -> None:  # fmt: skip
        self.records = records
        self.truth = truth
        self.instruments = instruments
        self.account = account
        self.notes = notes
        self.events = [booked.stamped for booked in records.events]
        self.intents = {row.intent.intent_id: row for row in records.intents}
        self.attempts_of: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in records.attempts:
            self.attempts_of[attempt.intent_id].append(attempt)
        self.by_wire_id = {attempt.wire_id: attempt for attempt in records.attempts}
        self.fills_of: dict[str, list[Fill]] = defaultdict(list)
        for fill in records.fills:
            self.fills_of[fill.client_order_id].append(fill)
        self.orders: dict[str, list[TruthOrder]] = defaultdict(list)
        for order in truth.orders:
            if not order.foreign:
                self.orders[order.wire_id].append(order)
        foreign = {order.venue_order_id for order in truth.orders if order.foreign}
        self.trades = [trade for trade in truth.trades if trade.venue_order_id not in foreign]
        self.foreign_trades = [trade for trade in truth.trades if trade.venue_order_id in foreign]

    def of(self, *kinds: type[Any]) -> Iterator[Stamped]:
        """Booked events of some kinds, in order."""
        return (stamped for stamped in self.events if isinstance(stamped.event, kinds))
