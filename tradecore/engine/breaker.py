"""The circuit breaker: what it sees moves the trading state, or locks one symbol (R33, reference orders.md 6.4).

It only ever makes things stricter, for a time that is written down; time or an operator makes them looser again. Each
rule remembers durably what it has tripped on, so that the same evidence does not trip it again after a `resume` or a
restart, and newer evidence does. Its figures are rebuilt from positions and orders, never carried along.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import NamedTuple

from tradecore.engine.desk import Desk, Transaction
from tradecore.engine.execution import Execution
from tradecore.engine.picture import Pictures
from tradecore.engine.recent import Ended
from tradecore.model.events import BreakerTripped, TradingStateChanged
from tradecore.model.lock import Lock
from tradecore.model.portfolio import TradingState
from tradecore.model.reasons import Reason
from tradecore.model.records import Memory, TradingRecord
from tradecore.model.units import canonical, minus, ratio, times

BREAKER = "breaker"
"""Actor of the trading states and guest of the locks that it sets."""
_DAY_MS = 86_400_000
_HUNDRED = Decimal(100)
_STRICTNESS = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}
_CANCELS = {TradingState.REDUCING: Reason.TRADING_REDUCING, TradingState.HALTED: Reason.TRADING_HALTED}


class _Trip(NamedTuple):
    """A rule that found too much."""

    rule: str
    value: Decimal
    threshold: Decimal
    unit: str
    state: TradingState
    expires_ms: int
    mark: str
    """What the rule remembers of it."""

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.rule}: {canonical(self.value)} {self.unit}, limit {canonical(self.threshold)}"


class Breaker:
    """Looks at each row's close, and as orders end."""

    def __init__(self, desk: Desk, pictures: Pictures, execution: Execution) -> None:
        self._desk = desk
        self._pictures = pictures
        self._execution = execution
        self._orders: deque[tuple[int, bool]] = deque()
        """Moment and failure of each order of the window."""
        self._rejects: dict[str, tuple[int, int]] = {}
        """Symbol to rejects in a row and the moment of the newest."""
        self._doubtful: set[str] = set()
        """Symbols with rejects too many, not looked at yet."""
        self._faults: deque[int] = deque()
        self._faults_seen = 0
        self._losses_of: object = None
        self._losses = 0
        desk.recent.listeners.append(self._ended)

    def _ended(self, ended: Ended) -> None:
        config = self._desk.config.breaker
        self._orders.append((ended.at_ms, ended.failed))
        if not ended.rejected:
            self._rejects.pop(ended.symbol, None)
            return
        count = self._rejects.get(ended.symbol, (0, 0))[0] + 1
        self._rejects[ended.symbol] = (count, ended.at_ms)
        if config.rejects_in_a_row and count >= config.rejects_in_a_row:
            self._doubtful.add(ended.symbol)

    async def look(self) -> None:
        """Apply every rule; called at the close of each row."""
        if self._doubtful:
            await self._lock_symbols()
        for trip in (self._drawdown(), self._loss_streak(), self._failed_orders(), self._unexpected()):
            if trip is not None:
                await self._trip(trip)

    # Rules ----------------------------------------------------------------------------------------------------

    def _drawdown(self) -> _Trip | None:
        """Fall of the equity below the day's peak; once per day, and again for each further step of the same size."""
        limit = self._desk.config.breaker.daily_drawdown_pct
        equity, peak = self._pictures.day
        if not limit or peak <= 0 or equity >= peak:
            return None
        fall = times(ratio(minus(peak, equity), peak), _HUNDRED)
        if fall < limit:
            return None
        now = self._desk.clock.now_ms()
        day, steps = now // _DAY_MS, int(fall // limit)
        told_day, _, told = self._mark("daily_drawdown").partition(" ")
        if told_day == str(day) and steps <= int(told):
            return None
        return _Trip(
            "daily_drawdown", fall.quantize(Decimal("0.01")), limit, "% of the day's peak", TradingState.REDUCING,
            (day + 1) * _DAY_MS, f"{day} {steps}",
        )  # fmt: skip

    def _loss_streak(self) -> _Trip | None:
        """Positions closed at a loss one after the other, since the last time."""
        config, closed = self._desk.config.breaker, self._desk.books.closed
        if not config.loss_streak or not closed:
            return None
        if closed[-1] is not self._losses_of:
            self._losses_of = closed[-1]
            since = int(self._mark("loss_streak") or 0)
            self._losses = 0
            for position in reversed(closed):
                if position.realised_pnl_quote >= 0 or position.closed_ms <= since:
                    break
                self._losses += 1
        if self._losses < config.loss_streak:
            return None
        value = Decimal(self._losses)
        self._losses = 0
        return _Trip(
            "loss_streak", value, Decimal(config.loss_streak), "losses in a row", TradingState.REDUCING,
            self._desk.clock.now_ms() + config.loss_pause_ms, str(closed[-1].closed_ms),
        )  # fmt: skip

    def _failed_orders(self) -> _Trip | None:
        """Share of the orders of the window that came to nothing because the venue would not take them."""
        config, now = self._desk.config.breaker, self._desk.clock.now_ms()
        if not config.failed_orders_pct:
            return None
        since = max(now - config.failed_orders_window_ms, int(self._mark("failed_orders") or 0))
        while self._orders and self._orders[0][0] <= since:
            self._orders.popleft()
        sent = len(self._orders)
        if sent < config.failed_orders_min:
            return None
        failed = sum(bad for _, bad in self._orders)
        share = times(ratio(Decimal(failed), Decimal(sent)), _HUNDRED)
        if share < config.failed_orders_pct:
            return None
        return _Trip(
            "failed_orders", share.quantize(Decimal("0.01")), config.failed_orders_pct, f"% of {sent} orders",
            TradingState.REDUCING, now + config.failed_orders_pause_ms, str(now),
        )  # fmt: skip

    def _unexpected(self) -> _Trip | None:
        """Exceptions that nobody expected, of this process."""
        config, now = self._desk.config.breaker, self._desk.clock.now_ms()
        total = self._desk.tally.errors.total()
        self._faults.extend([now] * (total - self._faults_seen))
        self._faults_seen = total
        while self._faults and self._faults[0] <= now - config.faults_window_ms:
            self._faults.popleft()
        if not config.faults_max or len(self._faults) < config.faults_max:
            return None
        value = Decimal(len(self._faults))
        self._faults.clear()
        return _Trip(
            "faults", value, Decimal(config.faults_max), "unexpected exceptions", TradingState.HALTED,
            now + config.fault_pause_ms, str(now),
        )  # fmt: skip

    async def _lock_symbols(self) -> None:
        """Keep entries away from symbols whose orders the venue rejects one after the other."""
        config = self._desk.config.breaker
        for symbol in sorted(self._doubtful):
            count, at_ms = self._rejects.get(symbol, (0, 0))
            expires = at_ms + config.reject_pause_ms
            if count < config.rejects_in_a_row or expires <= self._desk.clock.now_ms():
                continue
            lock = Lock(symbol, f"{count} orders in a row rejected", BREAKER, expires, "rejects", at_ms)
            if await self._pictures.locks.take([lock]):
                self._desk.alert("breaker", "warning", f"{symbol}: {lock.reason}, no entries for a while")
                await self._tell_lock(symbol, count, expires)
        self._doubtful.clear()

    async def _tell_lock(self, symbol: str, count: int, expires_ms: int) -> None:
        limit = Decimal(self._desk.config.breaker.rejects_in_a_row)
        async with self._desk.transaction() as work:
            work.tell(BreakerTripped("rejects", symbol, Decimal(count), limit, "rejects in a row", "LOCK", expires_ms))

    # What it does ---------------------------------------------------------------------------------------------

    def _mark(self, rule: str) -> str:
        return self._desk.recall(f"{BREAKER}/{rule}")

    async def _trip(self, trip: _Trip) -> None:
        desk = self._desk
        async with desk.transaction() as work:
            work.put(Memory(f"{BREAKER}/{trip.rule}", trip.mark, desk.clock.now_ms()))
            work.tell(
                BreakerTripped(
                    trip.rule, "", trip.value, trip.threshold, trip.unit, str(trip.state), trip.expires_ms
                )
            )  # fmt: skip
            restrict_trading(desk, work, trip.state, actor=BREAKER, reason=trip.text, expires_ms=trip.expires_ms)
        desk.alert(BREAKER, "critical", trip.text)
        self._execution.cancel_entries(_CANCELS[trip.state])


def restrict_trading(
    desk: Desk, work: Transaction, state: TradingState, *, actor: str, reason: str, expires_ms: int | None
) -> None:
    """Put a trading state that is at least as strict as the one in force, for at least as long.

    Args:
        expires_ms: When it ends by itself; ``None``: never. A restriction without an end keeps having none.
    """
    old = desk.books.trading
    restricted = old.state is not TradingState.ACTIVE
    until = expires_ms
    if restricted:
        until = None if old.expires_ms is None or expires_ms is None else max(old.expires_ms, expires_ms)
    if _STRICTNESS[state] < _STRICTNESS[old.state]:
        state = old.state
    if restricted and (state, until) == (old.state, old.expires_ms):
        return
    work.put(TradingRecord(state, actor, reason, desk.clock.now_ms(), until))
    work.tell(TradingStateChanged(str(old.state), str(state), actor, reason, until))
