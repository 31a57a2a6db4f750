"""What the journal tells against what the store holds: each event, fill, ledger leg, and everything that stands (R44).

Events, fills and ledger legs are never changed once written, so they are compared as they go by. What moves on
(intents, orders, positions, money) is compared at the end, when both sides stand still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tradecore.engine.differences import Compared, Differences, Kept, text_of
from tradecore.engine.replaying import Rebuilt
from tradecore.engine.standing import Standing
from tradecore.model.events import BookedEvent, LedgerEntry, OrderFill, StoreBehind, kind_of

MASKED: Final = "***"
"""Where a secret stood the journal's text says nothing."""
_PAGE: Final = 2_000


def rebuild(events: Iterable[BookedEvent]) -> Rebuilt:
    """Rebuild the account from the journal's booked events, in the order of its lines."""
    rebuilt = Rebuilt()
    for booked in events:
        rebuilt.take(booked)
    return rebuilt


def still_held(events: Iterable[BookedEvent], behind: Iterable[StoreBehind]) -> Iterator[BookedEvent]:
    """Leave out what a store had lost when a start found it behind its journal: it was told, and holds no longer.

    Args:
        behind: All such findings of the journal.
    """
    lost = [range(one.store + 1, one.journal + 1) for one in behind]
    return (booked for booked in events if not any(booked.sequence in gone for gone in lost))


class Comparison:
    """Rebuilds the account and compares it with the store on the way.

    Args:
        kept: One unchanging picture of the store.
    """

    def __init__(self, kept: Kept) -> None:
        self.rebuilt = Rebuilt()
        self._found = Differences()
        self._kept = kept
        self._last = kept.last_sequence()
        first = kept.events_after(0, 1)
        self._oldest = first[0].sequence if first else 1
        """The store's events before it are gone by its own policy."""
        self._page: list[BookedEvent] = []
        self._page_end = 0

    def take_all(self, events: Iterable[BookedEvent], ends: Callable[[BookedEvent], bool] | None = None) -> bool:
        """Take the journal's events in the order of its lines.

        Args:
            ends: Tells the first event that is not taken any more; ``None`` takes all.
        Returns:
            True where all were taken: then everything that stands was compared, else only what never changes.
        """
        for booked in events:
            if ends is not None and ends(booked):
                return False
            self.take(booked)
        self._finish()
        return True

    def done(self) -> Compared:
        """What differs: between journal and store, and within the journal."""
        for contradiction in self.rebuilt.contradictions:
            self._found.add(contradiction)
        self.rebuilt.contradictions.clear()
        return self._found.done()

    # What is never changed ------------------------------------------------------------------------------------

    def take(self, booked: BookedEvent) -> None:
        """Compare one event and what it reports, then rebuild with it."""
        sequence, expected = booked.sequence, self.rebuilt.sequence + 1
        mended = booked.stamped.event
        if isinstance(mended, StoreBehind) and mended.store == self.rebuilt.sequence:
            expected = mended.journal + 1  # what was told between the two holds no longer, and is not taken
        if self.rebuilt.events and sequence != expected:
            back = "the store was put back to an earlier state" if sequence < expected else "events are missing"
            self._found.differs(sequence, "event sequence", f"{sequence}, {back}", str(expected), "journal")
        if sequence > self._last:
            if sequence == self._last + 1:
                self._found.differs(sequence, "events", f"has {sequence} and on", f"ends with {self._last}")
        else:
            self._compare_event(booked)
        event, ids = booked.stamped.event, booked.stamped.ids
        if isinstance(event, OrderFill):
            self._compare_fill(sequence, event, ids.client_order)
        elif isinstance(event, LedgerEntry):
            self._compare_legs(sequence, event)
        self.rebuilt.take(booked)

    def _compare_event(self, booked: BookedEvent) -> None:
        if booked.sequence < self._oldest:
            return
        stored = self._stored(booked.sequence)
        if stored is None:
            self._found.differs(booked.sequence, "event", kind_of(booked.stamped.event).name, "no such row")
            return
        mine, other = booked.stamped, stored.stamped
        if type(mine.event) is not type(other.event):
            self._found.differs(booked.sequence, "event kind", kind_of(mine.event).name, kind_of(other.event).name)
            return
        name = kind_of(mine.event).name
        pairs = [("at_ns", mine.at_ns, other.at_ns), ("ids", tuple(mine.ids), tuple(other.ids))]
        pairs += [(field, a, b) for field, a, b in zip(mine.event._fields, mine.event, other.event, strict=True)]
        for field, a, b in pairs:
            if a != b and not _masked(a):
                self._found.differs(booked.sequence, f"event {name} {field}", text_of(a), text_of(b))

    def _stored(self, sequence: int) -> BookedEvent | None:
        """The store's event; ``None``: its row is not there."""
        if sequence > self._page_end or not self._page or sequence < self._page[0].sequence:
            self._page = list(self._kept.events_after(sequence - 1, _PAGE))
            self._page_end = self._page[-1].sequence if self._page else sequence
        at = sequence - self._page[0].sequence if self._page else 0
        if 0 <= at < len(self._page) and self._page[at].sequence == sequence:
            return self._page[at]
        return next((one for one in self._page if one.sequence == sequence), None)

    def _compare_fill(self, sequence: int, event: OrderFill, client_order: str) -> None:
        what = f"fill {event.symbol} {event.venue_trade_id}"
        fills = [
            fill for fill in self._kept.fills_of(client_order) if fill.trade.venue_trade_id == event.venue_trade_id
        ]
        if not fills:
            self._found.differs(sequence, what, "is booked", "no such row")
            return
        trade = fills[0].trade
        for field in ("symbol", "side", "price", "quantity", "quote_quantity", "fee", "fee_currency", "is_maker"):
            mine, other = getattr(event, field), getattr(trade, field)
            if mine != other:
                self._found.differs(sequence, f"{what} {field}", text_of(mine), text_of(other))

    def _compare_legs(self, sequence: int, event: LedgerEntry) -> None:
        what = f"ledger entry {event.posting_id}"
        legs = [(leg.account, leg.currency, leg.amount) for leg in self._kept.legs_of(event.posting_id)]
        mine = [(leg.account, leg.currency, leg.amount) for leg in event.legs]
        if not legs:
            self._found.differs(sequence, what, "is posted", "no such row")
        elif len(legs) != len(mine):
            self._found.differs(sequence, f"{what} legs", str(len(mine)), str(len(legs)))
        else:
            for number, (a, b) in enumerate(zip(mine, legs, strict=True)):
                if a != b:
                    self._found.differs(sequence, f"{what} leg {number}", text_of(a), text_of(b))

    def _finish(self) -> None:
        """Compare where the two end, and everything that stands then."""
        rebuilt = self.rebuilt
        if rebuilt.sequence < self._last:
            text = f"ends with {rebuilt.sequence}" if rebuilt.sequence else "holds none"
            self._found.differs(rebuilt.sequence + 1, "events", text, f"has {rebuilt.sequence + 1} to {self._last}")
        Standing(rebuilt, self._kept, self._found).compare()


def _masked(value: object) -> bool:
    return MASKED in str(value)
