"""A demo session: everything happens once, at a pace that a scrape can follow."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tradecore import Done, Intent, Job, OrderRequest, Reason, Verdict
from tradecore.app.session import Session
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.loop import run as run_on
from tradecore.engine.engine import Engine
from tradecore.model.signal import Check
from tradecore.model.units import TimeInForce
from tradecore.testing.factories import ScriptedSource, closing_at, leader, make_guest, sizer, wisher
from tradecore.testing.harness import Scene, prepared_of

A, B, C = "AAA/USDT", "BBB/USDT", "CCC/USDT"
IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
ROWS = 48


class Ended(NamedTuple):
    """What a session left."""

    summary: dict[str, Any]
    folder: Path


def risk():
    """No objection, with one check of each kind of limit."""

    def risk_check(intent: Intent, portfolio: Any) -> Verdict:
        most = portfolio.equity / 2
        checks = (
            Check("max_exposure", portfolio.exposure, most, "USDT", False),
            Check(
                "max_positions", portfolio.exposure - portfolio.exposure + len(portfolio.positions), most, "n", False
            ),
        )
        return Verdict(checks, {"slippage_bps_max": most - most + 40})

    return make_guest("risk", risk_check=risk_check)


def hunter():
    """Take at the touch; of what runs away wish for a price that never comes: an IOC expires, a GTC is cancelled."""

    def route_order(intent: Intent, book: Any, attempts: Any, now_ms: int) -> Any:
        if intent.reduces:
            return None
        left = intent.quantity - sum(attempt.filled_quantity for attempt in attempts)
        if len(attempts) == 2 or not left:
            return Done(Reason.LADDER_EXHAUSTED)
        price = book.asks[0][0] * (Decimal("0.9") if intent.symbol == C else 1)
        return OrderRequest((IOC, GTC)[len(attempts)], price, left, 2_000, f"rung {len(attempts) + 1}")

    return make_guest("route", route_order=route_order)


def clumsy():
    """A job that fails whenever it is asked."""

    def jobs():
        def ask(portfolio: Any, market: Any, last: Any) -> None:
            raise RuntimeError("on purpose")

        return (Job("stumble", 60.0, ask),)

    return make_guest("clumsy", jobs=jobs)


def demo_scene(*sets: str) -> Scene:
    """One symbol is bought and sold again and again, one stays, one runs away from every order."""
    swing = [100.0, 100.0, 103.0, 103.0, 97.0, 100.0] * (ROWS // 6)
    away = [50 + row * 0.4 for row in range(ROWS)]
    buys = dict.fromkeys(range(1, ROWS - 8, 6), (A, C))
    buys |= dict.fromkeys((3, 9, 15, 21), (B,))
    guests = [
        wisher(buys), sizer({A: "2", B: "3", C: "2"}), risk(), hunter(), leader(take=1.02, stop=0.9), clumsy(),
        "metrics",
    ]  # fmt: skip
    candles = {A: closing_at(*swing), B: closing_at(*[100.0] * ROWS), C: closing_at(*away)}
    faults = "twin.faults=lost_ack:0.1"
    return Scene(
        ScriptedSource(candles), guests, ("metrics.port=0", faults, "market.between_closes=false", *sets), seed=3
    )


class Began:
    """Sees a session begin (`app.session.Screen`)."""

    def __init__(self, begun: Callable[[Engine], None]) -> None:
        self._begun = begun

    def begin(self, engine: Engine, clock: Any, stop_at_ms: int | None) -> None:
        self._begun(engine)

    def end(self) -> None:
        pass


def run_paced(scene: Scene, folder: Path, speed: float, begun: Callable[[Engine], None]) -> Ended:
    """Run a scene at a speed of the wall, in this thread."""
    folder.mkdir(parents=True, exist_ok=True)
    prepared = prepared_of(scene.with_sets(f"run.speed={speed}"))
    loop = MarketLoop(speed)
    session = Session(prepared, folder, True, time.monotonic())
    outcome = run_on(session.run(loop, Began(begun)), loop)
    return Ended(dict(outcome.summary), folder)


@pytest.fixture(scope="session")
def paced():
    """Run a scene at a pace: scene, folder, speed, whom to tell when it begins."""
    return run_paced


@pytest.fixture(scope="session")
def scene():
    """Make the demo's scene with more settings."""
    return demo_scene
