"""CATENATE: messages put together from what was uploaded and from what is there already (RFC 4469, RFC 5092)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from gateway.errors import ErrorKind, MailError
from gateway.imap.session import Session
from gateway.imap.spool import AppendSpool, SpooledContent
from gateway.mailbox.fetch import Body, Needs
from gateway.mailbox.view import View
from gateway.message.sections import Span, locate
from gateway.wire.codes import Code
from gateway.wire.commands import Catenation
from gateway.wire.fetch import Section
from gateway.wire.mailbox_name import fold_first_level
from gateway.wire.parser.cursor import Cursor, SyntaxFault
from gateway.wire.parser.fetch import read_section

_CHUNK = 262_144
_URL = re.compile(
    r"(?:/(?P<mailbox>[^;]*?))?(?:;UIDVALIDITY=(?P<uidvalidity>[1-9][0-9]{0,9}))?"
    r"/?;UID=(?P<uid>[1-9][0-9]{0,9})"
    r"(?:/?;SECTION=(?P<section>[^;]*?))?"
    r"(?:/?;PARTIAL=(?P<offset>[0-9]{1,19})(?:\.(?P<length>[1-9][0-9]{0,18}))?)?/?",
    re.IGNORECASE,
)


class BadUrl(MailError):
    """A URL names nothing that can be had; told as NO [BADURL] with the URL (RFC 4469 section 5)."""

    def __init__(self, url: str) -> None:
        super().__init__(ErrorKind.NOT_FOUND, f"Nothing can be had of {url}")
        self.url = url


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """What an `imap:` URL names. `mailbox` of None is the selected one; `length` of None reaches to the end."""

    mailbox: str | None
    uidvalidity: int | None
    uid: int
    section: Section
    offset: int = 0
    length: int | None = None


def parse_url(url: str) -> MessageUrl:
    """Read a URL, relative to this server or to the selected mailbox (RFC 5092 sections 2 and 7).

    One that names a server is refused, since a gateway goes by many names and must not mistake another for itself.

    Raises:
        BadUrl: it names no message.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise BadUrl(url)
    try:
        mailbox = None if match["mailbox"] is None else fold_first_level(unquote(match["mailbox"], errors="strict"))
        section = _section(unquote(match["section"], errors="strict")) if match["section"] else Section()
    except (SyntaxFault, UnicodeError):
        raise BadUrl(url) from None
    if mailbox == "":
        raise BadUrl(url)
    length = None if match["length"] is None else int(match["length"])
    uidvalidity = None if match["uidvalidity"] is None else int(match["uidvalidity"])
    return MessageUrl(mailbox, uidvalidity, int(match["uid"]), section, int(match["offset"] or 0), length)


def _section(text: str) -> Section:
    cursor = Cursor([text.encode("ascii", "strict") + b"]"])
    section = read_section(cursor)
    cursor.finish()
    return section


async def catenated(session: Session, catenation: Catenation, limit: int) -> SpooledContent:
    """Return the whole message; close it. The parts that were uploaded are left to the caller.

    Raises:
        BadUrl: a URL names nothing that can be had.
        MailError: a backend is needed and cannot be reached, or there are more than `limit` octets.
    """
    spool = AppendSpool(session.settings.spool_memory, session.settings.spool_directory)
    try:
        size = 0
        for part in catenation.parts:
            if isinstance(part, str):
                size += await _copy(session, part, spool, limit - size)
                continue
            assert isinstance(part, SpooledContent), "the connection's spool made it"
            size += part.size
            _check(size, limit)
            async for chunk in part.chunks():
                spool.write(chunk)
    except BaseException:
        spool.abort()
        raise
    return spool.next_content()


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise MailError(ErrorKind.TOO_LARGE, f"A message may have {limit} octets there")


async def _copy(session: Session, url: str, spool: AppendSpool, limit: int) -> int:
    """Append to the spool what the URL names; return how many octets that were."""
    named = parse_url(url)
    if named.mailbox is None:
        if session.view is None:
            raise BadUrl(url)
        return await _copy_from(session.view, named, url, spool, limit)
    try:
        view = await session.require_user().open(named.mailbox, is_read_only=True)
    except MailError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            raise BadUrl(url) from error
        raise
    try:
        return await _copy_from(view, named, url, spool, limit)
    finally:
        view.close()


async def _copy_from(view: View, named: MessageUrl, url: str, spool: AppendSpool, limit: int) -> int:
    if named.uidvalidity not in (None, view.uidvalidity) or view.sequence_number(named.uid) is None:
        raise BadUrl(url)
    async for rows in view.fetch([named.uid], Needs(body=True)):
        for row in rows:
            assert row.body is not None, "it was asked for"
            async with row.body as body:
                return await _copy_section(body, named, url, spool, limit)
    raise BadUrl(url)


async def _copy_section(body: Body, named: MessageUrl, url: str, spool: AppendSpool, limit: int) -> int:
    place = Span(0, body.size) if named.section == Section() else locate(body.part, named.section, body.buffer)
    if place is None:
        raise BadUrl(url)
    size = place.length if isinstance(place, Span) else len(place)
    start = min(named.offset, size)
    stop = size if named.length is None else min(start + named.length, size)
    _check(stop - start, limit)
    if not isinstance(place, Span):
        spool.write(bytes(place[start:stop]))
        return stop - start
    for offset in range(start, stop, _CHUNK):
        spool.write(await body.read(place.offset + offset, min(_CHUNK, stop - offset)))
    return stop - start


def bad_url_code(url: str) -> bytes | None:
    """`BADURL url` (RFC 4469 section 5), without what would end the code; None if nothing of the URL is left then."""
    text = re.sub(r"[\]\\\x00-\x1f\x7f]", "", url).encode("ascii", "replace")
    return b"%b %b" % (Code.BADURL.value, text) if text else None
