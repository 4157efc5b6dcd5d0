"""Annotations of mailboxes, and of the server for each user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for owner in ("mailbox", "user"):
        op.create_table(
            f"{owner}_annotations",
            sa.Column(f"{owner}_id", _BIG, nullable=False),
            sa.Column("entry", sa.Text(), nullable=False),
            sa.Column("value", sa.LargeBinary(), nullable=False),
            sa.ForeignKeyConstraint(
                [f"{owner}_id"], ["mailboxes.id" if owner == "mailbox" else "users.id"], ondelete="CASCADE"
            ),
            sa.PrimaryKeyConstraint(f"{owner}_id", "entry"),
        )
