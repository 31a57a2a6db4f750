"""The feed of a real exchange (ports/feed.py): rows from quotes, on the wall clock."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from tradecore.market.frame import MarketFrame
from tradecore.market.hours import HOUR_MS, HOURS
from tradecore.market.path import Step
from tradecore.market.window import blank
from tradecore.model.book import Book
from tradecore.model.events import AlertFired, FeedPast, UncaughtException
from tradecore.model.instrument import Instrument
from tradecore.ports.clock import Clock
from tradecore.ports.quotes import MarketData, Quote, QuoteStream
from tradecore.venues.live.backfill import Backfill
from tradecore.venues.live.bars import Bars
from tradecore.venues.live.listing import Listing, Universe
from tradecore.venues.live.poller import LivePlan, Poller
from tradecore.venues.live.quotes import Quotes
from tradecore.venues.live.slower import Slower

_BEHIND_ROWS: Final = 3
"""Rows that may wait to be taken before empty ones among them are passed over."""
_AGAIN_S: Final = 1.0
_CANCEL_S: Final = 0.2
_CANCELS_MAX: Final = 25
"""How often, and how far apart in market time, a task is told to end before it is left."""


class LiveFeed:
    """Rows, prices and books of a real exchange. `start` it, `close` it.

    A bar's prices are those of the quotes that came in during its row (`quotes.py`, `bars.py`). Its volume is the
    pace of the last 24 hours, from the field that the venue documents (R38), for one row's time: NaN where the venue
    does not say.

    Args:
        clock: Market time.
        data: Reads.
        stream: Pushes; ``None``: reads alone.
        plan: Lengths and pauses.
        symbols: Of this run, fixed.
        instruments: As they were read at the start, of all symbols of the exchange.
        universe: Which new symbols are worth telling; ``None``: none.
        note: Takes events.
    """

    def __init__(
        self,
        clock: Clock,
        data: MarketData,
        stream: QuoteStream | None,
        plan: LivePlan,
        *,
        symbols: Sequence[str],
        instruments: Mapping[str, Instrument],
        universe: Universe | None = None,
        note: Callable[[Any], None],
    ) -> None:
        self._clock: Final = clock
        self._data: Final = data
        self._plan: Final = plan
        self._note: Final = note
        self._symbols: Final = tuple(symbols)
        self._columns: Final = {symbol: i for i, symbol in enumerate(self._symbols)}
        past = plan.history_rows if plan.backfill else 0
        self._bars: Final = Bars(self._symbols, plan.row_ms, plan.history_rows + 1, clock.now_ms(), past)
        self._quotes: Final = Quotes(self._symbols, plan.stale_ms)
        self._slower: Final = Slower(self._symbols, plan.slower, clock.now_ms())
        self._quotes.on_quote = self._priced if plan.slower else self._bars.note
        self.listing: Final = Listing(clock, data, self._symbols, instruments, universe=universe, note=note)
        self.listing.listeners.append(self._listed)
        self.poller: Final = Poller(
            clock, data, stream, plan, quotes=self._quotes, listing=self.listing, take=self.take_quote, note=note
        )
        self._next = self._bars.row
        self._gaps = 0
        self._listeners: list[Callable[[str], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._listed(self.listing.instruments)

    # Life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read all quotes, begin to listen and to poll, and wait for the past, but not for ever.

        Raises:
            RetryableVenueError: The exchange did not answer.
            VenueRefused: It said no.
        """
        await self.poller.start()
        pause_s = self._plan.instruments_ms / 1_000
        self._spawn("quotes", self.poller.rounds)
        self._spawn("attended quotes", self.poller.attend)
        self._spawn("instruments", lambda: self.listing.rounds(pause_s))
        if self._plan.slower:
            self._tasks.append(asyncio.create_task(self._read_first(), name="feed slower frames"))
        if self._plan.backfill:
            past = asyncio.create_task(self._read_past(), name="feed past")
            self._tasks.append(past)
            await asyncio.wait({past}, timeout=self._plan.backfill_wait_ms / 1_000)

    def _spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._forever(name, work), name=f"feed {name}"))

    async def _forever(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the last door of a task: reported, and the feed goes on
                self._report(name, error)
                await self._clock.sleep(_AGAIN_S)

    def _report(self, name: str, error: Exception) -> None:
        text = "".join(traceback.format_exception(error))
        self._note(UncaughtException(f"feed {name}", type(error).__name__, str(error), text))

    async def _read_past(self) -> None:
        began_ms = self._clock.now_ms()
        until_ms = self._bars.close_ms(self._bars.first_row - 1)
        since_ms = until_ms - self._plan.history_rows * self._plan.row_ms
        backfill = Backfill(self._clock, self._data, self._plan.row_ms, self._bars.fill_past)
        failed: tuple[str, ...] = ()
        try:
            await backfill.run(self._symbols, since_ms, until_ms)
            failed = await self._slower.read_past(self._clock, self._data)
        except Exception as error:  # noqa: BLE001 - without a past guests warm up live
            self._report("past", error)
        took_ms = self._clock.now_ms() - began_ms
        self._note(FeedPast(len(self._symbols), tuple(sorted((*backfill.failed, *failed))), took_ms))

    async def _read_first(self) -> None:
        try:
            await self._slower.read_first(self._clock, self._data)
        except Exception as error:  # noqa: BLE001 - one empty bar of a slower frame
            self._report("slower frames", error)

    async def close(self) -> None:
        """Stop listening and polling. May be called twice.

        A client may lose a cancel in the middle of a read: it is told again until it has ended, a bounded number of
        times, and named where it never does.
        """
        tasks, self._tasks = set(self._tasks), []
        for _ in range(_CANCELS_MAX):
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_S)
        for task in tasks:
            self._note(AlertFired("feed_task_left", "warning", f"{task.get_name()} did not end when it was told to"))
        await self.poller.close()

    # What comes in ------------------------------------------------------------------------------------------

    def take_quote(self, quote: Quote) -> None:
        """Take a quote, read or pushed, into the row under way, and tell whoever wants to know.

        It counts in the row in which it came to us: one that was long on its way is not put into a row that has closed.
        """
        now_ms = self._clock.now_ms()
        self._bars.advance(-(-now_ms // self._plan.row_ms))
        self._slower.advance(now_ms, through=False)
        if self._quotes.note(quote, now_ms):
            for listener in self._listeners:
                listener(quote.symbol)

    def _priced(self, column: int, price: float, volume_24h_quote: float) -> None:
        self._bars.note(column, price, volume_24h_quote)
        self._slower.note(column, price, volume_24h_quote)

    def note_book(self, book: Book) -> None:
        """Take a whole book that somebody read."""
        self._quotes.note_book(book)

    def _listed(self, instruments: Mapping[str, Instrument]) -> None:
        columns = [self._columns[symbol] for symbol in self.listing.shut]
        self._bars.shut(columns)
        self._slower.shut(columns)
        self._quotes.shut(self.listing.shut)

    def on_instruments(self, listener: Callable[[Mapping[str, Instrument]], None]) -> None:
        """Have `listener` told of each new list of instruments; it must not wait."""
        self.listing.listeners.append(listener)

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The newest list, of all symbols of the exchange."""
        return self.listing.instruments

    # The feed port ------------------------------------------------------------------------------------------

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, in frame order."""
        return self._symbols

    @property
    def timeframe_ms(self) -> int:
        """Length of a row."""
        return self._plan.row_ms

    @property
    def foresees(self) -> bool:
        """Never: the wall clock shows nothing of what is to come."""
        return False

    @property
    def next_close_ms(self) -> int:
        """When the next row closes that has not been taken. There is always one.

        Rows that nobody took in time and in which nothing came in (a clock that was set forward, a machine that slept)
        are passed over: they stay in the history, empty.
        """
        now_row = -(-self._clock.now_ms() // self._plan.row_ms)
        if now_row - self._next > _BEHIND_ROWS:
            self._bars.advance(now_row)
            self._pass_over(now_row - 1)
        return self._bars.close_ms(self._next)

    def _pass_over(self, until_row: int) -> None:
        before = self._next
        self._next = min(max(self._next, self._bars.oldest), until_row)
        while self._next < until_row and not self._bars.holds(self._next):
            self._next += 1
        self._gaps += (self._next - before) * len(self._symbols)

    def _closed(self) -> bool:
        """Close the rows whose time has come; False where the next one's has not."""
        now_ms = self._clock.now_ms()
        if self.next_close_ms > now_ms:
            return False
        self._bars.advance(now_ms // self._plan.row_ms + 1)
        self._slower.advance(now_ms, through=True)
        return True

    def _frame(self, start: int, stop: int) -> MarketFrame:
        return self._bars.frame(start, stop, self._slower.frames(self._bars.close_ms(stop - 1)))

    def block(self, warmup: int, rows: int) -> MarketFrame | None:
        """Look at `warmup` taken rows and the next one; ``None`` where it has not closed yet."""
        del rows  # nobody knows more than one
        return self._frame(self._next - warmup, self._next + 1) if self._closed() else None

    def take(self) -> int | None:
        """Close the next row: it becomes history. Returns its close; ``None`` where its time has not come."""
        if not self._closed():
            return None
        self._gaps += self._bars.missing(self._next)
        self._next += 1
        return self._bars.close_ms(self._next - 1)

    def history(self, rows: int) -> MarketFrame:
        """The last `rows` taken rows, fewer at the start."""
        return self._frame(self._next - rows, self._next)

    def hours(self, count: int) -> MarketFrame:
        """The last `count` whole hours that have closed; none where no guest has declared to need the frame ``1h``."""
        hours = self._slower.frames(self._bars.close_ms(self._next - 1)).get(HOURS)
        if hours is None:
            return MarketFrame(HOUR_MS, np.zeros(0, dtype=np.int64), self._symbols, blank(0, len(self._symbols)))
        return hours.cut(max(0, hours.rows - count), hours.rows)

    def steps(self, symbol: str, after_ms: int) -> tuple[Step, ...]:
        """Nothing: prices to come are not known."""
        return ()

    def book(self, symbol: str) -> Book | None:
        """The newest book known, with the moment at which it came in; ``None`` where there is none or no trading."""
        return self._quotes.book(symbol)

    def quote(self, symbol: str) -> Quote | None:
        """The newest quote; ``None`` where none came in."""
        return self._quotes.quote(symbol)

    def last_price(self, symbol: str) -> float | None:
        """The newest price, no older than `stale_ms`; ``None`` else, and where the symbol cannot be traded now."""
        return self._quotes.fresh(symbol, self._clock.now_ms())

    def newest(self, symbol: str) -> Step | None:
        """The newest price however old, with its moment; ``None`` where there never was one."""
        return self._quotes.newest(symbol)

    def on_price(self, listener: Callable[[str], None]) -> None:
        """Have `listener` told of each symbol whose price came in anew; it must not wait."""
        self._listeners.append(listener)

    def attend(self, symbols: frozenset[str]) -> None:
        """Name the symbols to be read more often than the others."""
        self.poller.attended = symbols

    def gaps(self) -> int:
        """Cells (row x symbol) so far in which there was no data."""
        return self._gaps
