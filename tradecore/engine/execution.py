"""One intent to its end: ask the router, prepare, send once, judge, settle, ask again.

The next attempt is prepared only when the one before is settled: its end proven and all its fills booked. Attempts are
durable before they are sent (transactions 2 and 3), reports in one transaction with their fills (4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from tradecore.engine.desk import Desk, ids_of
from tradecore.engine.intents import end_intent
from tradecore.engine.ladder import CORE_LABEL, next_exit_order
from tradecore.engine.picture import Pictures
from tradecore.engine.remedies import Remedies
from tradecore.engine.resolve import Resolver
from tradecore.engine.sending import Asked, End, Sender, remaining_of
from tradecore.engine.settle import Settler
from tradecore.engine.tell import Teller
from tradecore.engine.verdict import denial_of, guards_event, locked
from tradecore.errors import LeaseLost, StoreError
from tradecore.model.events import PriceSnapshot
from tradecore.model.intent import INTENT_LIVE, Cap, Intent, IntentRow
from tradecore.model.order import (
    ATTEMPT_LIVE,
    Attempt,
    AttemptState,
    AttemptView,
    Done,
    OrderRequest,
    Placement,
    PlacementKind,
)
from tradecore.model.portfolio import TradingState
from tradecore.model.reasons import Reason
from tradecore.model.units import IntentId, floor_to_lot

_BAN_LOOK_MS = 1_000
"""While the venue has banned us an intent looks so often whether it is still wanted."""
_ATTEMPTS_MAX = 40
"""No router may ask for more orders than this for one intent: limit everything."""


class Execution:
    """Runs intents. One task per intent; `wake` ends waits early."""

    def __init__(
        self,
        desk: Desk,
        settler: Settler,
        resolver: Resolver,
        pictures: Pictures,
        *,
        teller: Teller,
        remedies: Remedies,
    ) -> None:
        self._desk = desk
        self.remedies = remedies
        self._settler = settler
        self._resolver = resolver
        self._pictures = pictures
        self._teller = teller
        self._cancels: dict[IntentId, Reason] = {}
        self._sender = Sender(desk, settler, resolver, self._cancels)
        self._running: dict[IntentId, asyncio.Task[None]] = {}
        self._stumbles: dict[IntentId, int] = {}
        """Intents whose steps raised what nobody expected, and how often."""
        self.ended: list[Callable[[IntentRow], None]] = []
        """Told of each intent's durable end; they must not wait."""

    @property
    def running(self) -> int:
        """Intents being worked on."""
        return len(self._running)

    def is_running(self, intent_id: IntentId) -> bool:
        """Tell whether a task works on the intent."""
        return intent_id in self._running

    def start(self, intent: Intent) -> None:
        """Begin to work on a durable intent, unless somebody does: two would send its next attempt twice."""
        intent_id = intent.intent_id
        if intent_id in self._running:
            return
        task = self._desk.spawn(self._run(intent_id), f"intent {intent_id}")
        self._running[intent_id] = task
        task.add_done_callback(lambda _: self._running.pop(intent_id, None))

    def cancel(self, intent_id: IntentId, reason: Reason) -> None:
        """Ask for an intent's end: its open order is cancelled, its fills are kept, nothing more is sent."""
        self._cancels.setdefault(intent_id, reason)
        self._resolver.wake(intent_id)

    def cancel_entries(self, reason: Reason) -> None:
        """Ask for the end of all entries."""
        for row in list(self._desk.books.intents.values()):
            if not row.intent.reduces:
                self.cancel(row.intent.intent_id, reason)

    async def _run(self, intent_id: IntentId) -> None:
        desk = self._desk
        failures = 0
        while True:
            try:
                end = await self._guarded_step(intent_id)
                if end is None:
                    failures = 0
                    continue
                row = await end_intent(desk, self._settler, intent_id, end.reason, end.detail)
                if row.state not in INTENT_LIVE:
                    break
            except LeaseLost:
                return  # it stands in the store as it stood: whoever holds that now leads it to its end
            except StoreError as error:
                # Nothing became durable, so nothing was sent on it. What stands at the venue is looked up again
                # once the store is back; until then the intent and its money stay where they are.
                failures += 1
                desk.report_uncaught(f"intent {intent_id}", error)
                desk.alert("store_unavailable", "critical", f"intent {intent_id}: {error}")
                await desk.clock.sleep(min(30.0, 0.5 * 2 ** min(failures, 6)))
        self._cancels.pop(intent_id, None)
        self._stumbles.pop(intent_id, None)
        self._resolver.forget(intent_id)
        self.remedies.forget(intent_id)
        self._teller.intent_ended(row)
        for listener in self.ended:
            listener(row)

    async def _guarded_step(self, intent_id: IntentId) -> End | None:
        """Take a step; what nobody expected takes an exit to the core's ladder and ends an entry, never its task."""
        try:
            return await self._step(intent_id)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - the last door of an intent: it must reach an end
            self._desk.report_uncaught(f"intent {intent_id}", error)
            self._stumbles[intent_id] = self._stumbles.get(intent_id, 0) + 1
            attempts = self._desk.books.attempts_list(intent_id)
            if any(a.state in ATTEMPT_LIVE for a in attempts):
                await self._desk.clock.sleep(min(30.0, float(self._stumbles[intent_id])))
                return None
            reduces = self._desk.books.intents[intent_id].intent.reduces
            if reduces and self._stumbles[intent_id] == 1:
                return None
            return End(Reason.GUEST_FAULT, f"{type(error).__name__}: {error}")

    async def _step(self, intent_id: IntentId) -> End | None:
        """Take one intent one settled attempt further; an `End` says that it is over."""
        row = self._desk.books.intents[intent_id]
        unsettled = [a for a in self._desk.books.attempts_list(intent_id) if a.state is not AttemptState.SETTLED]
        if unsettled:  # a restart found it open
            await self._resolver.finish(unsettled[0].client_order_id)
            return None
        await self._wait_out_ban(row.intent)
        end = self._over(row)
        if end is not None:
            return end
        gate = self._gate(row)
        if isinstance(gate, End):
            return gate
        asked = self._ask_router(row)
        if isinstance(asked, End):
            return asked
        prepared = await self._sender.prepare(row, asked, gate)
        if isinstance(prepared, End):
            return prepared
        placement = await self._sender.send(prepared)
        await self._resolver.finish(prepared.client_order_id)
        return await self._after(row.intent, prepared, placement)

    async def _wait_out_ban(self, intent: Intent) -> None:
        """Ask nobody for a price while nothing can be sent; an entry waits no longer than it lives."""
        desk = self._desk
        while (until := desk.limiter.banned_until_ms) > (now := desk.clock.now_ms()):
            over = intent.intent_id in self._cancels or bool(desk.stopping)
            if over or (not intent.reduces and now >= intent.expires_ms):
                return
            await desk.clock.sleep(min(until - now, _BAN_LOOK_MS) / 1_000)

    # Before an attempt ----------------------------------------------------------------------------------------

    def _over(self, row: IntentRow) -> End | None:
        desk, intent = self._desk, row.intent
        intent_id = intent.intent_id
        remaining = remaining_of(self._desk, intent)
        if remaining <= 0:
            return End(Reason.FILLED)
        if intent_id in self._cancels:
            return End(self._cancels[intent_id])
        if desk.clock.now_ms() >= intent.expires_ms:
            return End(Reason.INTENT_EXPIRED)
        attempts = desk.books.attempts_of.get(intent_id, ())
        if desk.stopping and (attempts or not intent.reduces):
            return End(Reason.SHUTDOWN, desk.stopping)  # an exit goes on at the next start: its reason is durable
        if len(attempts) >= _ATTEMPTS_MAX:
            return End(Reason.LADDER_EXHAUSTED, f"attempts={_ATTEMPTS_MAX}")
        instrument = desk.instruments[intent.symbol]
        lots = floor_to_lot(remaining, instrument.lot_size)
        if lots <= 0 or lots < instrument.min_quantity:
            return End(Reason.DUST_REMAINDER, f"remaining={remaining}")
        return None

    def _gate(self, row: IntentRow) -> End | Mapping[str, Cap]:
        """Ask the risk guests again before each attempt of an entry; exits are never asked about.

        Returns:
            The caps in force for the attempt, or why the entry ends.
        """
        intent = row.intent
        if intent.reduces:
            return intent.caps
        trading = self._desk.books.trading
        if trading.state is not TradingState.ACTIVE:
            halted = trading.state is TradingState.HALTED
            return End(Reason.TRADING_HALTED if halted else Reason.TRADING_REDUCING, trading.reason)
        lock = self._pictures.locks.on(intent.symbol)
        if lock is not None:
            return End(Reason.LOCKED, locked(lock, self._desk.clock.now_ms()).detail)
        number = len(self._desk.books.attempts_of.get(intent.intent_id, ()))
        if number == 0:
            return intent.caps  # asked a moment ago, under the account lock
        portfolio = self._pictures.portfolio(without=intent.intent_id)
        market = self._pictures.market()
        answer = self._desk.calls.risk(intent, portfolio, market)
        self._pictures.recorder.gate(intent, portfolio, market, answer)
        self._desk.note(guards_event(intent, number + 1, answer), ids_of(intent))
        if answer.allowed:
            return answer.caps
        return End(*denial_of(answer))

    def _ask_router(self, row: IntentRow) -> Asked | End:
        """Ask the guest that keeps the intent; where none can answer, an exit goes on the core's own ladder."""
        desk, intent = self._desk, row.intent
        attempts = tuple(a.view for a in desk.books.attempts_list(intent.intent_id))
        book = self._pictures.fresh_book(intent.symbol)
        if book is not None:
            age = desk.clock.now_ms() - book.received_ms
            desk.note(PriceSnapshot(intent.symbol, book.best_bid, book.best_ask, age, book.source), ids_of(intent))
        if not (intent.reduces and self._router_is_spent(intent, attempts)):
            now = desk.clock.now_ms()
            answer = desk.calls.route(intent, book, attempts, now, row.router)
            self._pictures.recorder.route(intent, book, attempts, now, router=row.router, answer=answer)
            if isinstance(answer.answer, OrderRequest):
                return Asked(self._bounded(intent, answer.answer), answer.router)
            if not intent.reduces:
                if isinstance(answer.answer, Done):
                    return End(answer.answer.reason, answer.answer.detail)
                reason = Reason.GUEST_FAULT if answer.fault else Reason.ROUTER_MISSING
                return End(reason, answer.fault or "no router took the intent")
        # An exit: no guest can block it by a fault, by silence, or by saying "done" while something is left.
        order = next_exit_order(desk.config.exit_ladder, intent, book, attempts)
        return Asked(order, row.router) if order is not None else End(Reason.LADDER_EXHAUSTED, "core exit ladder")

    def _router_is_spent(self, intent: Intent, attempts: Sequence[AttemptView]) -> bool:
        """Tell whether the router has had its tries at an exit: then the core's own ladder sells."""
        ladder = self._desk.config.exit_ladder
        if intent.intent_id in self._stumbles or any(a.label.startswith(CORE_LABEL) for a in attempts):
            return True
        late = self._desk.clock.now_ms() - intent.created_ms > ladder.attempts * ladder.ttl_ms
        return late or len(attempts) >= ladder.attempts

    def _bounded(self, intent: Intent, request: OrderRequest) -> OrderRequest:
        """Hold a router's wish about an exit within bounds: it may not shrink it or sit on it."""
        if not intent.reduces:
            return request
        ttl = min(request.ttl_ms, self._desk.config.exit_ladder.ttl_ms)
        return request._replace(quantity=remaining_of(self._desk, intent), ttl_ms=ttl, post_only=False)

    async def _after(self, intent: Intent, attempt: Attempt, placement: Placement) -> End | None:
        """Tell whether a settled attempt ends its intent; the router is asked again otherwise."""
        proven_absent = placement.kind in {PlacementKind.REJECTED, PlacementKind.NOT_SENT}
        if proven_absent and await self.remedies.refused(intent, attempt, placement):
            return None
        if placement.kind is PlacementKind.REJECTED:
            money = placement.reason is Reason.INSUFFICIENT_FUNDS
            reason = Reason.INSUFFICIENT_FUNDS if money else Reason.VENUE_REJECTED
            return End(reason, f"{placement.code}: {placement.detail}")
        if placement.kind is PlacementKind.NOT_SENT and placement.reason is not Reason.STALE_DATA:
            current = self._desk.books.attempts.get(attempt.client_order_id)
            return End(placement.reason, current.detail if current is not None else placement.detail)
        return None
