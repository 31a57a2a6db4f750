"""What stands at the end of a journal against what stands in the store: money, orders, positions (R44)."""

from __future__ import annotations

from typing import Any

from tradecore.engine.differences import Differences, Kept, text_of
from tradecore.engine.replaying import Rebuilt, RebuiltAttempt, RebuiltIntent, RebuiltPosition
from tradecore.model.intent import IntentRow
from tradecore.model.order import Attempt, AttemptState
from tradecore.model.position import Position, PositionState
from tradecore.model.units import ZERO, IntentId, canonical


class Standing:
    """Compares everything that moves on; both sides stand still.

    Args:
        rebuilt: The journal's side.
        kept: The store's.
        found: Takes what differs.
    """

    def __init__(self, rebuilt: Rebuilt, kept: Kept, found: Differences) -> None:
        self._rebuilt = rebuilt
        self._kept = kept
        self._differs = found.differs

    def compare(self) -> None:
        """Compare all; sums over everything only where the journal begins at the beginning."""
        if not self._rebuilt.partial:
            self._compare_counts()
            self._compare_balances()
        self._compare_positions()
        self._compare_intents()
        self._compare_reservations()

    def _compare_counts(self) -> None:
        fills, entries = self._kept.counts()
        for what, mine, other in (
            ("fills", self._rebuilt.fills, fills),
            ("ledger entries", self._rebuilt.entries, entries),
        ):
            if mine != other:
                self._differs(0, f"number of {what}", str(mine), str(other))

    def _compare_balances(self) -> None:
        mine, other = self._rebuilt.balances, self._kept.balances()
        for key in sorted(mine.keys() | other.keys()):
            a, b = mine.get(key, ZERO), other.get(key, ZERO)
            if a != b:
                sequence = self._rebuilt.balance_sequence.get(key, 0)
                self._differs(sequence, f"balance of {key[1]} in {key[0]}", canonical(a), canonical(b))

    def _compare_positions(self) -> None:
        seen: set[str] = set()
        for row in self._kept.positions():
            known = self._rebuilt.positions.get(row.position_id)
            if known is not None:
                seen.add(row.position_id)
                self._compare_position(known, row)
            elif not self._rebuilt.partial:
                self._differs(0, f"position {row.position_id}", "unknown", f"{row.symbol} {row.quantity}")
        for position_id, known in self._rebuilt.positions.items():
            if position_id not in seen:
                text = f"{known.position.symbol} {canonical(known.position.quantity)}"
                self._differs(known.sequence, f"position {position_id}", text, "no such row")

    def _compare_position(self, known: RebuiltPosition, row: Position) -> None:
        mine = known.position
        closed = PositionState.CLOSED
        pairs: list[tuple[str, Any, Any]] = [
            ("symbol", mine.symbol, row.symbol),
            ("plugin", mine.plugin or row.plugin, row.plugin),
            ("closed", mine.state is closed, row.state is closed),
        ]
        fields = ["quantity", "average_price", "bought_quantity", "bought_quote", "sold_quantity", "sold_quote",
                  "base_fees", "dust_quantity", "dust_gone", "taken_quote", "entries"]  # fmt: skip
        if known.fees_known or mine.state is closed:
            fields.append("fees_quote")
        pairs += [(field, getattr(mine, field), getattr(row, field)) for field in fields]
        if mine.state is closed:
            pairs.append(("close_reason", mine.close_reason, row.close_reason))
        for field, a, b in pairs:
            if a != b:
                self._differs(known.sequence, f"position {row.position_id} {field}", text_of(a), text_of(b))

    def _compare_intents(self) -> None:
        live = {row.intent.intent_id: row for row in self._kept.live_intents()}
        for intent_id, known in self._rebuilt.intents.items():
            row = live.pop(IntentId(intent_id), None) or self._kept.intent(intent_id)
            if row is not None:
                self._compare_intent(intent_id, known, row)
                self._compare_attempts(intent_id)
            elif known.live:
                self._differs(known.sequence, f"intent {intent_id}", known.state, "no such row")
        for intent_id, row in live.items():
            if not self._rebuilt.partial:
                self._differs(0, f"intent {intent_id}", "unknown", str(row.state))

    def _compare_intent(self, intent_id: str, known: RebuiltIntent, row: IntentRow) -> None:
        for field, a, b in (
            ("state", known.state, str(row.state)),
            ("reason", known.reason, str(row.reason or "")),
            ("executed quantity", known.executed_quantity, row.executed_quantity),
            ("symbol", known.symbol, row.intent.symbol),
            ("side", known.side, str(row.intent.side)),
            ("quantity", known.quantity, row.intent.quantity),
            ("position", known.position_id, row.intent.position_id or ""),
        ):
            if a != b:
                self._differs(known.sequence, f"intent {intent_id} {field}", text_of(a), text_of(b))

    def _compare_attempts(self, intent_id: str) -> None:
        for row in self._kept.attempts_of(intent_id):
            known = self._rebuilt.attempts.get(row.client_order_id)
            what = f"order {row.client_order_id}"
            if known is None:
                self._differs(0, what, "unknown", str(row.state))
            else:
                self._compare_attempt(what, known, row)

    def _compare_attempt(self, what: str, known: RebuiltAttempt, row: Attempt) -> None:
        settled = AttemptState.SETTLED
        for field, a, b in (
            ("settled", not known.live, row.state is settled),
            ("outcome", known.outcome if not known.live else "", str(row.outcome or "") if not known.live else ""),
            ("booked quantity", known.booked_quantity, row.booked_quantity),
            ("number", known.number, row.number),
            ("side", known.side, str(row.side)),
        ):
            if a != b:
                self._differs(known.sequence, f"{what} {field}", text_of(a), text_of(b))

    def _compare_reservations(self) -> None:
        active = {row.intent_id: row for row in self._kept.active_reservations()}
        for intent_id, known in self._rebuilt.reservations.items():
            row = active.pop(IntentId(intent_id), None)
            what = f"reservation of {intent_id}"
            if row is None:
                self._differs(known.sequence, what, f"{known.amount} {known.currency}", "is not active")
            elif (known.currency, known.amount, known.consumed) != (row.currency, row.amount, row.consumed):
                mine = f"{known.amount} {known.currency}, {known.consumed} consumed"
                other = f"{row.amount} {row.currency}, {row.consumed} consumed"
                self._differs(known.sequence, what, mine, other)
        for intent_id, row in active.items():
            if not self._rebuilt.partial:
                self._differs(0, f"reservation of {intent_id}", "unknown", f"{row.amount} {row.currency}")
