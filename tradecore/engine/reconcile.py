"""Compares the books with the venue: orders, trades, balances. Finds, names and alarms; never adjusts.

A read without an answer is named as missing and changes nothing: a missing answer is not zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from tradecore.engine.books import ASSETS
from tradecore.engine.desk import Desk
from tradecore.engine.money import VenueMoney
from tradecore.engine.resolve import Resolver
from tradecore.engine.settle import Settler
from tradecore.engine.state import change_trading_state
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.events import DuplicateOrderFound, ReconciliationResult
from tradecore.model.order import ATTEMPT_LIVE, OrderReport
from tradecore.model.portfolio import TradingState
from tradecore.model.units import ZERO, Side, canonical, decimal_of, exact_sum, minus, plus, times
from tradecore.ports.limiter import Priority

_COMPARE_WITHIN_MS = 600_000
"""A coin that was busy at every look for so long is named."""


class Found(NamedTuple):
    """What one reconciliation saw."""

    attempts_read: int
    orphans: int
    foreign_orders: int
    differences: Mapping[str, Decimal]
    missing: tuple[str, ...]


class Reconciler:
    """Runs at start, every interval, and at the end."""

    def __init__(self, desk: Desk, settler: Settler, resolver: Resolver, money: VenueMoney) -> None:
        self._desk = desk
        self._settler = settler
        self._resolver = resolver
        self._money = money
        self._suspects: dict[str, Decimal] = {}
        self.unexplained: dict[str, Decimal] = {}
        """Coin to venue minus ledger, seen twice in a row while nothing was under way."""
        self._alarmed = ""
        self._compared_ms: dict[str, int] = {}
        self._next_symbol = 0

    async def run(self, when: str, sweep: Sequence[str] = ()) -> Found:
        """Compare once.

        Args:
            when: ``start``, ``running`` or ``end``.
            sweep: Symbols whose trades are read through.
        """
        missing: list[str] = []
        orders = await self._open_orders(missing)
        read = orphans = foreign = 0
        locks: dict[str, Decimal] = {}
        for report in orders or ():
            attempt = self._settler.find_attempt(report.wire_id, report.venue_order_id, report.symbol)
            if attempt is not None:
                # one that has ended stays so unless the list shows more executed: lists lag
                await self._settler.apply(attempt.client_order_id, report)
                read += attempt.state in ATTEMPT_LIVE
            elif report.wire_id and self._desk.venue.is_ours(report.wire_id):
                orphans += 1
                await self._orphan(report)
            else:
                foreign += 1
                _lock(locks, report)
                await self._foreign(report)
        if orders is not None:
            self._desk.books.foreign_locks = locks
        for symbol in sweep:
            if await self._resolver.sweep(symbol, 0) is None:
                missing.append(f"trades {symbol}")
        differences = await self._compare(missing)
        found = Found(read, orphans, foreign, differences, tuple(missing))
        await self._report(when, found)
        return found

    def rotation(self) -> Sequence[str]:
        """The next symbol whose trades are due for a look, among those that were ever traded."""
        cursors = sorted(key for key in self._desk.books.memory if key.startswith("cursor/"))
        if not cursors:
            return ()
        self._next_symbol = (self._next_symbol + 1) % len(cursors)
        return (cursors[self._next_symbol].removeprefix("cursor/"),)

    async def _open_orders(self, missing: list[str]) -> Sequence[OrderReport] | None:
        try:
            await self._desk.limiter.acquire(Priority.RECONCILE, weight=3)
            return await self._desk.venue.open_orders()
        except (RetryableVenueError, VenueRefused) as error:
            if isinstance(error, RetryableVenueError) and error.retry_after_s is not None:
                self._desk.limiter.penalize(error.retry_after_s)
            missing.append("open orders")
            return None

    async def _orphan(self, report: OrderReport) -> None:
        """An order of our form without a row: alarmed and cancelled, since nobody would ever look after it."""
        desk = self._desk
        async with desk.transaction() as work:
            work.tell(DuplicateOrderFound(report.symbol, report.wire_id, f"{report.status} without a row, cancelled"))
        desk.alert("orphan_order", "critical", f"{report.symbol} {report.wire_id}")
        await desk.limiter.acquire(Priority.CANCEL)
        await desk.venue.cancel(report.symbol, report.wire_id, report.venue_order_id)

    async def _foreign(self, report: OrderReport) -> None:
        """Mark an order that is not ours EXTERNAL, once, and leave it alone (R19)."""
        key = f"external/{report.venue_order_id or report.wire_id}"
        if not self._desk.recall(key):
            await self._desk.remember(key, f"{report.symbol} {report.side} {report.quantity} at {report.price}")
            self._desk.alert("external_order", "info", f"{report.symbol} {report.venue_order_id}")

    # Balances -------------------------------------------------------------------------------------------------

    async def _compare(self, missing: list[str]) -> Mapping[str, Decimal]:
        """Compare each coin's ledger balance with the venue's while nothing of it is under way."""
        if not await self._money.refresh() or self._money.balances is None:
            missing.append("balances")
            return {}
        books = self._desk.books
        busy = {coin for a in books.live_attempts() for coin in self._coins_of(a.symbol)}
        ignored = self._ignored()
        coins = {coin for account, coin in books.balances if account == ASSETS} | set(self._money.balances)
        found: dict[str, Decimal] = {}
        for coin in sorted(coins - busy):
            held = self._money.balances.get(coin)
            total = held.total if held is not None else ZERO
            difference = minus(total, plus(books.balance(coin), ignored.get(coin, ZERO)))
            if difference:
                found[coin] = difference
        # balances lag fills at some venues: a difference counts when the next look at the coin shows the same; a coin
        # that is busy now keeps what was seen of it until then
        confirmed = {coin: gap for coin, gap in found.items() if self._suspects.get(coin) == gap}
        quiet = coins - busy
        self.unexplained = {**{c: g for c, g in self.unexplained.items() if c not in quiet}, **confirmed}
        self._suspects = {**{c: g for c, g in self._suspects.items() if c not in quiet}, **found}
        self._note_busy(busy, quiet)
        return found

    def _note_busy(self, busy: set[str], quiet: set[str]) -> None:
        """Say where a coin was never quiet enough to be compared for long."""
        now = self._desk.clock.now_ms()
        for coin in quiet:
            self._compared_ms[coin] = now
        for coin in busy:
            since = now - self._compared_ms.setdefault(coin, now)
            if since > _COMPARE_WITHIN_MS:
                self._compared_ms[coin] = now
                self._desk.alert(
                    "coin_not_compared", "warning", f"{coin}: orders under way at every look for {since} ms"
                )

    def _coins_of(self, symbol: str) -> Sequence[str]:
        instrument = self._desk.instruments.get(symbol)
        base, _, quote = symbol.partition("/")
        return (base, quote, instrument.fee_currency) if instrument is not None else (base, quote)

    def _ignored(self) -> Mapping[str, Decimal]:
        """Coin found at the first start that a setting told us not to adopt."""
        memory = self._desk.books.memory
        return {
            key.removeprefix("ignored/"): decimal_of(fact.text)
            for key, fact in memory.items()
            if key.startswith("ignored/")
        }

    def drift_value(self) -> Decimal:
        """Unexplained differences in the account's currency, all counted as positive; a coin without a price as 1."""
        config = self._desk.config
        parts = []
        for coin, gap in self.unexplained.items():
            rate = self._desk.rate(coin, config.currency)
            parts.append(times(gap.copy_abs(), rate if rate is not None else decimal_of(1)))
        return exact_sum(parts)

    async def _report(self, when: str, found: Found) -> None:
        desk = self._desk
        quiet = not (found.orphans or found.differences or found.missing)
        if when != "running" or not quiet:
            async with desk.transaction() as work:
                work.tell(
                    ReconciliationResult(
                        when, found.attempts_read, 0, found.orphans, found.foreign_orders,
                        {coin: canonical(gap) for coin, gap in found.differences.items()}, found.missing, quiet,
                    )
                )  # fmt: skip
        drift = self.drift_value()
        if drift > desk.config.unknown_drift_max:
            shown = ", ".join(f"{coin} {canonical(gap)}" for coin, gap in self.unexplained.items())
            if shown != self._alarmed:
                desk.alert("unexplained_drift", "critical", shown)
                # at the end nothing trades any more, and the next start compares anew: no state is left behind
                if desk.books.trading.state is TradingState.ACTIVE and when != "end":
                    await change_trading_state(desk, TradingState.REDUCING, "core", f"unexplained difference: {shown}")
            self._alarmed = shown
        else:
            self._alarmed = ""


def _lock(locks: dict[str, Decimal], report: OrderReport) -> None:
    """Add what a foreign open order holds at the venue."""
    if report.price is None or report.quantity is None:
        return
    base, _, quote = report.symbol.partition("/")
    left = minus(report.quantity, report.executed_quantity or ZERO)
    coin, amount = (quote, times(left, report.price)) if report.side is Side.BUY else (base, left)
    locks[coin] = plus(locks.get(coin, ZERO), amount)
