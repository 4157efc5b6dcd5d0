"""Fetching everything there is to fetch of many messages from two servers, and telling where the answers differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.e2e.equivalence import folded_envelope, folded_structure
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


@dataclass(frozen=True, slots=True)
class Pair:
    """One message at both ends: what it is called, and its UID there and here."""

    name: str
    front: int
    back: int


def differences(
    front: RawClient, back: RawClient, mailbox: str, pairs: Sequence[Pair], *, is_folded: bool = False
) -> dict[tuple[str, str], Difference]:
    """Compare these messages, their UIDs ascending at both ends; return each difference by name and item, both values.

    The mailbox is opened read-only, so that nothing becomes \\Seen. Every section that the back's BODYSTRUCTURE shows
    is asked for, whole and in part. `is_folded` lets pass what only another server writes in another way, see
    `tests.e2e.equivalence`.
    """
    for client in (front, back):
        client.select(mailbox, "EXAMINE")
    found: dict[tuple[str, str], Difference] = {}
    meaning = _folded_meaning if is_folded else _meaning
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        plain = _compare(front, back, batch, _PLAIN, meaning, found)
        _compare(front, back, batch, _WHOLE, meaning, found)
        alike: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
        for pair, row in zip(batch, plain, strict=True):
            alike[tuple(sections_of(row["BODYSTRUCTURE"]))[:_PARTS_COMPARED]].append(pair)
        for sections, group in alike.items():
            items = [f"BODY.PEEK[{section}]{part}" for section in sections for part in ("", "<0.100>", "<50.1000>")]
            _compare(front, back, group, " ".join(items), meaning, found)
    return found


def _compare(
    front: RawClient,
    back: RawClient,
    pairs: Sequence[Pair],
    items: str,
    meaning: Callable[[str, Value], object],
    found: dict[tuple[str, str], Difference],
) -> list[dict[str, Value]]:
    """Add to `found` what differs, and return the rows of the back."""
    ours = _rows(front, [pair.front for pair in pairs], items)
    theirs = _rows(back, [pair.back for pair in pairs], items)
    for pair, mine, row in zip(pairs, ours, theirs, strict=True):
        assert mine.keys() == row.keys(), pair.name
        for item, value in row.items():
            if item != "UID" and meaning(item, mine[item]) != meaning(item, value):
                found[pair.name, item] = mine[item], value
    return theirs


def _rows(client: RawClient, uids: list[int], items: str) -> list[dict[str, Value]]:
    rows = client.fetch(",".join(map(str, uids)), f"({items})")
    assert list(rows) == uids, "each message is answered once, in ascending order"
    return list(rows.values())


def _folded_meaning(item: str, value: Value) -> object:
    match item:
        case "BODY" | "BODYSTRUCTURE":
            return folded_structure(value)
        case "ENVELOPE":
            return folded_envelope(value)
        case "FLAGS":
            # Keywords are matched without regard to case (RFC 9051 section 2.3.2), and JMAP has them in lower case.
            return {flag.lower() for flag in flag_set(value)}
        case _:
            return _meaning(item, value)


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
        lines.append(f"{name}: {item}\n  gateway {_extract(ours, theirs)}\n  server  {_extract(theirs, ours)}")
    return "\n".join(lines)


def _extract(value: Value, other: Value) -> str:
    if not isinstance(value, bytes) or not isinstance(other, bytes):
        return repr(value)[:600]
    same = next((at for at, (one, two) in enumerate(zip(value, other, strict=False)) if one != two), 0)
    return f"{len(value)} octets, at {same}: {value[max(0, same - 20) : same + 80]!r}"
