"""BODYSTRUCTURE from a server: checked against the grammar, and written anew (RFC 9051 section 9, `body`)."""

from __future__ import annotations

import itertools
from typing import TypeGuard

from gateway.wire.responses import Atom, Nested, render

_ENVELOPE_FIELDS = 10


def canonical_structure(value: Nested) -> bytes | None:
    """Return the wire form of a BODYSTRUCTURE; None if it is against the grammar, so that nobody passes it on.

    Servers send wrong ones for broken MIME: NIL for an encoding, lists where strings belong, parts without a subtype.
    """
    return _body(value) if isinstance(value, tuple) and _is_body(value) else None


# What is written is known to fit the grammar. There is no space between the parts of a multipart (`1*body SP
# media-subtype`) and between addresses (`"(" 1*address ")"`), and one between all other items.


def _body(value: tuple[Nested, ...]) -> bytes:
    parts = list(itertools.takewhile(lambda item: isinstance(item, tuple), value))
    if parts:
        fields = [b"".join(map(_inner_body, parts)), *map(render, value[len(parts) :])]
    elif _is_message(value):
        fields = [*map(render, value[:7]), _envelope(value[7]), _inner_body(value[8]), *map(render, value[9:])]
    else:
        fields = [*map(render, value)]
    return b"(%b)" % b" ".join(fields)


def _inner_body(value: Nested) -> bytes:
    return _body(value) if isinstance(value, tuple) else render(value)


def _envelope(value: Nested) -> bytes:
    fields = value if isinstance(value, tuple) else ()
    return b"(%b)" % b" ".join(
        b"(%b)" % b"".join(map(render, field)) if isinstance(field, tuple) else render(field) for field in fields
    )


def _is_message(value: tuple[Nested, ...]) -> bool:
    media, subtype = value[:2]
    return (
        isinstance(media, bytes)
        and isinstance(subtype, bytes)
        and media.upper() == b"MESSAGE"
        and subtype.upper() in (b"RFC822", b"GLOBAL")
    )


def _is_body(value: Nested) -> bool:
    if not isinstance(value, tuple) or not value:
        return False
    return _is_multipart(value) if isinstance(value[0], tuple) else _is_single(value)


def _is_multipart(value: tuple[Nested, ...]) -> bool:
    # `body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]`
    count = 0
    while count < len(value) and isinstance(value[count], tuple):
        if not _is_body(value[count]):
            return False
        count += 1
    rest = value[count:]
    if not rest or not _is_string(rest[0]):
        return False
    return len(rest) == 1 or (_is_parameters(rest[1]) and _is_extension(rest[2:]))


def _is_single(value: tuple[Nested, ...]) -> bool:
    # `body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP body-fld-octets`
    if len(value) < 7:
        return False
    media, subtype, parameters, identifier, description, encoding, octets = value[:7]
    if not (_is_string(media) and _is_string(subtype) and _is_parameters(parameters)):
        return False
    if not (_is_nstring(identifier) and _is_nstring(description) and _is_string(encoding) and _is_number(octets)):
        return False
    rest = value[7:]
    if _is_message(value):
        if len(rest) < 3 or not (_is_envelope(rest[0]) and _is_body(rest[1]) and _is_number(rest[2])):
            return False
        rest = rest[3:]
    elif media.upper() == b"TEXT":
        if not rest or not _is_number(rest[0]):
            return False
        rest = rest[1:]
    # `body-ext-1part = body-fld-md5 [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc *(SP body-extension)]]]`
    return not rest or (_is_nstring(rest[0]) and _is_extension(rest[1:]))


def _is_extension(rest: tuple[Nested, ...]) -> bool:
    """Check disposition, language and location; what comes after may be anything."""
    if len(rest) > 0 and not _is_disposition(rest[0]):
        return False
    if len(rest) > 1 and not (_is_nstring(rest[1]) or _is_strings(rest[1])):
        return False
    return len(rest) <= 2 or _is_nstring(rest[2])


def _is_disposition(value: Nested) -> bool:
    if value is None:
        return True
    return isinstance(value, tuple) and len(value) == 2 and _is_string(value[0]) and _is_parameters(value[1])


def _is_parameters(value: Nested) -> bool:
    if value is None:
        return True
    return _is_strings(value) and isinstance(value, tuple) and len(value) % 2 == 0


def _is_envelope(value: Nested) -> bool:
    if not isinstance(value, tuple) or len(value) != _ENVELOPE_FIELDS:
        return False
    texts = (value[0], value[1], value[8], value[9])
    return all(map(_is_nstring, texts)) and all(map(_is_addresses, value[2:8]))


def _is_addresses(value: Nested) -> bool:
    if value is None:
        return True
    if not isinstance(value, tuple) or not value:
        return False
    return all(isinstance(item, tuple) and len(item) == 4 and all(map(_is_nstring, item)) for item in value)


def _is_strings(value: Nested) -> bool:
    return isinstance(value, tuple) and bool(value) and all(map(_is_string, value))


def _is_nstring(value: Nested) -> bool:
    return value is None or _is_string(value)


def _is_string(value: Nested) -> TypeGuard[bytes]:
    return isinstance(value, bytes) and not isinstance(value, Atom)


def _is_number(value: Nested) -> bool:
    return isinstance(value, int)
