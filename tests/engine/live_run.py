"""A whole engine on a live feed and a paper venue, on virtual time: what the application puts together."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.venues.live.conftest import A, Exchange, Stage, instrument
from tradecore.clocks.ids import SeededChance, SeededIds
from tradecore.clocks.scheduler import install as install_market_time
from tradecore.engine.config import EngineConfig
from tradecore.engine.desk import Outside
from tradecore.engine.engine import Engine
from tradecore.engine.lifecycle import Coordinator
from tradecore.hooks.calls import Calls
from tradecore.hooks.guest import Guest
from tradecore.model.events import Stamped
from tradecore.model.records import Run
from tradecore.model.units import RunId, TimeInForce
from tradecore.store.database import sqlite_url
from tradecore.store.opening import open_store
from tradecore.testing.factories import allower, router, sizer, wisher
from tradecore.venues.limiter import RequestLimiter
from tradecore.venues.live.feed import LiveFeed
from tradecore.venues.twin.build import TwinPlan
from tradecore.venues.twin.paper import open_paper

IOC = TimeInForce.IOC
INTERVALS = {"commands": 1.0, "balance_refresh": 20.0, "reconcile": 10.0, "stale_cleanup": 30.0}


class Notes:
    """A journal that keeps what it is told."""

    last_sequence = 0
    dropped = depth = 0

    def __init__(self) -> None:
        self.events: list[tuple[int, Any]] = []
        self.now_ms: Callable[[], int] = lambda: 0

    def note(self, event: Any, ids: Any = None) -> None:
        self.events.append((self.now_ms(), event))

    def follow(self, events: Sequence[Any]) -> None:
        for event in events:
            stamped: Stamped = event.stamped
            self.last_sequence = event.sequence
            self.events.append((stamped.at_ns // 1_000_000, stamped.event))

    async def flush(self, timeout_s: float) -> bool:
        return True

    async def close(self, timeout_s: float) -> bool:
        return True


class LiveRun:
    """One run on a scripted exchange; `story` is played while it goes on.

    Args:
        follow: Guests that lead positions.
        check_s: Interval of the exit check; ``None``: it does not run.
        number: Of the run on this state.
        after_s: When it begins, seconds after the first one did.
    """

    def __init__(
        self,
        folder: Path,
        *follow: Guest,
        check_s: float | None = 1.0,
        update_s: float | None = 2.0,
        number: int = 1,
        after_s: float = 0.0,
        **plan: Any,
    ) -> None:
        self._number = number
        self.stage = Stage(after_s)
        self.exchange: Exchange = self.stage.exchange(A)
        self.journal = Notes()
        self.journal.now_ms = self.stage.clock.now_ms
        self.stage.notes = _Tee(self.journal)  # type: ignore[assignment]  # the feed's events go to the journal
        self.feed: LiveFeed = self.stage.feed(self.exchange, None, **plan)
        self._folder = folder
        self._check_s, self._update_s = check_s, update_s
        self.guests = [
            wisher({2: (A,)}), sizer("1"), allower(), router((IOC, "20", 2_000), (IOC, "40", 2_000)), *follow,
        ]  # fmt: skip
        self.engine: Engine
        self.paper: Any

    def _open(self) -> Engine:
        clock, journal = self.stage.clock, self.journal
        store = open_store(
            sqlite_url(self._folder / "live.db"), inline=True, synchronous="OFF", follower=journal.follow
        )
        self.paper = open_paper(
            clock, self.feed, self.exchange, {A: instrument(A)}, generator=random.Random(1),
            path=self._folder / "paper.db", plan=TwinPlan(latency_ms=40),
        )  # fmt: skip
        self.paper.venue.open_balances({"USDT": Decimal(10_000)})
        calls = Calls(
            self.guests, clock=clock, deadlines_ms={}, virtual=True, on_fault=journal.note,
            on_quarantine=lambda *facts: None, on_late=journal.note,
        )  # fmt: skip
        outside = Outside(
            clock=clock, ids=SeededIds(1, self._number), chance=SeededChance(1), store=store, journal=journal,
            venue=self.paper.venue, feed=self.feed, limiter=RequestLimiter(clock, 800), calls=calls,
        )  # fmt: skip
        return Engine(outside, EngineConfig(account="live", currency="USDT", intervals_s=INTERVALS))

    def play(self, story: Callable[[LiveRun], Any]) -> list[tuple[int, Any]]:
        """Run until the story ends, then shut down; returns all events with their moments."""

        async def main() -> None:
            install_market_time()
            await self.feed.start()
            self.engine = engine = self._open()
            run = Run(RunId(f"R{self._number}"), self._number, "live", 1, "test", "", self.stage.clock.now_ms())
            await engine.start(run, tuple(guest.name for guest in self.guests), "test")
            await engine.begin()
            jobs = (
                ("exit_check", engine.leading.check_prices, self._check_s),
                ("position_update", engine.leading.update_positions, self._update_s),
            )
            for name, work, interval in jobs:
                if interval is not None and name not in engine.jobs.intervals_s:
                    engine.jobs.add(name, work, interval)
            await story(self)
            engine.request_stop("the story is over")
            await Coordinator(engine, run).shut_down()
            await self.feed.close()
            await engine.desk.store.close()
            await self.paper.venue.close()

        self.stage.run(main())
        return self.journal.events

    def told(self, kind: type[Any]) -> list[tuple[int, Any]]:
        """Events of one kind with their moments."""
        return [(at, event) for at, event in self.journal.events if isinstance(event, kind)]

    @property
    def position(self) -> Any:
        """The one open position."""
        (position,) = self.engine.desk.books.positions.values()
        return position


class _Tee(list[Any]):
    def __init__(self, journal: Notes) -> None:
        super().__init__()
        self._journal = journal

    def append(self, event: Any) -> None:
        self._journal.note(event)
