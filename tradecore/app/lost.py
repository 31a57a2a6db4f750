"""The orders that a journal tells of and a store does not hold: read once, at a start that finds the store behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tradecore.errors import DataError
from tradecore.journal.read import decode, read_journal
from tradecore.model.events import IntentCreated, OrderAttempt, OrderDone, SessionStarted, Stamped
from tradecore.model.intent import Intent
from tradecore.model.lost import Behind, LostOrder
from tradecore.model.order import Attempt, AttemptState, OrderRequest, Outcome
from tradecore.model.signal import Signal
from tradecore.model.units import ZERO, ClientOrderId, IntentId, PositionId, Side, SignalId, TimeInForce

_KINDS: Final = ("session_started", "intent_created", "order_attempt", "order_ack", "order_fill", "order_done")
_MS: Final = 1_000_000


def read_lost(journal: Path, store: int, mark: int) -> Behind:
    """Read what happened after a store's newest event.

    Args:
        journal: The journal's folder.
        store: Sequence of the store's newest event.
        mark: Sequence of the journal's newest booked event.
    Raises:
        DataError: A file of the journal cannot be read: nobody then knows what was lost.
    """
    try:
        lost = _read(journal, store)
    except DataError as error:
        raise DataError(
            f"{error}; the store is behind this journal ({store} to {mark}): put a newer backup back, or move the "
            "journal away to start without what it tells"
        ) from error
    return Behind(store, mark, lost.run_number, lost.orders())


def _read(journal: Path, store: int) -> _Lost:
    lost = _Lost()
    for line in read_journal(journal, kinds=_KINDS):
        told = decode(line)
        if isinstance(told.event, SessionStarted):
            lost.run_number = max(lost.run_number, told.event.run_number)
        elif isinstance(told.event, IntentCreated):
            lost.intents[told.ids.intent] = told
        elif line.store_seq is not None and line.store_seq > store:
            lost.take(told)
    return lost


class _Lost:
    def __init__(self) -> None:
        self.run_number = 0
        self.intents: dict[str, Stamped] = {}
        self._attempts: dict[str, list[Stamped]] = {}

    def take(self, told: Stamped) -> None:
        self._attempts.setdefault(told.ids.client_order, []).append(told)

    def orders(self) -> tuple[LostOrder, ...]:
        """Put together what the lines tell; an order of which only its end is told was the store's already."""
        found = []
        for lines in self._attempts.values():
            moves = [told for told in lines if isinstance(told.event, OrderAttempt)]
            if moves:
                created = self.intents.get(moves[0].ids.intent)
                intent = _intent(created) if created is not None else None
                found.append(LostOrder(intent, _attempt(lines, moves, reduces=intent is not None and intent.reduces)))
        return tuple(sorted(found, key=lambda one: one.attempt.prepared_ms))


def _intent(told: Stamped) -> Intent:
    """Build an intent from the event that told its creation; what no event tells is left empty."""
    e: IntentCreated = told.event
    at_ms, side, position = told.at_ns // _MS, Side(e.side), PositionId(e.position_id) if e.position_id else None
    signal = Signal(
        SignalId(told.ids.decision), e.plugin, e.symbol, side, at_ms, e.expires_ms, e.price, at_ms, 0.0, e.reason,
        0.0, 0.0, "", position if e.reduces else None,
    )  # fmt: skip
    return Intent(
        IntentId(told.ids.intent), signal, e.symbol, side, e.quantity, e.price, at_ms, e.price_cap, at_ms,
        e.expires_ms, e.constraint, e.reduces, position,
    )  # fmt: skip


def _attempt(lines: list[Stamped], moves: list[Stamped], *, reduces: bool) -> Attempt:
    e: OrderAttempt = moves[-1].event
    ids = moves[-1].ids
    at_ms = {told.event.state: told.at_ns // _MS for told in reversed(moves)}
    prepared_ms = moves[0].at_ns // _MS
    ends: list[Any] = [told.event for told in lines if isinstance(told.event, OrderDone)]
    # an end without a fill is believed, one with fills waits for their trades, anything else is for the venue to say
    ended = bool(ends) and not _moved_after(lines)
    over = ended and not ends[-1].executed_quantity
    fences = [told.event.fence_ms for told in moves if told.event.fence_ms is not None]
    return Attempt(
        client_order_id=ClientOrderId(ids.client_order), intent_id=IntentId(ids.intent), number=e.number, wire_id="",
        symbol=e.symbol, side=Side(e.side),
        request=OrderRequest(TimeInForce(e.time_in_force), e.price, e.quantity, 0, e.label),
        state=AttemptState.SETTLED if over else AttemptState.CLOSED if ended else AttemptState.UNKNOWN,
        reduces=reduces, outcome=Outcome(ends[-1].outcome) if ended else None,
        executed_quantity=ends[-1].executed_quantity if ended else ZERO,
        venue_order_id=next((told.ids.venue_order for told in reversed(lines) if told.ids.venue_order), ""),
        code=ends[-1].reason if ended else "", clipped_by=e.clipped_by, prepared_ms=prepared_ms,
        sent_ms=_sent_ms(at_ms, prepared_ms, over=over), fence_ms=max(fences, default=None),
        settled_ms=lines[-1].at_ns // _MS if over else None,
    )  # fmt: skip


def _moved_after(lines: list[Stamped]) -> bool:
    """Tell whether an order moved again after its end: a late fill had reopened it."""
    return not isinstance(lines[-1].event, OrderDone)


def _sent_ms(at_ms: Mapping[str, int], prepared_ms: int, *, over: bool) -> int | None:
    """When it was sent; the journal may lack the last word of a process that died, so PREPARED proves no silence."""
    return at_ms.get(str(AttemptState.SENDING), None if over else prepared_ms)
