"""Where quotes come from: reads are the truth, the stream a hint that saves most of them.

Whole quotes, with last trade and volume, are read once in `sweep_ms`; between them best bids and asks alone, which is
much cheaper where the exchange has such an answer. While the stream is alive a symbol that it says nothing of is read
before its row closes without it: silence may be a quiet market or a lost subscription. When the stream is dead all are
read every `quotes_ms`, until it is back. Symbols that matter most (positions, live intents) are read more often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.events import AlertFired, FeedSource
from tradecore.ports.clock import Clock
from tradecore.ports.quotes import MarketData, Quote, QuoteStream
from tradecore.venues.live.listing import Listing
from tradecore.venues.live.quotes import Quotes

_EVE_MS_MAX: Final = 1_000
"""So long before a row closes there is a last read: the core enters on no book older than 2 s."""
_CALM_S: Final = 0.05


class LivePlan(NamedTuple):
    """How a live feed is to be; from the ``market`` and ``venue`` sections of the settings. Milliseconds."""

    row_ms: int = 5_000
    history_rows: int = 1
    """Closed rows that guests may ask for."""
    slower: Mapping[str, int] = {}
    """Slower frames that guests ask for: name, as ``1h``, to rows of history."""
    stale_ms: int = 15_000
    """A price older than this decides nothing."""
    quotes_ms: int = 2_000
    """Between two reads of all symbols while no stream is alive."""
    attend_ms: int = 1_000
    """Between two reads of the symbols that matter most."""
    sweep_ms: int = 30_000
    """Between two reads of all quotes with last trade and volume."""
    instruments_ms: int = 300_000
    backfill: bool = True
    backfill_wait_ms: int = 20_000
    """How long a start waits for the past; what takes longer comes in beside the first rows."""

    @property
    def quiet_ms(self) -> int:
        """Silence of a symbol after which it is read though the stream is alive: every row is to have its quote."""
        return min(self.stale_ms // 2, max(self.quotes_ms, self.row_ms // 2))


class Poller:
    """Reads quotes and listens to the stream.

    Args:
        clock: Market time.
        data: The exchange.
        stream: ``None``: reads alone.
        plan: Pauses.
        quotes: What is known already.
        listing: Which symbols may be asked about.
        take: Takes each quote.
        note: Takes events.
    """

    def __init__(
        self,
        clock: Clock,
        data: MarketData,
        stream: QuoteStream | None,
        plan: LivePlan,
        *,
        quotes: Quotes,
        listing: Listing,
        take: Callable[[Quote], None],
        note: Callable[[Any], None],
    ) -> None:
        self._clock: Final = clock
        self._data: Final = data
        self._stream: Final = stream
        self._plan: Final = plan
        self._quotes: Final = quotes
        self._listing: Final = listing
        self._take: Final = take
        self._note: Final = note
        self.attended: frozenset[str] = frozenset()
        self.reads = 0
        """Reads of quotes so far, of however many symbols."""
        self.failures = 0
        self.streaming = False
        self._swept_ms = 0
        self._good_ms = clock.now_ms()
        self._silent = False
        self._eve_ms: Final = min(_EVE_MS_MAX, plan.row_ms // 4)

    async def start(self) -> None:
        """Read all quotes once and begin to listen.

        Raises:
            RetryableVenueError: No usable answer came.
            VenueRefused: The exchange said no.
        """
        await self._ask(self._listing.listed, whole=True)
        self._swept_ms = self._clock.now_ms()
        if self._stream is not None:
            await self._stream.start(self._listing.listed, self._take)

    async def rounds(self) -> None:
        """Read what is due, for ever."""
        while True:
            self._look_at_stream()
            began_ms = self._clock.now_ms()
            whole = began_ms - self._swept_ms >= self._plan.sweep_ms
            due = self._listing.listed if whole else self._due(began_ms)
            if due and await self._read(due, whole=whole) and whole:
                self._swept_ms = began_ms
            # A read that had to wait for its turn leaves as much time to the reads of what matters most.
            took_s = (self._clock.now_ms() - began_ms) / 1_000
            await self._clock.sleep(max(self._pause_s(), took_s))

    async def attend(self) -> None:
        """Read the symbols that matter most, for ever."""
        while True:
            await self._clock.sleep(self._plan.attend_ms / 1_000)
            if self.attended:
                old = set(self._quotes.older_than(self._plan.attend_ms // 2, self._clock.now_ms()))
                due = [symbol for symbol in self._listing.listed if symbol in self.attended and symbol in old]
                if due:
                    await self._read(due)

    def _look_at_stream(self) -> None:
        alive = self._stream is not None and self._stream.alive
        if alive == self.streaming:
            return
        self.streaming = alive
        if alive:
            self._swept_ms = 0  # what it pushed before is not known to be whole
        made = self._stream.reconnects if self._stream is not None else 0
        source = "stream" if alive else "rest"
        self._note(FeedSource(source, len(self._listing.listed), f"reconnects={made}"))

    def _due(self, now_ms: int) -> Sequence[str]:
        listed = self._listing.listed
        if not self.streaming:
            return listed
        row_ms = self._plan.row_ms
        last_read = row_ms - now_ms % row_ms <= self._eve_ms
        quiet = set(self._quotes.older_than(self._eve_ms if last_read else self._plan.quiet_ms, now_ms))
        return [symbol for symbol in listed if symbol in quiet]

    def _pause_s(self) -> float:
        """Until the next round; shortly before a row closes there is one, so that books are young when it is judged."""
        now_ms, row_ms, pause_ms = self._clock.now_ms(), self._plan.row_ms, self._plan.quotes_ms
        eve_ms = (now_ms // row_ms + 1) * row_ms - self._eve_ms
        if pause_ms // 4 <= eve_ms - now_ms < pause_ms:
            pause_ms = eve_ms - now_ms
        return max(_CALM_S, pause_ms / 1_000)

    async def _read(self, symbols: Sequence[str], *, whole: bool = False) -> bool:
        try:
            await self._ask(symbols, whole=whole)
        except RetryableVenueError as error:
            self._failed(error)
            return False
        except VenueRefused as error:
            self._listing.hurry()  # one symbol that is gone makes some exchanges refuse the whole question
            self._failed(error)
            return False
        return True

    async def _ask(self, symbols: Sequence[str], *, whole: bool) -> None:
        self.reads += 1
        found = await (self._data.quotes(symbols) if whole else self._data.best(symbols))
        self._good_ms = self._clock.now_ms()
        if self._silent:
            self._silent = False
            self._note(AlertFired("quotes_available", "info", "the exchange answers again"))
        for quote in found.values():
            self._take(quote)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        age_ms = self._clock.now_ms() - self._good_ms
        if age_ms > self._plan.stale_ms and not self._silent:
            self._silent = True
            self._note(AlertFired("quotes_unavailable", "critical", f"no read of quotes for {age_ms} ms: {error}"))

    async def close(self) -> None:
        """Stop listening."""
        if self._stream is not None:
            await self._stream.close()
