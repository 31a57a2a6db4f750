"""How long an unproven order takes to settle, and what a start with many open orders costs. Prints one JSON object.

    python bench/settle.py [--repeats 5] [--open 100]

Market time by the twin (receive window 5 s, engine time-out 1 s), with reads that show the present and reads that all
lag by 30 s, which is what a real venue is granted; wall time of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tradecore.engine.engine import Engine
from tradecore.model.events import OrderAttempt, OrderDone, SweepReport
from tradecore.model.order import AttemptState
from tradecore.model.places import STORE_FILE
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import ScriptedSource, allower, closing_at, router, row_close_ms, sizer, wisher
from tradecore.testing.harness import Scene, at, play, twin_of
from tradecore.testing.records import records_of
from tradecore.venues.twin.build import TwinPlan
from tradecore.venues.twin.venue import TwinVenue

IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
FAULTS: dict[str, tuple[str, float | None]] = {
    "answer_lost": ("lost_ack", None),
    "request_lost": ("lost_request", None),
    "request_late": ("late_request", 4_000),
    "http_504_accepted": ("http_504_accepted", None),
    "page_200_accepted": ("html_200", None),
    "wrong_echo": ("wrong_echo", None),
}
READ_LAGS_MS = (0, 30_000)
"""By how much every read of orders and trades lags: not at all, and all that a real venue is granted."""


def one_order(seed: int, read_lag_ms: int) -> Scene:
    source = ScriptedSource({"AAA/USDT": closing_at(*(100,) * 10)})
    guests = [wisher({1: ("AAA/USDT",)}), sizer("1"), allower(), router((IOC, "20", 2_000))]
    return Scene(source, guests, ("market.between_closes=false", f"twin.read_lag_ms={read_lag_ms}"), seed=seed)


def settle_ms(name: str, seed: int, read_lag_ms: int) -> tuple[int, int]:
    """Market milliseconds from UNKNOWN to SETTLED, and reads of the venue meanwhile."""
    fault, argument = FAULTS[name]
    reads: Counter[str] = Counter()

    def begin(engine: Engine) -> None:
        twin = twin_of(engine)
        twin.faults.once(fault, argument)
        real = twin._ask

        async def ask(operation: str, act: Any) -> Any:
            reads[operation] += engine.desk.clock.now_ms() >= row_close_ms(1)
            return await real(operation, act)

        twin._ask = ask  # type: ignore[method-assign]  # to count what goes over the wire

    folder = Path(tempfile.mkdtemp(prefix="settle-"))
    try:
        done = play(one_order(seed, read_lag_ms), folder / "state", begin=begin)
        assert done.violations() == (), done.violations()
        unknown = [e.at_ns for e in done.notes(OrderAttempt) if e.event.state == AttemptState.UNKNOWN]
        settled = [e.at_ns for e in done.notes(OrderDone)]
        return (settled[0] - unknown[0]) // 1_000_000, reads["order"] + reads["lists"] + reads["trades"]
    finally:
        shutil.rmtree(folder)


def start_with(orders: int) -> dict[str, float]:
    """Kill a run with so many orders open, start again, and take what the start needed."""
    symbols = [f"C{n:03d}/USDT" for n in range(orders)]
    source = ScriptedSource({symbol: closing_at(*(100,) * 8) for symbol in symbols})
    guests = [wisher({1: tuple(symbols)}), sizer("0.5"), allower(), router((GTC, "-60", 400_000))]
    scene = Scene(
        source, guests, ("market.between_closes=false", "twin.read_lag_ms=30000", "account.opening={USDT=1000000}")
    )
    folder = Path(tempfile.mkdtemp(prefix="settle-"))
    try:
        copy = folder / "killed"

        def begin(engine: Engine) -> None:
            at(engine, row_close_ms(3), lambda: shutil.copytree(folder / "state", copy))

        play(scene, folder / "state", begin=begin)
        live = [a for a in records_of(copy / STORE_FILE).attempts if a.state is not AttemptState.SETTLED]
        assert len(live) == orders, len(live)
        asked: Counter[str] = Counter()
        real = TwinVenue._ask
        wall = [time.perf_counter(), 0.0]

        async def ask(self: TwinVenue, operation: str, act: Any) -> Any:
            if not wall[1]:
                asked[operation] += 1
            return await real(self, operation, act)

        def stands(engine: Engine) -> None:
            wall[1] = time.perf_counter()

        TwinVenue._ask = ask  # type: ignore[method-assign]  # to count what goes over the wire
        try:
            wall[0] = time.perf_counter()
            again = play(scene, copy, begin=stands)
        finally:
            TwinVenue._ask = real  # type: ignore[method-assign]  # as above
        assert again.violations() == (), again.violations()
        report = next(e.event for e in reversed(again.notes(SweepReport)) if e.event.when == "start")
        return {
            "open_orders": orders, "requests": sum(asked.values()), "market_ms": report.duration_ms,
            "wall_ms": round((wall[1] - wall[0]) * 1_000, 1),
            **{f"requests_{name}": count for name, count in sorted(asked.items())},
        }  # fmt: skip
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--open", type=int, default=100)
    given = parser.parse_args()
    settle: dict[str, dict[str, float]] = {}
    for name, lag in ((name, lag) for name in FAULTS for lag in READ_LAGS_MS):
        found = [settle_ms(name, seed, lag) for seed in range(1, given.repeats + 1)]
        settle[f"{name}_lag_{lag}_ms"] = {
            "settle_market_ms": statistics.median(ms for ms, _ in found),
            "settle_market_ms_max": max(ms for ms, _ in found),
            "reads": statistics.median(reads for _, reads in found),
        }
    facts = {
        "python": platform.python_version(), "cores": os.cpu_count(), "repeats": given.repeats,
        "latency_ms": TwinPlan().latency_ms, "unknown": settle, "start": start_with(given.open),
    }  # fmt: skip
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
