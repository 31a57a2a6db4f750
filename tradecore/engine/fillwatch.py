"""An alarm for orders that are sent and never filled: an earlier bot sent 67 of them in silence.

It looks at settled orders of entries, at the end of their intents. What it knows comes from the store at a start, so a
restart forgets nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from statistics import median
from typing import NamedTuple

from tradecore.engine.desk import Desk
from tradecore.engine.settle import Booked
from tradecore.errors import StoreError
from tradecore.model.intent import Intent, IntentRow
from tradecore.model.order import Attempt, AttemptState
from tradecore.model.units import Side, bps_between

_TOP = 3
ZERO_FILLS = "zero_fills"
"""Name of the alarm."""


class _Unfilled(NamedTuple):
    """One order of an entry that was at the venue and brought nothing."""

    code: str
    end: str
    """Why its intent ended; empty where that is not known any more."""
    reach_bps: float
    """How far its limit stood beyond the signal's price, the side's own way."""
    cap_bps: float
    """How far it might have stood."""
    touch_bps: float | None
    """Where the other side of the book stood when its intent ended; ``None``: not known."""


class FillWatch:
    """Counts orders of entries since the newest fill of one, and alarms once when there are too many.

    Args:
        sends: Orders without a fill that raise the alarm; 0: never.
    """

    def __init__(self, desk: Desk, sends: int) -> None:
        self._desk = desk
        self._sends = sends
        self._unfilled: deque[_Unfilled] = deque(maxlen=max(1, sends))
        self._filled_ms = -1
        """Moment of the newest fill that is known."""
        self.raised = False
        """True from the alarm to the next fill."""

    def start(self) -> None:
        """Take up what the store knows of the newest orders; raises the alarm again where it stood."""
        if not self._sends:
            return
        self._unfilled.clear()  # what ended while the start went on is in the store as well
        newest = self._desk.store.newest_entries(self._sends)
        since: list[Attempt] = []
        for attempt in newest:
            if attempt.executed_quantity:
                break
            since.append(attempt)
        for attempt in reversed(since):
            row = self._desk.store.intent(attempt.intent_id)
            if row is not None:
                self._unfilled.append(self._fact(attempt, row, None))
        self._look()

    def ended(self, row: IntentRow) -> None:
        """Count the orders of an intent that has ended."""
        if row.intent.reduces or not self._sends:
            return
        try:
            attempts = self._desk.store.attempts_of(row.intent.intent_id)
        except StoreError as error:
            self._desk.report_uncaught("zero-fill watch", error)
            return
        touch = self._touch_bps(row.intent)
        for attempt in _unfilled_of(attempts, self._filled_ms):
            self._unfilled.append(self._fact(attempt, row, touch))
        self._look()

    def fills(self, booked: Sequence[Booked]) -> None:
        """Begin anew with each fill of an entry."""
        first = next((one for one in booked if not one.intent.reduces), None)
        if first is None:
            return
        self._filled_ms = self._desk.clock.now_ms()
        self._unfilled.clear()
        if self.raised:
            self.raised = False
            trade = first.fill.trade
            text = f"{trade.symbol} filled {trade.quantity} at {trade.price}: entries fill"
            self._desk.alert(ZERO_FILLS, "info", text, resolved=True)

    def _look(self) -> None:
        if self.raised or len(self._unfilled) < self._sends:
            return
        self.raised = True
        self._desk.alert(ZERO_FILLS, "critical", _in_words(self._unfilled))

    def _fact(self, attempt: Attempt, row: IntentRow, touch_bps: float | None) -> _Unfilled:
        intent = row.intent
        return _Unfilled(
            attempt.code or str(attempt.outcome), str(row.reason) if row.reason is not None else "",
            _beyond(intent, attempt.request.price), _beyond(intent, intent.price_cap), touch_bps,
        )  # fmt: skip

    def _touch_bps(self, intent: Intent) -> float | None:
        book = self._desk.feed.book(intent.symbol)
        touch = book.touch(intent.side) if book is not None else None
        return _beyond(intent, touch) if touch else None


def _unfilled_of(attempts: Iterable[Attempt], after_ms: int) -> list[Attempt]:
    """Settled orders that were sent, brought nothing, and settled after a moment."""
    return [
        attempt
        for attempt in attempts
        if attempt.state is AttemptState.SETTLED
        and attempt.sent_ms is not None
        and not attempt.executed_quantity
        and (attempt.settled_ms or 0) > after_ms
    ]


def _beyond(intent: Intent, price: Decimal) -> float:
    """How far a price stands beyond the signal's, basis points: higher for a buy, lower for a sale."""
    bps = float(bps_between(intent.price, price))
    return bps if intent.side is Side.BUY else -bps


def _in_words(orders: Sequence[_Unfilled]) -> str:
    """Say what came of the orders, and where their limits stood against the market."""
    parts = [
        f"none of the last {len(orders)} orders of entries filled: {_counted(one.code for one in orders)}",
        f"limits stood {_spread([one.reach_bps for one in orders])} bps from the signal's price, "
        f"caps allowed {_spread([one.cap_bps for one in orders])} bps",
    ]
    touches = [one.touch_bps for one in orders if one.touch_bps is not None]
    if touches:
        parts.append(f"the best price stood {_spread(touches)} bps from it in the end")
    ends = [one.end for one in orders if one.end]
    if ends:
        parts.append(f"their intents ended {_counted(ends)}")
    return "; ".join(parts)


def _counted(words: Iterable[str]) -> str:
    return ", ".join(f"{word} {times}" for word, times in Counter(words).most_common(_TOP))


def _spread(values: Sequence[float]) -> str:
    """The middle value and the range, where there is one."""
    middle, least, most = (f"{value:.1f}" for value in (median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least} to {most})"
