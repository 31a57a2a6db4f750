"""What the exchange lets be traded: chosen once at the start, watched while the run goes on.

The symbols of a run are fixed, so that every row has the same columns. One that is delisted or halted stays a column
without data; a new one is told of, and can be chosen at the next start.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.events import AlertFired, InstrumentsChanged
from tradecore.model.instrument import Instrument
from tradecore.ports.clock import Clock
from tradecore.ports.quotes import MarketData, Quote

_SPACING_S: Final = 10.0
"""However urgent, the list is read no more often."""


class Universe(NamedTuple):
    """Which symbols a run wants; the ``universe`` section of the settings."""

    quote: str
    patterns: Sequence[str] = ("*",)
    exclude: Sequence[str] = ()
    most: int | None = None
    """Most symbols, those with the largest 24 h volume; ``None`` takes all."""

    def fits(self, item: Instrument) -> bool:
        """Tell whether the names suit."""
        wanted = any(fnmatchcase(item.symbol, pattern) for pattern in self.patterns)
        unwanted = any(fnmatchcase(item.symbol, pattern) for pattern in self.exclude)
        return item.quote == self.quote and wanted and not unwanted


def choose(
    instruments: Mapping[str, Instrument],
    quotes: Mapping[str, Quote],
    universe: Universe,
    keep: Collection[str] = (),
) -> tuple[str, ...]:
    """Choose the symbols of a run, by name.

    Args:
        quotes: For the 24 h volumes; needed only where the universe names a most.
        keep: Symbols of open positions: they stay in sight whatever the universe says, and count on top.
    Returns:
        Symbols that can be bought or sold now, and of `keep` all that the exchange lists.
    """
    fitting = [
        item.symbol for item in instruments.values() if universe.fits(item) and (item.can_buy or item.can_sell)
    ]  # fmt: skip
    if universe.most is not None:
        fitting = sorted(fitting, key=lambda symbol: (-_volume(quotes.get(symbol)), symbol))[: universe.most]
    return tuple(sorted({*fitting, *(symbol for symbol in keep if symbol in instruments)}))


def _volume(quote: Quote | None) -> float:
    volume = quote.volume_24h_quote if quote is not None else 0.0
    return volume if math.isfinite(volume) else 0.0


class Listing:
    """Reads the list again and again and tells what became of this run's symbols.

    Args:
        clock: Market time.
        data: The exchange.
        symbols: Of this run.
        instruments: As they were at the start.
        universe: For what is new; ``None`` tells of nothing new.
        note: Takes events.
    """

    def __init__(
        self,
        clock: Clock,
        data: MarketData,
        symbols: Sequence[str],
        instruments: Mapping[str, Instrument],
        *,
        universe: Universe | None,
        note: Callable[[Any], None],
    ) -> None:
        self._clock: Final = clock
        self._data: Final = data
        self._symbols: Final = tuple(symbols)
        self._universe: Final = universe
        self._note: Final = note
        self.instruments: Mapping[str, Instrument] = dict(instruments)
        self.listeners: list[Callable[[Mapping[str, Instrument]], None]] = []
        """Told of every list that differs from the one before; they must not wait."""
        self.failures = 0
        self._hurry = asyncio.Event()
        self.shut = frozenset(symbol for symbol in self._symbols if not _trades(self.instruments.get(symbol)))
        """Symbols of this run that cannot be traded now."""
        self.listed = tuple(symbol for symbol in self._symbols if symbol in self.instruments)
        """Symbols of this run that the exchange knows: only these may be asked about."""

    def hurry(self) -> None:
        """Have the list read soon: something was refused that should not have been."""
        self._hurry.set()

    async def rounds(self, pause_s: float) -> None:
        """Read the list every `pause_s` and when hurried."""
        while True:
            await self._clock.sleep(min(_SPACING_S, pause_s))
            if pause_s > _SPACING_S and not self._hurry.is_set():
                await self._until_hurried(pause_s - _SPACING_S)
            self._hurry.clear()
            await self._read()

    async def _until_hurried(self, seconds: float) -> None:
        waiting = asyncio.ensure_future(self._hurry.wait())
        try:
            await asyncio.wait({waiting}, timeout=seconds)
        finally:
            waiting.cancel()

    async def _read(self) -> None:
        try:
            found = await self._data.instruments()
            if not found:
                raise RetryableVenueError("instruments: expected at least one, was none")
        except (RetryableVenueError, VenueRefused) as error:
            self.failures += 1
            self._note(AlertFired("instruments_unread", "warning", f"the list of symbols is the old one: {error}"))
            return
        self.apply(found)

    def apply(self, found: Mapping[str, Instrument]) -> None:
        """Take a new list over and tell what differs."""
        old, self.instruments = self.instruments, dict(found)
        if old == self.instruments:
            return
        was_shut = self.shut
        self.shut = frozenset(symbol for symbol in self._symbols if not _trades(found.get(symbol)))
        self.listed = tuple(symbol for symbol in self._symbols if symbol in found)
        gone = tuple(symbol for symbol in self._symbols if symbol in old and symbol not in found)
        universe = self._universe
        change = InstrumentsChanged(
            listed=tuple(
                sorted(s for s, item in found.items() if universe is not None and s not in old and universe.fits(item))
            ),
            delisted=gone,
            halted=tuple(s for s in self._symbols if s in self.shut and s not in was_shut and s in found),
            resumed=tuple(s for s in self._symbols if s in was_shut and s not in self.shut),
            changed=tuple(
                s for s in self._symbols if s in old and s in found and old[s] != found[s]
                and (s in self.shut) == (s in was_shut)
            ),
        )  # fmt: skip
        if any(change):
            self._note(change)
        for symbol in (*change.delisted, *change.halted):
            self._note(AlertFired("symbol_shut", "warning", f"{symbol} cannot be traded any more"))
        for listener in self.listeners:
            listener(self.instruments)


def _trades(item: Instrument | None) -> bool:
    return item is not None and (item.can_buy or item.can_sell)
