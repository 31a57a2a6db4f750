"""What ccxt made of an order, a trade or a balance, believed only where the raw answer bears it out.

ccxt fills holes: it takes a closed order without a filled quantity for filled, and makes up trade ids
(reference orders.md 2.5, 2.8). So an id counts only if the raw row holds it, and a filled quantity only if a field of
the raw row whose name speaks of execution says so. The facts go on in Binance's field names, through the same door as
everything else (venues/payload.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from tradecore.errors import UnitError
from tradecore.model.units import ZERO, decimal_of, minus
from tradecore.ports.venue import Balance
from tradecore.venues.payload import parse_json

_EXECUTED: Final = re.compile(r"exec|fill|cum|deal|done|match|accbase|basevolume|field", re.IGNORECASE)
_LEFT: Final = re.compile(r"left|leaves|remain|unfilled", re.IGNORECASE)
_NO_ROWS: Final = re.compile(r"error|warn", re.IGNORECASE)
_TIMES_IN_FORCE: Final = {"GTC": "GTC", "IOC": "IOC", "FOK": "FOK", "PO": "GTC"}


def leaves(raw: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All scalar fields of a raw row with their names; a field in a list bears the list's name."""
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            yield from leaves(value, str(key))
    elif isinstance(raw, list | tuple):
        for value in raw:
            yield from leaves(value, name)
    elif raw is not None and not isinstance(raw, bool):
        yield name, raw


def _number(raw: Any) -> Decimal | None:
    try:
        return decimal_of(str(raw)) if isinstance(raw, int | str | float | Decimal) else None
    except UnitError:
        return None


def texts_in(body: Any) -> frozenset[str]:
    """Everything that a raw answer says, as text: its values, and its keys, since some venues name rows so."""
    found: set[str] = set()

    def gather(raw: Any) -> None:
        if isinstance(raw, Mapping):
            found.update(str(key) for key in raw)
            for value in raw.values():
                gather(value)
        elif isinstance(raw, list | tuple):
            for value in raw:
                gather(value)
        elif raw is not None and not isinstance(raw, bool):
            found.add(str(raw))

    gather(body)
    return frozenset(found)


def _executed(order: Mapping[str, Any], raw: Any, quantity: Decimal | None) -> Decimal | None:
    """The filled quantity; ``None`` where no raw field says it."""
    filled = _number(order.get("filled"))
    if filled is None:
        return None
    left = minus(quantity, filled) if quantity is not None else None
    for name, value in leaves(raw):
        if _EXECUTED.search(name) and _number(value) == filled:
            return filled
        if left is not None and _LEFT.search(name) and _number(value) == left:
            return filled
    return None


def _status(order: Mapping[str, Any], quantity: Decimal | None, executed: Decimal | None) -> str | None:
    status = order.get("status")
    if status == "closed":
        if executed is None or quantity is None:
            return "closed"
        return "FILLED" if executed == quantity else "canceled"
    return None if status is None else str(status)


def order_facts(order: Any, said: frozenset[str]) -> dict[str, Any]:
    """One order of ccxt's in Binance's field names.

    Args:
        order: ccxt's unified order.
        said: Texts of the whole raw answer: ids may stand outside of the order's own row.
    Returns:
        Facts for ``payload.report_of``; what the raw answer does not bear out is absent.
    Raises:
        UnitError: If ccxt made no order of the answer.
    """
    if not isinstance(order, Mapping):
        raise UnitError(f"expected an order, was {type(order).__name__}")
    raw = order.get("info")
    facts: dict[str, Any] = {}
    for name, key in (("orderId", "id"), ("clientOrderId", "clientOrderId")):
        text = str(order.get(key) or "")
        if text in said:
            facts[name] = text
    quantity = _number(order.get("amount"))
    executed = _executed(order, raw, quantity)
    facts["symbol"] = order.get("symbol")
    facts["side"] = str(order.get("side") or "").upper()
    facts["origQty"], facts["price"] = _text(quantity), _text(_number(order.get("price")))
    facts["executedQty"] = _text(executed)
    cost = _number(order.get("cost"))
    facts["cummulativeQuoteQty"] = None if executed is None else _text(ZERO if executed == 0 else cost)
    facts["status"] = _status(order, quantity, executed)
    facts["timeInForce"] = _TIMES_IN_FORCE.get(str(order.get("timeInForce")))
    facts["updateTime"] = order.get("lastUpdateTimestamp") or order.get("timestamp") or 0
    return facts


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def trade_facts(trade: Any, said: frozenset[str]) -> dict[str, Any]:
    """One trade of ours of ccxt's in Binance's field names.

    Args:
        trade: ccxt's unified trade.
        said: Texts of the whole raw answer: Kraken names trades by keys outside of them.
    Returns:
        Facts for ``payload.trade_of``.
    Raises:
        UnitError: If the raw answer does not hold its id: ccxt makes up those that a venue does not send.
    """
    if not isinstance(trade, Mapping):
        raise UnitError(f"expected a trade, was {type(trade).__name__}")
    text = str(trade.get("id") or "")
    if not text or text not in said:
        raise UnitError(f"expected a trade id that the venue sent, was {text!r}")
    side = trade.get("side")
    if side not in ("buy", "sell"):
        raise UnitError(f"expected side buy or sell, was {side!r}")
    fees = [one for one in trade.get("fees") or [trade.get("fee")] if isinstance(one, Mapping) and one.get("cost")]
    if len(fees) > 1:
        raise UnitError(f"expected one fee, were {len(fees)}")
    fee = fees[0] if fees else {}
    return {
        "id": text,
        "orderId": trade.get("order"),
        "clientOrderId": trade.get("clientOrderId"),
        "price": _text(_number(trade.get("price"))),
        "qty": _text(_number(trade.get("amount"))),
        "quoteQty": _text(_number(trade.get("cost"))),
        "commission": str(fee.get("cost") or "0"),
        "commissionAsset": str(fee.get("currency") or ""),
        "isBuyer": side == "buy",
        "isMaker": trade.get("takerOrMaker") == "maker",
        "time": trade.get("timestamp") or 0,
    }


def balances_from(balances: Any) -> dict[str, Balance]:
    """Turn ccxt's balances into ours, by coin, zero ones left out.

    Raises:
        UnitError: If a coin has no free or no total amount.
    """
    if not isinstance(balances, Mapping) or not isinstance(balances.get("total"), Mapping):
        raise UnitError("expected balances with totals")
    found: dict[str, Balance] = {}
    for coin, raw_total in balances["total"].items():
        total, free = _number(raw_total), _number((balances.get("free") or {}).get(coin))
        used = _number((balances.get("used") or {}).get(coin))
        if free is None and total is not None and used is not None:
            free = minus(total, used)
        if free is None or (total is None and used is None):
            raise UnitError(f"expected free and total of {coin}")
        locked = used if used is not None else minus(total or ZERO, free)
        if free or locked:
            found[str(coin)] = Balance(free, locked)
    return found


def rows_in(body: Any) -> int:
    """The most rows that stand together in a raw answer: how full the page was before ccxt filtered it."""
    if isinstance(body, list):
        return max([len(body), *(rows_in(item) for item in body)])
    if isinstance(body, Mapping):
        named = sum(isinstance(value, Mapping) for value in body.values())
        return max([named, *(rows_in(value) for value in body.values())], default=0)
    return 0


def holds_list(body: Any, name: str = "") -> bool:
    """Whether a raw answer holds a list of rows, be it empty: without one an empty result proves nothing.

    ccxt answers an empty list to a body without any (reference orders.md 2.2), and an empty list is evidence.
    """
    if isinstance(body, list):
        return not _NO_ROWS.search(name)
    if isinstance(body, Mapping):
        # Kraken keeps rows in an object, named by their ids: {"result": {"open": {}}}.
        rows = bool(name) and all(isinstance(value, Mapping) for value in body.values())
        return (rows and name != "result") or any(holds_list(value, str(key)) for key, value in body.items())
    return False


def says_none(body: str | None) -> bool:
    """Whether a raw answer bears out an empty result."""
    try:
        return holds_list(parse_json(body))
    except ValueError:
        return False
