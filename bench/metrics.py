"""What the metrics plugin costs: on the trading loop, and on its own thread. Prints one JSON object.

    python bench/metrics.py [--repeats 7] [--symbols 137]

Figures are the median over repeats of a mean, after one repeat to warm up, unless their name says otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from prometheus_client.exposition import generate_latest
from tradecore_metrics.hearing import KINDS
from tradecore_metrics.plugin import Metrics
from tradecore_metrics.sinks import write_json

from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop
from tradecore.hooks.admit import invite
from tradecore.hooks.calls import Calls
from tradecore.hooks.specs import Resources
from tradecore.model.events import REGISTRY, Stamped
from tradecore.model.portfolio import FillRate
from tradecore.testing.contract.telling import sample
from tradecore.testing.contract.values import portfolio_of, position_of

NOW = 1_700_000_000_000


def per_call(function: Callable[[], Any], repeats: int, least_s: float = 0.05) -> float:
    """Median over repeats of the mean seconds of one call."""
    means = []
    for _ in range(repeats + 1):
        number, started = 0, time.perf_counter()
        while time.perf_counter() - started < least_s:
            function()
            number += 1
        means.append((time.perf_counter() - started) / number)
    return statistics.median(means[1:])


def portfolio(symbols: int) -> Any:
    """An account that traded every symbol and holds ten of them."""
    names = [f"COIN{number}/USDT" for number in range(symbols)]
    held = tuple(position_of(NOW, symbol=name) for name in names[:10])
    return portfolio_of(
        NOW, positions=held, marks=dict.fromkeys(names, Decimal(101)),
        fill_rate_24h=dict.fromkeys(names, FillRate(9, 4)),
    )  # fmt: skip


def told_us(guest: Metrics, repeats: int) -> dict[str, float]:
    """Microseconds of one event, at the door and without it, the mean over all kinds that are asked for."""
    events = [Stamped(NOW * 1_000_000, sample(REGISTRY[kind].schema)) for kind in sorted(KINDS - {"session_ended"})]
    loop = MarketLoop()
    calls = Calls(
        [invite("metrics", Metrics, guest.settings)],
        clock=LoopClock(loop, NOW),
        deadlines_ms={},
        virtual=True,
        on_fault=print,
        on_quarantine=print,
        on_late=print,
    )

    def plain() -> None:
        for event in events:
            guest.on_event(event)

    async def door() -> float:
        means = []
        for _ in range(repeats):
            started = time.perf_counter()
            for _ in range(50):
                for event in events:
                    await calls.tell("on_event", event)
            means.append((time.perf_counter() - started) / 50 / len(events))
        return statistics.median(means)

    try:
        at_door = asyncio.Runner(loop_factory=lambda: loop).run(door())
    finally:
        loop.close()
    return {
        "event_us": round(per_call(plain, repeats) / len(events) * 1e6, 2),
        "event_at_the_door_us": round(at_door * 1e6, 2),
    }


def disturbed_ms(guest: Metrics, seconds: float) -> dict[str, float]:
    """How late a thread wakes that asks for a millisecond, alone and beside clients that scrape without a pause."""
    bound = guest._exporter.bound if guest._exporter else None
    assert bound is not None
    over = threading.Event()

    def scrape() -> None:
        while not over.is_set():
            urllib.request.urlopen(f"http://{bound[0]}:{bound[1]}/metrics", timeout=10).read()

    def late() -> list[float]:
        until, found = time.perf_counter() + seconds, []
        while time.perf_counter() < until:
            asked = time.perf_counter()
            time.sleep(0.001)
            found.append((time.perf_counter() - asked - 0.001) * 1_000)
        return sorted(found)

    alone = late()
    clients = [threading.Thread(target=scrape) for _ in range(2)]
    for client in clients:
        client.start()
    beside = late()
    over.set()
    for client in clients:
        client.join()
    return {
        "wake_late_alone_median_ms": round(alone[len(alone) // 2], 3),
        "wake_late_alone_p99_ms": round(alone[len(alone) * 99 // 100], 3),
        "wake_late_beside_scrapes_median_ms": round(beside[len(beside) // 2], 3),
        "wake_late_beside_scrapes_p99_ms": round(beside[len(beside) * 99 // 100], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--symbols", type=int, default=137)
    given = parser.parse_args()
    guest = Metrics(Metrics.Settings(port=0))
    account = portfolio(given.symbols)
    (job,) = guest.jobs()
    with tempfile.TemporaryDirectory() as folder:
        costs = told_us(guest, given.repeats)
        costs["job_us"] = round(per_call(lambda: job.ask(account, None, None), given.repeats) * 1e6, 1)
        costs["render_ms"] = round(per_call(lambda: generate_latest(guest.figures), given.repeats) * 1e3, 2)
        path = Path(folder, "metrics.json")
        costs["file_ms"] = round(per_call(lambda: write_json(guest.figures, path, {}), given.repeats) * 1e3, 2)
        guest.on_start(Resources(Path(folder), {}, "bench"))
        try:
            costs |= disturbed_ms(guest, 3.0)
        finally:
            guest.on_shutdown("measured")
    print(json.dumps({
        "python": platform.python_version(), "cores": os.cpu_count(), "symbols": given.symbols,
        "figures": sum(1 for _ in guest.figures.values()),
        "rendered_bytes": len(generate_latest(guest.figures)), **costs,
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
