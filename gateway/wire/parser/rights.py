"""GETACL, SETACL, DELETEACL, LISTRIGHTS and MYRIGHTS (RFC 4314 section 4)."""

from __future__ import annotations

from gateway.wire import rights
from gateway.wire.parser.cursor import Cursor, SyntaxFault
from gateway.wire.parser.mailboxes import read_mailbox


def read_get_acl(cursor: Cursor) -> rights.GetAcl:
    """Read `SP mailbox`."""
    return rights.GetAcl(read_mailbox(cursor))


def read_my_rights(cursor: Cursor) -> rights.MyRights:
    """Read `SP mailbox`."""
    return rights.MyRights(read_mailbox(cursor))


def read_list_rights(cursor: Cursor) -> rights.ListRights:
    """Read `SP mailbox SP identifier`."""
    return rights.ListRights(read_mailbox(cursor), _read_identifier(cursor))


def read_set_acl(cursor: Cursor) -> rights.SetAcl:
    """Read `SP mailbox SP identifier SP mod-rights`.

    Letters that are no rights are BAD (RFC 4314 section 3.1), and so are capitals.
    """
    mailbox, identifier = read_mailbox(cursor), _read_identifier(cursor)
    cursor.space()
    text = _read_text(cursor)
    letters = text[1:] if text[:1] in ("+", "-") else text
    if not rights.LETTERS.issuperset(letters):
        raise SyntaxFault("Unknown right")
    return rights.SetAcl(mailbox, identifier, text)


def read_delete_acl(cursor: Cursor) -> rights.SetAcl:
    """Read `SP mailbox SP identifier`."""
    return rights.SetAcl(read_mailbox(cursor), _read_identifier(cursor), None)


def _read_identifier(cursor: Cursor) -> str:
    cursor.space()
    return _read_text(cursor)


def _read_text(cursor: Cursor) -> str:
    try:
        return cursor.astring().decode("utf-8")
    except UnicodeDecodeError:
        raise SyntaxFault("Not UTF-8") from None
