"""Double entry, exact, per currency: every transaction sums to zero in each coin (R45, INV-9).

The fee of a trade has legs of its own in whatever coin it was taken. A posting's id comes from the event that
caused it, so that posting the same fill twice is the same rows again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from tradecore.engine.books import ASSETS
from tradecore.model.events import FillConflict, LedgerEntry, Leg
from tradecore.model.fill import Fill, VenueTrade
from tradecore.model.records import Posting, PostingKind
from tradecore.model.units import ZERO, Side, minus, plus

EXTERNAL = "external"
VENUE = "venue"
FEES = "fees"
REVERSAL = "reversal/"
"""Begins the id of a transaction that takes another one back."""
_MONEY = ("side", "price", "quantity", "fee", "fee_currency", "quote_quantity")
_QUOTE_STEP = Decimal("1E-8")
"""Venues round what a trade moved to 8 decimals in their lists, and leave the product to us in an answer."""
_ACCOUNTS = {PostingKind.FEE: FEES}


def trade_postings(fill: Fill) -> Sequence[Posting]:
    """Post one trade: base and quote against the venue, the fee against the fee account.

    Source: reference orders.md 6.6.
    """
    posting_id = f"trade/{fill.account}/{fill.trade.symbol}/{fill.trade.venue_trade_id}"
    return postings(posting_id, _trade_legs(fill.trade, VENUE, FEES), PostingKind.TRADE, fill.booked_ms)


def external_postings(account: str, trade: VenueTrade) -> Sequence[Posting]:
    """Post a trade of the account that is not ours: it moved our coins, and its fee is none of our costs."""
    legs = _trade_legs(trade, EXTERNAL, EXTERNAL)
    return postings(external_id(account, trade), legs, PostingKind.EXTERNAL, trade.traded_ms)


def external_id(account: str, trade: VenueTrade) -> str:
    """The posting id of a trade that is not ours."""
    return f"external/{account}/{trade.symbol}/{trade.venue_trade_id}"


def reversed_postings(legs: Sequence[Posting], at_ms: int) -> Sequence[Posting]:
    """Take a transaction back by its opposite: postings are never changed."""
    back = [(leg.account, leg.currency, leg.amount.copy_negate()) for leg in legs]
    return postings(f"{REVERSAL}{legs[0].posting_id}", back, legs[0].kind, at_ms)


def conflict_of(booked: VenueTrade, told: VenueTrade) -> FillConflict | None:
    """Compare a booked trade with what the venue says of it now; ``None``: the same money.

    Source: reference orders.md 6.6: a replay with other numbers is an alarm.
    """
    for name in _MONEY:
        if name == "fee_currency" and not booked.fee:
            continue  # of nothing, some venues name a coin and some do not
        was, now = getattr(booked, name), getattr(told, name)
        if was != now and not (name == "quote_quantity" and minus(was, now).copy_abs() <= _QUOTE_STEP):
            return FillConflict(told.symbol, told.venue_trade_id, name, str(was), str(now))
    return None


def _trade_legs(trade: VenueTrade, against: str, fees: str) -> Sequence[tuple[str, str, Decimal]]:
    base, _, quote = trade.symbol.partition("/")
    # copy_negate, since a minus sign would round to the ambient context
    base_in, quote_in = trade.quantity, trade.quote_quantity.copy_negate()
    if trade.side is Side.SELL:
        base_in, quote_in = base_in.copy_negate(), quote_in.copy_negate()
    legs = [
        (ASSETS, base, base_in),
        (against, base, base_in.copy_negate()),
        (ASSETS, quote, quote_in),
        (against, quote, quote_in.copy_negate()),
    ]
    if trade.fee:
        legs += [(ASSETS, trade.fee_currency, trade.fee.copy_negate()), (fees, trade.fee_currency, trade.fee)]
    return legs


def transfer(posting_id: str, currency: str, amount: Decimal, kind: PostingKind, at_ms: int) -> Sequence[Posting]:
    """Post coin that came (amount > 0) or went without a trade of ours, against an account of its kind."""
    against = _ACCOUNTS.get(kind, str(kind))
    return postings(posting_id, [(ASSETS, currency, amount), (against, currency, amount.copy_negate())], kind, at_ms)


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
