"""The base subject, under which a message and its replies are sorted and threaded (RFC 5256 section 2.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLOB = r"\[[^\[\]]*+\]\s*+"
_LEADER = re.compile(rf"(?:{_BLOB})*?(?P<refwd>(?:re|fwd?)\s*+(?:{_BLOB})?:)|\s++", re.IGNORECASE)
_ONE_BLOB = re.compile(_BLOB)
_FWD_HEADER = "[fwd:"
_FWD_TRAILER = "]"
_LONGEST = 4096
"""Characters of a subject that are looked at: what people write is far shorter, and the rules go over it repeatedly."""


@dataclass(frozen=True, slots=True)
class BaseSubject:
    """`is_reply`: something was taken off that marks a reply or a forward."""

    text: str
    is_reply: bool


def base_subject(subject: str) -> BaseSubject:
    """Return the base of a decoded subject. The steps are those of the RFC."""
    text = " ".join(subject[:_LONGEST].split())
    is_reply = False
    while True:
        text, is_marked = _without_trailers(text)
        is_reply = is_reply or is_marked
        text, is_marked = _without_leaders(text)
        is_reply = is_reply or is_marked
        if not (text[: len(_FWD_HEADER)].lower() == _FWD_HEADER and text.endswith(_FWD_TRAILER)):
            return BaseSubject(text, is_reply)
        text = text[len(_FWD_HEADER) : -len(_FWD_TRAILER)]
        is_reply = True


def _without_trailers(text: str) -> tuple[str, bool]:
    """Step 2: `(fwd)` and blanks at the end go; tell whether there was a `(fwd)`."""
    is_marked = False
    while True:
        stripped = text.rstrip()
        if stripped[-5:].lower() != "(fwd)":
            return stripped, is_marked
        text, is_marked = stripped[:-5], True


def _without_leaders(text: str) -> tuple[str, bool]:
    """Steps 3 to 5: `Re:` and its like go, and a leading `[blob]` if something is left behind it."""
    is_marked = False
    start = 0
    while True:
        leader = _LEADER.match(text, start)
        if leader is not None:
            is_marked = is_marked or leader["refwd"] is not None
            start = leader.end()
            continue
        blob = _ONE_BLOB.match(text, start)
        if blob is None or blob.end() == len(text):
            return text[start:], is_marked
        start = blob.end()
