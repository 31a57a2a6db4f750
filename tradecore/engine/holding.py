"""What fills and ends do to positions: opened, changed, closed, each with its event in the same transaction (R29)."""

from __future__ import annotations

from tradecore.engine.desk import Desk, Transaction, ids_of
from tradecore.engine.portfolio import close_position, open_position, with_fill
from tradecore.engine.taking import merged_by, put_taken, take_dust
from tradecore.model.events import PositionClosed, PositionOpened, PositionUpdated
from tradecore.model.fill import VenueTrade
from tradecore.model.intent import Intent
from tradecore.model.position import Position, PositionState, all_fees_quote, realised_pnl_quote
from tradecore.model.reasons import Reason
from tradecore.model.units import ONE, ZERO, Side, floor_to_lot, minus, plus, times


def move_position(desk: Desk, work: Transaction, intent: Intent, trade: VenueTrade, first: bool) -> Position | None:
    """Open or change the position that a trade belongs to.

    Args:
        first: True for the intent's first fill.
    Returns:
        The position after the trade; ``None`` where it belongs to none.
    """
    if intent.position_id is None:
        return None
    old = work.position(intent.position_id)
    ids = ids_of(intent)
    if old is None:
        if trade.side is Side.SELL:
            return None
        new = open_position(intent, trade, desk.rate)
        work.put(new)
        work.tell(PositionOpened(new.position_id, new.symbol, new.plugin, new.quantity, new.average_price), ids)
        by = merged_by(desk, new.symbol)
        if by:
            new = take_dust(desk, work, new)
            if new.taken:
                put_taken(work, new, by)
                work.tell(position_updated(desk, new, "dust"), ids)
        return new
    if old.state is PositionState.CLOSED:  # a late fill: what was dust is position again
        old = old._replace(state=PositionState.OPEN, quantity=old.dust_quantity, dust_quantity=ZERO, closed_ms=None)
    new = with_fill(old, trade, desk.rate, first_of_intent=first and trade.side is Side.BUY)
    work.put(new)
    work.tell(position_updated(desk, new, "fill"), ids)
    return new


def position_updated(desk: Desk, position: Position, what: str) -> PositionUpdated:
    """Describe a position at its newest mark."""
    mark = desk.mark(position.symbol)
    pnl = times(position.quantity, minus(mark, position.average_price)) if mark is not None else None
    return PositionUpdated(
        position.position_id, position.symbol, what, position.quantity, position.average_price, mark, pnl,
        position.peak_price, position.levels.stop, position.levels.take,
        desk.clock.now_ms() - position.opened_ms,
    )  # fmt: skip


def close_if_unsellable(desk: Desk, work: Transaction, position: Position, reason: Reason) -> Position:
    """End a position of which nothing can be sold any more; the rest is dust, booked as such (R28)."""
    instrument = desk.instruments.get(position.symbol)
    if instrument is not None and position.quantity > 0:
        lots = floor_to_lot(position.quantity, instrument.lot_size)
        price = desk.mark(position.symbol) or position.average_price
        if lots >= instrument.min_quantity and lots > 0 and times(lots, price) >= instrument.min_notional_quote:
            return position
    closed = close_position(position, desk.clock.now_ms(), reason)
    work.put(closed)
    pnl = realised_pnl_quote(closed)
    fees = all_fees_quote(closed)
    work.tell(
        PositionClosed(
            closed.position_id, closed.symbol, closed.plugin, str(reason), pnl, fees,
            (closed.closed_ms or 0) - closed.opened_ms, closed.dust_quantity,
        )
    )  # fmt: skip
    tally = desk.tally
    trips = 1 if closed.entries else 0  # dust that was sold by itself is no round trip
    before = desk.books.closed_before(closed.position_id)
    if before is not None:  # a late fill had brought it back: it has ended once
        tally.positions_closed -= trips
        pnl = minus(pnl, before.realised_pnl_quote)
    rate = instrument.quote_rate if instrument is not None else ONE
    tally.positions_closed += trips
    tally.realised_pnl = plus(tally.realised_pnl, times(pnl, rate))
    return closed
