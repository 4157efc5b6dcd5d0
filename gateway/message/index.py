"""A message's MIME tree in a form to keep, so that a section can be served without reading the message again."""

from __future__ import annotations

import json
from typing import Any

from gateway.message.part import Parameters, Part

_VERSION = 1


def encode_index(part: Part) -> bytes:
    """Return the tree as compact JSON in UTF-8, header octets as the Latin-1 characters of the same numbers."""
    return json.dumps([_VERSION, _pack(part, 0)], ensure_ascii=False, separators=(",", ":")).encode()


def decode_index(data: bytes) -> Part:
    """Return the tree that `encode_index` wrote.

    Raises:
        ValueError: `data` is damaged or of another version; scan the message again.
    """
    try:
        version, root = json.loads(data)
        if version != _VERSION:
            raise ValueError(f"part index of version {version!r}")
        return _unpack(root, 0)
    except (TypeError, AttributeError, KeyError, IndexError, RecursionError, UnicodeEncodeError) as exc:
        raise ValueError("damaged part index") from exc


def _pack(part: Part, base: int) -> list[Any]:
    """Offsets are relative to the enclosing part's start, which keeps them short; trailing defaults are dropped."""
    disposition = part.disposition
    values: list[Any] = [
        part.header_start - base,
        part.body_start - part.header_start,
        part.end - part.body_start,
        part.lines,
        _text(part.type),
        _text(part.subtype),
        _text(part.encoding),
        _pairs(part.parameters),
        [_pack(child, part.header_start) for child in part.children],
        _pack(part.message, part.header_start) if part.message else 0,
        _text(part.envelope),
        _optional(part.content_id),
        _optional(part.description),
        [_text(disposition[0]), _pairs(disposition[1])] if disposition else 0,
        [_text(tag) for tag in part.languages],
        _optional(part.location),
        _optional(part.md5),
    ]
    while values[-1] in (0, [], ""):
        values.pop()
    return values


def _unpack(values: list[Any], base: int) -> Part:
    values = [*values, *_DEFAULTS[len(values) :]]
    start, header, size, lines, kind, subtype, encoding, parameters, children, message, envelope = values[:11]
    content_id, description, disposition, languages, location, md5 = values[11:]
    start += base
    return Part(
        header_start=start,
        body_start=start + header,
        end=start + header + size,
        lines=lines,
        type=kind.encode("latin-1"),
        subtype=subtype.encode("latin-1"),
        parameters=_unpairs(parameters),
        encoding=encoding.encode("latin-1"),
        content_id=_unoptional(content_id),
        description=_unoptional(description),
        md5=_unoptional(md5),
        disposition=(disposition[0].encode("latin-1"), _unpairs(disposition[1])) if disposition else None,
        languages=tuple(tag.encode("latin-1") for tag in languages),
        location=_unoptional(location),
        children=[_unpack(child, start) for child in children],
        message=_unpack(message, start) if message else None,
        envelope=envelope.encode("latin-1"),
    )


_DEFAULTS: tuple[Any, ...] = (0, 0, 0, 0, "", "", "", (), (), 0, "", 0, 0, 0, (), 0, 0)


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _optional(value: bytes | None) -> Any:
    """None becomes 0, because an empty string is a value of its own."""
    return 0 if value is None else [_text(value)]


def _unoptional(value: Any) -> bytes | None:
    return None if value == 0 else bytes(value[0].encode("latin-1"))


def _pairs(parameters: Parameters) -> list[str]:
    return [_text(item) for pair in parameters for item in pair]


def _unpairs(items: list[str]) -> Parameters:
    octets = [item.encode("latin-1") for item in items]
    return tuple(zip(octets[::2], octets[1::2], strict=True))
