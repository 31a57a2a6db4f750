"""How often a read may come again: dear ones more rarely, so that what is traded finds room under the request limit."""

from __future__ import annotations

from typing import Final

from tradecore.engine.desk import Desk

_EARLY: Final = 0.9
"""Share of the pause after which a read counts as due: a job that wakes a moment early must not wait a whole round."""

LIST_SHARE: Final = 0.1
BALANCES_SHARE: Final = 0.15
TRADES_SHARE: Final = 0.1
"""Of the request limit: what comparing may take of it while nothing is wrong. Lost calls are looked up beside it."""


class Pace:
    """One operation of the venue port that is asked again and again.

    A list of all open orders weighs 80 of 800 turns a minute on Binance: asked every ten seconds, with balances and
    trades, it alone would fill the limit, and prices of open positions would wait for their turn.

    Args:
        operation: Name as `Venue.weight_of` knows it.
        share: Of the turns of a minute, the most that it may take, > 0 and < 1.
    """

    def __init__(self, desk: Desk, operation: str, share: float) -> None:
        self._desk: Final = desk
        self._operation: Final = operation
        self._share: Final = share
        self._next_s = float("-inf")

    @property
    def pause_s(self) -> float:
        """Market seconds between two reads, at least."""
        turns = self._desk.config.requests_per_minute * self._share
        return 60.0 * self._desk.venue.weight_of(self._operation) / turns

    def due(self) -> bool:
        """Tell whether it may be asked again."""
        return self._desk.clock.monotonic_s() >= self._next_s

    def done(self) -> None:
        """Take note that it was answered; what got no answer stays due."""
        self._next_s = self._desk.clock.monotonic_s() + _EARLY * self.pause_s
