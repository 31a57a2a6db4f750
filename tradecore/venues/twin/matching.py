"""The twin's engine: price-time matching of our orders against the market's book.

The engine is lazy: it needs no timer. Every call first leads the resting orders through all steps since the last
look, in the order of time, so fills carry the moment of their step and the answer does not depend on how often
somebody looked. Orders of one account never meet each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from tradecore.market.path import Step
from tradecore.model.instrument import refusal_of
from tradecore.model.order import NewOrder
from tradecore.model.reasons import Reason
from tradecore.model.units import ONE, ZERO, Side, TimeInForce, exact_sum, minus, plus, ratio
from tradecore.venues.twin.clearing import Clearing, cost_of
from tradecore.venues.twin.depth import Depth, share_of
from tradecore.venues.twin.records import (
    EngineEvent,
    Held,
    OrderStatus,
    Rejected,
    Rejection,
    SelfTrade,
    Terms,
    TwinOrder,
)
from tradecore.venues.twin.stage import Meeting, Stage
from tradecore.venues.twin.state import TwinState

_REJECTIONS: Final = {
    Reason.PRICE_INVALID: Rejection.BAD_PARAMETER,
    Reason.SYMBOL_HALTED: Rejection.HALTED,
    Reason.QUANTITY_BELOW_MIN: Rejection.BELOW_MIN,
    Reason.QUANTITY_ABOVE_MAX: Rejection.ABOVE_MAX,
    Reason.QUANTITY_OFF_LOT: Rejection.QUANTITY_OFF_LOT,
    Reason.PRICE_OFF_TICK: Rejection.PRICE_OFF_TICK,
    Reason.NOTIONAL_BELOW_MIN: Rejection.BELOW_NOTIONAL,
}


class Engine:
    """Orders, fills and balances of one account at the twin.

    Args:
        market: Prices and books.
        state: The file; an existing one is gone on with.
        terms: What the twin asks of its customer.
        order_id: Form of an order id, from its number.
        trade_id: Form of a trade id, from its number.
    """

    def __init__(
        self,
        market: Stage,
        state: TwinState,
        terms: Terms,
        order_id: Callable[[int], str],
        trade_id: Callable[[int], str],
    ) -> None:  # fmt: skip
        self.market: Final = market
        self.state: Final = state
        self.terms: Final = terms
        self._order_id: Final = order_id
        self._clearing: Final = Clearing(market, state, terms, trade_id)
        self._open: Final = self._clearing.open_orders
        self._held: Final = state.held()
        for symbol, step_ms, taken in state.taken():
            market.restore_taken(symbol, step_ms, taken)

    @property
    def open_orders(self) -> Mapping[int, TwinOrder]:
        """Orders that stand, by number."""
        return self._open

    @property
    def balances(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        """Free and locked by coin."""
        return self._clearing.balances

    def listen(self, told: Callable[[EngineEvent], None]) -> None:
        """Tell of each event as it happens, before it is durable. One listener; the last one asked for."""
        self._clearing.on_event = told

    # Time ---------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Lead resting orders and held requests up to a moment. Time that runs backwards changes nothing."""
        while self._held and self._held[0].due_ms <= now_ms:
            held = self._held.pop(0)
            self._walk(max(held.due_ms, self.state.looked_ms))
            self.state.drop_held(held)
            window_ms = self.terms.receive_window_ms if held.window_ms is None else held.window_ms
            if held.due_ms - held.sent_ms > window_ms:
                late = Rejected(Rejection.OUTSIDE_WINDOW, "arrived too late")
                self._clearing.reject(held.order, late, self.state.looked_ms)
            else:
                self.place(held.order, self.state.looked_ms)
        self._walk(now_ms)

    def hold(
        self, order: NewOrder, now_ms: int, delay_ms: int, sent_ms: int = -1, window_ms: int | None = None
    ) -> None:
        """Let a request arrive later, long after its sender gave up on it.

        Args:
            sent_ms: When it says that it was sent; negative: now.
            window_ms: Longest way that it may take; ``None``: the twin's usual.
        """
        held = Held(now_ms + delay_ms, sent_ms if sent_ms >= 0 else now_ms, order, window_ms)
        self._held.append(held)
        self._held.sort(key=lambda item: item.due_ms)
        self.state.put_held(held)

    def _walk(self, until_ms: int) -> None:
        if until_ms <= self.state.looked_ms:
            return
        since_ms, self.state.looked_ms = self.state.looked_ms, until_ms
        if not self._open:
            return
        first, last = max(0, self.market.row_at(since_ms + 1)), self.market.row_at(until_ms)
        for row in range(first, last + 1):
            symbols = {order.symbol for order in self._open.values()}
            if not symbols:
                return
            steps = [
                (step.at_ms, symbol, step)
                for symbol in symbols
                for step in self.market.steps(symbol, row)
                if since_ms < step.at_ms <= until_ms
            ]
            for _, symbol, step in sorted(steps):
                self._meet(symbol, step)

    def _meet(self, symbol: str, step: Step) -> None:
        """Let one step fill what stands in its way, best price first, then oldest first."""
        met = [
            (order, meeting)
            for order in self._open.values()
            if order.symbol == symbol
            and (meeting := self.market.meets(symbol, step, order.side, order.price)) is not Meeting.NONE
        ]
        if not met:
            return
        depth = self.market.depth(symbol, step.at_ms)
        flow = self.market.flow(symbol, step)
        met.sort(key=lambda one: _turn(one[0]))
        for order, meeting in met:
            flow = minus(flow, self._fill_resting(order, meeting, flow, depth, step.at_ms))

    def _fill_resting(
        self, order: TwinOrder, meeting: Meeting, flow: Decimal, depth: Depth | None, at_ms: int
    ) -> Decimal:  # fmt: skip
        """Fill one resting order at its limit. Returns how much of the flow it used, base units."""
        if meeting is Meeting.TOUCHED:
            # Touched: others stood in the queue before us; how many is a matter of seeded luck.
            luck = self.market.draw(f"queue {order.number}", order.symbol, at_ms)
            lot = self.market.instruments[order.symbol].lot_size
            used = min(order.remaining, share_of(flow, Decimal(repr(luck)), lot))
            if used > 0:
                self._clearing.fill(order, order.price, used, at_ms, maker=True)
            return used
        # Traded through: whoever now stands beyond our limit had to pass us first.
        came = ZERO
        for level in depth.within(order.side, order.price) if depth else ():
            part = min(minus(order.remaining, came), level.quantity)
            if part > 0:
                assert depth is not None
                depth.take(order.side, level.price, part)
                came = plus(came, part)
        if came and depth is not None:
            self._note_taken(order.symbol, depth)
        used = min(minus(order.remaining, came), flow)
        if came or used:
            self._clearing.fill(order, order.price, plus(came, used), at_ms, maker=True)
        return used

    # Orders -------------------------------------------------------------------------------------------------

    def place(
        self, order: NewOrder, now_ms: int, *, foreign: bool = False, reach: Decimal = ONE, pieces: int = 1,
        market: bool = False, self_trade: SelfTrade = SelfTrade.NONE,
    ) -> TwinOrder | Rejected:  # fmt: skip
        """Take an order: match it, let the rest stand or end, as its time in force says.

        Args:
            order: What is asked.
            now_ms: Moment of arrival; the engine must have been led there.
            foreign: Placed by somebody else on this account.
            reach: Share of each level that is really there, 0 to 1; less than 1 is a fault asked for.
            pieces: Trades that each level comes in, >= 1; more than 1 is a fault asked for.
            market: Asked for without a price; `order.price` is the worst that it may get.
            self_trade: What happens where it would meet an order of the same account.
        """
        rejected = self.refuse(order, now_ms)
        if rejected is not None:
            self._clearing.reject(order, rejected, now_ms)
            return rejected
        self.state.orders_made += 1
        number = self.state.orders_made
        placed = TwinOrder(
            number, self._order_id(number), order.wire_id, order.symbol, order.side, order.time_in_force, order.price,
            order.quantity, order.post_only, foreign, now_ms, now_ms, market=market,
        )  # fmt: skip
        self._clearing.open(placed, now_ms)
        if self_trade is not SelfTrade.NONE and not self._part_from_own(placed, now_ms, reach, self_trade):
            self._clearing.end(placed, OrderStatus.EXPIRED_IN_MATCH, now_ms)
        else:
            self._take(placed, now_ms, reach, pieces)
        if placed.status is OrderStatus.OPEN and placed.time_in_force is not TimeInForce.GTC:
            self._clearing.end(placed, OrderStatus.EXPIRED, now_ms)
        self.state.put_order(placed)
        return placed

    def refuse(self, order: NewOrder, now_ms: int) -> Rejected | None:
        """Why an order would not be taken; ``None``: it would. Nothing is done."""
        instrument = self.market.instruments.get(order.symbol)
        if instrument is None:
            return Rejected(Rejection.UNKNOWN_SYMBOL, order.symbol)
        refusal = refusal_of(instrument, order.side, order.quantity, order.price)
        if refusal is not None:
            detail = f"{refusal.reason}: {refusal.value}, {refusal.threshold}"
            return Rejected(_REJECTIONS[refusal.reason], detail)
        if not order.wire_id or (order.post_only and order.time_in_force is not TimeInForce.GTC):
            return Rejected(Rejection.BAD_PARAMETER, "client id missing, or post-only with IOC or FOK")
        mine = [standing for standing in self._open.values() if standing.symbol == order.symbol]
        if any(standing.wire_id == order.wire_id for standing in mine):
            # Unique among open orders only: a closed order's id is taken again (reference orders.md 0.2).
            return Rejected(Rejection.DUPLICATE, order.wire_id)
        if len(mine) >= self.terms.max_open_orders:
            return Rejected(Rejection.TOO_MANY_ORDERS, str(len(mine)))
        coin, amount = cost_of(instrument, order.side, order.quantity, order.price)
        if self._clearing.free(coin) < amount:
            short = Rejection.INSUFFICIENT_QUOTE if order.side is Side.BUY else Rejection.INSUFFICIENT_BASE
            return Rejected(short, f"needs {amount} {coin}, free {self._clearing.free(coin)}")
        depth = self.market.depth(order.symbol, now_ms)
        if order.post_only and depth is not None and depth.within(order.side, order.price):
            return Rejected(Rejection.WOULD_TAKE)
        return None

    def _part_from_own(self, order: TwinOrder, now_ms: int, reach: Decimal, mode: SelfTrade) -> bool:
        """Keep an order from meeting another one of the same account; False where it may not go on.

        What stands at better prices than ours is taken first: price goes before time. The order that comes is the
        taker; it ends with what it had got by then.
        """
        buy = order.side is Side.BUY
        own = [
            other for other in self._open.values()
            if other.symbol == order.symbol and other.side is not order.side
            and (other.price <= order.price if buy else other.price >= order.price)
        ]  # fmt: skip
        own.sort(key=lambda other: (other.price if buy else other.price.copy_negate(), other.number))
        for other in own:
            better = exact_sum(
                quantity for price, quantity in self._there(order, now_ms, reach)
                if (price < other.price if buy else price > other.price)
            )  # fmt: skip
            if better >= order.remaining:
                return True
            if mode is not SelfTrade.EXPIRE_TAKER:
                self._clearing.end(other, OrderStatus.EXPIRED_IN_MATCH, now_ms)
                self.state.put_order(other)
            if mode is not SelfTrade.EXPIRE_MAKER:
                if order.time_in_force is not TimeInForce.FOK:
                    self._take(order, now_ms, reach, 1, short_of=other.price)
                return order.status is not OrderStatus.OPEN
        return True

    def _there(self, order: TwinOrder, now_ms: int, reach: Decimal) -> list[tuple[Decimal, Decimal]]:
        """Price and quantity of what the order can take, best first."""
        depth = self.market.depth(order.symbol, now_ms)
        lot = self.market.instruments[order.symbol].lot_size
        return [
            (level.price, level.quantity if reach == ONE else share_of(level.quantity, reach, lot))
            for level in (depth.within(order.side, order.price) if depth is not None else ())
        ]

    def _take(
        self, order: TwinOrder, now_ms: int, reach: Decimal, pieces: int, short_of: Decimal | None = None
    ) -> None:  # fmt: skip
        there = self._there(order, now_ms, reach)
        if short_of is not None:
            there = [(p, q) for p, q in there if (p < short_of if order.side is Side.BUY else p > short_of)]
        if order.time_in_force is TimeInForce.FOK and exact_sum(q for _, q in there) < order.quantity:
            return
        depth = self.market.depth(order.symbol, now_ms)
        lot = self.market.instruments[order.symbol].lot_size
        for price, quantity in there:
            part = min(order.remaining, quantity)
            if part > 0 and depth is not None:
                depth.take(order.side, price, part)
                for piece in _pieces(part, pieces, lot):
                    self._clearing.fill(order, price, piece, now_ms, maker=False)
            if order.status is not OrderStatus.OPEN:
                break
        if order.executed and depth is not None:
            self._note_taken(order.symbol, depth)

    def _note_taken(self, symbol: str, depth: Depth) -> None:
        step_ms, taken = self.market.note_taken(symbol, depth)
        self.state.put_taken(symbol, step_ms, taken)

    def cancel(self, symbol: str, wire_id: str, venue_order_id: str, now_ms: int) -> TwinOrder | Rejected:
        """Cancel an open order, found by the venue's id, else by ours."""
        found = self.find_open(symbol, wire_id, venue_order_id)
        if found is None:
            return Rejected(Rejection.UNKNOWN_ORDER)
        self._clearing.end(found, OrderStatus.CANCELED, now_ms)
        self.state.put_order(found)
        return found

    def find_open(self, symbol: str, wire_id: str, venue_order_id: str = "") -> TwinOrder | None:
        """An order that stands; ``None`` where there is none."""
        for order in self._open.values():
            named = order.venue_order_id == venue_order_id if venue_order_id else order.wire_id == wire_id
            if named and order.symbol == symbol:
                return order
        return None

    def fill_now(self, order: TwinOrder, now_ms: int, share: Decimal = ONE) -> None:
        """Let somebody fill a resting order at its limit, all or a share of the rest: the race a cancel can lose."""
        lot = self.market.instruments[order.symbol].lot_size
        part = order.remaining if share == ONE else share_of(order.remaining, share, lot)
        if part > 0:
            self._clearing.fill(order, order.price, part, now_ms, maker=True)

    def move(self, coin: str, amount: Decimal, now_ms: int, kind: str = "MOVED") -> None:
        """Put coins into the account, or take them out where `amount` is negative.

        Raises:
            ValueError: If less is free than is to be taken out.
        """
        self._clearing.move(coin, amount, now_ms, kind)

    def reject(self, order: NewOrder, rejected: Rejected, now_ms: int) -> None:
        """Write down that an order was refused."""
        self._clearing.reject(order, rejected, now_ms)


def _turn(order: TwinOrder) -> tuple[bool, Decimal, int]:
    """Whose turn it is: buyers, then sellers, the best price first, then the oldest."""
    buy = order.side is Side.BUY
    return not buy, order.price.copy_negate() if buy else order.price, order.number


def _pieces(quantity: Decimal, count: int, lot: Decimal) -> list[Decimal]:
    """Cut a quantity into trades of whole lots, as many as asked for where there are so many lots."""
    if count <= 1:
        return [quantity]
    piece = max(lot, share_of(quantity, ratio(ONE, Decimal(count)), lot))
    cut: list[Decimal] = []
    left = quantity
    while left > piece and len(cut) < count - 1:
        cut.append(piece)
        left = minus(left, piece)
    return [*cut, left]
