"""Figures of symbols from rows of an hour: what was traded, how much the price moves, since when there are prices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradecore import MarketFrame
from tradecore.market.frame import Array

RETURNS_MIN = 6
"""Hourly returns from which a volatility is told."""


class Figures(NamedTuple):
    """One number per symbol of the frame, NaN where it is not known."""

    volume_quote: Array
    """Quote units traded in the hours of the window: a lower bound where the history is shorter."""
    volatility_pct: Array
    """Standard deviation of the hourly log returns of the window, %."""
    close: Array
    """Newest close."""
    age_hours: Array
    """Since the first hour with a price; infinite where that is the first hour of the history itself."""


def figures_of(frame: MarketFrame, window: int, proven_hours: int) -> Figures:
    """Work the figures out.

    Args:
        frame: Closed hours; perhaps none.
        window: Hours for volume and volatility.
        proven_hours: Hours of history that are known to be whole. A symbol that was there when a shorter one begins
            is no new listing: the history is.
    """
    symbols = len(frame.symbols)
    if not frame.rows or not symbols:
        unknown = np.full(symbols, np.nan)
        return Figures(unknown, unknown, unknown, unknown)
    close, volume = frame.close[-window:], frame.volume[-window:]
    there = np.isfinite(close)
    traded = np.where(there & np.isfinite(volume), close * volume, 0.0).sum(axis=0)
    told = (there & np.isfinite(volume)).any(axis=0)
    return Figures(
        np.where(told, traded, np.nan),
        _volatility(close),
        _newest(frame.close),
        _age(frame.close, whole=frame.rows >= proven_hours),
    )


def _volatility(close: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        returns = np.diff(np.log(close), axis=0)
    known = np.isfinite(returns)
    count = known.sum(axis=0)
    least = np.maximum(count, 1)
    kept = np.where(known, returns, 0.0)
    mean = kept.sum(axis=0) / least
    spread = np.where(known, returns - mean, 0.0)
    deviation = np.sqrt((spread**2).sum(axis=0) / np.maximum(count - 1, 1))
    return np.where(count >= RETURNS_MIN, deviation * 100.0, np.nan)


def _newest(close: Array) -> Array:
    there = np.isfinite(close)
    last = close.shape[0] - 1 - np.argmax(there[::-1], axis=0)
    found: Array = np.where(there.any(axis=0), close[last, np.arange(close.shape[1])], np.nan)
    return found


def _age(close: Array, *, whole: bool) -> Array:
    there = np.isfinite(close)
    first = np.argmax(there, axis=0)
    age = (close.shape[0] - first).astype(np.float64)
    known: Array = np.where(there.any(axis=0), age, np.nan)
    # in a history as long as was asked for, the first hour is old enough by itself; in a shorter one nobody can tell
    return known if whole else np.where(first == 0, np.where(there.any(axis=0), np.inf, np.nan), known)
