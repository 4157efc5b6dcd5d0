"""What SORT and THREAD compare of a message."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXTS = ("subject", "sender", "recipient", "copied", "shown_sender", "shown_recipient", "own_id", "ancestors")


def upgrade() -> None:
    op.create_table(
        "sort_keys",
        sa.Column("message_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("sent", _BIG, nullable=True),
        sa.Column("is_reply", _BIG, nullable=False, server_default="0"),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id"),
    )
