"""The schema, written once for every database.

    users -< app_passwords, scram_keys
    users -< accounts -< mailboxes -< placements >- messages >- accounts
                                   -< tombstones
    messages -< envelopes, structures, headers,               one row each, in narrow tables: a bulk read touches one
                usual_headers, header_values, previews
    accounts -< intents, set_aside, subscribed_names

Booleans are integers 0 and 1; times are unix seconds in UTC; sizes are octets; paths, settings and payloads are JSON
text. Ids of accounts, mailboxes and messages are never used twice, since caches and clients know them.
Changes of this file need an upgrade in `gateway.store.migrations`; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

_Big = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()


def _integer(name: str, default: int | None = 0) -> Column[int]:
    return Column(name, _Big, nullable=False, server_default=None if default is None else str(default))


def _text(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _owner(name: str, target: str, *, is_key: bool = False) -> Column[int]:
    return Column(name, _Big, ForeignKey(target, ondelete="CASCADE"), nullable=False, primary_key=is_key)


def _message_key() -> Column[int]:
    return Column(
        "message_id", _Big, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )


meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    _integer("value", None),
)
"""Values of the whole store: `uidvalidity` is the last one given out, `modseq` the latest time that one began at."""

users = Table(
    "users",
    metadata,
    Column("id", _Big, primary_key=True),
    _text("login"),
    Column("login_key", Text, nullable=False, unique=True),
    Column("password_hash", Text),
    _integer("is_declared"),
    _integer("had_account"),
    sqlite_autoincrement=True,
)
"""`login_key` is the login folded (`gateway.store.users.fold_login`); no password hash means no login by password.
`had_account`: there is or was an account, so the next is not the first (see `gateway.store.object_ids`)."""

app_passwords = Table(
    "app_passwords",
    metadata,
    _owner("user_id", "users.id", is_key=True),
    Column("name", Text, primary_key=True),
    _text("hash"),
    _integer("created", None),
)

scram_keys = Table(
    "scram_keys",
    metadata,
    _owner("user_id", "users.id", is_key=True),
    Column("password_hash", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
"""What SCRAM needs of a password, sealed. `password_hash` is that of the user or app password it was made of: keys of a
password that was changed since are keys of nothing."""

accounts = Table(
    "accounts",
    metadata,
    Column("id", _Big, primary_key=True),
    _owner("user_id", "users.id"),
    _text("name"),
    _text("connector"),
    _text("settings"),
    Column("credentials", LargeBinary),
    Column("cursor", Text),
    _text("state"),
    Column("last_error", Text),
    _integer("is_declared"),
    _integer("is_primary"),
    _text("object_tag"),
    _integer("has_plain_ids"),
    UniqueConstraint("user_id", "name"),
    sqlite_autoincrement=True,
)
"""`object_tag` and `has_plain_ids` say how object ids are told (see `gateway.store.object_ids`)."""

mailboxes = Table(
    "mailboxes",
    metadata,
    Column("id", _Big, primary_key=True),
    _owner("account_id", "accounts.id"),
    _text("ref"),
    _text("path"),
    Column("role", Text),
    _integer("is_selectable", 1),
    _integer("allows_children", 1),
    _integer("is_read_only"),
    _integer("is_subscribed", 1),
    _text("storable_flags"),
    _integer("any_keyword", 1),
    _integer("uidvalidity", None),
    _integer("uidnext", 1),
    _integer("recent_uid", 1),
    _integer("highestmodseq", None),
    _integer("tombstone_floor", None),
    _integer("messages"),
    _integer("unseen"),
    _integer("deleted"),
    _integer("octets"),
    Column("cursor", Text),
    _integer("is_listed"),
    Column("synced_at", _Big),
    _text("object_id"),
    UniqueConstraint("account_id", "ref"),
    sqlite_autoincrement=True,
)
"""`recent_uid` is the first UID no session was told of as `\\Recent`. `tombstone_floor`: tombstones are complete for
changes after this mod-sequence. `messages`, `unseen`, `deleted`, `octets` count the placements, always exactly.
`object_id` is the MAILBOXID as it is told."""

subscribed_names = Table(
    "subscribed_names",
    metadata,
    _owner("account_id", "accounts.id", is_key=True),
    Column("path", Text, primary_key=True),
    Column("ref", Text),
)
"""Names that are subscribed although no mailbox says so (see `gateway.store.subscribed_names`). `ref` is what the
backend knows the name by; none if it does not keep it and only we do."""

messages = Table(
    "messages",
    metadata,
    Column("id", _Big, primary_key=True),
    _owner("account_id", "accounts.id"),
    _integer("scope_mailbox_id", None),
    _text("ref"),
    Column("email_id", Text),
    Column("thread_id", Text),
    Column("internal_date", _Big),
    Column("internal_zone", Integer),
    Column("size", _Big),
    _integer("size_is_exact"),
    _integer("hydration"),
    Column("content_hash", LargeBinary),
    Column("kept_id", _Big),
    UniqueConstraint("account_id", "scope_mailbox_id", "ref"),
    Index(
        "ix_messages_content_hash",
        "account_id",
        "content_hash",
        sqlite_where=text("content_hash IS NOT NULL"),
        postgresql_where=text("content_hash IS NOT NULL"),
    ),
    Index(
        "ix_messages_email_id",
        "account_id",
        "email_id",
        sqlite_where=text("email_id IS NOT NULL"),
        postgresql_where=text("email_id IS NOT NULL"),
    ),
    Index(
        "ix_messages_thread_id",
        "account_id",
        "thread_id",
        sqlite_where=text("thread_id IS NOT NULL"),
        postgresql_where=text("thread_id IS NOT NULL"),
    ),
    Index(
        "ix_messages_kept_id",
        "account_id",
        "kept_id",
        sqlite_where=text("kept_id IS NOT NULL"),
        postgresql_where=text("kept_id IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)
"""`scope_mailbox_id` is 0 where the backend's refs count in the whole account, else the mailbox they count in.
`email_id` and `thread_id` are EMAILID and THREADID as they are told; without an `email_id` one is made of `id`.
`content_hash` and `kept_id` say which octets it has where the backend's vary (see `gateway.store.contents`)."""

placements = Table(
    "placements",
    metadata,
    _owner("mailbox_id", "mailboxes.id", is_key=True),
    Column("uid", _Big, primary_key=True, autoincrement=False),
    _owner("message_id", "messages.id"),
    _integer("flags"),
    _text("keywords", ""),
    _integer("modseq", None),
    Column("save_date", _Big),
    UniqueConstraint("mailbox_id", "message_id"),
    Index("ix_placements_message_id", "message_id"),
    Index("ix_placements_modseq", "mailbox_id", "modseq"),
    sqlite_with_rowid=False,
)

tombstones = Table(
    "tombstones",
    metadata,
    _owner("mailbox_id", "mailboxes.id", is_key=True),
    Column("uid", _Big, primary_key=True, autoincrement=False),
    _integer("modseq", None),
    Index("ix_tombstones_modseq", "mailbox_id", "modseq"),
    sqlite_with_rowid=False,
)

envelopes = Table(
    "envelopes",
    metadata,
    _message_key(),
    Column("data", LargeBinary, nullable=False),
)
"""ENVELOPE as finished wire bytes."""

structures = Table(
    "structures",
    metadata,
    _message_key(),
    Column("body_structure", LargeBinary),
    Column("part_index", LargeBinary),
)
"""BODYSTRUCTURE as finished wire bytes, and the octet offsets of the parts where the content has been read."""

headers = Table(
    "headers",
    metadata,
    _message_key(),
    Column("block", LargeBinary, nullable=False),
)

"""Header blocks, octet for octet."""

usual_headers = Table(
    "usual_headers",
    metadata,
    _message_key(),
    Column("block", LargeBinary, nullable=False),
)
"""The fields of `headers` that mail is listed by (see `gateway.message.usual_fields`), where these are few of all."""

header_values = Table(
    "header_values",
    metadata,
    _message_key(),
    Column("block", LargeBinary, nullable=False),
)
"""Header blocks of which only fields and values are right: those of messages whose own block has not been read."""

previews = Table(
    "previews",
    metadata,
    _message_key(),
    _text("text"),
)

sort_keys = Table(
    "sort_keys",
    metadata,
    _message_key(),
    Column("sent", _Big),
    _integer("is_reply"),
    _text("subject"),
    _text("sender"),
    _text("recipient"),
    _text("copied"),
    _text("shown_sender"),
    _text("shown_recipient"),
    _text("own_id"),
    _text("ancestors"),
)
"""What SORT and THREAD compare (see `gateway.message.sort_keys`); `ancestors` are Message-Ids joined by spaces."""

mailbox_annotations = Table(
    "mailbox_annotations",
    metadata,
    _owner("mailbox_id", "mailboxes.id", is_key=True),
    Column("entry", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""Annotations of a mailbox by METADATA."""

user_annotations = Table(
    "user_annotations",
    metadata,
    _owner("user_id", "users.id", is_key=True),
    Column("entry", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""Annotations of the server that a user has."""

intents = Table(
    "intents",
    metadata,
    Column("id", _Big, primary_key=True),
    _owner("account_id", "accounts.id"),
    _text("kind"),
    _text("payload"),
    Column("content_hash", LargeBinary),
    _text("state"),
    _integer("created", None),
    Index("ix_intents_account_id", "account_id"),
    sqlite_autoincrement=True,
)

set_aside = Table(
    "set_aside",
    metadata,
    _owner("account_id", "accounts.id", is_key=True),
    Column("mailbox_id", _Big, primary_key=True, autoincrement=False),
    Column("ref", Text, primary_key=True),
    _text("reason"),
    _integer("attempts", 1),
    _integer("last_attempt", None),
)
"""What could not be handled; `mailbox_id` is 0 for what concerns the account, `ref` "" for a mailbox as a whole."""
