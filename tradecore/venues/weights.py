"""What a call costs at the limiter, by exchange (R34).

Source: Binance spot rest-api.md (weights of 2023-08-25, order look-ups of 2024), as far as they are known; MEXC counts
300 in 10 s per address (reference orders.md 11), with the figures of its documents. Any other exchange counts
requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tradecore.venues.windows import Window

_JITTER_S: Final = 0.5
"""Requests may be so much nearer to each other at the venue than they were here.

Where the machine is busy a burst is stretched by more than that on its way, and meets the next one. MEXC does not tell
what it has counted, so its room is used up evenly, and over a longer span than it counts itself: whatever arrives up to
`_STRETCH_S` late, no ten seconds of its own hold more than what left here in `_STRETCH_S` more.
"""
_STRETCH_S: Final = 2.0
#: Operations of the venue port and of the market data port.
_BINANCE: Final = {
    "place": 1, "cancel": 1, "order": 4, "open_orders": 6, "open_orders_all": 80, "recent_orders": 20, "trades": 20,
    "balances": 20, "instruments": 20, "quote": 2, "quotes_few": 2, "quotes_some": 40, "quotes_all": 80,
    "best": 2, "best_many": 4, "book": 5, "candles": 2, "time": 1, "rights": 1, "probe": 1,
}  # fmt: skip
_MEXC: Final = {
    "order": 2, "open_orders": 3, "open_orders_all": 3, "recent_orders": 10, "trades": 10, "balances": 10,
    "instruments": 26, "quote": 25, "quotes_some": 40, "quotes_all": 40, "best": 10, "best_many": 10, "book": 3,
}  # fmt: skip
_WEIGHTS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {"binance": MappingProxyType(_BINANCE), "mexc": MappingProxyType(_MEXC)}
)

_WINDOWS: Final[Mapping[str, tuple[Window, ...]]] = MappingProxyType(
    {
        # 61,000 requests in five minutes and 200,000 orders a day cannot be reached within these
        "binance": (Window(6_000, 60 + _JITTER_S), Window(90, 10 + _JITTER_S, orders_only=True)),
        # an account may use 500, an address 300: whatever is asked is counted against the smaller one
        "mexc": (Window(285, 10 + _STRETCH_S), Window(90, 2.5)),
    }
)


def windows_of(exchange: str) -> tuple[Window, ...]:
    """What an exchange allows an address, over any such span; empty where nobody knows."""
    return _WINDOWS.get(exchange, ())


def weight_of(exchange: str, operation: str) -> int:
    """Requests that a call counts as; 1 where nobody knows better."""
    return _WEIGHTS.get(exchange, {}).get(operation, 1)


def book_weight(exchange: str, levels: int) -> int:
    """Weight of an order book by the number of levels asked for."""
    if exchange != "binance":
        return weight_of(exchange, "book")
    return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250
