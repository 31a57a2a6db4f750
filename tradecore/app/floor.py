"""Where a run trades: the venue, its prices, and the turns at it; one maker for each mode."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tradecore.app.plain import twin_plan
from tradecore.app.prepare import Prepared
from tradecore.clocks.ids import SeededChance
from tradecore.model.instrument import Instrument
from tradecore.model.places import TWIN_FILE
from tradecore.model.records import Run
from tradecore.ports.clock import Clock
from tradecore.ports.feed import Feed
from tradecore.ports.hints import AccountHints
from tradecore.ports.limiter import Limiter
from tradecore.ports.venue import Venue
from tradecore.venues.limiter import RequestLimiter
from tradecore.venues.twin.build import open_twin
from tradecore.venues.twin.feed import TwinFeed, start_row_of
from tradecore.venues.twin.state import TwinState


class Floor(NamedTuple):
    """Everything that stands between the engine and a market."""

    venue: Venue
    feed: Feed
    limiter: Limiter
    note_row: Callable[[int], None] | None = None
    """Told of each row's close by a run that is kept; ``None``: nobody needs it."""
    hints: AccountHints | None = None
    """What the venue pushes of our account; ``None``: it pushes nothing."""
    start: Callable[[], Awaitable[None]] | None = None
    """Begins to read prices, once the engine listens."""
    close: Callable[[], Awaitable[None]] | None = None
    """Lets go of everything; ``None``: closing the venue is enough."""
    doubt_clock: Callable[[int], None] | None = None
    """Told that our clock was moved on, ms: how far the exchange's is from it must be measured anew."""
    on_instruments: Callable[[Callable[[Mapping[str, Instrument]], None]], None] | None = None
    """Has somebody told of each new list of instruments."""


class FloorMaker(Protocol):
    """Makes the floor of a run. The one of a real exchange brings ccxt along, so it is imported only where needed."""

    def epoch_ms(self, prepared: Prepared, folder: Path) -> int:
        """Market time at which the run begins."""

    @property
    def secrets(self) -> Sequence[str]:
        """What must appear in no file."""

    async def open(
        self, prepared: Prepared, folder: Path, clock: Clock, run: Run, *, held: Collection[str],
        note: Callable[[Any], None],
    ) -> Floor:  # fmt: skip
        """Open everything.

        Args:
            held: Symbols of open positions: they stay in sight whatever the universe says.
            note: Takes events.
        Raises:
            UsageError: Something cannot be used.
            RetryableVenueError: The exchange did not answer.
            VenueRefused: It said no.
        """


def reached_ms(folder: Path) -> int:
    """Market time that the embedded venue of a state folder has reached; 0 where it has none or is fresh."""
    path = folder / TWIN_FILE
    if not path.exists():
        return 0
    state = TwinState(path)
    reached = state.market_time_ms
    state.close()
    return reached


def first_row(prepared: Prepared) -> int:
    """First row of a fresh run: a generated market has a past, so guests need not warm up in it."""
    return prepared.warmup_rows if prepared.rows.rows is None else 0


class TwinMaker:
    """The embedded venue over rows of files or of a made-up market."""

    secrets: Sequence[str] = ()

    def epoch_ms(self, prepared: Prepared, folder: Path) -> int:
        """Where the venue stands, else before the first row that is taken."""
        source = prepared.rows
        return reached_ms(folder) or source.first_close_ms + (first_row(prepared) - 1) * source.timeframe_ms

    async def open(
        self, prepared: Prepared, folder: Path, clock: Clock, run: Run, *, held: Collection[str],
        note: Callable[[Any], None],
    ) -> Floor:  # fmt: skip
        """Open the venue's file and take up its rows."""
        return _twin_floor(prepared, folder, clock, run)


def _twin_floor(prepared: Prepared, folder: Path, clock: Clock, run: Run) -> Floor:
    source, settings = prepared.rows, prepared.settings
    twin = open_twin(
        clock, source, seed=run.seed, generator=SeededChance(run.seed).generator("twin"),
        path=folder / TWIN_FILE, plan=twin_plan(settings), instruments=prepared.instruments,
    )  # fmt: skip
    twin.venue.open_balances(settings.account.opening)
    start = start_row_of(source, clock.now_ms())
    feed = TwinFeed(source, twin.market, clock, max(start, first_row(prepared)))
    limiter = RequestLimiter(clock, settings.limiter.requests_per_minute)
    return Floor(twin.venue, feed, limiter, twin.venue.note_market_time)
