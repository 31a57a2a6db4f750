"""Exclusive time per stage: a stack of clocks wrapped around the doors between the parts of the program.

Only functions that never wait are wrapped, so that a stage's time is work and not market time.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from tradecore.hooks.calls import Calls
from tradecore.journal.inline import InlineJournal
from tradecore.journal.pen import Pen
from tradecore.store.writer import Writer
from tradecore.venues.twin.feed import TwinFeed
from tradecore.venues.twin.market import TwinMarket
from tradecore.venues.twin.matching import Engine as Matching
from tradecore.venues.twin.state import TwinState

DOORS: tuple[tuple[str, type[Any], tuple[str, ...]], ...] = (
    ("hooks: signal", Calls, ("signals",)),
    ("hooks: follow", Calls, ("follow",)),
    ("hooks: size, risk, route", Calls, ("size", "risk", "route")),
    ("store", Writer, ("write", "read")),
    ("journal", InlineJournal, ("note", "follow")),
    ("journal", Pen, ("take",)),
    ("market data", TwinFeed, ("block", "take", "history")),
    ("twin: prices and books", TwinMarket, ("book", "step", "steps", "depth")),
    ("twin: matching", Matching, ("place", "cancel", "advance")),
    ("twin: file", TwinState, ("commit",)),
)


class Stages:
    """Seconds per stage, each counted once."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._stack: list[list[float]] = []

    def install(self) -> None:
        for stage, owner, names in DOORS:
            for name in names:
                setattr(owner, name, self._timed(stage, getattr(owner, name)))

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            frame = [0.0]
            self._stack.append(frame)
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                took = time.perf_counter() - started
                self._stack.pop()
                self.seconds[stage] = self.seconds.get(stage, 0.0) + took - frame[0]
                self.calls[stage] = self.calls.get(stage, 0) + 1
                if self._stack:
                    self._stack[-1][0] += took

        return timed

    def shares(self, whole_s: float) -> dict[str, float]:
        """Share of the whole per stage; what is left is engine, scheduler and event loop."""
        shares = {stage: round(seconds / whole_s, 4) for stage, seconds in sorted(self.seconds.items())}
        shares["engine, scheduler, event loop"] = round(1 - sum(self.seconds.values()) / whole_s, 4)
        return shares
