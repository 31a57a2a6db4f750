"""The first schema: all tables of tradecore 0.1.

Written out and not taken from `tables.py`: a migration is history and must not follow later changes of the tables.

Revision: 0001
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_LIVE = "state IN ('RESERVED', 'WORKING')"


def _words(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _money(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    # Canonical text on SQLite, where a number would become a float.
    return sa.Column(name, sa.Numeric().with_variant(sa.Text(), "sqlite"), nullable=nullable)


def _whole(name: str, *, nullable: bool = False, autoincrement: bool = False) -> sa.Column[Any]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, nullable=nullable, autoincrement=autoincrement)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _index(name: str, table: str, *columns: str, unique: bool = False, where: str = "") -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, list(columns), unique=unique, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    """Create all tables."""
    _create_orders()
    _create_books()
    _create_records()


def _create_orders() -> None:
    op.create_table(
        "intent",
        _words("intent_id"),
        _words("signal_id"),
        _words("plugin"),
        _words("signal"),
        _words("symbol"),
        _words("side"),
        _money("quantity"),
        _money("price"),
        _whole("price_ms"),
        _money("price_cap"),
        _whole("created_ms"),
        _whole("expires_ms"),
        _words("bound_by"),
        _flag("reduces"),
        _words("position_id", nullable=True),
        _words("caps"),
        _money("stop_price", nullable=True),
        _words("state"),
        _words("router"),
        _words("reason", nullable=True),
        _words("detail"),
        _whole("ended_ms", nullable=True),
        _money("executed_quantity"),
        sa.PrimaryKeyConstraint("intent_id"),
    )
    _index("intent_created", "intent", "created_ms")
    _index("intent_live", "intent", "state", where=_LIVE)
    _index("intent_live_entry", "intent", "symbol", unique=True, where=f"NOT reduces AND {_LIVE}")
    _index("intent_live_exit", "intent", "position_id", unique=True, where=f"reduces AND {_LIVE}")
    _index("intent_signal", "intent", "signal_id", unique=True)
    op.create_table(
        "reservation",
        _words("intent_id"),
        _words("currency"),
        _money("amount"),
        _money("consumed"),
        _words("state"),
        _whole("created_ms"),
        _whole("ended_ms", nullable=True),
        _words("reason", nullable=True),
        _words("detail"),
        sa.PrimaryKeyConstraint("intent_id"),
        sa.ForeignKeyConstraint(["intent_id"], ["intent.intent_id"]),
    )
    _index("reservation_active", "reservation", "state", where="state = 'ACTIVE'")
    op.create_table(
        "attempt",
        _words("client_order_id"),
        _words("intent_id"),
        _whole("number"),
        _words("wire_id"),
        _words("symbol"),
        _words("side"),
        _words("time_in_force"),
        _money("price"),
        _money("quantity"),
        _whole("ttl_ms"),
        _words("label"),
        _flag("post_only"),
        _words("state"),
        _flag("reduces"),
        _words("outcome", nullable=True),
        _words("venue_order_id"),
        _money("executed_quantity"),
        _money("executed_quote"),
        _money("booked_quantity"),
        _words("code"),
        _words("detail"),
        _words("clipped_by"),
        _whole("prepared_ms"),
        _whole("sent_ms", nullable=True),
        _whole("fence_ms", nullable=True),
        _whole("cancel_after_ms", nullable=True),
        _whole("settled_ms", nullable=True),
        _whole("misses"),
        sa.PrimaryKeyConstraint("client_order_id"),
        sa.ForeignKeyConstraint(["intent_id"], ["intent.intent_id"]),
    )
    _index("attempt_number", "attempt", "intent_id", "number", unique=True)
    _index("attempt_prepared", "attempt", "prepared_ms")
    _index("attempt_unsettled", "attempt", "state", where="state <> 'SETTLED'")
    _index("attempt_wire", "attempt", "wire_id", unique=True)


def _create_books() -> None:
    op.create_table(
        "fill",
        _words("account"),
        _words("symbol"),
        _words("venue_trade_id"),
        _words("venue_order_id"),
        _words("wire_id"),
        _words("side"),
        _money("price"),
        _money("quantity"),
        _money("quote_quantity"),
        _money("fee"),
        _words("fee_currency"),
        _flag("is_maker"),
        _whole("traded_ms"),
        _words("client_order_id"),
        _words("intent_id"),
        _words("position_id", nullable=True),
        _whole("booked_ms"),
        sa.PrimaryKeyConstraint("account", "symbol", "venue_trade_id"),
        sqlite_with_rowid=False,
    )
    _index("fill_order", "fill", "client_order_id")
    _index("fill_traded", "fill", "traded_ms")
    op.create_table(
        "posting",
        _words("posting_id"),
        _whole("leg"),
        _words("account"),
        _words("currency"),
        _money("amount"),
        _words("kind"),
        _whole("at_ms"),
        sa.PrimaryKeyConstraint("posting_id", "leg"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "position",
        _words("position_id"),
        _words("symbol"),
        _words("plugin"),
        _words("leg_group"),
        _money("quantity"),
        _money("average_price"),
        _whole("opened_ms"),
        _whole("entries"),
        _money("peak_price"),
        _money("trough_price"),
        _money("stop_price", nullable=True),
        _words("memo"),
        _words("state"),
        _words("levels"),
        _money("bought_quantity"),
        _money("bought_quote"),
        _money("sold_quantity"),
        _money("sold_quote"),
        _money("fees_quote"),
        _money("base_fees"),
        _whole("closed_ms", nullable=True),
        _words("close_reason", nullable=True),
        _whole("exit_attempts"),
        _whole("unsellable_since_ms", nullable=True),
        _money("dust_quantity"),
        sa.PrimaryKeyConstraint("position_id"),
    )
    _index("position_closed", "position", "closed_ms")
    _index("position_open", "position", "state", where="state <> 'CLOSED'")


def _create_records() -> None:
    op.create_table(
        "report",
        _words("report_id"),
        _words("client_order_id"),
        _words("source"),
        _words("kind"),
        _words("detail"),
        _words("digest"),
        _whole("received_ms"),
        sa.PrimaryKeyConstraint("report_id"),
    )
    _index("report_order", "report", "client_order_id")
    _index("report_received", "report", "received_ms")
    op.create_table(
        "run",
        _words("run_id"),
        _whole("number"),
        _words("account"),
        _whole("seed"),
        _words("profile"),
        _words("settings_digest"),
        _whole("started_ms"),
        _whole("ended_ms", nullable=True),
        _words("reason"),
        sa.PrimaryKeyConstraint("run_id"),
    )
    _index("run_number", "run", "number", unique=True)
    op.create_table(
        "trading",
        _whole("slot"),
        _words("state"),
        _words("actor"),
        _words("reason"),
        _whole("since_ms"),
        _whole("expires_ms", nullable=True),
        sa.PrimaryKeyConstraint("slot"),
        sa.CheckConstraint("slot = 1", name="trading_one_row"),
    )
    op.create_table(
        "command",
        _whole("number", autoincrement=True),
        _words("command_id"),
        _words("verb"),
        _words("argument"),
        _words("reason"),
        _words("actor"),
        _words("state"),
        _words("result"),
        sa.PrimaryKeyConstraint("number"),
    )
    _index("command_asked", "command", "number", where="state = 'ASKED'")
    _index("command_id", "command", "command_id", unique=True)
    op.create_table(
        "memory",
        _words("fact"),
        _words("content"),
        _whole("at_ms"),
        sa.PrimaryKeyConstraint("fact"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event",
        _whole("sequence"),
        _whole("at_ns"),
        _words("kind"),
        _words("decision"),
        _words("intent"),
        _words("client_order"),
        _words("venue_order"),
        _words("data"),
        sa.PrimaryKeyConstraint("sequence"),
    )


def downgrade() -> None:
    """Refuse: the first schema has nothing before it.

    Raises:
        RuntimeError: Always; orders and money are not dropped by a command.
    """
    raise RuntimeError("expected a schema before 0001, was none; restore a backup")
