"""The schema of the first release. Frozen: later changes are revisions of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "users",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("login_key", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("is_declared", _BIG, server_default="0", nullable=False),
        sa.Column("had_account", _BIG, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("login_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "accounts",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("user_id", _BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("credentials", sa.LargeBinary(), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("is_declared", _BIG, server_default="0", nullable=False),
        sa.Column("is_primary", _BIG, server_default="0", nullable=False),
        sa.Column("object_tag", sa.Text(), nullable=False),
        sa.Column("has_plain_ids", _BIG, server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("user_id", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "app_passwords",
        sa.Column("user_id", _BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created", _BIG, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "name"),
    )
    op.create_table(
        "intents",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("account_id", _BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created", _BIG, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_intents_account_id", "intents", ["account_id"], unique=False)
    op.create_table(
        "mailboxes",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("account_id", _BIG, nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("is_selectable", _BIG, server_default="1", nullable=False),
        sa.Column("allows_children", _BIG, server_default="1", nullable=False),
        sa.Column("is_read_only", _BIG, server_default="0", nullable=False),
        sa.Column("is_subscribed", _BIG, server_default="1", nullable=False),
        sa.Column("storable_flags", sa.Text(), nullable=False),
        sa.Column("any_keyword", _BIG, server_default="1", nullable=False),
        sa.Column("uidvalidity", _BIG, nullable=False),
        sa.Column("uidnext", _BIG, server_default="1", nullable=False),
        sa.Column("recent_uid", _BIG, server_default="1", nullable=False),
        sa.Column("highestmodseq", _BIG, nullable=False),
        sa.Column("tombstone_floor", _BIG, nullable=False),
        sa.Column("messages", _BIG, server_default="0", nullable=False),
        sa.Column("unseen", _BIG, server_default="0", nullable=False),
        sa.Column("deleted", _BIG, server_default="0", nullable=False),
        sa.Column("octets", _BIG, server_default="0", nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("is_listed", _BIG, server_default="0", nullable=False),
        sa.Column("synced_at", _BIG, nullable=True),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "ref"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "messages",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("account_id", _BIG, nullable=False),
        sa.Column("scope_mailbox_id", _BIG, nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("email_id", sa.Text(), nullable=True),
        sa.Column("thread_id", sa.Text(), nullable=True),
        sa.Column("internal_date", _BIG, nullable=True),
        sa.Column("internal_zone", sa.Integer(), nullable=True),
        sa.Column("size", _BIG, nullable=True),
        sa.Column("size_is_exact", _BIG, server_default="0", nullable=False),
        sa.Column("hydration", _BIG, server_default="0", nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "scope_mailbox_id", "ref"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_messages_content_hash",
        "messages",
        ["account_id", "content_hash"],
        unique=False,
        sqlite_where=sa.text("content_hash IS NOT NULL"),
        postgresql_where=sa.text("content_hash IS NOT NULL"),
    )
    for column in ("email_id", "thread_id"):
        op.create_index(
            f"ix_messages_{column}",
            "messages",
            ["account_id", column],
            unique=False,
            sqlite_where=sa.text(f"{column} IS NOT NULL"),
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.create_table(
        "set_aside",
        sa.Column("account_id", _BIG, nullable=False),
        sa.Column("mailbox_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", _BIG, server_default="1", nullable=False),
        sa.Column("last_attempt", _BIG, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account_id", "mailbox_id", "ref"),
    )
    op.create_table(
        "envelopes",
        sa.Column("message_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_table(
        "headers",
        sa.Column("message_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_table(
        "placements",
        sa.Column("mailbox_id", _BIG, nullable=False),
        sa.Column("uid", _BIG, autoincrement=False, nullable=False),
        sa.Column("message_id", _BIG, nullable=False),
        sa.Column("flags", _BIG, server_default="0", nullable=False),
        sa.Column("keywords", sa.Text(), server_default="", nullable=False),
        sa.Column("modseq", _BIG, nullable=False),
        sa.Column("save_date", _BIG, nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("mailbox_id", "uid"),
        sa.UniqueConstraint("mailbox_id", "message_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_placements_message_id", "placements", ["message_id"], unique=False)
    op.create_index("ix_placements_modseq", "placements", ["mailbox_id", "modseq"], unique=False)
    op.create_table(
        "previews",
        sa.Column("message_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_table(
        "structures",
        sa.Column("message_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("body_structure", sa.LargeBinary(), nullable=True),
        sa.Column("part_index", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_table(
        "tombstones",
        sa.Column("mailbox_id", _BIG, nullable=False),
        sa.Column("uid", _BIG, autoincrement=False, nullable=False),
        sa.Column("modseq", _BIG, nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("mailbox_id", "uid"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tombstones_modseq", "tombstones", ["mailbox_id", "modseq"], unique=False)
