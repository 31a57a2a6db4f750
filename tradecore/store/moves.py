"""What a stored row allows the next one with its key to be (INV-7, R14, R15, R16).

Rows are compared as the database holds them, before anything is decoded: on the way of every order this costs one look
by primary key and a few comparisons. Indexes keep what concerns several rows (`tables.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tradecore.errors import DuplicateRecord, StoreError, TransitionError
from tradecore.model.intent import INTENT_LIVE, IntentRow, IntentState, Reservation, ReservationState, check_intent_move
from tradecore.model.order import Attempt, AttemptState, check_attempt_move
from tradecore.model.records import Command, CommandState, Run
from tradecore.store.rows import Values

_INTENT_FROM, _INTENT_TO = "intent_id", "stop_price"
_REQUEST = ("time_in_force", "price", "quantity", "ttl_ms", "label", "post_only")


class Pair(NamedTuple):
    """A stored row and the one that wants its place, both as the database holds them."""

    at: Mapping[str, int]
    old: Values
    new: Values

    def was(self, column: str) -> Any:
        """Value of the stored row."""
        return self.old[self.at[column]]

    def becomes(self, column: str) -> Any:
        """Value of the new row."""
        return self.new[self.at[column]]

    def same(self, *columns: str) -> bool:
        """Tell whether all these columns stay as they are."""
        return all(self.old[self.at[column]] == self.new[self.at[column]] for column in columns)


def check_replacement(record: type[Any], pair: Pair) -> None:
    """Assert that a row may take the place of the stored one.

    Raises:
        DuplicateRecord: If the key belongs to something else.
        StoreError: If it moves along no row of its table, or changes what is final.
    """
    check = _CHECKS.get(record)
    if check is not None:
        check(pair)


def check_repeat(record: type[Any], pair: Pair) -> None:
    """Assert that an append-only row says what the stored one says; when it was taken in may differ.

    Raises:
        DuplicateRecord: If anything else differs.
    """
    # The last column of all three tables is the moment at which we took it in.
    names = list(pair.at)[:-1]
    if not pair.same(*names):
        changed = next(name for name in names if not pair.same(name))
        raise DuplicateRecord(
            f"expected {record.__name__} {pair.old[0]} as it is booked, was {changed} {pair.becomes(changed)!r} "
            f"instead of {pair.was(changed)!r}"
        )


def _check_intent(pair: Pair) -> None:
    first, last = pair.at[_INTENT_FROM], pair.at[_INTENT_TO] + 1
    if list(pair.old[first:last]) != list(pair.new[first:last]):
        raise DuplicateRecord(f"expected intent {pair.old[0]} unchanged, was another intent with its id")
    old, new = IntentState(pair.was("state")), IntentState(pair.becomes("state"))
    if old is not new:
        _move(check_intent_move, old, new, "intent", pair)
    elif old not in INTENT_LIVE and not pair.same("reason", "ended_ms"):
        raise StoreError(f"expected intent {pair.old[0]} to end once, was ended again as {pair.becomes('reason')}")
    _never_less(pair, "intent", "executed_quantity")


def _check_attempt(pair: Pair) -> None:
    if not pair.same("intent_id", "number", "wire_id", "symbol", "side", "reduces"):
        raise DuplicateRecord(f"expected attempt {pair.old[0]} unchanged, was another attempt with its id")
    old, new = AttemptState(pair.was("state")), AttemptState(pair.becomes("state"))
    if old is AttemptState.SETTLED and new is old:
        if list(pair.old) != list(pair.new):
            raise StoreError(f"expected settled attempt {pair.old[0]} unchanged, was changed without REOPENED")
        return
    if old is not new:
        _move(check_attempt_move, old, new, "attempt", pair)
    if old is not AttemptState.PREPARED and not pair.same(*_REQUEST):
        raise StoreError(f"expected the request of attempt {pair.old[0]} unchanged, was changed after {old}")
    _never_less(pair, "attempt", "executed_quantity")


def _check_reservation(pair: Pair) -> None:
    if not pair.same("currency", "amount", "created_ms"):
        raise DuplicateRecord(f"expected the reservation of {pair.old[0]} unchanged, was another with its intent")
    if pair.was("state") == ReservationState.RELEASED and not pair.same("state", "ended_ms", "reason"):
        raise StoreError(f"expected the reservation of {pair.old[0]} to be released once, was moved again")
    _never_less(pair, "reservation of", "consumed")


def _check_command(pair: Pair) -> None:
    if not pair.same("verb", "argument", "reason", "actor"):
        raise DuplicateRecord(f"expected command {pair.was('command_id')} unchanged, was another with its id")
    if pair.was("state") != CommandState.ASKED and not pair.same("state", "result"):
        raise StoreError(f"expected command {pair.was('command_id')} to end once, was answered again")


def _check_run(pair: Pair) -> None:
    if not pair.same("number", "account", "seed", "started_ms"):
        raise DuplicateRecord(f"expected run {pair.old[0]} unchanged, was another with its id")


def _move(check: Callable[[Any, Any], None], old: Any, new: Any, what: str, pair: Pair) -> None:
    try:
        check(old, new)
    except TransitionError as error:
        raise StoreError(f"{what} {pair.old[0]}: {error}") from error


def _never_less(pair: Pair, what: str, column: str) -> None:
    if not pair.same(column) and Decimal(pair.becomes(column)) < Decimal(pair.was(column)):
        raise StoreError(
            f"expected {column} of {what} {pair.old[0]} to be at least {pair.was(column)}, was {pair.becomes(column)}"
        )


_CHECKS: Final[Mapping[type[Any], Callable[[Pair], None]]] = {
    IntentRow: _check_intent,
    Attempt: _check_attempt,
    Reservation: _check_reservation,
    Command: _check_command,
    Run: _check_run,
}
