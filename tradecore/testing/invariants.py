"""The checker of invariants: three records of one session are held against each other (reference orders.md 7).

The twin's truth log says what happened, the store what the bot believes, the events what it told. INV-1 to INV-12 are
functions of the three; each is named in what it finds. `Watch` looks at every commit while a session runs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tradecore.engine.budget import fee_factor
from tradecore.engine.ledger import imbalance, trade_postings
from tradecore.model.events import (
    AlertFired,
    BudgetReleased,
    BudgetReserved,
    IntentCleared,
    IntentCreated,
    LedgerEntry,
    OrderAttempt,
    OrderDone,
    OrderFill,
    ReconciliationResult,
    SessionEnded,
    SessionStarted,
    Stamped,
    UncaughtException,
)
from tradecore.model.fill import Fill
from tradecore.model.instrument import Instrument, refusal_of
from tradecore.model.intent import INTENT_LIVE, IntentRow
from tradecore.model.order import ATTEMPT_LIVE, Attempt, AttemptState, Outcome
from tradecore.model.position import PositionState
from tradecore.model.records import Posting, PostingKind
from tradecore.model.units import ZERO, Side, canonical, decimal_of, exact_sum, minus, plus, times
from tradecore.testing.records import Records, Truth
from tradecore.venues.twin.records import TwinTrade
from tradecore.venues.twin.truth import TruthOrder

_ASSETS: Final = "assets"
_SENT: Final = frozenset({Outcome.FILLED, Outcome.CANCELED, Outcome.EXPIRED, Outcome.REJECTED})


_AFTER_THE_END: Final = frozenset(
    {AttemptState.SETTLED, AttemptState.REOPENED, AttemptState.OPEN, AttemptState.CANCELING, AttemptState.CLOSED}
)
"""Where an attempt may stand that has settled once: a late fill opens it again."""


class Violation(NamedTuple):
    """One thing that must never be."""

    invariant: str
    """``INV-1`` to ``INV-12``."""
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


class _Case:
    """The three records, with the look-ups that several checks need."""

    def __init__(
        self, records: Records, truth: Truth, instruments: Mapping[str, Instrument], account: str,
        notes: Sequence[Stamped] | None,
    ) -> None:  # fmt: skip
        self.records = records
        self.truth = truth
        self.instruments = instruments
        self.account = account
        self.notes = notes
        self.events = [booked.stamped for booked in records.events]
        self.intents = {row.intent.intent_id: row for row in records.intents}
        self.attempts_of: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in records.attempts:
            self.attempts_of[attempt.intent_id].append(attempt)
        self.by_wire_id = {attempt.wire_id: attempt for attempt in records.attempts}
        self.fills_of: dict[str, list[Fill]] = defaultdict(list)
        for fill in records.fills:
            self.fills_of[fill.client_order_id].append(fill)
        self.orders: dict[str, list[TruthOrder]] = defaultdict(list)
        for order in truth.orders:
            if not order.foreign:
                self.orders[order.wire_id].append(order)
        foreign = {order.venue_order_id for order in truth.orders if order.foreign}
        self.trades = [trade for trade in truth.trades if trade.venue_order_id not in foreign]
        self.foreign_trades = [trade for trade in truth.trades if trade.venue_order_id in foreign]

    def of(self, *kinds: type[Any]) -> Iterator[Stamped]:
        """Booked events of some kinds, in order."""
        return (stamped for stamped in self.events if isinstance(stamped.event, kinds))


def check_run(
    records: Records,
    truth: Truth,
    instruments: Mapping[str, Instrument],
    account: str,
    notes: Sequence[Stamped] | None = None,
) -> tuple[Violation, ...]:
    """Hold what a session left against INV-1 to INV-12.

    Args:
        records: What the store holds.
        truth: What happened at the venue.
        instruments: Filters and fees of the whole session.
        account: Name of the account.
        notes: Events of the journal, to see that what is stuck was alarmed; ``None``: there is no journal.
    Returns:
        Everything that breaks an invariant, in the order of their numbers; empty where all holds.
    """
    case = _Case(records, truth, instruments, account, notes)
    return tuple(
        Violation(f"INV-{number}", text) for number, check in enumerate(_CHECKS, start=1) for text in check(case)
    )


# Orders and fills ------------------------------------------------------------------------------------------------


def _never_too_much(case: _Case) -> Iterator[str]:
    """INV-1: what the venue executed for an intent is at most its quantity."""
    for intent_id, row in case.intents.items():
        executed = exact_sum(o.executed for a in case.attempts_of[intent_id] for o in case.orders[a.wire_id])
        if executed > row.intent.quantity:
            yield f"intent {intent_id} wanted {row.intent.quantity}, the venue executed {executed}"


def _never_twice(case: _Case) -> Iterator[str]:
    """INV-2: at most one venue order per client order id."""
    for wire_id, orders in case.orders.items():
        if len(orders) > 1:
            yield f"order {wire_id} was accepted {len(orders)} times"


def _never_unwritten(case: _Case) -> Iterator[str]:
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


def _fills_are_trades(case: _Case) -> Iterator[str]:
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


# Money -----------------------------------------------------------------------------------------------------------


def worst_left(attempt: Attempt, instrument: Instrument) -> Decimal:
    """What an attempt may still cost: a buy's rest at its limit with the fee, a sell's rest."""
    rest = minus(attempt.request.quantity, attempt.booked_quantity)
    if attempt.side is Side.SELL:
        return rest
    return times(times(rest, attempt.request.price), fee_factor(instrument))


def _reserved_enough(case: _Case) -> Iterator[str]:
    """INV-5: a live intent's reservation covers the worst of its open attempts; an ended one holds nothing."""
    active = {row.intent_id: row for row in case.records.reservations}
    for intent_id, row in case.intents.items():
        held = active.pop(intent_id, None)
        if row.state not in INTENT_LIVE:
            if held is not None:
                yield f"intent {intent_id} ended as {row.state} and still holds {held.held} {held.currency}"
            continue
        if held is None:
            yield f"live intent {intent_id} has no reservation"
            continue
        open_attempts = [a for a in case.attempts_of[intent_id] if a.state in ATTEMPT_LIVE]
        worst = exact_sum(worst_left(a, case.instruments[a.symbol]) for a in open_attempts)
        if held.held < worst:
            yield f"intent {intent_id} holds {held.held} {held.currency}, its orders may cost {worst}"
    yield from (f"reservation of {intent_id} belongs to no intent" for intent_id in active)
    made = Counter(stamped.ids.intent for stamped in case.of(BudgetReserved))
    freed = Counter(stamped.ids.intent for stamped in case.of(BudgetReleased))
    for intent_id, row in case.intents.items():
        ended = 0 if row.state in INTENT_LIVE else 1
        if (made[intent_id], freed[intent_id]) != (1, ended):
            yield f"intent {intent_id} in {row.state} was reserved {made[intent_id]} x, released {freed[intent_id]} x"


def _budget_kept(case: _Case) -> Iterator[str]:
    """INV-6: reservations never exceed what is there, spent is what fills took, positions are sums of fills."""
    coins = {row.currency for row in case.records.reservations}
    entries = {intent_id for intent_id, row in case.intents.items() if not row.intent.reduces}
    for coin in sorted(coins):
        held = exact_sum(r.held for r in case.records.reservations if r.currency == coin and r.intent_id in entries)
        balance = case.records.balances.get((_ASSETS, coin), ZERO)
        if held > balance:
            yield f"{held} {coin} are reserved, the ledger holds {balance}"
    for stamped in case.of(BudgetReleased):
        event = stamped.event
        if event.released != max(ZERO, minus(event.amount, event.consumed)):
            yield f"intent {stamped.ids.intent} reserved {event.amount}, spent {event.consumed}, freed {event.released}"
        if stamped.ids.intent in entries and event.consumed > event.amount:
            yield f"intent {stamped.ids.intent} spent {event.consumed} of {event.amount} {event.currency}"
    by_position: dict[str, list[Decimal]] = defaultdict(list)
    for fill in case.records.fills:
        if fill.position_id is not None:
            by_position[fill.position_id].append(_base_moved(fill))
    for position in case.records.positions:
        moved = exact_sum(by_position.pop(position.position_id, []))
        kept = plus(position.quantity, position.dust_quantity)
        if kept != max(ZERO, moved):
            yield f"position {position.position_id} of {position.symbol} holds {kept}, its fills sum to {moved}"
        if position.state is PositionState.CLOSED and position.quantity:
            yield f"closed position {position.position_id} holds {position.quantity}"
    yield from (f"fills of position {position_id} have no position" for position_id in by_position)


def _base_moved(fill: Fill) -> Decimal:
    """What a fill did to its position: its quantity less a fee in base."""
    trade = fill.trade
    fee = trade.fee if trade.fee_currency == trade.symbol.partition("/")[0] else ZERO
    return minus(trade.quantity if trade.side is Side.BUY else trade.quantity.copy_negate(), fee)


# States and reasons ----------------------------------------------------------------------------------------------


def _along_the_table(case: _Case) -> Iterator[str]:
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
        if not states or states[:2] != first or not later <= {AttemptState.UNKNOWN, AttemptState.STUCK}:
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


def _always_a_reason(case: _Case) -> Iterator[str]:
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


def _errors_told(case: _Case) -> Iterator[str]:
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


# The ledger ------------------------------------------------------------------------------------------------------


def _ledger_balances(case: _Case) -> Iterator[str]:
    """INV-9: each group sums to zero per coin, balances are sums of postings, each fill is posted once as it was."""
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    entries: dict[str, LedgerEntry] = {}
    for stamped in case.of(LedgerEntry):
        entry = stamped.event
        if entry.posting_id in entries:
            yield f"posting {entry.posting_id} was made twice"
        entries[entry.posting_id] = entry
        kind = PostingKind(entry.kind)
        legs = [
            Posting(entry.posting_id, n, leg.account, leg.currency, leg.amount, kind, 0)
            for n, leg in enumerate(entry.legs)
        ]
        if gap := imbalance(legs):
            yield f"posting {entry.posting_id} does not balance: {gap}"
        for leg in entry.legs:
            sums[leg.account, leg.currency] = plus(sums[leg.account, leg.currency], leg.amount)
    for key in sorted(sums.keys() | case.records.balances.keys()):
        stored = case.records.balances.get(key, ZERO)
        if sums.get(key, ZERO) != stored:
            yield f"balance of {key} is {stored}, its postings sum to {sums.get(key, ZERO)}"
        if type(stored) is not Decimal:
            yield f"balance of {key} is a {type(stored).__name__}"
    posted = {posting_id for posting_id, entry in entries.items() if entry.kind == PostingKind.TRADE}
    for fill in case.records.fills:
        wanted = trade_postings(fill)
        found = entries.get(wanted[0].posting_id)
        posted.discard(wanted[0].posting_id)
        if found is None or [tuple(leg) for leg in found.legs] != [(p.account, p.currency, p.amount) for p in wanted]:
            yield f"fill {fill.trade.venue_trade_id} of {fill.trade.symbol} is not posted as it was"
    yield from (f"posting {posting_id} has no fill" for posting_id in sorted(posted))


def _ledger_is_venue(case: _Case) -> Iterator[str]:
    """INV-10: the ledger is the venue's balance, coin by coin, or the difference has a name."""
    memory = case.records.memory
    booked = {(fill.trade.symbol, fill.trade.venue_trade_id) for fill in case.records.fills}
    waiting = [trade for trade in case.trades if (trade.symbol, trade.venue_trade_id) not in booked]
    results = [stamped.event for stamped in case.of(ReconciliationResult)]
    named = results[-1].differences if results else {}
    coins = {coin for account, coin in case.records.balances if account == _ASSETS} | set(case.truth.balances)
    for coin in sorted(coins):
        ignored = memory.get(f"ignored/{coin}")
        known = plus(
            case.records.balances.get((_ASSETS, coin), ZERO),
            exact_sum(_moved(trade, coin) for trade in waiting),
            decimal_of(ignored.text) if ignored is not None else ZERO,
        )
        gap = minus(case.truth.total(coin), known)
        if gap and named.get(coin) != canonical(gap):
            yield f"the venue holds {case.truth.total(coin)} {coin}, the books explain {known}, named {named.get(coin)}"


def _moved(trade: TwinTrade, coin: str) -> Decimal:
    """By how much a trade changed a coin."""
    base, _, quote = trade.symbol.partition("/")
    sign = Decimal(1 if trade.side is Side.BUY else -1)
    parts = []
    if coin == base:
        parts.append(times(trade.quantity, sign))
    if coin == quote:
        parts.append(times(trade.quote, sign).copy_negate())
    if coin == trade.fee_coin:
        parts.append(trade.fee.copy_negate())
    return exact_sum(parts)


# Prices ----------------------------------------------------------------------------------------------------------


def _within_limits(case: _Case) -> Iterator[str]:
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


def _sound_numbers(case: _Case) -> Iterator[str]:
    """INV-12: prices and quantities are finite and positive, and notional is their product."""
    for row in case.records.intents:
        intent = row.intent
        if bad := [n for n in ("quantity", "price", "price_cap") if not _positive(getattr(intent, n))]:
            yield f"intent {intent.intent_id} has no sound {', '.join(bad)}"
    for attempt in case.records.attempts:
        if not (_positive(attempt.request.price) and _positive(attempt.request.quantity)):
            yield f"order {attempt.wire_id} is {attempt.request.quantity} at {attempt.request.price}"
    for fill in case.records.fills:
        trade = fill.trade
        if not (_positive(trade.price) and _positive(trade.quantity)):
            yield f"fill {trade.venue_trade_id} is {trade.quantity} at {trade.price}"
        elif times(trade.price, trade.quantity) != trade.quote_quantity:
            yield f"fill {trade.venue_trade_id} moved {trade.quote_quantity} for {trade.quantity} at {trade.price}"
    for stamped in case.of(IntentCreated):
        event = stamped.event
        if event.notional_quote != times(event.quantity, event.price):
            yield f"intent {stamped.ids.intent} was told with a notional of {event.notional_quote}"


def _positive(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and value > 0


_CHECKS: Final = (
    _never_too_much,
    _never_twice,
    _never_unwritten,
    _fills_are_trades,
    _reserved_enough,
    _budget_kept,
    _along_the_table,
    _always_a_reason,
    _ledger_balances,
    _ledger_is_venue,
    _within_limits,
    _sound_numbers,
)
