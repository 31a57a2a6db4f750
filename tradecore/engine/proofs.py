"""Proofs over what a store holds: the ledger balances, lots and positions follow from it, the venue agrees (R45, R46).

Each is a function of plain rows, so that anybody can ask for it at any time, beside a running process or long after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from tradecore.engine.books import ASSETS
from tradecore.engine.classify import DriftKind
from tradecore.engine.ledger import imbalance, trade_postings
from tradecore.engine.lots import history, lots_of
from tradecore.engine.venuebook import VenueBook
from tradecore.model.fill import Fill
from tradecore.model.intent import IntentRow, Reservation
from tradecore.model.lot import LotBook, Why
from tradecore.model.position import Position
from tradecore.model.records import Posting, PostingKind
from tradecore.model.units import ZERO, Side, canonical, exact_sum, minus, plus

_HARMLESS: Final = {"", str(DriftKind.DEPOSIT), str(DriftKind.DUST), str(DriftKind.FEE)}
FINDINGS_MAX: Final = 20
"""Findings that one proof names; the rest is counted."""


class LedgerRows(NamedTuple):
    """All that the proofs look at, read at one moment."""

    currency: str
    fills: Sequence[Fill]
    postings: Sequence[Posting]
    positions: Sequence[Position]
    live_intents: Sequence[IntentRow]
    reservations: Sequence[Reservation]
    """Active ones."""
    balances: Mapping[tuple[str, str], Decimal]
    venue: VenueBook | None
    """``None``: never compared."""


class Proof(NamedTuple):
    """One proof and what it found against it."""

    name: str
    ok: bool
    text: str
    findings: tuple[str, ...]


def book_of(rows: LedgerRows) -> LotBook:
    """Derive the lots."""
    return lots_of(history(rows.fills, rows.postings), rows.positions, rows.currency)


def prove_all(rows: LedgerRows) -> tuple[Proof, ...]:
    """Hold the rows against every proof, in order."""
    book = book_of(rows)
    return (
        _proof("transactions", lambda: _balanced(rows), f"{_groups(rows)} transactions sum to zero in each coin"),
        _proof("balances", lambda: _summed(rows), f"{len(rows.balances)} balances are what fills and transfers moved"),
        _proof("fills", lambda: _posted_once(rows), f"{len(rows.fills)} fills are posted once each, as they were"),
        _proof("lots", lambda: _lots(rows, book), f"{len(book.lots())} lots add up to the balances"),
        _proof("positions", lambda: _positions(rows, book), f"{len(rows.positions)} positions are their lots"),
        _proof("reservations", lambda: _reserved(rows), f"{len(rows.reservations)} reservations are covered and owned"),
        _proof("venue", lambda: _venue(rows), _venue_text(rows.venue)),
    )


def _proof(name: str, look: Callable[[], Iterable[str]], text: str) -> Proof:
    findings = list(look())
    shown = findings[:FINDINGS_MAX]
    if len(findings) > FINDINGS_MAX:
        shown.append(f"and {len(findings) - FINDINGS_MAX} more")
    return Proof(name, not findings, text if not findings else f"{len(findings)} found", tuple(shown))


def _groups(rows: LedgerRows) -> int:
    return len({leg.posting_id for leg in rows.postings})


def _balanced(rows: LedgerRows) -> Iterable[str]:
    groups: dict[str, list[Posting]] = defaultdict(list)
    for leg in rows.postings:
        groups[leg.posting_id].append(leg)
    for posting_id, legs in groups.items():
        if gap := imbalance(legs):
            yield f"{posting_id} is off by {', '.join(f'{canonical(v)} {c}' for c, v in gap.items())}"


def _summed(rows: LedgerRows) -> Iterable[str]:
    """Balances anew, out of the fills themselves and of the transactions that are none."""
    legs = [leg for leg in rows.postings if leg.kind is not PostingKind.TRADE]
    for fill in rows.fills:
        legs.extend(trade_postings(fill))
    sums: dict[tuple[str, str], Decimal] = {}
    for leg in legs:
        key = (leg.account, leg.currency)
        sums[key] = plus(sums.get(key, ZERO), leg.amount)
    for key in sorted(sums.keys() | rows.balances.keys()):
        booked, wanted = rows.balances.get(key, ZERO), sums.get(key, ZERO)
        if booked != wanted:
            yield f"{key[0]} {key[1]} is {canonical(booked)}, its movements sum to {canonical(wanted)}"


def _posted_once(rows: LedgerRows) -> Iterable[str]:
    posted: dict[str, list[Posting]] = defaultdict(list)
    for leg in rows.postings:
        if leg.kind is PostingKind.TRADE:
            posted[leg.posting_id].append(leg)
    for fill in rows.fills:
        wanted = trade_postings(fill)
        found = posted.pop(wanted[0].posting_id, [])
        if sorted(_money(leg) for leg in found) != sorted(_money(leg) for leg in wanted):
            yield f"{wanted[0].posting_id} is {'posted otherwise' if found else 'not posted'}"
    yield from (f"{posting_id} has no fill" for posting_id in sorted(posted))


def _money(leg: Posting) -> tuple[int, str, str, Decimal]:
    return (leg.leg, leg.account, leg.currency, leg.amount)


def _lots(rows: LedgerRows, book: LotBook) -> Iterable[str]:
    coins = {coin for account, coin in rows.balances if account == ASSETS} | set(book.coins())
    for coin in sorted(coins - {rows.currency}):
        balance = rows.balances.get((ASSETS, coin), ZERO)
        if book.held(coin) != balance:
            yield f"lots of {coin} add up to {canonical(book.held(coin))}, its balance is {canonical(balance)}"
    for lot in book.lots():
        if lot.quantity <= 0:
            yield f"lot {lot.lot_id} holds {canonical(lot.quantity)} {lot.coin}"


def _positions(rows: LedgerRows, book: LotBook) -> Iterable[str]:
    """What a position holds or left as dust is its lots, what others took of them, less what it took of others'.

    Others take by sales by hand and fees; a position takes of others' where its own were taken before. Dust that a
    later position took along is a part of what was taken of the one's lots, and of the other's lots.
    """
    bases: dict[str, str] = {position.position_id: position.symbol.partition("/")[0] for position in rows.positions}
    have: dict[str, Decimal] = {}
    for lot in book.lots():
        have[lot.owner] = plus(have.get(lot.owner, ZERO), lot.quantity)
    for part in book.taken:
        if part.lot_id and part.owner == part.position_id:
            continue
        if part.lot_id and part.owner:
            have[part.owner] = plus(have.get(part.owner, ZERO), part.quantity)
        if part.why in {Why.SALE, Why.FEE} and part.coin == bases.get(part.position_id):
            have[part.position_id] = minus(have.get(part.position_id, ZERO), part.quantity)
    for moved in book.moved:
        have[moved.owner] = plus(have.get(moved.owner, ZERO), moved.quantity)
    most = _fees_of_sales(rows.fills)
    for position in rows.positions:
        name = position.position_id
        yield from _position(position, have.get(name, ZERO), most.get(name, ZERO))


def _fees_of_sales(fills: Iterable[Fill]) -> Mapping[str, Decimal]:
    """Position to what its sales cost in the very coin that was sold."""
    found: dict[str, Decimal] = {}
    for fill in fills:
        trade, name = fill.trade, fill.position_id
        if name and trade.side is Side.SELL and trade.fee > 0 and trade.symbol.startswith(f"{trade.fee_currency}/"):
            found[name] = plus(found.get(name, ZERO), trade.fee)
    return found


def _position(position: Position, found: Decimal, over_most: Decimal) -> Iterable[str]:
    kept = exact_sum((position.quantity, position.dust_quantity, position.dust_gone))
    came = exact_sum((position.bought_quantity, *position.taken.values()))
    left = minus(minus(came, position.sold_quantity), position.base_fees)
    # a sale's fee in the coin itself may cost more than is left of a position: it then holds nothing, not less
    over = minus(kept, left)
    if left != found or not ZERO <= over <= over_most:
        name = f"position {position.position_id} of {position.symbol}"
        yield f"{name} holds {canonical(kept)}, its lots {canonical(found)}, its trades left {canonical(left)}"


def _reserved(rows: LedgerRows) -> Iterable[str]:
    live = {row.intent.intent_id: row for row in rows.live_intents}
    owned = {reservation.intent_id for reservation in rows.reservations}
    yield from (f"live intent {intent_id} has no reservation" for intent_id in sorted(live.keys() - owned))
    yield from (f"reservation of {intent_id} belongs to no live intent" for intent_id in sorted(owned - live.keys()))
    entries = [r for r in rows.reservations if r.intent_id in live and not live[r.intent_id].intent.reduces]
    for coin in sorted({r.currency for r in entries}):
        held = exact_sum(r.held for r in entries if r.currency == coin)
        balance = rows.balances.get((ASSETS, coin), ZERO)
        if held > balance:
            yield f"{canonical(held)} {coin} are reserved, the ledger holds {canonical(balance)}"


def _venue(rows: LedgerRows) -> Iterable[str]:
    if rows.venue is None:
        return
    for coin, held in sorted(rows.venue.coins.items()):
        known = plus(held.ledger, held.ignored)
        gap = minus(held.total if held.total is not None else ZERO, known)
        if gap and held.kind not in _HARMLESS:
            has = "does not name the coin" if held.total is None else f"held {canonical(held.total)}"
            yield f"{coin}: the venue {has}, the ledger {canonical(known)}: {held.kind} {canonical(gap)}"


def _venue_text(venue: VenueBook | None) -> str:
    if venue is None:
        return "the venue was never compared"
    named = [f"{coin} {held.kind}" for coin, held in sorted(venue.coins.items()) if held.kind]
    return f"{len(venue.coins)} coins are what the venue last said{': ' + ', '.join(named) if named else ''}"
