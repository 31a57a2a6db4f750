"""How fast messages may go out: limits of those who carry them, kept before they are hit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple


class Limit(NamedTuple):
    """At most so many messages in any span of time."""

    most: int
    span_s: float


class Window:
    """At most so many things in any span of time."""

    def __init__(self, most: int, span_s: float) -> None:
        self._most: Final = most
        self._span_s: Final = span_s
        self._at_s: Final[deque[float]] = deque()

    def wait_s(self, now_s: float) -> float:
        """Seconds until one more fits; 0: now."""
        while self._at_s and self._at_s[0] <= now_s - self._span_s:
            self._at_s.popleft()
        if len(self._at_s) < self._most:
            return 0.0
        # the one that has to leave for another to fit: rounding may have kept an older one
        return max(0.0, self._at_s[-self._most] + self._span_s - now_s)

    def add(self, now_s: float) -> None:
        """Count one."""
        self._at_s.append(now_s)

    def try_add(self, now_s: float) -> bool:
        """Count one if it fits; False where it does not."""
        if self.wait_s(now_s) > 0:
            return False
        self.add(now_s)
        return True


class Pace:
    """Limits over all places together, and of each.

    Args:
        whole: Limits of all messages.
        each: Limits of the messages to one place.
    """

    def __init__(self, whole: Sequence[Limit], each: Callable[[int], Sequence[Limit]]) -> None:
        self._whole: Final = tuple(Window(*limit) for limit in whole)
        self._each: Final = each
        self._places: Final[dict[int, tuple[Window, ...]]] = {}

    def wait_s(self, place: int, now_s: float) -> float:
        """Seconds until a message to a place may go out; 0: now."""
        return max((window.wait_s(now_s) for window in self._of(place)), default=0.0)

    def add(self, place: int, now_s: float) -> None:
        """Count a message, whether it arrived or not."""
        for window in self._of(place):
            window.add(now_s)

    def _of(self, place: int) -> tuple[Window, ...]:
        if place not in self._places:
            self._places[place] = tuple(Window(*limit) for limit in self._each(place))
        return (*self._whole, *self._places[place])
