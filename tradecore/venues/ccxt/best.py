"""Best bid and ask of many symbols in one cheap answer, read from an exchange's own book ticker.

Source: Binance spot rest-api.md, symbol order book ticker (weight 2 for one symbol, 4 for any number); MEXC spot v3,
symbol order book ticker (one symbol or all). ccxt's own parser makes a ticker of every row of the answer, thousands on
MEXC, before it picks: rows are picked here first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tradecore.errors import RetryableVenueError
from tradecore.ports.quotes import Quote
from tradecore.venues.ccxt.ways import Ways

_NAN: Final = math.nan


def parameters_of(ways: Ways, ids: Sequence[str]) -> Mapping[str, str]:
    """Name symbols to a book ticker: one, a list where the exchange takes one, or none for all.

    Args:
        ids: The exchange's own names, at least one.
    """
    if len(ids) == 1:
        return {"symbol": ids[0]}
    if len(ids) <= ways.ticker_list:
        return {"symbols": json.dumps(list(ids), separators=(",", ":"))}
    return {}


def best_of(answer: Any, wanted: Mapping[str, str], received_ms: int) -> Mapping[str, Quote]:
    """Turn an answer into quotes without last trade and volume; a row without either side is absent.

    Args:
        answer: One row, or a list of them.
        wanted: The exchange's name of a symbol to ours.
        received_ms: Market time at which it came.
    Raises:
        RetryableVenueError: It holds no such rows.
    """
    rows = [answer] if isinstance(answer, Mapping) else answer
    if not isinstance(rows, list) or not rows:
        raise RetryableVenueError(f"quotes: expected rows of a book ticker, was {type(answer).__name__}")
    found = {}
    for row in rows:
        symbol = wanted.get(row.get("symbol", "")) if isinstance(row, Mapping) else None
        if symbol is None:
            continue
        bid, bid_quantity, ask, ask_quantity = (
            number_of(row.get(name)) for name in ("bidPrice", "bidQty", "askPrice", "askQty")
        )
        if not (math.isnan(bid) and math.isnan(ask)):
            found[symbol] = Quote(symbol, received_ms, bid, ask, bid_quantity, ask_quantity, _NAN, _NAN, "rest")
    return found


def number_of(raw: Any) -> float:
    """A number of market data; NaN where there is none, or one that is no price of anything."""
    try:
        value = float(raw)
    except (TypeError, ValueError):
        return _NAN
    return value if math.isfinite(value) and value > 0 else _NAN
