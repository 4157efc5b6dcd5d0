"""Between the components of a mailbox's name and the name that a client sees, with `/` between the levels."""

from __future__ import annotations

SEPARATOR = "/"
INBOX = "INBOX"


def join(path: tuple[str, ...]) -> str:
    """Return the client's name of a path, without loss whatever the components contain.

    A `/` inside a component becomes `%2F`; a `%` is left alone unless it would then be misread.
    """
    return SEPARATOR.join(_escape(component) for component in path)


def split(name: str) -> tuple[str, ...]:
    """Return the components of a client's name; the reverse of `join`."""
    return tuple(_unescape(component) for component in name.split(SEPARATOR))


def is_valid(name: str) -> bool:
    """Tell whether a client may create a mailbox of that name: no empty level, no control characters, at most 1,000."""
    return (
        0 < len(name) <= 1000
        and all(name.split(SEPARATOR))
        and not any(ord(character) < 0x20 or ord(character) == 0x7F for character in name)
    )


def _escape(component: str) -> str:
    return component.replace("%25", "%2525").replace("%2F", "%252F").replace(SEPARATOR, "%2F")


def _unescape(component: str) -> str:
    pieces: list[str] = []
    position = 0
    while position < len(component):
        escape = component[position : position + 3]
        if escape == "%2F":
            pieces.append(SEPARATOR)
        elif escape == "%25" and component[position + 3 : position + 5] in ("25", "2F"):
            pieces.append("%")
        else:
            pieces.append(component[position])
            position += 1
            continue
        position += 3
    return "".join(pieces)
