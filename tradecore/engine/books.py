"""The books in memory: what the store holds of everything that has not ended, applied after each commit.

Nothing here is counted up on the side: reserved money, free money and exposure are functions of these rows, and a
start builds the same books from the store that a running engine holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from tradecore.model.fill import Fill
from tradecore.model.intent import INTENT_LIVE, IntentRow, Reservation, ReservationState
from tradecore.model.order import ATTEMPT_LIVE, Attempt
from tradecore.model.portfolio import TradingState
from tradecore.model.position import ClosedPosition, Position, PositionState, closed_view
from tradecore.model.records import LOCK, Memory, Posting, Row, TradingRecord
from tradecore.model.units import ZERO, ClientOrderId, IntentId, PositionId, exact_sum, minus, plus
from tradecore.ports.store import Loaded

ASSETS = "assets"
CLOSED_KEPT = 1_000


class Books:
    """Everything alive, by id, and ledger balances. Changed by `apply` only."""

    def __init__(self) -> None:
        self.intents: dict[IntentId, IntentRow] = {}
        self.attempts: dict[ClientOrderId, Attempt] = {}
        self.attempts_of: dict[IntentId, list[ClientOrderId]] = {}
        self.by_wire_id: dict[str, ClientOrderId] = {}
        self.reservations: dict[IntentId, Reservation] = {}
        self.positions: dict[PositionId, Position] = {}
        self.closed: deque[ClosedPosition] = deque(maxlen=CLOSED_KEPT)
        self.balances: dict[tuple[str, str], Decimal] = {}
        self.memory: dict[str, Memory] = {}
        self.locks: Mapping[str, Memory] = {}
        """Those of the facts that are locks; another mapping after each change."""
        self.trading = TradingRecord(TradingState.ACTIVE, "core", "fresh state", 0)
        self.swept: deque[ClosedPosition] = deque(maxlen=CLOSED_KEPT)
        """Ends of positions that were made to sell dust: they are no round trips."""
        self.dusty: dict[PositionId, Position] = {}
        """Closed positions that left something behind that no later one has taken along, oldest first."""
        self._left: dict[str, Decimal] = {}
        """Base coin to the dust of all of them."""
        self.foreign_locks: dict[str, Decimal] = {}
        """Coin to what orders that are not ours hold at the venue, as last read."""
        self.version = 0
        """Rises with each change: pictures made from the books are kept until it does."""
        self._dust: Mapping[str, Decimal] = {}
        self._dust_version = -1

    def load(self, loaded: Loaded) -> None:
        """Take the store's picture at a start."""
        self.apply(
            [*loaded.intents, *loaded.attempts, *loaded.reservations, *loaded.positions, *loaded.memory.values()]
        )
        self.closed.extend(loaded.closed)
        self.balances.update(loaded.balances)
        for position in loaded.dusty:
            self._note_dust(position)
        if loaded.trading is not None:
            self.trading = loaded.trading

    def apply(self, rows: Iterable[Row]) -> None:
        """Take rows that the store has committed."""
        self.version += 1
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
                    key = (row.account, row.currency)
                    self.balances[key] = plus(self.balances.get(key, ZERO), row.amount)
                case Memory():
                    if row.text:
                        self.memory[row.key] = row
                    else:
                        self.memory.pop(row.key, None)
                    if row.key.startswith(LOCK):
                        self._lock(row)
                case TradingRecord():
                    self.trading = row
                case Fill():
                    pass  # its effect is in the attempt, position and posting rows of the same transaction
                case _:
                    pass  # runs, commands and reports have no life in memory

    def _lock(self, row: Memory) -> None:
        others = {key: fact for key, fact in self.locks.items() if key != row.key}
        self.locks = {**others, row.key: row} if row.text else others

    def _intent(self, row: IntentRow) -> None:
        intent_id = row.intent.intent_id
        if row.state in INTENT_LIVE:
            self.intents[intent_id] = row
            return
        self.intents.pop(intent_id, None)
        for client_order_id in self.attempts_of.pop(intent_id, []):
            attempt = self.attempts[client_order_id]
            if attempt.state not in ATTEMPT_LIVE:
                self._forget(attempt)

    def _attempt(self, row: Attempt) -> None:
        fresh = row.client_order_id not in self.attempts
        self.attempts[row.client_order_id] = row
        self.by_wire_id[row.wire_id] = row.client_order_id
        if row.intent_id in self.intents:
            if fresh:
                self.attempts_of.setdefault(row.intent_id, []).append(row.client_order_id)
        elif row.state not in ATTEMPT_LIVE:
            self._forget(row)

    def _forget(self, attempt: Attempt) -> None:
        self.attempts.pop(attempt.client_order_id, None)
        self.by_wire_id.pop(attempt.wire_id, None)

    def _reservation(self, row: Reservation) -> None:
        if row.state is ReservationState.ACTIVE:
            self.reservations[row.intent_id] = row
        else:
            self.reservations.pop(row.intent_id, None)

    def _position(self, row: Position) -> None:
        if row.state is not PositionState.CLOSED:
            self.positions[row.position_id] = row
            self._forget_dust(row)  # a late fill reopened it: its dust is position again
            return
        was_open = self.positions.pop(row.position_id, None) is not None
        if was_open or row.position_id not in self.dusty:  # else it ended before, and its dust went along now
            ends = self.closed if row.entries else self.swept
            if self.closed_before(row.position_id) is not None:  # a late fill had brought it back
                others = [old for old in ends if old.position_id != row.position_id]
                ends.clear()
                ends.extend(others)
            ends.append(closed_view(row))
        self._forget_dust(row)
        if row.dust_quantity > 0:
            self._note_dust(row)

    def closed_before(self, position_id: PositionId) -> ClosedPosition | None:
        """An earlier end of a position among the newest; ``None``: it has not ended yet, or long ago."""
        for ends in (self.closed, self.swept):
            for old in reversed(ends):
                if old.position_id == position_id:
                    return old
        return None

    # Dust -----------------------------------------------------------------------------------------------------

    def _note_dust(self, row: Position) -> None:
        base = row.symbol.partition("/")[0]
        self.dusty[row.position_id] = row
        self._left[base] = plus(self._left.get(base, ZERO), row.dust_quantity)

    def _forget_dust(self, row: Position) -> None:
        old = self.dusty.pop(row.position_id, None)
        if old is not None:
            base = row.symbol.partition("/")[0]
            self._left[base] = minus(self._left[base], old.dust_quantity)

    @property
    def dust(self) -> Mapping[str, Decimal]:
        """Base coin to units that closed positions left behind and that the ledger still has.

        What the venue converted or somebody sold by hand is gone from the ledger, and is no dust any more.
        """
        if self._dust_version != self.version:
            held: dict[str, Decimal] = {}
            for position in self.positions.values():
                base = position.symbol.partition("/")[0]
                held[base] = plus(held.get(base, ZERO), position.quantity)
            found = {}
            for coin, left in self._left.items():
                there = min(left, minus(self.balance(coin), held.get(coin, ZERO)))
                if there > 0:
                    found[coin] = there
            self._dust, self._dust_version = found, self.version
        return self._dust

    def attempts_list(self, intent_id: IntentId) -> Sequence[Attempt]:
        """Attempts of a live intent, oldest first."""
        return [self.attempts[i] for i in self.attempts_of.get(intent_id, ())]

    def live_intents_on(self, symbol: str) -> Sequence[IntentRow]:
        """Live intents of one symbol, entries and exits."""
        return [row for row in self.intents.values() if row.intent.symbol == symbol]

    def symbol_busy(self, symbol: str) -> bool:
        """Tell whether an entry must wait: a live intent, or an order whose fate is not proven (R17)."""
        if any(row.intent.symbol == symbol for row in self.intents.values()):
            return True
        return any(a.symbol == symbol and a.state in ATTEMPT_LIVE for a in self.attempts.values())

    def exit_of(self, position_id: PositionId) -> IntentRow | None:
        """The live exit of a position; ``None``: it has none."""
        for row in self.intents.values():
            if row.intent.reduces and row.intent.position_id == position_id:
                return row
        return None

    def live_attempts(self) -> Sequence[Attempt]:
        """Attempts that are not settled."""
        return [a for a in self.attempts.values() if a.state in ATTEMPT_LIVE]

    def balance(self, currency: str) -> Decimal:
        """Ledger balance of a coin: the sum of its postings."""
        return self.balances.get((ASSETS, currency), ZERO)

    def reserved(self, currency: str) -> Decimal:
        """What active reservations still hold of a coin."""
        return exact_sum(r.held for r in self.reservations.values() if r.currency == currency)

    def available(self, currency: str) -> Decimal:
        """Ledger balance less active reservations and locks of foreign orders; never below 0 (R16)."""
        held = plus(self.reserved(currency), self.foreign_locks.get(currency, ZERO))
        return max(ZERO, minus(self.balance(currency), held))
