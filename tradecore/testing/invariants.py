"""The checker of invariants: three records of one session are held against each other (reference orders.md 7).

The twin's truth log says what happened, the store what the bot believes, the events what it told. INV-1 to INV-12 are
functions of the three; each is named in what it finds. `Watch` looks at every commit while a session runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from tradecore.model.events import Stamped
from tradecore.model.instrument import Instrument
from tradecore.testing import money_checks, order_checks
from tradecore.testing.case import Case
from tradecore.testing.records import Records, Truth


class Violation(NamedTuple):
    """One thing that must never be."""

    invariant: str
    """``INV-1`` to ``INV-12``."""
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


_CHECKS: Final = (
    order_checks.never_too_much,
    order_checks.never_twice,
    order_checks.never_unwritten,
    order_checks.fills_are_trades,
    money_checks.reserved_enough,
    money_checks.budget_kept,
    order_checks.along_the_table,
    order_checks.always_a_reason,
    money_checks.ledger_balances,
    money_checks.ledger_is_venue,
    order_checks.within_limits,
    money_checks.sound_numbers,
)


def check_run(
    records: Records,
    truth: Truth,
    instruments: Mapping[str, Instrument],
    account: str,
    notes: Sequence[Stamped] | None = None,
) -> tuple[Violation, ...]:
    """Hold what a session left against INV-1 to INV-12.

    Args:
        records: What the store holds.
        truth: What happened at the venue.
        instruments: Filters and fees of the whole session.
        account: Name of the account.
        notes: Events of the journal, to see that what is stuck was alarmed; ``None``: there is no journal.
    Returns:
        Everything that breaks an invariant, in the order of their numbers; empty where all holds.
    """
    case = Case(records, truth, instruments, account, notes)
    return tuple(
        Violation(f"INV-{number}", text) for number, check in enumerate(_CHECKS, start=1) for text in check(case)
    )
