"""UID FETCH through the gateway says what UID FETCH on the server says, octet for octet and value for value.

Where we differ from Dovecot on purpose, `DIFFERENCES` of the message tests says why; the few that only show between two
servers are listed here. Cyrus, which the gateway reads by JMAP, has a list of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.corpus.generate import messages
from tests.e2e import cyrus_differences
from tests.e2e.backends import Backend, over_each_backend
from tests.e2e.comparing import FIELDS, Difference, Pair, differences, shown
from tests.e2e.endpoint import Endpoint, Stage
from tests.e2e.gateway_process import Account, GatewayProcess, MaildirAccount
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message, multipart
from tests.e2e.settling import settled
from tests.e2e.waiting import equals, eventually
from tests.gateway.message.differences import DIFFERENCES
from tests.gateway.message.differences import Difference as KnownDifference
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


@over_each_backend
@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [CORPUS // 10, pytest.param(CORPUS, marks=pytest.mark.long)])
def test_varied_messages_are_as_on_the_server(stage: Stage, count: int) -> None:
    # In Cyrus a message that is marked so is in no mailbox of JMAP (RFC 8621 section 4.1.1).
    hidden = {"\\Deleted"} if stage.backend is Backend.CYRUS else set()
    with RawClient.logged_in(stage.back) as back:
        pending = []
        # In the order in which they are numbered where the server tells no UIDs.
        for made in sorted(messages(count, seed=20240202), key=lambda made: made.internal_date):
            tag = back.next_tag()
            date = made.internal_date.strftime("%d-%b-%Y %H:%M:%S %z")
            head = f'{tag} APPEND INBOX ({" ".join(sorted(made.flags - hidden))}) "{date}" {{{len(made.data)}+}}\r\n'
            back.send(head.encode() + made.data + b"\r\n")
            pending.append(tag)
            if len(pending) > 50:
                assert back.read_until(pending.pop(0)).is_ok
        for tag in pending:
            assert back.read_until(tag).is_ok
    found = compared(stage, [f"message {number}" for number in range(count)])
    assert not found, shown(found)


@pytest.mark.timeout(300)
def test_broken_messages_are_as_on_dovecot(tmp_path: Path, is_direct: bool) -> None:
    """The vectors are files of a Maildir, since APPEND would not take all of them."""
    vectors = {path.stem: path.read_bytes() for path in sorted(VECTORS.glob("*.eml"))}
    with (
        dovecot_with(vectors) as backend,
        gateway_to(Account("alice", "secret", backend), tmp_path, is_direct) as front,
    ):
        found = compared(Stage(front or backend, backend), vectors)
    check(found, DIFFERENCES, BETWEEN_SERVERS)
    # A difference that is gone is taken off the list. Dovecot differs from nobody but us.
    assert is_direct or BETWEEN_SERVERS.keys() <= found.keys()


@pytest.mark.parametrize("backend", [Backend.CYRUS], ids=["cyrus"], indirect=True)
@pytest.mark.timeout(300)
def test_broken_messages_are_as_on_cyrus(stage: Stage) -> None:
    taken, refused = [], {}
    with RawClient.logged_in(stage.back) as back:
        for number, path in enumerate(sorted(VECTORS.glob("*.eml"))):
            moment = f"02-Feb-2024 12:{number // 60:02}:{number % 60:02} +0100"
            reply = back.command(f'APPEND INBOX (\\Seen $Test) "{moment}" {{}}', path.read_bytes())
            if reply.is_ok:
                taken.append(path.stem)
            else:
                refused[path.stem] = reply.status.text
    assert refused == cyrus_differences.REFUSED
    found = compared(stage, taken)
    check(found, cyrus_differences.DIFFERENCES, {})
    known = {(name, item) for each in cyrus_differences.DIFFERENCES for name in each.vectors for item in each.items}
    # A difference that is gone is taken off the list. Cyrus differs from nobody but us.
    assert stage.is_direct or known == {(name, whole_of(item)) for name, item in found}


@pytest.mark.timeout(300)
def test_a_maildir_is_served_as_dovecot_serves_it(tmp_path: Path, is_direct: bool) -> None:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    contents = {path.stem: path.read_bytes() for path in sorted(VECTORS.glob("*.eml"))}
    contents |= {f"message {number}": made.data for number, made in enumerate(messages(300, seed=20240203))}
    deliver(tmp_path, contents)
    account = MaildirAccount("alice", "secret", tmp_path / "Maildir")
    with dovecot_with(contents) as backend, gateway_to(account, tmp_path, is_direct) as front:
        assert front
        found = compared(Stage(front, backend), contents)
    check(found, DIFFERENCES, BETWEEN_SERVERS)


@contextmanager
def dovecot_with(contents: Mapping[str, bytes]) -> Iterator[Endpoint]:
    """Run a Dovecot over Maildirs, with an account whose inbox is made of these files."""
    with running_dovecot(storage="maildir:~/Maildir") as server:
        user = server.fresh_user()
        home = server.log.parent / "mail" / user
        deliver(home, contents)
        owner = home.parent.stat()
        for path in (home, *home.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        yield Endpoint(server.host, server.port, user, PASSWORD)


@contextmanager
def gateway_to(account: Account | MaildirAccount, directory: Path, is_direct: bool) -> Iterator[Endpoint | None]:
    """Run a gateway of its own for an account; none if everything is done directly."""
    if is_direct:
        yield None
        return
    gateway = GatewayProcess(directory / "gateway", [account])
    try:
        gateway.start()
        yield gateway.endpoint(account.login)
    finally:
        gateway.stop()


def compared(stage: Stage, contents: Iterable[str]) -> dict[tuple[str, str], Difference]:
    """Return the differences in an inbox of these messages, which were put there in this order."""
    names = list(contents)
    with RawClient.logged_in(stage.front) as front, RawClient.logged_in(stage.back) as back:
        eventually(partial(front.status, "INBOX", "MESSAGES"), equals({"MESSAGES": len(names)}), within_s=60)
        pairs = [Pair(*each) for each in zip(names, uids(front), uids(back), strict=True)]
        assert not stage.keeps_uids or all(pair.front == pair.back for pair in pairs)
        return differences(front, back, "INBOX", pairs, is_folded=stage.backend is Backend.CYRUS)


def uids(client: RawClient) -> list[int]:
    client.select("INBOX", "EXAMINE")
    return client.search()


def check(
    found: Mapping[tuple[str, str], Difference],
    known: Iterable[KnownDifference],
    allowed: Mapping[tuple[str, str], str],
) -> None:
    """See that every difference has its reason."""
    listed = {(name, item) for each in known for name in each.vectors for item in each.items}
    unexpected = {
        (name, item): values
        for (name, item), values in found.items()
        if not {(name, item), (name, whole_of(item))} & (listed | allowed.keys())
    }
    assert not unexpected, shown(unexpected)


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
        path = folder / "cur" / f"{1_700_000_000 + number}.M{number}.host:2,"
        path.write_bytes(data)
        # It is the internal date.
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))


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
