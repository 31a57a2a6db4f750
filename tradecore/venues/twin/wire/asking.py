"""A request for an order, read as its venue reads it: which parameters each kind needs and which it must not have."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from typing import Final

from tradecore.model.units import Side, TimeInForce
from tradecore.venues.twin.records import SelfTrade
from tradecore.venues.twin.wire.call import Call
from tradecore.venues.twin.wire.dialect import Asked, decimals_of

_BINANCE_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,36}")
_MEXC_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,32}")
_ANSWERS: Final = ("ACK", "RESULT", "FULL")
_MEXC_KINDS: Final = {"IMMEDIATE_OR_CANCEL": TimeInForce.IOC, "FILL_OR_KILL": TimeInForce.FOK}


def asked_of(call: Call) -> Asked:
    """Read what is asked for.

    Raises:
        WireError: If something is missing, malformed, or sent where it must not be.
    Source: Binance rest-api.md, new order; MEXC spot v3, new order; reference orders.md 2.5.
    """
    params = call.params
    params.need("symbol")
    side = params.need("side")
    if side not in ("BUY", "SELL"):
        raise call.no("side")
    kind = params.need("type")
    tif, post_only = _time_in_force(call, kind)
    price: Decimal | None = None
    quantity: Decimal | None = None
    quote: Decimal | None = None
    if kind == "MARKET":
        if params.get("price") and call.wire == "binance":
            raise call.no("not_required", "price")
        quantity, quote = _market_amounts(call)
    else:
        item = call.desk.instrument(params.get("symbol"))
        lot, tick = (decimals_of(item.lot_size), decimals_of(item.tick_size)) if item is not None else (0, 0)
        quantity, price = params.amount("quantity", lot), params.amount("price", tick)
        if price <= 0:
            raise call.no("bad_value", "price")
    for amount, name in ((quantity, "quantity"), (quote, "quoteOrderQty")):
        if amount is not None and amount <= 0:
            raise call.no("bad_value", name)
    return Asked(
        _wire_id(call), Side(side.lower()), tif, price, quantity, quote, post_only, _answer(call, kind), _mode(call)
    )  # fmt: skip


def _time_in_force(call: Call, kind: str) -> tuple[TimeInForce, bool]:
    """Time in force and whether the order must not take."""
    sent = call.params.get("timeInForce")
    if kind == "MARKET":
        if sent and call.wire == "binance":
            raise call.no("not_required", "timeInForce")
        return TimeInForce.IOC, False
    if kind == "LIMIT_MAKER":
        if sent and call.wire == "binance":
            raise call.no("not_required", "timeInForce")
        return TimeInForce.GTC, True
    if call.wire == "mexc" and kind in _MEXC_KINDS:
        return _MEXC_KINDS[kind], False
    if kind != "LIMIT":
        raise call.no("type")
    if call.wire == "mexc" and not sent:
        return TimeInForce.GTC, False
    if call.params.need("timeInForce") not in list(TimeInForce):
        raise call.no("time_in_force")
    return TimeInForce(sent), False


def _market_amounts(call: Call) -> tuple[Decimal | None, Decimal | None]:
    params = call.params
    if params.get("quantity") and params.get("quoteOrderQty"):
        raise call.no("not_required", "quoteOrderQty")
    if params.get("quoteOrderQty"):
        return None, params.amount("quoteOrderQty")
    item = call.desk.instrument(params.get("symbol"))
    return params.amount("quantity", decimals_of(item.lot_size) if item is not None else 0), None


def _wire_id(call: Call) -> str:
    """The client's id, or one made for it."""
    sent = call.params.get("newClientOrderId")
    if not sent:
        number = call.desk.engine.state.orders_made + 1
        return hashlib.blake2b(f"{call.now_ms} {number}".encode(), digest_size=11).hexdigest()
    if not (_MEXC_ID if call.wire == "mexc" else _BINANCE_ID).fullmatch(sent):
        raise call.no("illegal", "newClientOrderId", "^[a-zA-Z0-9-_]{1,36}$")
    return sent


def _answer(call: Call, kind: str) -> str:
    if call.desk.ack_without_status:
        return "ACK"
    sent = call.params.get("newOrderRespType")
    if sent and sent not in _ANSWERS:
        raise call.no("bad_value", "newOrderRespType")
    return sent or ("FULL" if kind in ("LIMIT", "MARKET") else "ACK")


def _mode(call: Call) -> SelfTrade:
    """What happens where it would meet an order of the same account: at Binance the older one ends, MEXC lets be."""
    usual = SelfTrade.NONE if call.wire == "mexc" else SelfTrade.EXPIRE_MAKER
    sent = call.params.get("selfTradePreventionMode") or call.params.get("stpMode") or str(usual)
    if sent not in list(SelfTrade):
        raise call.no("bad_value", "selfTradePreventionMode")
    return SelfTrade(sent)
