"""GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208 section 4.1)."""

from __future__ import annotations

from gateway.wire import quota
from gateway.wire.parser.cursor import MAX_NUMBER64, Cursor, SyntaxFault
from gateway.wire.parser.mailboxes import read_mailbox


def read_get_quota(cursor: Cursor) -> quota.GetQuota:
    """Read `SP quota-root-name`."""
    return quota.GetQuota(_read_root(cursor))


def read_get_quota_root(cursor: Cursor) -> quota.GetQuotaRoot:
    """Read `SP mailbox`."""
    return quota.GetQuotaRoot(read_mailbox(cursor))


def read_set_quota(cursor: Cursor) -> quota.SetQuota:
    """Read `SP quota-root-name SP "(" [resource-name SP resource-limit *(...)] ")"`."""
    root = _read_root(cursor)
    cursor.space()
    return quota.SetQuota(root, tuple(cursor.in_parentheses(lambda: _read_limit(cursor), is_empty_allowed=True)))


def _read_root(cursor: Cursor) -> str:
    cursor.space()
    try:
        return cursor.astring().decode("utf-8")
    except UnicodeDecodeError:
        raise SyntaxFault("Not UTF-8") from None


def _read_limit(cursor: Cursor) -> tuple[str, int]:
    name = cursor.word().decode("ascii")
    cursor.space()
    return name, cursor.number(largest=MAX_NUMBER64)
