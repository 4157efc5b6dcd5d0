"""LOGIN, AUTHENTICATE, ID and ENABLE (RFC 9051 sections 6.2 and 6.3.1, RFC 4959, RFC 2971)."""

from __future__ import annotations

import base64
import binascii
import re

from gateway.wire import commands
from gateway.wire.parser.cursor import Cursor, SyntaxFault

_BASE64 = re.compile(rb"[A-Za-z0-9+/=]+")

MAX_ID_FIELDS = 30
MAX_ID_NAME_OCTETS = 30
MAX_ID_VALUE_OCTETS = 1024


def read_login(cursor: Cursor) -> commands.Login:
    """Read `SP userid SP password`. The name is UTF-8, of which US-ASCII is a part; the password is kept as octets."""
    cursor.is_secret = True
    cursor.space()
    username = cursor.astring()
    cursor.space()
    password = cursor.astring()
    try:
        return commands.Login(username.decode("utf-8"), password)
    except UnicodeDecodeError:
        # Laxer than RFC 3501 section 6.2.3: a name in an old 8-bit charset is a wrong login, not a wrong command.
        return commands.Login(username.decode("latin-1"), password)


def read_authenticate(cursor: Cursor) -> commands.Authenticate:
    """Read `SP auth-type [SP initial-resp]` (RFC 4959 section 7)."""
    cursor.space()
    mechanism = cursor.word().decode("ascii")
    cursor.is_secret = True
    if not cursor.accept_space():
        return commands.Authenticate(mechanism, None)
    if cursor.accept(b"="):
        return commands.Authenticate(mechanism, b"")
    match = cursor.match(_BASE64)
    if match is None:
        raise cursor.fault("Base64 expected")
    try:
        return commands.Authenticate(mechanism, base64.b64decode(match[0], validate=True))
    except binascii.Error:
        raise SyntaxFault("Initial response is not base64") from None


def read_id(cursor: Cursor) -> commands.Id:
    """Read `SP id-params-list`; the bounds are those of RFC 2971 section 3.3, excess is a fault."""
    cursor.space()
    if cursor.accept_word(b"NIL"):
        return commands.Id(None)
    strings: list[bytes | None] = cursor.in_parentheses(cursor.nstring, is_empty_allowed=True)
    if len(strings) % 2:
        raise SyntaxFault("ID wants pairs of field and value")
    pairs = list(zip(strings[::2], strings[1::2], strict=True))
    if len(pairs) > MAX_ID_FIELDS:
        raise SyntaxFault("Too many ID fields")
    return commands.Id(tuple(_id_field(name, value) for name, value in pairs))


def read_enable(cursor: Cursor) -> commands.Enable:
    """Read `1*(SP capability)`."""
    names: list[str] = []
    cursor.space()
    while True:
        cursor.count()
        names.append(cursor.word().decode("ascii"))
        if not cursor.accept_space():
            return commands.Enable(tuple(names))


def read_compress(cursor: Cursor) -> commands.Compress:
    """Read `SP algorithm` (RFC 4978 section 5)."""
    cursor.space()
    if not cursor.accept_word(b"DEFLATE"):
        raise cursor.fault("DEFLATE is the only algorithm")
    return commands.Compress()


def _id_field(name: bytes | None, value: bytes | None) -> tuple[str, str | None]:
    if name is None or len(name) > MAX_ID_NAME_OCTETS:
        raise SyntaxFault("Invalid ID field name")
    if value is not None and len(value) > MAX_ID_VALUE_OCTETS:
        raise SyntaxFault("ID value too long")
    return name.decode("utf-8", "replace").lower(), None if value is None else value.decode("utf-8", "replace")
