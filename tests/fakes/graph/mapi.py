"""Extended properties: their ids, the form of their values, and which of them the server keeps itself.

Source: Graph's page "Outlook extended properties overview": an id is `{type} {proptag}`, `{type} {guid} Name {name}` or
`{type} {guid} Id {id}`. Graph gives ids back in a form of its own, here in lower case and without leading zeros.
"""

from __future__ import annotations

import re
from typing import Final

from tests.fakes.graph.errors import misuse
from tests.fakes.graph.schema import TIME

TYPES: Final = frozenset({
    "ApplicationTime", "Binary", "Boolean", "CLSID", "Currency", "Double", "Error", "Float", "Integer", "Long", "Null",
    "Object", "Short", "String", "SystemTime",
})  # fmt: skip
_TAGGED: Final = re.compile(r"(\w+) 0x([0-9A-Fa-f]{1,8})")
_NAMED: Final = re.compile(r"(\w+) \{([0-9A-Fa-f-]{36})\} [Nn]ame (.+)")
_NUMBERED: Final = re.compile(r"(\w+) \{([0-9A-Fa-f-]{36})\} [Ii]d 0x([0-9A-Fa-f]{1,8})")
_INTEGER: Final = re.compile(r"-?\d{1,19}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")

MESSAGE_CLASS: Final = "String 0x1a"
SUBMIT_TIME: Final = "SystemTime 0x39"
TRANSPORT_HEADERS: Final = "String 0x7d"
DELIVERY_TIME: Final = "SystemTime 0xe06"
MESSAGE_FLAGS: Final = "Integer 0xe07"
SIZE: Final = "Integer 0xe08"
LONG_SIZE: Final = "Long 0xe08"
ARTICLE: Final = "Integer 0xe23"
INTERNET_MESSAGE_ID: Final = "String 0x1035"
REFERENCES: Final = "String 0x1039"
IN_REPLY_TO: Final = "String 0x1042"
ICON: Final = "Integer 0x1080"
LAST_VERB: Final = "Integer 0x1081"
FLAG_STATUS: Final = "Integer 0x1090"
FOLDER_CLASS: Final = "String 0x3613"
COMMIT_TIME: Final = "SystemTime 0x670a"
NEXT_ARTICLE: Final = "Integer 0x6751"
READ_BIT: Final = 1
UNSENT_BIT: Final = 8
COMPUTED: Final = frozenset({SIZE, LONG_SIZE, ARTICLE})
_KNOWN_TYPES: Final = {
    tag.partition(" ")[2]: {tag.partition(" ")[0]}
    for tag in (
        MESSAGE_CLASS, SUBMIT_TIME, TRANSPORT_HEADERS, DELIVERY_TIME, MESSAGE_FLAGS, ARTICLE, INTERNET_MESSAGE_ID,
        REFERENCES, IN_REPLY_TO, ICON, LAST_VERB, FLAG_STATUS, FOLDER_CLASS, COMMIT_TIME, NEXT_ARTICLE,
    )
} | {"0xe08": {"Integer", "Long"}}  # fmt: skip


def canonical(text: str) -> str:
    """Return a property's id in the form Graph gives back. Raises ApiError (400)."""
    if (match := _TAGGED.fullmatch(text)) is not None:
        tag = f"0x{int(match[2], 16):x}"
        _check_type(match[1], text)
        if int(match[2], 16) >= 0x8000:
            raise misuse("ErrorInvalidExtendedProperty", f"{text}: a tag above 0x7fff is no property's own")
        if match[1] not in _KNOWN_TYPES.get(tag, {match[1]}):
            raise misuse("ErrorInvalidExtendedProperty", f"{text}: that property is of another type")
        return f"{match[1]} {tag}"
    if (match := _NUMBERED.fullmatch(text)) is not None:
        _check_type(match[1], text)
        return f"{match[1]} {{{match[2].lower()}}} Id 0x{int(match[3], 16):x}"
    if (match := _NAMED.fullmatch(text)) is not None:
        _check_type(match[1], text)
        return f"{match[1]} {{{match[2].lower()}}} Name {match[3]}"
    raise misuse("ErrorInvalidExtendedProperty", f"{text!r} is not the id of an extended property")


def check_value(name: str, value: str) -> str:
    """Return the value of a property as it is kept. Raises ApiError (400) if it is not of the property's type."""
    kind = name.partition(" ")[0]
    fits = True
    if kind in {"Integer", "Long", "Short"}:
        fits = _INTEGER.fullmatch(value) is not None
    elif kind == "Boolean":
        fits = value.lower() in {"true", "false"}
    elif kind == "SystemTime":
        fits = TIME.fullmatch(value) is not None
    elif kind == "Binary":
        fits = _BASE64.fullmatch(value) is not None and len(value) % 4 == 0
    if not fits:
        raise misuse("ErrorInvalidExtendedPropertyValue", f"{value!r} is no value of {name}")
    return value


def _check_type(kind: str, text: str) -> None:
    if kind.removesuffix("Array") not in TYPES:
        raise misuse("ErrorInvalidExtendedProperty", f"{text}: there is no type {kind}")
