"""A market made from a seed, without an end: regimes, crashes, rallies, thin coins, halts.

Rows come in chunks. What a chunk holds follows from the seed, its number, the symbol, and the prices at its start, so
any row can be read at once or in order and is the same. A symbol moves the same whichever others are there.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from tradecore.errors import SettingsError
from tradecore.market.cast import Coin, cast, instrument_of
from tradecore.market.derive import USUAL_FEES, Fees
from tradecore.market.frame import COLUMNS, Array, MarketFrame
from tradecore.market.window import RowWindow, blank, row_bytes
from tradecore.model.instrument import Instrument
from tradecore.model.units import canonical

Mood = Literal["calm", "lively", "crash", "mixed"]
START_MS: Final = 1_735_689_600_000
"""2025-01-01T00:00:00Z."""

_CHUNK: Final = 1_024
_SEGMENT: Final = 128
"""Rows of one regime."""
_KEEP_EVERY: Final = 64
"""Of the prices at chunk starts, every so manieth is remembered: going back costs at most so many chunks."""
_WINDOW_BYTES: Final = 8 * 1024 * 1024
_WINDOW_ROWS: Final = 4 * _CHUNK
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000
_REVERSION_DAYS: Final = 20.0
"""Prices tend back to the coin's own within about so long, so that an endless market stays in sight of it."""
_REACH: Final = 2.0
"""Largest distance from there in log price."""
_HALT_EVERY_MS: Final = 12 * _HOUR_MS
_BETA: Final = 0.8
"""Share of the market's moves that each coin takes part in."""


class _Temper(NamedTuple):
    """How wild a market is."""

    volatility: float
    """Times the coin's own."""
    shocks_per_day: float
    """Crashes, and as many rallies, of one coin alone."""
    market_shocks_per_day: float
    depth: tuple[float, float]
    """Smallest and largest crash, as a share of the price."""


_TEMPERS: Final[Mapping[str, _Temper]] = {
    "calm": _Temper(0.7, 0.3, 0.05, (0.02, 0.04)),
    "lively": _Temper(1.2, 5.0, 0.6, (0.03, 0.08)),
    "crash": _Temper(1.7, 6.0, 4.0, (0.04, 0.10)),
}


class GeneratedSource:
    """Rows of a made-up market, always the same for the same arguments.

    Args:
        seed: Any whole number.
        symbols: How many coins, or which.
        timeframe_ms: Length of a row, milliseconds, at least 1,000.
        mood: ``calm``, ``lively``, ``crash``, or ``mixed``, which changes among them.
        start_ms: Open of row 0, milliseconds UTC.
        rows: Rows there are; ``None`` for no end.
        quote: The quote coin. Prices are those of dollars, whatever it is called.
        fees: What a trade costs.
    Raises:
        SettingsError: If one of them cannot be.
    """

    def __init__(
        self,
        seed: int,
        symbols: int | Sequence[str],
        timeframe_ms: int,
        mood: Mood = "lively",
        *,
        start_ms: int = START_MS,
        rows: int | None = None,
        quote: str = "USDT",
        fees: Fees = USUAL_FEES,
    ) -> None:
        if mood not in get_args(Mood):
            raise SettingsError(f"expected a mood of {', '.join(get_args(Mood))}, was {mood!r}")
        if timeframe_ms < 1_000:
            raise SettingsError(f"expected a timeframe of at least 1000 ms, was {timeframe_ms}")
        if rows is not None and rows < 1:
            raise SettingsError(f"expected at least one row or no end, was {rows}")
        self._seed: Final = seed
        self._mood: Final = mood
        self._timeframe_ms: Final = timeframe_ms
        self._start_ms: Final = start_ms
        self._rows: Final = rows
        self._coins: Final = cast(symbols, quote)
        instruments = [instrument_of(coin, quote, fees) for coin in self._coins]
        self._instruments: Final = {instrument.symbol: instrument for instrument in instruments}
        self._grids: Final = [_Grid.of(instrument) for instrument in instruments]
        begin = np.array([coin.price for coin in self._coins])
        self._starts: Final[dict[int, _Start]] = {0: _Start(np.log(begin), self._first_prices(begin))}
        self._chunk_at = -1
        self._chunk: dict[str, Array] = {}
        self._window: Final = RowWindow(
            symbols=self.symbols,
            timeframe_ms=timeframe_ms,
            first_close_ms=self.first_close_ms,
            rows=rows,
            fill=self._fill,
            budget_bytes=min(_WINDOW_BYTES, row_bytes(len(self._coins)) * _WINDOW_ROWS),
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, in the order asked for."""
        return tuple(self._instruments)

    @property
    def timeframe_ms(self) -> int:
        """Length of a row."""
        return self._timeframe_ms

    @property
    def first_close_ms(self) -> int:
        """Close of row 0."""
        return self._start_ms + self._timeframe_ms

    @property
    def rows(self) -> int | None:
        """Number of rows; ``None``: no end."""
        return self._rows

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Tick, lot, minimum and fees per symbol."""
        return self._instruments

    @property
    def warnings(self) -> tuple[str, ...]:
        """Says that these are no real prices."""
        return (f"generated market, seed {self._seed}, mood {self._mood}: these are no real prices",)

    def read(self, start: int, stop: int) -> MarketFrame:
        """Rows start to stop, fewer at the end; NaN while a coin is halted.

        Raises:
            ValueError: If the rows are none.
        """
        return self._window.read(start, stop)

    def _first_prices(self, prices: Array) -> Array:
        return np.array([grid.price(prices[i : i + 1])[0] for i, grid in enumerate(self._grids)])

    def _fill(self, start: int, stop: int, columns: Mapping[str, Array]) -> None:
        for number in range(start // _CHUNK, (stop - 1) // _CHUNK + 1):
            chunk, first = self._chunk_of(number), number * _CHUNK
            low, high = max(start, first), min(stop, first + _CHUNK)
            for name, column in columns.items():
                column[low - start : high - start] = chunk[name][low - first : high - first]

    def _chunk_of(self, number: int) -> dict[str, Array]:
        """The rows of a chunk; walks there from the nearest start that is remembered."""
        if number == self._chunk_at:
            return self._chunk
        nearest = max(known for known in self._starts if known <= number)
        for at in range(nearest, number + 1):
            self._chunk, self._starts[at + 1] = self._make(at, self._starts[at])
            self._chunk_at = at
            self._forget(at)
        return self._chunk

    def _forget(self, at: int) -> None:
        """Keep the starts of this chunk and the next, and few of the others."""
        for known in [known for known in self._starts if known % _KEEP_EVERY and known not in (at, at + 1)]:
            del self._starts[known]

    def _make(self, number: int, start: _Start) -> tuple[dict[str, Array], _Start]:
        columns = blank(_CHUNK, len(self._coins))
        levels, closes = np.empty(len(self._coins)), np.empty(len(self._coins))
        draw = _generator(self._seed, "", number)
        mood = str(draw.choice(list(_TEMPERS))) if self._mood == "mixed" else self._mood
        temper = _TEMPERS[mood]
        market = _shocks(draw, temper.market_shocks_per_day, temper.depth, self._timeframe_ms)
        market += 0.012 * temper.volatility * self._root_of_day() * draw.standard_normal(_CHUNK)
        for at, coin in enumerate(self._coins):
            draw = _generator(self._seed, coin.base, number)
            log_prices, moves = self._log_prices(draw, coin, temper, market, float(start.levels[at]))
            candles = self._candles(draw, coin, self._grids[at], log_prices, moves, float(start.closes[at]))
            levels[at], closes[at] = log_prices[-1], candles[3][-1]
            if coin.halts:
                self._halt(draw, candles)
            for name, values in zip(COLUMNS, candles, strict=True):
                columns[name][:, at] = values
        return columns, _Start(levels, closes)

    def _root_of_day(self) -> float:
        """Turns a day's standard deviation into a row's."""
        return math.sqrt(self._timeframe_ms / _DAY_MS)

    def _log_prices(
        self, draw: np.random.Generator, coin: Coin, temper: _Temper, market: Array, level: float
    ) -> tuple[Array, Array]:
        """Log price at each close, and each row's move in the coin's usual moves."""
        usual = coin.daily_volatility * temper.volatility * self._root_of_day()
        segments = _CHUNK // _SEGMENT
        regime = draw.integers(0, 3, segments)
        wild = np.repeat(np.choose(regime, [0.5, 0.9, 1.2]) * np.exp(0.3 * draw.standard_normal(segments)), _SEGMENT)
        trend = np.repeat(np.where(regime == 1, 0.08 * draw.choice([-1.0, 1.0], segments), 0.0), _SEGMENT)
        back = np.repeat(np.where(regime == 2, -0.35, 0.0), _SEGMENT)
        noise = draw.standard_normal(_CHUNK)
        noise[1:] += back[1:] * noise[:-1]
        moves = usual * (wild * noise + trend) + _BETA * market
        moves += _shocks(draw, temper.shocks_per_day, temper.depth, self._timeframe_ms)
        home = math.log(coin.price)
        pull = -math.expm1(-_CHUNK * self._timeframe_ms / (_REVERSION_DAYS * _DAY_MS))
        moves += pull * (home - level) / _CHUNK
        log_prices = np.clip(level + np.cumsum(moves), home - _REACH, home + _REACH)
        return log_prices, np.minimum(np.abs(moves) / usual, 12.0)

    def _candles(  # noqa: PLR0917 - one place, each value of another type
        self,
        draw: np.random.Generator,
        coin: Coin,
        grid: _Grid,
        log_prices: Array,
        moves: Array,
        close: float,
    ) -> tuple[Array, Array, Array, Array, Array]:
        """Open, high, low, close and volume on the coin's tick and lot; an empty row stays at the last close."""
        minutes = self._timeframe_ms / _MINUTE_MS
        traded = draw.random(_CHUNK) >= (coin.quiet**minutes if coin.quiet else 0.0)
        prices = grid.price(np.exp(log_prices))
        last = np.maximum.accumulate(np.where(traded, np.arange(_CHUNK), -1))
        closes = np.where(last >= 0, prices[last], close)
        opens = np.concatenate(([close], closes[:-1]))
        reach = 0.6 * coin.daily_volatility * self._root_of_day()
        over, under = np.abs(draw.standard_normal((2, _CHUNK))) * reach
        above = grid.price(np.maximum(opens, closes) * np.exp(over))
        below = grid.price(np.minimum(opens, closes) * np.exp(-under))
        highs, lows = np.where(traded, above, closes), np.where(traded, below, closes)
        turnover = coin.quote_per_minute * minutes * np.exp(0.7 * draw.standard_normal(_CHUNK)) * (0.5 + 0.5 * moves)
        volumes = np.where(traded, grid.quantity(turnover / closes), 0.0)
        return opens, highs, lows, closes, volumes

    def _halt(self, draw: np.random.Generator, candles: tuple[Array, ...]) -> None:
        """Take an hour of candles away, now and then."""
        length = int(min(max(1, _HOUR_MS // self._timeframe_ms), _CHUNK // 4))
        begin = int(draw.integers(0, _CHUNK - length))
        if draw.random() < -math.expm1(-_CHUNK * self._timeframe_ms / _HALT_EVERY_MS):
            for values in candles:
                values[begin : begin + length] = np.nan


class _Start(NamedTuple):
    """Where a chunk begins, per symbol."""

    levels: Array
    """Log price that the coin would trade at."""
    closes: Array
    """Last close that anybody saw."""


class _Grid(NamedTuple):
    """Ticks and lots as whole numbers over powers of ten, so that a rounded float has the shortest text."""

    tick: float
    tick_scale: float
    lot: float
    lot_scale: float

    @classmethod
    def of(cls, instrument: Instrument) -> _Grid:
        parts = []
        for step in (instrument.tick_size, instrument.lot_size):
            scale = 10.0 ** len(canonical(step).partition(".")[2])
            parts += [round(float(step) * scale), scale]
        return cls(*parts)

    def price(self, values: Array) -> Array:
        """Round to the nearest tick, at least one."""
        ticks = np.maximum(np.rint(values * self.tick_scale / self.tick), 1.0)
        rounded: Array = ticks * self.tick / self.tick_scale
        return rounded

    def quantity(self, values: Array) -> Array:
        """Round to the nearest lot, at least one."""
        lots = np.maximum(np.rint(values * self.lot_scale / self.lot), 1.0)
        rounded: Array = lots * self.lot / self.lot_scale
        return rounded


def _generator(seed: int, symbol: str, number: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}|{symbol}|{number}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def _shocks(draw: np.random.Generator, per_day: float, depth: tuple[float, float], timeframe_ms: int) -> Array:
    """Log moves of crashes and rallies in one chunk: a sudden move over minutes, then part of the way back.

    A crash recovers between -20 % (it goes on falling) and 90 % of its depth. Rallies are as many and as high but take
    three times as long, so that a market of many crashes does not sink.
    """
    moves = np.zeros(_CHUNK)
    expected = per_day * _CHUNK * timeframe_ms / _DAY_MS
    for sign, slowness in ((-1.0, 1), (1.0, 3)):
        count = min(int(draw.poisson(expected)), _CHUNK // _SEGMENT)
        for _ in range(count):
            length = int(np.clip(slowness * draw.uniform(2, 12) * _MINUTE_MS / timeframe_ms, 1, _CHUNK // 8))
            after = int(np.clip(length * draw.uniform(2, 5), 1, _CHUNK // 2))
            begin = int(draw.integers(0, _CHUNK - length - after + 1))
            size = -sign * math.log1p(-draw.uniform(*depth))
            moves[begin : begin + length] += size * _shares(draw, length)
            moves[begin + length : begin + length + after] -= size * draw.uniform(-0.2, 0.9) * _shares(draw, after)
    return moves


def _shares(draw: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    weights = draw.uniform(0.2, 1.0, count)
    shares: Array = weights / weights.sum()
    return shares
