"""Orders: placed, tested, canceled, read; own trades."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from typing import Any, Final

from tradecore.model.book import Level
from tradecore.model.instrument import Instrument
from tradecore.model.order import NewOrder
from tradecore.model.units import ONE, ZERO, Side, TimeInForce, floor_to_lot, minus, plus, ratio, times
from tradecore.venues.twin.manners import Answer
from tradecore.venues.twin.records import OrderStatus, Rejected, Rejection, TwinOrder
from tradecore.venues.twin.views import view_of
from tradecore.venues.twin.wire.asking import asked_of
from tradecore.venues.twin.wire.call import Call
from tradecore.venues.twin.wire.dialect import Asked
from tradecore.venues.twin.wire.public import plain
from tradecore.venues.twin.wire.words import asked_for

_DAY_MS: Final = 86_400_000
_ARCHIVED_MS: Final = 90 * _DAY_MS
_FAR_MS: Final = 1 << 60
_DIGITS: Final = re.compile(r"[0-9]{1,18}")


# Placing ----------------------------------------------------------------------------------------------------


def place(call: Call) -> Answer | None:
    """Take an order; ``None``: the network holds it, and nobody will hear an answer."""
    asked = asked_of(call)
    instrument = _instrument(call)
    order, market = _order_of(call, instrument, asked), asked.price is None
    engine = call.desk.engine
    refused = _fault_refusal(call) or _refusal(call, instrument, order, market=market)
    if refused is not None:
        engine.reject(order, refused, call.now_ms)
        return call.desk.manners.rejected(refused)
    if "late_request" in call.hits:
        engine.hold(order, call.now_ms, int(call.hits["late_request"]), call.sent_ms, call.window_ms)
        return None
    reach = ONE
    if "no_liquidity" in call.hits:
        reach = ZERO
    elif "partial_fill" in call.hits:
        reach = min(ONE, Decimal(repr(call.hits["partial_fill"])))
    if "ioc_becomes_gtc" in call.hits and order.time_in_force is TimeInForce.IOC and not market:
        order = order._replace(time_in_force=TimeInForce.GTC)
    placed = engine.place(
        order, call.now_ms, reach=reach, pieces=max(1, int(call.hits.get("split_fills", 1))), market=market,
        self_trade=asked.self_trade,
    )  # fmt: skip
    if isinstance(placed, Rejected):
        return call.desk.manners.rejected(placed)
    call.desk.orders_taken.append(call.now_ms)
    return plain(call.dialect.placed(view_of(placed), asked.answer))


def test(call: Call) -> Answer:
    """Check an order as if it were placed, and do nothing."""
    asked = asked_of(call)
    instrument = _instrument(call)
    order, market = _order_of(call, instrument, asked), asked.price is None
    refused = _fault_refusal(call) or _refusal(call, instrument, order, market=market)
    return plain({}) if refused is None else call.desk.manners.rejected(refused)


def _instrument(call: Call) -> Instrument:
    found = call.desk.instrument(call.params.need("symbol"))
    if found is None:
        # What cannot be traded at all is named so in the venue's own words for orders.
        word = call.desk.manners.word(Rejection.UNKNOWN_SYMBOL)
        raise asked_for(call.wire, abs(int(word.code))) if call.wire == "mexc" else call.no("symbol")
    return found


def _order_of(call: Call, instrument: Instrument, asked: Asked) -> NewOrder:
    """The order as the engine takes it; a market order becomes an IOC at the worst price that it needs."""
    price, quantity = asked.price, asked.quantity
    if price is None:
        price, quantity = _market_terms(call, instrument, asked)
    assert quantity is not None, "only a market order may name no quantity"
    return NewOrder(
        asked.wire_id, instrument.symbol, asked.side, asked.time_in_force, price, quantity, asked.post_only
    )  # fmt: skip


def _market_terms(call: Call, instrument: Instrument, asked: Asked) -> tuple[Decimal, Decimal]:
    """Worst price and quantity of a market order against the book as it stands."""
    book = call.desk.market.book(instrument.symbol, call.now_ms)
    levels: tuple[Level, ...] = () if book is None else book.asks if asked.side is Side.BUY else book.bids
    worst = levels[0].price if levels else call.desk.last_price(instrument.symbol) or instrument.tick_size
    if asked.quantity is not None:
        left = asked.quantity
        for level in levels:
            worst = level.price
            left = minus(left, min(left, level.quantity))
            if not left:
                break
        return worst, asked.quantity
    budget, bought = asked.quote or ZERO, ZERO
    for level in levels:
        part = min(level.quantity, floor_to_lot(ratio(budget, level.price), instrument.lot_size))
        if part <= 0:
            break
        worst, bought, budget = level.price, plus(bought, part), minus(budget, times(part, level.price))
    return worst, bought


def _fault_refusal(call: Call) -> Rejected | None:
    if "insufficient_30005" in call.hits:
        return Rejected(Rejection.INSUFFICIENT_BASE, "asked for by a fault")
    if "symbol_halted" in call.hits:
        return Rejected(Rejection.HALTED, "asked for by a fault")
    return None


def _refusal(call: Call, instrument: Instrument, order: NewOrder, *, market: bool) -> Rejected | None:
    desk = call.desk
    standing = sum(1 for item in desk.engine.open_orders.values() if item.symbol == order.symbol)
    return desk.listings[order.symbol].refuse(
        instrument, order.side, order.price, order.quantity, market=market,
        reference=desk.last_price(order.symbol) or ZERO, standing=standing,
        orders_max=desk.engine.terms.max_open_orders,
    ) or desk.engine.refuse(order, call.now_ms)  # fmt: skip


# Canceling --------------------------------------------------------------------------------------------------


def cancel(call: Call) -> Answer:
    """Cancel one order, named by the venue's id or by ours."""
    symbol = call.instrument().symbol
    venue_id, wire_id = _named(call)
    engine, manners = call.desk.engine, call.desk.manners
    standing = engine.find_open(symbol, wire_id, venue_id)
    if standing is not None and wire_id and standing.wire_id != wire_id:
        standing = None
    if standing is None:
        return manners.rejected(Rejected(Rejection.UNKNOWN_ORDER), cancel=True)
    if "cancel_refused_filled" in call.hits:
        engine.fill_now(standing, call.now_ms)
    before = view_of(standing)
    if "cancel_partly_filled" in call.hits:
        engine.fill_now(standing, call.now_ms, min(ONE, Decimal(repr(call.hits["cancel_partly_filled"]))))
    ended = engine.cancel(symbol, standing.wire_id, standing.venue_order_id, call.now_ms)
    if isinstance(ended, Rejected):
        return manners.rejected(ended, cancel=True)
    shown = view_of(ended)
    if "cancel_partly_filled" in call.hits:
        shown = before._replace(status=OrderStatus.CANCELED, updated_ms=call.now_ms)
    return plain(call.dialect.canceled(shown, call.params.get("newClientOrderId") or _cancel_id(ended)))


def cancel_all(call: Call) -> Answer:
    """Cancel all open orders of a symbol, others' too; it is an error where there is none (Binance)."""
    symbol = call.instrument().symbol
    engine = call.desk.engine
    standing = [order for order in engine.open_orders.values() if order.symbol == symbol]
    if not standing and call.wire == "binance":
        return call.desk.manners.rejected(Rejected(Rejection.UNKNOWN_ORDER), cancel=True)
    bodies = []
    for order in standing:
        ended = engine.cancel(symbol, order.wire_id, order.venue_order_id, call.now_ms)
        if not isinstance(ended, Rejected):
            bodies.append(call.dialect.canceled(view_of(ended), _cancel_id(ended)))
    return plain(bodies)


def _cancel_id(order: TwinOrder) -> str:
    return hashlib.blake2b(f"cancel {order.number}".encode(), digest_size=11).hexdigest()


def _named(call: Call) -> tuple[str, str]:
    """The venue's id and ours, as far as they were sent; one must be there."""
    venue_id, wire_id = call.params.get("orderId"), call.params.get("origClientOrderId")
    if not venue_id and not wire_id:
        raise call.no("missing", "orderId")
    if venue_id and call.wire == "binance" and not _DIGITS.fullmatch(venue_id):
        raise call.no("illegal", "orderId", "^[0-9]{1,20}$")
    return venue_id, wire_id


# Reading ----------------------------------------------------------------------------------------------------


def order(call: Call) -> Answer:
    """Read one order from the copy in memory."""
    symbol = call.known_symbol()
    venue_id, wire_id = _named(call)
    desk = call.desk
    until_ms = call.now_ms - max(desk.lag.memory_ms, int(call.hits.get("read_lag", 0)))
    found = _find(call, symbol, venue_id, wire_id)
    if found is None or found.accepted_ms > until_ms or (wire_id and found.wire_id != wire_id):
        raise call.no("no_order")
    if call.now_ms - found.accepted_ms < call.hits.get("not_found_for", 0):
        raise call.no("no_order")
    if found.ended_ms is not None and not found.executed and call.now_ms - found.ended_ms > _ARCHIVED_MS:
        raise call.no("archived")
    return plain(call.dialect.order(view_of(found, until_ms, "stale_executed" in call.hits)))


def _find(call: Call, symbol: str, venue_id: str, wire_id: str) -> TwinOrder | None:
    engine = call.desk.engine
    standing = engine.find_open(symbol, wire_id, venue_id)
    if standing is not None:
        return standing
    state = engine.state
    return state.by_venue_id(symbol, venue_id) if venue_id else state.by_wire_id(symbol, wire_id)


def open_orders(call: Call) -> Answer:
    """Read open orders of one symbol or of all, foreign ones too, from the copy in memory."""
    symbol = call.known_symbol() if call.params.get("symbol") else None
    lag_ms = max(call.desk.lag.memory_ms, int(call.hits.get("read_lag", 0)), int(call.hits.get("not_found_for", 0)))
    views = call.desk.reads.open_orders(symbol, call.now_ms - lag_ms, call.now_ms)
    standing = [view for view in views if view.status is OrderStatus.OPEN]
    return plain([call.dialect.order(view) for view in standing])


def all_orders(call: Call) -> Answer:
    """Read orders of one symbol, whatever their state, from the database."""
    symbol = call.known_symbol()
    most, usual = call.dialect.orders_limit
    limit = call.params.limit(usual, most)
    since_ms, end_ms = _span(call)
    desk = call.desk
    lag_ms = max(desk.lag.database_ms, int(call.hits.get("read_lag", 0)), int(call.hits.get("not_found_for", 0)))
    until_ms = call.now_ms - lag_ms
    number = _number_of(call)
    if number is None and since_ms and call.wire == "binance":
        number = 0  # from a start on the venue gives the oldest
    found = desk.engine.state.orders_page(
        symbol, since_ms=since_ms, until_ms=min(end_ms, until_ms), limit=limit, number=number
    )  # fmt: skip
    return plain([call.dialect.order(view_of(item, until_ms)) for item in found])


def _number_of(call: Call) -> int | None:
    """Number of the first order that is asked for; ``None`` where none is."""
    text = call.params.get("orderId")
    if not text:
        return None
    digits = text.rpartition("_")[2]
    if not _DIGITS.fullmatch(digits):
        raise call.no("illegal", "orderId", "^[0-9]{1,20}$")
    return int(digits)


def _span(call: Call) -> tuple[int, int]:
    """Start and end that are asked for; Binance takes at most a day between them."""
    since_ms, end_ms = call.params.whole("startTime", 0), call.params.whole("endTime", _FAR_MS)
    if call.wire == "binance" and since_ms and end_ms != _FAR_MS and end_ms - since_ms > _DAY_MS:
        raise call.no("day")
    return since_ms, end_ms


def trades(call: Call) -> Answer:
    """Read own trades of one symbol from the database.

    Binance: from a trade id or a start on the oldest, else the newest, oldest first. MEXC: always the newest of the
    span, newest first.
    """
    symbol = call.known_symbol()
    most, usual = call.dialect.trades_limit
    limit = call.params.limit(usual, most)
    since_ms, end_ms = _span(call)
    desk = call.desk
    lag_ms = max(
        desk.lag.database_ms, int(call.hits.get("read_lag", 0)), int(call.hits.get("late_fills", 0))
    )  # fmt: skip
    oldest = call.wire == "binance" and bool(call.params.get("fromId") or since_ms)
    found = desk.engine.state.trades_page(
        symbol, since_ms=since_ms, until_ms=min(end_ms, call.now_ms - lag_ms), limit=limit, newest=not oldest,
        number=call.params.whole("fromId", 0) if call.wire == "binance" else 0, order_number=_number_of(call),
    )  # fmt: skip
    if call.dialect.newest_first:
        found.reverse()
    bodies: list[Any] = [call.dialect.trade(item) for item in found]
    if "duplicate_fills" in call.hits:
        bodies = [body for body in bodies for _ in range(2)]
    return plain(bodies)
