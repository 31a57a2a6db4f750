"""What a difference between venue and ledger is, once the venue's trades have explained what they can (R46).

The rule is pure: facts in, a word for each coin out. It never takes silence for evidence: where the trades were not
answered, or coins came and went together without a trade that says why, the answer is ``unknown``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore.model.fill import VenueTrade
from tradecore.model.instrument import Instrument
from tradecore.model.units import BPS, ZERO, Side, canonical, ratio, times


class DriftKind(enum.StrEnum):
    """What a difference is. Fills that were missed and trades of others are booked before this is asked."""

    FEE = "fee"
    DUST = "dust"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    MISSING_CURRENCY = "missing_currency"
    UNKNOWN = "unknown"


class Gaps(NamedTuple):
    """Differences that count, and what is known around them."""

    gaps: Mapping[str, Decimal]
    """Coin to venue less ledger."""
    named: frozenset[str]
    """Coins that the venue's answer names."""
    unnamed_fees: Mapping[str, Decimal]
    """Coin to the most that fills of ours can have cost beyond the fees that their trades name."""
    dust: Mapping[str, Decimal]
    """Coin to units that closed positions left behind."""
    held: frozenset[str]
    """Base coins of open positions."""


def classify(facts: Gaps, *, trades_answered: bool) -> Mapping[str, tuple[DriftKind, str]]:
    """Name each difference.

    Args:
        trades_answered: True where the trades that could explain the differences were read to their end.
    Returns:
        Coin to its word and, in a sentence, why.
    """
    found: dict[str, tuple[DriftKind, str]] = {}
    came: list[str] = []
    went: list[str] = []
    for coin, gap in facts.gaps.items():
        if coin not in facts.named:
            text = f"the venue's answer does not name {coin}: withdrawn whole, or the answer is short"
            found[coin] = (DriftKind.MISSING_CURRENCY, text)
        elif not trades_answered:
            found[coin] = (DriftKind.UNKNOWN, "the trades that could explain it were not answered")
        elif gap < 0 and gap.copy_abs() <= facts.unnamed_fees.get(coin, ZERO):
            most = canonical(facts.unnamed_fees[coin])
            found[coin] = (DriftKind.FEE, f"fills whose trades name no fee may have cost up to {most} {coin}")
        elif gap < 0 and coin not in facts.held and gap.copy_abs() <= facts.dust.get(coin, ZERO):
            found[coin] = (DriftKind.DUST, f"no more than the {canonical(facts.dust[coin])} {coin} of dust lots")
        else:
            (came if gap > 0 else went).append(coin)
    dust = any(kind is DriftKind.DUST for kind, _ in found.values())
    if dust and len(came) == 1 and not went:
        found[came[0]] = (DriftKind.DUST, "came while dust lots went: the venue converted them")
        came = []
    if came and went:
        text = f"{', '.join(came)} came and {', '.join(went)} went, and no trade says why"
        found |= dict.fromkeys([*came, *went], (DriftKind.UNKNOWN, text))
    else:
        found |= dict.fromkeys(came, (DriftKind.DEPOSIT, "came without a trade"))
        found |= dict.fromkeys(went, (DriftKind.WITHDRAWAL, "went without a trade"))
    return found


def unnamed_fee(
    instrument: Instrument, trade: VenueTrade, rate: Callable[[str, str], Decimal | None]
) -> tuple[str, Decimal]:
    """Work out what a trade that names no fee can have cost.

    Args:
        rate: (coin, quote) to quote units per coin; ``None`` where nobody knows.
    Returns:
        Coin and units, 0 where the instrument takes no fee.
    Source: reference orders.md 2.7.
    """
    bps = max(instrument.maker_fee_bps, instrument.taker_fee_bps, ZERO)
    coin = instrument.fee_currency
    if coin == instrument.base and trade.side is Side.SELL:
        coin = instrument.quote
    in_quote = times(trade.quote_quantity, times(bps, BPS))
    if coin == instrument.quote:
        return coin, in_quote
    if coin == instrument.base:
        return coin, times(trade.quantity, times(bps, BPS))
    price = rate(coin, instrument.quote)
    return coin, ratio(in_quote, price) if price else ZERO
