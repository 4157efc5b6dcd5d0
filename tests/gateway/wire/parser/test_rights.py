from __future__ import annotations

import pytest

from gateway.wire.commands import Command
from gateway.wire.rights import GetAcl, ListRights, MyRights, SetAcl
from tests.gateway.wire.reading import parse, refusal


@pytest.mark.parametrize(
    ("line", "command"),
    [
        # RFC 4314 sections 3.1 to 3.5
        (b"SETACL INBOX/Drafts John lrQswicda".replace(b"Q", b""), SetAcl("INBOX/Drafts", "John", "lrswicda")),
        (b"setacl INBOX/Drafts Chris +lrswicda", SetAcl("INBOX/Drafts", "Chris", "+lrswicda")),
        (b'SETACL Box "" ""', SetAcl("Box", "", "")),
        (b"DELETEACL INBOX Fred", SetAcl("INBOX", "Fred", None)),
        (b"GETACL inbox", GetAcl("INBOX")),
        (b"LISTRIGHTS ~/Mail/saved smith", ListRights("~/Mail/saved", "smith")),
        (b"MYRIGHTS INBOX", MyRights("INBOX")),
    ],
)
def test_commands(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"SETACL INBOX John lrQswicda",
        b"SETACL INBOX John +-l",
        b"SETACL INBOX John",
        b"DELETEACL INBOX",
        b"GETACL",
        b"LISTRIGHTS INBOX",
        b"MYRIGHTS INBOX x",
        b"LISTRIGHTS INBOX {1}\r\n\xff",
    ],
)
def test_what_is_refused(line: bytes) -> None:
    refusal(line)
