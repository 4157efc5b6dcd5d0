"""The responses of QUOTA and ACL, as finished octets (RFC 9208 section 4.2, RFC 4314 section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.wire.quota import ResourceUse
from gateway.wire.rights import Right, format_rights
from gateway.wire.strings import astring
from gateway.wire.write import mailbox


def quota_root(name: str, roots: Iterable[str], *, utf8: bool = False) -> bytes:
    """`* QUOTAROOT "INBOX" root ...`; no root at all where nothing is limited."""
    words = [b"* QUOTAROOT", mailbox(name, utf8=utf8), *(_text(root, utf8) for root in roots)]
    return b" ".join(words) + b"\r\n"


def quota(root: str, uses: Sequence[ResourceUse], *, utf8: bool = False) -> bytes:
    """`* QUOTA root (STORAGE 10 512)`."""
    listed = b" ".join(b"%b %d %d" % (use.resource.value, use.used, use.limit) for use in uses)
    return b"* QUOTA %b (%b)\r\n" % (_text(root, utf8), listed)


def acl(name: str, entries: Iterable[tuple[str, frozenset[Right]]], *, utf8: bool = False) -> bytes:
    """`* ACL "INBOX" alice lrs ...`."""
    words = [b"* ACL", mailbox(name, utf8=utf8)]
    for identifier, rights in entries:
        words += [_text(identifier, utf8), astring(format_rights(rights))]
    return b" ".join(words) + b"\r\n"


def my_rights(name: str, rights: frozenset[Right], *, utf8: bool = False) -> bytes:
    """`* MYRIGHTS "INBOX" lrs`."""
    return b"* MYRIGHTS %b %b\r\n" % (mailbox(name, utf8=utf8), astring(format_rights(rights)))


def list_rights(name: str, identifier: str, required: frozenset[Right], *, utf8: bool = False) -> bytes:
    """`* LISTRIGHTS "INBOX" alice lrs`: what the identifier always has; nothing more can be granted."""
    words = (mailbox(name, utf8=utf8), _text(identifier, utf8), astring(format_rights(required)))
    return b"* LISTRIGHTS " + b" ".join(words) + b"\r\n"


def _text(text: str, utf8: bool) -> bytes:
    return astring(text.encode("utf-8", "replace"), utf8=utf8)
