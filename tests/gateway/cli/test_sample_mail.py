from __future__ import annotations

import email
import email.policy
from collections import Counter
from pathlib import Path

import pytest

from gateway.cli.sample_mail import FOLDERS, SampleMessage, generate, write_maildir


@pytest.fixture(scope="module")
def messages() -> list[SampleMessage]:
    return list(generate())


def test_there_are_some_hundred_messages_in_every_folder(messages: list[SampleMessage]) -> None:
    assert 300 <= len(messages) <= 400
    counts = Counter(message.folder for message in messages)
    assert set(counts) == set(FOLDERS) - {"Archive"}
    assert counts["INBOX"] > 100


def test_every_run_makes_the_same_octets(messages: list[SampleMessage]) -> None:
    assert list(generate()) == messages


def test_the_messages_are_well_formed(messages: list[SampleMessage]) -> None:
    seen = set()
    for message in messages:
        assert b"\r" not in message.content
        parsed = email.message_from_bytes(message.content, policy=email.policy.default)
        assert [part.defects for part in parsed.walk() if part.defects] == []
        assert parsed["Message-ID"] not in seen
        seen.add(parsed["Message-ID"])


def test_the_messages_are_varied(messages: list[SampleMessage]) -> None:
    types: Counter[str] = Counter()
    threads = headers = 0
    for message in messages:
        parsed = email.message_from_bytes(message.content)
        types.update(part.get_content_type() for part in parsed.walk())
        threads += "In-Reply-To" in parsed
        headers += "=?utf-8?" in (parsed["Subject"] or "")
    assert {
        "application/pdf",
        "image/png",
        "message/delivery-status",
        "message/rfc822",
        "multipart/alternative",
        "multipart/mixed",
        "multipart/related",
        "multipart/report",
        "text/calendar",
        "text/html",
        "text/plain",
    } <= set(types)
    assert threads > 50
    assert headers > 20
    assert max(len(message.content) for message in messages) > 3 << 20
    assert {"", "S", "FS", "RS"} <= {message.flags for message in messages}


def test_the_maildir_has_dates_flags_and_folders(tmp_path: Path, messages: list[SampleMessage]) -> None:
    counted: list[int] = []
    total = write_maildir(tmp_path, messages, counted.append)
    assert counted == list(range(1, total + 1))
    files = [path for path in tmp_path.rglob("cur/*") if path.is_file()]
    assert len(files) == total
    for path in files:
        arrived = path.name.partition(".")[0]
        assert int(path.stat().st_mtime) == int(arrived)
        assert f",S={path.stat().st_size}:2," in path.name
    assert (tmp_path / ".Archive.2025" / "maildirfolder").exists()
    assert (tmp_path / "new").is_dir()
