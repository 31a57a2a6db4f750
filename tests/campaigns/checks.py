"""What must hold in a state folder: after every kill, and more of it after a clean end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tradecore.errors import DataError
from tradecore.journal.read import Torn, decode, read_journal
from tradecore.model.events import Stamped
from tradecore.model.instrument import Instrument
from tradecore.model.intent import INTENT_LIVE
from tradecore.model.order import ATTEMPT_LIVE, AttemptState
from tradecore.model.places import JOURNAL_FOLDER, STORE_FILE, TWIN_FILE
from tradecore.model.reasons import Reason
from tradecore.testing.invariants import check_run
from tradecore.testing.records import Records, Truth, records_of, truth_of
from tradecore.venues.twin.records import OrderStatus


class Market(NamedTuple):
    """What the checks must know of the run."""

    instruments: Mapping[str, Instrument]
    account: str


class State(NamedTuple):
    """A state folder, read back."""

    folder: Path
    records: Records
    truth: Truth


def state_of(folder: Path, store: str | None = None) -> State | None:
    """Read a state folder back; ``None``: it was killed before it had a venue, so nothing can have been sent.

    Args:
        folder: The state folder; nobody may be using it.
        store: URL of the store where it is not in the folder.
    """
    if not (folder / TWIN_FILE).exists() or not (store or (folder / STORE_FILE).exists()):
        return None
    place: Any = store or folder / STORE_FILE
    return State(folder, records_of(place), truth_of(folder / TWIN_FILE))


def after_kill(state: State, market: Market) -> list[str]:
    """What must hold at any moment of a life, whatever was under way."""
    found = [str(violation) for violation in check_run(state.records, state.truth, market.instruments, market.account)]
    return [*found, *_owned(state), *_money_held(state), *_cancels_known(state)]


def after_end(state: State, market: Market) -> list[str]:
    """What must hold besides after a clean end with nothing pending."""
    notes, faults = journal_of(state)
    checked = check_run(state.records, state.truth, market.instruments, market.account, notes)
    found = [str(violation) for violation in checked] + faults
    for intent in (row for row in state.records.intents if row.state in INTENT_LIVE):
        found.append(f"intent {intent.intent.intent_id} is {intent.state} after a clean end")
    for attempt in (row for row in state.records.attempts if row.state in ATTEMPT_LIVE):
        found.append(f"order {attempt.wire_id} is {attempt.state} after a clean end")
    return [*found, *_owned(state), *_money_held(state), *_balances_equal(state)]


def _owned(state: State) -> list[str]:
    """No order stands at the venue of which nobody here takes care."""
    live = {attempt.wire_id for attempt in state.records.attempts if attempt.state in ATTEMPT_LIVE}
    return [
        f"order {order.wire_id} of {order.symbol} stands at the venue and nobody leads it"
        for order in state.truth.orders
        if order.status is OrderStatus.OPEN and not order.foreign and order.wire_id not in live
    ]


def _money_held(state: State) -> list[str]:
    """Money is set aside for live intents and for nothing else."""
    live = {row.intent.intent_id for row in state.records.intents if row.state in INTENT_LIVE}
    held = {row.intent_id for row in state.records.reservations}
    return [f"intent {one} is live and holds nothing, or holds and is not live" for one in sorted(live ^ held)]


def _cancels_known(state: State) -> list[str]:
    """Nothing settled as never placed is at the venue: the one proof that looks for absence."""
    there = {order.wire_id for order in state.truth.orders}
    return [
        f"order {attempt.wire_id} was given up as {attempt.code} and is at the venue"
        for attempt in state.records.attempts
        if attempt.state is AttemptState.SETTLED and attempt.code == Reason.NOT_PLACED and attempt.wire_id in there
    ]


def _balances_equal(state: State) -> list[str]:
    """The ledger is the venue's account to the last digit, coin by coin, with nothing to explain."""
    ours = {coin: amount for (account, coin), amount in state.records.balances.items() if account == "assets"}
    return [
        f"the venue holds {state.truth.total(coin)} {coin}, the ledger {ours.get(coin, Decimal(0))}"
        for coin in sorted(ours.keys() | state.truth.balances.keys())
        if state.truth.total(coin) != ours.get(coin, Decimal(0))
    ]


def journal_of(state: State) -> tuple[list[Stamped], list[str]]:
    """Read the journal, and hold it against the store: each booked event is in the files exactly once."""
    torn: list[Torn] = []
    notes: list[Stamped] = []
    written: Counter[int] = Counter()
    try:
        for line in read_journal(state.folder / JOURNAL_FOLDER, torn=torn):
            notes.append(decode(line))
            if line.store_seq is not None:
                written[line.store_seq] += 1
    except DataError as error:
        return notes, [f"journal: {error}"]
    booked = {event.sequence for event in state.records.events}
    found = [f"journal: {place.path.name} ends in a torn line after a clean end" for place in torn]
    found += [f"journal: booked event {number} is in the files {n} times" for number, n in written.items() if n > 1]
    found += [f"journal: booked event {number} is missing" for number in sorted(booked - written.keys())]
    found += [f"journal: event {number} is not in the store" for number in sorted(written.keys() - booked)]
    return notes, found


def figures(state: State) -> dict[str, Any]:
    """Count what a state folder holds."""
    records, truth = state.records, state.truth
    return {
        "intents": len(records.intents),
        "attempts": dict(Counter(str(row.outcome or row.state) for row in records.attempts)),
        "fills": len(records.fills),
        "positions": dict(Counter(str(row.state) for row in records.positions)),
        "venue_orders": len(truth.orders),
        "venue_trades": len(truth.trades),
        "venue_rejections": len(truth.rejections),
        "booked_events": len(records.events),
    }


def under_way(state: State) -> dict[str, int]:
    """Count what a kill found unfinished: orders by their state, live intents."""
    counts = Counter(str(row.state) for row in state.records.attempts if row.state in ATTEMPT_LIVE)
    intents = sum(1 for row in state.records.intents if row.state in INTENT_LIVE)
    return {**counts, **({"intents": intents} if intents else {})}
