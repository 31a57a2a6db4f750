"""Leaving positions: no guest is asked, so none can block, shrink or delay it (HOOKS.md, R2, R28).

A position that is to be left keeps its reason durably until it is flat; rounds of the ladder follow each other with a
growing wait. What cannot be sold is a state with age, attempts and an alarm, never a silent retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from tradecore.engine.desk import Desk, Transaction, ids_of
from tradecore.engine.execution import Execution
from tradecore.engine.holding import close_if_unsellable, position_updated
from tradecore.engine.intents import create_intents
from tradecore.engine.levels import Trigger
from tradecore.engine.money import VenueMoney
from tradecore.engine.picture import Pictures
from tradecore.engine.settle import Booked, Settler
from tradecore.errors import DuplicateRecord, StoreError
from tradecore.model.events import ExitRefused, SellSizingCalc, SellTriggerEval
from tradecore.model.instrument import Instrument, Refusal, refusal_of
from tradecore.model.intent import Intent, IntentRow, IntentState
from tradecore.model.position import Position, PositionState
from tradecore.model.reasons import Reason
from tradecore.model.signal import Signal
from tradecore.model.units import (
    ZERO,
    IntentId,
    PositionId,
    Side,
    add_bps,
    canonical,
    ceil_to_tick,
    floor_to_lot,
    minus,
    signal_id,
)

_STORE_WAIT_S = 1.0
_SMALL = frozenset({Reason.QUANTITY_BELOW_MIN, Reason.NOTIONAL_BELOW_MIN})


class Exits:
    """Makes exit intents and sees to it that a position that is to be left is left."""

    def __init__(
        self, desk: Desk, settler: Settler, execution: Execution, pictures: Pictures, money: VenueMoney
    ) -> None:
        self._desk = desk
        self._settler = settler
        self._execution = execution
        self._pictures = pictures
        self._money = money
        self._waiting: set[PositionId] = set()
        execution.ended.append(self._intent_ended)
        settler.listeners.append(self._fills)

    async def leave(self, position_id: PositionId, trigger: Trigger, price: Decimal) -> str:
        """Decide, durably, that a position is to be left, and begin.

        Args:
            price: What the market showed when it was decided, quote per base.
        Returns:
            What was done, for whoever asked.
        """
        try:
            return await self._leave(position_id, trigger, price)
        except StoreError as error:
            self._desk.alert("store_unavailable", "critical", f"exit of {position_id}: {error}")
            self._desk.spawn(self._leave_again(position_id, trigger), f"exit {position_id}")
            return f"store unavailable, tried again: {error}"

    async def _leave_again(self, position_id: PositionId, trigger: Trigger) -> None:
        """Decide once more what the store would not take: what was met is not forgotten when the price comes back."""
        desk = self._desk
        await desk.clock.sleep(_STORE_WAIT_S)
        position = desk.books.positions.get(position_id)
        if position is None or desk.stopping:
            return
        if position.close_reason is not None:  # decided durably; what failed came after that
            self._later(position_id, 0.0)
            return
        await self.leave(position_id, trigger, desk.mark(position.symbol) or position.average_price)

    async def _leave(self, position_id: PositionId, trigger: Trigger, price: Decimal) -> str:
        desk = self._desk
        position = desk.books.positions.get(position_id)
        if position is None:
            return "no such open position"
        if position.close_reason is not None or desk.books.exit_of(position_id) is not None:
            return "is being left already"
        for row in desk.books.live_intents_on(position.symbol):
            if row.intent.position_id == position_id and not row.intent.reduces:
                self._execution.cancel(row.intent.intent_id, Reason.LEAVE)
        async with desk.transaction() as work:
            current = work.position(position_id)
            if current is None or current.state is PositionState.CLOSED:
                return "no such open position"
            work.put(current._replace(close_reason=trigger.reason))
            work.tell(
                SellTriggerEval(
                    position_id, position.symbol, str(trigger.reason), trigger.by, trigger.level, price,
                    position.average_price, position.peak_price, desk.clock.now_ms() - position.opened_ms,
                    dict(position.levels.inputs),
                )
            )  # fmt: skip
        return await self._round(position_id, trigger.by, price)

    async def begin(self, position_id: PositionId, by: str, price: Decimal) -> str:
        """Begin to leave a position that was made durable with the reason for which it is to be left.

        Args:
            by: The guest that asked for it.
            price: What the market showed when it was decided, quote per base.
        Returns:
            What was done, for whoever asked.
        """
        return await self._round(position_id, by, price)

    def resume(self) -> None:
        """Go on with every position that is to be left and that nobody works on: at a start, and looked at again."""
        if self._desk.stopping:
            return
        for position in list(self._desk.books.positions.values()):
            if position.close_reason is not None and self._desk.books.exit_of(position.position_id) is None:
                self._later(position.position_id, 0.0)

    def _intent_ended(self, row: IntentRow) -> None:
        position_id = row.intent.position_id
        if not row.intent.reduces or position_id is None:
            return
        position = self._desk.books.positions.get(position_id)
        if position is None or position.close_reason is None or self._desk.stopping:
            return
        if row.state is IntentState.REJECTED:
            self._desk.spawn(self._refused(position_id, row), f"exit {position_id}")
            return
        whole = row.state is IntentState.FILLED  # a position larger than one order may be: no reason to wait
        self._later(position_id, 0.0 if whole else self._wait_s(position), counts=not whole)

    async def _refused(self, position_id: PositionId, row: IntentRow) -> None:
        """Shrink to what is free where less was free than asked; what the venue refuses otherwise cannot be left now.

        A refusal for want of coins has been reconciled by now, so the balances are of after it (R18, F27).
        """
        desk = self._desk
        position = desk.books.positions.get(position_id)
        if position is None:
            return
        try:
            if row.reason is Reason.INSUFFICIENT_FUNDS and self._sellable(position) < row.intent.quantity:
                self._later(position_id, 0.0, look=False)
                return
            await self._unsellable(position, f"{row.reason}: {row.detail}")
        except StoreError as error:
            desk.alert("store_unavailable", "critical", f"exit of {position.symbol}: {error}")
        self._later(position_id, self._wait_s(position))

    def _sellable(self, position: Position) -> Decimal:
        """Base units that one order may sell of a position now: whole lots of what is free."""
        instrument = self._desk.instruments[position.symbol]
        free = self._money.free_base(instrument.base)
        quantity = floor_to_lot(max(ZERO, min(position.quantity, free)), instrument.lot_size)
        if instrument.max_quantity and quantity > instrument.max_quantity:
            quantity = floor_to_lot(instrument.max_quantity, instrument.lot_size)
        return quantity

    def _wait_s(self, position: Position) -> float:
        """Wait before the next round: grows with the rounds that did not sell all they were to sell."""
        waits = self._desk.config.exit_ladder.backoff_s
        return waits[min(position.exit_attempts, len(waits) - 1)]

    def _fills(self, booked: Sequence[Booked]) -> None:
        """Go on where a late fill gave a position that was left something to hold again."""
        for one in booked:
            if one.position is None:
                continue
            if one.fill.trade.side is Side.SELL:
                if one.position.unsellable_since_ms is not None:
                    self._desk.spawn(self._sold(one.position.position_id), f"sold {one.position.position_id}")
                continue
            position = self._desk.books.positions.get(one.position.position_id)
            leaving = position is not None and position.close_reason is not None
            if position is not None and leaving and self._desk.books.exit_of(position.position_id) is None:
                self._later(position.position_id, 0.0)

    async def _sold(self, position_id: PositionId) -> None:
        """Forget since when a position could not be left: something of it was sold."""
        async with self._desk.transaction() as work:
            current = work.position(position_id)
            if current is not None and current.state is PositionState.OPEN:
                work.put(current._replace(unsellable_since_ms=None))

    def _later(self, position_id: PositionId, seconds: float, *, counts: bool = True, look: bool = True) -> None:
        if position_id in self._waiting:
            return
        self._waiting.add(position_id)
        self._desk.spawn(self._again(position_id, seconds, counts, look and counts), f"exit {position_id}")

    async def _again(self, position_id: PositionId, seconds: float, counts: bool, look: bool) -> None:
        desk = self._desk
        try:
            if seconds:
                await desk.clock.sleep(seconds)
            if look:
                await self._look_again(position_id)
        finally:
            self._waiting.discard(position_id)
        try:
            await self._next_round(position_id, counts)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the position is still to be left
            desk.report_uncaught(f"exit {position_id}", error)
            self._later(position_id, _STORE_WAIT_S)

    async def _look_again(self, position_id: PositionId) -> None:
        """Read anew what may be sold now."""
        position = self._desk.books.positions.get(position_id)
        if position is not None:
            await self._execution.remedies.look_again(position.symbol, self._money.refresh)

    async def _next_round(self, position_id: PositionId, counts: bool) -> None:
        desk = self._desk
        position = desk.books.positions.get(position_id)
        if position is None or desk.stopping or desk.books.exit_of(position_id) is not None:
            return
        if counts:
            async with desk.transaction() as work:
                current = work.position(position_id)
                if current is None or current.state is PositionState.CLOSED:
                    return
                position = current._replace(exit_attempts=current.exit_attempts + 1)
                work.put(position)
        await self._round(position_id, "core", desk.mark(position.symbol) or position.average_price)

    # One round ------------------------------------------------------------------------------------------------

    async def _round(self, position_id: PositionId, by: str, price: Decimal) -> str:
        """Make the exit intent of one round of the ladder, or say why there can be none now."""
        desk = self._desk
        position = desk.books.positions.get(position_id)
        if position is None:
            return "is closed"
        if desk.stopping:
            return "the run is ending; the next one goes on with it"
        instrument = desk.instruments[position.symbol]
        free, quantity = self._money.free_base(instrument.base), self._sellable(position)
        intent = self._intent(position, instrument, quantity, by, price)
        refusal = refusal_of(instrument, Side.SELL, quantity, max(intent.price_cap, instrument.tick_size))
        # judged at the price of the moment: the collar is only how far it may fall before we stop selling
        if refusal is not None and refusal.reason is Reason.NOTIONAL_BELOW_MIN:
            refusal = refusal_of(instrument, Side.SELL, quantity, ceil_to_tick(price, instrument.tick_size))
        if refusal is not None:
            return await self._cannot(position, refusal, free)
        try:
            await self._begin(position, intent, free)
        except DuplicateRecord as error:
            return f"is being left already: {error}"
        except StoreError as error:
            desk.alert("store_unavailable", "critical", f"exit of {position.symbol}: {error}")
            self._later(position_id, _STORE_WAIT_S)
            return f"store unavailable: {error}"
        self._execution.start(intent)
        return f"selling {canonical(quantity)} {instrument.base}"

    async def _begin(self, position: Position, intent: Intent, free: Decimal) -> None:
        desk = self._desk

        def also(work: Transaction) -> None:
            current = work.position(position.position_id)
            if current is not None and current.state is PositionState.UNSELLABLE:
                work.put(current._replace(state=PositionState.OPEN))  # since when stays until something is sold
            dust = minus(position.quantity, intent.quantity)
            work.tell(
                SellSizingCalc(
                    position.position_id, position.symbol, position.quantity, free, intent.quantity, max(ZERO, dust)
                ),
                ids_of(intent),
            )

        await create_intents(desk, [intent], also)

    def _intent(self, position: Position, instrument: Instrument, quantity: Decimal, by: str, price: Decimal) -> Intent:
        desk = self._desk
        now = desk.clock.now_ms()
        book = self._pictures.fresh_book(position.symbol)
        touch = book.best_bid if book is not None and book.best_bid is not None else price
        collar = desk.config.price_collar_bps.copy_negate()
        cap = ceil_to_tick(max(ZERO, add_bps(min(touch, price), collar)), instrument.tick_size)
        reason = str(position.close_reason)
        signal = Signal(
            signal_id(by, position.symbol, Side.SELL, now, f"{position.position_id}/{position.exit_attempts}"), by,
            position.symbol, Side.SELL, now, now + desk.config.intent_ttl_ms, price, now, 1.0, reason, 0.0, 0.0, "",
            position_id=position.position_id,
        )  # fmt: skip
        return Intent(
            intent_id=IntentId(desk.ids.new("intent")), signal=signal, symbol=position.symbol, side=Side.SELL,
            quantity=quantity, price=price, price_ms=now, price_cap=cap, created_ms=now,
            expires_ms=now + desk.config.intent_ttl_ms,
            constraint="core: position" if quantity else "core: nothing free", reduces=True,
            position_id=position.position_id,
        )  # fmt: skip

    async def _cannot(self, position: Position, refusal: Refusal, free: Decimal) -> str:
        """Book a remainder as dust, or make the position unsellable: a state with age, attempts and an alarm."""
        desk = self._desk
        facts = f"{refusal.reason}: value={refusal.value}, threshold={refusal.threshold}"
        async with desk.transaction() as work:
            current = work.position(position.position_id)
            if current is None or current.state is PositionState.CLOSED:
                return "is closed"
            reason = current.close_reason or Reason.DUST_REMAINDER
            # judged at the price of the moment and by the newest mark: where they differ it is looked at again
            small = refusal.reason in _SMALL and free >= current.quantity
            dust = small and close_if_unsellable(desk, work, current, reason).state is PositionState.CLOSED
            work.tell(
                ExitRefused(
                    current.position_id, current.symbol, str(reason), str(refusal.reason), refusal.value,
                    refusal.threshold, current.quantity, free, "dust" if dust else "unsellable",
                    current.exit_attempts,
                )
            )  # fmt: skip
            if dust:
                return f"too small to sell, booked as dust: {facts}"
        await self._unsellable(position, f"{facts}, free={free}")
        self._later(position.position_id, self._wait_s(position))
        return f"cannot be sold now: {facts}"

    async def _unsellable(self, position: Position, facts: str) -> None:
        """Make a position that cannot be left a state of its own, with its age, and alarm."""
        desk = self._desk
        now = desk.clock.now_ms()
        async with desk.transaction() as work:
            current = work.position(position.position_id)
            if current is None or current.state is PositionState.CLOSED:
                return
            since = current.unsellable_since_ms or now
            unsellable = current._replace(state=PositionState.UNSELLABLE, unsellable_since_ms=since)
            work.put(unsellable)
            work.tell(position_updated(desk, unsellable, f"unsellable: {facts}"))
        desk.alert("position_unsellable", "critical", f"{position.symbol} for {now - since} ms: {facts}")
