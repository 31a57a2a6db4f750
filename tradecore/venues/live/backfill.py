"""The past before the first live row, from the exchange's candles.

Where the exchange has candles of the row's length a candle is a row. Else its 1 m candles are taken: each lands, with
its open, high, low, close and volume, in the row that closes with it, and the other rows of the minute stay empty. So
windows given in time see the right extremes and sums, and no row shows a price before it was there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.ports.clock import Clock
from tradecore.ports.quotes import Candle, MarketData
from tradecore.venues.live.bars import Cell

_MINUTE_MS: Final = 60_000
_PAGE: Final = 500
"""Candles asked for at once; fewer may come."""
_PAGES_MAX: Final = 40
_TRIES: Final = 3
_PAUSE_S: Final = 2.0
_AT_ONCE: Final = 4
"""Symbols asked about at the same time; the limiter paces the requests."""
_MERGE: Final = 100
"""Symbols that are put into the past together: each time it is copied once."""

Cells = Mapping[int, Sequence[tuple[int, Cell]]]


def rows_of(candles: Sequence[Candle], candle_ms: int, row_ms: int) -> list[tuple[int, Cell]]:
    """Put candles into the rows in which they close; several in one row become one bar.

    Args:
        candles: Closed ones, oldest first.
        candle_ms: Length of a candle.
        row_ms: Length of a row; row n closes at n x row_ms.
    """
    rows: dict[int, Cell] = {}
    for candle in candles:
        if not 0.0 < candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high:
            continue  # torn, or NaN: no data
        row = -(-(candle.open_ms + candle_ms) // row_ms)
        cell = rows.get(row)
        if cell is None:
            rows[row] = Cell(candle.open, candle.high, candle.low, candle.close, candle.volume)
        else:
            rows[row] = Cell(
                cell.open, max(cell.high, candle.high), min(cell.low, candle.low), candle.close,
                cell.volume + candle.volume,
            )  # fmt: skip
    return sorted(rows.items())


class Backfill:
    """Reads the past of many symbols, beside everything else.

    Args:
        clock: Market time.
        data: The exchange.
        row_ms: Length of a row.
        fill: Takes what was read, column by column.
    """

    def __init__(self, clock: Clock, data: MarketData, row_ms: int, fill: Callable[[Cells], None]) -> None:
        self._clock: Final = clock
        self._data: Final = data
        self._row_ms: Final = row_ms
        self._fill: Final = fill
        self._read: dict[int, Sequence[tuple[int, Cell]]] = {}
        self.failed: list[str] = []
        """Symbols whose past could not be read: their guests warm up live."""

    async def run(self, symbols: Sequence[str], since_ms: int, until_ms: int) -> None:
        """Read all candles that closed from `since_ms` to `until_ms` and hand them over.

        Args:
            symbols: In frame order, at least one.
        """
        gate = asyncio.Semaphore(_AT_ONCE)
        candle_ms = await self._length(symbols[0], since_ms)

        async def one(column: int, symbol: str) -> None:
            async with gate:
                candles = await self._candles(symbol, candle_ms, since_ms, until_ms)
            if candles is None:
                self.failed.append(symbol)
                return
            self._read[column] = rows_of(candles, candle_ms, self._row_ms)
            if len(self._read) >= _MERGE:
                self._hand_over()

        async with asyncio.TaskGroup() as group:
            for column, symbol in enumerate(symbols):
                group.create_task(one(column, symbol), name=f"past of {symbol}")
        self._hand_over()

    async def _length(self, symbol: str, since_ms: int) -> int:
        """Find out which candles there are: of the row's length, else of a minute."""
        try:
            await self._data.candles(symbol, self._row_ms, since_ms, 1)
        except (VenueRefused, RetryableVenueError):
            return _MINUTE_MS
        return self._row_ms

    def _hand_over(self) -> None:
        read, self._read = self._read, {}
        if read:
            self._fill(read)

    async def _candles(self, symbol: str, candle_ms: int, since_ms: int, until_ms: int) -> list[Candle] | None:
        """Read one symbol's candles; ``None`` where the exchange would not say."""
        for tried in range(1, _TRIES + 1):
            try:
                return await self._pages(symbol, candle_ms, since_ms, until_ms)
            except RetryableVenueError as error:
                if tried < _TRIES:
                    await self._clock.sleep(error.retry_after_s or _PAUSE_S * tried)
            except VenueRefused:
                break
        return None

    async def _pages(self, symbol: str, candle_ms: int, since_ms: int, until_ms: int) -> list[Candle]:
        found: list[Candle] = []
        start = since_ms - since_ms % candle_ms
        for _ in range(_PAGES_MAX):
            missing = (until_ms - start) // candle_ms
            if missing <= 0:
                break
            page = await self._data.candles(symbol, candle_ms, start, min(_PAGE, missing))
            news = [candle for candle in page if start <= candle.open_ms and candle.open_ms + candle_ms <= until_ms]
            if not news:
                break
            found += news
            start = news[-1].open_ms + candle_ms
        return found
