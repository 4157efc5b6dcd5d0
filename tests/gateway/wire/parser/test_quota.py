from __future__ import annotations

import pytest

from gateway.wire.commands import Command
from gateway.wire.quota import GetQuota, GetQuotaRoot, SetQuota
from tests.gateway.wire.reading import parse, refusal


@pytest.mark.parametrize(
    ("line", "command"),
    [
        # RFC 9208 sections 4.1.1 to 4.1.3
        (b'GETQUOTA "!partition/sda4"', GetQuota("!partition/sda4")),
        (b'getquota ""', GetQuota("")),
        (b"GETQUOTA {4}\r\n#u\xc3\xa9", GetQuota("#ué")),
        (b"GETQUOTAROOT inbox", GetQuotaRoot("INBOX")),
        (b'SETQUOTA "" (STORAGE 512)', SetQuota("", (("STORAGE", 512),))),
        (
            b'SETQUOTA "#user/alice" (storage 512 MESSAGE 1000)',
            SetQuota("#user/alice", (("STORAGE", 512), ("MESSAGE", 1000))),
        ),
        (b'SETQUOTA "" ()', SetQuota("", ())),
    ],
)
def test_commands(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"GETQUOTA",
        b"GETQUOTAROOT",
        b"GETQUOTAROOT INBOX x",
        b'SETQUOTA ""',
        b'SETQUOTA "" (STORAGE)',
        b'SETQUOTA "" (STORAGE -1)',
        b'SETQUOTA "" (STORAGE 9223372036854775808)',
        b"GETQUOTA {2}\r\n\xff\xfe",
    ],
)
def test_what_is_refused(line: bytes) -> None:
    refusal(line)
