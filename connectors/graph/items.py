"""Decoding what stands in a page, each by itself: one that is odd must not take the others with it.

Folders of mail hold items of other types too, and what a field may be is not always what is documented.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

_log = logging.getLogger(__name__)


def decode_items(items: Iterable[msgspec.Raw], kind: type[T]) -> list[T]:
    """Return those of the items that can be decoded at all, as `decode_item` does."""
    return [found for item in items if (found := decode_item(bytes(item), kind)) is not None]


def decode_item(item: bytes, kind: type[T]) -> T | None:
    """Return an item; a field that is not what it should be counts as not told. None if not even the id is right."""
    try:
        return msgspec.json.decode(item, type=kind)
    except (msgspec.MsgspecError, ValueError):
        return _decode_loosely(item, kind)


def _decode_loosely(item: bytes, kind: type[T]) -> T | None:
    try:
        told = msgspec.json.decode(item)
    except (msgspec.MsgspecError, ValueError) as exc:
        _log.warning("Graph sent something that is no %s: %s", kind.__name__, exc)
        return None
    if not isinstance(told, dict):
        return None
    kept, odd = {}, []
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in told:
            continue
        try:
            msgspec.convert(told[field.encode_name], field.type)
        except msgspec.ValidationError:
            odd.append(field.encode_name)
        else:
            kept[field.encode_name] = told[field.encode_name]
    try:
        found = msgspec.convert(kept, kind)
    except msgspec.ValidationError:
        found = None
    _log.warning("Graph sent a %s with an odd %s", kind.__name__, ", ".join(odd) or "lack of fields")
    return found
