"""Evidence becomes books: one idempotent way for a report or a trade, whatever brought it.

REST answers, streams, look-ups and reconciliation all end here. Applying the same report or the same trade twice
changes nothing; an older one never takes anything back (executed quantity is monotone, INV-7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from tradecore.engine.budget import consume
from tradecore.engine.desk import Desk, Transaction, ids_of
from tradecore.engine.evidence import another_order, attempt_event, code_of, echo_of
from tradecore.engine.foreign import ForeignTrades
from tradecore.engine.holding import move_position
from tradecore.engine.ledger import conflict_of, entry_event, trade_postings
from tradecore.engine.owners import Owners, ToldOnce
from tradecore.model.events import (
    Ids,
    OrderAck,
    OrderDone,
    OrderFailed,
    OrderFill,
)
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.intent import Intent
from tradecore.model.order import (
    ATTEMPT_LIVE,
    ATTEMPT_UNPROVEN,
    Attempt,
    AttemptState,
    OrderReport,
    Outcome,
    VenueStatus,
    check_attempt_move,
)
from tradecore.model.position import Position
from tradecore.model.reasons import Reason
from tradecore.model.records import Memory, Report
from tradecore.model.units import (
    ZERO,
    ClientOrderId,
    exact_sum,
    plus,
    ratio,
)

_OUTCOME_OF = {
    VenueStatus.FILLED: Outcome.FILLED,
    VenueStatus.CANCELED: Outcome.CANCELED,
    VenueStatus.EXPIRED: Outcome.EXPIRED,
    VenueStatus.REJECTED: Outcome.REJECTED,
}
_DONE = frozenset({AttemptState.CLOSED, AttemptState.SETTLED})
_STANDING = ATTEMPT_LIVE - {AttemptState.PREPARED, AttemptState.CLOSED}
_NEVER_THERE = frozenset({Outcome.NOT_PLACED, Outcome.NOT_SENT, Outcome.REJECTED})


class Booked(NamedTuple):
    """One fill just booked, as guests are told of it."""

    fill: Fill
    intent: Intent
    position: Position | None


class Settler:
    """Applies reports and trades. Methods raise StoreError where nothing became durable."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.listeners: list[Callable[[Sequence[Booked]], None]] = []
        """Told of fills after they are durable; they must not wait."""
        self.unled: list[Callable[[ClientOrderId], None]] = []
        """Told of attempts that live though their intent has ended; they must not wait."""
        self.outsiders: list[Callable[[Sequence[VenueTrade]], None]] = []
        """Told of trades of the account that are not ours, once booked; they must not wait."""
        self._foreign = ForeignTrades(desk)
        self._conflicts: set[tuple[str, str]] = set()
        self._told = ToldOnce(desk)
        self._owners = Owners(desk, self._told)

    def _tell_unled(self, client_order_id: ClientOrderId) -> None:
        """Tell where evidence brought an order back whose intent has ended: somebody must lead it to its end."""
        attempt = self._desk.books.attempts.get(client_order_id)
        if attempt is not None and attempt.state in ATTEMPT_LIVE and attempt.intent_id not in self._desk.books.intents:
            for listener in self.unled:
                listener(client_order_id)

    def _tell(self, booked: Sequence[Booked]) -> None:
        if booked:
            for listener in self.listeners:
                listener(booked)

    async def apply(
        self, client_order_id: ClientOrderId, report: OrderReport, *, latency_ms: float = 0.0
    ) -> Sequence[Booked]:
        """Apply the venue's word on one attempt, and the trades that came with it, in one transaction."""
        booked: list[Booked] = []
        async with self._desk.transaction() as work:
            attempt = work.attempt(client_order_id) or self.find_attempt(
                report.wire_id, report.venue_order_id, report.symbol
            )
            if attempt is None or not self._same_order(work, attempt, report):
                return booked
            self._take_report(work, attempt, report, latency_ms)
            for trade in report.trades:
                if self._owners.fits(work, work.attempt(client_order_id) or attempt, trade):
                    self._take_trade(work, trade, client_order_id, booked)
            self._settle_if_whole(work, client_order_id)
        self._tell(booked)
        self._tell_unled(client_order_id)
        return booked

    async def book(
        self, trades: Sequence[VenueTrade], cursor: tuple[str, str] | None = None
    ) -> tuple[Sequence[Booked], Sequence[VenueTrade]]:
        """Book trades from a sweep, and where the sweep stands, in one transaction.

        The cursor stays where it is as long as a trade may belong to an order whose venue id is not known yet: most
        venues name no client id on a trade, and a trade that is passed over never comes again.

        Args:
            cursor: (symbol, where to go on), or ``None`` to leave the cursor alone.
        Returns:
            What was booked now, and the trades that an unproven order of ours may yet explain.
        """
        booked: list[Booked] = []
        waiting: list[VenueTrade] = []
        foreign: list[VenueTrade] = []
        async with self._desk.transaction() as work:
            for trade in {(trade.symbol, trade.venue_trade_id): trade for trade in trades}.values():
                attempt = self._owners.of_trade(work, trade)
                if attempt is not None:
                    self._take_trade(work, trade, attempt.client_order_id, booked)
                    self._settle_if_whole(work, attempt.client_order_id)
                elif self._owners.may_be_ours(trade):
                    waiting.append(trade)
                elif self._foreign.book(work, trade):
                    foreign.append(trade)
            moves = cursor is not None and not waiting and self._desk.recall(f"cursor/{cursor[0]}") != cursor[1]
            if cursor is not None and moves:
                work.put(Memory(f"cursor/{cursor[0]}", cursor[1], self._desk.clock.now_ms()))
        self._tell(booked)
        for listener in self.outsiders if foreign else ():
            listener(foreign)
        for one in booked:
            self._tell_unled(one.fill.client_order_id)
        return booked, waiting

    @property
    def slack_ms(self) -> int:
        """See `Owners.slack_ms`."""
        return self._owners.slack_ms

    def find_attempt(self, wire_id: str, venue_order_id: str, symbol: str) -> Attempt | None:
        """See `Owners.find`."""
        return self._owners.find(wire_id, venue_order_id, symbol)

    # One report -----------------------------------------------------------------------------------------------

    def _same_order(self, work: Transaction, attempt: Attempt, report: OrderReport) -> bool:
        """Refuse evidence about another order (F45), and alarm once for each order that it is told of."""
        differs = another_order(attempt, report)
        if differs:
            work.tell(
                OrderFailed(
                    attempt.symbol, str(attempt.side), attempt.number, "ignored", Reason.ECHO_MISMATCH, "echo",
                    differs, 0.0,
                ),
                self._ids(work, attempt),
            )  # fmt: skip
            self._told.alert("another_order", "warning", attempt, differs)
        return not differs

    def _take_report(self, work: Transaction, attempt: Attempt, report: OrderReport, latency_ms: float) -> None:
        executed = max(attempt.executed_quantity, report.executed_quantity or ZERO)
        quote = attempt.executed_quote
        if report.executed_quote is not None and executed == report.executed_quantity:
            quote = max(quote, report.executed_quote)
        new = attempt._replace(
            executed_quantity=executed,
            executed_quote=quote,
            venue_order_id=report.venue_order_id or attempt.venue_order_id,
        )
        outcome = _OUTCOME_OF.get(report.status) if report.status is not None else None
        if outcome is not Outcome.REJECTED and report.executed_quantity is None:
            outcome = None  # an end without its quantity proves the order, not what it traded: it is read again
        if outcome is Outcome.FILLED and executed < attempt.request.quantity:
            outcome = None  # one of the two is old, and the rest must not be ordered again before it is known which
            self._told.alert("filled_in_part", "warning", attempt, f"told to be filled, with {executed} executed")
        if attempt.state in _DONE:
            if executed == attempt.executed_quantity and not self._contradicts(attempt, report):
                return  # nothing new of an order that has ended
            new = self._reopen(work, new)
            work.tell(attempt_event(new, f"{report.status} after its end"), self._ids(work, new))
            self._desk.alert("order_reopened", "critical", f"{attempt.symbol} {attempt.wire_id}: {report.status}")
        if outcome is not None:
            new = self._move(new, AttemptState.CLOSED)._replace(outcome=outcome, code=code_of(new, outcome))
        elif new.state in ATTEMPT_UNPROVEN:
            new = self._move(new, AttemptState.OPEN)
        if new == attempt:
            return
        if attempt.state in ATTEMPT_UNPROVEN:
            status = str(report.status) if report.status is not None else ""
            echo = echo_of(attempt, report)
            work.tell(OrderAck(attempt.symbol, attempt.number, status, echo, latency_ms), self._ids(work, new))
            if echo != "same":
                self._desk.alert("echo_mismatch", "warning", f"{attempt.symbol} {attempt.wire_id}: {echo}")
        if report.status is VenueStatus.UNMAPPED:
            self._desk.alert("status_unmapped", "warning", f"{attempt.symbol} {attempt.wire_id}")
        now = self._desk.clock.now_ms()
        report_id = f"{attempt.client_order_id}/{report.source}/{report.status}/{executed}/{now}"
        detail = f"{report.status} executed {executed}"
        work.put(
            new,
            Report(report_id, attempt.client_order_id, report.source, str(report.status), detail, report.digest, now),
        )

    def _reopen(self, work: Transaction, attempt: Attempt) -> Attempt:
        """Take an ended attempt back: later evidence contradicts its end. The store wants to see the move."""
        reopened = self._move(attempt, AttemptState.REOPENED)._replace(settled_ms=None)
        work.put(reopened)
        return reopened

    def _move(self, attempt: Attempt, state: AttemptState) -> Attempt:
        check_attempt_move(attempt.state, state)
        return attempt._replace(state=state)

    # One trade ------------------------------------------------------------------------------------------------

    def _take_trade(
        self, work: Transaction, trade: VenueTrade, client_order_id: ClientOrderId, booked: list[Booked]
    ) -> None:
        desk = self._desk
        # not in the books: it had settled and its intent had ended; a late fill brings it back
        attempt = work.attempt(client_order_id) or self.find_attempt(trade.wire_id, trade.venue_order_id, trade.symbol)
        assert attempt is not None, client_order_id
        row = work.intent(attempt.intent_id)
        assert row is not None, attempt.intent_id
        now = desk.clock.now_ms()
        intent = row.intent
        fill = Fill(desk.config.account, trade, client_order_id, intent.intent_id, intent.position_id, now)
        if work.put_already(fill):
            return
        stored = desk.store.fill(fill.account, trade.symbol, trade.venue_trade_id)
        if stored is not None:
            self._check_repeat(work, stored.trade, trade)
            return
        late = attempt.state is AttemptState.SETTLED
        if late:
            attempt = self._reopen(work, attempt)
            if attempt.outcome in _NEVER_THERE:
                attempt = attempt._replace(outcome=None, code="")  # it was there: how it ended is to be read
            else:
                attempt = self._move(attempt, AttemptState.CLOSED)
            desk.alert("late_fill", "critical", f"{trade.symbol} {attempt.wire_id} filled after it had settled")
        total = plus(attempt.booked_quantity, trade.quantity)
        attempt = attempt._replace(
            booked_quantity=total,
            executed_quantity=max(attempt.executed_quantity, total),
            venue_order_id=trade.venue_order_id or attempt.venue_order_id,
        )
        ids = ids_of(intent, attempt)
        legs = trade_postings(fill)
        work.put(attempt, fill, *legs)
        self._foreign.take_back(work, trade)
        reservation = work.reservation(intent.intent_id)
        if reservation is not None:
            work.put(consume(reservation, trade))
        work.tell(
            OrderFill(
                trade.symbol, str(trade.side), attempt.number, trade.venue_trade_id, trade.price, trade.quantity,
                trade.quote_quantity, trade.fee, trade.fee_currency, trade.is_maker, late,
            ),
            ids,
        )  # fmt: skip
        work.tell(entry_event(legs), ids)
        first = row.executed_quantity == 0
        work.put(row._replace(executed_quantity=plus(row.executed_quantity, trade.quantity)))
        position = move_position(self._desk, work, intent, trade, first)
        booked.append(Booked(fill, intent, position))

    def _check_repeat(self, work: Transaction, booked: VenueTrade, told: VenueTrade) -> None:
        """Alarm, once, where a booked trade comes again with other numbers: an alarm, never an update (R45)."""
        conflict = conflict_of(booked, told)
        key = (told.symbol, told.venue_trade_id)
        if conflict is not None and key not in self._conflicts:
            self._conflicts.add(key)
            work.tell(conflict)
            what = f"{conflict.field} was booked as {conflict.booked}, now {conflict.told}"
            self._desk.alert("fill_conflict", "critical", f"{told.symbol} {told.venue_trade_id}: {what}")

    # The end of an attempt ------------------------------------------------------------------------------------

    def _settle_if_whole(self, work: Transaction, client_order_id: ClientOrderId) -> None:
        attempt = work.attempt(client_order_id)
        if attempt is None:
            return
        if attempt.state in _STANDING and attempt.booked_quantity == attempt.request.quantity:
            # its trades are the proof that it is filled, though no read has found the order itself
            filled = self._move(attempt, AttemptState.CLOSED)._replace(outcome=Outcome.FILLED)
            attempt = filled._replace(code=code_of(filled, Outcome.FILLED))
            work.put(attempt)
        if attempt.state is not AttemptState.CLOSED:
            return
        if attempt.booked_quantity == attempt.executed_quantity:
            self.put_settled(work, attempt)

    def put_settled(self, work: Transaction, attempt: Attempt) -> Attempt:
        """Make an attempt final for the books: the venue's word and the fills agree."""
        desk = self._desk
        assert attempt.booked_quantity == attempt.executed_quantity, attempt
        assert attempt.outcome is not None, attempt
        now = desk.clock.now_ms()
        if not attempt.code:
            attempt = attempt._replace(code=code_of(attempt, attempt.outcome))
        attempt = self._move(attempt, AttemptState.SETTLED)._replace(settled_ms=now)
        quote = self._quote_of(work, attempt)
        attempt = attempt._replace(executed_quote=quote)
        work.put(attempt)
        ids = self._ids(work, attempt)
        executed = attempt.executed_quantity
        wait = now - (attempt.sent_ms or now)
        average = ratio(quote, executed) if executed else None
        work.tell(
            OrderDone(
                attempt.symbol, str(attempt.side), attempt.number, str(attempt.outcome), executed, quote, average,
                attempt.code, wait,
            ),
            ids,
        )  # fmt: skip
        if not executed:
            work.tell(
                OrderFailed(
                    attempt.symbol, str(attempt.side), attempt.number, str(attempt.outcome), attempt.code,
                    "venue" if attempt.outcome is Outcome.REJECTED else "unfilled", attempt.detail, float(wait),
                ),
                ids,
            )  # fmt: skip
        self._tally_end(attempt)
        return attempt

    def _quote_of(self, work: Transaction, attempt: Attempt) -> Decimal:
        """Sum what the fills moved in quote: the trades are the authority, not the report."""
        fills = [f for f in work.rows if isinstance(f, Fill) and f.client_order_id == attempt.client_order_id]
        if exact_sum(f.trade.quantity for f in fills) != attempt.executed_quantity:
            fills = [*fills, *self._desk.store.fills_of(attempt.client_order_id)]
        return exact_sum(f.trade.quote_quantity for f in fills)

    def _tally_end(self, attempt: Attempt) -> None:
        tally = self._desk.tally
        if attempt.outcome is Outcome.NOT_SENT:
            return
        filled = attempt.executed_quantity > 0
        self._desk.recent.add(self._desk.clock.now_ms(), attempt)
        if not filled:
            tally.orders_failed[attempt.code] += 1
        elif attempt.executed_quantity >= attempt.request.quantity:
            tally.orders_filled += 1
        else:
            tally.orders_partly_filled += 1

    def _ids(self, work: Transaction, attempt: Attempt) -> Ids:
        row = work.intent(attempt.intent_id)
        assert row is not None
        return ids_of(row.intent, attempt)

    def _contradicts(self, attempt: Attempt, report: OrderReport) -> bool:
        """Tell whether an order stands that we had called never placed, or that ended longer ago than reads lag.

        Some venues list ghosts: of an order that had ended after all nothing more is believed in this run.
        """
        if report.status is not VenueStatus.OPEN:
            return False
        if attempt.outcome in _NEVER_THERE:
            return True
        lag_ms = self._desk.venue.timing.read_lag_ms + self.slack_ms
        if attempt.settled_ms is None or self._desk.clock.now_ms() <= attempt.settled_ms + lag_ms:
            return False
        return self._told.first("order_stands", attempt)
