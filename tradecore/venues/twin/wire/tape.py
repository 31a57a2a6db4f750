"""The market's past as a venue tells it: trades, candles, and what the last day brought. Market data, so floats."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from tradecore.market.frame import Array, MarketFrame
from tradecore.venues.twin.market import TwinMarket

_DAY_MS: Final = 86_400_000
_READ_ROWS: Final = 4_096
_COLUMNS: Final = ("open", "high", "low", "close", "volume")


class TapeTrade(NamedTuple):
    """One trade between others."""

    number: int
    """Rises with time; the same trade always has the same."""
    at_ms: int
    price: float
    quantity: float
    """Base units, > 0."""
    buyer_is_maker: bool


class TapeCandle(NamedTuple):
    """One candle; the newest one still runs."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    """Base units."""
    quote_volume: float


class Day(NamedTuple):
    """What one symbol did in the last 24 hours."""

    open: float
    high: float
    low: float
    last: float
    volume: float
    quote_volume: float
    open_ms: int


class Tape:
    """Trades and candles of one market.

    Args:
        market: Rows and the steps between their closes.
    """

    def __init__(self, market: TwinMarket) -> None:
        self._market: Final = market
        self._column: Final = {symbol: i for i, symbol in enumerate(market.symbols)}
        self._day_rows: Final = max(1, _DAY_MS // market.timeframe_ms)
        self._day_at = -2
        self._rows: dict[str, Array] = {}
        self._day: dict[str, Array] = {}

    def trades(self, symbol: str, since_ms: int, until_ms: int, limit: int) -> list[TapeTrade]:
        """The newest trades in [since, until], oldest first."""
        market, found = self._market, list[TapeTrade]()
        row = market.row_at(until_ms)
        first = max(0, market.row_at(since_ms)) if since_ms > market.open_ms else 0
        while row >= first and len(found) < limit:
            found = self._trades_of(symbol, row, since_ms, until_ms) + found
            row -= 1
        return found[-limit:]

    def trades_from(self, symbol: str, number: int, until_ms: int, limit: int) -> list[TapeTrade]:
        """The oldest trades from a number on."""
        market, found = self._market, list[TapeTrade]()
        row = max(0, (number - 1) // self._per_row)
        last = market.row_at(until_ms)
        while row <= last and len(found) < limit:
            found += [t for t in self._trades_of(symbol, row, 0, until_ms) if t.number >= number]
            row += 1
        return found[:limit]

    def trades_since(self, symbol: str, since_ms: int, until_ms: int, limit: int) -> list[TapeTrade]:
        """The oldest trades in [since, until]."""
        row = max(0, self._market.row_at(since_ms))
        found: list[TapeTrade] = []
        while row <= self._market.row_at(until_ms) and len(found) < limit:
            found += self._trades_of(symbol, row, since_ms, until_ms)
            row += 1
        return found[:limit]

    @property
    def _per_row(self) -> int:
        shape = self._market.shape
        return shape.steps if shape.between_closes else 4

    def _trades_of(self, symbol: str, row: int, since_ms: int, until_ms: int) -> list[TapeTrade]:
        found: list[TapeTrade] = []
        before = math.nan
        for at, step in enumerate(self._market.steps(symbol, row)):
            quantity = float(self._market.flow(symbol, step))
            if quantity > 0 and since_ms <= step.at_ms <= until_ms:
                falling = step.price < before
                found.append(TapeTrade(row * self._per_row + at + 1, step.at_ms, step.price, quantity, falling))
            before = step.price
        return found

    def candles(self, symbol: str, interval_ms: int, since_ms: int, now_ms: int, limit: int) -> list[TapeCandle]:
        """Candles that open at or after a moment, oldest first; the last may still run.

        Args:
            interval_ms: A multiple of the market's row.
        """
        market = self._market
        running = market.row_at(now_ms)
        start_ms = max(since_ms, market.open_ms)
        # A candle whose first rows are older than the data is left out, as is one that began before `since_ms`.
        start_ms = -(-start_ms // interval_ms) * interval_ms
        row = (start_ms - market.open_ms) // market.timeframe_ms
        made: dict[int, TapeCandle] = {}
        while row < running and len(made) <= limit:
            stop = min(running, row + _READ_ROWS)
            frame = market.frame(row, stop)
            for candle in _grouped(frame, self._column[symbol], interval_ms):
                known = made.get(candle.open_ms)
                made[candle.open_ms] = candle if known is None else _joined(known, candle)
            row = stop
        if len(made) <= limit and (now := self._running(symbol, running, interval_ms, now_ms)) is not None:
            known = made.get(now.open_ms)
            if now.open_ms >= start_ms:
                made[now.open_ms] = now if known is None else _joined(known, now)
        return [made[key] for key in sorted(made)][:limit]

    def _running(self, symbol: str, row: int, interval_ms: int, now_ms: int) -> TapeCandle | None:
        steps = [step for step in self._market.steps(symbol, row) if step.at_ms <= now_ms] if row >= 0 else []
        if not steps:
            return None
        prices = [step.price for step in steps]
        volumes = [float(self._market.flow(symbol, step)) for step in steps]
        quote = sum(price * volume for price, volume in zip(prices, volumes, strict=True))
        open_ms = (steps[0].at_ms - 1) // interval_ms * interval_ms
        return TapeCandle(open_ms, prices[0], max(prices), min(prices), prices[-1], sum(volumes), quote)

    def day(self, symbol: str, now_ms: int) -> Day | None:
        """The last 24 hours; ``None`` where the symbol did not trade in them."""
        row = self._market.row_at(now_ms)
        if row < 0:
            return None
        if row != self._day_at:
            self._read_day(row)
        at = self._column[symbol]
        now = self._running(symbol, row, self._market.timeframe_ms, now_ms)
        first, last = float(self._day["open"][at]), float(self._day["close"][at])
        begin_ms = now_ms - min(_DAY_MS, now_ms - self._market.open_ms)
        if now is None:
            if math.isnan(last):
                return None
            values = [float(self._day[name][at]) for name in ("high", "low", "volume", "quote")]
            return Day(first, values[0], values[1], last, values[2], values[3], begin_ms)
        if math.isnan(last):
            return Day(now.open, now.high, now.low, now.close, now.volume, now.quote_volume, begin_ms)
        return Day(
            first, max(float(self._day["high"][at]), now.high), min(float(self._day["low"][at]), now.low), now.close,
            float(self._day["volume"][at]) + now.volume, float(self._day["quote"][at]) + now.quote_volume, begin_ms,
        )  # fmt: skip

    def _read_day(self, row: int) -> None:
        """Take the closed rows of the day before `row` in; only those that are new are read."""
        first = max(0, row - self._day_rows)
        have = self._rows["close"].shape[0] if self._rows else 0
        known = self._day_at if have and first <= self._day_at <= row else first
        fresh = self._market.frame(known, row) if row > known else None
        for name in _COLUMNS:
            old = self._rows[name] if have and known != first else np.empty((0, len(self._column)))
            new = getattr(fresh, name) if fresh is not None else np.empty((0, len(self._column)))
            self._rows[name] = np.concatenate((old, new))[-self._day_rows :] if row > first else old[:0]
        self._day_at = row
        rows = self._rows
        closes = rows["close"]
        traded = ~np.isnan(closes)
        count = closes.shape[0]
        some = traded.any(axis=0) if count else np.zeros(len(self._column), dtype=bool)
        blank = np.full(len(self._column), np.nan)
        if not count:
            self._day = dict.fromkeys((*_COLUMNS, "quote"), blank)
            return
        columns = np.arange(len(self._column))
        earliest, latest = traded.argmax(axis=0), count - 1 - traded[::-1].argmax(axis=0)
        self._day = {
            "open": np.where(some, rows["open"][earliest, columns], np.nan),
            "close": np.where(some, closes[latest, columns], np.nan),
            "high": np.fmax.reduce(rows["high"], axis=0),
            "low": np.fmin.reduce(rows["low"], axis=0),
            "volume": np.nansum(rows["volume"], axis=0),
            "quote": np.nansum(rows["volume"] * closes, axis=0),
        }


def _grouped(frame: MarketFrame, column: int, interval_ms: int) -> list[TapeCandle]:
    """Rows of one symbol as candles of an interval; rows without data are left out."""
    there = np.flatnonzero(~np.isnan(frame.close[:, column]))
    if not len(there):
        return []
    opens = (frame.timestamps[there] - frame.timeframe_ms) // interval_ms * interval_ms
    starts = np.concatenate(([0], np.flatnonzero(np.diff(opens)) + 1))
    ends = np.concatenate((starts[1:], [len(there)])) - 1
    o, h, l, c, v = (getattr(frame, name)[there, column] for name in _COLUMNS)  # noqa: E741 - a candle's letters
    high, low = np.maximum.reduceat(h, starts), np.minimum.reduceat(l, starts)
    volume, quote = np.add.reduceat(v, starts), np.add.reduceat(v * c, starts)
    return [
        TapeCandle(
            int(opens[start]), float(o[start]), float(high[i]), float(low[i]), float(c[end]), float(volume[i]),
            float(quote[i]),
        )
        for i, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]  # fmt: skip


def _joined(first: TapeCandle, second: TapeCandle) -> TapeCandle:
    """Two parts of one candle, in order of time."""
    return TapeCandle(
        first.open_ms, first.open, max(first.high, second.high), min(first.low, second.low), second.close,
        first.volume + second.volume, first.quote_volume + second.quote_volume,
    )  # fmt: skip
