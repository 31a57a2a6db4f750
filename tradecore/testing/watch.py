"""The watch: looks at every commit of a running session, and at the books in memory that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tradecore.engine.engine import Engine
from tradecore.errors import TransitionError
from tradecore.model.events import BookedEvent, Stamped
from tradecore.model.instrument import Instrument
from tradecore.model.intent import INTENT_LIVE, IntentRow, IntentState, Reservation, ReservationState, check_intent_move
from tradecore.model.order import ATTEMPT_LIVE, Attempt, AttemptState, check_attempt_move
from tradecore.model.position import Position, PositionState
from tradecore.model.records import Posting, Row
from tradecore.model.units import ZERO, exact_sum, minus, plus, times
from tradecore.ports.store import Store
from tradecore.testing.around import AroundStore
from tradecore.testing.invariants import Violation
from tradecore.testing.money_checks import worst_left

_ASSETS = "assets"


class Watch:
    """Keeps its own picture of what was committed, and checks INV-5, INV-6 and INV-7 after each commit.

    Args:
        instruments: Filters and fees of the session.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self.engine: Engine | None = None
        """Whose books are compared with what was committed; ``None`` until it stands."""
        self.violations: list[Violation] = []
        self.commits = 0
        self._instruments = instruments
        self._intents: dict[str, IntentRow] = {}
        self._attempts: dict[str, Attempt] = {}
        self._reservations: dict[str, Reservation] = {}
        self._positions: dict[str, Position] = {}
        self._balances: dict[tuple[str, str], Decimal] = {}
        self._posted: set[tuple[str, int]] = set()

    def found(self, number: int, text: str) -> None:
        """Take note of something that must never be."""
        self.violations.append(Violation(f"INV-{number}", f"{text} (commit {self.commits})"))

    # Before a commit -------------------------------------------------------------------------------------------

    def load(self, store: Store) -> None:
        """Begin with what the store holds of an earlier run."""
        loaded = store.load()
        self._intents = {row.intent.intent_id: row for row in loaded.intents}
        self._attempts = {row.client_order_id: row for row in loaded.attempts}
        self._reservations = {row.intent_id: row for row in loaded.reservations}
        self._positions = {row.position_id: row for row in loaded.positions}
        self._balances = dict(loaded.balances)

    def check_books(self) -> None:
        """Hold the books in memory against what was committed so far; they must say the same (INV-6)."""
        if self.engine is None:
            return
        books = self.engine.desk.books
        live = {key: row for key, row in self._intents.items() if row.state in INTENT_LIVE}
        if dict(books.intents) != live:
            self.found(6, f"the books hold intents {sorted(books.intents)}, committed are {sorted(live)}")
        active = {k: row for k, row in self._reservations.items() if row.state is ReservationState.ACTIVE}
        if dict(books.reservations) != active:
            self.found(6, f"the books hold reservations {books.reservations}, committed are {active}")
        there = {k: row for k, row in self._positions.items() if row.state is not PositionState.CLOSED}
        if dict(books.positions) != there:
            self.found(6, f"the books hold positions {sorted(books.positions)}, committed are {sorted(there)}")
        unsettled = {k: row for k, row in self._attempts.items() if row.state in ATTEMPT_LIVE}
        if {a.client_order_id: a for a in books.live_attempts()} != unsettled:
            self.found(6, f"the books hold other open attempts than {sorted(unsettled)}")
        if {k: v for k, v in books.balances.items() if v} != {k: v for k, v in self._balances.items() if v}:
            self.found(6, f"the books hold balances {books.balances}, committed are {self._balances}")
        self._check_exposure(self.engine, active, there)

    def _check_exposure(
        self, engine: Engine, active: Mapping[str, Reservation], there: Mapping[str, Position]
    ) -> None:  # fmt: skip
        """Reckon exposure and free money anew from the committed rows."""
        currency = engine.desk.config.currency
        held = exact_sum(row.held for row in active.values() if row.currency == currency)
        parts = []
        for position in there.values():
            mark = engine.desk.worth(position.symbol)
            parts.append(times(position.quantity, mark if mark is not None else position.average_price))
        exposure = plus(held, exact_sum(parts))
        if engine.pictures.exposure() != exposure:
            self.found(6, f"exposure is {engine.pictures.exposure()}, the rows say {exposure}")
        balance = self._balances.get((_ASSETS, currency), ZERO)
        free = engine.pictures.free()
        if free < 0 or free > max(ZERO, minus(balance, held)):
            self.found(6, f"free is {free}, the rows leave {minus(balance, held)}")

    # After a commit --------------------------------------------------------------------------------------------

    def committed(self, rows: Sequence[Row]) -> None:
        """Take rows that the store has committed, and check them."""
        self.commits += 1
        for row in rows:
            match row:
                case IntentRow():
                    self._intent(row)
                case Attempt():
                    self._attempt(row)
                case Reservation():
                    self._reservation(row)
                case Position():
                    self._position(row)
                case Posting():
                    self._posting(row)
                case _:
                    continue  # the rest moves no money and has no state that moves
        self._check_money()

    def _intent(self, row: IntentRow) -> None:
        intent_id = row.intent.intent_id
        old = self._intents.get(intent_id)
        if old is not None and old.state is not row.state:
            try:
                check_intent_move(old.state, row.state)
            except TransitionError as error:
                self.found(7, f"intent {intent_id}: {error}")
        if old is None and row.state not in {IntentState.RESERVED, *self._ended()}:
            self.found(7, f"intent {intent_id} began as {row.state}")
        if old is not None and row.executed_quantity < old.executed_quantity:
            self.found(7, f"intent {intent_id} executed {old.executed_quantity}, then {row.executed_quantity}")
        self._intents[intent_id] = row

    @staticmethod
    def _ended() -> frozenset[IntentState]:
        """States of intents that a start does not load: a late fill may touch one again."""
        return frozenset(IntentState) - INTENT_LIVE

    def _attempt(self, row: Attempt) -> None:
        old = self._attempts.get(row.client_order_id)
        if old is not None and old.state is not row.state:
            try:
                check_attempt_move(old.state, row.state)
            except TransitionError as error:
                self.found(7, f"order {row.wire_id}: {error}")
        if old is not None and row.executed_quantity < old.executed_quantity:
            self.found(7, f"order {row.wire_id} executed {old.executed_quantity}, then {row.executed_quantity}")
        if old is None and row.state not in {AttemptState.PREPARED, AttemptState.REOPENED}:
            self.found(7, f"order {row.wire_id} began as {row.state}")
        self._attempts[row.client_order_id] = row

    def _reservation(self, row: Reservation) -> None:
        old = self._reservations.get(row.intent_id)
        if old is not None and (old.state is ReservationState.RELEASED or row.consumed < old.consumed):
            self.found(5, f"reservation of {row.intent_id} moved from {old.state} {old.consumed} to {row.consumed}")
        self._reservations[row.intent_id] = row

    def _position(self, row: Position) -> None:
        if row.quantity < 0:
            self.found(6, f"position {row.position_id} holds {row.quantity}")
        self._positions[row.position_id] = row

    def _posting(self, row: Posting) -> None:
        if (row.posting_id, row.leg) in self._posted:
            self.found(9, f"leg {row.leg} of {row.posting_id} was posted twice")
        self._posted.add((row.posting_id, row.leg))
        key = (row.account, row.currency)
        self._balances[key] = plus(self._balances.get(key, ZERO), row.amount)

    def _check_money(self) -> None:
        """INV-5 and INV-6 over all that is live."""
        worst: dict[str, list[Decimal]] = {}
        for attempt in self._attempts.values():
            if attempt.state in ATTEMPT_LIVE:
                cost = worst_left(attempt, self._instruments[attempt.symbol])
                worst.setdefault(attempt.intent_id, []).append(cost)
        held: dict[str, list[Decimal]] = {}
        for intent_id, row in self._intents.items():
            if row.state not in INTENT_LIVE:
                continue
            reservation = self._reservations.get(intent_id)
            if reservation is None or reservation.state is not ReservationState.ACTIVE:
                self.found(5, f"live intent {intent_id} has no reservation")
                continue
            needed = exact_sum(worst.get(intent_id, []))
            if reservation.held < needed:
                self.found(5, f"intent {intent_id} holds {reservation.held}, its orders may cost {needed}")
            if not row.intent.reduces:
                held.setdefault(reservation.currency, []).append(reservation.held)
        for coin, parts in held.items():
            if exact_sum(parts) > self._balances.get((_ASSETS, coin), ZERO):
                self.found(6, f"{exact_sum(parts)} {coin} are reserved, {self._balances.get((_ASSETS, coin))} there")


class WatchedStore(AroundStore):
    """Shows every commit to a watch.

    Args:
        inner: The store.
        watch: Looks.
    """

    def __init__(self, inner: Store, watch: Watch) -> None:
        super().__init__(inner)
        self._watch = watch
        watch.load(inner)

    async def commit(self, rows: Sequence[Row], events: Sequence[Stamped]) -> Sequence[BookedEvent]:
        """Have the books looked at, commit, have the rows looked at."""
        self._watch.check_books()
        booked = await super().commit(rows, events)
        self._watch.committed(rows)
        return booked
