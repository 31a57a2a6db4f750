"""Double entry, exact, per currency: every transaction sums to zero in each coin (R45, INV-9).

The fee of a trade has legs of its own in whatever coin it was taken. A posting's id comes from the event that
caused it, so that posting the same fill twice is the same rows again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from tradecore.engine.books import ASSETS
from tradecore.model.events import LedgerEntry, Leg
from tradecore.model.fill import Fill
from tradecore.model.records import Posting, PostingKind
from tradecore.model.units import ZERO, Side, plus

VENUE = "venue"
FEES = "fees"


def trade_postings(fill: Fill) -> Sequence[Posting]:
    """Post one trade: base and quote against the venue, the fee against the fee account.

    Source: reference orders.md 6.6.
    """
    trade = fill.trade
    base, _, quote = trade.symbol.partition("/")
    # copy_negate, since a minus sign would round to the ambient context
    base_in, quote_in = trade.quantity, trade.quote_quantity.copy_negate()
    if trade.side is Side.SELL:
        base_in, quote_in = base_in.copy_negate(), quote_in.copy_negate()
    legs = [
        (ASSETS, base, base_in),
        (VENUE, base, base_in.copy_negate()),
        (ASSETS, quote, quote_in),
        (VENUE, quote, quote_in.copy_negate()),
    ]
    if trade.fee:
        legs += [(ASSETS, trade.fee_currency, trade.fee.copy_negate()), (FEES, trade.fee_currency, trade.fee)]
    posting_id = f"trade/{fill.account}/{trade.symbol}/{trade.venue_trade_id}"
    return postings(posting_id, legs, PostingKind.TRADE, fill.booked_ms)


def transfer(posting_id: str, currency: str, amount: Decimal, kind: PostingKind, at_ms: int) -> Sequence[Posting]:
    """Post coin that came (amount > 0) or went without a trade of ours, against an account of its kind."""
    return postings(posting_id, [(ASSETS, currency, amount), (str(kind), currency, amount.copy_negate())], kind, at_ms)


def postings(
    posting_id: str, legs: Iterable[tuple[str, str, Decimal]], kind: PostingKind, at_ms: int
) -> Sequence[Posting]:
    """Number the legs of one transaction and assert that it balances in each currency."""
    made = [Posting(posting_id, n, *leg, kind, at_ms) for n, leg in enumerate(legs)]
    assert not imbalance(made), (posting_id, imbalance(made))
    return made


def imbalance(legs: Iterable[Posting]) -> dict[str, Decimal]:
    """Sum per currency where it is not zero: empty means balanced."""
    sums: dict[str, Decimal] = {}
    for leg in legs:
        sums[leg.currency] = plus(sums.get(leg.currency, ZERO), leg.amount)
    return {currency: total for currency, total in sums.items() if total}


def entry_event(legs: Sequence[Posting]) -> LedgerEntry:
    """The event of one transaction."""
    first = legs[0]
    return LedgerEntry(first.posting_id, str(first.kind), tuple(Leg(p.account, p.currency, p.amount) for p in legs))
