"""The Cyrus that tests run: both its doors show one store, and it goes and comes with its mail."""

from __future__ import annotations

import imaplib
import json
import urllib.request
from base64 import b64encode
from collections.abc import Iterator

import pytest

from tests.servers.cyrus import USUAL_MAILBOXES, Cyrus, running_cyrus

MESSAGE = b"From: alex@example.org\r\nSubject: Hello\r\n\r\nThe word is cucumber.\r\n"
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]


@pytest.fixture(scope="module")
def server() -> Iterator[Cyrus]:
    with running_cyrus() as server:
        yield server


def ask(server: Cyrus, user: str, method: str, arguments: dict[str, object]) -> dict[str, object]:
    """Call one method of JMAP and return the arguments of its answer."""
    login = b64encode(f"{user}:{server.password}".encode()).decode()
    body = json.dumps({"using": USING, "methodCalls": [[method, arguments, "0"]]}).encode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(server.jmap_url, body, headers)) as reply:
        ((name, answer, _),) = json.load(reply)["methodResponses"]
    assert name == method, answer
    assert isinstance(answer, dict)
    return answer


def test_mail_that_came_by_imap_shows_in_jmap(server: Cyrus) -> None:
    user = server.fresh_user()
    server.deliver(user, "INBOX", MESSAGE, [r"\Seen"])
    got = ask(server, user, "Mailbox/get", {"properties": ["role", "totalEmails", "isSubscribed"]})["list"]
    assert isinstance(got, list)
    counts = {box["role"]: box["totalEmails"] for box in got}
    assert counts == {"inbox": 1} | dict.fromkeys(map(str.lower, USUAL_MAILBOXES), 0)
    assert all(box["isSubscribed"] for box in got)


def test_text_is_found_when_it_is_indexed(server: Cyrus) -> None:
    user = server.fresh_user()
    server.deliver(user, "INBOX", MESSAGE)
    server.index(user)
    ids = ask(server, user, "Email/query", {"filter": {"text": "cucumber"}})["ids"]
    assert isinstance(ids, list)
    assert len(ids) == 1


def test_mail_is_there_after_a_restart(server: Cyrus) -> None:
    user = server.fresh_user(mailboxes=())
    server.deliver(user, "INBOX", MESSAGE)
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        server.client(user)
    server.start()
    with server.client(user) as client:
        assert client.list()[1] == [b'(\\HasNoChildren) "/" INBOX']
        assert client.select()[1] == [b"1"]


def test_a_password_may_change(server: Cyrus) -> None:
    user = server.fresh_user()
    server.set_password(user, "another")
    with pytest.raises(imaplib.IMAP4.error):
        server.client(user)
