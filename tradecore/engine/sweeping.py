"""Everything read anew from the venue, in the steps of a start: after a reconnect, every hour, when a venue is back.

A sweep changes nothing but by evidence, so a second one right after the first changes nothing at all (INV-22).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from tradecore.engine.budget import spent_by
from tradecore.engine.desk import Desk
from tradecore.engine.foreign import LEDGER_OPENED
from tradecore.engine.reconcile import Found, Reconciler
from tradecore.engine.resolve import NO_ANSWER, Resolver
from tradecore.engine.settle import Settler
from tradecore.engine.skew import SkewWatch
from tradecore.engine.tradable import Tradable
from tradecore.errors import RetryableVenueError, TradecoreError
from tradecore.model.events import SweepReport, SweepStep
from tradecore.model.order import Attempt, AttemptState, OrderReport
from tradecore.model.units import canonical, exact_sum

_S = AttemptState
_T = TypeVar("_T")
_AT_ONCE = 8
"""Reads under way together; the limiter holds back what is too much."""
_LOOKS_MAX = 3
"""Looks at balances that differ at a start: they lag fills at some venues (F24)."""
_LIST_S: Final = 5.0
"""A list of open orders so young, with nothing booked since, serves the next step too."""
_LAG_S_MIN = 1.0

HOURLY: Final = "interval"
"""What asks for a sweep that reads the trades of every symbol, whatever orders and balances say."""
WAKE: Final = "wake"
"""What asks for a sweep where nothing had run for a while."""
_WAKE_TRIES: Final = 6
_WAKE_PAUSE_S: Final = 10.0

Told = str | tuple[str, bool]
"""What a step found, in words, and whether that is as it should be; words alone are."""


class _Listed(NamedTuple):
    """All open orders as read for one step."""

    orders: Sequence[OrderReport]
    at_s: float
    sequence: int
    """Of the newest event booked when they came."""


class Sweeping:
    """Reads, compares, reports. One sweep at a time; whoever asks meanwhile gets one more after it."""

    def __init__(
        self,
        desk: Desk,
        *,
        settler: Settler,
        resolver: Resolver,
        reconciler: Reconciler,
        tradable: Tradable,
        skew: SkewWatch,
    ) -> None:
        self._desk = desk
        self._settler = settler
        self._resolver = resolver
        self._reconciler = reconciler
        self._tradable = tradable
        self._skew = skew
        self._task: asyncio.Task[None] | None = None
        self._wanted = ""
        self._listed: _Listed | None = None

    def report(self, when: str) -> Report:
        """Begin a report."""
        return Report(self._desk, self._reconciler, when)

    def ask(self, when: str) -> None:
        """Have everything read anew, beside whoever asks; must not wait."""
        if self._desk.stopping:
            return
        if self._task is not None and not self._task.done():
            self._wanted = when
            return
        self._task = self._desk.spawn(self._asked(when), f"sweep {when}")

    async def _asked(self, when: str) -> None:
        tries = 0
        while when:
            self._wanted = ""
            whole = await self.run(when)
            tries += 1
            if when == WAKE and not whole and not self._wanted and tries < _WAKE_TRIES:
                # a machine that wakes has no network yet, and nobody tells us when it has
                await self._desk.clock.sleep(_WAKE_PAUSE_S * self._desk.config.time_scale)
                self._wanted = self._wanted or when
            when = "" if self._desk.stopping else self._wanted

    async def run(self, when: str) -> bool:
        """Sweep once; what gets no answer is named in the report, and changes nothing.

        Returns:
            True where each step found all as it should be.
        """
        report = self.report(when)
        await report.tolerant(3, "clock", self._skew.check)
        await report.tolerant(4, "instruments", self._instruments)
        await report.tolerant(6, "trades", self.read_trades if when == HOURLY else self._read_anew)
        found = await report.compared(lambda: self.compare("running"))
        await report.tolerant(9, "open and unknown orders", self._nudge)
        report.orphans(found)
        await report.tolerant(11, "closed orders", self.settle_closed)
        await report.balances(found, looks=1)
        await report.recomputed()
        await report.finish()
        return all(step.ok for step in report.steps)

    async def _read_anew(self) -> str:
        """Read what orders and new balances speak for; everything where the balances get no answer."""
        return await (self.read_traces() if await self._reconciler.balances_anew() else self.read_trades())

    async def _instruments(self) -> Told:
        return ("read anew", True) if await self._tradable.reload() else ("no answer", False)

    # Steps that a start shares --------------------------------------------------------------------------------

    def _symbols(self) -> Sequence[str]:
        """Symbols whose trades matter: of anything open, and of coins that we traded and still hold."""
        desk = self._desk
        books = desk.books
        found = {a.symbol for a in books.live_attempts()} | {row.intent.symbol for row in books.intents.values()}
        found |= {p.symbol for p in books.positions.values()}
        traded = {key.removeprefix("cursor/") for key in books.memory if key.startswith("cursor/")}
        found |= {symbol for symbol in traded if books.balance(symbol.partition("/")[0])}
        return sorted(found)

    async def read_trades(self) -> str:
        """Read our trades of every symbol that matters, from its cursor on, and book what is new.

        Raises:
            RetryableVenueError: A symbol got no answer.
        """
        desk = self._desk
        before = desk.booked_sequence
        symbols = self._symbols()
        await self._read(symbols)
        news = "something new" if desk.booked_sequence > before else "nothing new"
        return f"{len(symbols)} symbols read, {news}"

    async def read_traces(self) -> str:
        """Read our trades of the symbols that matter and that orders or balances speak for, and book what is new.

        With an order that has ended or moved, its symbol; then those whose base coin the venue counts otherwise than
        the ledger; then, where a coin still differs, all of its symbols. Where all agrees nothing can be missing, and
        the cursors stay where they are. The balances in use must be of this start or sweep.

        Raises:
            RetryableVenueError: The list of open orders, or a symbol, got no answer.
        """
        desk, reconciler = self._desk, self._reconciler
        before = desk.booked_sequence
        orders = await reconciler.open_orders()
        self._listed = _Listed(orders, desk.clock.monotonic_s(), desk.booked_sequence)
        symbols = self._symbols()
        doubted = reconciler.traces.of_orders(orders)
        done = {symbol for symbol in symbols if symbol in doubted}
        await self._read(sorted(done))
        for look in (reconciler.traces.of_bases, reconciler.traces.of_coins):
            left = look(symbol for symbol in symbols if symbol not in done)
            if left and reconciler.balances_lag() and self._is_dear(left) and await reconciler.balances_anew():
                left = look(left)
            await self._read(left)
            done.update(left)
        news = "something new" if desk.booked_sequence > before else "nothing new"
        return f"{len(done)} of {len(symbols)} symbols read, {news}"

    async def _read(self, symbols: Sequence[str]) -> None:
        since = int(self._desk.recall(LEDGER_OPENED) or self._desk.clock.now_ms())
        answers = await _together(self._resolver.sweep(symbol, since) for symbol in symbols)
        silent = [symbol for symbol, answer in zip(symbols, answers, strict=True) if answer is None]
        if silent:
            raise RetryableVenueError(f"no answer for the trades of {', '.join(silent)}")

    def _is_dear(self, symbols: Sequence[str]) -> bool:
        """Tell whether to read the trades of some symbols costs more than to read the balances again."""
        weight_of = self._desk.venue.weight_of
        return len(symbols) * weight_of("trades") > weight_of("balances")

    async def compare(self, when: str) -> Found:
        """Compare open orders and balances; a list that was read a moment before is not asked for again."""
        listed, self._listed = self._listed, None
        return await self._reconciler.run(when, listed=listed.orders if listed and self._stands(listed) else None)

    def _stands(self, listed: _Listed) -> bool:
        desk = self._desk
        return listed.sequence == desk.booked_sequence and desk.clock.monotonic_s() - listed.at_s <= _LIST_S

    async def read_attempts(self, seen: frozenset[str] = frozenset()) -> Told:
        """Read every order by our id whose end is not proven, those aside that a list has just shown.

        Args:
            seen: Their ids.
        """
        sent = [a for a in self._desk.books.live_attempts() if a.state not in {_S.PREPARED, _S.CLOSED}]
        unread = [a for a in sent if a.wire_id not in seen]
        words = await _together(self._look(attempt) for attempt in unread)
        counts = ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
        return f"{len(sent)} orders, {len(unread)} of them read by id: {counts or 'none'}"

    async def _look(self, attempt: Attempt) -> str:
        await self._resolver.doubt(attempt, "found open at a start")
        found = await self._resolver.read(attempt)
        if isinstance(found, OrderReport):
            await self._settler.apply(attempt.client_order_id, found)
            return "there"
        return "without an answer" if found is NO_ANSWER else "not found"

    async def _nudge(self) -> Told:
        """Have every order read at once by whoever leads it."""
        live = [a for a in self._desk.books.live_attempts() if a.state is not _S.PREPARED]
        for attempt in live:
            self._resolver.nudge(attempt)
        return f"{len(live)} orders are read at once"

    async def settle_closed(self) -> Told:
        """Fetch the trades that orders which have ended still miss; what stays open is led to its end."""
        closed = [a for a in self._desk.books.live_attempts() if a.state is _S.CLOSED]
        symbols = sorted({a.symbol for a in closed})
        await _together(
            self._resolver.sweep(symbol, min(a.prepared_ms for a in closed if a.symbol == symbol)) for symbol in symbols
        )
        left = [a for a in self._desk.books.live_attempts() if a.state is _S.CLOSED]
        return f"{len(closed)} had not settled, {len(left)} still miss fills"


class Report:
    """The steps of one sweep as they are taken."""

    def __init__(self, desk: Desk, reconciler: Reconciler, when: str) -> None:
        self._desk = desk
        self._reconciler = reconciler
        self._when = when
        self._began_ms = desk.clock.now_ms()
        self.steps: list[SweepStep] = []

    async def step(self, number: int, name: str, work: Callable[[], Awaitable[Told]]) -> None:
        """Take one step; what it raises ends the sweep, and is told."""
        began = self._desk.clock.now_ms()
        try:
            told = await work()
        except TradecoreError as error:
            self._desk.alert("sweep_failed", "critical", f"{self._when}, step {number} {name}: {error}")
            raise
        self._add(number, name, told, began)

    async def tolerant(self, number: int, name: str, work: Callable[[], Awaitable[Told]]) -> None:
        """Take one step; a venue that does not answer is named, and the next step is taken."""

        async def guarded() -> Told:
            try:
                return await work()
            except RetryableVenueError as error:
                return str(error), False

        await self.step(number, name, guarded)

    def _add(self, number: int, name: str, told: Told, began_ms: int) -> None:
        text, ok = told if isinstance(told, tuple) else (told, True)
        self.steps.append(SweepStep(number, name, text, self._desk.clock.now_ms() - began_ms, ok))

    async def compared(self, compare: Callable[[], Awaitable[Found]]) -> Found:
        """Take step 7, open orders and balances in one look."""
        found: list[Found] = []

        async def look() -> Told:
            found.append(await compare())
            missing = found[0].missing
            told = f"{found[0].attempts_read} of ours open, {found[0].foreign_orders} of others left alone"
            return (f"{told}; no answer for {', '.join(missing)}", False) if missing else told

        await self.step(7, "open orders", look)
        return found[0]

    def orphans(self, found: Found) -> None:
        """Take step 10: what step 7 saw of orders in our form that no row explains."""
        told = f"{found.orphans} orders of our form without a row, alarmed and cancelled"
        self._add(10, "orders without a row", (told, not found.orphans), self._desk.clock.now_ms())

    async def balances(self, found: Found, looks: int = _LOOKS_MAX) -> None:
        """Take step 12: where balances differ look again, beyond the venue's lag, before anything is said of it."""

        async def look() -> Told:
            desk, gaps, looked = self._desk, dict(found.differences), 1
            while gaps and looked < looks:
                await desk.clock.sleep(max(_LAG_S_MIN, desk.venue.timing.read_lag_ms / 1_000))
                missing: list[str] = []
                gaps = dict(await self._reconciler.conservation.look(self._when, missing))
                looked += 1
            told = ", ".join(f"{coin} {canonical(gap)}" for coin, gap in gaps.items())
            unexplained = bool(self._reconciler.unexplained)
            return f"{looked} looks, venue less ledger: {told or 'nothing'}", not (gaps or unexplained)

        await self.step(12, "balances", look)

    async def recomputed(self) -> None:
        """Take step 13: reckon reservations anew from what stands in the store; a difference is a bug."""

        async def look() -> Told:
            wrong = list(_wrong_reservations(self._desk))
            for text in wrong:
                self._desk.alert("books_differ", "critical", text)
            held = len(self._desk.books.reservations)
            return (f"{held} reservations; {'; '.join(wrong)}", False) if wrong else f"{held} reservations as reckoned"

        await self.step(13, "reservations and exposure", look)

    async def finish(self) -> None:
        """Take step 14: write the report."""
        now = self._desk.clock.now_ms()
        self._add(14, "report", "written", now)
        async with self._desk.transaction() as work:
            ok = all(step.ok for step in self.steps)
            work.tell(SweepReport(self._when, ok, tuple(self.steps), now - self._began_ms))


def _wrong_reservations(desk: Desk) -> Iterable[str]:
    """Hold reservations against live intents and against what their fills took; exposure follows from the two."""
    books, store = desk.books, desk.store
    for intent_id in sorted(books.intents.keys() ^ books.reservations.keys()):
        yield f"intent {intent_id} is live or has money set aside, but not both"
    for intent_id, row in books.reservations.items():
        fills = [fill for a in store.attempts_of(intent_id) for fill in store.fills_of(a.client_order_id)]
        spent = exact_sum(spent_by(fill.trade, row.currency) for fill in fills)
        if spent != row.consumed:
            yield f"reservation of {intent_id} says {canonical(row.consumed)} spent, its fills {canonical(spent)}"


async def _together(works: Iterable[Awaitable[_T]]) -> list[_T]:
    """Do all, some at once, in order."""
    waiting = list(works)
    done: list[_T] = []
    for start in range(0, len(waiting), _AT_ONCE):
        done += await asyncio.gather(*waiting[start : start + _AT_ONCE])
    return done
