"""The way of a price through one candle: seeded, so that the venue and the exit levels always see the same.

A candle says where a price began, how far it went and where it ended, not in which order. Between two closes
of recorded candles the twin needs one such order; this file makes it up from a hash of seed, symbol and
candle, so that it needs no state and can be asked for any candle at any time.
"""

from __future__ import annotations

import hashlib
import math
import struct
from functools import lru_cache
from typing import Final, NamedTuple

STEPS_MIN: Final = 4
"""Open, low, high and close each need a point."""
_LIKELY_LOW_FIRST: Final = 45_875
"""70 % of 65,536: a candle that rose has more often been at its low first."""
_NOISE: Final = 0.2
"""Largest deviation from the straight line between two anchors, as a share of the candle's range."""


class Step(NamedTuple):
    """One price between two closes, as the venue and the exit levels see it."""

    at_ms: int
    price: float
    """Last traded price, quote per base."""


def walk(  # noqa: PLR0917 - the contract with the twin: a candle's words in their usual order
    seed: int,
    symbol: str,
    open_ms: int,
    timeframe_ms: int,
    o: float,
    h: float,
    l: float,  # noqa: E741 - the four letters of a candle are the field's own
    c: float,
    steps: int,
    between_closes: bool,
) -> tuple[Step, ...]:
    """Lead a price through one candle.

    The first point is the open at 1 ms after `open_ms`, the last the close exactly at the candle's end; high and
    low are both visited and never exceeded. All symbols have their points at the same moments, so that whoever
    waits for them wakes once per moment. Points in between are not rounded to a tick.

    Args:
        open_ms: Start of the candle, milliseconds UTC.
        timeframe_ms: Length of the candle, milliseconds, at least `steps` and 6.
        o: Open, quote per base; so are `h`, `l`, `c` the high, low and close.
        steps: Number of points, >= 4.
        between_closes: False gives four points: open, low, high, close at the first ms, 1/3, 2/3 and the end. That is
            the pessimistic order for a long position: its stop is met before its take.
    Returns:
        Points at strictly rising times in (open_ms, open_ms + timeframe_ms]; empty where a price is NaN: the
        symbol does not trade then.
    Raises:
        ValueError: If `steps` or `timeframe_ms` is too small.
    """
    if math.isnan(o + h + l + c):
        return ()
    if not between_closes:
        first, low_at, high_at, last = _moments(4, timeframe_ms)
        return (
            Step(open_ms + first, o),
            Step(open_ms + low_at, l),
            Step(open_ms + high_at, h),
            Step(open_ms + last, c),
        )
    moments = _moments(steps, timeframe_ms)
    layout, count = _draws(steps)
    digest = hashlib.shake_128(f"{seed}|{symbol}|{open_ms}".encode()).digest(count)
    draws = struct.unpack(layout, digest)
    low_at, high_at = _extremes(draws, steps, c - o)
    prices = _fill(o, h, l, c, low_at, high_at, steps, draws)
    return tuple([Step(open_ms + at, price) for at, price in zip(moments, prices, strict=True)])


def _extremes(draws: tuple[int, ...], steps: int, rise: float) -> tuple[int, int]:
    """Choose which inner points are the low and the high."""
    inner = steps - 2
    a = draws[0] % inner
    b = draws[1] % (inner - 1)
    if b >= a:
        b += 1
    early, late = (a + 1, b + 1) if a < b else (b + 1, a + 1)
    likely = 32_768 if rise == 0 else _LIKELY_LOW_FIRST if rise > 0 else 65_536 - _LIKELY_LOW_FIRST
    return (early, late) if draws[2] < likely else (late, early)


def _fill(  # noqa: PLR0917 - as above
    o: float,
    h: float,
    l: float,  # noqa: E741 - as above
    c: float,
    low_at: int,
    high_at: int,
    steps: int,
    draws: tuple[int, ...],
) -> list[float]:
    """Put the four anchors in place and a noisy line between them, never outside the candle."""
    first, second, first_price, second_price = (low_at, high_at, l, h) if low_at < high_at else (high_at, low_at, h, l)
    prices = [o] * steps
    reach = (h - l) * _NOISE / 32_768
    start, begin = 0, o
    for end, target in ((first, first_price), (second, second_price), (steps - 1, c)):
        slope = (target - begin) / (end - start)
        for k in range(start + 1, end):
            price = begin + slope * (k - start) + reach * (draws[k + 2] - 32_768)
            prices[k] = l if price < l else h if price > h else price
        prices[end] = target
        start, begin = end, target
    return prices


@lru_cache(maxsize=64)
def _moments(steps: int, timeframe_ms: int) -> tuple[int, ...]:
    """Milliseconds after the open at which the points stand, evenly spread."""
    if steps < STEPS_MIN:
        raise ValueError(f"expected at least {STEPS_MIN} steps, was {steps}")
    if timeframe_ms < max(steps, 6):
        raise ValueError(f"expected a timeframe of at least {max(steps, 6)} ms, was {timeframe_ms}")
    if steps == STEPS_MIN:
        return (1, timeframe_ms // 3, 2 * timeframe_ms // 3, timeframe_ms)
    return tuple(1 + k * (timeframe_ms - 1) // (steps - 1) for k in range(steps))


@lru_cache(maxsize=64)
def _draws(steps: int) -> tuple[str, int]:
    """Layout and length of the digest: 16 bits for each point and three for the extremes, same on every machine."""
    return f"<{steps + 2}H", 2 * (steps + 2)
