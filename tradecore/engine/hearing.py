"""What the venue pushes of our account, taken for what it is: a reason to read at once, never evidence (F13, F14).

A push that is missing, doubled, late or wrong changes nothing but the moment of a read.
"""

from __future__ import annotations

from collections.abc import Callable

from tradecore.engine.desk import Desk
from tradecore.engine.resolve import Resolver
from tradecore.engine.settle import Settler
from tradecore.model.order import ATTEMPT_LIVE
from tradecore.ports.hints import OrderHint

_SILENT_S = 60.0
"""A stream that is away for so long is alarmed; reads go on as ever."""


class Hearing:
    """Listens to the venue's private stream.

    Args:
        sweep: Has everything read anew; must not wait.
    """

    def __init__(self, desk: Desk, settler: Settler, resolver: Resolver, sweep: Callable[[], None]) -> None:
        self._desk = desk
        self._settler = settler
        self._resolver = resolver
        self._sweep = sweep
        self._sweeping: set[str] = set()
        self._away_s: float | None = None
        self._alarmed = False

    async def start(self) -> None:
        """Connect, where the venue pushes anything."""
        if self._desk.hints is not None:
            await self._desk.hints.start(self.order, self._sweep)

    def order(self, hint: OrderHint) -> None:
        """Have the order read that something happened to."""
        attempt = self._settler.find_attempt(hint.wire_id, hint.venue_order_id, hint.symbol)
        if attempt is None or attempt.symbol != hint.symbol:
            return  # not ours, or of a send whose answer is still on its way: that answer is read anyway
        if attempt.state in ATTEMPT_LIVE:
            self._resolver.nudge(attempt)
        elif attempt.symbol not in self._sweeping:
            # something about an order that had ended: a late fill, perhaps
            self._sweeping.add(attempt.symbol)
            self._desk.spawn(self._late(attempt.symbol, attempt.sent_ms or attempt.prepared_ms), f"hint {hint.symbol}")

    async def _late(self, symbol: str, since_ms: int) -> None:
        try:
            await self._resolver.sweep(symbol, since_ms)
        finally:
            self._sweeping.discard(symbol)

    def check(self) -> None:
        """Alarm, once, where the stream has been away for long, and tell of its return."""
        desk = self._desk
        if desk.hints is None:
            return
        now_s = desk.clock.monotonic_s()
        if desk.hints.alive:
            if self._alarmed:
                desk.alert("account_stream_back", "info", "the venue pushes news of our account again")
            self._away_s, self._alarmed = None, False
        elif self._away_s is None:
            self._away_s = now_s
        elif not self._alarmed and now_s - self._away_s >= _SILENT_S * desk.config.time_scale:
            self._alarmed = True
            desk.alert(
                "account_stream_lost", "warning",
                f"the venue pushes no news of our account for {now_s - self._away_s:.0f} s: orders are read in turn",
            )  # fmt: skip
