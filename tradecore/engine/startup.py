"""The start: nothing trades before the venue has said what is true (reference orders.md 6.7).

Fourteen steps, each named in the report that ends them. Idempotent: a second run right after changes nothing. A missing
answer is asked for again, and then ends the start; it is never taken for zero. The same steps, less those that only a
start can need, run again after each reconnect, each hour and on the return of a lost venue (`sweeping`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tradecore.engine.accountkey import check_account
from tradecore.engine.behind import Rediscovery
from tradecore.engine.books import ASSETS
from tradecore.engine.desk import Desk, Transaction
from tradecore.engine.execution import Execution
from tradecore.engine.exits import Exits
from tradecore.engine.halts import is_halted, lift_halt
from tradecore.engine.ledger import entry_event, transfer
from tradecore.engine.money import VenueMoney
from tradecore.engine.reconcile import Found
from tradecore.engine.remedies import AUTH
from tradecore.engine.resolve import Resolver
from tradecore.engine.skew import CAUSE as CLOCK
from tradecore.engine.skew import SkewWatch
from tradecore.engine.sweeping import Sweeping
from tradecore.engine.tradable import Tradable
from tradecore.engine.waking import restore_fences
from tradecore.errors import RetryableVenueError, StartRefused, VenueRefused
from tradecore.model.events import RetryAttempt, SessionStarted
from tradecore.model.lost import OPENING_DUE
from tradecore.model.order import ATTEMPT_LIVE, ATTEMPT_UNPROVEN, AttemptState
from tradecore.model.reasons import Reason
from tradecore.model.records import Memory, PostingKind, Run
from tradecore.model.units import ZERO, canonical, minus
from tradecore.ports.limiter import Priority
from tradecore.ports.store import Loaded

_TRIES = 8
_AUTH_CLASS = "AUTH"
_A = TypeVar("_A")


class Startup:
    """Takes an engine from the store's picture to a reconciled one."""

    def __init__(
        self,
        desk: Desk,
        *,
        execution: Execution,
        exits: Exits,
        resolver: Resolver,
        sweeping: Sweeping,
        money: VenueMoney,
        tradable: Tradable,
        skew: SkewWatch,
    ) -> None:
        self._desk = desk
        self._execution = execution
        self._exits = exits
        self._resolver = resolver
        self._sweeping = sweeping
        self._money = money
        self._tradable = tradable
        self._skew = skew
        self._rediscovery = Rediscovery(desk, desk.behind)
        self._key_print = ""

    async def run(self, run: Run, plugins: tuple[str, ...], version: str) -> None:
        """Load, compare, take up what was left open; entries may start when this returns.

        Raises:
            StartRefused: Clock or key are not fit to trade with.
            RetryableVenueError: The venue did not answer in several tries.
            VenueRefused: The venue said no.
        """
        desk = self._desk
        loaded = desk.store.load()
        desk.books.load(loaded)
        desk.recent.restore(loaded.recent)
        await self._rediscovery.take_up(fresh=loaded.last_run is None)
        clock_was_off = is_halted(desk, CLOCK)
        report = self._sweeping.report("start")
        await report.step(1, "instance", _text(self._instance(run)))
        await report.step(2, "store and journal", lambda: self._sequences(loaded))
        await report.step(3, "clock", lambda: self._insist("time", self._skew.check_start))
        await report.step(4, "instruments and key", self._instruments_and_key)
        restore_fences(desk, clock_was_off=clock_was_off)
        await report.step(5, "fences", _text(self._fences()))
        await self._insist("balances", self._balances)
        await check_account(desk, self._key_print, self._money.balances or {})
        async with desk.transaction() as work:
            work.put(run)
            work.tell(SessionStarted(run.run_id, run.number, run.profile, plugins, run.seed, version))
            if loaded.last_run is None and not desk.recall(OPENING_DUE):
                self._adopt_balances(work, run)
        whole = loaded.last_run is None or desk.behind is not None or bool(desk.recall(OPENING_DUE))
        read_trades = self._sweeping.read_trades if whole else self._sweeping.read_traces
        await report.step(6, "trades", lambda: self._insist("trades", read_trades))
        if desk.recall(OPENING_DUE):
            async with desk.transaction() as work:
                self._adopt_balances(work, run)
                work.put(Memory(OPENING_DUE, "", desk.clock.now_ms()))
        found = await report.compared(lambda: self._insist("orders and balances", self._compared))
        await report.step(8, "prepared", self._close_prepared)
        await report.step(9, "open and unknown orders", lambda: self._sweeping.read_attempts(found.seen))
        report.orphans(found)
        await report.step(11, "closed orders", self._sweeping.settle_closed)
        await self._rediscovery.close_emptied()
        await report.balances(found)
        await report.recomputed()
        await lift_halt(desk, "venue", "the venue has answered at the start")
        await report.finish()
        self._take_up()

    # 1 to 5 ---------------------------------------------------------------------------------------------------

    def _instance(self, run: Run) -> str:
        text = f"run {run.number} on this state, its lock taken before it was opened"
        lease = self._desk.lease
        return text if lease is None else f"{text}; lease of epoch {lease.epoch}, renewed each {lease.renew_s:g} s"

    async def _sequences(self, loaded: Loaded) -> str:
        """Say how far store and journal had come: a store behind its journal was put back to an older copy."""
        desk = self._desk
        if desk.behind is not None:
            return f"{desk.behind.text}: the store is older than what was told, its next event is numbered above both"
        return f"store at event {loaded.last_sequence}, journal at {desk.journal.last_sequence}"

    async def _instruments_and_key(self) -> str:
        listed = await self._insist("instruments", self._tradable.load)
        rights = await self._insist("rights of the key", self._rights)
        traded = [s for s in self._desk.feed.symbols if s in self._desk.instruments]
        halted = sum(not self._desk.instruments[s].can_buy for s in traded)
        return f"{listed}; of {len(self._desk.feed.symbols)} symbols {len(traded)} listed, {halted} shut; key {rights}"

    async def _rights(self) -> str:
        """Refuse a key that may withdraw, or that may not trade (R21).

        Raises:
            StartRefused: It may, or nobody knows and nobody has confirmed.
        """
        desk = self._desk
        try:
            rights = await desk.venue.rights()
        except VenueRefused as error:
            if error.error_class == _AUTH_CLASS:
                raise StartRefused(f"key: {desk.venue.name} does not take it: {error}") from error
            raise
        self._key_print = rights.key_print
        if rights.withdraw:
            raise StartRefused(
                "key: expected one that may not withdraw, was one that may: make a key for trading only, with its "
                "addresses listed, and start again"
            )
        if rights.trade is False:
            raise StartRefused("key: expected one that may trade on spot, was one that may not: grant it that")
        if rights.withdraw is None and not desk.config.key_rights_confirmed:
            raise StartRefused(
                f"key: {desk.venue.name} does not tell whether it may withdraw: see to it that it may not, then set "
                "venue.key_rights_confirmed = true"
            )
        told = "may not withdraw" if rights.withdraw is False else "is confirmed by an operator not to withdraw"
        return told if rights.trade else f"{told}, may trade: not told"

    def _fences(self) -> str:
        """Count what may still reach the venue: such orders stay UNKNOWN, and their symbols shut (INV-13)."""
        desk = self._desk
        now, lag = desk.clock.now_ms(), desk.venue.timing.read_lag_ms
        unproven = [a for a in desk.books.live_attempts() if a.state in ATTEMPT_UNPROVEN]
        fences = [fence for fence in map(desk.fence_of, unproven) if fence is not None]
        ahead = [fence + lag - now for fence in fences if fence + lag > now]
        return (
            f"{len(unproven)} unproven orders, {len(ahead)} before their fence, the last for {max(ahead, default=0)} ms"
        )

    async def _balances(self) -> None:
        if not await self._money.refresh():
            problem = self._money.problem
            if isinstance(problem, VenueRefused) and problem.error_class == _AUTH_CLASS:
                raise StartRefused(f"key: {self._desk.venue.name} does not take it: {problem}") from problem
            raise RetryableVenueError(f"no balances: {problem}")
        await lift_halt(self._desk, AUTH, "the venue takes the key")

    async def _compared(self) -> Found:
        """Reconcile; what got no answer is asked for again, and is never taken for nothing (R19)."""
        found = await self._sweeping.compare("start")
        if found.missing:
            raise RetryableVenueError(f"no answer for {', '.join(found.missing)}")
        return found

    async def _close_prepared(self) -> str:
        """Close what was prepared and never sent: a signal of before is stale, an exit is priced anew."""
        prepared = [a for a in self._desk.books.live_attempts() if a.state is AttemptState.PREPARED]
        for attempt in prepared:
            await self._resolver.close_unsent(attempt, Reason.RESTARTED, "prepared before a restart")
        return f"{len(prepared)} closed as not sent"

    def _take_up(self) -> None:
        """Lead what was left open to its end: entries are not sent on (their signals are stale), exits go on."""
        desk = self._desk
        for row in list(desk.books.intents.values()):
            if not row.intent.reduces:
                self._execution.cancel(row.intent.intent_id, Reason.RESTARTED)
            self._execution.start(row.intent)
        for attempt in desk.books.live_attempts():
            if attempt.state in ATTEMPT_LIVE and attempt.intent_id not in desk.books.intents:
                desk.spawn(self._resolver.lead(attempt.client_order_id), f"resolve {attempt.client_order_id}")
        self._exits.resume()

    async def _insist(self, what: str, read: Callable[[], Awaitable[_A]]) -> _A:
        """Ask until there is an answer, with growing waits; the last failure is the caller's."""
        desk = self._desk
        random = desk.generator(f"startup {what}")
        for n in range(1, _TRIES + 1):
            try:
                await desk.limiter.acquire(Priority.RECONCILE)
                return await read()
            except (RetryableVenueError, VenueRefused) as error:
                desk.heed(error)
                if n == _TRIES or isinstance(error, VenueRefused):
                    raise
                wait = min(30.0, 0.5 * 2**n) * (1 + random.random() / 10)
                desk.note(RetryAttempt(what, "", n, _TRIES, type(error).__name__, int(wait * 1_000)))
                await desk.clock.sleep(wait)
        raise AssertionError("the loop returns or raises")

    def _adopt_balances(self, work: Transaction, run: Run) -> None:
        """Take what the account held before our first trade into the ledger, or note that it is not ours to use."""
        desk = self._desk
        now = desk.clock.now_ms()
        held = {coin: balance.total for coin, balance in (self._money.balances or {}).items()}
        moved = {coin: amount for (account, coin), amount in desk.books.balances.items() if account == ASSETS}
        for coin in sorted(held.keys() | moved.keys()):
            opening = minus(held.get(coin, ZERO), moved.get(coin, ZERO))
            if not opening:
                continue
            if desk.config.adopt_balances or coin == desk.config.currency:
                legs = transfer(f"opening/{run.account}/{coin}", coin, opening, PostingKind.OPENING, now)
                work.put(*legs)
                work.tell(entry_event(legs))
            else:
                work.put(Memory(f"ignored/{coin}", canonical(opening), now))


def _text(text: str) -> Callable[[], Awaitable[str]]:
    """A step that has nothing to wait for."""

    async def told() -> str:
        return text

    return told
