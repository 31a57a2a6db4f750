"""Orders over loopback HTTP against the venue on the wire: how many a second, how long each takes.

    python bench/wire.py [--wire binance] [--orders 2000] [--clients 1]

Prints one JSON object. Client and server share one process and one core: a real client sees less of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from decimal import Decimal
from urllib.parse import urlencode

import aiohttp
import yarl

from tradecore.clocks.clock import SystemClock
from tradecore.market.generate import GeneratedSource
from tradecore.venues.twin.build import TwinPlan, open_twin
from tradecore.venues.twin.wire.desk import Limits
from tradecore.venues.twin.wire.keys import ApiKey
from tradecore.venues.twin.wire.server import WireServer

NO_LIMITS = Limits(None, None, None, None)


async def place(http: aiohttp.ClientSession, server: WireServer, key: ApiKey, price: str, clock: SystemClock) -> float:
    """Place one IOC below the market and return the milliseconds that it took."""
    kind = {"type": "LIMIT", "timeInForce": "IOC"} if server.desk.wire == "binance" else {"type": "IMMEDIATE_OR_CANCEL"}
    facts = {
        "symbol": "BTCUSDT", "side": "BUY", **kind, "quantity": "0.01", "price": price, "recvWindow": 50_000,
        "timestamp": clock.now_ms(),
    }  # fmt: skip
    text = urlencode(facts)
    signed = f"{text}&signature={key.sign(text)}"
    url = f"{server.base_url}/api/v3/order"
    headers = {"X-MBX-APIKEY": key.name, "Content-Type": "application/x-www-form-urlencoded"}
    body: str | None = signed
    if server.desk.wire == "mexc":
        url, body = f"{url}?{signed}", None
        headers = {"X-MEXC-APIKEY": key.name, "Content-Type": "application/json"}
    start = time.perf_counter()
    async with http.post(yarl.URL(url, encoded=True), data=body, headers=headers) as response:
        answer = await response.read()
    took = (time.perf_counter() - start) * 1_000
    assert response.status == 200, answer
    return took


async def measure(wire: str, orders: int, clients: int) -> dict[str, object]:
    clock = SystemClock()
    start_ms = clock.now_ms() // 60_000 * 60_000 - 3_600_000
    source = GeneratedSource(7, ["BTC"], 60_000, "calm", start_ms=start_ms)
    plan = TwinPlan(manners=wire, latency_ms=0)
    twin = open_twin(clock, source, seed=7, generator=random.Random(7), plan=plan)
    twin.venue.open_balances({"USDT": Decimal(1_000_000)})
    key = ApiKey("bench", "bench")
    server = await WireServer(twin, wire=wire, clock=clock, keys=[key], limits=NO_LIMITS).start()
    price = str((twin.venue.peek_book("BTC/USDT").best_bid * Decimal("0.9")).quantize(Decimal("0.01")))
    took: list[float] = []

    async def client(http: aiohttp.ClientSession) -> None:
        for _ in range(orders // clients):
            took.append(await place(http, server, key, price, clock))

    async with aiohttp.ClientSession() as http:
        await place(http, server, key, price, clock)
        begun = time.perf_counter()
        await asyncio.gather(*(client(http) for _ in range(clients)))
        passed = time.perf_counter() - begun
    true = len(twin.venue.truth().orders())
    await server.close()
    twin.venue.engine.state.close()
    took.sort()
    return {
        "wire": wire, "orders": len(took), "clients": clients, "orders_per_s": round(len(took) / passed, 1),
        "place_p50_ms": round(took[len(took) // 2], 3), "place_p99_ms": round(took[len(took) * 99 // 100], 3),
        "in_the_truth_log": true - 1,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wire", choices=["binance", "mexc"], default="binance")
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=1)
    asked = parser.parse_args()
    print(json.dumps(asyncio.run(measure(asked.wire, asked.orders, asked.clients))))


if __name__ == "__main__":
    main()
