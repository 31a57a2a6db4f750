"""One attempt: prepared within the caps, written before it is sent, sent once, judged by evidence.

Transactions 2, 3 and 4 of the candidate's way: PREPARED, SENDING with its fence, and what the answer proved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore.engine.desk import Desk, ids_of
from tradecore.engine.evidence import attempt_event
from tradecore.engine.resolve import Resolver
from tradecore.engine.settle import Settler
from tradecore.model.events import ExchangeCall, OrderFailed, RateLimitHit
from tradecore.model.instrument import refusal_of
from tradecore.model.intent import Cap, Intent, IntentRow, IntentState
from tradecore.model.order import (
    Attempt,
    AttemptState,
    NewOrder,
    OrderRequest,
    Outcome,
    Placement,
    PlacementKind,
    check_attempt_move,
)
from tradecore.model.portfolio import TradingState
from tradecore.model.reasons import Reason
from tradecore.model.units import (
    IntentId,
    Side,
    TimeInForce,
    add_bps,
    client_order_id,
    exact_sum,
    floor_to_lot,
    limit_to_tick,
    minus,
)
from tradecore.ports.limiter import Priority

_COMMIT_MS_MAX = 1_000
"""Longest time of the wall that writing SENDING may take."""


class End(NamedTuple):
    """Why an intent is to end now."""

    reason: Reason
    detail: str = ""


class Asked(NamedTuple):
    """What is to be sent next, and the guest that keeps the intent."""

    request: OrderRequest
    router: str


class Sender:
    """Prepares and sends attempts.

    Args:
        cancels: Intents whose end was asked for, with the reason; looked at right before a send.
    """

    def __init__(self, desk: Desk, settler: Settler, resolver: Resolver, cancels: Mapping[IntentId, Reason]) -> None:
        self._desk = desk
        self._settler = settler
        self._resolver = resolver
        self._cancels = cancels

    async def prepare(self, row: IntentRow, asked: Asked, caps: Mapping[str, Cap]) -> Attempt | End:
        """Fix price and quantity within the caps and make the attempt durable (transaction 2)."""
        desk, intent = self._desk, row.intent
        instrument = desk.instruments[intent.symbol]
        price, clipped_by = clipped_price(intent, asked.request.price, caps)
        price = limit_to_tick(price, instrument.tick_size, intent.side)
        wanted = min(asked.request.quantity, remaining_of(desk, intent))
        quantity = floor_to_lot(wanted, instrument.lot_size)
        refusal = refusal_of(instrument, intent.side, quantity, price)
        if refusal is not None:
            executed = intent.quantity > remaining_of(desk, intent)
            small = refusal.reason in {Reason.NOTIONAL_BELOW_MIN, Reason.QUANTITY_BELOW_MIN}
            reason = Reason.DUST_REMAINDER if executed and small else refusal.reason
            return End(reason, f"value={refusal.value}, threshold={refusal.threshold}")
        number = len(desk.books.attempts_of.get(intent.intent_id, ())) + 1
        spent = self._takes_too_often(intent, asked.request)
        if spent is not None:
            return spent
        client_id = client_order_id(desk.config.account, intent.intent_id, number)
        attempt = Attempt(
            client_order_id=client_id, intent_id=intent.intent_id, number=number,
            wire_id=desk.venue.wire_id(client_id), symbol=intent.symbol, side=intent.side,
            request=asked.request._replace(price=price, quantity=quantity), state=AttemptState.PREPARED,
            reduces=intent.reduces, clipped_by=clipped_by, prepared_ms=desk.clock.now_ms(),
        )  # fmt: skip
        async with desk.transaction() as work:
            current = work.intent(intent.intent_id)
            assert current is not None
            if current.state is IntentState.RESERVED or current.router != asked.router:
                work.put(current._replace(state=IntentState.WORKING, router=asked.router))
            work.put(attempt)
            work.tell(attempt_event(attempt), ids_of(intent, attempt))
        return attempt

    def _takes_too_often(self, intent: Intent, request: OrderRequest) -> End | None:
        """Hold a router to the number of taking orders that a risk guest allows an entry."""
        cap = intent.caps.get("taking_orders_max")
        if cap is None or intent.reduces or request.time_in_force is TimeInForce.GTC:
            return None
        earlier = self._desk.books.attempts_list(intent.intent_id)
        taken = sum(attempt.request.time_in_force is not TimeInForce.GTC for attempt in earlier)
        if taken < cap.value:
            return None
        return End(Reason.LADDER_EXHAUSTED, f"taking_orders={taken}, taking_orders_max={cap.value} by {cap.plugin}")

    async def send(self, attempt: Attempt) -> Placement:
        """Wait for a turn, write SENDING (transaction 3), send once, judge (transaction 4)."""
        desk = self._desk
        intent = desk.books.intents[attempt.intent_id].intent
        asked_ms = desk.clock.now_ms()
        turn = await desk.limiter.acquire(
            Priority.ORDER, weight=desk.venue.weight_of("place"),
            deadline_ms=None if intent.reduces else intent.expires_ms,
        )  # fmt: skip
        now = desk.clock.now_ms()
        if now > asked_ms:
            desk.note(RateLimitHit("place", now - asked_ms, "limiter"), ids_of(intent, attempt))
        stop = Reason.LIMITER_REFUSED if not turn else self._late_stop(intent, attempt)
        if stop is None and not intent.reduces and now - asked_ms > desk.config.book_age_ms_max:
            stop = Reason.STALE_DATA  # its price was made before the wait: the router is asked anew
        if stop is not None:
            await self._resolver.close_unsent(attempt, stop, "stopped before the send")
            return Placement(PlacementKind.NOT_SENT, stop)
        timing = desk.venue.timing
        # The request leaves after the commit, so the commit's own time belongs before the fence; one that takes
        # longer than the fence allows for is not followed by a send.
        commit_ms = int(_COMMIT_MS_MAX * desk.config.time_scale)
        sending = attempt._replace(
            state=AttemptState.SENDING, sent_ms=now,
            fence_ms=now + commit_ms + timing.receive_window_ms + timing.engine_timeout_ms + timing.clock_error_ms,
            cancel_after_ms=now + attempt.request.ttl_ms,
        )  # fmt: skip
        check_attempt_move(attempt.state, sending.state)
        async with desk.transaction() as work:
            work.put(sending)
            work.tell(attempt_event(sending), ids_of(intent, sending))
        late = desk.clock.now_ms() - now > commit_ms
        stop = Reason.STORE_UNAVAILABLE if late else self._late_stop(intent, attempt)
        if stop is not None:
            await self._resolver.close_unsent(sending, stop, "stopped after the commit, before the send")
            return Placement(PlacementKind.NOT_SENT, stop)
        desk.sent_at.append(now)
        desk.tally.orders_sent += 1
        request = sending.request
        order = NewOrder(
            sending.wire_id, sending.symbol, sending.side, request.time_in_force, request.price, request.quantity,
            request.post_only,
        )  # fmt: skip
        # Shielded: a cancelled task must not lose the answer of a request that is already under way.
        placement = await asyncio.shield(asyncio.ensure_future(self._place(order)))
        await self._judge(sending, placement)
        return placement

    async def _place(self, order: NewOrder) -> Placement:
        """Send once, unless another process may hold the store: a machine that stood still is replaced (INV-14, F36).

        What is signed after this look is bounded by the venue's receive window, and it is written as SENDING: whoever
        took the store over looks it up until its fence.
        """
        if not self._desk.holds:
            return Placement(PlacementKind.NOT_SENT, Reason.LEASE_LOST, detail="the lease ran out before the send")
        return await self._desk.venue.place(order)

    def _late_stop(self, intent: Intent, attempt: Attempt) -> Reason | None:
        """Look once more, after the wait for a turn, at what may have changed meanwhile (INV-1, 11, 13, 15)."""
        desk = self._desk
        others = [one for one in desk.books.live_attempts() if one.client_order_id != attempt.client_order_id]
        if any(one.intent_id == intent.intent_id for one in others):
            return Reason.STALE_DATA  # late evidence brought an earlier order back: it is settled first
        if attempt.request.quantity > remaining_of(desk, intent):
            return Reason.STALE_DATA  # an earlier order has filled after all: the rest is smaller
        if not intent.reduces and any(one.symbol == intent.symbol for one in others):
            return Reason.SYMBOL_BUSY  # an order of an intent that has ended came back
        if intent.intent_id in self._cancels:
            return self._cancels[intent.intent_id]
        instrument = desk.instruments[intent.symbol]
        if not (instrument.can_sell if intent.side is Side.SELL else instrument.can_buy):
            return Reason.SYMBOL_HALTED
        if intent.reduces:
            return None
        if desk.clock.now_ms() >= intent.expires_ms:
            return Reason.INTENT_EXPIRED
        if desk.stopping:
            return Reason.SHUTDOWN
        return None if desk.books.trading.state is TradingState.ACTIVE else Reason.TRADING_HALTED

    async def _judge(self, attempt: Attempt, placement: Placement) -> None:
        """Write what the send proved: one of four, and nothing in between (R13)."""
        desk = self._desk
        self._trace(attempt, placement)
        if placement.kind is PlacementKind.ACCEPTED and placement.report is not None:
            await self._settler.apply(attempt.client_order_id, placement.report, latency_ms=placement.latency_ms)
            return
        async with desk.transaction() as work:
            row, current = work.intent(attempt.intent_id), work.attempt(attempt.client_order_id)
            assert row is not None
            if current is None or current.state is not AttemptState.SENDING:
                return  # a reconciliation found it at the venue before this answer came: evidence stands
            absent = placement.kind in {PlacementKind.NOT_SENT, PlacementKind.REJECTED}
            if absent and not current.booked_quantity:  # with a fill that a sweep has booked it is there all the same
                sent = placement.kind is PlacementKind.REJECTED
                closed = current._replace(
                    state=AttemptState.CLOSED, outcome=Outcome.REJECTED if sent else Outcome.NOT_SENT,
                    code=placement.code or str(placement.reason), detail=placement.detail,
                    sent_ms=current.sent_ms if sent else None,
                )  # fmt: skip
                work.put(closed)
                self._settler.put_settled(work, closed)
                return
            unknown = current._replace(
                state=AttemptState.UNKNOWN, code="", detail=placement.detail or str(placement.reason)
            )
            ids = ids_of(row.intent, unknown)
            work.put(unknown)
            work.tell(attempt_event(unknown, unknown.detail), ids)
            work.tell(
                OrderFailed(
                    attempt.symbol, str(attempt.side), attempt.number, "UNKNOWN",
                    placement.code or str(Reason.OUTCOME_UNKNOWN), "unknown", placement.detail, placement.latency_ms,
                ),
                ids,
            )  # fmt: skip

    def _trace(self, attempt: Attempt, placement: Placement) -> None:
        if placement.kind is not PlacementKind.ACCEPTED:
            self._desk.slow_down(placement.error_class, placement.retry_after_s)
        self._desk.note(
            ExchangeCall(
                "place", attempt.symbol, placement.status, placement.latency_ms, None,
                "" if placement.kind is PlacementKind.ACCEPTED else f"{placement.kind}: {placement.code}",
            )
        )  # fmt: skip


def remaining_of(desk: Desk, intent: Intent) -> Decimal:
    """What an intent has still to trade, base units: its quantity less what the venue says is executed."""
    executed = exact_sum(a.executed_quantity for a in desk.books.attempts_list(intent.intent_id))
    return minus(intent.quantity, executed)


def clipped_price(intent: Intent, price: Decimal, caps: Mapping[str, Cap]) -> tuple[Decimal, str]:
    """Hold a limit within the intent's cap and the tighter slippage of the moment; say which guest clipped it."""
    cap, by = intent.price_cap, "core"
    if "slippage_bps_max" in intent.caps:
        by = intent.caps["slippage_bps_max"].plugin
    slippage = caps.get("slippage_bps_max")
    if slippage is not None and not intent.reduces:
        moment = add_bps(intent.price, slippage.value)
        if moment < cap:
            cap, by = moment, slippage.plugin
    if intent.side is Side.BUY:
        return (cap, by) if price > cap else (price, "")
    return (cap, by) if price < cap else (price, "")
