"""The rules over finished positions: pure functions from what was closed to locks.

A rule's name holds all its settings: with other settings it is another rule, so that several instances of the plugin
never take each other's locks for their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from tradecore import Reason
from tradecore.model.lock import EVERY_SYMBOL, Lock
from tradecore.model.position import ClosedPosition
from tradecore.model.units import canonical

#: Ends of a position that are stops; one that ended above what was paid is none for the guard.
STOPS = frozenset({Reason.STOP_LOSS, Reason.TRAILING_STOP, Reason.ATR_STOP})
_HUNDRED = Decimal(100)


class Span(NamedTuple):
    """A length of time, and how it was written."""

    text: str
    ms: int


class StopGuard(NamedTuple):
    """So many stops within a window pause one symbol, or all."""

    stops: int
    window: Span
    pause: Span
    every_symbol: bool


class LowProfit(NamedTuple):
    """A symbol whose trades of a window together brought less than wanted is paused."""

    trades: int
    window: Span
    pause: Span
    least_pct: Decimal


def cooldowns(closed: Sequence[ClosedPosition], pause: Span, now_ms: int) -> Iterator[Lock]:
    """Yield a lock for every symbol that was left less than `pause` ago.

    Args:
        closed: Oldest first.
        pause: From the exit on.
        now_ms: Market time.
    """
    newest: dict[str, ClosedPosition] = {}
    for one in _since(closed, now_ms - pause.ms):
        if one.symbol not in newest or one.closed_ms > newest[one.symbol].closed_ms:
            newest[one.symbol] = one
    for symbol, one in newest.items():
        yield _lock(symbol, f"left with {one.reason}", one.closed_ms, pause, f"cooldown {pause.text}")


def stop_locks(closed: Sequence[ClosedPosition], guard: StopGuard, now_ms: int) -> Iterator[Lock]:
    """Yield a lock where the newest stops of a window are too many, counted from the newest of them.

    The window ends with the newest stop, so that a pause longer than the window keeps its whole length.
    """
    times: dict[str, list[int]] = defaultdict(list)
    for one in _since(closed, now_ms - guard.pause.ms - guard.window.ms):
        if one.reason in STOPS and one.realised_pnl_quote < 0:
            times[EVERY_SYMBOL if guard.every_symbol else one.symbol].append(one.closed_ms)
    rule = f"stops {guard.stops} in {guard.window.text} for {guard.pause.text}"
    for symbol, moments in times.items():
        moments.sort()
        tripped = [
            at_ms
            for place, at_ms in enumerate(moments)
            if place + 1 >= guard.stops and moments[place + 1 - guard.stops] > at_ms - guard.window.ms
        ]
        if tripped and tripped[-1] + guard.pause.ms > now_ms:
            yield _lock(symbol, f"{guard.stops} stops within {guard.window.text}", tripped[-1], guard.pause, rule)


def low_profit_locks(closed: Sequence[ClosedPosition], rule: LowProfit, now_ms: int) -> Iterator[Lock]:
    """Yield a lock for every symbol whose newest trades together brought less than wanted.

    The window ends with the symbol's newest trade; the pause begins there too.
    """
    name = f"low profit {rule.trades} in {rule.window.text} under {canonical(rule.least_pct)} % for {rule.pause.text}"
    trades: dict[str, list[ClosedPosition]] = defaultdict(list)
    for one in _since(closed, now_ms - rule.pause.ms - rule.window.ms):
        trades[one.symbol].append(one)
    for symbol, found in trades.items():
        last_ms = max(one.closed_ms for one in found)
        within = [one for one in found if one.closed_ms > last_ms - rule.window.ms]
        if len(within) < rule.trades or last_ms + rule.pause.ms <= now_ms:
            continue
        brought = sum((Decimal(repr(one.return_ratio)) for one in within), Decimal(0)) * _HUNDRED
        if brought < rule.least_pct:
            reason = f"{len(within)} trades brought {brought:.2f} %, wanted {canonical(rule.least_pct)} %"
            yield _lock(symbol, reason, last_ms, rule.pause, name)


def _since(closed: Sequence[ClosedPosition], after_ms: int) -> Iterator[ClosedPosition]:
    return (one for one in closed if one.closed_ms > after_ms)


def _lock(symbol: str, reason: str, since_ms: int, pause: Span, rule: str) -> Lock:
    return Lock(symbol, reason, "", since_ms + pause.ms, rule, since_ms)
