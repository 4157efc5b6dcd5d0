"""The file `subscriptions` as Dovecot keeps it: names of mailboxes as on disk, whether or not they exist.

Two formats are read. The older has a name on each line; the newer, since Dovecot 2.2.33, begins with a line `V TAB 2`
and an empty one, and has the components of each name between TABs. The newer is written.
"""

from __future__ import annotations

from collections.abc import Iterable

from connectors.maildir.disk import read_text
from connectors.maildir.names import Layout

_VERSION = "V\t2"


def read(path: str, layout: Layout) -> frozenset[str] | None:
    """Return the subscribed names, or None if there is no file: nobody has chosen, and all mailboxes are shown."""
    text = read_text(path)
    if text is None:
        return None
    lines = text.split("\n")
    if lines[0] != _VERSION:
        return frozenset(filter(None, lines))
    return frozenset(layout.separator.join(map(_untabbed, line.split("\t"))) for line in lines[1:] if line)


def render(names: Iterable[str], layout: Layout) -> bytes:
    """Return the file for these names."""
    lines = ("\t".join(map(_tabbed, name.split(layout.separator))) + "\n" for name in sorted(names))
    return f"{_VERSION}\n\n{''.join(lines)}".encode("utf-8", "surrogateescape")


def _tabbed(component: str) -> str:
    """Return a component with SOH as the escape for what the format needs itself (Dovecot's str_tabescape)."""
    escaped = component.replace("\1", "\x011").replace("\t", "\1t")
    return escaped.replace("\r", "\1r").replace("\n", "\1n")


def _untabbed(component: str) -> str:
    text = component.replace("\1n", "\n").replace("\1r", "\r")
    return text.replace("\1t", "\t").replace("\x011", "\1")
