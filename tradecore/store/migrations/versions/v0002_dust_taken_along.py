"""What became of dust: which position took it along, and what it had cost.

Revision: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; in older rows no dust was ever taken along."""
    money = sa.Numeric().with_variant(sa.Text(), "sqlite")
    op.add_column("position", sa.Column("dust_gone", money, nullable=False, server_default=sa.text("'0'")))
    op.add_column("position", sa.Column("taken", sa.Text(), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("position", sa.Column("taken_quote", money, nullable=False, server_default=sa.text("'0'")))


def downgrade() -> None:
    """Refuse: positions that took dust along would no longer be their fills.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError("expected to stay at schema 0002 or above, was asked for 0001; restore a backup")
