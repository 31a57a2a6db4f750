"""Lots of an account out of what its store holds (R45): fills and postings in the order in which they happened."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from tradecore.engine.books import ASSETS
from tradecore.engine.ledger import REVERSAL
from tradecore.model.fill import Fill
from tradecore.model.lot import NO_OWNER, LotBook, LotTrade, Taken, Why
from tradecore.model.position import Position, PositionState
from tradecore.model.records import Posting, PostingKind
from tradecore.model.units import ZERO, Side, minus, plus, ratio


class Gain(NamedTuple):
    """What a position has realised, in its quote currency, lot by lot."""

    currency: str
    proceeds: Decimal
    cost: Decimal
    """Of what was sold, and of what was taken as a fee in base."""
    fees: Decimal
    """Paid in the quote currency."""
    unpriced: Decimal
    """Proceeds of coins whose cost nobody knows: in no gain."""

    @property
    def gain(self) -> Decimal:
        """Proceeds less cost less fees, exactly."""
        return minus(minus(self.proceeds, self.cost), self.fees)


Step = LotTrade | Sequence[Posting]
"""One thing that moved coins: a trade, or the legs of a transaction that is none."""


def lots_of(steps: Iterable[Step], positions: Iterable[Position], money: str) -> LotBook:
    """Derive the lots of an account from its history.

    Args:
        steps: As `history` gives them.
        positions: For the ends of those that are closed, and for the dust that they took along.
        money: The account's currency.
    """
    ended: dict[str, int] = {
        p.position_id: p.closed_ms for p in positions if p.state is PositionState.CLOSED and p.closed_ms is not None
    }
    book = LotBook(money, ended)
    takers = deque(sorted((p for p in positions if p.taken), key=lambda p: (p.opened_ms, p.position_id)))
    for step in steps:
        for taker in _due(takers, step):
            _take_along(book, taker)
        if isinstance(step, LotTrade):
            book.trade(step)
        else:
            for leg in step:
                if leg.account == ASSETS:
                    book.transfer(leg)
    for taker in takers:
        _take_along(book, taker)
    return book


def _due(takers: deque[Position], step: Step) -> Iterable[Position]:
    """Positions that took dust along before a step: by their moment, and at the latest before they sell.

    A moment of ours and one of the venue may be out of step by the difference of the clocks.
    """
    selling = isinstance(step, LotTrade) and step.side is Side.SELL
    at_ms = step.at_ms if isinstance(step, LotTrade) else step[0].at_ms
    while takers and (takers[0].opened_ms < at_ms or (selling and takers[0].opened_ms == at_ms)):
        yield takers.popleft()
    if isinstance(step, LotTrade) and selling:
        for taker in [taker for taker in takers if taker.position_id == step.position_id]:
            takers.remove(taker)
            yield taker


def _take_along(book: LotBook, taker: Position) -> None:
    base = taker.symbol.partition("/")[0]
    for position_id, quantity in taker.taken.items():
        book.take_along(base, quantity, position_id, taker.position_id, taker.opened_ms)


def history(fills: Iterable[Fill], postings: Iterable[Posting]) -> Sequence[Step]:
    """Put all that moved coins into the order in which it happened, in whatever order it is handed in.

    Args:
        fills: All of them.
        postings: All, those of fills too (they are left out here: the fill says more).
    """
    groups: dict[str, list[Posting]] = defaultdict(list)
    for posting in postings:
        if posting.kind is not PostingKind.TRADE:
            groups[posting.posting_id].append(posting)
    steps: list[tuple[tuple[object, ...], Step]] = []
    for fill in fills:
        trade = _of_fill(fill)
        steps.append((_order(trade.at_ms, trade.side, trade.posting_id), trade))
    for posting_id, legs in groups.items():
        if f"{REVERSAL}{posting_id}" in groups or posting_id.startswith(REVERSAL):
            continue
        legs.sort(key=lambda leg: leg.leg)
        external = _of_legs(legs)
        if external is not None:
            steps.append((_order(external.at_ms, external.side, posting_id), external))
        else:
            # what was there at the opening was there before any trade, whatever our clock said
            first = legs[0]
            at_ms = -1 if first.kind is PostingKind.OPENING else first.at_ms
            steps.append((_order(at_ms, Side.BUY if first.amount > 0 else Side.SELL, posting_id), legs))
    return [step for _, step in sorted(steps, key=lambda pair: pair[0])]


def _of_fill(fill: Fill) -> LotTrade:
    trade = fill.trade
    base, _, quote = trade.symbol.partition("/")
    return LotTrade(
        f"trade/{fill.account}/{trade.symbol}/{trade.venue_trade_id}", base, quote, trade.side, trade.quantity,
        trade.price, trade.quote_quantity, trade.fee, trade.fee_currency, fill.position_id or NO_OWNER, trade.traded_ms,
        True,
    )  # fmt: skip


def _of_legs(legs: Sequence[Posting]) -> LotTrade | None:
    """Read a trade of somebody else back from its legs; ``None``: they are no trade."""
    assets = [leg for leg in legs if leg.account == ASSETS]
    if legs[0].kind is not PostingKind.EXTERNAL or len(assets) < 2:
        return None
    base, quote, *fee = assets
    quantity, moved = base.amount.copy_abs(), quote.amount.copy_abs()
    # the ledger does not keep the price; parts are priced to 40 digits, and the last one takes what is left
    price = ratio(moved, quantity)
    return LotTrade(
        base.posting_id, base.currency, quote.currency, Side.BUY if base.amount > 0 else Side.SELL, quantity, price,
        moved, fee[0].amount.copy_negate() if fee else ZERO, fee[0].currency if fee else "", NO_OWNER, base.at_ms,
        False,
    )  # fmt: skip


def _order(at_ms: int, side: Side, posting_id: str) -> tuple[object, ...]:
    """What came first; of one moment purchases before sales, and by number where the venue counts."""
    pieces = re.split(r"(\d+)", posting_id)
    natural = tuple((0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces)
    return (at_ms, 0 if side is Side.BUY else 1, natural)


def gains(book: LotBook, fills: Iterable[Fill]) -> Mapping[str, Gain]:
    """What each position has realised so far, by position id: its sales lot by lot, and its fees in base and quote.

    A fee in a third coin is no part of it: it is a loss in that coin, and its lots say what that had cost.
    """
    made: dict[str, Gain] = {}
    bases: dict[str, str] = {}
    for fill in fills:
        if fill.position_id is None:
            continue
        base, _, quote = fill.trade.symbol.partition("/")
        old = made.get(fill.position_id, Gain(quote, ZERO, ZERO, ZERO, ZERO))
        fee = fill.trade.fee if fill.trade.fee_currency == quote else ZERO
        made[fill.position_id] = old._replace(fees=plus(old.fees, fee))
        bases[fill.position_id] = base
    for part in book.taken:
        old_gain = made.get(part.position_id)
        if old_gain is None or part.coin != bases[part.position_id]:
            continue
        made[part.position_id] = _with_part(old_gain, part)
    return made


def _with_part(gain: Gain, part: Taken) -> Gain:
    known = part.cost is not None and part.cost_currency in {gain.currency, ""}
    if part.why is Why.FEE:
        return gain._replace(cost=plus(gain.cost, part.cost)) if known and part.cost is not None else gain
    if part.why is not Why.SALE or part.proceeds is None:
        return gain
    if part.gain is None or part.cost is None:
        return gain._replace(unpriced=plus(gain.unpriced, part.proceeds))
    return gain._replace(proceeds=plus(gain.proceeds, part.proceeds), cost=plus(gain.cost, part.cost))
