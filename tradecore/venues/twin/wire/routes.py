"""Everything that can be asked of each wire, with its weight.

Source: Binance rest-api.md, weights (a5e0bc3, 2026-07-21); MEXC weights as ccxt 4.5.90 has them; orders.md 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tradecore.venues.twin.wire import account, trading, transfers
from tradecore.venues.twin.wire.call import Endpoint, Handler, Params
from tradecore.venues.twin.wire.public import Public, depth_weight, ticker_weight

_V3: Final = "/api/v3"
Weigh = Callable[[Params], int]
Routes = dict[tuple[str, str], Endpoint]


def _flat(weight: int) -> Callable[[Params], int]:
    return lambda _: weight


_ONE: Final = _flat(1)


def _open_weight(params: Params) -> int:
    return 6 if params.get("symbol") else 80


def _trades_weight(params: Params) -> int:
    return 5 if params.get("orderId") else 20


def _test_weight(params: Params) -> int:
    return 20 if params.get("computeCommissionRates") == "true" else 1


def _get(path: str, handler: Handler, weight: Weigh = _ONE, operation: str = "data") -> Endpoint:
    return Endpoint("GET", _V3 + path, operation, handler, weight=weight)


def _signed(
    method: str, path: str, operation: str, handler: Handler, weight: Weigh = _ONE
) -> Endpoint:  # fmt: skip
    trades = operation in ("place", "cancel")
    return Endpoint(method, path, operation, handler, signed=True, weight=weight, trades=trades)


def _sapi(path: str, handler: Handler, operation: str = "data") -> Endpoint:
    return Endpoint("GET", "/sapi/v1" + path, operation, handler, signed=True, counts=False)


def _shared(public: Public, weights: dict[str, int]) -> list[Endpoint]:
    """What both wires have, with the weights that differ."""
    weigh = {name: _flat(weight) for name, weight in weights.items()}
    return [
        _get("/ping", public.ping, operation="time"),
        _get("/time", public.time, operation="time"),
        _get("/exchangeInfo", public.exchange_info, weigh["exchangeInfo"]),
        _get("/trades", public.trades, weigh["trades"]),
        _get("/historicalTrades", public.trades, weigh["historicalTrades"]),
        _get("/aggTrades", public.aggregated, weigh["aggTrades"]),
        _get("/klines", public.candles, weigh["klines"]),
        _get("/avgPrice", public.average, weigh["avgPrice"]),
        _signed("POST", _V3 + "/order", "place", trading.place),
        _signed("POST", _V3 + "/order/test", "place", trading.test, _test_weight),
        _signed("DELETE", _V3 + "/order", "cancel", trading.cancel),
        _signed("DELETE", _V3 + "/openOrders", "cancel", trading.cancel_all),
        _signed("GET", _V3 + "/order", "order", trading.order, weigh["order"]),
        _signed("GET", _V3 + "/allOrders", "lists", trading.all_orders, weigh["allOrders"]),
        _signed("GET", _V3 + "/account", "balances", account.account, weigh["account"]),
    ]


def _binance(public: Public) -> list[Endpoint]:
    weights = {
        "exchangeInfo": 20, "trades": 25, "historicalTrades": 25, "aggTrades": 4, "klines": 2, "avgPrice": 2,
        "order": 4, "allOrders": 20, "account": 20,
    }  # fmt: skip
    return [
        *_shared(public, weights),
        _get("/depth", public.depth, depth_weight),
        _get("/ticker/24hr", public.ticker_day, ticker_weight(2, 40, 80)),
        _get("/ticker/price", public.ticker_price, ticker_weight(2, 4, 4)),
        _get("/ticker/bookTicker", public.ticker_book, ticker_weight(2, 4, 4)),
        _signed("GET", _V3 + "/openOrders", "lists", trading.open_orders, _open_weight),
        _signed("GET", _V3 + "/myTrades", "trades", trading.trades, _trades_weight),
        _sapi("/account/apiRestrictions", account.restrictions, "balances"),
        _sapi("/capital/config/getall", account.coins),
        _sapi("/capital/deposit/hisrec", transfers.deposits),
        _sapi("/capital/withdraw/history", transfers.withdrawals),
        _sapi("/asset/tradeFee", account.trade_fee),
        _sapi("/margin/allPairs", account.nothing),
        _sapi("/margin/isolated/allPairs", account.nothing),
        _sapi("/margin/allAssets", account.nothing),
        Endpoint("GET", "/sapi/v1/system/status", "data", public.status, counts=False),
    ]


def _mexc(public: Public) -> list[Endpoint]:
    weights = {
        "exchangeInfo": 25, "trades": 5, "historicalTrades": 1, "aggTrades": 1, "klines": 1, "avgPrice": 1,
        "order": 2, "allOrders": 10, "account": 10,
    }  # fmt: skip
    return [
        *_shared(public, weights),
        _get("/depth", public.depth, _flat(3)),
        _get("/ticker/24hr", public.ticker_day, _flat(25)),
        _get("/ticker/price", public.ticker_price, _flat(10)),
        _get("/ticker/bookTicker", public.ticker_book, _flat(10)),
        _get("/defaultSymbols", public.api_symbols),
        _signed("GET", _V3 + "/openOrders", "lists", trading.open_orders, _flat(3)),
        _signed("GET", _V3 + "/myTrades", "trades", trading.trades, _flat(10)),
        _signed("GET", _V3 + "/selfSymbols", "data", public.api_symbols),
        _signed("GET", _V3 + "/capital/config/getall", "data", account.coins, _flat(10)),
        _signed("GET", _V3 + "/capital/deposit/hisrec", "data", transfers.deposits, _flat(10)),
        _signed("GET", _V3 + "/capital/withdraw/history", "data", transfers.withdrawals),
        _signed("GET", _V3 + "/tradeFee", "data", account.trade_fee, _flat(20)),
        Endpoint("GET", "/api/v1/contract/detail", "data", public.contracts, counts=False),
    ]


def routes_of(wire: str, public: Public) -> Routes:
    """Endpoints of a wire by method and path."""
    table = _mexc(public) if wire == "mexc" else _binance(public)
    return {(item.method, item.path): item for item in table}
