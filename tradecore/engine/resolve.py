"""The fate of an attempt: watched, looked up and cancelled until the venue's word and the fills agree.

Silence is UNKNOWN; only evidence ends it. "Not found" proves nothing before the fence (the last moment at which the
venue could still take the request) plus the venue's read lag has passed, and then only twice, on independent
reads, with no trade of ours in sight (reference orders.md 0.3, 6.2). No timer turns UNKNOWN into rejected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from tradecore.engine.desk import Desk, Transaction, ids_of
from tradecore.engine.evidence import another_order, attempt_event
from tradecore.engine.foreign import LEDGER_OPENED
from tradecore.engine.settle import Settler
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.events import OrderCancel, RetryAttempt
from tradecore.model.fill import VenueTrade
from tradecore.model.order import (
    Attempt,
    AttemptState,
    CancelKind,
    OrderReport,
    Outcome,
    check_attempt_move,
)
from tradecore.model.reasons import Reason
from tradecore.model.units import ClientOrderId, IntentId, TimeInForce
from tradecore.ports.limiter import Priority

_S = AttemptState
NO_ANSWER: Literal["no answer"] = "no answer"
"""A read that got none: neither a report nor the word that there is no such order."""
_TURN_MS = 5_000
"""Longest wait for the turn of one read."""
_UNANSWERED_S_MAX = 30.0
_POLLS_SHARE = 0.5
"""Of the requests a minute: what watching open orders may take. Orders and prices must find room beside it."""
_FIRST_BACK_MS = 6 * 86_400_000
"""The first read of a symbol's trades reaches back so far: one request where a venue shows a week at a time."""
_LISTS_EVERY = 3
"""Before the fence every so many look-ups of an order that is not found also ask for the lists."""


class Resolver:
    """Takes attempts to SETTLED. Any number may be under way; each belongs to one task."""

    def __init__(self, desk: Desk, settler: Settler) -> None:
        self._desk = desk
        self._settler = settler
        self._random = desk.generator("resolver")
        self._wakes: dict[IntentId, asyncio.Event] = {}
        self._cancel_wanted: dict[IntentId, str] = {}
        self._led: set[ClientOrderId] = set()
        self._unanswered: dict[ClientOrderId, int] = {}
        """Order to reads in a row that got no answer: the pause before the next one grows with them."""
        settler.unled.append(lambda i: None if i in self._led else self._spawn_lead(i))

    def _spawn_lead(self, client_order_id: ClientOrderId) -> None:
        self._desk.spawn(self.lead(client_order_id), f"resolve {client_order_id}")

    def wake(self, intent_id: IntentId, cancel: str = "asked") -> None:
        """End the wait of an intent's open order and have it cancelled."""
        self._cancel_wanted[intent_id] = cancel
        self._wakes.setdefault(intent_id, asyncio.Event()).set()

    def nudge(self, attempt: Attempt) -> None:
        """End the wait of an order's next read: something happened to it, or may have."""
        self._unanswered.pop(attempt.client_order_id, None)
        self._wakes.setdefault(attempt.intent_id, asyncio.Event()).set()

    def forget(self, intent_id: IntentId) -> None:
        """Drop what was asked about an intent: it has ended."""
        self._wakes.pop(intent_id, None)
        self._cancel_wanted.pop(intent_id, None)

    async def lead(self, client_order_id: ClientOrderId) -> None:
        """Take an attempt to its end that no intent leads any more; one task at a time."""
        if client_order_id in self._led:
            return
        self._led.add(client_order_id)
        try:
            await self.finish(client_order_id)
        finally:
            self._led.discard(client_order_id)

    async def finish(self, client_order_id: ClientOrderId) -> Attempt:
        """Take one attempt to its settled end, however long the venue takes to prove it.

        Raises:
            StoreError: Nothing could be made durable; the attempt stands where it stood.
        """
        attempt = self._desk.books.attempts[client_order_id]
        reads = 0
        while attempt.state is not _S.SETTLED:
            if attempt.state is _S.PREPARED:
                await self.close_unsent(attempt, Reason.RESTARTED, "prepared before a restart")
            elif attempt.state in {_S.SENDING, _S.UNKNOWN, _S.STUCK}:
                await self._look_up(attempt, reads)
            elif attempt.state is _S.CLOSED:
                await self._collect_fills(attempt, reads)
            else:
                await self._watch(attempt, reads)
            reads += 1
            settled = self._desk.books.attempts.get(client_order_id)
            if settled is None:  # the intent had ended before: its settled attempts leave the books
                break
            if settled.state is not attempt.state:
                reads = 0
            attempt = settled
        self.forget(attempt.intent_id)
        self._unanswered.pop(client_order_id, None)
        return attempt

    async def close_unsent(self, attempt: Attempt, reason: Reason, detail: str) -> None:
        """Close an attempt of which nothing left the machine."""
        async with self._desk.transaction() as work:
            check_attempt_move(attempt.state, _S.CLOSED)
            closed = attempt._replace(
                state=_S.CLOSED, outcome=Outcome.NOT_SENT, code=str(reason), detail=detail, sent_ms=None
            )
            work.put(closed)
            self._settler.put_settled(work, closed)

    # UNKNOWN --------------------------------------------------------------------------------------------------

    async def _look_up(self, attempt: Attempt, reads: int) -> None:
        if attempt.state is _S.SENDING:
            await self._move(attempt, _S.UNKNOWN, "no proof of the send")
            return
        waits = self._desk.config.unknown_backoff_s
        await self._pause(attempt, max(waits[min(reads, len(waits) - 1)], self._unanswered_s(attempt)))
        found = await self.read(attempt)
        if isinstance(found, OrderReport):
            await self._settler.apply(attempt.client_order_id, found)
            if not another_order(attempt, found):
                return
            found = NO_ANSWER  # the venue answered with another order (F45): that is alarmed, and proves nothing
        now = self._desk.clock.now_ms()
        # the lists are kept apart from single orders and may show it sooner; before the fence they prove no absence
        listed = found is None and (self._past_fence(attempt, now) or reads % _LISTS_EVERY == _LISTS_EVERY - 1)
        if listed and await self._absent_elsewhere(attempt) and self._past_fence(attempt, now):
            await self._missed(attempt, now)
            return
        unknown_for = now - (attempt.sent_ms or now)
        current = self._desk.books.attempts.get(attempt.client_order_id)
        still = current is not None and current.state is _S.UNKNOWN
        if still and unknown_for > self._desk.config.stuck_after_ms and self._past_fence(attempt, now):
            await self._move(attempt, _S.STUCK, f"no proof for {unknown_for} ms")
            self._desk.alert("order_stuck", "critical", f"{attempt.symbol} {attempt.wire_id}")

    def _past_fence(self, attempt: Attempt, now_ms: int) -> bool:
        fence_ms = self._desk.fence_of(attempt)
        if fence_ms is None:  # never sent by what we know, and it stands all the same: beside a store of before
            fence_ms = attempt.prepared_ms
        return now_ms > fence_ms + self._desk.venue.timing.read_lag_ms

    async def _absent_elsewhere(self, attempt: Attempt) -> bool:
        """Look in the lists, which the venue keeps apart from single orders: True if it is in none of them."""
        since = (attempt.sent_ms or attempt.prepared_ms) - self._settler.slack_ms
        await self._pause(attempt, self._desk.config.unknown_backoff_s[0])
        try:
            weight_of = self._desk.venue.weight_of
            await self._desk.limiter.acquire(
                Priority.RECONCILE, weight=weight_of("open_orders") + weight_of("recent_orders")
            )
            listed: Sequence[OrderReport] = [
                *await self._desk.venue.open_orders(attempt.symbol),
                *await self._desk.venue.recent_orders(attempt.symbol, since),
            ]
        except (RetryableVenueError, VenueRefused) as error:
            self._retry_event("lists", attempt, 1, error, 0)
            return False
        for report in listed:
            if report.wire_id == attempt.wire_id:
                await self._settler.apply(attempt.client_order_id, report)
                return False
        waiting = await self.sweep(attempt.symbol, since)
        others = {report.venue_order_id for report in listed}
        if waiting is None or any(trade.venue_order_id not in others for trade in waiting):
            return False  # a trade whose order is in no list may be this one's
        still = self._desk.books.attempts.get(attempt.client_order_id)
        return still is not None and still.booked_quantity == 0 and still.state is attempt.state

    async def _missed(self, attempt: Attempt, now_ms: int) -> None:
        misses = attempt.misses + 1
        if misses < 2:
            async with self._desk.transaction() as work:
                current = _still(work, attempt)
                if current is not None:
                    work.put(current._replace(misses=misses))
            return
        async with self._desk.transaction() as work:
            current = _still(work, attempt)
            if current is None:
                return
            check_attempt_move(current.state, _S.CLOSED)
            closed = current._replace(
                state=_S.CLOSED, outcome=Outcome.NOT_PLACED, code=str(Reason.NOT_PLACED), misses=misses,
                detail=f"absent from orders, lists and trades {misses} times, {now_ms - (attempt.fence_ms or 0)} ms "
                "after the fence",
            )  # fmt: skip
            work.put(closed)
            self._settler.put_settled(work, closed)

    # OPEN, CANCELING, REOPENED --------------------------------------------------------------------------------

    async def _watch(self, attempt: Attempt, reads: int) -> None:
        if attempt.state is _S.OPEN and self._should_cancel(attempt):
            await self._cancel(attempt)
            return
        await self._pause(attempt, self._wait_s(attempt, reads))
        now = self._desk.books.attempts.get(attempt.client_order_id)
        if now is None or (now.state is _S.OPEN and self._should_cancel(now)):
            return  # settled, and its intent had ended before; or it is to be cancelled first
        attempt = now
        found = await self.read(attempt)
        if isinstance(found, OrderReport):
            await self._settler.apply(attempt.client_order_id, found)
            after = self._desk.books.attempts.get(attempt.client_order_id)
            still = after is not None and after.state is _S.CANCELING
            if attempt.state is _S.CANCELING and still and reads % 4 == 3:
                await self._send_cancel(attempt)  # the venue still has it: the cancel was lost
        elif found is not None:
            if attempt.state is _S.CANCELING and reads % 4 == 3:
                await self._send_cancel(attempt)  # nobody knows whether it stands: asking twice harms nothing
        elif self._past_fence(attempt, self._desk.clock.now_ms()) and reads % 20 == 19:
            # An order that the venue acknowledged and no longer finds is never assumed to be cancelled.
            self._desk.alert("order_vanished", "critical", f"{attempt.symbol} {attempt.wire_id}")

    def _wait_s(self, attempt: Attempt, reads: int) -> float:
        """The wait fits the time in force (R9): an IOC's end is there at once, a GTC's when it comes."""
        config = self._desk.config
        if reads == 0 and (attempt.request.time_in_force is not TimeInForce.GTC or attempt.state is _S.CANCELING):
            return 0.0
        wait = max(min(config.poll_ms << min(reads, 10), config.poll_ms_max) / 1_000, self._unanswered_s(attempt))
        if attempt.state is _S.OPEN and attempt.request.time_in_force is TimeInForce.GTC:
            wait = max(wait, self._turn_s())
        if attempt.state is _S.OPEN and attempt.cancel_after_ms is not None:
            wait = min(wait, max(0.0, (attempt.cancel_after_ms - self._desk.clock.now_ms()) / 1_000))
        return wait

    def _turn_s(self) -> float:
        """Market seconds in which each open order may be read once: with many of them the limit is what counts."""
        standing = sum(a.state is _S.OPEN for a in self._desk.books.live_attempts())
        return 60.0 * standing / (self._desk.config.requests_per_minute * _POLLS_SHARE)

    def _should_cancel(self, attempt: Attempt) -> bool:
        due = attempt.cancel_after_ms is not None and self._desk.clock.now_ms() >= attempt.cancel_after_ms
        return due or attempt.intent_id in self._cancel_wanted

    async def _cancel(self, attempt: Attempt) -> None:
        now = self._desk.clock.now_ms()
        why = self._cancel_wanted.get(attempt.intent_id, "ttl")
        async with self._desk.transaction() as work:
            current = _still(work, attempt)
            if current is None:
                return
            check_attempt_move(current.state, _S.CANCELING)
            canceling = current._replace(state=_S.CANCELING)
            work.put(canceling)
            row = work.intent(attempt.intent_id)
            assert row is not None
            age = now - (attempt.sent_ms or now)
            work.tell(
                OrderCancel(attempt.symbol, attempt.number, why, "asked", canceling.executed_quantity, age),
                ids_of(row.intent, canceling),
            )
        await self._send_cancel(canceling)

    async def _send_cancel(self, attempt: Attempt) -> None:
        await self._desk.limiter.acquire(Priority.CANCEL, weight=self._desk.venue.weight_of("cancel"))
        if not self._desk.holds:
            return  # CANCELING is written: whoever holds the store now asks for it again
        answer = await self._desk.venue.cancel(attempt.symbol, attempt.wire_id, attempt.venue_order_id)
        self._desk.slow_down(answer.error_class, answer.retry_after_s)
        self._desk.trouble(answer.error_class, answer.detail)
        if answer.kind is CancelKind.UNKNOWN:
            self._retry_event("cancel", attempt, 1, RetryableVenueError(answer.detail, answer.code), 0)
        # What the answer says of the order is not believed: an answer to a cancel is no end, and a fill may have been
        # on its way (reference orders.md 0.6, F10). The order is read at once instead, before anything follows it.

    # CLOSED ---------------------------------------------------------------------------------------------------

    async def _collect_fills(self, attempt: Attempt, reads: int) -> None:
        """Fetch the trades of an order that has ended until they add up to what the venue executed."""
        if reads:
            await self._pause(attempt, min(self._desk.config.poll_ms * 2 ** min(reads, 7), 30_000) / 1_000)
        since = (attempt.sent_ms or attempt.prepared_ms) - self._settler.slack_ms
        await self.sweep(attempt.symbol, since)
        if reads % 3 == 2:
            await self.sweep_by_time(attempt.symbol, since)
        if reads and reads % 10 == 0:
            missing = f"executed={attempt.executed_quantity}, booked={attempt.booked_quantity}"
            self._desk.alert("fills_missing", "critical", f"{attempt.symbol} {attempt.wire_id}: {missing}")

    async def sweep(self, symbol: str, since_ms: int) -> Sequence[VenueTrade] | None:
        """Read our trades of one symbol from its cursor on and book them.

        Args:
            since_ms: Where to begin if there is no cursor yet, at the latest: the cursor passes over whatever is older
                than the first page, so this begins days before, for trades of others that nobody has read. An open
                order sent earlier moves it further back. What is older than the ledger is in the balances that it
                began with: a venue that shows a month at a time is not asked about decades.
        Returns:
            Trades that an unproven order may yet explain; ``None`` where the venue did not answer.
        """
        if opened := self._desk.recall(LEDGER_OPENED):
            back_ms = self._desk.clock.now_ms() - _FIRST_BACK_MS
            since_ms = max(min(since_ms, back_ms), int(opened) - self._settler.slack_ms)
        for attempt in self._desk.books.live_attempts():
            if attempt.symbol == symbol:
                since_ms = min(since_ms, (attempt.sent_ms or attempt.prepared_ms) - self._settler.slack_ms)
        while True:
            cursor = self._desk.recall(f"cursor/{symbol}")
            try:
                await self._desk.limiter.acquire(Priority.RECONCILE, weight=self._desk.venue.weight_of("trades"))
                page = await self._desk.venue.trades(symbol, cursor, since_ms)
            except (RetryableVenueError, VenueRefused) as error:
                self._venue_error("trades", symbol, error)
                return None
            _, waiting = await self._settler.book(page.trades, (symbol, page.cursor))
            if waiting or not page.more or page.cursor == cursor:
                return waiting

    async def sweep_by_time(self, symbol: str, since_ms: int) -> Sequence[VenueTrade] | None:
        """Read our trades from a moment on, whatever the cursor says: it may have gone over one that is missing.

        Returns:
            As `sweep` does; the cursor stays where it is.
        """
        cursor, left = "", list[VenueTrade]()
        while True:
            try:
                await self._desk.limiter.acquire(Priority.RECONCILE, weight=self._desk.venue.weight_of("trades"))
                page = await self._desk.venue.trades(symbol, cursor, since_ms)
            except (RetryableVenueError, VenueRefused) as error:
                self._venue_error("trades", symbol, error)
                return None
            _, waiting = await self._settler.book(page.trades)
            left += waiting
            if not page.more or page.cursor == cursor:
                return left
            cursor = page.cursor

    # Reads ----------------------------------------------------------------------------------------------------

    async def read(self, attempt: Attempt) -> OrderReport | Literal["no answer"] | None:
        """Read one order by our id: a report, ``None`` for "no such order", or no answer at all."""
        try:
            weight, until = self._desk.venue.weight_of("order"), self._desk.clock.now_ms() + _TURN_MS
            # whoever leads an order also cancels it: it must not stand in line for a read while its time runs out
            if not await self._desk.limiter.acquire(Priority.RECONCILE, weight=weight, deadline_ms=until):
                return NO_ANSWER
            found = await self._desk.venue.order(attempt.symbol, attempt.wire_id)
        except (RetryableVenueError, VenueRefused) as error:
            unanswered = self._unanswered.get(attempt.client_order_id, 0) + 1
            self._unanswered[attempt.client_order_id] = unanswered
            wait_ms = int(self._unanswered_s(attempt) * 1_000)
            self._retry_event("order", attempt, unanswered, error, wait_ms)
            return NO_ANSWER
        self._unanswered.pop(attempt.client_order_id, None)
        return found

    def _unanswered_s(self, attempt: Attempt) -> float:
        """Least pause before the next read: a venue that is away, or refuses the key, is not asked every second."""
        unanswered = self._unanswered.get(attempt.client_order_id, 0)
        return 0.0 if unanswered < 2 else min(_UNANSWERED_S_MAX, 0.5 * 2.0 ** min(unanswered, 10))

    def _retry_event(self, operation: str, attempt: Attempt, n: int, error: Exception, wait_ms: int) -> None:
        row = self._desk.books.intents.get(attempt.intent_id)
        event = RetryAttempt(operation, attempt.symbol, n, 0, type(error).__name__, wait_ms)
        if row is not None:
            self._desk.note(event, ids_of(row.intent, attempt))
        else:
            self._desk.note(event)
        self._desk.heed(error)

    def _venue_error(self, operation: str, symbol: str, error: Exception) -> None:
        self._desk.note(RetryAttempt(operation, symbol, 1, 0, type(error).__name__, 0))
        self._desk.heed(error)

    async def doubt(self, attempt: Attempt, detail: str) -> None:
        """Make a send that nobody saw the end of UNKNOWN, durably; another state stays as it is."""
        if attempt.state is _S.SENDING:
            await self._move(attempt, _S.UNKNOWN, detail)

    async def _move(self, attempt: Attempt, state: AttemptState, detail: str) -> None:
        async with self._desk.transaction() as work:
            current = _still(work, attempt)
            if current is None:
                return
            check_attempt_move(current.state, state)
            moved = current._replace(state=state)
            work.put(moved)
            row = work.intent(attempt.intent_id)
            assert row is not None
            work.tell(attempt_event(moved, detail), ids_of(row.intent, moved))

    async def _pause(self, attempt: Attempt, seconds: float) -> None:
        """Wait with jitter of up to a tenth; a wake ends it."""
        if seconds <= 0:
            return
        wake = self._wakes.setdefault(attempt.intent_id, asyncio.Event())
        try:
            async with asyncio.timeout(seconds * (1 + self._random.random() / 10)):
                await wake.wait()
        except TimeoutError:
            return
        wake.clear()


def _still(work: Transaction, attempt: Attempt) -> Attempt | None:
    """The attempt as it is now; ``None`` where evidence has moved it while the caller waited for its turn."""
    current = work.attempt(attempt.client_order_id)
    return current if current is not None and current.state is attempt.state else None
