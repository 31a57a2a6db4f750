"""Where a run trades: the venue, its prices, and the turns at it; one maker for each mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tradecore.app.plain import twin_plan
from tradecore.app.prepare import Prepared
from tradecore.clocks.ids import SeededChance
from tradecore.model.places import TWIN_FILE
from tradecore.model.records import Run
from tradecore.ports.clock import Clock
from tradecore.ports.feed import Feed
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


def twin_epoch_ms(prepared: Prepared, folder: Path) -> int:
    """Market time at which the run begins: where the venue stands, else before the first row that is taken."""
    source = prepared.rows
    return reached_ms(folder) or source.first_close_ms + (first_row(prepared) - 1) * source.timeframe_ms


def twin_floor(prepared: Prepared, folder: Path, clock: Clock, run: Run) -> Floor:
    """Open the embedded venue over rows of files or of a made-up market."""
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
