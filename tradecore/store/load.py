"""The picture for a start: everything that has not ended, and exact sums of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from tradecore.model.intent import IntentRow, Reservation
from tradecore.model.order import Attempt
from tradecore.model.position import Position, closed_view
from tradecore.model.records import Memory, Run, TradingRecord
from tradecore.model.units import EXACT, ZERO
from tradecore.ports.store import Loaded
from tradecore.store.statements import Raw, Statements
from tradecore.store.tables import ACTIVE, LIVE_INTENT, NOT_CLOSED, UNSETTLED

CLOSED_MAX: Final = 1_000
"""Closed positions that a start reads; guests are promised 300 (HOOKS.md)."""


_DAY_MS: Final = 86_400_000


def load_picture(raw: Raw, sql: Statements) -> Loaded:
    """Read all tables in one transaction, so that they fit together."""
    raw.execute("BEGIN" if sql.sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        trading = sql.fetch(raw, TradingRecord)
        runs = sql.fetch(raw, Run, "ORDER BY number DESC LIMIT 1")
        unsettled = f"{UNSETTLED} OR intent_id IN (SELECT intent_id FROM intent WHERE {LIVE_INTENT})"
        ended = f"WHERE NOT ({NOT_CLOSED}) AND entries > 0"  # dust that was sold by itself is no round trip
        newest = sql.fetch(raw, Position, f"{ended} ORDER BY closed_ms DESC, position_id DESC LIMIT {CLOSED_MAX}")
        return Loaded(
            intents=sql.fetch(raw, IntentRow, f"WHERE {LIVE_INTENT} ORDER BY created_ms, intent_id"),
            attempts=sql.fetch(raw, Attempt, f"WHERE {unsettled} ORDER BY prepared_ms, intent_id, number"),
            reservations=sql.fetch(raw, Reservation, f"WHERE {ACTIVE} ORDER BY created_ms, intent_id"),
            positions=sql.fetch(raw, Position, f"WHERE {NOT_CLOSED} ORDER BY opened_ms, position_id"),
            closed=[closed_view(position) for position in reversed(newest)],
            balances=sum_balances(raw, sql),
            memory={memory.key: memory for memory in sql.fetch(raw, Memory, "ORDER BY fact")},
            trading=trading[0] if trading else None,
            last_run=runs[0] if runs else None,
            last_sequence=int(sql.rows(raw, "SELECT max(sequence) FROM event")[0][0] or 0),
            dusty=sql.fetch(
                raw,
                Position,
                f"WHERE NOT ({NOT_CLOSED}) AND dust_quantity <> ? ORDER BY closed_ms, position_id",
                ("0" if sql.sqlite else ZERO,),
            ),
            recent=_recent(raw, sql),
        )
    finally:
        raw.execute("COMMIT")


def _recent(raw: Raw, sql: Statements) -> Sequence[Attempt]:
    """Settled attempts of the last day: figures about fills and refusals are made of them."""
    newest = sql.rows(raw, "SELECT max(prepared_ms) FROM attempt")[0][0]
    if newest is None:
        return ()
    where = "WHERE prepared_ms >= ? AND settled_ms IS NOT NULL ORDER BY settled_ms, client_order_id"
    return sql.fetch(raw, Attempt, where, (int(newest) - _DAY_MS,))


def sum_balances(raw: Raw, sql: Statements) -> Mapping[tuple[str, str], Decimal]:
    """Add all postings by (account, currency), exactly: SQL's sum() would make a float of them."""
    if not sql.sqlite:  # NUMERIC is added exactly
        grouped = "SELECT account, currency, sum(amount) FROM posting GROUP BY account, currency ORDER BY 1, 2"
        return {(account, currency): total for account, currency, total in sql.rows(raw, grouped)}
    totals: dict[tuple[str, str], Decimal] = {}
    for account, currency, amount in sql.rows(raw, "SELECT account, currency, amount FROM posting"):
        key = (account, currency)
        totals[key] = EXACT.add(totals.get(key, ZERO), Decimal(amount))
    return dict(sorted(totals.items()))
