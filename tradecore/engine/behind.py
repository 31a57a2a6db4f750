"""A store behind its journal: entries stop, and every order that it lost is taken up again and read at the venue (F34).

A journal is no evidence of what an order became, but it tells that the order was made, under which id, and for which
position. Such orders are written as UNKNOWN before anything else happens, so that they have an owner and that no later
order can be given their ids; from there they go the way of any order without proof (`resolve`).
"""

from __future__ import annotations

from itertools import groupby

from tradecore.engine.desk import Desk, Transaction, ids_of
from tradecore.engine.evidence import attempt_event
from tradecore.engine.holding import close_if_unsellable
from tradecore.model.events import IntentCleared, IntentCreated, OrderDone, StoreBehind, TradingStateChanged
from tradecore.model.intent import Intent, IntentRow, IntentState
from tradecore.model.lost import OPENING_DUE, STORE_BEHIND, Behind, LostOrder
from tradecore.model.order import Attempt, AttemptState, Outcome
from tradecore.model.portfolio import TradingState
from tradecore.model.reasons import Reason
from tradecore.model.records import Memory, TradingRecord
from tradecore.model.units import ZERO, times

_DETAIL = "told by the journal, missing from the store"
_S = AttemptState


class Rediscovery:
    """Takes lost orders up at a start.

    Args:
        behind: What the journal tells; ``None``: the store holds all of it.
    """

    def __init__(self, desk: Desk, behind: Behind | None) -> None:
        self._desk = desk
        self._behind = behind

    async def take_up(self, *, fresh: bool) -> None:
        """Write, as the first thing of a start and in one transaction, what the store must not forget again.

        Args:
            fresh: The store is empty: what its orders moved is in the balances that the account has now, so the
                ledger's opening is taken after their trades are booked.
        """
        desk, behind = self._desk, self._behind
        if behind is None:
            if desk.recall(STORE_BEHIND):
                desk.alert(STORE_BEHIND, "critical", f"{desk.recall(STORE_BEHIND)}; nobody has resumed since")
            return
        now = desk.clock.now_ms()
        found = [one for one in behind.orders if one.intent is not None or desk.store.intent(one.attempt.intent_id)]
        unknown = len(behind.orders) - len(found)
        text = f"{behind.text}: {len(found)} orders of the journal are read at the venue"
        if unknown:
            text += f", {unknown} belong to intents that nobody knows"
        async with desk.transaction() as work:
            # first, so that it carries the number above the journal's mark
            work.tell(StoreBehind(behind.store, behind.journal, len(found), unknown))
            for _, group in groupby(sorted(found, key=_of_intent), key=_of_intent):
                self._take(work, list(group), now)
            old = desk.books.trading
            work.put(Memory(STORE_BEHIND, text, now), *([Memory(OPENING_DUE, "yes", now)] if fresh else ()))
            if old.state is not TradingState.HALTED:
                work.put(TradingRecord(TradingState.REDUCING, "core", f"{STORE_BEHIND}: {text}", now))
            state = old.state if old.state is TradingState.HALTED else TradingState.REDUCING
            work.tell(TradingStateChanged(str(old.state), str(state), "core", f"{STORE_BEHIND}: {text}", None))
        desk.alert(STORE_BEHIND, "critical", f"{text}; entries stop until an operator resumes")

    def _take(self, work: Transaction, orders: list[LostOrder], now_ms: int) -> None:
        """Take up the orders of one intent; one that the store knows as sent is read at the venue as any other."""
        desk, intent_id = self._desk, orders[0].attempt.intent_id
        row = work.intent(intent_id)
        if row is None:
            intent = orders[0].intent
            assert intent is not None, intent_id
            row = IntentRow(intent, IntentState.CANCELED, reason=Reason.STORE_BEHIND, detail=_DETAIL, ended_ms=now_ms)
            work.put(row)
            _tell_intent(work, row, len(orders), now_ms)
        stored = {attempt.client_order_id: attempt for attempt in desk.store.attempts_of(intent_id)}
        for order in sorted(orders, key=lambda one: one.attempt.number):
            known = stored.get(order.attempt.client_order_id)
            if known is None:
                self._put(work, row.intent, self._as_ours(order.attempt, row.intent, now_ms))
            elif known.state is _S.PREPARED and order.attempt.outcome is not Outcome.NOT_SENT:
                self._send_after_all(work, row.intent, known, order.attempt)

    def _as_ours(self, lost: Attempt, intent: Intent, now_ms: int) -> Attempt:
        """Complete an attempt; nobody wants it any more, so what is open of it is cancelled at once."""
        return lost._replace(
            wire_id=self._desk.venue.wire_id(lost.client_order_id), reduces=intent.reduces, cancel_after_ms=now_ms,
            fence_ms=self._fence_ms(lost), detail=_DETAIL,
        )  # fmt: skip

    def _send_after_all(self, work: Transaction, intent: Intent, known: Attempt, lost: Attempt) -> None:
        """The store knows it as prepared only; the journal tells that it went further."""
        sending = known._replace(state=_S.SENDING, sent_ms=lost.sent_ms, fence_ms=self._fence_ms(lost))
        work.put(sending)
        self._put(work, intent, sending._replace(state=_S.UNKNOWN, venue_order_id=lost.venue_order_id, detail=_DETAIL))

    def _fence_ms(self, lost: Attempt) -> int:
        """The moment up to which the venue could take it, by our widest windows where the journal does not tell."""
        timing = self._desk.venue.timing
        if lost.fence_ms is not None:
            return lost.fence_ms
        window = timing.receive_window_ms + timing.engine_timeout_ms + timing.clock_error_ms
        return (lost.sent_ms or lost.prepared_ms) + 2 * window

    def _put(self, work: Transaction, intent: Intent, attempt: Attempt) -> None:
        work.put(attempt)
        work.tell(attempt_event(attempt, _DETAIL), ids_of(intent, attempt))
        if attempt.state is _S.SETTLED:
            wait = (attempt.settled_ms or 0) - (attempt.sent_ms or attempt.prepared_ms)
            done = OrderDone(
                attempt.symbol, str(attempt.side), attempt.number, str(attempt.outcome), ZERO, ZERO, None,
                attempt.code, wait,
            )  # fmt: skip
            work.tell(done, ids_of(intent, attempt))

    async def close_emptied(self) -> None:
        """Close positions that lost exits had sold: their intents have ended, and no exit of ours will close them."""
        desk = self._desk
        live = {row.intent.position_id for row in desk.books.intents.values() if row.intent.reduces}
        for position in list(desk.books.positions.values()):
            # a start that was killed after the fills were booked leaves the closing to the next one
            theirs = not position.quantity or bool(desk.recall(STORE_BEHIND))
            if theirs and position.position_id not in live and position.sold_quantity > 0:
                async with desk.transaction() as work:
                    current = work.position(position.position_id)
                    if current is not None:
                        close_if_unsellable(desk, work, current, current.close_reason or Reason.STORE_BEHIND)


def _tell_intent(work: Transaction, row: IntentRow, orders: int, now_ms: int) -> None:
    """Tell an intent again, and its end: what was told of it before holds no longer."""
    i = row.intent
    work.tell(
        IntentCreated(
            i.symbol, str(i.side), i.quantity, i.price, i.price_cap, times(i.quantity, i.price), i.constraint,
            i.signal.plugin, i.reduces, i.signal.reason, i.position_id or "", i.expires_ms,
        ),
        ids_of(i),
    )  # fmt: skip
    work.tell(
        IntentCleared(
            i.symbol, str(i.side), str(row.state), str(row.reason), row.detail, i.quantity, ZERO, orders,
            now_ms - i.created_ms,
        ),
        ids_of(i),
    )  # fmt: skip


def _of_intent(order: LostOrder) -> str:
    return order.attempt.intent_id
