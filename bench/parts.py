"""The parts of the way of a candidate, one by one. Prints one JSON object.

    python bench/parts.py [--repeats 7] [--wall-seconds 20]

Figures are the median over repeats of a mean, after one repeat to warm up, unless their name says otherwise. Arguments
of the hooks are those of a real session, caught at its door.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from tradecore.app import Options, execute, prepare
from tradecore.clocks.clock import LoopClock
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on
from tradecore.engine.pipeline import Pipeline
from tradecore.engine.scan import Scanner
from tradecore.hooks.admit import invite
from tradecore.hooks.calls import Calls
from tradecore.hooks.specs import hookimpl
from tradecore.journal.mask import Mask
from tradecore.journal.opening import open_journal
from tradecore.model.events import OrderFill, Stamped
from tradecore.model.records import Memory
from tradecore.model.signal import Verdict
from tradecore.store.database import sqlite_url
from tradecore.store.opening import open_store
from tradecore.venues.twin.venue import TwinVenue

PLUGINS = "signals_drop,size_fixed,risk_limits,exec_ioc_gtc,exits"


def per_call(function: Callable[[], Any], repeats: int, least_s: float = 0.05) -> float:
    """Median over repeats of the mean seconds of one call."""
    number = 1
    while True:
        started = time.perf_counter()
        for _ in range(number):
            function()
        if time.perf_counter() - started > least_s:
            break
        number *= 2
    means = []
    for _ in range(repeats):
        started = time.perf_counter()
        for _ in range(number):
            function()
        means.append((time.perf_counter() - started) / number)
    return statistics.median(means)


class Caught:
    """Arguments of the first calls of a session."""

    def __init__(self) -> None:
        self.by_name: dict[str, tuple[Any, ...]] = {}
        self.calls: Calls | None = None

    def wrap(self, name: str) -> None:
        real = getattr(Calls, name)
        caught = self

        def catching(calls: Calls, *arguments: Any) -> Any:
            caught.calls = calls
            caught.by_name[name] = arguments
            return real(calls, *arguments)

        setattr(Calls, name, catching)
        self.restore = [*getattr(self, "restore", []), (name, real)]

    def unwrap(self) -> None:
        for name, real in self.restore:
            setattr(Calls, name, real)


def session(caught: Caught, symbols: int) -> dict[str, Any]:
    """Run a short session and keep what its door was asked with."""
    for name in ("signals", "size", "risk", "route"):
        caught.wrap(name)
    flags = {
        "symbols": f"market.generated.symbols={symbols}", "mood": "market.generated.mood=lively",
        "for": "run.for=300m", "speed": "run.speed=max",
    }  # fmt: skip
    outcome = execute(prepare(Options("base", {}, plugins=PLUGINS, flags=flags)))
    caught.unwrap()
    return outcome.summary


def deciding(caught: Caught, repeats: int) -> dict[str, float]:
    """A candidate through size, risk and route, and the signal guests' share of one row."""
    calls = caught.calls
    assert calls is not None
    parts = {}
    for name in ("size", "risk", "route"):
        arguments = caught.by_name[name]
        parts[f"{name}_us"] = per_call(lambda n=name, a=arguments: getattr(calls, n)(*a), repeats) * 1e6  # type: ignore[misc]
    frame, rows = caught.by_name["signals"]
    one_row = range(rows.stop - 1, rows.stop)
    parts["signal_one_row_us"] = per_call(lambda: calls.signals(frame, one_row), repeats) * 1e6
    parts["signal_block_row_us"] = per_call(lambda: calls.signals(frame, rows), repeats) * 1e6 / len(rows)
    parts["candidate_us"] = parts["size_us"] + parts["risk_us"] + parts["route_us"]
    return {name: round(value, 2) for name, value in parts.items()}


def scan_ms(caught: Caught, symbols: int, repeats: int) -> float:
    """One row of a wall-clock feed: all signal guests asked for it, compared, counted; no candidate among them."""
    calls = caught.calls
    assert calls is not None
    frame, _ = caught.by_name["signals"]
    assert len(frame.symbols) == symbols

    class OneRow:
        next_close_ms = int(frame.timestamps[-1])

        def block(self, warmup: int, count: int) -> Any:
            return frame.cut(max(0, frame.rows - warmup - 1), frame.rows)

    feed: Any = OneRow()

    def once() -> None:
        scanner = Scanner(calls, feed, 60, 1)
        scanner.look_ahead()
        scanner.next_row(OneRow.next_close_ms)

    return round(per_call(once, repeats) * 1e3, 3)


class Nothing(BaseModel, frozen=True, extra="forbid"):
    """No settings."""


class Agrees:
    """A risk guest that does nothing."""

    Settings = Nothing

    def __init__(self, settings: Nothing) -> None:
        self.settings = settings

    @hookimpl
    def risk_check(self, intent: Any, portfolio: Any, market: Any) -> Verdict:
        return _EMPTY


_EMPTY = Verdict()


def guarded(caught: Caught, repeats: int) -> dict[str, float]:
    """What the guard costs for five guests that do nothing, over calling them in a plain loop."""
    guests = [invite(f"guest{n}", Agrees, Nothing(), order=n) for n in range(5)]
    arguments = caught.by_name["risk"]
    loop = MarketLoop(None)
    calls = Calls(
        guests, clock=LoopClock(loop, 0), deadlines_ms={"risk_check": 1_000.0}, virtual=True,
        on_fault=lambda event: None, on_quarantine=lambda *a: None, on_late=lambda event: None,
    )  # fmt: skip
    asks = [guest.asks["risk_check"] for guest in guests]
    slots = calls._slots.at("risk_check")

    def plain() -> None:
        for ask in asks:
            ask(*arguments)

    plain_s = per_call(plain, repeats)
    guard_s = per_call(lambda: calls._ask("risk_check", slots, arguments, _as_it_is), repeats)
    whole_s = per_call(lambda: calls.risk(*arguments), repeats)
    loop.close()
    return {
        "plain_loop_ns": round(plain_s * 1e9),
        "guarded_ns": round(guard_s * 1e9),
        "guard_over_plain_ns": round((guard_s - plain_s) * 1e9),
        "with_checks_and_combination_ns": round(whole_s * 1e9),
    }


def _as_it_is(answer: Any) -> Any:
    return answer


def journal_us(repeats: int) -> dict[str, float]:
    """One order_fill: inline with its write, and the caller's share where a thread writes."""
    event = OrderFill(
        "BTC/USDT", "buy", 1, "T1", Decimal("60123.45"), Decimal("0.00123"), Decimal("73.9518435"),
        Decimal("0.0739518435"), "USDT", False, False,
    )  # fmt: skip
    found = {}
    for name, speed in (("inline", None), ("threaded_caller", 1.0)):
        with tempfile.TemporaryDirectory() as folder:
            loop = MarketLoop(speed)

            async def work(folder: str = folder, loop: MarketLoop = loop) -> float:
                journal = open_journal(
                    Path(folder), session="bench", clock=LoopClock(loop, 0), mask=Mask(["s3cr3t-of-a-bench"]),
                    queue=10_000_000,
                )  # fmt: skip
                number = 5_000
                means = []
                for _ in range(repeats):
                    started = time.perf_counter()
                    for _ in range(number):
                        journal.note(event)
                    means.append((time.perf_counter() - started) / number)
                await journal.close(30)
                return statistics.median(means)

            found[f"{name}_us"] = round(run_on(work(), loop) * 1e6, 2)
    return found


def commits_ms(repeats: int) -> dict[str, float]:
    """One transaction of six rows and one event, inline, by SQLite's `synchronous`."""
    found = {}
    event = OrderFill("A/B", "buy", 1, "T", Decimal(1), Decimal(1), Decimal(1), Decimal(0), "B", False, False)
    for synchronous in ("FULL", "OFF"):
        with tempfile.TemporaryDirectory() as folder:
            loop = MarketLoop(None)

            async def work(folder: str = folder, synchronous: Any = synchronous) -> list[float]:
                store = open_store(sqlite_url(Path(folder) / "s.db"), inline=True, synchronous=synchronous)
                took = []
                for n in range(100 * repeats):
                    rows = [Memory(f"bench/{n}/{k}", "x" * 100, n) for k in range(6)]
                    started = time.perf_counter()
                    await store.commit(rows, [Stamped(n, event)])
                    took.append(time.perf_counter() - started)
                await store.close()
                return took

            took = sorted(run_on(work(), loop))
            found[f"{synchronous}_median_ms"] = round(statistics.median(took) * 1e3, 3)
            found[f"{synchronous}_p99_ms"] = round(took[int(len(took) * 0.99)] * 1e3, 3)
    return found


def signal_to_send_ms(wall_seconds: float) -> dict[str, Any]:
    """From a hit's first question to the request at the venue, wall clock, writer thread, `synchronous` FULL."""
    begun: dict[str, float] = {}
    took: list[float] = []
    plan, place = Pipeline._plan, TwinVenue.place

    def planning(self: Pipeline, hit: Any, *rest: Any) -> Any:
        begun[hit.symbol] = time.perf_counter()
        return plan(self, hit, *rest)

    async def placing(self: TwinVenue, order: Any) -> Any:
        started = begun.pop(order.symbol, None)
        if started is not None and str(order.side) == "buy":
            took.append(time.perf_counter() - started)
        return await place(self, order)

    Pipeline._plan = planning
    TwinVenue.place = placing
    try:
        with tempfile.TemporaryDirectory() as folder:
            flags = {
                "symbols": "market.generated.symbols=60", "timeframe": "market.generated.timeframe=5s",
                "for": f"run.for={int(wall_seconds * 20)}s", "speed": "run.speed=20",
                "positions": "risk_limits.max_positions=500", "exposure": "risk_limits.max_exposure_pct=100",
                "rate": "risk_limits.max_orders_per_minute=10000", "trades": "risk_limits.max_trades_per_day=100000",
                "drop": "signals_drop.drop_pct=0.7", "look": "signals_drop.lookback=5m",
            }  # fmt: skip
            sets = tuple(flags.values())
            execute(prepare(Options("base", {}, sets=sets, plugins=PLUGINS, state=Path(folder) / "s")))
    finally:
        Pipeline._plan = plan
        TwinVenue.place = place
    took.sort()
    if not took:
        return {"orders": 0}
    return {
        "orders": len(took),
        "median_ms": round(statistics.median(took) * 1e3, 3),
        "p90_ms": round(took[int(len(took) * 0.9)] * 1e3, 3),
        "includes": "two commits before the send (intent, attempt) and the one that says SENDING",
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--wall-seconds", type=float, default=20.0)
    chosen = parser.parse_args()
    caught = Caught()
    summary = session(caught, 137)
    print(
        json.dumps(
            {
                "benchmark": "parts",
                "python": platform.python_version(),
                "numpy": np.__version__,
                "cores": os.cpu_count(),
                "load_1m": round(os.getloadavg()[0], 2),
                "session": {key: summary[key] for key in ("seed", "symbols", "rows", "signals", "orders_sent")},
                "deciding_hooks": deciding(caught, chosen.repeats),
                "scan_137_symbols_ms": scan_ms(caught, 137, chosen.repeats),
                "five_guests": guarded(caught, chosen.repeats),
                "journal_event": journal_us(chosen.repeats),
                "commit_six_rows": commits_ms(chosen.repeats),
                "signal_to_order_sent": signal_to_send_ms(chosen.wall_seconds),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
