"""How long reading thousands of markets anew holds the loop (INV-20). Prints one JSON object.

    python bench/wire_listing.py [--data FOLDER] [--repeats 5]

The markets are those of Binance as recorded, twice over under other names, served on loopback. `hold_ms` is the
longest time on the wall from one turn of the loop to the next while they are read, `thread_ms` the loop thread's own
work in it, `collector_ms` the longest round of Python's collector of cycles, which holds every thread.
`at_once` is ccxt's own way.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import gc
import json
import lzma
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ccxt.async_support as library
from aiohttp import web

from tradecore.clocks.clock import SystemClock
from tradecore.venues.ccxt.exchange import redirect
from tradecore.venues.ccxt.open import open_market
from tradecore.venues.ccxt.ways import ways_of
from tradecore.venues.limiter import RequestLimiter

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FILE = Path("markets") / "binance-exchangeInfo-2024-09-08.json.xz"


def recorded_twice(data: Path) -> bytes:
    """The body of the answer."""
    told = json.loads(lzma.decompress((data / FILE).read_bytes()))
    again = copy.deepcopy(told["symbols"])
    for row in again:
        row |= {"symbol": "X" + row["symbol"], "baseAsset": "X" + row["baseAsset"]}
    told["symbols"] += again
    return json.dumps(told, separators=(",", ":")).encode()


class Watch:
    """The longest hold, on the wall and by the loop thread's own work."""

    def __init__(self) -> None:
        self.hold_ms = self.thread_ms = self.collector_ms = 0.0
        self._began = 0.0

    def collecting(self, phase: str, _info: dict[str, int]) -> None:
        """Told by the collector as it begins and ends a round."""
        now = time.thread_time()
        if phase == "stop":
            self.collector_ms = max(self.collector_ms, (now - self._began) * 1000)
        self._began = now

    async def look(self) -> None:
        """Take turns until cancelled."""
        while True:
            wall, own = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0)
            self.hold_ms = max(self.hold_ms, (time.perf_counter() - wall) * 1000)
            self.thread_ms = max(self.thread_ms, (time.thread_time() - own) * 1000)


async def watched(read: Callable[[], Awaitable[Any]], repeats: int) -> dict[str, float]:
    """Read a few times and say what it held."""
    holds, own, took, rounds = [], [], [], []
    await read()
    for _ in range(repeats):
        watch = Watch()
        task = asyncio.create_task(watch.look())
        gc.callbacks.append(watch.collecting)
        began = time.perf_counter()
        await read()
        took.append((time.perf_counter() - began) * 1000)
        task.cancel()
        gc.callbacks.remove(watch.collecting)
        rounds.append(watch.collector_ms)
        holds.append(watch.hold_ms)
        own.append(watch.thread_ms)
    found = {
        "hold_ms_median": statistics.median(holds), "hold_ms_max": max(holds), "thread_ms_max": max(own),
        "collector_ms_max": max(rounds), "read_ms_median": statistics.median(took),
    }  # fmt: skip
    return {name: round(value, 1) for name, value in found.items()}


async def measure(body: bytes, repeats: int) -> dict[str, Any]:
    """Serve the body, read it both ways."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    clock = SystemClock()
    market = open_market("binance", clock=clock, limiter=RequestLimiter(clock, 1_000_000), base_url=url)
    plain = library.binance({"enableRateLimit": False, "options": dict(ways_of("binance").options)})
    plain.has["fetchCurrencies"] = False
    redirect(plain, url)
    try:
        found = await market.instruments()
        return {
            "markets": len(market.client.exchange.markets), "instruments": len(found),
            "megabytes": round(len(body) / 1e6, 2), "in_pieces": await watched(market.instruments, repeats),
            "at_once": await watched(lambda: plain.load_markets(True), repeats),
        }  # fmt: skip
    finally:
        await market.close()
        await plain.close()
        await runner.cleanup()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of recorded data")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    sys.stdout.write(json.dumps(asyncio.run(measure(recorded_twice(asked.data), asked.repeats)), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
