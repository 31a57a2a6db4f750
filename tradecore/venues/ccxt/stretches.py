"""Reading lists by time without a gap: stretches that are halved until none is full.

Venues cut a long list and do not say at which end (reference orders.md 2.5, 2.8). A stretch whose page is full may have
been cut, so it is read again in halves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from tradecore.errors import RetryableVenueError

_T = TypeVar("_T")
PAGES_MAX: Final = 200
"""Requests that one stretch may cost: beyond it something else is wrong."""


async def whole(
    read: Callable[[int, int], Awaitable[tuple[Sequence[_T], bool]]], start_ms: int, end_ms: int, what: str
) -> list[_T]:
    """Read everything between two moments, oldest stretch first.

    Args:
        read: Given the first and the last millisecond; answers rows and whether the page was full. Rows of the
            milliseconds beside may come too, where a venue does not say whether it counts the edges.
        what: For messages.
    Raises:
        RetryableVenueError: If more happened in one millisecond than a page holds, or too many pages are needed.
    """
    found: list[_T] = []
    waiting = [(start_ms, max(start_ms, end_ms))]
    for _ in range(PAGES_MAX):
        first, last = waiting.pop()
        rows, full = await read(first, last)
        if not full:
            found.extend(rows)
        elif first >= last:
            raise RetryableVenueError(f"{what}: more than a page in the millisecond {first}, and no way to page it")
        else:
            middle = first + (last - first) // 2
            waiting += [(middle + 1, last), (first, middle)]
        if not waiting:
            return found
    raise RetryableVenueError(f"{what}: expected at most {PAGES_MAX} pages between {start_ms} and {end_ms}")
