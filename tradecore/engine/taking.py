"""Taking dust along: out of the positions that left it, into one that is open, within one transaction (R50)."""

from __future__ import annotations

import orjson

from tradecore.engine.desk import Desk, Transaction
from tradecore.model.events import DustTaken
from tradecore.model.position import Position, PositionState
from tradecore.model.units import ZERO, exact_sum, minus, plus, times

MERGE = "merge/"
"""Key of the fact that a guest's job wants dust of these symbols taken along by their next position."""


def merged_by(desk: Desk, symbol: str) -> str:
    """The guest that wants dust of a symbol taken along; empty: none that is still asked for its jobs does."""
    for plugin in desk.calls.active("jobs"):
        text = desk.recall(f"{MERGE}{plugin}")
        if text and symbol in orjson.loads(text):
            return plugin
    return ""


def take_dust(desk: Desk, work: Transaction, taker: Position) -> Position:
    """Take the dust of a position's symbol out of those that left it, oldest first, and hand it to the taker.

    No more is taken than the ledger has beyond what open positions hold: what the venue converted, or somebody sold by
    hand, is no longer there to be taken along. The taker is not put: that is up to who asked.

    Returns:
        The position with what it took; the same where there was nothing to take.
    """
    left = desk.books.dust.get(taker.symbol.partition("/")[0], ZERO)
    taken, cost = dict(taker.taken), taker.taken_quote
    quantity = taker.quantity
    for known in list(desk.books.dusty.values()):
        source = work.position(known.position_id) if known.symbol == taker.symbol and left > 0 else None
        if source is None or source.state is not PositionState.CLOSED:
            continue  # a late fill in this very transaction has opened it again: it is no dust now
        part = min(source.dust_quantity, left)
        if part <= 0:
            continue
        work.put(
            source._replace(dust_quantity=minus(source.dust_quantity, part), dust_gone=plus(source.dust_gone, part))
        )
        left, quantity = minus(left, part), plus(quantity, part)
        taken[source.position_id] = part
        cost = plus(cost, times(part, source.average_price))
    return taker._replace(quantity=quantity, taken=taken, taken_quote=cost)


def put_taken(work: Transaction, position: Position, by: str) -> None:
    """Put a position that has just taken dust along, and tell of it.

    Args:
        by: The guest that asked for it.
    """
    work.put(position)
    work.tell(
        DustTaken(
            position.position_id, position.symbol, by, exact_sum(position.taken.values()), position.taken_quote,
            dict(position.taken), position.quantity,
        )
    )  # fmt: skip
