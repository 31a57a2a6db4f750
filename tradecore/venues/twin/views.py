"""An order as it stood at some moment."""

from __future__ import annotations

from tradecore.model.units import exact_sum
from tradecore.venues.twin.records import OrderStatus, OrderView, TwinOrder


def view_of(order: TwinOrder, until_ms: int | None = None, without_last: bool = False) -> OrderView:
    """An order as it stood at a moment.

    Args:
        until_ms: The moment; ``None`` is now.
        without_last: Leave the newest fill out: a stale copy.
    """
    trades = tuple(order.trades if until_ms is None else [t for t in order.trades if t.traded_ms <= until_ms])
    if without_last and trades:
        trades = trades[:-1]
    ended = order.ended_ms is not None and (until_ms is None or order.ended_ms <= until_ms)
    stale = len(trades) < len(order.trades)
    status = order.status if ended and not (stale and without_last) else OrderStatus.OPEN
    if not stale:
        updated_ms = order.updated_ms if ended or not trades else trades[-1].traded_ms
        return OrderView(order, status, order.executed, order.executed_quote, updated_ms, trades)
    executed, quote = exact_sum(t.quantity for t in trades), exact_sum(t.quote for t in trades)
    return OrderView(order, status, executed, quote, trades[-1].traded_ms if trades else order.accepted_ms, trades)
