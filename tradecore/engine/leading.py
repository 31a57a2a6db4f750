"""Leading open positions: asks the follow guests, keeps the levels durably, and watches them.

Between closes the watch looks at the steps of the row under way and wakes exactly at the first that meets a level. The
core keeps peak and trough.
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
from tradecore.model.units import PositionId, price_of

_STORE_WAIT_S = 1.0

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
        self.faulted = False
        """True after an asking in which a guest failed: entries halt until one goes well."""
        settler.listeners.append(self._fills)

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

    # Watching -------------------------------------------------------------------------------------------------

    def arm(self, position: Position) -> None:
        """Find the first known step of the row under way that meets a level, and wake then."""
        position_id = position.position_id
        self._watch.pop(position_id, None)
        if position.close_reason is not None:
            return
        desk = self._desk
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
