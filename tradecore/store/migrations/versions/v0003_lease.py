"""Who writes the store: one row, without a holder until the next start takes it.

Revision: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "lease",
        sa.Column("slot", whole, nullable=False, autoincrement=False),
        sa.Column("epoch", whole, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("pid", whole, nullable=False),
        sa.Column("started", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("taken_ms", whole, nullable=False),
        sa.Column("renewed_ms", whole, nullable=False),
        sa.Column("length_ms", whole, nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("slot"),
        sa.CheckConstraint("slot = 1", name="lease_one_row"),
    )


def downgrade() -> None:
    """Refuse: an older program would write beside whoever holds the lease.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError("expected to stay at schema 0003 or above, was asked for 0002; restore a backup")
