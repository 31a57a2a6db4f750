"""Raw JSON of orders, trades and balances, turned into words of the house. Nothing is guessed.

All is read by Binance's field names, which MEXC and the twin share and into which other venues are translated
(venues/ccxt/parsed.py); where they part (MEXC sends no time in force, an acknowledgement
without status) the answer holds ``None`` and the caller must read again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tradecore.errors import UnitError
from tradecore.model.fill import VenueTrade
from tradecore.model.order import OrderReport, VenueStatus
from tradecore.model.units import ZERO, Side, TimeInForce, decimal_of, times
from tradecore.ports.venue import Balance
from tradecore.venues.rules.words import VenueRules

MAX_BODY: Final = 4_000_000
"""Characters; a longer answer is not read (reference orders.md F18)."""
_TIME_IN_FORCE: Final = {
    "LIMIT": TimeInForce.GTC,
    "LIMIT_MAKER": TimeInForce.GTC,
    "IMMEDIATE_OR_CANCEL": TimeInForce.IOC,
    "FILL_OR_KILL": TimeInForce.FOK,
}
_NAMED: Final[Mapping[str, TimeInForce]] = {str(item): item for item in TimeInForce}


def _no_constant(text: str) -> Any:
    raise ValueError(f"expected a number, was {text}")


def parse_json(body: str | None) -> Any:
    """Read JSON without losing a digit: fractions become Decimal.

    Raises:
        ValueError: If the text is none, too long, cut off, or holds NaN or Infinity.
    """
    if not body:
        raise ValueError("expected JSON, was an empty body")
    if len(body) > MAX_BODY:
        raise ValueError(f"expected at most {MAX_BODY} characters, was {len(body)}")
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("expected JSON, was nested too deep") from error


def order_id_of(payload: Mapping[str, Any], rules: VenueRules) -> str:
    """The order id as text; empty where there is none or it does not look like one."""
    raw = payload.get("orderId")
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        return ""
    text = str(raw)
    return text if rules.order_id.fullmatch(text) else ""


def echoed_id_of(payload: Mapping[str, Any]) -> str:
    """Our id as the venue echoes it; empty where it sends none. A cancel answers with the original id beside."""
    for name in ("origClientOrderId", "clientOrderId"):
        value = payload.get(name)
        if value:
            return str(value)
    return ""


def same_symbol(raw: Any, symbol: str) -> bool:
    """Tell whether a venue's symbol names ours, whatever its separator; a missing one names all."""
    return raw in (None, "") or _bare(str(raw)) == _bare(symbol)


def _bare(symbol: str) -> str:
    return symbol.translate({47: None, 45: None, 95: None}).upper()


def _amount(payload: Mapping[str, Any], name: str) -> Decimal | None:
    raw = payload.get(name)
    if raw is None or raw == "":
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | str | Decimal):
        raise UnitError(f"expected a decimal number for {name}, was {raw!r}")
    value = decimal_of(raw)
    if value < 0:
        raise UnitError(f"expected {name} >= 0, was {raw!r}")
    return value


def _moment(payload: Mapping[str, Any], *names: str) -> int:
    for name in names:
        raw = payload.get(name)
        if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
            return raw
        if isinstance(raw, str) and raw.isascii() and raw.isdigit():
            return int(raw)
    return 0


def _status(payload: Mapping[str, Any], rules: VenueRules) -> VenueStatus | None:
    raw = payload.get("status")
    return None if raw in (None, "") else rules.statuses.get(str(raw), VenueStatus.UNMAPPED)


def _time_in_force(payload: Mapping[str, Any]) -> TimeInForce | None:
    named = payload.get("timeInForce")
    if named:
        return _NAMED.get(str(named))
    return _TIME_IN_FORCE.get(str(payload.get("type")))


def _side(payload: Mapping[str, Any]) -> Side:
    raw = str(payload.get("side", "")).lower()
    if raw not in ("buy", "sell"):
        raise UnitError(f"expected side BUY or SELL, was {payload.get('side')!r}")
    return Side(raw)


def report_of(payload: Mapping[str, Any], rules: VenueRules, symbol: str, digest: str = "") -> OrderReport:
    """Turn one raw order into evidence.

    Args:
        symbol: Our name of its symbol.
        digest: Fingerprint of the raw answer.
    Raises:
        UnitError: If an amount is malformed, negative, or more is executed than was ordered.
    """
    venue_order_id = order_id_of(payload, rules)
    if not venue_order_id:
        raise UnitError(f"expected an order id, was {payload.get('orderId')!r}")
    wire_id = echoed_id_of(payload)
    quantity, executed = _amount(payload, "origQty"), _amount(payload, "executedQty")
    if quantity is not None and executed is not None and executed > quantity:
        raise UnitError(f"expected executedQty <= {quantity}, was {executed}")
    side = _side(payload)
    at_ms = _moment(payload, "updateTime", "transactTime", "time")
    fills = payload.get("fills") or ()
    if not isinstance(fills, list | tuple):
        raise UnitError(f"expected a list of fills, was {type(fills).__name__}")
    report = OrderReport(
        wire_id, venue_order_id, symbol, side, _status(payload, rules), _amount(payload, "price"), quantity,
        executed, _amount(payload, "cummulativeQuoteQty"), _time_in_force(payload), at_ms, (), "rest", digest,
    )  # fmt: skip
    return report._replace(trades=tuple(_fill_of(fill, report) for fill in fills)) if fills else report


def _required(payload: Mapping[str, Any], name: str) -> Decimal:
    value = _amount(payload, name)
    if value is None or value == ZERO:
        raise UnitError(f"expected {name} > 0, was {payload.get(name)!r}")
    return value


def _fee(payload: Mapping[str, Any]) -> Decimal:
    raw = payload.get("commission")
    if isinstance(raw, bool) or not isinstance(raw, int | str | Decimal):
        raise UnitError(f"expected a decimal commission, was {raw!r}")
    return decimal_of(raw)


def _fee_coin(payload: Mapping[str, Any], fee: Decimal) -> str:
    """The coin of a fee. One that is not named cannot be booked: guessed, it would be missing elsewhere (F25)."""
    coin = str(payload.get("commissionAsset") or "")
    if fee and not coin:
        raise UnitError(f"expected the coin of a commission of {fee}, was none")
    return coin


def _text_id(payload: Mapping[str, Any], name: str) -> str:
    raw = payload.get(name)
    if isinstance(raw, bool) or not isinstance(raw, int | str) or raw == "":
        raise UnitError(f"expected a trade id, was {raw!r}")
    return str(raw)


def _fill_of(fill: Any, around: OrderReport) -> VenueTrade:
    """A fill inside an order's answer names neither order nor side nor time: they are the order's."""
    if not isinstance(fill, Mapping):
        raise UnitError(f"expected a fill, was {type(fill).__name__}")
    price, quantity, fee = _required(fill, "price"), _required(fill, "qty"), _fee(fill)
    return VenueTrade(
        _text_id(fill, "tradeId"), around.venue_order_id, around.wire_id, around.symbol, around.side, price, quantity,
        times(price, quantity), fee, _fee_coin(fill, fee), bool(fill.get("isMaker", False)), around.updated_ms,
    )  # fmt: skip


def trade_of(payload: Any, rules: VenueRules, symbol: str) -> VenueTrade:
    """Turn one raw trade of ours into a VenueTrade.

    Raises:
        UnitError: If an id or an amount is missing or malformed.
    """
    if not isinstance(payload, Mapping):
        raise UnitError(f"expected a trade, was {type(payload).__name__}")
    buyer = payload.get("isBuyer")
    if not isinstance(buyer, bool):
        raise UnitError(f"expected isBuyer true or false, was {buyer!r}")
    price, quantity = _required(payload, "price"), _required(payload, "qty")
    quote, fee = _amount(payload, "quoteQty"), _fee(payload)
    return VenueTrade(
        _text_id(payload, "id"), order_id_of(payload, rules), echoed_id_of(payload), symbol,
        Side.BUY if buyer else Side.SELL, price, quantity, times(price, quantity) if quote is None else quote,
        fee, _fee_coin(payload, fee), bool(payload.get("isMaker")), _moment(payload, "time"),
    )  # fmt: skip


def balances_of(payload: Any) -> dict[str, Balance]:
    """Turn a raw account into balances by coin, zero ones left out.

    Raises:
        UnitError: If the account holds no list of balances or an amount is malformed.
    """
    rows = payload.get("balances") if isinstance(payload, Mapping) else None
    if not isinstance(rows, list):
        raise UnitError("expected an account with a list of balances")
    result: dict[str, Balance] = {}
    for row in rows:
        free, locked = _amount(row, "free"), _amount(row, "locked")
        if free is None or locked is None or not row.get("asset"):
            raise UnitError(f"expected asset, free and locked, was {sorted(row)}")
        if free or locked:
            result[str(row["asset"])] = Balance(free, locked)
    return result
