"""The books as they would be after an entry: derived from positions and live entries, never counted along.

A live entry that already filled in part stands in the books twice: as a position and as an intent. Here the position
counts what was bought, the intent only what it may still buy, so that the question asked again before each attempt of
an entry gets the same answer as the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore import Intent, Portfolio, Position, Side
from tradecore.model.units import ONE, ZERO, PositionId, exact_sum, minus, times


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
    pending: int
    """Live entries beside the one asked about."""


class _Entry(NamedTuple):
    symbol: str
    spend: Decimal
    opens: bool
    """It has no position yet."""
    filled: bool
    """Its own position stands in the books: it is counted among today's trades."""


def after_entry(intent: Intent, portfolio: Portfolio) -> Books:
    """Add an entry and all live entries to the positions.

    Args:
        intent: The entry asked about; not in ``portfolio.pending``.
        portfolio: The account.
    """
    by_id = {position.position_id: position for position in portfolio.positions}
    pending = [other for other in portfolio.pending if other.side is Side.BUY and not other.reduces]
    entries = [_entry(one, by_id, portfolio.quote_rates) for one in (intent, *pending)]
    held = list(_held(portfolio))
    money = [*held, *((entry.symbol, entry.spend) for entry in entries)]
    opening = [entry.symbol for entry in entries if entry.opens]
    standing = [symbol for symbol, _ in held] + opening
    return Books(
        exposure=exact_sum(amount for _, amount in money),
        symbol_exposure=exact_sum(amount for symbol, amount in money if symbol == intent.symbol),
        positions=len(standing),
        symbol_positions=standing.count(intent.symbol),
        trades=portfolio.trades_today + sum(not entry.filled for entry in entries),
        entry=entries[0].spend,
        pending=len(pending),
    )


def _held(portfolio: Portfolio) -> Iterator[tuple[str, Decimal]]:
    for position in portfolio.positions:
        mark = portfolio.marks.get(position.symbol, position.average_price)
        rate = portfolio.quote_rates.get(position.symbol, ONE)
        yield position.symbol, times(times(position.quantity, mark), rate)


def _entry(intent: Intent, by_id: Mapping[PositionId, Position], quote_rates: Mapping[str, Decimal]) -> _Entry:
    position = None if intent.position_id is None else by_id.get(intent.position_id)
    # An add's signal names its position: there its own fills cannot be told from the rest, so all of it counts.
    opener = intent.signal.position_id is None
    bought = position.bought_quantity if position is not None and opener else ZERO
    quantity = max(ZERO, minus(intent.quantity, bought))
    spend = times(times(quantity, intent.price_cap), quote_rates.get(intent.symbol, ONE))
    return _Entry(intent.symbol, spend, opens=position is None, filled=position is not None and opener)
