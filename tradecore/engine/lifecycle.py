"""The end of a run: phases with deadlines, and an exit code that names what failed (R24).

Correctness never depends on it: a kill -9 at any moment loses nothing. A second signal makes every deadline short; it
never skips what keeps the files whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tradecore.engine.engine import Engine
from tradecore.model.events import PortfolioSnapshot, SessionEnded
from tradecore.model.order import ATTEMPT_LIVE
from tradecore.model.reasons import Reason
from tradecore.model.records import Run

EXIT_OK = 0
EXIT_PENDING = 3
"""Orders are UNKNOWN or deliberately kept; they are listed."""
EXIT_PHASE = {"guests": 41, "venue": 42, "journal": 43, "store": 44, "engine": 45}
EXIT_LEASE = 46
"""Another process took the store over: it leads what is pending."""
_LEASE = "lease"
"""Exit code by the phase that failed, where nothing is pending."""
_VIRTUAL_SETTLE_S = 300.0
"""On virtual time waiting costs nothing: give every UNKNOWN its fence and look-ups."""


class Left(NamedTuple):
    """How a run ended."""

    reason: str
    failed_phases: tuple[str, ...]
    pending: tuple[str, ...]
    """Intents and orders that are not at their end, one line each."""

    @property
    def exit_code(self) -> int:
        """0, 46 where another process took over, 3 with something pending, else the code of the first failed phase."""
        if _LEASE in self.failed_phases:
            return EXIT_LEASE
        if self.pending:
            return EXIT_PENDING
        return EXIT_PHASE[self.failed_phases[0]] if self.failed_phases else EXIT_OK


class Coordinator:
    """Ends the run: once it is asked to, or of itself."""

    def __init__(self, engine: Engine, run: Run) -> None:
        self._engine = engine
        self._run = run
        self._hurry = asyncio.Event()
        self._failed: list[str] = []
        self._begun_s = 0.0

    def signalled(self, name: str) -> None:
        """Act on a signal: the first asks for a clean end, the second for a fast one."""
        if self._engine.stop_reason:
            self._hurry.set()
        self._engine.request_stop(name)

    async def shut_down(self) -> Left:
        """End the run in phases; the stores are closed by whoever opened them, after this."""
        engine, desk = self._engine, self._engine.desk
        config = desk.config
        self._begun_s = desk.clock.monotonic_s()
        if not engine.stop_reason:
            engine.request_stop("ended")
        engine.jobs.stop()
        if desk.lease_lost:
            return await self._make_way()
        if not config.keep_orders:
            engine.execution.cancel_entries(Reason.SHUTDOWN)
        settle_s = _VIRTUAL_SETTLE_S if desk.clock.virtual else (config.total_ms - 2 * config.phase_ms) / 1_000
        await self._phase("engine", self._settled, settle_s, required=False)
        await self._phase("guests", self._tell_guests, config.phase_ms / 1_000)
        await self._phase("venue", self._last_look, config.phase_ms / 1_000)
        await self._end_tasks()
        await self._phase("store", self._say_ended, config.phase_ms / 1_000)
        return self._left()

    async def _make_way(self) -> Left:
        """End without another word to venue and store: both are somebody else's now."""
        desk = self._engine.desk
        await self._phase("guests", self._tell_guests, desk.config.phase_ms / 1_000)
        await self._end_tasks()
        self._engine.pipeline.finish()
        return self._left()

    def _left(self) -> Left:
        lost = (_LEASE,) if self._engine.desk.lease_lost else ()
        return Left(self._engine.stop_reason, (*lost, *self._failed), tuple(self._pending()))

    async def _phase(
        self, name: str, work: Callable[[], Awaitable[None]], seconds: float, *, required: bool = True
    ) -> None:
        """Run one phase within its time, seconds of the wall; a hurry or the end of all time cuts it to a moment."""
        desk = self._engine.desk
        scale = desk.config.time_scale
        moment = 0.2 * scale
        if not desk.clock.virtual:
            passed_s = (desk.clock.monotonic_s() - self._begun_s) / scale
            seconds = min(seconds, max(0.2, desk.config.total_ms / 1_000 - passed_s))
        hurry = asyncio.ensure_future(self._hurry.wait())
        task = asyncio.ensure_future(work())
        try:
            await asyncio.wait({task, hurry}, timeout=seconds * scale, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait({task}, timeout=moment)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=moment)
                if required:
                    self._failed.append(name)
                    desk.alert("shutdown_phase", "critical", f"{name} took longer than {seconds} s")
            elif task.exception() is not None:
                error = task.exception()
                assert error is not None
                self._failed.append(name)
                desk.report_uncaught(f"shutdown {name}", error)
        finally:
            hurry.cancel()

    async def _settled(self) -> None:
        """Wait until every intent has ended; what cannot be proven in time stays pending and is listed.

        A job under way may be between an intent's reservation and its first step: it comes to its end first.
        """
        desk = self._engine.desk
        while self._engine.jobs.busy:
            await desk.clock.sleep(0.05)
        async with desk.transaction():
            pass  # who was in line before, as an exit about to begin, has had its turn; nobody begins one any more
        if desk.config.keep_orders:
            return
        books = desk.books
        while (
            books.intents
            or self._engine.execution.running
            or any(a.state in ATTEMPT_LIVE for a in books.attempts.values())
        ):
            await desk.clock.sleep(0.05)

    async def _tell_guests(self) -> None:
        engine = self._engine
        await engine.teller.drain(engine.desk.config.phase_ms / 2_000 * engine.desk.config.time_scale)
        await engine.desk.calls.tell("on_shutdown", engine.stop_reason)

    async def _last_look(self) -> None:
        """Compare once more with the venue, twice where something differs: balances may lag."""
        reconciler = self._engine.reconciler
        found = await reconciler.run("end")
        if found.differences:
            desk = self._engine.desk
            await desk.clock.sleep(max(desk.config.phase_ms / 2_000, desk.venue.timing.read_lag_ms / 1_000))
            await reconciler.run("end")

    async def _end_tasks(self) -> None:
        """End what still waits: watches, back-offs, look-ups. Sends under way are shielded and have ended."""
        desk = self._engine.desk
        self._engine.jobs.end()
        tasks = desk.tasks
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=desk.config.time_scale)
        for name in await desk.calls.dismiss(desk.config.time_scale):
            desk.alert("guest_left_behind", "warning", f"{name} did not end when it was told to")

    async def _say_ended(self) -> None:
        desk = self._engine.desk
        self._engine.pipeline.finish()
        p = self._engine.pictures.portfolio()
        desk.note(
            PortfolioSnapshot(p.currency, p.equity, p.free, p.reserved, p.exposure, len(p.positions), len(p.pending))
        )
        await self._engine.remember_views()
        async with desk.transaction() as work:
            work.put(self._run._replace(ended_ms=desk.clock.now_ms(), reason=self._engine.stop_reason))
            work.tell(
                SessionEnded(self._run.run_id, self._engine.stop_reason, tuple(self._failed), dict(desk.tally.errors))
            )

    def _pending(self) -> list[str]:
        books = self._engine.desk.books
        lines = [
            f"intent {row.intent.intent_id} {row.intent.symbol} {row.intent.side} {row.state}"
            for row in books.intents.values()
        ]
        lines += [
            f"order {a.wire_id} {a.symbol} {a.side} {a.state} executed {a.executed_quantity}"
            for a in books.live_attempts()
        ]
        return lines
