"""Positions from fills, and the frozen picture of the account that deciding hooks see."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from tradecore.model.fill import VenueTrade
from tradecore.model.intent import Intent
from tradecore.model.position import Position, PositionState
from tradecore.model.reasons import Reason
from tradecore.model.units import ZERO, Side, exact_sum, minus, plus, ratio, times

Rate = Callable[[str, str], "Decimal | None"]
"""(coin, quote) to quote units per coin; ``None`` where nobody knows."""


class FeeSplit(NamedTuple):
    """One trade's fee by where it is taken."""

    base: Decimal
    quote: Decimal
    other: Decimal
    """Units of the third coin."""
    other_quote: Decimal
    """The third coin's fee in quote units, to 40 digits; 0 where its price is not known."""


def fee_split(trade: VenueTrade, rate: Rate) -> FeeSplit:
    """Tell in which coin a fee was taken (R45: base, quote or a third coin)."""
    base, _, quote = trade.symbol.partition("/")
    if trade.fee_currency == base:
        return FeeSplit(trade.fee, ZERO, ZERO, ZERO)
    if trade.fee_currency == quote or not trade.fee:
        return FeeSplit(ZERO, trade.fee, ZERO, ZERO)
    price = rate(trade.fee_currency, quote)
    return FeeSplit(ZERO, ZERO, trade.fee, times(trade.fee, price) if price is not None else ZERO)


def open_position(intent: Intent, trade: VenueTrade, rate: Rate) -> Position:
    """Make the position that an entry's first fill opens."""
    assert intent.position_id is not None
    assert trade.side is Side.BUY
    empty = Position(
        position_id=intent.position_id, symbol=intent.symbol, plugin=intent.signal.plugin, group=intent.signal.group,
        quantity=ZERO, average_price=trade.price, opened_ms=trade.traded_ms, entries=0,
        peak_price=trade.price, trough_price=trade.price, stop_price=intent.stop_price,
    )  # fmt: skip
    return with_fill(empty, trade, rate, first_of_intent=True)


def with_fill(position: Position, trade: VenueTrade, rate: Rate, *, first_of_intent: bool) -> Position:
    """Apply one trade: the quantity is the sum of fills less fees taken in base (orders.md 2.7).

    Args:
        first_of_intent: True for the first fill of an entry or an add: it counts as an entry.
    """
    fee = fee_split(trade, rate)
    fees_quote = exact_sum((position.fees_quote, fee.quote, fee.other_quote))
    base_fees = plus(position.base_fees, fee.base)
    if trade.side is Side.BUY:
        bought = plus(position.bought_quantity, trade.quantity)
        bought_quote = plus(position.bought_quote, trade.quote_quantity)
        return position._replace(
            quantity=minus(plus(position.quantity, trade.quantity), fee.base),
            bought_quantity=bought, bought_quote=bought_quote, average_price=ratio(bought_quote, bought),
            entries=position.entries + (1 if first_of_intent else 0), fees_quote=fees_quote, base_fees=base_fees,
        )  # fmt: skip
    return position._replace(
        quantity=max(ZERO, minus(minus(position.quantity, trade.quantity), fee.base)),
        sold_quantity=plus(position.sold_quantity, trade.quantity),
        sold_quote=plus(position.sold_quote, trade.quote_quantity),
        fees_quote=fees_quote, base_fees=base_fees,
    )  # fmt: skip


def close_position(position: Position, at_ms: int, reason: Reason) -> Position:
    """End a round trip; what is left of it becomes a dust lot."""
    return position._replace(
        state=PositionState.CLOSED, closed_ms=at_ms, close_reason=reason, dust_quantity=position.quantity, quantity=ZERO
    )
