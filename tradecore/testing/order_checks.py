"""What must hold of orders, their fills, their states and their ends: INV-1 to INV-4, INV-7, INV-8, INV-11."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from tradecore.model.events import (
    AlertFired,
    IntentCleared,
    IntentCreated,
    OrderAttempt,
    OrderDone,
    OrderFill,
    SessionEnded,
    SessionStarted,
    UncaughtException,
)
from tradecore.model.fill import Fill
from tradecore.model.instrument import refusal_of
from tradecore.model.intent import INTENT_LIVE, IntentRow
from tradecore.model.order import ATTEMPT_LIVE, AttemptState, Outcome
from tradecore.model.units import ZERO, Side, exact_sum
from tradecore.testing.case import Case
from tradecore.venues.twin.records import TwinTrade

_SENT: Final = frozenset({Outcome.FILLED, Outcome.CANCELED, Outcome.EXPIRED, Outcome.REJECTED})
_TOLD_LATER: Final = frozenset({AttemptState.UNKNOWN, AttemptState.STUCK, AttemptState.REOPENED})
"""States that an order may be told to go to after SENDING; what else becomes of it has events of its own."""
_AFTER_THE_END: Final = frozenset(
    {AttemptState.SETTLED, AttemptState.REOPENED, AttemptState.OPEN, AttemptState.CANCELING, AttemptState.CLOSED}
)
"""Where an attempt may stand that has settled once: a late fill opens it again."""


def never_too_much(case: Case) -> Iterator[str]:
    """INV-1: what the venue executed for an intent is at most its quantity."""
    for intent_id, row in case.intents.items():
        executed = exact_sum(o.executed for a in case.attempts_of[intent_id] for o in case.orders[a.wire_id])
        if executed > row.intent.quantity:
            yield f"intent {intent_id} wanted {row.intent.quantity}, the venue executed {executed}"


def never_twice(case: Case) -> Iterator[str]:
    """INV-2: at most one venue order per client order id."""
    for wire_id, orders in case.orders.items():
        if len(orders) > 1:
            yield f"order {wire_id} was accepted {len(orders)} times"


def never_unwritten(case: Case) -> Iterator[str]:
    """INV-3: no order of ours at the venue without an attempt that was SENDING before."""
    sending = {
        stamped.ids.client_order: stamped.at_ns // 1_000_000
        for stamped in case.of(OrderAttempt)
        if stamped.event.state == AttemptState.SENDING
    }
    for order in case.truth.orders:
        if order.foreign:
            continue
        attempt = case.by_wire_id.get(order.wire_id)
        if attempt is None:
            yield f"order {order.wire_id} of {order.symbol} stands at the venue without a row"
        elif attempt.client_order_id not in sending:
            yield f"order {order.wire_id} was accepted, but no SENDING was booked"
        elif sending[attempt.client_order_id] > order.accepted_ms:
            yield f"order {order.wire_id} was accepted at {order.accepted_ms}, before its SENDING"
        elif attempt.outcome in {Outcome.NOT_SENT, Outcome.NOT_PLACED}:
            yield f"order {order.wire_id} was accepted, but its row says {attempt.outcome}"


def fills_are_trades(case: Case) -> Iterator[str]:
    """INV-4: a settled attempt's fills are what the venue executed; each trade of ours is booked once."""
    trades = {(trade.symbol, trade.venue_trade_id): trade for trade in case.trades}
    seen: set[tuple[str, str]] = set()
    for fill in case.records.fills:
        key = (fill.trade.symbol, fill.trade.venue_trade_id)
        if key in seen:
            yield f"trade {key} is booked twice"
        seen.add(key)
        trade = trades.get(key)
        if trade is None:
            yield f"fill {key} is no trade of the venue"
        elif (differs := _differs(fill, trade)) != "":
            yield f"fill {key} differs from its trade in {differs}"
    for attempt in case.records.attempts:
        booked = exact_sum(fill.trade.quantity for fill in case.fills_of[attempt.client_order_id])
        if booked != attempt.booked_quantity:
            yield f"order {attempt.wire_id} has fills of {booked}, its row says {attempt.booked_quantity}"
        if attempt.state is not AttemptState.SETTLED:
            continue
        executed = exact_sum(order.executed for order in case.orders[attempt.wire_id])
        if not booked == attempt.executed_quantity == executed:
            yield (
                f"settled order {attempt.wire_id}: booked {booked}, executed {attempt.executed_quantity}, "
                f"the venue says {executed}"
            )
    for key, trade in trades.items():
        owner = case.by_wire_id.get(trade.wire_id)
        if key not in seen and (owner is None or owner.state not in ATTEMPT_LIVE):
            yield f"trade {key} of {trade.wire_id} is not booked"


def _differs(fill: Fill, trade: TwinTrade) -> str:
    pairs = (
        ("side", fill.trade.side, trade.side),
        ("price", fill.trade.price, trade.price),
        ("quantity", fill.trade.quantity, trade.quantity),
        ("quote", fill.trade.quote_quantity, trade.quote),
        ("fee", fill.trade.fee, trade.fee),
        ("fee coin", fill.trade.fee_currency if trade.fee else trade.fee_coin, trade.fee_coin),
    )
    return ", ".join(name for name, ours, theirs in pairs if ours != theirs)


# States and reasons ----------------------------------------------------------------------------------------------


def along_the_table(case: Case) -> Iterator[str]:
    """INV-7: PREPARED, SENDING, then evidence; executed never falls and never runs ahead of the venue."""
    told: dict[str, list[str]] = defaultdict(list)
    done: dict[str, Decimal] = {}
    for stamped in case.of(OrderAttempt, OrderFill, OrderDone):
        key, event = stamped.ids.client_order, stamped.event
        if isinstance(event, OrderAttempt):
            told[key].append(event.state)
        elif isinstance(event, OrderFill) and AttemptState.SENDING not in told[key]:
            yield f"order {key} was filled before it was SENDING"
        elif isinstance(event, OrderDone):
            if event.executed_quantity < done.get(key, ZERO):
                yield f"order {key} settled with {event.executed_quantity} after {done[key]}"
            done[key] = event.executed_quantity
    for attempt in case.records.attempts:
        states = told.get(attempt.client_order_id, [])
        first = [AttemptState.PREPARED, AttemptState.SENDING][: len(states)]
        later = set(states[2:])
        if not states or states[:2] != first or not later <= _TOLD_LATER:
            yield f"order {attempt.wire_id} was told to go {' '.join(states) or 'nowhere'}"
        if attempt.sent_ms is None and attempt.outcome in _SENT:
            yield f"order {attempt.wire_id} ended as {attempt.outcome} without a send"
        told_done = attempt.client_order_id in done
        if attempt.state is AttemptState.SETTLED and not told_done:
            yield f"order {attempt.wire_id} settled and nobody was told"
        if told_done and attempt.state not in _AFTER_THE_END:
            yield f"order {attempt.wire_id} was told to have ended and is {attempt.state}"
        executed = exact_sum(order.executed for order in case.orders[attempt.wire_id])
        if attempt.executed_quantity > executed:
            yield f"order {attempt.wire_id} executed {attempt.executed_quantity}, the venue says {executed}"


def always_a_reason(case: Case) -> Iterator[str]:
    """INV-8: what ended has a reason and was told once; what is stuck was alarmed; no exception is swallowed."""
    created = Counter(stamped.ids.intent for stamped in case.of(IntentCreated))
    cleared: dict[str, list[IntentCleared]] = defaultdict(list)
    for stamped in case.of(IntentCleared):
        cleared[stamped.ids.intent].append(stamped.event)
    for intent_id, row in case.intents.items():
        yield from _end_told(row, created[intent_id], cleared[intent_id])
    for attempt in case.records.attempts:
        if attempt.state is AttemptState.SETTLED and (not attempt.code or attempt.outcome is None):
            yield f"order {attempt.wire_id} settled as {attempt.outcome} without a reason code"
    if case.notes is None:
        return
    alarms = [n.event for n in case.notes if isinstance(n.event, AlertFired)]
    for attempt in case.records.attempts:
        if attempt.state is AttemptState.STUCK and not any(attempt.wire_id in alarm.text for alarm in alarms):
            yield f"order {attempt.wire_id} is STUCK and nobody was told"
    yield from _errors_told(case)


def _end_told(row: IntentRow, created: int, cleared: Sequence[IntentCleared]) -> Iterator[str]:
    intent_id = row.intent.intent_id
    if created != 1:
        yield f"intent {intent_id} was told to be created {created} times"
    if row.state in INTENT_LIVE:
        if cleared:
            yield f"live intent {intent_id} was told to have ended"
        return
    if row.reason is None or row.ended_ms is None:
        yield f"intent {intent_id} ended as {row.state} without a reason"
    elif [event.reason for event in cleared] != [str(row.reason)]:
        yield f"intent {intent_id} ended for {row.reason}, was told {[event.reason for event in cleared]}"


def _errors_told(case: Case) -> Iterator[str]:
    """Hold the runs' error summaries against the exceptions in the journal; a killed run has no summary."""
    told = [stamped.event for stamped in case.of(SessionEnded)]
    runs = sum(1 for _ in case.of(SessionStarted))
    if len(told) != runs:
        return  # a killed run took its counter with it
    counted: Counter[str] = Counter()
    for event in told:
        counted.update(event.errors)
    written = Counter(n.event.error_class for n in case.notes or () if isinstance(n.event, UncaughtException))
    if counted != written:
        yield f"the runs counted errors {dict(counted)}, the journal has {dict(written)}"


def within_limits(case: Case) -> Iterator[str]:
    """INV-11: nothing sent breaks a filter, its cap or its time, and the venue got what the row says."""
    for attempt in case.records.attempts:
        intent, request = case.intents[attempt.intent_id].intent, attempt.request
        instrument = case.instruments[attempt.symbol]._replace(can_buy=True, can_sell=True)
        refusal = refusal_of(instrument, attempt.side, request.quantity, request.price)
        if refusal is not None:
            yield f"order {attempt.wire_id} breaks {refusal.reason}: {refusal.value} against {refusal.threshold}"
        beyond = request.price > intent.price_cap if intent.side is Side.BUY else request.price < intent.price_cap
        if beyond:
            yield f"order {attempt.wire_id} at {request.price} is beyond the cap {intent.price_cap}"
        if request.quantity > intent.quantity:
            yield f"order {attempt.wire_id} asks for {request.quantity} of {intent.quantity}"
        if attempt.sent_ms is not None and not intent.reduces and attempt.sent_ms > intent.expires_ms:
            yield f"order {attempt.wire_id} was sent {attempt.sent_ms - intent.expires_ms} ms after its intent's time"
        for order in case.orders[attempt.wire_id]:
            if (order.symbol, order.side, order.price, order.quantity) != (
                attempt.symbol, attempt.side, request.price, request.quantity
            ):  # fmt: skip
                yield f"order {attempt.wire_id} reached the venue as {order.side} {order.quantity} at {order.price}"
