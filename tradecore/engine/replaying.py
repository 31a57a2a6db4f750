"""The account as its journal tells it: positions, coins, profit and what was open, from booked events alone (R44).

Quantities come from the fills and coins from the ledger entries, by the engine's own rules. What an event says of a
position's figures is not taken over but compared: where a journal contradicts itself, that is found here, without a
store.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tradecore.engine.budget import spent_by
from tradecore.engine.portfolio import close_position, with_fill
from tradecore.model.events import (
    BookedEvent,
    BudgetReleased,
    BudgetReserved,
    DustTaken,
    Ids,
    IntentCleared,
    IntentCreated,
    LedgerEntry,
    OrderAck,
    OrderAttempt,
    OrderCancel,
    OrderDone,
    OrderFailed,
    OrderFill,
    PositionClosed,
    PositionOpened,
    PositionUpdated,
    SessionEnded,
    SessionStarted,
    TradingStateChanged,
)
from tradecore.model.fill import VenueTrade
from tradecore.model.intent import INTENT_LIVE, IntentState
from tradecore.model.order import AttemptState
from tradecore.model.position import Position, PositionState, realised_pnl_quote
from tradecore.model.reasons import Reason
from tradecore.model.units import ZERO, PositionId, Side, canonical, minus, plus, ratio, times


class Difference(NamedTuple):
    """Two words on the same thing that are not the same."""

    sequence: int
    """Of the booked event by which it shows; 0 where no event tells of it."""
    what: str
    """What differs: ``position P quantity``."""
    journal: str
    """What the journal, rebuilt, says."""
    other: str
    """What the other side says: the store, or another event of the journal."""
    where: str = "store"
    """The other side: ``store`` or ``journal``."""


class RebuiltIntent(NamedTuple):
    """An intent by its events."""

    symbol: str
    side: str
    quantity: Decimal
    position_id: str
    reduces: bool
    state: str
    reason: str
    executed_quantity: Decimal
    sequence: int
    """Of the newest event that touched it."""

    @property
    def live(self) -> bool:
        """True until it has ended."""
        return IntentState(self.state) in INTENT_LIVE


class RebuiltAttempt(NamedTuple):
    """An order request by its events."""

    intent_id: str
    number: int
    symbol: str
    side: str
    state: str
    outcome: str
    booked_quantity: Decimal
    sequence: int

    @property
    def live(self) -> bool:
        """True until it is settled."""
        return self.state != AttemptState.SETTLED


class RebuiltPosition(NamedTuple):
    """A position from its fills."""

    position: Position
    sequence: int
    fees_known: bool
    """False while a fee was taken in a third coin: the rate of then stands in no event but that of the close."""


class RebuiltReservation(NamedTuple):
    """Money set aside."""

    currency: str
    amount: Decimal
    consumed: Decimal
    sequence: int


class RebuiltRun(NamedTuple):
    """One run by its events."""

    run_id: str
    number: int
    profile: str
    first_sequence: int
    ended: str
    """Why it ended; empty where it did not come to its end."""
    realised_before: Decimal
    """Profit of all round trips before it, quote units."""


class Rebuilt:
    """Takes booked events in order; everything else is read off."""

    def __init__(self) -> None:
        self.sequence = 0
        """Of the newest event taken."""
        self.first_sequence = 0
        """Of the first event taken; above 1 the beginning is gone."""
        self.at_ns = 0
        self.events = 0
        self.fills = 0
        self.entries = 0
        """Ledger transactions."""
        self.balances: dict[tuple[str, str], Decimal] = {}
        self.balance_sequence: dict[tuple[str, str], int] = {}
        self.intents: dict[str, RebuiltIntent] = {}
        self.attempts: dict[str, RebuiltAttempt] = {}
        self.positions: dict[str, RebuiltPosition] = {}
        """Closed ones too: a late fill may bring one back."""
        self.reservations: dict[str, RebuiltReservation] = {}
        self.realised = ZERO
        """Profit of closed round trips less fees, quote units."""
        self.fees: dict[str, Decimal] = {}
        """Coin to fees paid."""
        self.state = ""
        self.runs: list[RebuiltRun] = []
        self.contradictions: list[Difference] = []

    @property
    def partial(self) -> bool:
        """True where the beginning is gone: sums over everything cannot be told."""
        return self.first_sequence > 1

    def take(self, booked: BookedEvent) -> None:
        """Take the next event."""
        sequence = booked.sequence
        event, ids = booked.stamped.event, booked.stamped.ids
        self.sequence, self.at_ns = sequence, booked.stamped.at_ns
        self.first_sequence = self.first_sequence or sequence
        self.events += 1
        match event:
            case OrderFill():
                self._fill(sequence, event, ids)
            case LedgerEntry():
                self._entry(sequence, event)
            case IntentCreated() | IntentCleared():
                self._intent(sequence, event, ids)
            case BudgetReserved() | BudgetReleased():
                self._budget(sequence, event, ids)
            case OrderAttempt() | OrderAck() | OrderCancel() | OrderDone() | OrderFailed():
                self._attempt(sequence, event, ids)
            case PositionOpened() | PositionUpdated():
                self._compare_position(sequence, event)
            case PositionClosed():
                self._close(sequence, event)
            case DustTaken():
                self._take_dust(sequence, event)
            case TradingStateChanged():
                self.state = event.new
            case SessionStarted():
                self.runs.append(RebuiltRun(event.run_id, event.run_number, event.profile, sequence, "", self.realised))
            case SessionEnded():
                if self.runs and self.runs[-1].run_id == event.run_id:
                    self.runs[-1] = self.runs[-1]._replace(ended=event.reason)
            case _:
                pass  # other events tell why, not what there is

    # Money ----------------------------------------------------------------------------------------------------

    def _entry(self, sequence: int, event: LedgerEntry) -> None:
        self.entries += 1
        sums: dict[str, Decimal] = {}
        for leg in event.legs:
            key = (leg.account, leg.currency)
            self.balances[key] = plus(self.balances.get(key, ZERO), leg.amount)
            self.balance_sequence[key] = sequence
            sums[leg.currency] = plus(sums.get(leg.currency, ZERO), leg.amount)
        for currency, total in sums.items():
            if total:
                self._contradict(sequence, f"ledger entry {event.posting_id} sum of {currency}", total, ZERO)

    def _budget(self, sequence: int, event: BudgetReserved | BudgetReleased, ids: Ids) -> None:
        if isinstance(event, BudgetReserved):
            self.reservations[ids.intent] = RebuiltReservation(event.currency, event.amount, ZERO, sequence)
            return
        held = self.reservations.pop(ids.intent, None)
        if held is not None and held.consumed != event.consumed:
            self._contradict(sequence, f"reservation of {ids.intent} consumed", held.consumed, event.consumed)

    # Orders ---------------------------------------------------------------------------------------------------

    def _intent(self, sequence: int, event: IntentCreated | IntentCleared, ids: Ids) -> None:
        if isinstance(event, IntentCreated):
            self.intents[ids.intent] = RebuiltIntent(
                event.symbol, event.side, event.quantity, event.position_id, event.reduces,
                str(IntentState.RESERVED), "", ZERO, sequence,
            )  # fmt: skip
            return
        known = self.intents.get(ids.intent)
        if known is None:
            return
        self.intents[ids.intent] = known._replace(state=event.state, reason=event.reason, sequence=sequence)
        if known.executed_quantity != event.executed_quantity:
            what = f"intent {ids.intent} executed quantity"
            self._contradict(sequence, what, known.executed_quantity, event.executed_quantity)

    def _attempt(
        self, sequence: int, event: OrderAttempt | OrderAck | OrderCancel | OrderDone | OrderFailed, ids: Ids
    ) -> None:
        key = ids.client_order
        known = self.attempts.get(key)
        if isinstance(event, OrderAttempt):
            if known is None:
                known = RebuiltAttempt(
                    ids.intent, event.number, event.symbol, event.side, event.state, "", ZERO, sequence
                )
                intent = self.intents.get(ids.intent)
                if intent is not None and intent.state == IntentState.RESERVED:
                    self.intents[ids.intent] = intent._replace(state=str(IntentState.WORKING), sequence=sequence)
            self.attempts[key] = known._replace(state=event.state, sequence=sequence)
            return
        if known is None:
            return
        match event:
            case OrderDone():
                if known.booked_quantity != event.executed_quantity:
                    what = f"order {key} executed quantity"
                    self._contradict(sequence, what, known.booked_quantity, event.executed_quantity)
                known = known._replace(state=str(AttemptState.SETTLED), outcome=event.outcome)
            case OrderAck() if known.live:
                known = known._replace(state=str(AttemptState.OPEN))
            case OrderCancel() if event.answer == "asked":
                known = known._replace(state=str(AttemptState.CANCELING))
            case OrderFailed() if event.outcome == "UNKNOWN":
                known = known._replace(state=str(AttemptState.UNKNOWN))
            case _:
                return
        self.attempts[key] = known._replace(sequence=sequence)

    def _fill(self, sequence: int, event: OrderFill, ids: Ids) -> None:
        self.fills += 1
        trade = VenueTrade(
            event.venue_trade_id, ids.venue_order, "", event.symbol, Side(event.side), event.price, event.quantity,
            event.quote_quantity, event.fee, event.fee_currency, event.is_maker, 0,
        )  # fmt: skip
        if trade.fee:
            self.fees[trade.fee_currency] = plus(self.fees.get(trade.fee_currency, ZERO), trade.fee)
        attempt = self.attempts.get(ids.client_order)
        if attempt is not None:
            state = str(AttemptState.CLOSED) if event.late else attempt.state
            booked = plus(attempt.booked_quantity, trade.quantity)
            self.attempts[ids.client_order] = attempt._replace(booked_quantity=booked, state=state, sequence=sequence)
        intent = self.intents.get(ids.intent)
        if intent is None:
            return
        first = intent.executed_quantity == 0
        executed = plus(intent.executed_quantity, trade.quantity)
        self.intents[ids.intent] = intent._replace(executed_quantity=executed, sequence=sequence)
        held = self.reservations.get(ids.intent)
        if held is not None:
            consumed = plus(held.consumed, spent_by(trade, held.currency))
            self.reservations[ids.intent] = held._replace(consumed=consumed, sequence=sequence)
        if intent.position_id:
            self._move_position(sequence, intent.position_id, trade, first)

    # Positions ------------------------------------------------------------------------------------------------

    def _move_position(self, sequence: int, position_id: str, trade: VenueTrade, first: bool) -> None:
        known = self.positions.get(position_id)
        third = bool(trade.fee) and trade.fee_currency not in trade.symbol.split("/")
        if known is None:
            if trade.side is Side.SELL:
                return
            position = Position(
                PositionId(position_id), trade.symbol, "", "", ZERO, trade.price, 0, 0, trade.price, trade.price
            )
            known = RebuiltPosition(position, sequence, True)
        position = known.position
        if position.state is PositionState.CLOSED:  # a late fill: what was dust is position again
            self.realised = minus(self.realised, realised_pnl_quote(position))
            position = position._replace(
                state=PositionState.OPEN, quantity=position.dust_quantity, dust_quantity=ZERO, closed_ms=None
            )
        position = with_fill(position, trade, _no_rate, first_of_intent=first and trade.side is Side.BUY)
        self.positions[position_id] = RebuiltPosition(position, sequence, known.fees_known and not third)

    def _compare_position(self, sequence: int, event: PositionOpened | PositionUpdated) -> None:
        known = self.positions.get(event.position_id)
        if known is None:
            return
        position = known.position
        if position.quantity != event.quantity:
            self._contradict(sequence, f"position {event.position_id} quantity", position.quantity, event.quantity)
        if position.average_price != event.average_price:
            what = f"position {event.position_id} average price"
            self._contradict(sequence, what, position.average_price, event.average_price)
        if isinstance(event, PositionOpened):
            position = position._replace(plugin=event.plugin)
        self.positions[event.position_id] = known._replace(position=position, sequence=sequence)

    def _take_dust(self, sequence: int, event: DustTaken) -> None:
        """Move dust from the positions that left it to the one that took it along."""
        for position_id, quantity in event.taken.items():
            left = self.positions.get(position_id)
            if left is not None:  # else it ended before the beginning
                dust, gone = minus(left.position.dust_quantity, quantity), plus(left.position.dust_gone, quantity)
                position = left.position._replace(dust_quantity=dust, dust_gone=gone)
                self.positions[position_id] = left._replace(position=position, sequence=sequence)
        known = self.positions.get(event.position_id)
        if known is None:
            price = ratio(event.cost_quote, event.quantity)
            fresh = Position(
                PositionId(event.position_id), event.symbol, event.plugin, "", ZERO, price, 0, 0, price, price
            )
            known = RebuiltPosition(fresh, sequence, True)
        position = known.position._replace(
            quantity=plus(known.position.quantity, event.quantity), taken=event.taken, taken_quote=event.cost_quote
        )
        if position.quantity != event.position_quantity:
            what = f"position {event.position_id} quantity"
            self._contradict(sequence, what, position.quantity, event.position_quantity)
        self.positions[event.position_id] = known._replace(position=position, sequence=sequence)

    def _close(self, sequence: int, event: PositionClosed) -> None:
        known = self.positions.get(event.position_id)
        if known is None:
            self.realised = plus(self.realised, event.realised_pnl_quote)  # its fills are gone with the beginning
            return
        position = close_position(known.position, 0, Reason(event.reason))
        if not known.fees_known:
            base = times(position.base_fees, position.average_price)
            position = position._replace(fees_quote=minus(event.fees_quote, base))
        pnl = realised_pnl_quote(position)
        for what, mine, said in (
            ("realised profit", pnl, event.realised_pnl_quote),
            ("dust quantity", position.dust_quantity, event.dust_quantity),
        ):
            if mine != said:
                self._contradict(sequence, f"position {event.position_id} {what}", mine, said)
        self.realised = plus(self.realised, pnl)
        self.positions[event.position_id] = known._replace(position=position, sequence=sequence)

    def _contradict(self, sequence: int, what: str, rebuilt: Decimal, said: Decimal) -> None:
        self.contradictions.append(Difference(sequence, what, canonical(rebuilt), canonical(said), "journal"))


def _no_rate(coin: str, quote: str) -> None:
    """A third coin's fee is known in quote units at the close only."""
    return None
