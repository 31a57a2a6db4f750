"""How the twin answers: HTTP status, headers and JSON text as one venue would send them.

``plain`` uses Binance's field names with the twin's own error words; ``binance`` and ``mexc`` answer as reference
orders.md 2.5, 2.8 and 3.1 describe. What is said here goes through the same judge as a wire's answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from tradecore.errors import SettingsError
from tradecore.model.units import Side, TimeInForce, canonical
from tradecore.venues.rules import RULES, VenueRules
from tradecore.venues.twin.records import OrderStatus, OrderView, Rejected, Rejection, TwinTrade


class Answer(NamedTuple):
    """One answer as it would go over the wire."""

    status: int
    body: str


class ErrorWord(NamedTuple):
    """How a venue says no."""

    status: int
    code: int | str
    message: str


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


_R = Rejection
_BINANCE_WORDS: Final = {
    _R.UNKNOWN_SYMBOL: ErrorWord(400, -1121, "Invalid symbol."),
    _R.HALTED: ErrorWord(400, -2010, "Market is closed."),
    _R.BAD_PARAMETER: ErrorWord(400, -1102, "Mandatory parameter was not sent, was empty/null, or malformed."),
    _R.PRICE_OFF_TICK: ErrorWord(400, -1013, "Filter failure: PRICE_FILTER"),
    _R.QUANTITY_OFF_LOT: ErrorWord(400, -1013, "Filter failure: LOT_SIZE"),
    _R.BELOW_MIN: ErrorWord(400, -1013, "Filter failure: LOT_SIZE"),
    _R.ABOVE_MAX: ErrorWord(400, -1013, "Filter failure: LOT_SIZE"),
    _R.BELOW_NOTIONAL: ErrorWord(400, -1013, "Filter failure: NOTIONAL"),
    _R.TOO_MANY_ORDERS: ErrorWord(400, -1013, "Filter failure: MAX_NUM_ORDERS"),
    _R.INSUFFICIENT_BASE: ErrorWord(400, -2010, "Account has insufficient balance for requested action."),
    _R.INSUFFICIENT_QUOTE: ErrorWord(400, -2010, "Account has insufficient balance for requested action."),
    _R.DUPLICATE: ErrorWord(400, -2010, "Duplicate order sent."),
    _R.WOULD_TAKE: ErrorWord(400, -2010, "Order would immediately match and take."),
    _R.OUTSIDE_WINDOW: ErrorWord(400, -1021, "Timestamp for this request is outside of the recvWindow."),
    _R.UNKNOWN_ORDER: ErrorWord(400, -2013, "Order does not exist."),
    _R.PRICE_OUT_OF_RANGE: ErrorWord(400, -1013, "Filter failure: PRICE_FILTER"),
    _R.PRICE_TOO_FAR: ErrorWord(400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    _R.MARKET_QUANTITY: ErrorWord(400, -1013, "Filter failure: MARKET_LOT_SIZE"),
    _R.ABOVE_NOTIONAL: ErrorWord(400, -1013, "Filter failure: NOTIONAL"),
    _R.NOT_THROUGH_API: ErrorWord(400, -2010, "This symbol is not permitted for this account."),
    _R.SUSPENDED: ErrorWord(400, -2010, "Market is closed."),
}
_MEXC_WORDS: Final = {
    _R.UNKNOWN_SYMBOL: ErrorWord(400, 10007, "symbol not support api"),
    _R.HALTED: ErrorWord(400, 30016, "trading disabled"),
    _R.BAD_PARAMETER: ErrorWord(400, 700004, "Mandatory parameter was not sent, was empty/null, or malformed."),
    _R.PRICE_OFF_TICK: ErrorWord(400, 30010, "no valid trade price"),
    _R.QUANTITY_OFF_LOT: ErrorWord(400, 30002, "quantity scale is invalid"),
    _R.BELOW_MIN: ErrorWord(400, 30002, "The minimum transaction volume cannot be less than the limit"),
    _R.ABOVE_MAX: ErrorWord(400, 30003, "The maximum transaction volume cannot be greater than the limit"),
    _R.BELOW_NOTIONAL: ErrorWord(400, 30002, "The minimum transaction volume cannot be less than the limit"),
    _R.TOO_MANY_ORDERS: ErrorWord(400, 30029, "cannot exceed the maximum order limit"),
    _R.INSUFFICIENT_BASE: ErrorWord(400, 30005, "Oversold"),
    _R.INSUFFICIENT_QUOTE: ErrorWord(400, 30004, "Insufficient position"),
    _R.DUPLICATE: ErrorWord(400, -2010, "Duplicate order sent."),
    _R.WOULD_TAKE: ErrorWord(400, 30041, "current order type can not place order"),
    _R.OUTSIDE_WINDOW: ErrorWord(400, 700003, "Timestamp for this request is outside of the recvWindow."),
    _R.UNKNOWN_ORDER: ErrorWord(400, -2013, "Order does not exist."),
    _R.PRICE_OUT_OF_RANGE: ErrorWord(400, 30010, "no valid trade price"),
    _R.PRICE_TOO_FAR: ErrorWord(400, 30010, "no valid trade price"),
    _R.MARKET_QUANTITY: ErrorWord(400, 30003, "The maximum transaction volume cannot be greater than the limit"),
    _R.ABOVE_NOTIONAL: ErrorWord(400, 30003, "The maximum transaction volume cannot be greater than the limit"),
    _R.NOT_THROUGH_API: ErrorWord(400, 10007, "symbol not support api"),
    _R.SUSPENDED: ErrorWord(400, 30000, "suspended transaction for the symbol"),
}
_PLAIN_WORDS: Final = {item: ErrorWord(400, str(item), "") for item in _R}
_UNKNOWN_CANCEL: Final = ErrorWord(400, -2011, "Unknown order sent.")
_RATE: Final = {
    "plain": ("TOO_MANY_REQUESTS", "too many requests"),
    "binance": (-1003, "Too many requests."),
    "mexc": (429, "Too Many Requests"),
}


class Manners:
    """The ways of one venue.

    Args:
        name: plain, binance or mexc.
    Raises:
        SettingsError: If there is no such manner.
    """

    def __init__(self, name: str) -> None:
        if name not in RULES:
            raise SettingsError(f"twin.manners: expected one of {sorted(RULES)}, was {name!r}")
        self.name: Final = name
        self.rules: Final[VenueRules] = RULES[name]
        self._mexc: Final = name == "mexc"
        words = {"plain": _PLAIN_WORDS, "binance": _BINANCE_WORDS, "mexc": _MEXC_WORDS}[name]
        self._words: Final[Mapping[Rejection, ErrorWord]] = MappingProxyType(words)

    def raw_symbol(self, symbol: str) -> str:
        """A symbol in the venue's writing."""
        return symbol if self.name == "plain" else symbol.replace("/", "")

    def order_id(self, number: int) -> str:
        """Form of an order id as text: an integer at Binance, text at MEXC."""
        return f"T{number}" if self.name == "plain" else f"C02__{number:018d}" if self._mexc else str(number)

    def trade_id(self, number: int) -> str:
        """Form of a trade id: rising at plain and Binance, hex without order at MEXC."""
        if self._mexc:
            return hashlib.blake2b(number.to_bytes(8, "big"), digest_size=16).hexdigest()
        return str(number)

    def headers(self, used_weight: int) -> dict[str, str]:
        """Headers of every answer."""
        base = {"Content-Type": "application/json"}
        return {**base, "X-MBX-USED-WEIGHT-1M": str(used_weight)} if self.name == "binance" else base

    # Answers ------------------------------------------------------------------------------------------------

    def placed(self, view: OrderView) -> Answer:
        """Answer to an order that was taken. MEXC says no more than its id."""
        order = view.order
        base = {
            "symbol": self.raw_symbol(order.symbol), "orderId": self.raw_id(order.venue_order_id), "orderListId": -1,
            "price": canonical(order.price), "origQty": canonical(order.quantity), "type": self.type_of(view),
            "side": order.side.upper(), "transactTime": order.accepted_ms,
        }  # fmt: skip
        if self._mexc:
            return Answer(200, _json(base))
        fills = [
            {
                "price": canonical(trade.price), "qty": canonical(trade.quantity), "commission": canonical(trade.fee),
                "commissionAsset": trade.fee_coin, "tradeId": self.raw_id(trade.venue_trade_id),
            }
            for trade in view.trades
        ]  # fmt: skip
        full = {
            **base, "clientOrderId": order.wire_id, "executedQty": canonical(view.executed),
            "cummulativeQuoteQty": canonical(view.executed_quote), "status": self.status_of(view),
            "timeInForce": str(order.time_in_force), "fills": fills,
        }  # fmt: skip
        return Answer(200, _json(full))

    def canceled(self, view: OrderView) -> Answer:
        """Answer to a cancel. MEXC sends no status."""
        if self._mexc:
            return self.placed(view)
        facts = self._order(view)
        facts["origClientOrderId"] = view.order.wire_id
        facts["clientOrderId"] = f"cancel-{view.order.number}"
        return Answer(200, _json(facts))

    def order(self, view: OrderView) -> Answer:
        """Answer to the read of one order."""
        return Answer(200, _json(self._order(view)))

    def orders(self, views: Iterable[OrderView]) -> Answer:
        """Answer to the read of a list of orders."""
        return Answer(200, _json([self._order(view) for view in views]))

    def trades(self, trades: Iterable[TwinTrade]) -> Answer:
        """Answer to the read of own trades."""
        return Answer(200, _json([self._trade(trade) for trade in trades]))

    def account(self, balances: Mapping[str, tuple[Decimal, Decimal]]) -> Answer:
        """Answer to the read of balances."""
        rows = [
            {"asset": coin, "free": canonical(free), "locked": canonical(locked)}
            for coin, (free, locked) in sorted(balances.items())
        ]
        return Answer(200, _json({"canTrade": True, "canWithdraw": False, "balances": rows}))

    def rejected(self, rejected: Rejected, *, cancel: bool = False) -> Answer:
        """Answer no."""
        word = self.word(rejected.rejection, cancel=cancel)
        message = word.message or rejected.detail or str(rejected.rejection).lower().replace("_", " ")
        return Answer(word.status, _json({"code": word.code, "msg": message}))

    def word(self, rejection: Rejection, *, cancel: bool = False) -> ErrorWord:
        """How the venue says this no."""
        if cancel and rejection is Rejection.UNKNOWN_ORDER and self.name != "plain":
            return _UNKNOWN_CANCEL
        return self._words[rejection]

    def too_many(self, status: int) -> Answer:
        """Answer 429 or 418."""
        code, message = _RATE[self.name]
        return Answer(status, _json({"code": code, "msg": message}))

    # Parts --------------------------------------------------------------------------------------------------

    def raw_id(self, text: str) -> int | str:
        """An id as JSON has it: a number at Binance."""
        return int(text) if self.name == "binance" else text

    def type_of(self, view: OrderView) -> str:
        """The kind of an order in the venue's words."""
        order = view.order
        if order.market:
            return "MARKET"
        if order.post_only:
            return "LIMIT_MAKER"
        if self._mexc and order.time_in_force is not TimeInForce.GTC:
            # MEXC makes the time in force a type of order.
            return "IMMEDIATE_OR_CANCEL" if order.time_in_force is TimeInForce.IOC else "FILL_OR_KILL"
        return "LIMIT"

    def status_of(self, view: OrderView) -> str:
        """Where an order stands, in the venue's words."""
        if view.status is OrderStatus.OPEN:
            return "PARTIALLY_FILLED" if view.executed else "NEW"
        if self._mexc and view.status is not OrderStatus.FILLED:
            # An IOC's rest is canceled there, and a partly filled order has a word of its own.
            return "PARTIALLY_CANCELED" if view.executed else "CANCELED"
        return str(view.status)

    def _order(self, view: OrderView) -> dict[str, Any]:
        order = view.order
        return {
            "symbol": self.raw_symbol(order.symbol), "orderId": self.raw_id(order.venue_order_id), "orderListId": -1,
            "clientOrderId": order.wire_id, "price": canonical(order.price), "origQty": canonical(order.quantity),
            "executedQty": canonical(view.executed), "cummulativeQuoteQty": canonical(view.executed_quote),
            "status": self.status_of(view), "timeInForce": None if self._mexc else str(order.time_in_force),
            "type": self.type_of(view), "side": order.side.upper(), "time": order.accepted_ms,
            "updateTime": view.updated_ms, "isWorking": True,
        }  # fmt: skip

    def _trade(self, trade: TwinTrade) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "symbol": self.raw_symbol(trade.symbol), "id": self.raw_id(trade.venue_trade_id),
            "orderId": self.raw_id(trade.venue_order_id), "price": canonical(trade.price),
            "qty": canonical(trade.quantity), "quoteQty": canonical(trade.quote), "commission": canonical(trade.fee),
            "commissionAsset": trade.fee_coin, "time": trade.traded_ms, "isBuyer": trade.side is Side.BUY,
            "isMaker": trade.is_maker,
        }  # fmt: skip
        if self.name == "plain":
            facts["clientOrderId"] = trade.wire_id
        return facts
