"""The Content-* fields of a header (RFC 2045, RFC 2183, RFC 2231), read leniently."""

from __future__ import annotations

import re
from itertools import islice

from gateway.message.headers import unfold
from gateway.message.limits import MAX_LANGUAGES, MAX_PARAMETERS
from gateway.message.part import Parameters, Part

_CONTENT_FIELD = re.compile(
    rb"\n[Cc]ontent-(type|transfer-encoding|disposition|id|description|language|location|md5)[ \t]*+:"
    rb"((?:[^\n]*+\n[ \t])*+[^\n]*+)",
    re.IGNORECASE,
)
# Laxer than RFC 2045 section 5.1: 8-bit octets pass, as they reach us in mail and go out as literals.
_TOKEN = re.compile(rb"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]++")
_COMMENT = re.compile(rb"\((?:[^()\\]++|\\.)*+\)", re.DOTALL)
_COMMENT_DEPTH = 4
_PARAMETER = re.compile(
    rb";(?:[ \t]++|\((?:[^();]*+)\))*+([^\x00-\x20=;\"(]++)[ \t]*+=[ \t]*+"
    rb"(?:\"((?:[^\"\\]++|\\.)*+)\"?+|([^;]*+))",
    re.DOTALL,
)
_PLAIN_VALUE = re.compile(rb"[^\x00-\x20,;()\"]*+")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_EXTENDED = re.compile(rb"([^*]+)\*(?:(0|[1-9][0-9]{0,3})(\*)?)?")
_ATTRIBUTE_CHAR = re.compile(rb"[^!#$&+\-.^_`{|}~0-9A-Za-z]")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_DEFAULT_CHARSET = (b"charset", b"us-ascii")


def read_content_fields(part: Part, header: bytes, is_in_digest: bool) -> None:
    """Fill in the part's Content-* values from its header block.

    The first field of a name counts. Without a Content-Type the part is text/plain, in a multipart/digest
    message/rfc822 (RFC 2046 section 5.1.5); with an unreadable one it is text/plain (RFC 2045 section 5.2).
    """
    seen: dict[bytes, bytes] = {}
    for match in _CONTENT_FIELD.finditer(b"\n" + header):
        seen.setdefault(match[1].lower(), unfold(match[2]))
    content_type = seen.pop(b"type", None)
    if content_type is not None:
        part.type, part.subtype, part.parameters = parse_content_type(content_type)
    elif is_in_digest:
        part.type, part.subtype = b"message", b"rfc822"
    if part.type.lower() == b"text" and not _has_charset(part.parameters):
        part.parameters = (*part.parameters, _DEFAULT_CHARSET)
    if not seen:
        return
    if (encoding := seen.get(b"transfer-encoding")) is not None:
        part.encoding = parse_encoding(encoding)
    if (disposition := seen.get(b"disposition")) is not None:
        part.disposition = parse_disposition(disposition)
    if (language := seen.get(b"language")) is not None:
        part.languages = parse_languages(language)
    part.content_id = seen.get(b"id")
    part.description = seen.get(b"description")
    part.location = seen.get(b"location")
    part.md5 = seen.get(b"md5")


def parse_content_type(value: bytes) -> tuple[bytes, bytes, Parameters]:
    """Return type, subtype and parameters of an unfolded Content-Type.

    `text` alone is text/plain. A missing semicolon before the parameters is forgiven.
    """
    head, semicolon, rest = _without_comments(value).partition(b";")
    if semicolon:
        rest = value[value.find(b";") :] if b"(" in value else b";" + rest
    main, _, sub = head.partition(b"/")
    main = main.strip()
    words = sub.split(None, 1)
    if main.lower() == b"text" and not words:
        return main, b"plain", parse_parameters(rest)
    if not words or not _TOKEN.fullmatch(main) or not _TOKEN.fullmatch(words[0]):
        return b"text", b"plain", ()
    if len(words) == 2:
        rest = b";" + words[1] + rest
    return main, words[0], parse_parameters(rest)


def parse_disposition(value: bytes) -> tuple[bytes, Parameters] | None:
    """Return the kind and the parameters of an unfolded Content-Disposition; None if it names no kind."""
    head, _, rest = value.partition(b";")
    words = _without_comments(head).replace(b'"', b" ").split()
    return (words[0], parse_parameters(b";" + rest)) if words else None


def parse_encoding(value: bytes) -> bytes:
    """Return the first word of an unfolded Content-Transfer-Encoding; `7bit` if there is none."""
    value = _without_comments(value).replace(b'"', b" ")
    head = value.partition(b";")[0]
    joined = b"".join(head.split())
    if joined.lower() in (b"7bit", b"8bit", b"base64", b"binary", b"quoted-printable"):
        return joined
    words = head.split()
    return words[0] if words else b"7bit"


def parse_languages(value: bytes) -> tuple[bytes, ...]:
    """Return the tags of an unfolded Content-Language (RFC 3282)."""
    tags = (tag.strip(b' \t"') for tag in _without_comments(value).split(b","))
    return tuple(islice((tag for tag in tags if tag), MAX_LANGUAGES))


def parse_parameters(text: bytes) -> Parameters:
    """Return the parameters of text that starts at their first semicolon; quoting is removed.

    Those without a value are left out. RFC 2231 continuations are joined into one value, still percent-encoded and
    with the name's asterisk if any piece is (RFC 9051 section 7.5.2); like Dovecot we put them last.
    """
    found: list[tuple[bytes, bytes]] = []
    for match in islice(_PARAMETER.finditer(text), MAX_PARAMETERS):
        name, quoted, bare = match.groups()
        if quoted is not None:
            value = _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        elif name.lower() in (b"name", b"filename"):
            # Laxer than RFC 2045 section 5.1: file names with blanks are sent unquoted by many programs.
            value = bare.strip()
        else:
            bare_match = _PLAIN_VALUE.match(bare)
            value = bare_match[0] if bare_match else b""
        found.append((name, value))
    if b"*" not in text:
        return tuple(found)
    return _join_continuations(found)


def boundary_of(parameters: Parameters) -> bytes | None:
    """Return the boundary parameter as it is matched in the body, or None.

    Blanks at its end do not count (RFC 2046 section 5.1.1: a boundary must not end with white space).
    """
    for name, value in parameters:
        if name.lower() == b"boundary":
            return value.rstrip(b" \t")
        if name.lower() == b"boundary*":
            plain = value.split(b"'", 2)[-1]
            return _PERCENT.sub(lambda match: bytes([int(match[1], 16)]), plain)
    return None


def _join_continuations(found: list[tuple[bytes, bytes]]) -> Parameters:
    plain: list[tuple[bytes, bytes]] = []
    pieces: dict[bytes, dict[int, tuple[bool, bytes]]] = {}
    spelled: dict[bytes, list[tuple[bytes, bytes]]] = {}
    single: list[tuple[bytes, bytes]] = []
    for name, value in found:
        match = _EXTENDED.fullmatch(name)
        if match is None:
            plain.append((name, value))
        elif match[2] is None:
            single.append((name, value))
        else:
            key = match[1]
            pieces.setdefault(key, {}).setdefault(int(match[2]), (match[3] is not None, value))
            spelled.setdefault(key, []).append((name, value))
    joined: list[tuple[bytes, bytes]] = []
    for key, numbered in pieces.items():
        ordered = [numbered[number] for number in sorted(numbered)]
        if max(numbered) + 1 != len(ordered):
            joined += spelled[key]
        elif not any(is_extended for is_extended, _ in ordered):
            joined.append((key, b"".join(value for _, value in ordered)))
        else:
            start = b"" if ordered[0][0] else b"''"
            encoded = (value if is_extended else _percent_encode(value) for is_extended, value in ordered)
            joined.append((key + b"*", start + b"".join(encoded)))
    return (*plain, *single, *joined)


def _percent_encode(value: bytes) -> bytes:
    return _ATTRIBUTE_CHAR.sub(lambda match: b"%%%02X" % match[0][0], value)


def _has_charset(parameters: Parameters) -> bool:
    return any(name.lower() in (b"charset", b"charset*") for name, _ in parameters)


def _without_comments(value: bytes) -> bytes:
    for _ in range(_COMMENT_DEPTH):
        if b"(" not in value:
            break
        value = _COMMENT.sub(b" ", value)
    return value
