"""Deleting what ended long ago (R39). Balances, open things and what proves a fill booked are never touched.

Kept for ever: postings and fills (a fill's key is what makes a trade bookable once, a posting is a balance), positions,
runs. Measured on SQLite: a round trip of two fills with six legs each leaves 1.8 kB, so 1 GB holds 550,000 of them;
a start reads 36,000 postings in 0.1 s.
"""

from __future__ import annotations

from typing import NamedTuple

from tradecore.model.records import CommandState
from tradecore.store.statements import Raw, Statements
from tradecore.store.tables import ACTIVE, LIVE_INTENT, NOT_CLOSED, UNSETTLED


class Deleted(NamedTuple):
    """Rows that a retention run deleted."""

    intents: int
    reservations: int
    attempts: int
    reports: int
    commands: int
    events: int


def delete_ended(raw: Raw, sql: Statements, before_ms: int, journalled: int) -> Deleted:
    """Delete rows that ended before a moment; call it inside a transaction.

    An intent goes with its reservation and attempts, once it has ended, all its attempts are settled, its money is
    released and its position, if any, is closed. The newest event stays: it carries the sequence on.

    Args:
        before_ms: Market time; what ended at or after it stays.
        journalled: Sequence of the newest event that is in the journal's files; later ones stay.
    """
    ended = (
        f"SELECT intent_id FROM intent WHERE NOT ({LIVE_INTENT}) AND ended_ms < ?"
        f" AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.intent_id = intent.intent_id"
        f" AND (a.{UNSETTLED} OR a.settled_ms >= ?))"
        f" AND NOT EXISTS (SELECT 1 FROM reservation r WHERE r.intent_id = intent.intent_id AND r.{ACTIVE})"
        f" AND NOT EXISTS (SELECT 1 FROM position p WHERE p.position_id = intent.position_id AND p.{NOT_CLOSED})"
    )
    twice = (before_ms, before_ms)
    # The events' moments are ns; commands have none and go by their order: answered ones but the newest 1,000.
    return Deleted(
        attempts=_count(raw, sql, f"DELETE FROM attempt WHERE intent_id IN ({ended})", twice),
        reservations=_count(raw, sql, f"DELETE FROM reservation WHERE intent_id IN ({ended})", twice),
        intents=_count(raw, sql, f"DELETE FROM intent WHERE intent_id IN ({ended})", twice),
        reports=_count(
            raw, sql,
            "DELETE FROM report WHERE received_ms < ? AND client_order_id NOT IN (SELECT client_order_id FROM attempt"
            f" WHERE {UNSETTLED})", (before_ms,),
        ),
        commands=_count(
            raw, sql,
            "DELETE FROM command WHERE state <> ? AND number <= (SELECT max(number) FROM command) - 1000",
            (CommandState.ASKED.value,),
        ),
        events=_count(
            raw, sql,
            "DELETE FROM event WHERE at_ns < ? AND sequence <= ? AND sequence < (SELECT max(sequence) FROM event)",
            (before_ms * 1_000_000, journalled),
        ),
    )  # fmt: skip


def _count(raw: Raw, sql: Statements, statement: str, parameters: tuple[int | str, ...]) -> int:
    return raw.execute(sql.marked(statement), parameters).rowcount
