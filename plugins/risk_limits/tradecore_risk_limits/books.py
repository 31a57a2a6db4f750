"""The books as they would be after an entry: derived from positions and live entries, never counted along.

A live entry that already filled in part stands in the books twice: as a position and as an intent. Here the position
counts what was bought, the intent only what it may still buy, so that the question asked again before each attempt of
an entry gets the same answer as the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore import Intent, Portfolio, Position, Side
from tradecore.model.units import ZERO, exact_sum, minus, times


class Books(NamedTuple):
    """What the limits are compared with. Money in account currency."""

    exposure: Decimal
    """Positions at their marks, and what all entries may still buy at their price caps."""
    symbol_exposure: Decimal
    """The same of the entry's symbol alone."""
    positions: int
    symbol_positions: int
    trades: int
    """Entries with a fill today, and those that may get their first."""
    entry: Decimal
    """What the entry asked about may still spend."""


def after_entry(intent: Intent, portfolio: Portfolio) -> Books:
    """Add an entry and all live entries to the positions.

    Args:
        intent: The entry asked about; not in ``portfolio.pending``.
        portfolio: The account.
    """
    by_id = {position.position_id: position for position in portfolio.positions}
    symbols = [position.symbol for position in portfolio.positions]
    money = [(position.symbol, _worth(position, portfolio)) for position in portfolio.positions]
    trades = portfolio.trades_today
    for entry in (intent, *portfolio.pending):
        if entry.reduces or entry.side is not Side.BUY:
            continue
        position = None if entry.position_id is None else by_id.get(entry.position_id)
        # An add's signal names its position: there its own fills cannot be told from the rest, so all of it counts.
        own = position if entry.signal.position_id is None else None
        money.append((entry.symbol, _still_to_spend(entry, own, portfolio.quote_rates)))
        if position is None:
            symbols.append(entry.symbol)
        if own is None:
            trades += 1
    return Books(
        exposure=exact_sum([amount for _, amount in money]),
        symbol_exposure=exact_sum([amount for symbol, amount in money if symbol == intent.symbol]),
        positions=len(symbols),
        symbol_positions=symbols.count(intent.symbol),
        trades=trades,
        entry=money[len(portfolio.positions)][1],
    )


def _worth(position: Position, portfolio: Portfolio) -> Decimal:
    """Value a position at its mark, or where there is none at what was paid; account currency."""
    worth = times(position.quantity, portfolio.marks.get(position.symbol, position.average_price))
    return _converted(worth, position.symbol, portfolio.quote_rates)


def _still_to_spend(entry: Intent, own: Position | None, quote_rates: Mapping[str, Decimal]) -> Decimal:
    """Value what an entry may still buy at the most it may pay; account currency.

    Args:
        own: The position that the entry has opened; ``None`` before its first fill, and for an add.
    """
    quantity = entry.quantity if own is None else max(ZERO, minus(entry.quantity, own.bought_quantity))
    return _converted(times(quantity, entry.price_cap), entry.symbol, quote_rates)


def _converted(quote: Decimal, symbol: str, quote_rates: Mapping[str, Decimal]) -> Decimal:
    rate = quote_rates.get(symbol)
    return quote if rate is None else times(quote, rate)
