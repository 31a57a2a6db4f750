"""The peak of the equity over a window, remembered as a few figures: what a job keeps durably."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from tradecore.model.units import ZERO, canonical, minus, ratio, times

_PARTS = 48
"""A window is kept in so many parts, each with its highest equity: a peak is forgotten up to a part late."""
_HUNDRED = Decimal(100)
_KEY = "peaks"


class Peaks(NamedTuple):
    """Highest equity of each part of the window, oldest first."""

    parts: Sequence[tuple[int, Decimal]]
    """Number of the part since 1970, and its highest equity in account currency."""

    @property
    def highest(self) -> Decimal:
        """Highest equity of the window; 0 where nothing is known."""
        return max((equity for _, equity in self.parts), default=ZERO)

    @property
    def state(self) -> Mapping[str, object]:
        """As JSON can hold it."""
        return {_KEY: [[number, canonical(equity)] for number, equity in self.parts]}


def read_peaks(last: Mapping[str, object] | None) -> Peaks:
    """Read what `Peaks.state` wrote; what cannot be read counts for nothing, and the window begins anew."""
    found = (last or {}).get(_KEY)
    if not isinstance(found, list):
        return Peaks(())
    try:
        return Peaks([(int(number), Decimal(equity)) for number, equity in found])
    except (ArithmeticError, TypeError, ValueError):
        return Peaks(())


def with_equity(peaks: Peaks, equity: Decimal, now_ms: int, window_ms: int) -> Peaks:
    """Add the equity of now, and forget what the window no longer holds."""
    number = now_ms * _PARTS // window_ms
    kept = [(one, high) for one, high in peaks.parts if number - _PARTS <= one <= number]
    if kept and kept[-1][0] == number:
        kept[-1] = (number, max(kept[-1][1], equity))
    else:
        kept.append((number, equity))
    return Peaks(kept)


def drawdown_pct(peaks: Peaks, equity: Decimal) -> Decimal:
    """Fall of the equity below the window's peak, % of the peak; 0 without a peak."""
    highest = peaks.highest
    return times(ratio(minus(highest, equity), highest), _HUNDRED) if highest > 0 else ZERO
