"""The two ends of an intent: made with its reservation, ended with its release, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from tradecore.engine.budget import release, worst_spend
from tradecore.engine.desk import Desk, Transaction, ids_of
from tradecore.engine.holding import close_if_unsellable
from tradecore.engine.settle import Settler
from tradecore.model.events import BudgetReleased, BudgetReserved, IntentCleared, IntentCreated
from tradecore.model.intent import (
    INTENT_LIVE,
    Intent,
    IntentRow,
    IntentState,
    Reservation,
    ReservationState,
    check_intent_move,
)
from tradecore.model.order import ATTEMPT_LIVE
from tradecore.model.reasons import Reason
from tradecore.model.records import Memory
from tradecore.model.units import ZERO, IntentId, minus, times

_DAY_MS = 86_400_000
_STATE_OF = {
    Reason.VENUE_REJECTED: IntentState.REJECTED,
    Reason.INSUFFICIENT_FUNDS: IntentState.REJECTED,
    Reason.GUEST_FAULT: IntentState.FAILED,
    Reason.ROUTER_MISSING: IntentState.FAILED,
    Reason.STORE_UNAVAILABLE: IntentState.FAILED,
    Reason.LEASE_LOST: IntentState.FAILED,
    Reason.INTENT_EXPIRED: IntentState.EXPIRED,
    Reason.OPERATOR: IntentState.CANCELED,
    Reason.SHUTDOWN: IntentState.CANCELED,
    Reason.RESTARTED: IntentState.CANCELED,
    Reason.RISK_REFUSED: IntentState.CANCELED,
    Reason.RISK_MISSING: IntentState.CANCELED,
    Reason.TRADING_HALTED: IntentState.CANCELED,
    Reason.LOCKED: IntentState.CANCELED,
    Reason.TRADING_REDUCING: IntentState.CANCELED,
}


async def create_intents(
    desk: Desk, intents: Sequence[Intent], also: Callable[[Transaction], None] | None = None
) -> None:
    """Make intents and their reservations durable: all of them or none (transaction 1).

    Args:
        also: Puts what belongs into the same transaction; ``None``: nothing does.
    Raises:
        DuplicateRecord: A signal, a symbol or a position already has one.
        StoreError: Nothing was written.
    """
    async with desk.transaction() as work:
        free: dict[str, Decimal] = {}
        for intent in intents:
            instrument = desk.instruments[intent.symbol]
            currency, amount = worst_spend(instrument, intent.side, intent.quantity, intent.price_cap)
            now = desk.clock.now_ms()
            left = minus(free.get(currency, desk.books.available(currency)), amount)
            free[currency] = left
            # An entry is cut to what is free before it comes here; an exit may find coin missing and shrinks later.
            assert intent.reduces or left >= 0, (currency, left, intent)
            work.put(
                IntentRow(intent, IntentState.RESERVED),
                Reservation(intent.intent_id, currency, amount, ZERO, ReservationState.ACTIVE, now),
            )
            ids = ids_of(intent)
            work.tell(
                IntentCreated(
                    intent.symbol, str(intent.side), intent.quantity, intent.price, intent.price_cap,
                    times(intent.quantity, intent.price), intent.constraint, intent.signal.plugin, intent.reduces,
                    intent.signal.reason, intent.position_id or "", intent.expires_ms, _mid(desk, intent.symbol),
                ),
                ids,
            )  # fmt: skip
            work.tell(BudgetReserved(currency, amount, max(ZERO, left)), ids)
        if also is not None:
            also(work)
    desk.tally.pending_peak = max(desk.tally.pending_peak, len(desk.books.intents))


def _mid(desk: Desk, symbol: str) -> Decimal | None:
    """The middle of the book now, if it is young enough to price an order: costs are measured from there."""
    book = desk.feed.book(symbol)
    if book is None or desk.clock.now_ms() - book.received_ms > desk.config.book_age_ms_max:
        return None
    return book.mid


async def end_intent(desk: Desk, settler: Settler, intent_id: IntentId, reason: Reason, detail: str) -> IntentRow:
    """End an intent once: its state, the release of its money and its position's close in one transaction (R15).

    What is executed decides between filled, partial and not; the reason decides how an unfilled one is called.

    Returns:
        The row at its end; still a live one where late evidence has meanwhile brought back an order of it, which is to
        be settled first.
    """
    async with desk.transaction() as work:
        row = work.intent(intent_id)
        assert row is not None
        if row.state not in INTENT_LIVE:
            return row
        intent = row.intent
        attempts = desk.books.attempts_list(intent_id)
        if any(attempt.state in ATTEMPT_LIVE for attempt in attempts):
            return row
        state = _end_state(row, reason)
        check_intent_move(row.state, state)
        now = desk.clock.now_ms()
        ended = row._replace(state=state, reason=reason, detail=detail, ended_ms=now)
        work.put(ended)
        ids = ids_of(intent)
        work.tell(
            IntentCleared(
                intent.symbol, str(intent.side), str(state), str(reason), detail, intent.quantity,
                row.executed_quantity, len(attempts), now - intent.created_ms,
            ),
            ids,
        )  # fmt: skip
        _release(work, intent_id, now, reason, detail)
        if intent.reduces and intent.position_id is not None:
            position = work.position(intent.position_id)
            if position is not None and position.position_id in desk.books.positions:
                close_if_unsellable(desk, work, position, position.close_reason or Reason.LEAVE)
        elif row.executed_quantity > 0:
            count_trade(desk, work, now)
    desk.tally.intents[str(state)] += 1
    return ended


def _end_state(row: IntentRow, reason: Reason) -> IntentState:
    if row.executed_quantity >= row.intent.quantity:
        return IntentState.FILLED
    if row.executed_quantity > 0:
        return IntentState.PARTIAL
    return _STATE_OF.get(reason, IntentState.UNFILLED)


def _release(work: Transaction, intent_id: IntentId, now_ms: int, reason: Reason, detail: str) -> None:
    reservation = work.reservation(intent_id)
    if reservation is None:
        return
    ended = release(reservation, now_ms, reason, detail)
    work.put(ended)
    row = work.intent(intent_id)
    assert row is not None
    work.tell(
        BudgetReleased(ended.currency, ended.amount, ended.consumed, reservation.held, str(reason), detail),
        ids_of(row.intent),
    )


def count_trade(desk: Desk, work: Transaction, now_ms: int) -> None:
    """Count an entry with a fill for the day's limit, durably."""
    work.put(Memory("trades_today", f"{now_ms // _DAY_MS} {trades_today(desk, now_ms) + 1}", now_ms))


def trades_today(desk: Desk, now_ms: int) -> int:
    """Entries with a fill since 00:00 UTC."""
    day, _, count = desk.recall("trades_today").partition(" ")
    return int(count) if day == str(now_ms // _DAY_MS) else 0
