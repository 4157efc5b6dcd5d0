"""Fetching everything there is to fetch of many messages from two servers, and telling where the answers differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from tests.e2e.raw_client import RawClient, flag_set
from tests.e2e.raw_values import Value

FIELDS = "HEADER.FIELDS (SUBJECT FROM TO CONTENT-TYPE)"
NOT_FIELDS = "HEADER.FIELDS.NOT (SUBJECT FROM TO CONTENT-TYPE)"

_PLAIN = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE"
_WHOLE = (
    "RFC822 RFC822.HEADER RFC822.TEXT BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] "
    f"BODY.PEEK[{FIELDS}] BODY.PEEK[{NOT_FIELDS}] BODY.PEEK[HEADER.FIELDS (X-No-Such-Field)] "
    "BODY.PEEK[]<0.100> BODY.PEEK[]<50.1000> BODY.PEEK[TEXT]<0.100> BODY.PEEK[HEADER]<50.1000> "
    f"BODY.PEEK[{FIELDS}]<10.20> BODY.PEEK[]<100000000.10>"
)
_BATCH = 200
_PARTS_COMPARED = 40

Difference = tuple[Value, Value]


def differences(
    front: RawClient, back: RawClient, mailbox: str, names: Mapping[int, str]
) -> dict[tuple[str, str], Difference]:
    """Compare the messages with these UIDs; return (name, item) of each difference, with both values.

    The mailbox is opened read-only, so that nothing becomes \\Seen. Every section that Dovecot's BODYSTRUCTURE shows
    is asked for, whole and in part.
    """
    for client in (front, back):
        client.select(mailbox, "EXAMINE")
    found: dict[tuple[str, str], Difference] = {}
    uids = sorted(names)
    for start in range(0, len(uids), _BATCH):
        batch = uids[start : start + _BATCH]
        plain = _compare(front, back, batch, _PLAIN, names, found)
        _compare(front, back, batch, _WHOLE, names, found)
        alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for uid in batch:
            alike[tuple(sections_of(plain[uid]["BODYSTRUCTURE"]))[:_PARTS_COMPARED]].append(uid)
        for sections, group in alike.items():
            items = [f"BODY.PEEK[{section}]{part}" for section in sections for part in ("", "<0.100>", "<50.1000>")]
            _compare(front, back, group, " ".join(items), names, found)
    return found


def _compare(
    front: RawClient,
    back: RawClient,
    uids: Sequence[int],
    items: str,
    names: Mapping[int, str],
    found: dict[tuple[str, str], Difference],
) -> dict[int, dict[str, Value]]:
    """Add to `found` what differs, and return the rows of the back."""
    numbers = ",".join(map(str, uids))
    ours, theirs = front.fetch(numbers, f"({items})"), back.fetch(numbers, f"({items})")
    assert list(ours) == list(theirs) == list(uids), "each message is answered once, in ascending order"
    for uid in uids:
        assert ours[uid].keys() == theirs[uid].keys(), names[uid]
        for item, value in theirs[uid].items():
            mine = ours[uid][item]
            if _meaning(item, mine) != _meaning(item, value):
                found[names[uid], item] = mine, value
    return theirs


def _meaning(item: str, value: Value) -> object:
    """Return what of a value is compared: flags in no order; a day below 10 may be written ` 2` and `02`."""
    match item:
        case "FLAGS":
            return flag_set(value)
        case "INTERNALDATE":
            assert isinstance(value, bytes)
            return datetime.strptime(value.decode().strip(), "%d-%b-%Y %H:%M:%S %z")
        case _:
            return value


def sections_of(structure: Value, prefix: str = "", *, is_message: bool = True) -> Iterator[str]:
    """Yield the sections of every part in a BODYSTRUCTURE: contents, MIME headers, and embedded messages' own.

    Part numbers as in RFC 9051 section 6.4.5.1: a message that is not multipart has one part, number 1.
    """
    assert isinstance(structure, tuple)
    if isinstance(structure[0], tuple):
        for number, child in enumerate(structure[0], 1):
            yield from (f"{prefix}{number}", f"{prefix}{number}.MIME")
            yield from sections_of(child, f"{prefix}{number}.", is_message=False)
        return
    if is_message:
        prefix += "1."
        yield from (prefix[:-1], f"{prefix}MIME")
    if _is_embedded(structure):
        yield from (f"{prefix}{text}" for text in ("HEADER", "TEXT", FIELDS, NOT_FIELDS))
        yield from sections_of(structure[8], prefix)


def _is_embedded(structure: tuple[Value, ...]) -> bool:
    return len(structure) > 8 and isinstance(structure[7], tuple) and len(structure[7]) == 10


def shown(found: Mapping[tuple[str, str], Difference], most: int = 20) -> str:
    """Say what differs, for the failure of a test."""
    lines = [f"{len(found)} differences"]
    for (name, item), (ours, theirs) in list(found.items())[:most]:
        lines.append(f"{name}: {item}\n  gateway {_extract(ours, theirs)}\n  Dovecot {_extract(theirs, ours)}")
    return "\n".join(lines)


def _extract(value: Value, other: Value) -> str:
    if not isinstance(value, bytes) or not isinstance(other, bytes):
        return repr(value)[:600]
    same = next((at for at, (one, two) in enumerate(zip(value, other, strict=False)) if one != two), 0)
    return f"{len(value)} octets, at {same}: {value[max(0, same - 20) : same + 80]!r}"
