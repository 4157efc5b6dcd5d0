"""Content with its transfer encoding undone (RFC 2045 section 6, RFC 3516)."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from gateway.message.octets import Buffer, take
from gateway.message.part import Part

_CHUNK = 1 << 18
_IDENTITY = frozenset({b"7bit", b"8bit", b"binary"})
_NOT_BASE64 = bytes(
    octet for octet in range(256) if not (chr(octet).isascii() and (chr(octet).isalnum())) and octet not in b"+/="
)
_BLANKS_AT_LINE_END = re.compile(rb"[ \t]++(?=\r?\n)")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")


class UnknownEncoding(Exception):
    """The part's Content-Transfer-Encoding is none we can undo; answer NO [UNKNOWN-CTE]. `encoding` is its name."""

    def __init__(self, encoding: bytes) -> None:
        super().__init__(f"unknown content transfer encoding {encoding!r}")
        self.encoding = encoding


def decode_part(root: Part, numbers: tuple[int, ...], buffer: Buffer) -> bytes | None:
    """Return the content of a part as BINARY shows it (see `iter_section`); None (NIL) if there is no such part.

    Raises:
        UnknownEncoding: see there.
    """
    pieces = iter_section(root, numbers, buffer)
    return None if pieces is None else b"".join(pieces)


def decoded_size(root: Part, numbers: tuple[int, ...], buffer: Buffer) -> int | None:
    """Return the length of what `decode_part` returns, without holding it; None if there is no such part.

    Raises:
        UnknownEncoding: see there.
    """
    pieces = iter_section(root, numbers, buffer)
    return None if pieces is None else sum(map(len, pieces))


def iter_section(root: Part, numbers: tuple[int, ...], buffer: Buffer) -> Iterator[bytes] | None:
    """Return what yields the content of a part as BINARY shows it, in pieces of about 256 KiB at most.

    No numbers mean the whole message. Multiparts and messages come as they are: they are never encoded (RFC 2045
    section 6.4). The content may hold NUL. None (NIL) if there is no such part.

    Raises:
        UnknownEncoding: see there; before anything is yielded.
    """
    part = root.child(numbers)
    if part is None:
        return None
    if not numbers:
        return _lines(buffer, part.header_start, part.end)
    return iter_decoded(part, buffer)


def iter_decoded(part: Part, buffer: Buffer) -> Iterator[bytes]:
    """Yield the part's content decoded, in pieces of about 256 KiB at most; damage in it is passed over.

    Lines of text in an identity encoding or quoted-printable end in CRLF, whatever they end in where they are stored
    (RFC 9051 section 7.5.2); what was in base64 comes as its sender encoded it.

    Raises:
        UnknownEncoding: see there; before anything is yielded.
    """
    encoding = part.encoding.lower()
    if part.message is not None or part.is_multipart or encoding in _IDENTITY:
        pieces = _lines(buffer, part.body_start, part.end)
    elif encoding == b"base64":
        return _base64(buffer, part.body_start, part.end)
    elif encoding == b"quoted-printable":
        pieces = map(_quoted_printable, _lines(buffer, part.body_start, part.end))
    else:
        raise UnknownEncoding(part.encoding)
    return map(_with_crlf, pieces) if part.is_text else pieces


def _lines(buffer: Buffer, start: int, end: int) -> Iterator[bytes]:
    """Yield the octets in pieces that end at a line end where there is one within reach."""
    while start < end:
        piece = take(buffer, start, min(start + _CHUNK, end))
        if start + len(piece) < end:
            piece = piece[: piece.rfind(b"\n") + 1] or piece
        yield piece
        start += len(piece)


def _base64(buffer: Buffer, start: int, end: int) -> Iterator[bytes]:
    """Decode up to the first padding; octets outside the alphabet do not count (RFC 2045 section 6.8)."""
    rest = b""
    for low in range(start, end, _CHUNK):
        digits = rest + take(buffer, low, min(low + _CHUNK, end)).translate(None, _NOT_BASE64)
        padding = digits.find(b"=")
        if padding >= 0:
            rest = digits[:padding]
            break
        whole = len(digits) // 4 * 4
        rest = digits[whole:]
        if whole:
            yield binascii.a2b_base64(digits[:whole])
    whole = len(rest) // 4 * 4
    tail = rest[whole:]
    decoded = binascii.a2b_base64(rest[:whole])
    if len(tail) > 1:
        decoded += binascii.a2b_base64(tail + b"=" * (4 - len(tail)))
    if decoded:
        yield decoded


def _quoted_printable(piece: bytes) -> bytes:
    """Decode whole lines. Blanks at a line's end were added on the way (RFC 2045 section 6.7, rule 3)."""
    if b" \r" in piece or b"\t\r" in piece or b" \n" in piece or b"\t\n" in piece:
        piece = _BLANKS_AT_LINE_END.sub(b"", piece)
    return binascii.a2b_qp(piece)


def _with_crlf(piece: bytes) -> bytes:
    if piece.count(b"\n") == piece.count(b"\r\n"):
        return piece
    return _BARE_LINE_FEED.sub(b"\r\n", piece)
