"""Flags as IMAP spells them and keywords as JMAP does (RFC 8621 section 4.1.1).

JMAP has no \\Deleted and no \\Recent. Its keywords are compared without regard to case and come in lower case; those
that IMAP clients look for in one spelling get that spelling back, the others stay as they come. Both sides allow the
same characters: those of an IMAP atom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from connectors.api.errors import Rejected
from connectors.api.types import ANSWERED, DRAFT, FLAGGED, SEEN

_SYSTEM = {"$seen": SEEN, "$answered": ANSWERED, "$flagged": FLAGGED, "$draft": DRAFT}
_SPELLINGS = (
    # The registry of RFC 5788 has these in mixed case.
    "$Forwarded",
    "$MDNSent",
    "$Junk",
    "$NotJunk",
    "$Phishing",
    "$SubmitPending",
    "$Submitted",
    # Older names that Thunderbird and Apple Mail still set and look for.
    "Forwarded",
    "Junk",
    "JunkRecorded",
    "NonJunk",
    "NotJunk",
    "Redirected",
)
_FLAGS = _SYSTEM | {spelling.lower(): spelling for spelling in _SPELLINGS}
_KEYWORDS = {flag.lower(): keyword for keyword, flag in _FLAGS.items()}

# 1..255 characters of %x21-7e but ( ) { ] % * " \  (RFC 8621 section 4.1.1), which is an atom of RFC 9051 section 9.
_KEYWORD = re.compile(r"[!#$&'+-\[^-z|}~]{1,255}")


def flags_of(keywords: Mapping[str, bool]) -> frozenset[str]:
    """Return the flags that a message has; what cannot be a flag in IMAP is left out."""
    return frozenset(
        _FLAGS.get(keyword.lower(), keyword)
        for keyword, is_set in keywords.items()
        if is_set and _KEYWORD.fullmatch(keyword)
    )


def keyword_of(flag: str) -> str:
    """Return the keyword for a flag.

    Raises:
        Rejected: JMAP cannot hold it.
    """
    keyword = _KEYWORDS.get(flag.lower(), flag.lower())
    if not _KEYWORD.fullmatch(keyword):
        text = "The mail backend cannot hold a keyword of that length or with those characters."
        raise Rejected(f"no keyword in JMAP can be {flag[:80]!r}", client_text=text)
    return keyword


def keywords_of(flags: Iterable[str]) -> dict[str, bool]:
    """Return the keywords of a new message with these flags.

    Raises:
        Rejected: JMAP cannot hold one of them.
    """
    return {keyword_of(flag): True for flag in flags}
