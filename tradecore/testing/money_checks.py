"""What must hold of reservations, positions and the ledger: INV-5, INV-6, INV-9, INV-10, INV-12."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from tradecore.engine.budget import fee_factor
from tradecore.engine.ledger import imbalance, trade_postings
from tradecore.model.events import (
    BudgetReleased,
    BudgetReserved,
    IntentCreated,
    LedgerEntry,
    ReconciliationResult,
)
from tradecore.model.fill import Fill
from tradecore.model.instrument import Instrument
from tradecore.model.intent import INTENT_LIVE
from tradecore.model.order import ATTEMPT_LIVE, Attempt
from tradecore.model.position import PositionState
from tradecore.model.records import Posting, PostingKind
from tradecore.model.units import ZERO, Side, canonical, decimal_of, exact_sum, minus, plus, times
from tradecore.testing.case import Case
from tradecore.venues.twin.records import TwinTrade

_ASSETS: Final = "assets"


def worst_left(attempt: Attempt, instrument: Instrument) -> Decimal:
    """What an attempt may still cost: a buy's rest at its limit with the fee, a sell's rest."""
    rest = minus(attempt.request.quantity, attempt.booked_quantity)
    if attempt.side is Side.SELL:
        return rest
    return times(times(rest, attempt.request.price), fee_factor(instrument))


def reserved_enough(case: Case) -> Iterator[str]:
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


def budget_kept(case: Case) -> Iterator[str]:
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
        moved = exact_sum((*by_position.pop(position.position_id, []), *position.taken.values()))
        kept = exact_sum((position.quantity, position.dust_quantity, position.dust_gone))
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


# The ledger ------------------------------------------------------------------------------------------------------


def ledger_balances(case: Case) -> Iterator[str]:
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


def ledger_is_venue(case: Case) -> Iterator[str]:
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


# Numbers ---------------------------------------------------------------------------------------------------------
def sound_numbers(case: Case) -> Iterator[str]:
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
