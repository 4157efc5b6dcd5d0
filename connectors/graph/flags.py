"""Flags as IMAP spells them, and where a message at Outlook keeps each.

    \\Seen                  isRead
    \\Flagged               flag.flagStatus is `flagged`; `complete` is the user's own mark and no flag
    \\Draft                 isDraft, which nobody can change
    \\Answered, $Forwarded  what was last done with the message (MAPI 0x1081) and its icon (0x1080)
    other keywords         categories

What was last done is one thing only, so when a message is both answered and forwarded, the other is written down in a
property of our own. That also holds the keywords by which mail clients talk to themselves: as categories they would
stand in colour beside each message in Outlook.
Source: MS-OXOMSG sections 2.2.1.4 and 2.2.1.10 for the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from connectors.api.types import ANSWERED, DRAFT, FLAGGED, SEEN
from connectors.graph.categories import Categories
from connectors.graph.structs import Message

FORWARDED: Final = "$Forwarded"

LAST_VERB: Final = "Integer 0x1081"
ICON: Final = "Integer 0x1080"
SIZE: Final = "Integer 0x0E08"
OWN_FLAGS: Final = "String {6f0d4b1c-93a7-4e58-8d2b-51c7e09a3f64} Name ImapFlags"

FLAGS: Final = frozenset({SEEN, FLAGGED, ANSWERED, FORWARDED})
DRAFT_FLAGS: Final = FLAGS | {DRAFT}
"""In Drafts \\Draft is there because they are drafts."""

_ANSWERED_VERBS: Final = frozenset({102, 103})
"""Reply and reply to all."""

_FORWARDED_VERB: Final = 104
_NO_VERB: Final = (0, -1)
"""Nothing was done, and the icon is that of mail."""

_VERBS: Final = {ANSWERED: (102, 261), FORWARDED: (_FORWARDED_VERB, 262)}
_NO_FLAGS: Final = "-"
"""Our property with nothing in it: it cannot be taken off a message, and not be empty."""

_QUIET: Final = {
    keyword.casefold(): keyword
    for keyword in (
        "$MDNSent",
        "$Junk",
        "$NotJunk",
        "$Phishing",
        "$SubmitPending",
        "$Submitted",
        "Junk",
        "NonJunk",
        "NotJunk",
        "JunkRecorded",
        "Redirected",
        "$MailFlagBit0",
        "$MailFlagBit1",
        "$MailFlagBit2",
    )
}
_OWN: Final = _QUIET | {ANSWERED.casefold(): ANSWERED, FORWARDED.casefold(): FORWARDED}


def expand(*properties: str) -> str:
    """Return the value of `$expand` that has these MAPI properties told."""
    wanted = " or ".join(f"id eq '{each}'" for each in properties)
    return f"singleValueExtendedProperties($filter={wanted})"


EXPAND: Final = expand(LAST_VERB, OWN_FLAGS, SIZE)
"""What the flags and the size need beyond `SELECT`."""

SELECT: Final = "id,parentFolderId,receivedDateTime,isRead,isDraft,flag,categories"


def property_of(message: Message, name: str) -> str | None:
    """Return the value of a MAPI property that was asked for under `name`; None if the message does not have it.

    Graph gives ids back in a spelling of its own: with numbers without leading zeros, in whatever case.
    """
    wanted = _id_key(name)
    for each in message.single_value_extended_properties or ():
        if _id_key(each.id) == wanted:
            return each.value
    return None


def _id_key(name: str) -> tuple[str | int, ...]:
    words: list[str | int] = []
    for word in name.casefold().split():
        is_number = word.startswith("0x") and all(char in "0123456789abcdef" for char in word[2:]) and len(word) > 2
        words.append(int(word, 16) if is_number else word.strip("{}"))
    return tuple(words)


def size_of(message: Message) -> int | None:
    """Return what the store takes for the message in octets, which is near its size; None if it is not told."""
    octets = _number(property_of(message, SIZE))
    return octets if octets is not None and octets > 0 else None


def flags_of(message: Message, categories: Categories) -> frozenset[str]:
    """Return the flags of a message that was told with all of `SELECT` and `EXPAND`."""
    flags = {SEEN} if message.is_read else set()
    if _is_flagged(message):
        flags.add(FLAGGED)
    if message.is_draft:
        flags.add(DRAFT)
    verb = _verb(message)
    if verb in _ANSWERED_VERBS:
        flags.add(ANSWERED)
    elif verb == _FORWARDED_VERB:
        flags.add(FORWARDED)
    return frozenset(flags | _own(message) | {categories.keyword(each) for each in message.categories or () if each})


def needs_present(add: Iterable[str], remove: Iterable[str]) -> bool:
    """Whether `changes_for` has to know what the message is like now."""
    return bool(set(add) - {SEEN, FLAGGED, DRAFT} or set(remove) - {SEEN, DRAFT})


def changes_for(
    add: frozenset[str], remove: frozenset[str], present: Message | None, categories: Categories
) -> dict[str, object]:
    """Return the body of the PATCH that adds and removes flags; empty if there is nothing to change.

    `present` is the message as it is now, told with `SELECT` and `EXPAND`; it may be None unless `needs_present`.
    """
    body: dict[str, object] = {}
    if SEEN in add | remove and (present is None or present.is_read is not (SEEN in add)):
        body["isRead"] = SEEN in add
    if FLAGGED in add and (present is None or not _is_flagged(present)):
        body["flag"] = {"flagStatus": "flagged"}
    elif FLAGGED in remove and present is not None and _is_flagged(present):
        body["flag"] = {"flagStatus": "notFlagged"}
    if present is None:
        return body
    before = list(present.categories or ())
    after = _categories_after(before, add, remove, categories)
    if after != before:
        body["categories"] = after
    properties = _properties_after(present, add, remove, {categories.keyword(each) for each in before if each})
    if properties:
        body["singleValueExtendedProperties"] = properties
    return body


def creation_fields(flags: frozenset[str], categories: Categories) -> dict[str, object]:
    """Return the fields of a new message that give it the flags; whether it is read is always said."""
    blank = Message("", is_read=SEEN not in flags, categories=[], single_value_extended_properties=[])
    return changes_for(flags, frozenset() if SEEN in flags else frozenset({SEEN}), blank, categories)


def _is_flagged(message: Message) -> bool:
    return message.flag is not None and message.flag.flag_status == "flagged"


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _verb(message: Message) -> int | None:
    return _number(property_of(message, LAST_VERB))


def _own(message: Message) -> frozenset[str]:
    """Return what our property holds."""
    words = (property_of(message, OWN_FLAGS) or "").casefold().split()
    return frozenset(_OWN[word] for word in words if word in _OWN)


def _categories_after(
    before: Sequence[str], add: frozenset[str], remove: frozenset[str], categories: Categories
) -> list[str]:
    """Return the list with what is to be added and without what is to be removed, otherwise as it was."""
    gone = {keyword.casefold() for keyword in remove if not keyword.startswith("\\")}
    after = [each for each in before if not each or categories.keyword(each).casefold() not in gone]
    held = {categories.keyword(each).casefold() for each in after if each}
    for keyword in sorted(add):
        folded = keyword.casefold()
        if keyword.startswith("\\") or folded in _OWN or folded in held:
            continue
        held.add(folded)
        after.append(categories.category(keyword))
    return after


def _properties_after(
    present: Message, add: frozenset[str], remove: frozenset[str], held: Iterable[str]
) -> list[dict[str, str]]:
    """Return the MAPI properties to write. `held` are the keywords that are there as categories."""
    added = {flag.casefold() for flag in add} - {keyword.casefold() for keyword in held}
    removed = {flag.casefold() for flag in remove}
    verb, own = _verb(present), _own(present)
    was_spoken = ANSWERED if verb in _ANSWERED_VERBS else FORWARDED if verb == _FORWARDED_VERB else None
    wanted = {each for each in (*own, was_spoken) if each is not None and each.casefold() not in removed}
    wanted |= {_OWN[each] for each in added if each in _OWN}
    spoken = was_spoken
    if spoken not in wanted:
        spoken = next((each for each in _VERBS if each in wanted), None)
    written: list[dict[str, str]] = []
    if spoken != was_spoken:
        number, icon = _NO_VERB if spoken is None else _VERBS[spoken]
        written += [_property(LAST_VERB, str(number)), _property(ICON, str(icon))]
    unspoken = wanted - {spoken}
    if unspoken != own:
        written.append(_property(OWN_FLAGS, " ".join(sorted(unspoken)) or _NO_FLAGS))
    return written


def _property(name: str, value: str) -> dict[str, str]:
    return {"id": name, "value": value}
