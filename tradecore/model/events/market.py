"""Market data on the wall clock: where it comes from, and what the exchange lets be traded."""

from __future__ import annotations

from typing import NamedTuple

from tradecore.model.events.kinds import Taxonomy, event_kind


@event_kind("feed_source", Taxonomy.HEALTH)
class FeedSource(NamedTuple):
    """Quotes come from elsewhere now (R38)."""

    source: str
    """``stream`` (and reads that correct it) or ``rest``."""
    symbols: int
    detail: str = ""


@event_kind("feed_past", Taxonomy.HEALTH)
class FeedPast(NamedTuple):
    """The history before the first live row was read from the exchange's candles."""

    symbols: int
    failed: tuple[str, ...]
    """Symbols whose past could not be read."""
    took_ms: int


@event_kind("instruments_changed", Taxonomy.AUDIT)
class InstrumentsChanged(NamedTuple):
    """What the exchange lets be traded is no longer what it was."""

    listed: tuple[str, ...]
    """New pairs of our quote coin: they may be traded from the next start on."""
    delisted: tuple[str, ...]
    """Of this run's symbols: gone from the list."""
    halted: tuple[str, ...]
    """Of this run's symbols: neither side may trade."""
    resumed: tuple[str, ...]
    """Of this run's symbols: back."""
    changed: tuple[str, ...]
    """Of this run's symbols: new filters, fees, or one side shut or opened."""
