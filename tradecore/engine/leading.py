"""Leading open positions: asks the follow guests, keeps the levels durably, and watches them.

Between closes the watch looks at the steps of the row under way and wakes exactly at the first that meets a level. On
a feed that foresees nothing every price that comes in is held against the levels, and a periodic check meets time and
what was not told. The core keeps peak and trough.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from tradecore.engine.desk import Desk, Transaction
from tradecore.engine.exits import Exits
from tradecore.engine.holding import position_updated
from tradecore.engine.levels import Followed, Trigger, combine, same_levels, trigger_of, with_silent
from tradecore.engine.settle import Booked, Settler
from tradecore.errors import StoreError
from tradecore.market.frame import MarketFrame
from tradecore.market.indicators import running_peak
from tradecore.model.events import TrailingUpdate
from tradecore.model.position import Levels, Position
from tradecore.model.reasons import Reason
from tradecore.model.units import PositionId, add_bps, price_of

_STORE_WAIT_S = 1.0
_MARK_STEP_BPS = Decimal(10)
"""A position's new mark is told again once it has moved so far: two seconds of noise are no news."""

Add = Callable[[Position, Trigger, Decimal], Awaitable[None]]
"""(position, trigger, price): wish for more of a position, through size and risk like any entry."""


class Leading:
    """Keeps every open position led by its plans."""

    def __init__(self, desk: Desk, settler: Settler, exits: Exits, add: Add, history_rows: int) -> None:
        self._desk = desk
        self._settler = settler
        self._exits = exits
        self._add = add
        self._history_rows = history_rows
        self._watch: dict[PositionId, int] = {}
        self._watches = 0
        self._added: dict[PositionId, int] = {}
        """Position to the close of the row in which its add level was met: it counts once a row."""
        self.begun = False
        """True once the start has reconciled: before it no price and no fill of the start leads anybody out."""
        self.faulted = False
        """True after an asking in which a guest failed: entries halt until one goes well."""
        self._armed: set[PositionId] = set()
        """Positions that prices are held against: none before the start has reconciled and asked for their plans."""
        self._meeting: set[PositionId] = set()
        """Positions whose level was met and is being acted on."""
        self._stale: set[str] = set()
        """Symbols of positions that have no price to decide by; each was alarmed once."""
        self._told: dict[PositionId, Decimal] = {}
        """Position to the mark that was told last."""
        settler.listeners.append(self._fills)
        desk.feed.on_price(self._priced)

    # Asking ---------------------------------------------------------------------------------------------------

    async def row_closed(self) -> None:
        """Carry peaks over the row that has just closed, ask for the next row's levels, and leave where asked to."""
        desk = self._desk
        self.faulted = False
        self._added.clear()
        if not desk.books.positions:
            return
        frame = desk.feed.history(self._history_rows).with_open_row()
        leaving: list[tuple[PositionId, str, Decimal]] = []
        try:
            async with desk.transaction() as work:
                # taken only now: while this waited for its turn a fill may have changed or closed a position
                for position in list(desk.books.positions.values()):
                    if position.symbol in frame.symbols:
                        followed = self._ask(work, frame, position, closed_row=True)
                        if followed.leave_by and position.close_reason is None:
                            price = desk.mark(position.symbol) or position.average_price
                            leaving.append((position.position_id, followed.leave_by, price))
        finally:
            # also where the store would not take the new plans: the durable ones are watched in the row to come
            for position_id, by, price in leaving:
                await self._exits.leave(position_id, Trigger(Reason.LEAVE, by, None), price)
            for position in list(desk.books.positions.values()):
                self.arm(position)

    def _fills(self, booked: Sequence[Booked]) -> None:
        """Ask anew about positions that a fill opened or changed."""
        changed = {one.position.position_id for one in booked if one.position is not None}
        for position_id in sorted(changed):
            if position_id in self._desk.books.positions:
                self._desk.spawn(self._follow(position_id), f"follow {position_id}")

    async def _follow(self, position_id: PositionId) -> None:
        """Ask until the store takes the answer: before that nothing watches a position that has just opened."""
        desk = self._desk
        while position_id in desk.books.positions and not desk.stopping:
            try:
                await self.changed(position_id)
                return
            except StoreError as error:
                desk.alert("store_unavailable", "critical", f"levels of {position_id}: {error}")
                await desk.clock.sleep(_STORE_WAIT_S)

    async def changed(self, position_id: PositionId) -> None:
        """Ask for the levels in force in the row under way: a position has opened or changed."""
        desk = self._desk
        frame = desk.feed.history(self._history_rows).with_open_row()
        async with desk.transaction() as work:
            position = work.position(position_id)
            if position is None or position_id not in desk.books.positions or position.symbol not in frame.symbols:
                return
            self._ask(work, frame, position, closed_row=False)
        position = desk.books.positions.get(position_id)
        if position is not None:
            self.arm(position)

    def _ask(self, work: Transaction, frame: MarketFrame, position: Position, *, closed_row: bool) -> Followed:
        """Ask the follow guests about one position and put what changed."""
        desk = self._desk
        rows = range(frame.rows - 2, frame.rows) if closed_row and frame.rows > 1 else range(frame.rows - 1, frame.rows)
        answers = desk.calls.follow(frame, rows, position)
        self.faulted = self.faulted or answers.faulted
        closed_at, open_at = len(rows) - 2, len(rows) - 1
        followed = combine(position, answers.plans, closed_at, open_at, desk.clock.now_ms())
        peaks, troughs = running_peak(frame, rows, position)
        new = position._replace(
            peak_price=price_of(float(peaks[open_at])), trough_price=price_of(float(troughs[open_at])),
            memo=followed.memo,
        )  # fmt: skip
        levels = followed.levels
        if answers.faulted:
            # the last durable plan of whoever failed stays in force; what the others say is not held up by it
            levels = with_silent(levels, position.levels, frozenset(name for name, _ in answers.plans))
        if not same_levels(position.levels, levels):
            new = new._replace(levels=levels)
            self._say_levels(work, position, new)
        if new != position:
            work.put(new)
        return followed

    def _say_levels(self, work: Transaction, old: Position, new: Position) -> None:
        stop, before = new.levels.stop, old.levels.stop
        if stop is not None and (before is None or stop > before) and old.levels.set_ms:
            work.tell(TrailingUpdate(new.position_id, new.symbol, new.levels.stop_by, before, stop, new.peak_price))
        else:
            work.tell(position_updated(self._desk, new, "levels"))

    # Watching where prices come as they may -------------------------------------------------------------------

    async def check_prices(self) -> None:
        """Hold every open position against its newest fresh price; for feeds that foresee nothing (R5, exit check).

        A price too old to decide by decides nothing, time to live neither: it is alarmed once, and its return told.
        """
        desk = self._desk
        if desk.feed.foresees:
            return
        positions = list(desk.books.positions.values())
        live = (row.intent.symbol for row in desk.books.intents.values())
        desk.feed.attend(frozenset(position.symbol for position in positions).union(live))
        for position in positions:
            price = desk.mark(position.symbol)
            self._watch_age(position.symbol, price)
            if price is not None:
                self._judge(position, price)
        self._stale.intersection_update(position.symbol for position in positions)
        self._armed.intersection_update(position.position_id for position in positions)

    def _priced(self, symbol: str) -> None:
        """Hold the positions of a symbol against the price that has just come in."""
        for position in self._desk.books.positions.values():
            if position.symbol == symbol:
                price = self._desk.mark(symbol)
                if price is not None:
                    self._judge(position, price)

    def _judge(self, position: Position, price: Decimal) -> None:
        """Act on a level that a price meets, once."""
        position_id = position.position_id
        if position.close_reason is not None or position_id in self._meeting or position_id not in self._armed:
            return
        if trigger_of(self._levels(position), price, self._desk.clock.now_ms()) is not None:
            self._meeting.add(position_id)
            self._desk.spawn(self._met(position_id, price), f"meet {position_id}")

    async def _met(self, position_id: PositionId, price: Decimal) -> None:
        try:
            await self._meet(position_id, price)
        finally:
            self._meeting.discard(position_id)

    def _watch_age(self, symbol: str, price: Decimal | None) -> None:
        desk = self._desk
        if price is None and symbol not in self._stale:
            self._stale.add(symbol)
            known = desk.feed.newest(symbol)
            age = "there is none" if known is None else f"the newest is {desk.clock.now_ms() - known.at_ms} ms old"
            desk.alert("price_stale", "critical", f"no price of {symbol} to lead its position by: {age}")
        elif price is not None and symbol in self._stale:
            self._stale.discard(symbol)
            desk.alert("price_fresh", "info", f"the position in {symbol} is led again")

    async def update_positions(self) -> None:
        """Tell the mark of every open position that has moved since it was told last (R5, position update)."""
        desk = self._desk
        positions = desk.books.positions
        self._told = {key: mark for key, mark in self._told.items() if key in positions}
        if desk.feed.foresees:
            return
        moved = {}
        for position in positions.values():
            mark, told = desk.mark(position.symbol), self._told.get(position.position_id, position.average_price)
            low, high = add_bps(told, _MARK_STEP_BPS.copy_negate()), add_bps(told, _MARK_STEP_BPS)
            if mark is not None and not low < mark < high:
                moved[position.position_id] = mark
        if not moved:
            return
        async with desk.transaction() as work:
            for position_id in moved:
                current = desk.books.positions.get(position_id)
                if current is not None:
                    work.tell(position_updated(desk, current, "mark"))
        self._told.update(moved)

    # Watching where they are foreseen -------------------------------------------------------------------------

    def arm(self, position: Position) -> None:
        """Find the first known step of the row under way that meets a level, and wake then."""
        position_id = position.position_id
        self._watch.pop(position_id, None)
        desk = self._desk
        if position.close_reason is not None or not self.begun:
            return
        if not desk.feed.foresees:
            self._armed.add(position_id)
            return
        found = self._first_step(position)
        if found is None:
            return
        at_ms, price = found
        self._watches += 1
        token = self._watches
        self._watch[position_id] = token
        desk.spawn(self._wake(position_id, at_ms, price, token), f"watch {position_id}")

    def _first_step(self, position: Position) -> tuple[int, Decimal] | None:
        levels = self._levels(position)
        stop = float(levels.stop) if levels.stop is not None else -1.0
        add = float(levels.add) if levels.add is not None else -1.0
        low = max(stop, add)
        take = float(levels.take) if levels.take is not None else float("inf")
        leave = levels.leave_at_ms
        now = self._desk.clock.now_ms()
        steps = self._desk.feed.steps(position.symbol, now)
        for step in steps:
            if leave is not None and leave <= step.at_ms:
                return max(leave, now), price_of(step.price)
            if step.price <= low or step.price >= take:
                return step.at_ms, price_of(step.price)
        end = self._desk.feed.next_close_ms
        if leave is not None and end is not None and leave <= end:
            mark = self._desk.mark(position.symbol)  # it does not trade in this row
            return max(leave, now), mark if mark is not None else position.average_price
        return None

    def _levels(self, position: Position) -> Levels:
        """The levels in force, without an add that this row has met already."""
        if self._added.get(position.position_id) != self._desk.feed.next_close_ms:
            return position.levels
        return position.levels._replace(add=None)

    async def _wake(self, position_id: PositionId, at_ms: int, price: Decimal, token: int) -> None:
        await self._desk.clock.sleep_until_ms(at_ms)
        if self._watch.get(position_id) != token:
            return  # the levels have changed since
        del self._watch[position_id]
        await self._meet(position_id, price)

    async def _meet(self, position_id: PositionId, price: Decimal) -> None:
        position = self._desk.books.positions.get(position_id)
        if position is None or position.close_reason is not None:
            return
        trigger = trigger_of(self._levels(position), price, self._desk.clock.now_ms())
        if trigger is None:
            return
        if trigger.reason is Reason.ADD:
            # the stop is watched on before anybody is asked about the add, which may be refused
            self._added[position_id] = self._desk.feed.next_close_ms or 0
            self.arm(position)
            await self._add(position, trigger, price)
        else:
            await self._exits.leave(position_id, trigger, price)
