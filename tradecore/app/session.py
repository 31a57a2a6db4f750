"""One run, first file handle to last: opens every adapter, hands all to the engine, closes all in reverse."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tradecore import __version__
from tradecore.app.drift import SettingsWatch, tell_drift
from tradecore.app.floor import FloorMaker, TwinMaker
from tradecore.app.handing import resources_of, secrets_of
from tradecore.app.lost import read_lost
from tradecore.app.operating import Reading
from tradecore.app.plain import engine_config
from tradecore.app.prepare import Prepared
from tradecore.app.signals import ProcessSignals
from tradecore.app.wire import Door, Wire
from tradecore.app.writing import attach_logs, journal_of, open_writer
from tradecore.clocks.clock import LoopClock
from tradecore.clocks.ids import RandomIds, SeededChance, SeededIds
from tradecore.clocks.loop import MarketLoop
from tradecore.clocks.scheduler import install as install_market_time
from tradecore.engine.desk import Outside
from tradecore.engine.engine import Engine
from tradecore.engine.lifecycle import Coordinator
from tradecore.engine.summary import Known, before, summary
from tradecore.errors import Interrupted, StateFolderError
from tradecore.hooks.calls import Calls
from tradecore.hooks.relay import EventRelay
from tradecore.hooks.watchdog import WATCHDOG_NAME, Watchdog, interrupt
from tradecore.journal.mask import Mask
from tradecore.journal.opening import EventJournal
from tradecore.model.events import AlertFired, ConfigChange, ConfigSnapshot, SessionEnded
from tradecore.model.lost import Behind
from tradecore.model.places import HANG_FILE, JOURNAL_FOLDER, TWIN_FILE
from tradecore.model.records import Memory, Run
from tradecore.model.units import RunId
from tradecore.ports.clock import Clock, Ids
from tradecore.ports.store import Loaded, Store
from tradecore.store.holder import Holder, this_process
from tradecore.store.inline import InlineStore
from tradecore.store.threaded import ThreadedStore


class Screen(Protocol):
    """Whoever shows a run under way."""

    def begin(self, engine: Engine, clock: Clock, stop_at_ms: int | None) -> None:
        """The engine stands; called on its loop before the first row."""

    def end(self) -> None:
        """The run is over."""


class Outcome(NamedTuple):
    """How a run ended."""

    summary: dict[str, object]
    exit_code: int


class Session:
    """Everything that one run holds open.

    Args:
        folder: Where it keeps its files.
        kept: False where the folder is gone with the run.
        started: Monotonic second at which the run began.
        around_store: Puts something between engine and store; ``None``: nothing.
        maker: Makes venue and feed; ``None``: the embedded venue.
        holder: Who runs it, with the lock of the folder; ``None``: this process, and somebody else sees to the folder.
    """

    def __init__(
        self,
        prepared: Prepared,
        folder: Path,
        kept: bool,
        started: float,
        *,
        around_store: Callable[[Store], Store] | None = None,
        last: bool = False,
        maker: FloorMaker | None = None,
        holder: Holder | None = None,
    ) -> None:
        self._last = last
        self._holder = holder if holder is not None else this_process()
        self._behind: Behind | None = None
        self._prepared = prepared
        self._settings = prepared.settings
        self._folder = folder
        self._kept = kept
        self._started = started
        self._around_store = around_store
        self._scale = prepared.settings.run.scale or 1.0
        assert maker is not None or prepared.source is not None, "live prices need a maker of their own"
        self._maker = maker or TwinMaker()
        self._secrets = {guest.name: secrets_of(guest, prepared.options.env) for guest in prepared.guests}
        self._threads = frozenset(threading.enumerate())
        """Those that were there before; any other that is not ours is a guest's."""

    async def run(self, loop: MarketLoop, screen: Screen | None) -> Outcome:
        """Open, trade, close.

        Raises:
            UsageError: Something of the state cannot be used.
            RetryableVenueError: The venue did not answer at the start.
            Interrupted: A signal came before the run began.
        """
        start = asyncio.current_task()
        assert start is not None, "a session is run as a task"
        self._signals = ProcessSignals(start)
        self._signals.own()
        try:
            return await self._run(loop, screen)
        except asyncio.CancelledError:
            if self._signals.ended_start:
                raise Interrupted(self._signals.ended_start) from None
            raise
        finally:
            self._signals.disown(last=self._last)

    def _second_0_ms(self, loop: MarketLoop) -> int:
        """Market time when the loop was made, which may be a while ago."""
        return self._maker.epoch_ms(self._prepared, self._folder) - loop.now_ns() // 1_000_000

    async def _run(self, loop: MarketLoop, screen: Screen | None) -> Outcome:
        install_market_time()
        async with AsyncExitStack() as stack:
            clock = LoopClock(loop, loop.epoch_ms or self._second_0_ms(loop))
            wire = Wire(clock)
            writer = self._open_store(wire)
            store = writer if self._around_store is None else self._around_store(writer)
            stack.push_async_callback(store.close)
            loaded = store.load()
            self._check_market(loaded)
            run, journal = await self._open_journal(loaded, clock)
            if journal.last_sequence > loaded.last_sequence:
                writer.raise_sequence(journal.last_sequence)
            lease = writer.lease
            if lease is not None:
                lease.name_run(run.run_id)
            attach_logs(stack, journal, clock, self._mask(), self._folder)
            wire.connect(journal)
            stack.push_async_callback(journal.close, self._settings.shutdown.phase_s)
            if loaded.last_run is not None and not journal.last_sequence:
                text = (
                    f"no booked line of {loaded.last_run.number} runs was found: they are written again from the store"
                )
                wire.note(AlertFired("journal_lost", "warning", text))
            journal.catch_up(store.events_after)
            held = {position.symbol for position in loaded.positions}
            floor = await self._maker.open(self._prepared, self._folder, clock, run, held=held, note=wire.report)
            stack.push_async_callback(floor.close or floor.venue.close)
            calls, relay = self._open_door(clock, wire, loaded)
            engine = Engine(
                Outside(
                    clock=clock, ids=self._ids(run, clock), chance=SeededChance(run.seed), store=store, journal=wire,
                    venue=floor.venue, feed=floor.feed, limiter=floor.limiter, calls=calls, hints=floor.hints,
                    lease=lease, behind=self._behind, machine=None if clock.virtual else clock,
                ),
                engine_config(self._settings, commands=self._kept or bool(self._settings.run.operators)),
                stop_at_ms=None if self._prepared.for_ms is None else clock.now_ms() + self._prepared.for_ms,
            )  # fmt: skip
            self._door.engine = engine
            engine.desk.tally.errors.update(wire.errors)
            wire.errors = engine.desk.tally.errors
            wire.listeners.append(engine.measured.take)
            if self._kept and floor.note_row is not None:
                engine.row_listeners.append(floor.note_row)
            if floor.doubt_clock is not None:
                engine.skew.moved.append(floor.doubt_clock)
            if floor.on_instruments is not None:
                floor.on_instruments(engine.instruments_changed)
            if floor.start is not None:
                await floor.start()
            return await self._trade(stack, engine, run, relay, screen)

    # Opening --------------------------------------------------------------------------------------------------

    def _open_store(self, wire: Wire) -> InlineStore | ThreadedStore:
        """Open the store, and take the right to write it where it outlives the run.

        Raises:
            StateFolderError: Another process writes it, or its file cannot be written.
        """
        return open_writer(
            self._settings.store, self._folder, kept=self._kept, inline=self._prepared.virtual, follower=wire.follow,
            holder=self._holder,
        )  # fmt: skip

    def _check_market(self, loaded: Loaded) -> None:
        """A state belongs to one market and one venue: another's prices or orders would make its books nonsense.

        Raises:
            StateFolderError: The market is another, or the file of the venue that the store traded at is gone.
        """
        twin = self._folder / TWIN_FILE
        embedded = self._settings.run.mode != "live"
        if embedded and loaded.last_run is not None and not twin.exists():
            raise StateFolderError(
                f"expected the venue's file of run {loaded.last_run.number} at {twin}, found none: "
                "a new one would know of no order and no balance of before"
            )
        known = loaded.memory.get("market")
        if known is not None and known.text != self._prepared.market_digest:
            raise StateFolderError(
                f"expected {self._folder} to hold a run over this market, was one over another "
                f"(market {known.text}, asked for {self._prepared.market_digest}): name a new folder"
            )

    def _new_run(self, number: int, clock: Clock) -> Run:
        seed = self._settings.run.seed
        ids = SeededIds(seed, number) if clock.virtual else RandomIds(clock)
        return Run(
            run_id=RunId(ids.new("run")), number=number, account=self._settings.account.name, seed=seed,
            profile=self._prepared.resolved.profile, settings_digest=self._prepared.resolved.digest,
            started_ms=clock.now_ms(),
        )  # fmt: skip

    def _ids(self, run: Run, clock: Clock) -> Ids:
        return SeededIds(run.seed, run.number) if clock.virtual else RandomIds(clock)

    async def _open_journal(self, loaded: Loaded, clock: Clock) -> tuple[Run, EventJournal]:
        """Open the journal of a new run; where the store is behind it, find out what the store lost (F34).

        The run is numbered above every one that either knows of: ids of virtual time are made from that number.

        Raises:
            DataError: A file of the journal cannot be read.
        """
        folder, number = self._folder / JOURNAL_FOLDER, loaded.last_run.number if loaded.last_run is not None else 0
        run = self._new_run(number + 1, clock)
        journal = self._journal_of(run, clock)
        if journal.last_sequence <= loaded.last_sequence:
            return run, journal
        await journal.close(self._settings.shutdown.phase_s)
        self._behind = read_lost(folder, loaded.last_sequence, journal.last_sequence)
        run = self._new_run(max(number, self._behind.run_number) + 1, clock)
        return run, self._journal_of(run, clock)

    def _mask(self) -> Mask:
        of_guests = [secret.get_secret_value() for one in self._secrets.values() for secret in one.values()]
        return Mask([self._settings.store.url.get_secret_value(), *self._maker.secrets, *of_guests])

    def _journal_of(self, run: Run, clock: Clock) -> EventJournal:
        return journal_of(self._settings, self._folder, run.run_id, clock, self._mask())

    def _open_door(self, clock: Clock, wire: Wire, loaded: Loaded) -> tuple[Calls, EventRelay]:
        """Put the guests behind the door, quarantines of earlier runs in force."""
        engine = self._settings.engine
        self._door = Door(wire)
        calls = Calls(
            self._prepared.guests, clock=clock, deadlines_ms=engine.deadlines_ms.model_dump(), strikes=engine.strikes,
            virtual=clock.virtual, on_fault=wire.note, on_quarantine=self._door.quarantined, on_late=wire.note,
            trace=wire.note if engine.trace_hooks else None, time_scale=self._scale,
        )  # fmt: skip
        calls.restore(
            (key.split("/")[1], key.split("/")[2])
            for key, fact in loaded.memory.items()
            if key.startswith("quarantine/") and fact.text
        )
        relay = EventRelay(calls, virtual=clock.virtual, time_scale=self._scale)
        wire.relay_to(relay)
        return calls, relay

    # Trading --------------------------------------------------------------------------------------------------

    async def _trade(
        self, stack: AsyncExitStack, engine: Engine, run: Run, relay: EventRelay, screen: Screen | None
    ) -> Outcome:
        """Start, wait for the end, end in phases, and say what happened."""
        desk, prepared = engine.desk, self._prepared
        coordinator = Coordinator(engine, run)
        crumb = desk.calls.crumb
        self._signals.lead(coordinator.signalled, lambda: interrupt(crumb, "a second signal came"))
        self._keep_running(engine)
        if not desk.clock.virtual:
            self._watch(stack, engine)
            watch = SettingsWatch(prepared.resolved.files, lambda drift: tell_drift(desk, drift))
            engine.row_listeners.append(watch.row)
        await self._take_hang(engine)
        relay.start()
        await self._until_stopped(engine, run, engine.start(run, prepared.plugins, __version__))
        await self._note_settings(engine)
        reading = Reading(self._folder / JOURNAL_FOLDER)
        stack.callback(reading.close)
        await desk.calls.start(
            resources_of(
                prepared.guests, self._folder, run.run_id, secrets=self._secrets, reading=reading, engine=engine,
                operators=self._settings.run.operators, scale=self._settings.run.scale,
            )
        )  # fmt: skip
        start = before(engine)
        if screen is not None:
            screen.begin(engine, desk.clock, engine.stop_at_ms)
            stack.callback(screen.end)
        await engine.begin()
        await engine.stopped.wait()
        left = await coordinator.shut_down()
        await relay.stop(1.0)
        self._name_threads(engine)
        if not await desk.journal.flush(self._settings.shutdown.phase_s):
            left = left._replace(failed_phases=(*left.failed_phases, "journal"))
        known = Known(
            run.run_id, run.seed, run.profile, prepared.plugins, time.monotonic() - self._started,
            str(self._folder) if self._kept else "", tuple(sorted({one.code for one in prepared.allowed})),
        )  # fmt: skip
        return Outcome(summary(engine, left, start, known), left.exit_code)

    async def _until_stopped(self, engine: Engine, run: Run, start: Coroutine[Any, Any, None]) -> None:
        """Start, unless somebody asks for the end while the venue does not answer.

        Raises:
            Interrupted: Somebody did; the run, where it is written down already, is written down as ended.
        """
        starting = asyncio.ensure_future(start)
        stopped = asyncio.ensure_future(engine.stopped.wait())
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not starting.done():
            await asyncio.wait({starting}, timeout=self._settings.shutdown.phase_s * self._scale)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            await _say_interrupted(engine, run)
            raise Interrupted(engine.stop_reason)
        await starting

    def _keep_running(self, engine: Engine) -> None:
        """Keep tasks of guests in hand, and make an exit from elsewhere an event: only the session ends the run."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MarketLoop), loop
        engine.desk.calls.offspring.adopt(loop)
        loop.on_exit = lambda error: engine.desk.report_uncaught("a callback of the loop", error)

    def _name_threads(self, engine: Engine) -> None:
        """Name the threads that somebody started beside ours and that still run."""
        for thread in threading.enumerate():
            ours = thread.name == WATCHDOG_NAME or thread.name.startswith("tradecore-")
            if thread not in self._threads and not ours:
                engine.desk.alert("guest_left_behind", "warning", f"thread {thread.name} still runs at the end")

    def _watch(self, stack: AsyncExitStack, engine: Engine) -> None:
        """Watch guests from a thread: one that hangs is interrupted, or the process ends and says who it was."""
        hang = self._folder / HANG_FILE
        loop = asyncio.get_running_loop()

        def overran(plugin: str, hook: str, seconds: float) -> None:
            text = f"{plugin}.{hook} holds the program for {seconds:.2f} s"
            loop.call_soon_threadsafe(engine.desk.alert, "guest_overran", "critical", text)

        def hung(plugin: str, hook: str) -> None:
            hang.write_text(json.dumps([plugin, hook]))

        settings = self._settings.engine
        dog = Watchdog(
            engine.desk.calls.crumb, limit_s=settings.watchdog_s, hang_s=settings.hang_s, on_overrun=overran,
            on_hang=hung,
        )  # fmt: skip
        dog.start()
        stack.callback(dog.stop)

    async def _take_hang(self, engine: Engine) -> None:
        """Put the guest that hung the last process in quarantine, durably."""
        hang = self._folder / HANG_FILE
        if not hang.exists():
            return
        plugin, hook = json.loads(hang.read_text())
        engine.desk.calls.restore([(plugin, hook)])
        await engine.desk.remember(f"quarantine/{plugin}/{hook}", "hung the process before")
        hang.unlink()

    async def _note_settings(self, engine: Engine) -> None:
        """Write the effective settings, and what differs from the last start on this state."""
        resolved = self._prepared.resolved
        values = resolved.shown({guest.name: guest.settings for guest in self._prepared.guests})
        old: dict[str, str] = json.loads(engine.desk.recall("settings") or "{}")
        desk = engine.desk
        async with desk.transaction() as work:
            origins = {key: resolved.origin_of(key).layer for key in values}
            work.tell(ConfigSnapshot(resolved.digest, resolved.profile, values, origins))
            for key in sorted(old.keys() | values.keys()) if old else ():
                if old.get(key) != values.get(key):
                    origin = resolved.origin_of(key).layer
                    work.tell(ConfigChange(key, old.get(key, ""), values.get(key, ""), origin))
            now = desk.clock.now_ms()
            work.put(Memory("settings", json.dumps(values), now))
            work.put(Memory("market", self._prepared.market_digest, now))


async def _say_interrupted(engine: Engine, run: Run) -> None:
    """Write the end of a run that a signal ended before it stood; one that was not yet written down has none."""
    desk = engine.desk
    written = desk.store.load().last_run
    if written is None or written.run_id != run.run_id:
        return
    async with desk.transaction() as work:
        work.put(run._replace(ended_ms=desk.clock.now_ms(), reason=engine.stop_reason))
        work.tell(SessionEnded(run.run_id, engine.stop_reason, ("start",), dict(desk.tally.errors)))
