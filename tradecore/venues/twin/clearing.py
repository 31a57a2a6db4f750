"""Clearing: what fills and ends of orders do to balances and locks, written down as they happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from tradecore.model.instrument import Instrument
from tradecore.model.order import NewOrder
from tradecore.model.units import ZERO, Side, minus, plus, price_of, times
from tradecore.venues.twin.account import Account
from tradecore.venues.twin.fees import fee_of, highest_rate
from tradecore.venues.twin.records import EngineEvent, Moves, OrderStatus, Rejected, Terms, TwinOrder, TwinTrade
from tradecore.venues.twin.stage import Stage
from tradecore.venues.twin.state import TwinState
from tradecore.venues.twin.views import view_of


class Clearing:
    """Balances, locks and the truth log of one account.

    Args:
        market: For the price of a third fee coin.
        state: Where everything is written.
        terms: What the twin asks of its customer.
        trade_id: Form of a trade id, from its number.
    """

    def __init__(
        self, market: Stage, state: TwinState, terms: Terms, trade_id: Callable[[int], str]
    ) -> None:  # fmt: skip
        self._market: Final = market
        self._state: Final = state
        self._terms: Final = terms
        self._trade_id: Final = trade_id
        self._account: Final = Account(state.balances())
        self.open_orders: Final = {order.number: order for order in state.open_orders()}
        self.on_event: Callable[[EngineEvent], None] | None = None
        """Told of each event as it happens, before it is durable; ``None``: nobody listens."""

    @property
    def balances(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        """Free and locked by coin."""
        return self._account.coins

    def free(self, coin: str) -> Decimal:
        """Units that can be spent or locked."""
        return self._account.free(coin)

    def open(self, order: TwinOrder, at_ms: int) -> None:
        """Take an order in: lock what it may cost."""
        self.open_orders[order.number] = order
        self.relock(order)
        facts = {
            "venue_order_id": order.venue_order_id, "wire_id": order.wire_id, "symbol": order.symbol,
            "side": str(order.side), "time_in_force": str(order.time_in_force), "price": order.price,
            "quantity": order.quantity, "foreign": order.foreign,
        }  # fmt: skip
        self._tell("ACCEPTED", at_ms, self.note("ACCEPTED", facts, at_ms), order)

    def fill(self, order: TwinOrder, price: Decimal, quantity: Decimal, at_ms: int, *, maker: bool) -> None:
        """Book one trade: pay, receive, take the fee, lock what the rest may cost; a full order ends."""
        instrument = self._market.instruments[order.symbol]
        quote = times(price, quantity)
        fee = fee_of(
            instrument, order.side, quantity, quote, maker=maker, coin_free=self._account.free,
            coin_price=lambda coin: self._coin_price(coin, instrument.quote, at_ms),
        )  # fmt: skip
        self._state.trades_made += 1
        number = self._state.trades_made
        trade = TwinTrade(
            number, self._trade_id(number), order.number, order.venue_order_id, order.wire_id, order.symbol,
            order.side, price, quantity, quote, fee.amount, fee.coin, maker, at_ms,
        )  # fmt: skip
        order.executed = plus(order.executed, quantity)
        assert order.executed <= order.quantity, "an order filled beyond its quantity"
        order.executed_quote = plus(order.executed_quote, quote)
        order.updated_ms = at_ms
        order.trades.append(trade)
        spent, got, paid = (
            (quote, quantity, instrument.quote) if order.side is Side.BUY else (quantity, quote, instrument.base)
        )
        self._account.spend_locked(paid, spent)
        order.locked = minus(order.locked, spent)
        self.relock(order)
        self._account.add(instrument.base if order.side is Side.BUY else instrument.quote, got)
        self._account.add(fee.coin, fee.amount.copy_negate())
        self._state.put_trade(trade)
        moves = self.note("FILL", trade._asdict(), at_ms)
        if order.executed == order.quantity:
            order.status, order.ended_ms = OrderStatus.FILLED, at_ms
            del self.open_orders[order.number]
        self._state.put_order(order)
        self._tell("FILL", at_ms, moves, order, trade)

    def _coin_price(self, coin: str, quote: str, at_ms: int) -> Decimal:
        step = self._market.step(f"{coin}/{quote}", at_ms)
        return price_of(step.price) if step else self._terms.fee_coin_price

    def relock(self, order: TwinOrder) -> None:
        """Lock exactly what the rest of an order may still cost."""
        coin, needed = cost_of(self._market.instruments[order.symbol], order.side, order.remaining, order.price)
        if needed != order.locked:
            self._account.lock(coin, minus(needed, order.locked))
            order.locked = needed

    def end(self, order: TwinOrder, status: OrderStatus, at_ms: int) -> None:
        """Let an order end before it is full; what it locked is free again."""
        instrument = self._market.instruments[order.symbol]
        self._account.lock(instrument.quote if order.side is Side.BUY else instrument.base, order.locked.copy_negate())
        order.locked = ZERO
        order.status, order.ended_ms, order.updated_ms = status, at_ms, at_ms
        del self.open_orders[order.number]
        facts = {"venue_order_id": order.venue_order_id, "wire_id": order.wire_id, "executed": order.executed}
        self._tell(str(status), at_ms, self.note(str(status), facts, at_ms), order)

    def move(self, coin: str, amount: Decimal, now_ms: int, kind: str = "MOVED") -> None:
        """Put coins into the account, or take them out where `amount` is negative.

        Raises:
            ValueError: If less is free than is to be taken out.
        """
        if plus(self._account.free(coin), amount) < 0:
            raise ValueError(f"expected at least {amount.copy_abs()} {coin} free, was {self._account.free(coin)}")
        self._account.add(coin, amount)
        self._tell(kind, now_ms, self.note(kind, {"coin": coin, "amount": amount}, now_ms))

    def reject(self, order: NewOrder, rejected: Rejected, now_ms: int) -> None:
        """Write down that an order was refused."""
        facts = {
            "wire_id": order.wire_id, "symbol": order.symbol, "why": str(rejected.rejection), "detail": rejected.detail,
        }  # fmt: skip
        self.note("REJECTED", facts, now_ms)

    def note(self, kind: str, facts: Mapping[str, object], at_ms: int) -> Moves:
        """Append an event to the truth log, with the balances that it changed. Returns by how much."""
        moves = self._account.take_moves()
        for coin in moves:
            self._state.put_balance(coin, self._account.free(coin), self._account.locked(coin))
        self._state.put_truth(at_ms, kind, facts, moves)
        return moves

    def _tell(
        self, kind: str, at_ms: int, moves: Moves, order: TwinOrder | None = None, trade: TwinTrade | None = None
    ) -> None:  # fmt: skip
        if self.on_event is None:
            return
        after = {coin: (self._account.free(coin), self._account.locked(coin)) for coin in moves}
        # A copy: the order itself goes on changing.
        view = None if order is None else view_of(replace(order, trades=list(order.trades)))
        self.on_event(EngineEvent(kind, at_ms, view, trade, moves, after))


def cost_of(instrument: Instrument, side: Side, quantity: Decimal, price: Decimal) -> tuple[str, Decimal]:
    """Coin and units that an order can cost at worst, its fee in quote included."""
    if side is Side.SELL:
        return instrument.base, quantity
    quote = times(quantity, price)
    if instrument.fee_currency == instrument.quote:
        quote = plus(quote, times(quote, highest_rate(instrument)))
    return instrument.quote, quote
