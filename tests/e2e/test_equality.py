"""UID FETCH through the gateway says what UID FETCH on Dovecot says, octet for octet and value for value.

Where we differ on purpose, `DIFFERENCES` of the message tests says why; the few that only show between two servers are
listed here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.corpus.generate import messages
from tests.e2e.comparing import FIELDS, differences, shown
from tests.e2e.endpoint import Endpoint, Stage
from tests.e2e.gateway_process import Account, GatewayProcess
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message, multipart
from tests.e2e.settling import settled
from tests.gateway.message.differences import DIFFERENCES
from tests.servers.dovecot import PASSWORD, running_dovecot

CORPUS = 2000
BETWEEN_SERVERS = {
    ("header-nul", "ENVELOPE"): (
        "Dovecot serves a NUL as 0x80 in headers, and we make the envelope of the header; its own envelope has U+FFFD."
    ),
    ("multipart-boundary-unquoted-with-specials", "BODY[2]"): (
        "The structure is Dovecot's, with a part more than there is in the message as we read it (see DIFFERENCES)."
    ),
    ("multipart-boundary-unquoted-with-specials", "BODY[2.MIME]"): "The same for its header.",
}
VECTORS = Path(__file__).parents[1] / "vectors" / "mail"


@pytest.mark.timeout(300)
def test_two_thousand_varied_messages_are_as_on_dovecot(stage: Stage) -> None:
    with RawClient.logged_in(stage.back) as back:
        pending = []
        for made in messages(CORPUS, seed=20240202):
            tag = back.next_tag()
            date = made.internal_date.strftime("%d-%b-%Y %H:%M:%S %z")
            head = f'{tag} APPEND INBOX ({" ".join(sorted(made.flags))}) "{date}" {{{len(made.data)}+}}\r\n'
            back.send(head.encode() + made.data + b"\r\n")
            pending.append(tag)
            if len(pending) > 50:
                assert back.read_until(pending.pop(0)).is_ok
        for tag in pending:
            assert back.read_until(tag).is_ok
        settled(stage, "INBOX", within_s=60)
        with RawClient.logged_in(stage.front) as front:
            names = {uid: f"message {uid}" for uid in back_uids(back)}
            assert len(names) == CORPUS
            found = differences(front, back, "INBOX", names)
    assert not found, shown(found)


def back_uids(back: RawClient) -> list[int]:
    back.select("INBOX", "EXAMINE")
    return back.search()


@pytest.mark.timeout(300)
def test_broken_messages_are_as_on_dovecot(tmp_path: Path, is_direct: bool) -> None:
    """The vectors are files of a Maildir, since APPEND would not take all of them."""
    vectors = {path.stem: path.read_bytes() for path in sorted(VECTORS.glob("*.eml"))}
    with running_dovecot(storage="maildir:~/Maildir") as server:
        user = server.fresh_user()
        deliver(server.log.parent / "mail" / user, vectors)
        backend = Endpoint(server.host, server.port, user, PASSWORD)
        gateway = None if is_direct else GatewayProcess(tmp_path / "gateway", [Account("alice", "secret", backend)])
        try:
            if gateway:
                gateway.start()
            stage = Stage(gateway.endpoint("alice") if gateway else backend, backend)
            settled(stage, "INBOX", within_s=60)
            with RawClient.logged_in(stage.front) as front, RawClient.logged_in(stage.back) as back:
                names = dict(zip(back_uids(back), vectors, strict=True))
                found = differences(front, back, "INBOX", names)
        finally:
            if gateway:
                gateway.stop()
    listed = {(name, item) for known in DIFFERENCES for name in known.vectors for item in known.items}
    unexpected = {
        (name, item): values
        for (name, item), values in found.items()
        if not {(name, item), (name, whole_of(item))} & (listed | BETWEEN_SERVERS.keys())
    }
    assert not unexpected, shown(unexpected)
    # A difference that is gone is taken off the list. Dovecot differs from nobody but us.
    assert is_direct or BETWEEN_SERVERS.keys() <= found.keys()


def whole_of(item: str) -> str:
    """Return the item under which a difference is listed: of the whole section, for the fields that were asked for."""
    item = re.sub(r"<\d+>$", "", item)
    return item.replace("HEADER.FIELDS (X-NO-SUCH-FIELD)", FIELDS)


def deliver(home: Path, contents: Mapping[str, bytes]) -> None:
    """Put messages into the inbox of a Maildir as files whose octets they are, in this order."""
    folder = home / "Maildir"
    for sub in ("cur", "new", "tmp"):
        (folder / sub).mkdir(parents=True)
    for number, data in enumerate(contents.values()):
        (folder / "cur" / f"{1_700_000_000 + number}.M{number}.host:2,").write_bytes(data)
    owner = home.parent.stat()
    for path in (home, *home.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def test_a_section_that_does_not_exist_is_nil(stage: Stage) -> None:
    """It has no text, so it is NIL (RFC 9051 section 9, `nstring`); Dovecot says that it is empty."""
    with RawClient.logged_in(stage.back) as back:
        back.append("INBOX", message(1))
        back.append("INBOX", multipart(2))
    settled(stage, "INBOX")
    sections = ("3.MIME", "7", "1.1.1.1", "2.HEADER", "2.TEXT", "1.HEADER")
    with RawClient.logged_in(stage.front) as front:
        front.select("INBOX")
        for uid in (1, 2):
            row = front.fetch(str(uid), f"({' '.join(f'BODY.PEEK[{section}]' for section in sections)})")[uid]
            absent = [section for section in sections if not row[f"BODY[{section}]"]]
            assert set(sections) - set(absent) <= ({"3.MIME"} if uid == 2 else set())


def test_a_fetch_of_the_whole_body_marks_the_message_seen(stage: Stage) -> None:
    with RawClient.logged_in(stage.back) as back:
        back.append_many("INBOX", [message(1), message(2)])
        settled(stage, "INBOX")
        with RawClient.logged_in(stage.front) as front:
            front.select("INBOX")
            front.fetch("1", "(BODY.PEEK[])")
            front.fetch("2", "(BODY[])")
            assert front.flags() == {1: frozenset(), 2: {"\\Seen"}}
        back.select("INBOX")
        assert back.flags() == {1: frozenset(), 2: {"\\Seen"}}
