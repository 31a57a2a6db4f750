"""Limits in spans of time: how much was used in any so many seconds, and when there is room again.

A venue has several at once: weight in a minute or in ten seconds, orders in ten seconds (reference orders.md 3.1 and
11). Each is counted over any such span, never from the start of the venue's, which nobody here knows.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple


class Window(NamedTuple):
    """One limit."""

    most: int
    """Weight in any span; requests where `orders_only`, >= 1."""
    seconds: float
    """Length of the span, > 0."""
    orders_only: bool = False
    """True: counts requests that place an order, one each; False: counts weight of everything."""


class Spent:
    """What was used of one window.

    Args:
        window: The limit.
    Raises:
        ValueError: If it allows nothing, or its span has no length.
    """

    def __init__(self, window: Window) -> None:
        if window.most < 1 or not 0 < window.seconds < float("inf"):
            raise ValueError(f"expected at least 1 request in some seconds, was {window.most} in {window.seconds}")
        self.window: Final = window
        self.weight = 0
        """Used in the span that ends now, as far as it was looked at."""
        self._used: Final[deque[tuple[float, int]]] = deque()

    def charge(self, now_s: float, weight: int) -> None:
        """Use some of it."""
        self._used.append((now_s, weight))
        self.weight += weight

    def forget(self, now_s: float) -> None:
        """Leave out what is older than the span."""
        while self._used and now_s - self._used[0][0] >= self.window.seconds:
            self.weight -= self._used.popleft()[1]

    def left(self, now_s: float) -> int:
        """Tell what may still be used in this span, >= 0."""
        self.forget(now_s)
        return max(0, self.window.most - self.weight)

    def wait_s(self, now_s: float, weight: int, share: float) -> float:
        """Seconds until something fits if nobody else used anything; 0 where it fits now.

        Args:
            weight: What is to be used; one heavier than the whole share fits when the span is empty.
            share: Part of the limit that may be used up by it, above 0 to 1.
        """
        self.forget(now_s)
        allowed = max(1, int(self.window.most * share))
        over = self.weight + min(weight, allowed) - allowed
        if over <= 0:
            return 0.0
        for at_s, spent in self._used:
            over -= spent
            if over <= 0:
                return at_s + self.window.seconds - now_s
        raise AssertionError("the weights of a window do not add up")
