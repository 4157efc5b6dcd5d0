"""What is appended at Graph, which keeps no octets: the gateway serves those, the server keeps what they say."""

from __future__ import annotations

import base64
import email
import email.policy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.corpus.generate import messages
from tests.e2e.gateway_process import GatewayProcess
from tests.e2e.graph_server import GraphBack, GraphServer, flags_of, running_graph_server
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message, multipart
from tests.e2e.waiting import equals, eventually
from tests.fakes.graph.records import Message

CORPUS = 30
LARGE_OCTETS = 20_000_000
FLAGS = frozenset({"\\Seen", "\\Flagged", "\\Answered", "$Forwarded"})


@dataclass(frozen=True, slots=True)
class Sample:
    """A message to append; `moment` is its internal date."""

    data: bytes
    flags: frozenset[str]
    moment: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A gateway and the stand-in behind it."""

    gateway: GatewayProcess
    server: GraphServer
    back: GraphBack

    def client(self) -> RawClient:
        return RawClient.logged_in(self.gateway.endpoint("login"), timeout_s=60.0)


@pytest.fixture
def line(tmp_path: Path, is_direct: bool) -> Iterator[Line]:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    with running_graph_server() as server:
        address = server.fake.options.address
        account = server.declared("login", "password of login", address, poll_interval_s=1)
        gateway = GatewayProcess(tmp_path, [account])
        gateway.start()
        try:
            yield Line(gateway, server, GraphBack(server, address))
        finally:
            gateway.stop()


def all_kinds() -> list[Sample]:
    """Return mail of every kind there is: what people write, and what is signed, sealed, nested, broken or large."""
    chosen = [
        Sample(each.data, _held(each.flags), each.internal_date.replace(microsecond=0)) for each in messages(CORPUS, 7)
    ]
    began = chosen[-1].moment + timedelta(days=1)
    made = [multipart(1), _sealed(), _signed(), _nested(), _eight_bit(), _bare(), _large()]
    return chosen + [
        Sample(data, frozenset({"\\Seen"}) if number % 2 else frozenset(), began + timedelta(minutes=number))
        for number, data in enumerate(made)
    ]


def _held(flags: frozenset[str]) -> frozenset[str]:
    return frozenset(flags & FLAGS)


def _head(name: str, kind: str) -> bytes:
    return (
        f"From: Ada Example <{name}@example.org>\r\nTo: Bo <bo@example.net>\r\nSubject: {name}\r\n"
        f"Date: Tue, 04 Mar 2025 09:30:00 +0200\r\nMessage-ID: <{name}@kinds.example.org>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: {kind}\r\n"
    ).encode()


def _sealed() -> bytes:
    head = _head("sealed", 'application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"')
    return head + b"Content-Transfer-Encoding: base64\r\n\r\n" + _lines(bytes(range(256)) * 20)


def _signed() -> bytes:
    kind = 'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="s"'
    inner = b"--s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nSigned. \r\n  \r\n--s\r\n"
    signature = (
        b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return _head("signed", kind) + b"\r\n" + inner + signature + _lines(bytes(range(200))) + b"--s--\r\n"


def _nested() -> bytes:
    data = _head("innermost", "text/plain; charset=utf-8") + "\r\nGanz innen: größer.\r\n".encode()
    for depth in range(3):
        head = _head(f"depth{depth}", f'multipart/mixed; boundary="b{depth}"') + f"\r\n--b{depth}\r\n".encode()
        data = head + b"Content-Type: message/rfc822\r\n\r\n" + data + f"\r\n--b{depth}--\r\n".encode()
    return data


def _eight_bit() -> bytes:
    return _head("eight", "text/plain; charset=iso-8859-15") + b"\r\n" + bytes(range(160, 256)) + b"\r\n\r\n..\r\n.\r\n"


def _bare() -> bytes:
    return b"From: nobody@example.org\r\nMessage-ID: <bare@kinds.example.org>\r\n\r\nno line end"


def _large() -> bytes:
    line = b"A" * 76 + b"\r\n"
    head = _head("large", "application/octet-stream; name=large.bin") + b"Content-Transfer-Encoding: base64\r\n\r\n"
    return head + line * ((LARGE_OCTETS - len(head)) // len(line))


def _lines(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def read_all(client: RawClient, mailbox: str, uids: list[int]) -> dict[int, bytes]:
    """Return the octets by UID; each size that is told is theirs."""
    client.select(mailbox)
    found: dict[int, bytes] = {}
    for uid in uids:
        (row,) = client.command(f"UID FETCH {uid} (UID RFC822.SIZE BODY.PEEK[])").fetched()
        body = row.items["BODY[]"]
        assert isinstance(body, bytes)
        assert row.items["RFC822.SIZE"] == len(body)
        found[uid] = body
    return found


def test_every_kind_of_mail_reads_back_octet_for_octet_and_the_server_keeps_what_it_says(line: Line) -> None:
    samples = all_kinds()
    with line.client() as client:
        uids = [_append(client, "INBOX", each) for each in samples]
        given = {uid: each.data for uid, each in zip(uids, samples, strict=True)}
        assert sorted(uids) == uids
        assert read_all(client, "INBOX", uids) == given
        shown = client.fetch("1:*", "(ENVELOPE BODYSTRUCTURE INTERNALDATE)"), client.flags()
    for each in samples:
        _assert_kept(each, _at_server(line, each))
    line.gateway.kill()
    line.gateway.start()
    with line.client() as client:
        assert read_all(client, "INBOX", uids) == given
        assert (client.fetch("1:*", "(ENVELOPE BODYSTRUCTURE INTERNALDATE)"), client.flags()) == shown
        # Looked at again and again, the server's own octets are none of these messages'.
        line.back.append("INBOX", message(500))
        eventually(partial(client.status, "INBOX", "MESSAGES"), equals({"MESSAGES": len(samples) + 1}), within_s=30)
        assert read_all(client, "INBOX", uids) == given


def _append(client: RawClient, mailbox: str, sample: Sample) -> int:
    date = sample.moment.strftime("%d-%b-%Y %H:%M:%S %z")
    return client.append(mailbox, sample.data, f"({' '.join(sorted(sample.flags))})", date)


def _at_server(line: Line, sample: Sample) -> Message:
    message_id = str(_parsed(sample)["Message-ID"]).strip()
    (found,) = line.server.thread.call(lambda: line.server.fake.mailbox.with_message_id(message_id))
    assert found.folder is line.server.fake.folder("inbox")
    return found


def _parsed(sample: Sample) -> email.message.EmailMessage:
    return email.message_from_bytes(sample.data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=email.policy.default)


def _assert_kept(sample: Sample, kept: Message) -> None:
    """See that date, read state and flags, and who it is from are what they were."""
    assert kept.received == sample.moment.astimezone(UTC)
    assert not kept.is_draft
    held = flags_of(kept)
    assert held & {"\\Seen", "\\Flagged"} == sample.flags & {"\\Seen", "\\Flagged"}
    done = sample.flags & {"\\Answered", "$Forwarded"}
    assert bool(held & done) == bool(done)
    author = kept.content.envelope.author
    assert author is not None
    assert author[1] == _parsed(sample)["From"].addresses[0].addr_spec


@pytest.mark.long
@pytest.mark.parametrize("fault", [{"is_cut": True}, {"status": 503}, {"status": 504}], ids=["cut", "503", "504"])
def test_an_append_whose_answer_is_lost_is_there_once(line: Line, fault: dict[str, bool | int]) -> None:
    fake = line.server.fake
    with line.client() as client:
        uid = client.append("INBOX", message(1))
        line.server.thread.call(lambda: fake.fail_next("folder-messages.create", **fault, is_after_work=True))
        content = b"F" + message(2)[1:]
        reply = client.command("APPEND INBOX {}", content)
        if not reply.is_ok:
            assert reply.status.code == "UNAVAILABLE"
            reply = client.ok("APPEND INBOX {}", content)
        second = int(reply.codes()["APPENDUID"].split()[1])
        assert read_all(client, "INBOX", [uid, second]) == {uid: message(1), second: content}
        assert client.status("INBOX", "MESSAGES") == {"MESSAGES": 2}
    assert len(line.back.messages("INBOX")) == 2


@pytest.mark.long
def test_a_draft_stays_a_draft(line: Line) -> None:
    with line.client() as client:
        first = client.append("Drafts", message(1), "(\\Draft \\Seen)")
        line.gateway.stop()
    line.gateway.start()
    with line.client() as client:
        assert read_all(client, "Drafts", [first]) == {first: message(1)}
    (kept,) = line.back.messages("Drafts")
    assert kept.is_draft
    assert kept.content.envelope.message_id == "<1@seed.example.org>"
