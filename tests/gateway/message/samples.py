"""The messages that several tests of this folder look at."""

from __future__ import annotations

from pathlib import Path

VECTORS = Path(__file__).parents[2] / "vectors" / "mail"


def vector(name: str) -> bytes:
    """Return the octets of one broken or unusual message."""
    return (VECTORS / f"{name}.eml").read_bytes()


def vectors() -> dict[str, bytes]:
    """Return all of them by name, in the order of their names."""
    return {path.stem: path.read_bytes() for path in sorted(VECTORS.glob("*.eml"))}


def many_parts(count: int) -> bytes:
    """A flat multipart of `count` parts."""
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * count + b"--b--\r\n"


def nested_multiparts(depth: int) -> bytes:
    """Multiparts in each other, with text in the innermost; every boundary is closed."""
    opening, closing = b"", b""
    for level in range(depth):
        boundary = b"level%d." % level
        opening += b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n--%b\r\n' % (boundary, boundary)
        closing = b"\r\n--%b--\r\n" % boundary + closing
    return opening + b"\r\nText." + closing


def nested_messages(depth: int) -> bytes:
    """Messages in each other, with text in the innermost."""
    return b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: innermost\r\n\r\nText.\r\n"
