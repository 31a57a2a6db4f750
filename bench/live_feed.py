"""The live feed: what a quote costs, and what closing a row costs. Prints one JSON object.

    python bench/live_feed.py [--symbols 137 2000] [--rows 40] [--quotes 20]

No network: quotes are made beforehand and handed to the feed as a stream would. `quote_us` is one quote into the row
under way, `quote_watched_us` one whose symbol somebody listens for; `close_ms` is what the engine asks at a close: the
block for the guests, the row taken, and the history.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tradecore.model.book import Book
from tradecore.model.instrument import Instrument
from tradecore.ports.quotes import Candle, Quote
from tradecore.venues.live.feed import LiveFeed
from tradecore.venues.live.poller import LivePlan

ROW_MS = 5_000
WARMUP_ROWS = 720


class HandClock:
    """A clock that is set by hand."""

    virtual = False

    def __init__(self) -> None:
        self.at_ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def now_ns(self) -> int:
        return self.at_ms * 1_000_000

    def monotonic_s(self) -> float:
        return self.at_ms / 1_000

    async def sleep(self, seconds: float) -> None:
        self.at_ms += int(seconds * 1_000)

    async def sleep_until_ms(self, at_ms: int) -> None:
        self.at_ms = at_ms


class Nobody:
    """Market data that is never asked."""

    name = "nobody"

    async def instruments(self) -> Mapping[str, Instrument]:
        return {}

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        return {}

    async def best(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        return {}

    async def book(self, symbol: str) -> Book:
        return Book(symbol, 0, (), (), "nobody")

    async def candles(self, symbol: str, timeframe_ms: int, since_ms: int, limit: int) -> Sequence[Candle]:
        return ()

    async def server_time_ms(self) -> int:
        return 0

    async def close(self) -> None:
        return None


def listed(count: int) -> dict[str, Instrument]:
    step = Decimal("0.01")
    return {
        f"S{n:04d}/USDT": Instrument(
            f"S{n:04d}/USDT", f"S{n:04d}", "USDT", step, step, step, Decimal(0), Decimal(5), Decimal(10), Decimal(10),
            "USDT",
        )
        for n in range(count)
    }  # fmt: skip


def one(symbols: int, rows: int, quotes: int) -> dict[str, object]:
    clock = HandClock()
    instruments = listed(symbols)
    plan = LivePlan(row_ms=ROW_MS, history_rows=WARMUP_ROWS, backfill=False)
    feed = LiveFeed(
        clock, Nobody(), None, plan, symbols=tuple(instruments), instruments=instruments, note=lambda event: None
    )
    heard: list[str] = []
    per_quote: list[float] = []
    per_watched: list[float] = []
    per_close: list[float] = []
    for row in range(rows):
        if row == rows // 2:
            feed.on_price(heard.append)
        start_ms = feed.next_close_ms - ROW_MS
        for turn in range(quotes):
            clock.at_ms = start_ms + 1 + turn * (ROW_MS - 2) // quotes
            made = [
                Quote(s, clock.at_ms, 99.0 + turn / 50, 101.0, 1.0, 1.0, 100.0 + turn / 100, 1e6, "stream")
                for s in instruments
            ]
            began = time.perf_counter()
            for quote in made:
                feed.take_quote(quote)
            took = (time.perf_counter() - began) * 1e6 / symbols
            (per_quote if row < rows // 2 else per_watched).append(took)
        clock.at_ms = start_ms + ROW_MS
        began = time.perf_counter()
        assert feed.block(WARMUP_ROWS, 1) is not None
        assert feed.take() == clock.at_ms
        feed.history(WARMUP_ROWS)
        per_close.append((time.perf_counter() - began) * 1e3)
    return {
        "symbols": symbols, "rows": rows, "quotes": rows * quotes * symbols,
        "quote_us": round(statistics.median(per_quote), 2),
        "quote_watched_us": round(statistics.median(per_watched), 2),
        "close_ms": round(statistics.median(per_close), 3), "close_worst_ms": round(max(per_close), 3),
        "history_mb": round((WARMUP_ROWS * 5 // 4) * symbols * 40 / 2**20, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, nargs="+", default=[137, 2000])
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--quotes", type=int, default=20, help="quotes of each symbol in a row")
    asked = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    result: dict[str, Any] = {
        "python": platform.python_version(), "cores": os.cpu_count(), "commit": commit.stdout.strip(),
        "row_ms": ROW_MS, "warmup_rows": WARMUP_ROWS,
        "sizes": [one(symbols, asked.rows, asked.quotes) for symbols in asked.symbols],
    }  # fmt: skip
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
