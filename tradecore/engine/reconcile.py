"""Compares the books with the venue: orders, trades, balances. Finds, names and alarms; never adjusts.

A read without an answer is named as missing and changes nothing: a missing answer is not zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from tradecore.engine.conservation import Conservation
from tradecore.engine.desk import Desk
from tradecore.engine.foreign import LEDGER_OPENED
from tradecore.engine.money import VenueMoney
from tradecore.engine.pace import BALANCES_SHARE, LIST_SHARE, TRADES_SHARE, Pace
from tradecore.engine.resolve import Resolver
from tradecore.engine.settle import Settler
from tradecore.engine.traces import Traces
from tradecore.errors import RetryableVenueError, VenueRefused
from tradecore.model.events import DuplicateOrderFound, ReconciliationResult
from tradecore.model.order import ATTEMPT_LIVE, OrderReport
from tradecore.model.records import EXTERNAL_ORDER, Memory
from tradecore.model.units import ZERO, Side, canonical, minus, plus, times
from tradecore.ports.limiter import Priority

_GONE = ", gone"
_GONE_KEPT = 1_000


class Found(NamedTuple):
    """What one reconciliation saw."""

    attempts_read: int
    orphans: int
    foreign_orders: int
    differences: Mapping[str, Decimal]
    missing: tuple[str, ...]
    seen: frozenset[str] = frozenset()
    """Ids, as the venue echoes them, of our orders in its list."""


class Reconciler:
    """Runs at start, every interval, and at the end."""

    def __init__(self, desk: Desk, settler: Settler, resolver: Resolver, money: VenueMoney) -> None:
        self._desk = desk
        self._settler = settler
        self._resolver = resolver
        self._money = money
        self.conservation = Conservation(desk, settler, resolver, money)
        """Its `prove` is the job of each `conservation_s`."""
        self.traces = Traces(desk, money)
        """Says whose trades something speaks for."""
        self._next_symbol = 0
        self._lists = Pace(desk, "open_orders_all", LIST_SHARE)
        self._balances = Pace(desk, "balances", BALANCES_SHARE)
        self._trades = Pace(desk, "trades", TRADES_SHARE)

    async def round(self) -> Found | None:
        """Compare what is due at its pace: the job of each `reconcile_s`; ``None``: nothing was."""
        lists, balances = self._lists.due(), self._balances.due()
        sweep = self.rotation() if self._trades.due() else ()
        if not (lists or balances or sweep):
            return None
        return await self.run("running", sweep, lists=lists, balances=balances)

    async def run(
        self, when: str, sweep: Sequence[str] = (), *, lists: bool = True, balances: bool = True,
        listed: Sequence[OrderReport] | None = None,
    ) -> Found:  # fmt: skip
        """Compare once.

        Args:
            when: ``start``, ``running`` or ``end``.
            sweep: Symbols whose trades are read through.
            lists: Read all open orders.
            balances: Read the balances.
            listed: All open orders where they were read just now; ``None`` reads them.
        """
        missing: list[str] = []
        orders = await self._open_orders(missing) if lists and listed is None else listed
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
            await self._note_gone({_external_key(report) for report in orders})
        for symbol in sweep:
            if await self._resolver.sweep(symbol, 0) is None:
                missing.append(f"trades {symbol}")
            else:
                self._trades.done()
        differences = await self._look(when, missing) if balances else {}
        seen = frozenset(report.wire_id for report in orders or () if report.wire_id)
        found = Found(read, orphans, foreign, differences, tuple(missing), seen)
        await self._report(when, found)
        return found

    def rotation(self) -> Sequence[str]:
        """The next symbol whose trades are due for a look, among those that were ever traded."""
        cursors = sorted(key for key in self._desk.books.memory if key.startswith("cursor/"))
        if not cursors:
            return ()
        self._next_symbol = (self._next_symbol + 1) % len(cursors)
        return (cursors[self._next_symbol].removeprefix("cursor/"),)

    async def open_orders(self) -> Sequence[OrderReport]:
        """Read all open orders.

        Raises:
            RetryableVenueError: There was no answer.
        """
        missing: list[str] = []
        orders = await self._open_orders(missing)
        if orders is None:
            raise RetryableVenueError(f"no answer for {', '.join(missing)}")
        return orders

    async def balances_anew(self) -> bool:
        """Read the balances that `traces` compares with; False: there was no answer."""
        return await self._money.refresh()

    def balances_lag(self) -> bool:
        """Tell whether a fill was booked since the balances in use were asked for."""
        return bool(self._money.moved_since_read())

    async def _open_orders(self, missing: list[str]) -> Sequence[OrderReport] | None:
        try:
            await self._desk.limiter.acquire(Priority.RECONCILE, weight=self._desk.venue.weight_of("open_orders_all"))
            orders = await self._desk.venue.open_orders()
        except (RetryableVenueError, VenueRefused) as error:
            self._desk.heed(error)
            missing.append("open orders")
            return None
        self._lists.done()
        return orders

    async def _look(self, when: str, missing: list[str]) -> Mapping[str, Decimal]:
        unread: list[str] = []
        differences = await self.conservation.look(when, unread)
        missing += unread
        if not unread:
            self._balances.done()
        return differences

    async def _orphan(self, report: OrderReport) -> None:
        """An order of our form without a row: alarmed and cancelled, since nobody would ever look after it."""
        desk = self._desk
        async with desk.transaction() as work:
            work.tell(DuplicateOrderFound(report.symbol, report.wire_id, f"{report.status} without a row, cancelled"))
        desk.alert("orphan_order", "critical", f"{report.symbol} {report.wire_id}")
        await desk.limiter.acquire(Priority.CANCEL, weight=desk.venue.weight_of("cancel"))
        if not desk.holds:
            return
        await desk.venue.cancel(report.symbol, report.wire_id, report.venue_order_id)

    async def _foreign(self, report: OrderReport) -> None:
        """Mark an order that is not ours EXTERNAL, once, and leave it alone (R19)."""
        key = _external_key(report)
        if not self._desk.recall(key):
            await self._desk.remember(key, f"{report.symbol} {report.side} {report.quantity} at {report.price}")
            self._desk.alert("external_order", "info", f"{report.symbol} {report.venue_order_id}")

    async def _note_gone(self, open_keys: set[str]) -> None:
        """Mark foreign orders that have left the list; of those that are gone the newest are kept."""
        desk = self._desk
        known = {key: fact for key, fact in desk.books.memory.items() if key.startswith(EXTERNAL_ORDER)}
        now = desk.clock.now_ms()
        left = [key for key, fact in known.items() if key not in open_keys and not fact.text.endswith(_GONE)]
        gone = sorted((fact.at_ms, key) for key, fact in known.items() if fact.text.endswith(_GONE))
        if left:
            async with desk.transaction() as work:
                work.put(*(Memory(key, f"{known[key].text}{_GONE}", now) for key in left))
                work.put(*(Memory(key, "", now) for _, key in gone[: max(0, len(gone) - _GONE_KEPT)]))

    @property
    def unexplained(self) -> Mapping[str, Decimal]:
        """Coin to venue minus ledger, where it counts and nothing explains it."""
        return self.conservation.unexplained

    def drift_value(self) -> Decimal:
        """Unexplained differences in the account's currency."""
        return self.conservation.drift_value()

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
                if when != "running":
                    self.conservation.put_proof(work, when, 1, found.missing)
                if not desk.recall(LEDGER_OPENED):
                    work.put(Memory(LEDGER_OPENED, str(self._money.read_ms), desk.clock.now_ms()))


def _external_key(report: OrderReport) -> str:
    return f"{EXTERNAL_ORDER}{report.venue_order_id or report.wire_id}"


def _lock(locks: dict[str, Decimal], report: OrderReport) -> None:
    """Add what a foreign open order holds at the venue."""
    if report.price is None or report.quantity is None:
        return
    base, _, quote = report.symbol.partition("/")
    left = minus(report.quantity, report.executed_quantity or ZERO)
    coin, amount = (quote, times(left, report.price)) if report.side is Side.BUY else (base, left)
    locks[coin] = plus(locks.get(coin, ZERO), amount)
