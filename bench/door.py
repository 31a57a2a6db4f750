"""The cost of the door: a guarded call against pluggy and against a plain list. Prints one JSON object.

    python bench/door.py [--repeats 7]

Guests do nothing but hand back a ready answer, so that what is left is the door's own. Figures are nanoseconds of one
call of all guests: the best and the median over repeats of a mean, after one repeat to warm up.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pluggy
from pydantic import BaseModel

from tradecore.clocks.clock import SystemClock
from tradecore.hooks.admit import invite
from tradecore.hooks.calls import Calls
from tradecore.hooks.specs import PROJECT, Hooks, hookimpl
from tradecore.market.answers import Wishes
from tradecore.model.signal import Check, Verdict
from tradecore.settings.sections import Deadlines
from tradecore.testing.contract.markets import Grid
from tradecore.testing.contract.values import intent_of, market_of, portfolio_of

GUESTS = (1, 5, 10)
CHECKS = (Check("exposure", Decimal(1), Decimal(2), "USDT", False),)


class NoSettings(BaseModel, frozen=True, extra="forbid"):
    """Settings of guests that need none."""


def plugin_class(verdict: Verdict, wishes: Wishes) -> type[Any]:
    """Make a class whose hooks hand back the same answers each time."""

    class Plugin:
        Settings = NoSettings

        def __init__(self, settings: NoSettings) -> None:
            self.settings = settings

        @hookimpl
        def risk_check(self, intent: Any, portfolio: Any, market: Any) -> Verdict:
            return verdict

        @hookimpl
        def signal(self, frame: Any, rows: range) -> Wishes:
            return wishes

    return Plugin


def per_call(function: Callable[[], Any], repeats: int, least_s: float = 0.05) -> dict[str, float]:
    """Best and median over repeats of the mean nanoseconds of one call."""
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
    return {"best": round(min(means) * 1e9, 1), "median": round(statistics.median(means) * 1e9, 1)}


def calls_of(maker: type[Any], count: int) -> Calls:
    """Seat guests as a live run does: deadlines in force, no trace."""
    guests = [invite(f"g{place}", maker, NoSettings(), order=place) for place in range(count)]
    return Calls(
        guests,
        clock=SystemClock(),
        deadlines_ms=Deadlines().model_dump(),
        virtual=False,
        on_fault=lambda fault: None,
        on_quarantine=lambda *facts: None,
        on_late=lambda late: None,
    )


def pluggy_of(maker: type[Any], count: int) -> pluggy.PluginManager:
    """Seat the same guests at plain pluggy."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    for place in range(count):
        manager.register(maker(NoSettings()), f"g{place}")
    return manager


def measure(count: int, verdict: Verdict, wishes: Wishes, repeats: int) -> dict[str, dict[str, float]]:
    """One number of guests at each kind of door."""
    maker = plugin_class(verdict, wishes)
    frame = Grid({}).frame(1, rows=30, symbols=3, empty=0.0)
    rows = range(29, 30)
    market = market_of(frame)
    intent, portfolio = intent_of(market.now_ms), portfolio_of(market.now_ms)
    calls, manager = calls_of(maker, count), pluggy_of(maker, count)
    plain = [maker(NoSettings()).risk_check for _ in range(count)]
    slots = calls._slots.at("risk_check")
    guarded = calls._ask
    arguments = (intent, portfolio, market)

    def as_list() -> list[Verdict]:
        return [guest(intent, portfolio, market) for guest in plain]

    def kind_of(answer: Any) -> Any:
        if type(answer) is not Verdict:
            raise TypeError(f"expected Verdict, was {type(answer).__name__}")
        return answer

    return {
        "plain_list_ns": per_call(as_list, repeats),
        "pluggy_ns": per_call(
            lambda: manager.hook.risk_check(intent=intent, portfolio=portfolio, market=market), repeats
        ),
        "guarded_type_check_ns": per_call(lambda: guarded("risk_check", slots, arguments, kind_of), repeats),
        "risk_check_ns": per_call(lambda: calls.risk(intent, portfolio, market), repeats),
        "signal_one_row_ns": per_call(lambda: calls.signals(frame, rows), repeats),
    }


def commit() -> str:
    """The commit that was measured; empty outside of a repository."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    wishes = Wishes(np.full((1, 3), 0.99), "<=", 0.98, "ratio", "bench")
    verdicts = {"empty_verdict": Verdict(), "verdict_of_one_check": Verdict(CHECKS, {"spread_bps_max": Decimal(20)})}
    figures = {
        name: {f"guests_{count}": measure(count, verdict, wishes, repeats) for count in GUESTS}
        for name, verdict in verdicts.items()
    }
    about = {"python": platform.python_version(), "cores": os.cpu_count(), "commit": commit(), "repeats": repeats}
    print(json.dumps(about | figures, indent=2))


if __name__ == "__main__":
    main()
