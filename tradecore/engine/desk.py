"""The desk: what every part of the engine works with, and the one way to make something durable.

Transactions are serialised by one lock: rows are made from the books, committed, and only then applied to the books, so
that no two tasks build on the same old picture. Nothing is sent while it is held.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple

from tradecore.engine.books import Books
from tradecore.engine.config import EngineConfig
from tradecore.engine.recent import RecentFills
from tradecore.errors import DuplicateRecord, LeaseLost, RetryableVenueError, StoreError, VenueRefused
from tradecore.hooks.calls import Calls
from tradecore.model.events import NO_IDS, AlertFired, Ids, Stamped, UncaughtException
from tradecore.model.fill import Fill
from tradecore.model.instrument import Instrument
from tradecore.model.intent import Intent, IntentRow, Reservation
from tradecore.model.lost import Behind
from tradecore.model.order import Attempt
from tradecore.model.position import Position
from tradecore.model.reasons import Reason
from tradecore.model.records import Memory, Posting, Row
from tradecore.model.units import ONE, ClientOrderId, IntentId, PositionId, price_of
from tradecore.ports.clock import Chance, Clock, Machine
from tradecore.ports.clock import Ids as IdSource
from tradecore.ports.feed import Feed
from tradecore.ports.hints import AccountHints
from tradecore.ports.journal import Journal
from tradecore.ports.lease import Lease
from tradecore.ports.limiter import Limiter
from tradecore.ports.store import Store
from tradecore.ports.venue import Venue

_RATE = "RATE"


class Outside(NamedTuple):
    """Everything behind a port, handed in by the composition root."""

    clock: Clock
    ids: IdSource
    chance: Chance
    store: Store
    journal: Journal
    venue: Venue
    feed: Feed
    limiter: Limiter
    calls: Calls
    hints: AccountHints | None = None
    """What the venue pushes of our account; ``None``: it pushes nothing."""
    lease: Lease | None = None
    """The right to write the store; ``None``: nobody else can write it."""
    behind: Behind | None = None
    """What the journal tells and the store does not hold; ``None``: it holds all of it."""
    machine: Machine | None = None
    """The machine's own clocks; ``None``: time jumps, and no machine has a part in it."""


class Tally:
    """Figures of this run for its summary. Nothing decides by them; money is never counted here."""

    def __init__(self) -> None:
        self.rows = 0
        self.candidates = 0
        self.outcomes: Counter[str] = Counter()
        self.signals = 0
        self.intents: Counter[str] = Counter()
        self.orders_sent = 0
        self.orders_filled = 0
        self.orders_partly_filled = 0
        self.orders_failed: Counter[str] = Counter()
        self.positions_closed = 0
        self.realised_pnl = Decimal(0)
        self.fees = Decimal(0)
        self.slow_cycles = 0
        self.errors: Counter[str] = Counter()
        self.alerts: Counter[str] = Counter()
        self.balance_refreshes = 0
        self.balance_timeouts = 0
        self.pending_peak = 0


class Desk:
    """Books, ports and configuration of one running engine."""

    def __init__(self, outside: Outside, config: EngineConfig) -> None:
        self.clock = outside.clock
        self.ids = outside.ids
        self.store = outside.store
        self.journal = outside.journal
        self.venue = outside.venue
        self.feed = outside.feed
        self.limiter = outside.limiter
        self.calls = outside.calls
        self.hints = outside.hints
        self.lease = outside.lease
        self.behind = outside.behind
        self.machine = outside.machine
        self.config = config
        self.books = Books()
        self.tally = Tally()
        self.instruments: dict[str, Instrument] = {}
        self.account_lock = asyncio.Lock()
        """Held from a candidate's check to its reservation."""
        self.stopping = ""
        """Why no new entry may start; empty while the run goes on."""
        self.sent_at: deque[int] = deque()
        """Moments of sends of the last minute."""
        self.recent = RecentFills()
        self.alert_listeners: list[Callable[[str, str, str], None]] = []
        """Told of each alert (name, severity, text) as it is fired, whatever becomes of the journal; must not wait."""
        self.trouble_listeners: list[Callable[[str, str], None]] = []
        """Told what kind of trouble the venue named, as ``AUTH``, and in which words; must not wait."""
        self.lease_lost = ""
        """Who has taken the store over; empty as long as nobody is known to have."""
        self.lease_listeners: list[Callable[[], None]] = []
        """Told once when the lease is lost; must not wait."""
        self.booked_sequence = 0
        """Sequence of the newest event that the store has taken in this run."""
        self.fences_from_ms = 0
        """Our clock was moved on then: what was sent before waits for a whole fence from there on. 0: never."""
        self._books_lock = asyncio.Lock()
        self._store_down = False
        self._chance = outside.chance
        self._tasks: set[asyncio.Task[Any]] = set()

    def generator(self, purpose: str) -> random.Random:
        """A seeded generator of its own for one purpose."""
        return self._chance.generator(purpose)

    def stamp(self, event: Any, ids: Ids = NO_IDS) -> Stamped:
        """Give an event its moment."""
        return Stamped(self.clock.now_ns(), event, ids)

    def note(self, event: Any, ids: Ids = NO_IDS) -> None:
        """Write a diagnostic event; it may be dropped, counted."""
        self.journal.note(event, ids)

    def alert(self, name: str, severity: str, text: str, *, by: str = "core", resolved: bool = False) -> None:
        """Write what a person should look at, or that it is over.

        Args:
            by: The guest whose job told it.
        """
        self.tally.alerts[name] += 1
        self.note(AlertFired(name, severity, text, by, resolved))
        for listener in self.alert_listeners:
            listener(name, severity, text)

    def heed(self, error: Exception) -> None:
        """Take note of what a failed call to the venue says: of the rate of our requests, of key or clock."""
        if not isinstance(error, RetryableVenueError | VenueRefused):
            return
        self.slow_down(error.error_class, error.retry_after_s if isinstance(error, RetryableVenueError) else None)
        self.trouble(error.error_class, str(error))

    def trouble(self, error_class: str, text: str) -> None:
        """Tell the listeners what kind of trouble the venue named; an empty class is none."""
        for listener in self.trouble_listeners if error_class else ():
            listener(error_class, text)

    def slow_down(self, error_class: str, retry_after_s: float | None) -> None:
        """Hold requests back where the venue asked for it.

        Args:
            error_class: As the venue's rules name it; empty where it named none.
            retry_after_s: Seconds that it asked us to wait; ``None``: it did not say.
        """
        if retry_after_s is not None or error_class == _RATE:
            self.limiter.penalize(retry_after_s)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Collect rows and events made from the books, commit them as one, then apply them.

        The block must not await anything but store reads. If it raises, nothing is written.

        Raises:
            StoreError: Nothing was written; the books are as they were.
        """
        async with self._books_lock:
            work = Transaction(self)
            yield work
            if work.rows or work.events:
                await self._commit(work)

    async def _commit(self, work: Transaction) -> None:
        """Commit and apply; a cancelled task takes its commit to the end first, since the store will."""
        if self.clock.virtual:
            await self._write(work)  # inline: there is no moment at which it could be cancelled
            return
        writing = asyncio.ensure_future(self._write(work))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})
            raise

    async def _write(self, work: Transaction) -> None:
        try:
            booked = await self.store.commit(work.rows, work.events)
        except DuplicateRecord:
            raise
        except LeaseLost as error:
            self._lose_lease(str(error))
            raise
        except StoreError as error:
            self._store_fails(str(error))
            raise
        self._store_fails("")
        if booked:
            self.booked_sequence = booked[-1].sequence
        self.books.apply(work.rows)

    def _store_fails(self, why: str) -> None:
        """Alarm once when the store takes no rows any more, and once when it does again."""
        if why and not self._store_down:
            self.alert("store_unavailable", "critical", f"nothing is sent until it is written down: {why}")
        elif self._store_down and not why:
            self.alert("store_available", "info", "the store takes rows again")
        self._store_down = bool(why)

    @property
    def holds(self) -> bool:
        """False where another process may write the store by now: looked at right before the venue is told anything."""
        return not self.lease_lost and (self.lease is None or self.lease.fresh)

    async def keep_lease(self) -> None:
        """Renew the lease for as long as it is ours; busy stores renew it with their commits."""
        while self.lease is not None and not self.lease_lost:
            await self.clock.sleep(self.lease.renew_s * self.config.time_scale)
            try:
                await self.lease.renew()
            except LeaseLost as error:
                self._lose_lease(str(error))
            except StoreError as error:
                self._store_fails(str(error))

    def _lose_lease(self, text: str) -> None:
        """Alarm once, and have the run end: whoever holds the store leads what is under way."""
        if self.lease_lost:
            return
        self.lease_lost = text
        self.alert("lease_lost", "critical", f"{Reason.LEASE_LOST}: {text}; nothing more is sent from here")
        for listener in self.lease_listeners:
            listener()

    def fence_of(self, attempt: Attempt) -> int | None:
        """The last moment at which the venue could still take an attempt's request; ``None``: it was never sent.

        A fence that was counted on a clock which has been moved on since is not to pass sooner for it.
        """
        if attempt.fence_ms is None:
            return None
        if (attempt.sent_ms or attempt.prepared_ms) >= self.fences_from_ms:
            return attempt.fence_ms
        timing = self.venue.timing
        least = timing.receive_window_ms + timing.engine_timeout_ms + timing.clock_error_ms
        return max(attempt.fence_ms, self.fences_from_ms + least)

    async def remember(self, key: str, text: str) -> None:
        """Keep one small fact durably; an empty text forgets it."""
        async with self.transaction() as work:
            work.put(Memory(key, text, self.clock.now_ms()))

    def recall(self, key: str) -> str:
        """Read a small fact; empty if there is none."""
        found = self.books.memory.get(key)
        return found.text if found else ""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a task whose failure is an event, never a silence."""
        task = asyncio.get_running_loop().create_task(self._watched(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watched(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the last door of a task: reported, counted, and alarmed
            self.report_uncaught(name, error)

    def report_uncaught(self, where: str, error: BaseException) -> None:
        """Make an exception that nobody expected an event, and count it."""
        if isinstance(error, LeaseLost):
            return  # told already, once; each task meets it
        self.tally.errors[type(error).__name__] += 1
        text = "".join(traceback.format_exception(error))
        self.note(UncaughtException(where, type(error).__name__, str(error), text))

    @property
    def tasks(self) -> Sequence[asyncio.Task[Any]]:
        """Tasks still running."""
        return tuple(self._tasks)

    def mark(self, symbol: str) -> Decimal | None:
        """Newest price of a symbol to decide by; ``None``: it never traded, or the price is too old (R3, R38)."""
        price = self.feed.last_price(symbol)
        return price_of(price) if price is not None else None

    def worth(self, symbol: str) -> Decimal | None:
        """Newest price of a symbol to value it by, however old; ``None`` where it never traded.

        A feed that falls silent must not make what we hold look lost.
        """
        known = self.feed.newest(symbol)
        return price_of(known.price) if known is not None else None

    def rate(self, coin: str, quote: str) -> Decimal | None:
        """Quote units per coin; ``None`` where no market says."""
        return ONE if coin == quote else self.worth(f"{coin}/{quote}")


class Transaction:
    """Rows and events that become durable together.

    Within the block the getters see what the block itself has put, so that several fills of one report build on each
    other; of a row put twice only the last is written. An attempt keeps one row per state that it passes through: the
    store checks every move by the table.
    """

    def __init__(self, desk: Desk) -> None:
        self.events: list[Stamped] = []
        self._desk = desk
        self._rows: dict[object, Row] = {}
        self._attempts: dict[ClientOrderId, Attempt] = {}

    @property
    def rows(self) -> Sequence[Row]:
        """What will be written, in the order in which it was first put."""
        return tuple(self._rows.values())

    def put(self, *rows: Row) -> None:
        """Add rows; a row with the key of an earlier one takes its place."""
        for row in rows:
            key = _key_of(row)
            if isinstance(row, Attempt):
                self._rows.pop(key, None)  # a state come back to is written after the states between
            self._rows[key] = row
            if isinstance(row, Attempt):
                self._attempts[row.client_order_id] = row

    def tell(self, event: Any, ids: Ids = NO_IDS) -> None:
        """Add a booked event, stamped now."""
        self.events.append(self._desk.stamp(event, ids))

    def put_already(self, row: Row) -> bool:
        """Tell whether the block has put a row with this key."""
        return _key_of(row) in self._rows

    def intent(self, intent_id: IntentId) -> IntentRow | None:
        """An intent as this block sees it; ``None``: there is none."""
        row = self._rows.get((IntentRow, intent_id)) or self._desk.books.intents.get(intent_id)
        return row if isinstance(row, IntentRow) else self._desk.store.intent(intent_id)

    def attempt(self, client_order_id: ClientOrderId) -> Attempt | None:
        """An attempt as this block sees it; ``None``: not in the books."""
        return self._attempts.get(client_order_id) or self._desk.books.attempts.get(client_order_id)

    def reservation(self, intent_id: IntentId) -> Reservation | None:
        """An active reservation as this block sees it; ``None``: none is active."""
        row = self._rows.get((Reservation, intent_id)) or self._desk.books.reservations.get(intent_id)
        return row if isinstance(row, Reservation) else None

    def position(self, position_id: PositionId) -> Position | None:
        """A position as this block sees it, closed ones from the store; ``None``: there is none."""
        row = self._rows.get((Position, position_id)) or self._desk.books.positions.get(position_id)
        return row if isinstance(row, Position) else self._desk.store.position(position_id)


def _key_of(row: Row) -> object:
    match row:
        case IntentRow():
            return (IntentRow, row.intent.intent_id)
        case Attempt():
            return (Attempt, row.client_order_id, row.state)
        case Reservation():
            return (Reservation, row.intent_id)
        case Position():
            return (Position, row.position_id)
        case Memory():
            return (Memory, row.key)
        case Posting():
            return (Posting, row.posting_id, row.leg)
        case Fill():
            return (Fill, row.account, row.trade.symbol, row.trade.venue_trade_id)
        case _:
            return row


def ids_of(intent: Intent, attempt: Attempt | None = None) -> Ids:
    """Correlation ids of an intent and one of its attempts (R40)."""
    if attempt is None:
        return Ids(intent.signal.signal_id, intent.intent_id)
    return Ids(intent.signal.signal_id, intent.intent_id, attempt.client_order_id, attempt.venue_order_id)
