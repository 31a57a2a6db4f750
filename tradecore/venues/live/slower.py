"""Slower frames beside the rows: their past from the exchange's candles, then added up from the same quotes.

The bar under way at the start is not ours to build: half of it was before our time. It stays empty when it closes,
until the exchange's own candle of it has been read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tradecore.market.frame import MarketFrame, window_ms
from tradecore.ports.clock import Clock
from tradecore.ports.quotes import MarketData
from tradecore.venues.live.backfill import Backfill
from tradecore.venues.live.bars import Bars

_SETTLED_MS: Final = 5_000
"""After a close until the exchange's candle of it is taken for final."""


class Slower:
    """Frames of longer rows over the same symbols.

    Args:
        symbols: Names, in frame order.
        frames: Name, as ``1h``, to rows of history that guests may ask for.
        now_ms: Market time.
    """

    def __init__(self, symbols: tuple[str, ...], frames: Mapping[str, int], now_ms: int) -> None:
        self._symbols: Final = symbols
        self._keep: Final = dict(frames)
        self._bars: Final = {
            name: Bars(symbols, window_ms(name, 1), rows + 1, now_ms, rows, from_start=False)
            for name, rows in frames.items()
        }

    def note(self, column: int, price: float, volume_24h_quote: float) -> None:
        """Take a price into every bar under way."""
        for bars in self._bars.values():
            bars.note(column, price, volume_24h_quote)

    def shut(self, columns: Sequence[int]) -> None:
        """Name the symbols that cannot be traded now."""
        for bars in self._bars.values():
            bars.shut(columns)

    def advance(self, now_ms: int, *, through: bool) -> None:
        """Close the bars whose time is over.

        Args:
            through: Whether a bar that closes at this very moment is closed too.
        """
        for bars in self._bars.values():
            bars.advance(now_ms // bars.row_ms + 1 if through else -(-now_ms // bars.row_ms))

    def frames(self, end_ms: int) -> dict[str, MarketFrame]:
        """Every frame, cut to what had closed at a moment."""
        found = {}
        for name, bars in self._bars.items():
            stop = end_ms // bars.row_ms + 1
            found[name] = bars.frame(stop - self._keep[name], stop)
        return found

    async def read_past(self, clock: Clock, data: MarketData) -> tuple[str, ...]:
        """Read the past, and the bar under way once it has closed.

        Returns:
            Symbols, with the frame's name, that could not be read.
        """
        failed: list[str] = []
        for name, bars in self._bars.items():
            close_ms = bars.close_ms(bars.first_row - 2)
            failed += await self._read(name, clock, data, close_ms - self._keep[name] * bars.row_ms, close_ms)
        return tuple(failed)

    async def read_first(self, clock: Clock, data: MarketData) -> None:
        """Read the bars that were under way at the start, each once it has closed."""
        for name, bars in sorted(self._bars.items(), key=lambda one: one[1].row_ms):
            close_ms = bars.close_ms(bars.first_row - 1)
            await clock.sleep_until_ms(close_ms + _SETTLED_MS)
            await self._read(name, clock, data, close_ms - bars.row_ms, close_ms)

    async def _read(self, name: str, clock: Clock, data: MarketData, since_ms: int, until_ms: int) -> list[str]:
        bars = self._bars[name]
        backfill = Backfill(clock, data, bars.row_ms, bars.fill_past)
        await backfill.run(self._symbols, since_ms, until_ms)
        return [f"{symbol} {name}" for symbol in backfill.failed]
