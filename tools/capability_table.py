"""Write the table of capabilities into the page named on the command line, from what the code declares."""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.imap.capabilities import OFFER

START = "<!-- written by `make docs` from the declarations beside the code -->\n"
END = "<!-- end -->\n"


def table() -> str:
    """Return the table in Markdown, one row per capability in the order in which they are listed."""
    rows = ["| capability | source | what it is, and what to know about it here |", "| --- | --- | --- |"]
    for one in OFFER:
        condition = "" if one.is_unasked else "Only if `imap.added_capabilities` names it. "
        rows.append(f"| `{one.name}` | {one.source} | {condition}{one.about} |")
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    """Return the page with the table between its two marks."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError("the page has no marks for the table")
    return f"{before}{start}{table()}{end}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
