"""The start: nothing trades before the venue has said what is true (reference orders.md 6.7).

Idempotent: a second run right after changes nothing. A missing answer is asked for again, and then ends the start; it
is never taken for zero.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tradecore.engine.desk import Desk, Transaction
from tradecore.engine.execution import Execution
from tradecore.engine.exits import Exits
from tradecore.engine.ledger import entry_event, transfer
from tradecore.engine.money import VenueMoney
from tradecore.engine.reconcile import Reconciler
from tradecore.engine.resolve import Resolver
from tradecore.engine.state import change_trading_state
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.events import RetryAttempt, SessionStarted
from tradecore.model.order import ATTEMPT_LIVE
from tradecore.model.portfolio import TradingState
from tradecore.model.reasons import Reason
from tradecore.model.records import Memory, PostingKind, Run
from tradecore.model.units import canonical
from tradecore.ports.limiter import Priority

_TRIES = 8
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
        reconciler: Reconciler,
        money: VenueMoney,
    ) -> None:
        self._desk = desk
        self._execution = execution
        self._exits = exits
        self._resolver = resolver
        self._reconciler = reconciler
        self._money = money

    async def run(self, run: Run, plugins: tuple[str, ...], version: str) -> None:
        """Load, compare, take up what was left open; entries may start when this returns.

        Raises:
            RetryableVenueError: The venue did not answer in several tries.
            VenueRefused: The venue said no.
        """
        desk = self._desk
        loaded = desk.store.load()
        desk.books.load(loaded)
        desk.instruments.update(await self._insist("instruments", desk.venue.instruments))
        await self._check_clock()
        await self._insist("balances", self._balances)
        async with desk.transaction() as work:
            work.put(run)
            work.tell(SessionStarted(run.run_id, run.number, run.profile, plugins, run.seed, version))
            if loaded.last_run is None:
                self._adopt_balances(work, run)
        symbols = sorted(
            {a.symbol for a in desk.books.live_attempts()}
            | {row.intent.symbol for row in desk.books.intents.values()}
            | {p.symbol for p in desk.books.positions.values()}
        )
        await self._insist("orders and trades", lambda: self._compared(symbols))
        self._take_up()

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

    async def _compared(self, symbols: Sequence[str]) -> None:
        """Reconcile; what got no answer is asked for again, and is never taken for nothing (R19)."""
        found = await self._reconciler.run("start", symbols)
        if found.missing:
            raise RetryableVenueError(f"no answer for {', '.join(found.missing)}")

    async def _balances(self) -> None:
        if not await self._money.refresh():
            raise RetryableVenueError("no balances")

    async def _insist(self, what: str, read: Callable[[], Awaitable[_A]]) -> _A:
        """Ask until there is an answer, with growing waits; the last failure is the caller's."""
        desk = self._desk
        random = desk.generator(f"startup {what}")
        for n in range(1, _TRIES + 1):
            try:
                await desk.limiter.acquire(Priority.RECONCILE)
                return await read()
            except (RetryableVenueError, VenueRefused) as error:
                if n == _TRIES or isinstance(error, VenueRefused):
                    raise
                wait = min(30.0, 0.5 * 2**n) * (1 + random.random() / 10)
                desk.note(RetryAttempt(what, "", n, _TRIES, type(error).__name__, int(wait * 1_000)))
                await desk.clock.sleep(wait)
        raise AssertionError("the loop returns or raises")

    async def _check_clock(self) -> None:
        """Measure the clock's skew; beyond half the receive window entries are halted (R21)."""
        desk = self._desk
        before = desk.clock.now_ms()
        server = await self._insist("time", desk.venue.server_time_ms)
        after = desk.clock.now_ms()
        skew = server - (before + after) // 2
        # the venue looked at its clock at some moment between the two of ours: so far the figure may be wrong
        if abs(skew) - (after - before) // 2 > desk.venue.timing.receive_window_ms // 2:
            text = f"clock is {skew} ms off the venue's, limit {desk.venue.timing.receive_window_ms // 2} ms"
            desk.alert("clock_skew", "critical", text)
            await change_trading_state(desk, TradingState.HALTED, "core", text)

    def _adopt_balances(self, work: Transaction, run: Run) -> None:
        """Take what the account holds at its first start into the ledger, or note that it is not ours to use."""
        desk = self._desk
        now = desk.clock.now_ms()
        for coin, balance in sorted((self._money.balances or {}).items()):
            if not balance.total:
                continue
            if desk.config.adopt_balances or coin == desk.config.currency:
                legs = transfer(f"opening/{run.account}/{coin}", coin, balance.total, PostingKind.OPENING, now)
                work.put(*legs)
                work.tell(entry_event(legs))
            else:
                work.put(Memory(f"ignored/{coin}", canonical(balance.total), now))
