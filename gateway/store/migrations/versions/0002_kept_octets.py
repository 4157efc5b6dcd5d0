"""Backends that keep no octets: what was served or appended stays, and headers may be told in other octets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Not in Alembic's batch mode, which would copy the table: it has a row for every message there is.
    op.add_column("messages", sa.Column("kept_id", _BIG, nullable=True))
    op.create_index(
        "ix_messages_kept_id",
        "messages",
        ["account_id", "kept_id"],
        sqlite_where=sa.text("kept_id IS NOT NULL"),
        postgresql_where=sa.text("kept_id IS NOT NULL"),
    )
    op.create_table(
        "header_values",
        sa.Column("message_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id"),
    )
