"""The engine: its parts put together, its jobs, and the way of a row through them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import orjson

from tradecore.engine.breaker import Breaker
from tradecore.engine.config import EngineConfig
from tradecore.engine.contact import Contact
from tradecore.engine.desk import Desk, Outside, Tally
from tradecore.engine.dust import Dust
from tradecore.engine.execution import Execution
from tradecore.engine.exits import Exits
from tradecore.engine.fillwatch import FillWatch
from tradecore.engine.guestjobs import GuestJobs
from tradecore.engine.hearing import Hearing
from tradecore.engine.jobs import Jobs
from tradecore.engine.leading import Leading
from tradecore.engine.markout import MarkOuts
from tradecore.engine.measured import Measured
from tradecore.engine.money import VenueMoney
from tradecore.engine.picture import Pictures
from tradecore.engine.pipeline import Pipeline
from tradecore.engine.reconcile import Reconciler
from tradecore.engine.remedies import Remedies
from tradecore.engine.resolve import Resolver
from tradecore.engine.scan import NearMiss, Scanner
from tradecore.engine.settle import Booked, Settler
from tradecore.engine.skew import SkewWatch
from tradecore.engine.startup import Startup
from tradecore.engine.state import Operator
from tradecore.engine.sweeping import Sweeping
from tradecore.engine.tell import Teller
from tradecore.engine.tradable import Tradable
from tradecore.engine.universe import UniverseWatch
from tradecore.engine.waking import WakeWatch
from tradecore.model.events import Heartbeat, PluginQuarantined, PortfolioSnapshot
from tradecore.model.instrument import Instrument
from tradecore.model.intent import INTENT_LIVE
from tradecore.model.order import ATTEMPT_UNPROVEN
from tradecore.model.places import MEASURED
from tradecore.model.reasons import Reason
from tradecore.model.records import Memory, Run
from tradecore.model.units import canonical

_VIRTUAL_ROWS = 60
"""Rows between two rounds of housekeeping on virtual time, at least."""


class Engine:
    """One account's engine. `start`, let the jobs run until `stopped`, then shut it down (lifecycle)."""

    def __init__(self, outside: Outside, config: EngineConfig, *, stop_at_ms: int | None = None) -> None:
        self.desk = desk = Desk(outside, config)
        warmup = outside.calls.warmup_rows(outside.feed.timeframe_ms)
        self.teller = Teller(desk)
        self.settler = Settler(desk)
        self.resolver = Resolver(desk, self.settler)
        self.pictures = Pictures(desk, max(warmup, 1) + 1)
        self.money = VenueMoney(desk)
        self.reconciler = Reconciler(desk, self.settler, self.resolver, self.money)
        self.tradable = Tradable(desk)
        self.skew = SkewWatch(desk)
        self.remedies = Remedies(desk, self.tradable, self.skew)
        self.execution = Execution(
            desk, self.settler, self.resolver, self.pictures, teller=self.teller, remedies=self.remedies
        )
        self.exits = Exits(desk, self.settler, self.execution, self.pictures, self.money)
        self.scanner = Scanner(outside.calls, outside.feed, warmup, config.block_rows)
        self.universe = UniverseWatch(desk, self.scanner)
        self.pipeline = Pipeline(desk, self.scanner, self.pictures, self.execution)
        self.leading = Leading(desk, self.settler, self.exits, self.pipeline.add, warmup + 2)
        self.sweeping = Sweeping(
            desk,
            settler=self.settler,
            resolver=self.resolver,
            reconciler=self.reconciler,
            tradable=self.tradable,
            skew=self.skew,
        )
        self.hearing = Hearing(desk, self.settler, self.resolver, lambda: self.sweeping.ask("reconnect"))
        self.contact = Contact(desk, lambda: self.sweeping.ask("return"))
        self.remedies.reconcile = self._reconcile_symbol
        self.remedies.cancel_entries = self.execution.cancel_entries
        self.tradable.shut.append(self._symbol_shut)
        self.breaker = Breaker(desk, self.pictures, self.execution)
        self.operator = Operator(desk, self.execution, self.exits, self.pictures.locks)
        self.measured = Measured()
        """Is to be shown every event of a call to the venue."""
        self.jobs = Jobs(desk, self.measured)
        self.waking = WakeWatch(desk, self.jobs, self.skew, self.sweeping.ask)
        self.fill_watch = FillWatch(desk, config.zero_fill_sends)
        self.execution.ended.append(self.fill_watch.ended)
        self.guest_jobs = GuestJobs(
            desk,
            jobs=self.jobs,
            pictures=self.pictures,
            scanner=self.scanner,
            pipeline=self.pipeline,
            exits=self.exits,
            dust=Dust(desk, self.exits),
        )
        self.stopped = asyncio.Event()
        self.stop_reason = ""
        self.stop_at_ms = stop_at_ms
        self._started_s = 0.0
        self._lag_ms = 0.0
        self._journal_at, self._booked_at = -1, -1
        self._dropped = 0
        self._row_lock = asyncio.Lock()
        desk.lease_listeners.append(lambda: self.request_stop(str(Reason.LEASE_LOST)))
        self.settler.listeners += [self._touched, self.teller.fills, MarkOuts(desk).fills, self.fill_watch.fills]
        self.row_listeners: list[Callable[[int], None]] = []
        """Told of each row's close as soon as it is taken; they must not wait."""

    @property
    def tally(self) -> Tally:
        """Figures of this run."""
        return self.desk.tally

    def _touched(self, booked: Sequence[Booked]) -> None:
        for one in booked:
            for coin in (*one.fill.trade.symbol.split("/"), one.fill.trade.fee_currency):
                self.money.touched(coin)

    async def start(self, run: Run, plugins: tuple[str, ...], version: str) -> None:
        """Load the books and reconcile them with the venue.

        Raises:
            RetryableVenueError: The venue did not answer.
        """
        desk = self.desk
        self._started_s = desk.clock.monotonic_s()
        self.teller.start()
        if not desk.clock.virtual:  # there nothing waits: commits come all the time, and renew it where it is due
            desk.spawn(desk.keep_lease(), "lease")
        startup = Startup(
            desk,
            execution=self.execution,
            exits=self.exits,
            resolver=self.resolver,
            sweeping=self.sweeping,
            money=self.money,
            tradable=self.tradable,
            skew=self.skew,
        )
        await startup.run(run, plugins, version)
        await self.guest_jobs.restore()
        self.guest_jobs.tell_left()
        self.fill_watch.start()

    async def begin(self) -> None:
        """Lead the positions that are open, and let the jobs run: rows close from now on."""
        await self.universe.ask()
        self.leading.begun = True
        for position in list(self.desk.books.positions.values()):
            await self.leading.changed(position.position_id)
        self._plan_jobs()
        self.waking.start()
        await self.hearing.start()
        await self._persist()  # whoever asks for the status need not wait for the first interval
        self.jobs.start()

    def quarantined(self, plugin: str, hook: str, faults: int, last: str) -> None:
        """Make a guest's quarantine durable and undo what it had tuned; called by the door, must not wait."""
        self.scanner.forget()
        self.desk.spawn(self._quarantined(plugin, hook, faults, last), f"quarantine {plugin}.{hook}")

    async def _quarantined(self, plugin: str, hook: str, faults: int, last: str) -> None:
        desk = self.desk
        desk.alert("plugin_quarantined", "critical", f"{plugin}.{hook} after {faults} faults: {last}")
        async with desk.transaction() as work:
            work.put(Memory(f"quarantine/{plugin}/{hook}", last or "faults", desk.clock.now_ms()))
            work.tell(PluginQuarantined(plugin, hook, faults, last))
        await self.guest_jobs.undo_lost()

    def request_stop(self, reason: str) -> None:
        """Ask for the end of the run: no new entry from now on."""
        if not self.stop_reason:
            self.stop_reason = reason
            self.desk.stopping = reason
            self.stopped.set()

    # Jobs -----------------------------------------------------------------------------------------------------

    def _plan_jobs(self) -> None:
        feed, config = self.desk.feed, self.desk.config
        row_s = feed.timeframe_ms / 1_000
        first = feed.next_close_ms
        if first is None:
            self.request_stop("end of data")
            return
        # Rows drive scan and position update. Housekeeping is for people and for what the wall does to us, so its
        # intervals are wall time; on virtual time nobody watches, and it is done once in so many rows.
        self.jobs.add("scan", self.rows_due, row_s, first_ms=first)
        virtual = self.desk.clock.virtual
        least_s = row_s * _VIRTUAL_ROWS if virtual else 0.0
        for name, work in (
            ("commands", self._commands),
            ("persist", self._persist),
            ("stale_cleanup", self._stale_cleanup),
            ("heartbeat", self._heartbeat),
            ("health", self._health),
            ("balance_refresh", self._balance_refresh),
            ("reconcile", self._reconcile),
            ("conservation", self.reconciler.conservation.prove),
            ("clock_check", self._clock_check),
            ("instruments", self._reload_instruments),
            ("retention", self._retention),
        ):
            if name in config.intervals_s:
                least = row_s if name == "commands" and virtual else least_s
                self.jobs.add(name, work, max(least, config.intervals_s[name] * config.time_scale))
        self.jobs.add("sweep", self._sweep, max(least_s, config.sweep_s * config.time_scale))
        if not feed.foresees:
            self._plan_watching()
        if "universe" in config.intervals_s:  # market time, as guests' jobs: it is the market that is asked about
            self.jobs.add("universe", self.universe.ask, max(row_s, config.intervals_s["universe"]))
        self.guest_jobs.plan(config.intervals_s, row_s)

    def _plan_watching(self) -> None:
        """Watch positions by the clock: where prices are foreseen, each row's close and its steps do it."""
        config = self.desk.config
        for name, work in (
            ("exit_check", self.leading.check_prices),
            ("position_update", self.leading.update_positions),
        ):
            if name in config.intervals_s:
                self.jobs.add(name, work, config.intervals_s[name] * config.time_scale)

    async def rows_due(self) -> None:
        """Close every row whose time has come: scan and position update run once per row, at its close."""
        desk = self.desk
        async with self._row_lock:
            while not desk.stopping:
                close_ms = desk.feed.next_close_ms
                if close_ms is None:
                    self.request_stop("end of data")
                    return
                if close_ms > desk.clock.now_ms():
                    break
                if self.stop_at_ms is not None and close_ms > self.stop_at_ms:
                    self.request_stop("time is up")
                    return
                self._lag_ms = (desk.clock.now_ms() - close_ms) / desk.config.time_scale
                self.scanner.look_ahead()
                desk.feed.take()
                self.pictures.new_row(close_ms)
                for listener in self.row_listeners:
                    listener(close_ms)
                try:
                    await self.leading.row_closed()
                except Exception as error:  # noqa: BLE001 - the row is judged all the same, without entries
                    self.leading.faulted = True
                    desk.report_uncaught("leading positions", error)
                self.pipeline.follow_faulted = self.leading.faulted
                await self.pipeline.row_closed(close_ms)
                await self._mark_day()
                await self.breaker.look()
                await self.pictures.locks.expire()
            if self.stop_at_ms is not None and desk.clock.now_ms() >= self.stop_at_ms:
                self.request_stop("time is up")
            if desk.feed.next_close_ms is None:
                self.request_stop("end of data")

    async def _mark_day(self) -> None:
        """Keep the day's opening and peak equity durably: marked every row on every path."""
        fact = self.pictures.day_memory()
        if fact is not None:
            async with self.desk.transaction() as work:
                work.put(fact)

    async def _commands(self) -> None:
        await self.operator.poll()
        if self.operator.stop_asked:
            self.request_stop(self.operator.stop_asked)

    async def _persist(self) -> None:
        """Write derived views for readers beside the process; nothing depends on them (R22)."""
        desk = self.desk
        p = self.pictures.portfolio()
        desk.note(
            PortfolioSnapshot(p.currency, p.equity, p.free, p.reserved, p.exposure, len(p.positions), len(p.pending))
        )
        await self.remember_views()

    async def remember_views(self) -> None:
        """Keep the status and what was measured for readers beside the process."""
        desk = self.desk
        now = desk.clock.now_ms()
        measured = self.measured.figures()
        async with desk.transaction() as work:
            work.put(Memory("status", self.status_text(), now))
            if measured:
                work.put(Memory(MEASURED, orjson.dumps(measured).decode(), now))

    def status_text(self) -> str:
        """The derived figures as JSON, for `tradecore status`."""
        p = self.pictures.portfolio()
        facts: Mapping[str, object] = {
            "at_ms": p.as_of_ms, "marks_age_ms": self.pictures.marks_age_ms(),
            "state": str(p.state), "currency": p.currency,
            "equity": canonical(p.equity), "free": canonical(p.free), "reserved": canonical(p.reserved),
            "exposure": canonical(p.exposure), "positions": len(p.positions), "pending": len(p.pending),
            "balances_age_ms": self.money.age_ms if self.money.balances is not None else None,
            "rows": self.tally.rows, "signals": self.tally.signals, "orders_sent": self.tally.orders_sent,
        }  # fmt: skip
        return orjson.dumps(facts).decode()

    async def _stale_cleanup(self) -> None:
        """See that nothing outlives its time: an entry past its expiry is ended by its own task, woken here."""
        now = self.desk.clock.now_ms()
        self.exits.resume()
        for row in list(self.desk.books.intents.values()):
            intent = row.intent
            if row.state in INTENT_LIVE and now > intent.expires_ms + 5_000:
                if not self.execution.is_running(intent.intent_id):
                    self.desk.alert("intent_unattended", "critical", f"{intent.symbol} {intent.intent_id}")
                    self.execution.start(intent)
                elif not intent.reduces:
                    self.resolver.wake(intent.intent_id, "expired")

    async def _heartbeat(self) -> None:
        desk = self.desk
        now = desk.clock.now_ms()
        unproven = [a for a in desk.books.attempts.values() if a.state in ATTEMPT_UNPROVEN]
        desk.note(
            Heartbeat(
                desk.clock.monotonic_s() - self._started_s, self._lag_ms, desk.journal.depth, desk.journal.dropped,
                len(desk.books.intents), len(desk.books.positions), str(desk.books.trading.state),
                dict(Counter(str(a.state) for a in unproven)),
                max((now - (a.sent_ms or now) for a in unproven), default=0),
                len(desk.calls.quarantined), self.jobs.lags_ms(),
            )
        )  # fmt: skip

    async def _health(self) -> None:
        desk = self.desk
        for name in self.jobs.overdue():
            desk.alert("job_overdue", "critical", f"job {name} has not succeeded for three intervals")
        self.hearing.check()
        written, behind = desk.journal.last_sequence, desk.booked_sequence - desk.journal.last_sequence
        # what was booked by the last look has had an interval to be written; on virtual time lines are held back anyway
        if written < self._booked_at and written == self._journal_at and not desk.clock.virtual:
            desk.alert("journal_stuck", "critical", f"{behind} booked events wait for the journal, none was written")
        dropped = desk.journal.dropped
        if dropped > self._dropped:
            desk.alert("journal_drops", "warning", f"{dropped - self._dropped} diagnostics dropped, {dropped} in all")
        self._journal_at, self._booked_at, self._dropped = written, desk.booked_sequence, dropped

    async def _balance_refresh(self) -> None:
        every_s = self.desk.config.intervals_s["balance_refresh"] * self.desk.config.time_scale
        # a comparison reads them too: once in the interval is what is asked for
        if self.money.problem is not None or self.money.age_ms >= 500 * every_s:
            await self.money.refresh()

    async def _reconcile(self) -> None:
        if self.contact.due() and (found := await self.reconciler.round()) is not None:
            await self.contact.judge(found.missing)

    async def _reconcile_symbol(self, symbol: str) -> None:
        """Read orders, trades of one symbol and balances: the venue says that less is free than we think."""
        await self.reconciler.run("running", (symbol,))

    async def _clock_check(self) -> None:
        await self.skew.check()

    async def _reload_instruments(self) -> None:
        await self.tradable.reload()

    async def _sweep(self) -> None:
        self.sweeping.ask("interval")

    def instruments_changed(self, found: Mapping[str, Instrument]) -> None:
        """Put a new list of instruments in force, as the feed has read it; must not wait."""
        self.tradable.told(found)

    def _symbol_shut(self, symbol: str, why: str) -> None:
        """End the entries on a symbol that may not be entered any more."""
        for row in list(self.desk.books.intents.values()):
            if row.intent.symbol == symbol and not row.intent.reduces:
                self.execution.cancel(row.intent.intent_id, Reason.SYMBOL_HALTED)

    async def _retention(self) -> None:
        desk = self.desk
        await desk.store.retention(desk.clock.now_ms() - desk.config.retention_ms, desk.journal.last_sequence)

    # For people -----------------------------------------------------------------------------------------------

    def near_misses(self, most: int = 5) -> list[NearMiss]:
        """The symbols nearest to a condition in the newest row."""
        return list(self.scanner.near_misses(most))
