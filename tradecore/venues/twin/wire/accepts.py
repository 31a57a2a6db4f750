"""Which parameters an endpoint knows: Binance refuses a request with one that it did not read (-1104).

MEXC reads over what it does not know, and Binance's sapi endpoints are not checked: nobody trades with them.
Source: Binance rest-api.md (a5e0bc3, 2026-07-21), parameters of each endpoint; errors.md, -1104 UNREAD_PARAMETERS.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tradecore.venues.twin.wire.call import Endpoint, Params
from tradecore.venues.twin.wire.words import no

_V3: Final = "/api/v3"
_SIGNED: Final = frozenset({"timestamp", "signature", "recvWindow"})
_ORDER: Final = (
    "symbol side type timeInForce quantity quoteOrderQty price newClientOrderId strategyId strategyType icebergQty"
    " newOrderRespType selfTradePreventionMode"
)
_NAMED: Final = "symbol orderId origClientOrderId"
_TICKERS: Final = "symbol symbols symbolStatus"
_KNOWN: Final[Mapping[tuple[str, str], frozenset[str]]] = MappingProxyType(
    {
        (method, _V3 + path): frozenset(names.split())
        for method, path, names in (
            ("GET", "/ping", ""),
            ("GET", "/time", ""),
            ("GET", "/exchangeInfo", "symbol symbols permissions showPermissionSets symbolStatus"),
            ("GET", "/depth", "symbol limit symbolStatus"),
            ("GET", "/trades", "symbol limit"),
            ("GET", "/historicalTrades", "symbol limit fromId"),
            ("GET", "/aggTrades", "symbol fromId startTime endTime limit"),
            ("GET", "/klines", "symbol interval startTime endTime timeZone limit"),
            ("GET", "/avgPrice", "symbol"),
            ("GET", "/ticker/24hr", _TICKERS + " type"),
            ("GET", "/ticker/price", _TICKERS),
            ("GET", "/ticker/bookTicker", _TICKERS),
            ("POST", "/order", _ORDER),
            ("POST", "/order/test", _ORDER + " computeCommissionRates"),
            ("DELETE", "/order", _NAMED + " newClientOrderId"),
            ("DELETE", "/openOrders", "symbol"),
            ("GET", "/order", _NAMED),
            ("GET", "/openOrders", "symbol"),
            ("GET", "/allOrders", "symbol orderId startTime endTime limit"),
            ("GET", "/myTrades", "symbol orderId startTime endTime fromId limit"),
            ("GET", "/account", "omitZeroBalances"),
        )
    }
)


def check_names(wire: str, endpoint: Endpoint, params: Params) -> None:
    """Refuse a request with a parameter that its endpoint does not know.

    Raises:
        WireError: If it has one.
    """
    known = _KNOWN.get((endpoint.method, endpoint.path)) if wire == "binance" else None
    if known is None:
        return
    sent = params.all.keys() - (_SIGNED if endpoint.signed else frozenset())
    if strange := sent - known:
        raise no(wire, "unread", len(sent) - len(strange), len(sent))
