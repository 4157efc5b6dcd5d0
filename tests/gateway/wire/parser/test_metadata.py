from __future__ import annotations

import pytest

from gateway.wire.commands import Command
from gateway.wire.metadata import GetMetadata, SetMetadata
from tests.gateway.wire.reading import parse, refusal


@pytest.mark.parametrize(
    ("line", "command"),
    [
        # RFC 5464 sections 4.2 and 4.3
        (b'GETMETADATA "" /shared/comment', GetMetadata("", ("/shared/comment",))),
        (b'GETMETADATA "INBOX" /Private/Comment', GetMetadata("INBOX", ("/private/comment",))),
        (
            b'GETMETADATA "INBOX" (/shared/comment /private/comment /shared/COMMENT)',
            GetMetadata("INBOX", ("/shared/comment", "/private/comment")),
        ),
        (
            b'GETMETADATA "INBOX" (MAXSIZE 1024) (/shared/comment /private/comment)',
            GetMetadata("INBOX", ("/shared/comment", "/private/comment"), 0, 1024),
        ),
        (
            b'GETMETADATA (DEPTH 1) "INBOX" (/private/filters/values)',
            GetMetadata("INBOX", ("/private/filters/values",), 1),
        ),
        (
            b"GETMETADATA (DEPTH infinity MAXSIZE 0) INBOX {15}\r\n/shared/comment",
            GetMetadata("INBOX", ("/shared/comment",), None, 0),
        ),
        (
            b"SETMETADATA INBOX (/private/comment {33}\r\nMy new comment across\r\ntwo lines.)",
            SetMetadata("INBOX", (("/private/comment", b"My new comment across\r\ntwo lines."),)),
        ),
        (
            b'SETMETADATA INBOX (/private/comment NIL /shared/comment "This one is for you!")',
            SetMetadata("INBOX", (("/private/comment", None), ("/shared/comment", b"This one is for you!"))),
        ),
        (b'SETMETADATA "" (/private/x ~{3}\r\na\0b)', SetMetadata("", (("/private/x", b"a\0b"),))),
    ],
)
def test_commands(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"GETMETADATA",
        b"GETMETADATA INBOX",
        b"GETMETADATA INBOX ()",
        b"GETMETADATA INBOX /comment",
        b"GETMETADATA INBOX /private",
        b"GETMETADATA INBOX /private/",
        b"GETMETADATA INBOX /private//x",
        b'GETMETADATA INBOX "/private/a*"',
        b'GETMETADATA INBOX "/private/%"',
        b"GETMETADATA INBOX {12}\r\n/private/\xc3\xbcx",
        b"GETMETADATA INBOX (DEPTH 2) /private/x",
        b"GETMETADATA INBOX (DEPTH 1 DEPTH 1) /private/x",
        b"GETMETADATA INBOX (DEPTH 1 /private/x) /private/x",
        b"GETMETADATA (DEPTH 1) INBOX (MAXSIZE 1) /private/x",
        b"GETMETADATA INBOX (SIZE 1) /private/x",
        b"SETMETADATA INBOX",
        b"SETMETADATA INBOX ()",
        b"SETMETADATA INBOX (/private/x)",
        b'SETMETADATA INBOX (/private/x "a" /PRIVATE/X "b")',
        b"SETMETADATA INBOX (/private/x atom)",
        b"GETMETADATA INBOX /private/%b" % (b"x" * 1024),
    ],
)
def test_what_is_refused(line: bytes) -> None:
    refusal(line)
