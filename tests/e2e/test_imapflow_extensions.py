"""imapflow in front, and the extensions that it asks for: each was really used on the wire, and did what it is for."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.back import Back, open_back
from tests.e2e.backends import Backend, over_gmail_too
from tests.e2e.clients.imapflow_client import ImapflowClient, ImapflowError, missing_part
from tests.e2e.endpoint import Stage
from tests.e2e.seeds import message, multipart
from tests.e2e.settling import settled
from tests.e2e.waiting import eventually
from tests.e2e.wiretap import Wiretap, wiretap

pytestmark = [
    over_gmail_too,
    pytest.mark.skipif(missing_part() is not None, reason=missing_part() or ""),
]


@pytest.fixture(autouse=True)
def _gateway_only(is_direct: bool) -> None:
    if is_direct:
        pytest.skip("is about what the gateway offers: not every server has these extensions")


@pytest.fixture
def back(stage: Stage) -> Iterator[Back]:
    with open_back(stage) as back:
        yield back


@pytest.fixture
def tap(stage: Stage) -> Iterator[Wiretap]:
    with wiretap(stage.front) as tap:
        yield tap


def uids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["uid"] for row in rows]


def test_mailbox_is_opened_with_what_changed_and_vanished_since(stage: Stage, back: Back, tap: Wiretap) -> None:
    """QRESYNC (RFC 7162 section 3.2.5): the client was away meanwhile."""
    for number in range(1, 6):
        back.append("INBOX", message(number))
    settled(stage, "INBOX")
    with ImapflowClient(stage.front, qresync=True) as client:
        known = client.call("open", "INBOX")
    _, second, _, fourth, fifth = sorted(back.contents("INBOX"))
    back.expunge("INBOX", second)
    back.expunge("INBOX", fifth)
    back.store("INBOX", fourth, add="\\Flagged")
    settled(stage, "INBOX")
    with ImapflowClient(stage.front) as other:
        eventually(lambda: other.flags("INBOX"), lambda seen: seen.keys() == {1, 3, 4} and "\\Flagged" in seen[4])

    with ImapflowClient(tap.endpoint, qresync=True) as client:
        assert "QRESYNC" in client.call("enabled")
        since = {"uidValidity": known["uidValidity"], "changedSince": known["highestModseq"]}
        opened = client.call("open", "INBOX", since)
        told = client.call("told")
    assert opened["qresync"] is True
    assert opened["uidValidity"] == known["uidValidity"]
    assert int(opened["highestModseq"]) > int(known["highestModseq"])
    assert opened["exists"] == 3
    assert [(event["uid"], event["earlier"]) for event in told if event["what"] == "expunge"] == [(2, True), (5, True)]
    assert [(event["uid"], event["flags"]) for event in told if event["what"] == "flags"] == [(4, ["\\Flagged"])]
    wire = tap.wire()
    assert f"SELECT INBOX (QRESYNC ({known['uidValidity']} {known['highestModseq']}))\r\n" in wire.sent
    assert "* VANISHED (EARLIER) 2,5\r\n" in wire.received


def test_fetch_of_what_changed_tells_what_vanished(stage: Stage, back: Back, tap: Wiretap) -> None:
    """QRESYNC (RFC 7162 section 3.2.6): UID FETCH with CHANGEDSINCE and VANISHED."""
    for number in range(1, 5):
        back.append("INBOX", message(number))
    settled(stage, "INBOX")
    with ImapflowClient(tap.endpoint, qresync=True) as client, ImapflowClient(stage.front) as other:
        modseq = client.call("open", "INBOX")["highestModseq"]
        other.delete("INBOX", 4)
        other.add_flags("INBOX", 2, "\\Seen")
        told = client.call("told")
        changed = client.call("fetch", "1:*", {"flags": True}, {"uid": True, "changedSince": modseq})
        told_again = client.call("told")
    gone = [(event["uid"], event["earlier"]) for event in (*told, *told_again) if event["what"] == "expunge"]
    # The highest of all is among those: `*` does not end at what is left.
    assert gone == [(4, False), (4, True)]
    assert [(row["uid"], row["flags"]) for row in changed] == [(2, ["\\Seen"])]
    assert int(changed[0]["modseq"]) > int(modseq)
    wire = tap.wire()
    assert f"(CHANGEDSINCE {modseq} VANISHED)\r\n" in wire.sent
    assert "* VANISHED (EARLIER) 4\r\n" in wire.received
    assert not re.search(r"^\* \d+ EXPUNGE\r$", wire.received, re.MULTILINE)


def test_messages_vanish_under_the_eyes_of_the_client(stage: Stage, back: Back, tap: Wiretap) -> None:
    """QRESYNC (RFC 7162 section 3.2.10.2): VANISHED in place of EXPUNGE, by UID."""
    for number in range(1, 4):
        back.append("INBOX", message(number))
    settled(stage, "INBOX")
    with ImapflowClient(tap.endpoint, qresync=True) as client, ImapflowClient(stage.front) as other:
        client.call("open", "INBOX")
        other.delete("INBOX", 1)
        told = client.call("told")
        assert uids(client.call("fetch", "1:*", {"uid": True}, {})) == [2, 3]
    (gone,) = [event for event in told if event["what"] == "expunge"]
    assert (gone["uid"], gone["vanished"], gone["earlier"]) == (1, True, False)
    assert "* VANISHED 1\r\n" in tap.wire().received


def test_message_is_known_again_by_its_emailid_where_it_was_moved_to(stage: Stage, back: Back, tap: Wiretap) -> None:
    """OBJECTID (RFC 8474)."""
    back.create("Box")
    back.append("INBOX", message(1))
    back.append("INBOX", message(2))
    settled(stage, "INBOX", "Box")
    with ImapflowClient(tap.endpoint) as client:
        inbox = client.call("open", "INBOX")["mailboxId"]
        before = {
            row["uid"]: row for row in client.call("fetch", "1:*", {"uid": True, "threadId": True}, {"uid": True})
        }
        ids = {uid: row["emailId"] for uid, row in before.items()}
        assert all(re.fullmatch("[A-Za-z0-9_-]{1,255}", one) for one in ids.values())
        assert ids[1] != ids[2]
        client.move("INBOX", 1, "Box")
        box = client.call("open", "Box")["mailboxId"]
        assert box != inbox
        (moved,) = client.call("fetch", "1:*", {"uid": True, "threadId": True}, {"uid": True})
        assert moved["emailId"] == ids[1]
        # Of Dovecot's messages the gateway knows no thread: THREADID is NIL (section 5.2).
        assert ("threadId" in moved) == (stage.backend is not Backend.DOVECOT)
        assert client.call("find", {"emailId": ids[1]}) == [moved["uid"]]
        assert client.call("find", {"emailId": ids[2]}) == []
    wire = tap.wire()
    assert re.search(r"UID FETCH 1:\* \([^)]*EMAILID[^)]*THREADID", wire.sent)
    assert f"UID SEARCH EMAILID {ids[1]}\r\n" in wire.sent
    assert f"* OK [MAILBOXID ({inbox})]" in wire.received
    assert f"EMAILID ({ids[1]})" in wire.received


def test_search_is_answered_by_the_page(stage: Stage, back: Back, tap: Wiretap) -> None:
    """PARTIAL (RFC 9394 section 3.1)."""
    back.append_many("INBOX", [message(number) for number in range(1, 13)])
    settled(stage, "INBOX")
    with ImapflowClient(tap.endpoint) as client:
        client.call("open", "INBOX")
        first = client.call("find", {"all": True}, {"returnOptions": ["COUNT", {"partial": "1:5"}]})
        last = client.call("find", {"all": True}, {"returnOptions": [{"partial": "-1:-5"}]})
        beyond = client.call("find", {"all": True}, {"returnOptions": [{"partial": "20:29"}]})
    assert first == {"count": 12, "partial": {"range": "1:5", "messages": "1:5"}}
    assert last["partial"]["messages"] == "8:12"
    assert not beyond["partial"]["messages"]
    wire = tap.wire()
    assert "UID SEARCH RETURN (COUNT PARTIAL 1:5) ALL\r\n" in wire.sent
    assert "UID PARTIAL (1:5 1:5)" in wire.received
    assert "UID PARTIAL (-1:-5 8:12)" in wire.received
    assert "UID PARTIAL (20:29 NIL)" in wire.received


def test_everything_after_compress_is_compressed(stage: Stage, back: Back, tap: Wiretap) -> None:
    """COMPRESS=DEFLATE (RFC 4978)."""
    back.append_many("INBOX", [message(1), multipart(2), message(3, lines=3000)])
    settled(stage, "INBOX")
    with ImapflowClient(tap.endpoint) as client:
        assert stage.agrees(client.messages("INBOX"), back.contents("INBOX"))
        client.append("INBOX", message(4, lines=3000))
        assert client.messages("INBOX")[4] == message(4, lines=3000)
    wire = tap.wire()
    assert wire.is_compressed
    assert "LOGOUT\r\n" in wire.sent.rpartition("COMPRESS DEFLATE\r\n")[2]
    assert "SELECT INBOX\r\n" in wire.sent.rpartition("COMPRESS DEFLATE\r\n")[2]
    assert "* BYE" in wire.received


def test_decoded_part_is_the_same_as_the_encoded_one(stage: Stage, back: Back, tap: Wiretap) -> None:
    """BINARY (RFC 3516): the gateway undoes base64, and sends octets that are 0 in a literal8."""
    back.append("INBOX", multipart(1))
    settled(stage, "INBOX")
    with ImapflowClient(tap.endpoint) as client:
        client.call("open", "INBOX")
        (row,) = client.call("fetch", "1", {"uid": True, "bodyParts": ["2", "1.2"]}, {"uid": True, "binary": True})
        decoded_by_client = client.call("download", 1, "2", {})
    assert b64decode(decoded_by_client) == bytes(range(12))
    assert row["bodyParts"]["2"] == b64encode(bytes(range(12))).decode()
    assert b64decode(row["bodyParts"]["1.2"]) == "<p>Äpfel</p>".encode()
    assert row["binaryParts"] == ["1.2", "2"]
    wire = tap.wire()
    assert "BINARY.PEEK[2]" in wire.sent
    assert "BINARY[2] ~{12}\r\n" in wire.received
    assert "BODY.PEEK[2]" in wire.sent


def test_message_with_octets_that_are_0_is_appended_as_a_literal8(stage: Stage, back: Back, tap: Wiretap) -> None:
    """BINARY (RFC 3516 section 4.4): such a message is kept as it is, or refused with the reason; never changed."""
    content = (
        b"Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Transfer-Encoding: binary\r\n\r\n\x00\x01\x02\r\n"
    )
    with ImapflowClient(tap.endpoint) as client:
        client.call("open", "INBOX")
        try:
            client.append("INBOX", content)
        except ImapflowError:
            assert back.contents("INBOX") == {}
            assert re.search(r"^\S+ NO \[UNKNOWN-CTE\] ", tap.wire().received, re.MULTILINE)
        else:
            (row,) = client.call("fetch", "1", {"uid": True, "bodyParts": ["1"]}, {"uid": True, "binary": True})
            assert b64decode(row["bodyParts"]["1"]) == b"\x00\x01\x02\r\n"
            # A literal cannot hold what a literal8 can.
            assert list(client.messages("INBOX").values()) == [content.replace(b"\x00", b"\x80")]
    assert "~{" in tap.wire().sent
