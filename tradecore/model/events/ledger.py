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


@event_kind("fill_conflict", Taxonomy.AUDIT, booked=True)
class FillConflict(NamedTuple):
    """The venue told a booked trade again with other numbers; the ledger stays as it is (R45)."""

    symbol: str
    venue_trade_id: str
    field: str
    booked: str
    told: str


class Drift(NamedTuple):
    """One difference between venue and ledger, and what it is."""

    coin: str
    kind: str
    """``fee``, ``dust``, ``deposit``, ``withdrawal``, ``external``, ``missed_fill``, ``missing_currency`` or
    ``unknown``."""
    amount: Decimal
    """Venue less ledger, units of the coin."""
    done: str
    """``booked``, ``not adopted``, or ``named``: it stands until evidence or an operator ends it."""
    text: str


@event_kind("conservation_proof", Taxonomy.AUDIT, booked=True)
class ConservationProof(NamedTuple):
    """Ledger = venue balances, free and locked, + classified drift; the proof of one moment (R46)."""

    when: str
    """``start``, ``running`` or ``end``."""
    ok: bool
    """True where all coins were compared and nothing stands unexplained."""
    coins: int
    """Coins compared."""
    looks: int
    """Reads of the balances until the answer stood."""
    drift: tuple[Drift, ...]
    under_way: tuple[str, ...]
    """Coins with an order or a fill too fresh to judge by."""
    missing: tuple[str, ...]
    """Reads that got no answer: a missing answer is not zero."""
    unexplained: Decimal
    """In the account's currency."""
    balances_age_ms: int


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
