"""What a call costs at the limiter, by exchange (R34).

Source: Binance spot rest-api.md (weights of 2023-08-25, order look-ups of 2024), as far as they are known; MEXC counts
300 in 10 s per address with the figures of its documents. Every other exchange counts requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: Operations of the venue port and of the market data port.
_BINANCE: Final = {
    "place": 1, "cancel": 1, "order": 4, "open_orders": 6, "open_orders_all": 80, "recent_orders": 20, "trades": 20,
    "balances": 20, "instruments": 20, "quotes_some": 40, "quotes_all": 80, "book": 5, "candles": 2, "time": 1,
    "rights": 1, "probe": 1,
}  # fmt: skip
_MEXC: Final = {
    "order": 2, "open_orders": 3, "open_orders_all": 3, "recent_orders": 10, "trades": 10, "balances": 10,
    "instruments": 10, "quotes_some": 40, "quotes_all": 40,
}  # fmt: skip
_WEIGHTS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {"binance": MappingProxyType(_BINANCE), "mexc": MappingProxyType(_MEXC)}
)


def weight_of(exchange: str, operation: str) -> int:
    """Requests that a call counts as; 1 where nobody knows better."""
    return _WEIGHTS.get(exchange, {}).get(operation, 1)


def book_weight(exchange: str, levels: int) -> int:
    """Weight of an order book by the number of levels asked for."""
    if exchange != "binance":
        return weight_of(exchange, "book")
    return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250
