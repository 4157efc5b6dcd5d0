"""What two servers may write in different ways and mean the same by it: BODYSTRUCTURE and ENVELOPE brought to one form.

Source: RFC 2045 sections 5.1 and 6.1 (media types, names of parameters and encodings are matched without regard to
case, the order of parameters is not significant) and 5.2 (a text without a charset is US-ASCII), RFC 2183 section 2
(the same of dispositions), RFC 5646 section 2.1.1 (and of language tags).
"""

from __future__ import annotations

from tests.e2e.raw_values import Value

_DEFAULT_CHARSET = (b"charset", b"us-ascii")
_ENVELOPE_LENGTH = 10
_NO_DOMAIN = {b"MISSING_DOMAIN", b"unspecified-domain"}


def folded_structure(structure: Value) -> Value:
    """Return a BODY or BODYSTRUCTURE in the one form."""
    assert isinstance(structure, tuple)
    if isinstance(structure[0], tuple):
        children = tuple(folded_structure(child) for child in structure[0])
        subtype, *rest = structure[1:]
        if rest:
            rest[0] = _parameters(rest[0])
        return (children, _lower(subtype), *rest[:1], *_extension(rest[1:]))
    kind, subtype, parameters, content_id, description, encoding, size, *rest = structure
    kind = _lower(kind)
    own: tuple[Value, ...] = ()
    if len(rest) > 2 and isinstance(rest[0], tuple) and len(rest[0]) == _ENVELOPE_LENGTH:
        own = (folded_envelope(rest[0]), folded_structure(rest[1]), rest[2])
    elif kind == b"text":
        own = tuple(rest[:1])
    rest = rest[len(own) :]
    return (
        kind,
        _lower(subtype),
        _parameters(parameters, is_text=kind == b"text"),
        content_id,
        description,
        _lower(encoding),
        size,
        *own,
        *rest[:1],
        *_extension(rest[1:]),
    )


def folded_envelope(envelope: Value) -> Value:
    """Return an ENVELOPE with one word for the domain that an address lacks.

    RFC 9051 has no form for such an address: a NIL host marks groups (section 7.5.2), so each server has a word of its
    own.
    """
    if isinstance(envelope, tuple):
        return tuple(folded_envelope(value) for value in envelope)
    return None if envelope in _NO_DOMAIN else envelope


def _extension(values: list[Value]) -> tuple[Value, ...]:
    """Fold disposition, language and location, of which there may be fewer."""
    folded = list(values)
    if folded:
        folded[0] = _disposition(folded[0])
    if len(folded) > 1:
        folded[1] = tuple(map(_lower, folded[1])) if isinstance(folded[1], tuple) else _lower(folded[1])
    return tuple(folded)


def _disposition(value: Value) -> Value:
    return (_lower(value[0]), _parameters(value[1])) if isinstance(value, tuple) else value


def _parameters(value: Value, *, is_text: bool = False) -> Value:
    if not isinstance(value, tuple):
        return value
    pairs = [(_lower(pair[0]), pair[1]) for pair in value if isinstance(pair, tuple)]
    if is_text:
        pairs = [pair for pair in pairs if pair != _DEFAULT_CHARSET]
    return tuple(sorted(pairs, key=repr)) or None


def _lower(value: Value) -> Value:
    return value.lower() if isinstance(value, bytes) else value
