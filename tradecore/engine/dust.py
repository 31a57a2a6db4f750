"""Dust: what positions left behind because it was too little to sell, taken up by a later one (R50).

It goes along with the next position on its symbol, where a guest's job asked for that, or into a position of its own
that is left at once. Either way one transaction moves it from the positions that left it to the one that takes it, so
that no unit is nobody's or counted twice, and from there on it is sold like anything else (R2).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import orjson

from tradecore.engine.desk import Desk, Transaction
from tradecore.engine.exits import Exits
from tradecore.engine.taking import MERGE, put_taken, take_dust
from tradecore.errors import StoreError
from tradecore.model.events import DecisionOutcome, PositionOpened, SellTriggerEval
from tradecore.model.instrument import refusal_of
from tradecore.model.position import Position
from tradecore.model.reasons import Reason
from tradecore.model.signal import Signal
from tradecore.model.units import ZERO, PositionId, Side, canonical, floor_to_lot, floor_to_tick, minus, ratio


class Dust:
    """Carries out what guests' jobs propose about dust."""

    def __init__(self, desk: Desk, exits: Exits) -> None:
        self._desk = desk
        self._exits = exits

    async def merge(self, plugin: str, symbols: Iterable[str]) -> None:
        """Keep durably on which symbols the next position takes dust along; the last word of a guest counts."""
        wanted = sorted(set(symbols))
        text = orjson.dumps(wanted).decode() if wanted else ""
        if self._desk.recall(f"{MERGE}{plugin}") != text:
            await self._desk.remember(f"{MERGE}{plugin}", text)

    async def sell(self, signal: Signal) -> None:
        """Make a position of all dust of a symbol and leave it, or say why that cannot be now."""
        price = self._desk.mark(signal.symbol)
        refused = self._refused(signal, price)
        if refused is None and price is not None:
            async with self._desk.account_lock:  # no entry is reserved between this look and the sale
                refused = self._refused(signal, price) or await self._begin(signal, price)
        if refused is not None:
            self._say(signal, *refused)

    def _refused(self, signal: Signal, price: Decimal | None) -> tuple[Reason, str] | None:
        """The core's own gates; ``None``: nothing stands against it."""
        desk = self._desk
        instrument = desk.instruments.get(signal.symbol)
        if desk.stopping:
            return Reason.SHUTDOWN, desk.stopping
        if instrument is None or not instrument.can_sell:
            return Reason.SYMBOL_HALTED, "it cannot be sold now"
        if price is None:
            return Reason.STALE_DATA, "no price to decide by"
        if desk.books.symbol_busy(signal.symbol):
            return Reason.SYMBOL_BUSY, ""
        there = desk.books.dust.get(instrument.base, ZERO)
        quantity = floor_to_lot(there, instrument.lot_size)
        refusal = refusal_of(instrument, Side.SELL, quantity, floor_to_tick(price, instrument.tick_size))
        if refusal is not None and refusal.reason is not Reason.QUANTITY_ABOVE_MAX:  # the exit's ladder cuts that up
            facts = f"{canonical(there)} {instrument.base}: {canonical(refusal.value)}, {canonical(refusal.threshold)}"
            return refusal.reason, f"dust {facts} is the least"
        return None

    async def _begin(self, signal: Signal, price: Decimal) -> tuple[Reason, str] | None:
        """Make the position durable, to be left, then leave it; what a crash comes between the next start goes on with.

        Returns:
            Why there is none; ``None``: it is being sold.
        """
        desk = self._desk
        now = desk.clock.now_ms()
        empty = Position(
            PositionId(desk.ids.new("position")), signal.symbol, signal.plugin, "", ZERO, price, now, 0, price, price,
            close_reason=Reason.DUST_SWEPT,
        )  # fmt: skip
        try:
            async with desk.transaction() as work:
                taken = take_dust(desk, work, empty)
                if not taken.taken:
                    return Reason.QUANTITY_BELOW_MIN, "no position on this symbol left any"
                taken = taken._replace(average_price=ratio(taken.taken_quote, taken.quantity))
                self._open(work, signal, taken, price)
        except StoreError as error:
            return Reason.STORE_UNAVAILABLE, str(error)
        await self._exits.begin(taken.position_id, signal.plugin, price)
        return None

    def _open(self, work: Transaction, signal: Signal, taken: Position, price: Decimal) -> None:
        put_taken(work, taken, signal.plugin)
        id_, symbol = taken.position_id, taken.symbol
        work.tell(PositionOpened(id_, symbol, taken.plugin, taken.quantity, taken.average_price))
        work.tell(
            SellTriggerEval(
                id_, symbol, str(Reason.DUST_SWEPT), signal.plugin, None, price, taken.average_price,
                taken.peak_price, 0, {"value": f"{signal.value:g}", "threshold": f"{signal.threshold:g}"},
            )
        )  # fmt: skip

    def _say(self, signal: Signal, reason: Reason, detail: str) -> None:
        """Write why dust was not sold."""
        value, threshold = Decimal(repr(signal.value)), Decimal(repr(signal.threshold))
        margin = float(ratio(minus(threshold, value), abs(threshold) or Decimal(1)))
        self._desk.note(
            DecisionOutcome(
                signal.plugin, signal.symbol, self._desk.clock.now_ms(), str(reason), "core", signal.value,
                signal.threshold, margin, signal.unit, detail,
            )
        )  # fmt: skip
