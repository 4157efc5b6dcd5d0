"""Write the comparison with other servers into the page named on the command line.

Our own column is what the code declares; the others are what their sources, documents and CAPABILITY lines said when
this was looked up, see the page itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.imap.capabilities import OFFER
from gateway.imap.capability import Situation

START: Final = "<!-- written by `make docs` from tools/comparison.py and the declarations beside the code -->\n"
END: Final = "<!-- end of the comparison -->\n"

OURS: Final = "this gateway"

_STRANGER = Situation(is_authenticated=False, can_start_tls=False, can_log_in=True, append_limit=1)
_AS_IT_COMES = (_STRANGER, replace(_STRANGER, is_authenticated=True))
"""Without certificate, identity provider and anything that the operator adds."""

_COLUMNS: Final = (
    "Dovecot",
    "Cyrus",
    "Stalwart",
    "Gmail",
    "Exchange",
    "WildDuck",
    "gluon",
    "mox",
    "pymap",
    "go-imap",
    "DavMail",
)
# y: by default. c: depends on configuration, account or embedding program. x: experimental, or for a part of the users.
_OTHERS: Final = """
IMAP4rev1             y y y y y y y y y y y
IMAP4rev2             x y y - x - - y - y -
STARTTLS              c c c ? ? c c c c c -
LOGINDISABLED         c c c - y c - c c c -
SASL-IR               y y y y y y - y - y -
ID                    y y y y y y y y y ? -
ENABLE                y y y y x y - y - y -
NAMESPACE             y y y y y y - y - c -
IDLE                  y c y y y y y y y y c
UNSELECT              y y y y y y y y - y -
UIDPLUS               y y y y y y y y y c y
MOVE                  y y y y y y y y y c y
LITERAL+              y y y - y - - y y c -
LITERAL-              c c - y - - - - - y -
CHILDREN              y y y y y y - - y - -
LIST-EXTENDED         y y y y - - - y - c -
LIST-STATUS           y y y y - - - y - c -
SPECIAL-USE           y y y y - y - y - c y
CREATE-SPECIAL-USE    - y y - - - - y - c -
ESEARCH               y y y y - - - y - c -
SEARCHRES             y y y - - - - y - c -
STATUS=SIZE           y y y - - - - y - c -
CONDSTORE             y y y y - y - y - - -
QRESYNC               y y y - - - - y - - -
APPENDLIMIT           c y - y - c - y c c -
UTF8=ACCEPT           x c y y - y - y - y -
QUOTA                 c y y y - y - y - - -
BINARY                y y y - - - - y y c -
COMPRESS=DEFLATE      y c - y - c - - - - -
OBJECTID              - y - - - - - - y - -
WITHIN                y y y - - - - y - - -
SORT                  y y y - - - - - - - -
SORT=DISPLAY          y y y - - - - - - - -
ESORT                 y y y - - - - - - - -
THREAD=REFERENCES     y y y - - - - - - - -
THREAD=ORDEREDSUBJECT y y - - - - - - - - -
MULTIAPPEND           y y y - - - - y y - -
REPLACE               y y - - - - - y - - -
SAVEDATE              y y - - - - - y - - -
PREVIEW               y y y - - - - y - - -
PARTIAL               - y - - - - - - - - -
NOTIFY                c c - - - - - y - - -
METADATA              c y - - - - - y - - -
LIST-METADATA         - y - - - - - y - - -
INPROGRESS            y y - - - - - y - - -
UIDONLY               - y y - - - - y - - -
UIDBATCHES            - - y - - - - - - - -
MESSAGELIMIT          - - y - - - - - - - -
JMAPACCESS            - c y - - - - - - - -
UNAUTHENTICATE        - c y - - - - - - c -
ACL                   c y y - - - - - - - -
LIST-MYRIGHTS         c y - - - - - - - - -
MULTISEARCH           - y - - - - - y - - -
CONTEXT=SEARCH        y - - - - - - - - - -
SEARCH=FUZZY          c y - - - - - - - - -
FILTERS               - - - - - - - - - - -
CATENATE              y y - - - - - - - - -
URLAUTH               c y - - - - - - - - -
XLIST                 - y - y - y - - - - -
X-GM-EXT-1            - - - y - - - - - - -
XAPPLEPUSHSERVICE     - c - - - c - - - - -
AUTH=PLAIN            y c y y c y y y y y -
AUTH=LOGIN            c c - - - - - - y c y
AUTH=XOAUTH2          c c y y y - - - ? c -
AUTH=OAUTHBEARER      c c y y - - - - ? c -
AUTH=SCRAM-SHA-256    c c - - - - - y ? c -
AUTH=SCRAM-SHA-1      c c - - - - - y ? c -
AUTH=CRAM-MD5         c c - - - - - y y c -
AUTH=EXTERNAL         c c - - - - - c ? c -
"""

_WORDS: Mapping[str, str] = MappingProxyType({"y": "yes", "c": "if set", "x": "in part", "?": "?", "-": "–"})


def cells() -> dict[str, dict[str, str]]:
    """Return a letter for each column of each extension, by the name of the extension; ours is the first column."""
    rows = {}
    for line in _OTHERS.split("\n"):
        if line:
            name, *letters = line.split()
            rows[name] = {OURS: our_letter(name), **dict(zip(_COLUMNS, letters, strict=True))}
    return rows


def our_letter(name: str) -> str:
    """Return `y` for what is offered as the gateway comes, `c` for what has to be set, asked for or present."""
    if name not in OFFER:
        return "-"
    return "y" if any(OFFER.is_advertised(name, situation) for situation in _AS_IT_COMES) else "c"


def count(rows: Iterable[Mapping[str, str]], column: str, letters: str) -> int:
    """Return how many rows have one of the letters in a column."""
    return sum(row[column] in letters for row in rows)


def table() -> str:
    """Return the comparison in Markdown."""
    rows = cells()
    columns = (OURS, *_COLUMNS)
    lines = [f"| capability | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    lines += [f"| {name} | {' | '.join(_WORDS[row[column]] for column in columns)} |" for name, row in rows.items()]
    for title, letters in (("**yes**", "y"), ("**yes, or if set**", "yc")):
        lines.append(f"| {title} | {' | '.join(str(count(rows.values(), one, letters)) for one in columns)} |")
    return "\n".join(lines) + "\n"


def with_comparison(page: str) -> str:
    """Return the page with the comparison between its two marks."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError("the page has no marks for the comparison")
    return f"{before}{start}{table()}{end}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_comparison(path.read_text(encoding="utf-8")), encoding="utf-8")
