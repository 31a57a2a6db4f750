"""Money: postings, reservations, comparisons with the venue."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tradecore.model.events.kinds import Taxonomy, event_kind


class Leg(NamedTuple):
    """One line of a ledger transaction."""

    account: str
    currency: str
    amount: Decimal


@event_kind("ledger_entry", Taxonomy.AUDIT, booked=True)
class LedgerEntry(NamedTuple):
    """A balanced ledger transaction (R45)."""

    posting_id: str
    kind: str
    legs: tuple[Leg, ...]


@event_kind("budget_reserved", Taxonomy.AUDIT, booked=True)
class BudgetReserved(NamedTuple):
    """Money was set aside for an intent."""

    currency: str
    amount: Decimal
    free_after: Decimal


@event_kind("budget_released", Taxonomy.AUDIT, booked=True)
class BudgetReleased(NamedTuple):
    """What a reservation still held was given back, once."""

    currency: str
    amount: Decimal
    consumed: Decimal
    released: Decimal
    reason: str
    detail: str


@event_kind("portfolio_snapshot", Taxonomy.AUDIT)
class PortfolioSnapshot(NamedTuple):
    """Derived figures at the persist job."""

    currency: str
    equity: Decimal
    free: Decimal
    reserved: Decimal
    exposure: Decimal
    positions: int
    pending: int


@event_kind("reconciliation_result", Taxonomy.AUDIT, booked=True)
class ReconciliationResult(NamedTuple):
    """What a comparison with the venue found."""

    when: str
    """``start``, ``running`` or ``end``."""
    attempts_read: int
    trades_posted: int
    orphans: int
    foreign_orders: int
    differences: Mapping[str, str]
    """Currency to ledger minus venue, where not 0."""
    missing: tuple[str, ...]
    """Reads that got no answer: a missing answer is not zero."""
    ok: bool
