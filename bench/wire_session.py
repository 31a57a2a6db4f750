"""The program against a venue on loopback: limiter, orders on the wire, doubts settled, and a start with open orders.

    python bench/wire_session.py [--wire binance] [--orders 200] [--attempts 100] [--parts start]

Prints one JSON object. Program and venue share one process and one core: a real program has one for itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import ccxt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.campaigns.wire_placement import QUICK, deal
from tests.campaigns.wire_stage import Act, Scene, Stage, play
from tests.canary import KEY, SECRET
from tradecore.clocks.clock import LoopClock, SystemClock
from tradecore.clocks.loop import MarketLoop, run
from tradecore.model.events import ExchangeCall, ReconciliationResult
from tradecore.model.order import AttemptState
from tradecore.model.places import STORE_FILE
from tradecore.ports.limiter import Priority
from tradecore.testing.records import records_of
from tradecore.venues.ccxt.keys import ApiKeys
from tradecore.venues.ccxt.open import open_ccxt
from tradecore.venues.limiter import RequestLimiter
from tradecore.venues.twin.gate import Refused
from tradecore.venues.twin.wire.auth import Request
from tradecore.venues.twin.wire.desk import Limits
from tradecore.venues.twin.wire.spoil import Reply


def spread(values: Sequence[float]) -> dict[str, float]:
    """Middle, 99 % and worst of some figures."""
    ordered = sorted(values)
    at = lambda share: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)  # noqa: E731 - three uses
    return {"count": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": round(ordered[-1], 3)}


# The limiter ------------------------------------------------------------------------------------------------------


def limiter(wire: str) -> dict[str, Any]:
    """How many turns a second it can give, how exactly it keeps a minute, and how many reads a second get through."""

    async def turns(count: int) -> float:
        clock = SystemClock()
        one = RequestLimiter(clock, 10**9)

        async def customer() -> None:
            for _ in range(count // 20):
                await one.acquire(Priority.ORDER)
                await asyncio.sleep(0)

        begun = time.perf_counter()
        await asyncio.gather(*(customer() for _ in range(20)))
        return count / (time.perf_counter() - begun)

    async def minutes(loop: MarketLoop) -> list[int]:
        clock = LoopClock(loop, 0)
        one = RequestLimiter(clock, 800)
        given: Counter[int] = Counter()

        async def customer() -> None:
            while clock.now_ms() < 600_000:
                await one.acquire(Priority.RECONCILE)
                given[clock.now_ms() // 60_000] += 1

        await asyncio.gather(*(customer() for _ in range(8)))
        return [given[minute] for minute in range(10)]

    loop = MarketLoop()
    return {
        "turns_per_s": round(asyncio.run(turns(200_000))), "asked_per_minute": 800,
        "given_per_minute": run(minutes(loop), loop), "reads_per_s_over_http": _reads(wire),
    }  # fmt: skip


def _reads(wire: str) -> float:
    """Own orders read one after the other through limiter, ccxt and loopback HTTP."""
    count = 400
    with tempfile.TemporaryDirectory(prefix="wire-bench-") as made:
        stage = Stage(Scene(wire, speed=1.0, limits=Limits(None, None, None, None)), Path(made))

        async def story() -> float:
            limit = RequestLimiter(stage.clock, 10**9)
            venue = open_ccxt(
                wire, clock=stage.clock, limiter=limit, keys=ApiKeys(KEY, SECRET), base_url=stage.server.base_url
            )  # fmt: skip
            try:
                await venue.order("BTC/USDT", "f" * 32)
                begun = time.perf_counter()
                for _ in range(count):
                    await limit.acquire(Priority.RECONCILE, weight=venue.weight_of("order"))
                    await venue.order("BTC/USDT", "f" * 32)
                return count / (time.perf_counter() - begun)
            finally:
                await venue.close()

        return round(stage.run(story), 1)


# From signal to order ---------------------------------------------------------------------------------------------


def signal_to_order(wire: str, orders: int) -> dict[str, Any]:
    """From the close of a row, on which a guest decides, to the arrival of the order at the venue; wall time."""
    arrived: dict[str, int] = {}

    async def story(act: Act) -> None:
        serve = act.server._door.serve

        async def noted(request: Request) -> Reply:
            if (request.method, request.path) == ("POST", "/api/v3/order"):
                (wire_id,) = parse_qs(request.text)["newClientOrderId"]
                arrived[wire_id] = act.clock.now_ns()
            return await serve(request)

        act.server._door.serve = noted  # type: ignore[method-assign]
        while len(arrived) < orders and not act.engine.desk.stopping:
            await act.wait(0.2)
        act.engine.request_stop("measured")

    sets = (
        'market.row="1s"', "signals_drop.drop_pct=0.02", "risk_limits.max_positions=60", 'exits.time_to_live="3s"',
        "store.synchronous=FULL",
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="wire-bench-") as made:
        played = play(Scene(wire, speed=1.0, for_s=120, symbols=30, sets=sets), Path(made), story)
        records, found = records_of(played.folder / STORE_FILE), played.findings()
    intents = {row.intent.intent_id: row.intent for row in records.intents}
    first = [a for a in records.attempts if a.number == 1 and not a.reduces and a.wire_id in arrived]
    close = [arrived[a.wire_id] / 1e6 - intents[a.intent_id].signal.decided_ms for a in first]
    made_ms = [arrived[a.wire_id] / 1e6 - a.prepared_ms for a in first]
    return {
        "symbols": 30, "from_row_close_ms": spread(close), "from_first_write_ms": spread(made_ms), "findings": found,
    }  # fmt: skip


# Doubts -----------------------------------------------------------------------------------------------------------


def doubts(wire: str) -> dict[str, Any]:
    """Time to settle an order whose answer proved nothing, in market time, with the times of the default settings."""
    sets = (
        *QUICK["sets"], "venue.receive_window_ms=5000", "venue.engine_timeout_ms=10000", "venue.read_lag_ms=30000",
        "venue.clock_error_ms=500", "venue.timeout_ms=10000",
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="wire-bench-") as made:
        scene = Scene(wire, **{**QUICK, "speed": 10.0, "for_s": 300, "sets": sets})
        played, fates = deal(scene, Path(made))
        found = played.findings()
    settled = [fate for fate in fates if fate.settle_ms is not None]
    return {
        "speed": 10.0, "orders": len(fates), "wrong": sum(bool(fate.wrong) for fate in fates),
        "there_ms": spread([fate.settle_ms or 0 for fate in settled if fate.there]),
        "absent_ms": spread([fate.settle_ms or 0 for fate in settled if not fate.there]),
        "findings": found,
    }  # fmt: skip


# A start ----------------------------------------------------------------------------------------------------------


def start(wire: str, attempts: int) -> dict[str, Any]:
    """Start on a state with so many open orders, most of which were filled meanwhile, or all of which stand."""
    sets = (
        'exec_ioc_gtc.steps=[{time_in_force="GTC", premium_bps=0, attempts=1, ttl_ms=3000000}]', 'market.row="2s"',
        "size_fixed.amount=20", "size_fixed.symbol_max=40", "signals_drop.drop_pct=0.01", "engine.intent_ttl_s=3600",
        "shutdown.policy=keep", "risk_limits.max_positions=500", "universe.count=500", "signals_drop.expires_s=3600",
        f"universe.exclude={json.dumps(_renamed(wire))}", 'run.allow=["requests_over_limit"]',
        "limiter.requests_per_minute=800",  # watching open orders takes half of it: MEXC allows twice as much
    )  # fmt: skip

    async def story(act: Act) -> None:
        act.faults.always("no_liquidity")
        act.desk.engine._meet = lambda symbol, step: None  # type: ignore[method-assign]  # nobody comes to them either
        while len(act.desk.engine.open_orders) < attempts and not act.engine.desk.stopping:
            await act.wait(0.02)
        act.engine.request_stop("enough")

    with tempfile.TemporaryDirectory(prefix="wire-bench-") as made:
        folder = Path(made)
        # a venue takes a hundred orders in ten seconds, and the feed asks too: it takes a while until all stand
        scene = Scene(wire, speed=5.0, for_s=900, symbols=attempts + 60, sets=sets)
        first = Stage(scene, folder)
        first.run(lambda: first.trade(story))
        records = records_of(folder / "state" / STORE_FILE)
        open_ones = [a for a in records.attempts if a.state is not AttemptState.SETTLED]
        left, state = Counter(str(a.state) for a in open_ones), {a.wire_id for a in open_ones}
        began_s = int(first.loop.time()) + 1
        starts = {}
        for name, limit, stands in (
            ("filled_no_limit", 100_000, False),
            ("filled", 800, False),
            ("standing", 800, True),
        ):
            place = folder.with_name(f"{folder.name}-{name}")
            shutil.copytree(folder, place)
            more = ("shutdown.policy=cancel", f"limiter.requests_per_minute={limit}")
            stage = Stage(scene._replace(for_s=240, speed=5.0, sets=(*sets, *more)), place, began_s)
            if stands:
                stage.server.desk.engine._meet = lambda symbol, step: None  # type: ignore[method-assign]
            starts[name] = _started(stage, state)
            shutil.rmtree(place)
    return {"unsettled_before": dict(left), "starts": starts}


def _renamed(wire: str) -> list[str]:
    """Symbols of the drawn market that ccxt gives other names: the twin's truth could not be held against ours."""
    common: dict[str, str] = getattr(ccxt, wire)().commonCurrencies
    return [f"{name}/USDT" for code, name in common.items() if code != name]


def _started(stage: Stage, before: set[str]) -> dict[str, Any]:
    """Start, and say what it took until entries were allowed and until every order of before had settled."""
    gate, weighed = stage.server.desk.gate, list[tuple[int, int]]()
    enter, began = gate.enter, time.perf_counter()

    def counted(now_ms: int, weight: int = 1) -> Refused | None:
        refused = enter(now_ms, weight)
        weighed.append((now_ms, -1 if refused else weight))
        return refused

    gate.enter = counted  # type: ignore[method-assign]
    done_s = [0.0]

    async def until_settled(act: Act) -> None:
        """Note the moment of the wall at which nothing of before is under way."""
        books = act.engine.desk.books
        while any(one.wire_id in before and one.state is not AttemptState.SETTLED for one in books.attempts.values()):
            await act.wait(0.05)
            if act.engine.desk.stopping:
                return
        done_s[0] = time.perf_counter() - began

    played = stage.run(lambda: stage.trade(until_settled))
    told = [
        note for note in played.notes(ExchangeCall, ReconciliationResult)
        if note.at_ns >= stage.clock.epoch_ms * 1_000_000
    ]  # fmt: skip
    end = next(note.at_ns for note in told if isinstance(note.event, ReconciliationResult))
    calls = [note for note in told if isinstance(note.event, ExchangeCall) and note.at_ns <= end]
    attempts = [a for a in records_of(played.folder / STORE_FILE).attempts if a.wire_id in before]
    last = max(a.settled_ms or 0 for a in attempts)
    return {
        "requests": len(calls),
        "weight": sum(max(0, weight) for at_ms, weight in weighed if at_ms * 1_000_000 <= end),
        "refused": sum(weight < 0 for _, weight in weighed),
        "by_operation": dict(sorted(Counter(note.event.operation for note in calls).items())),
        "reconciled_s": round((end - stage.clock.epoch_ms * 1_000_000) / 1e9, 3),
        "settled_s": round((last - stage.clock.epoch_ms) / 1e3, 3), "settled_wall_s": round(done_s[0], 3),
        "unsettled": sum(a.state is not AttemptState.SETTLED for a in attempts), "findings": played.findings(),
    }  # fmt: skip


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wire", choices=["binance", "mexc"], default="binance")
    parser.add_argument("--orders", type=int, default=200, help="whose way from the signal is timed")
    parser.add_argument("--attempts", type=int, default=100, help="that a start finds open")
    parts = {
        "limiter": lambda: limiter(asked.wire), "signal_to_order": lambda: signal_to_order(asked.wire, asked.orders),
        "unknown_settled": lambda: doubts(asked.wire), "start": lambda: start(asked.wire, asked.attempts),
    }  # fmt: skip
    parser.add_argument("--parts", default=",".join(parts), help="with commas")
    asked = parser.parse_args()
    report = {"wire": asked.wire, **{name: parts[name]() for name in asked.parts.split(",")}}
    print(json.dumps(report, indent=1, default=str))


if __name__ == "__main__":
    main()
