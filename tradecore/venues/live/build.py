"""Put a live feed together: what can be traded, which of it this run wants, and the feed over that."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from tradecore.errors import DataError
from tradecore.ports.clock import Clock
from tradecore.ports.quotes import MarketData, QuoteStream
from tradecore.venues.live.feed import LiveFeed
from tradecore.venues.live.listing import Universe, choose
from tradecore.venues.live.poller import LivePlan


async def open_live_feed(
    clock: Clock,
    data: MarketData,
    stream: QuoteStream | None,
    plan: LivePlan,
    universe: Universe,
    *,
    note: Callable[[Any], None],
    keep: Collection[str] = (),
) -> LiveFeed:
    """Read the list of instruments, choose the symbols and make the feed; `start` it when its listeners are set.

    Args:
        clock: Market time.
        data: Reads.
        stream: Pushes; ``None``: reads alone.
        plan: Lengths and pauses.
        universe: Which symbols are wanted.
        note: Takes events.
        keep: Symbols of open positions, wanted whatever the universe says.
    Raises:
        RetryableVenueError: The exchange did not answer.
        VenueRefused: It said no.
        DataError: No symbol fits.
    """
    instruments = await data.instruments()
    every = choose(instruments, {}, universe._replace(most=None))
    counted = universe.most is not None and len(every) > universe.most
    symbols = choose(instruments, await data.quotes(every) if counted else {}, universe, keep)
    if not symbols:
        raise DataError(f"expected at least one symbol of the universe at {data.name}, found none")
    return LiveFeed(
        clock, data, stream, plan, symbols=symbols, instruments=instruments, universe=universe, note=note
    )  # fmt: skip
