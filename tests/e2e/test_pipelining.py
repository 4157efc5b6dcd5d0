"""Clients that are in a hurry, in pieces or out of their mind, over a bare socket."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, pairwise

import pytest

from tests.e2e.client_scenarios import contents
from tests.e2e.endpoint import Stage
from tests.e2e.raw_client import ConnectionEnded, RawClient
from tests.e2e.raw_values import Continuation, Fetched, Status, Value
from tests.e2e.seeds import message, mixed
from tests.e2e.settling import settled


@pytest.fixture
def fresh(stage: Stage) -> Iterator[RawClient]:
    """A connection on which nothing has been read or written."""
    with RawClient(stage.front) as client:
        yield client


@pytest.fixture
def front(stage: Stage) -> Iterator[RawClient]:
    with RawClient.logged_in(stage.front) as client:
        yield client


def login_line(stage: Stage, tag: str = "a") -> bytes:
    return f'{tag} LOGIN "{stage.front.login}" "{stage.front.password}"\r\n'.encode()


def test_a_login_sent_before_the_greeting_is_answered_after_it(stage: Stage, fresh: RawClient) -> None:
    fresh.send(login_line(stage) + b"b SELECT INBOX\r\nc LOGOUT\r\n")
    assert fresh.greeting().kind == "OK"
    assert fresh.read_until("a").is_ok
    assert fresh.read_until("b").is_ok
    reply = fresh.read_until("c")
    assert [item.kind for item in reply.untagged if isinstance(item, Status)] == ["BYE"]
    assert fresh.read_to_end() == []


def test_a_login_by_literals_that_come_octet_by_octet(stage: Stage, fresh: RawClient) -> None:
    fresh.greeting()
    login, password = stage.front.login.encode(), stage.front.password.encode()
    for octet in b"a LOGIN {%d}\r\n" % len(login):
        fresh.send(bytes([octet]))
    assert isinstance(fresh.next_response(), Continuation)
    for octet in login + b" {%d}\r\n" % len(password):
        fresh.send(bytes([octet]))
    assert isinstance(fresh.next_response(), Continuation)
    for octet in password + b"\r\n":
        fresh.send(bytes([octet]))
    assert fresh.read_until("a").is_ok


def test_an_append_in_pieces_is_stored_whole(stage: Stage, front: RawClient) -> None:
    content = message(1, lines=200)
    command = b"a APPEND INBOX (\\Seen) {%d+}\r\n" % len(content) + content + b"\r\n"
    cuts = [0, 5, 30, 31, 33, 40, 500, len(command) - 3, len(command) - 1, len(command)]
    for start, end in pairwise(cuts):
        front.send(command[start:end])
    assert front.read_until("a").is_ok
    assert list(contents(front, "INBOX").values()) == [content]


def test_a_thousand_commands_in_one_write_are_all_answered(stage: Stage, front: RawClient) -> None:
    """In whatever order, as RFC 9051 section 5.5 allows; Dovecot does not wait for a FETCH before it answers STATUS."""
    with RawClient.logged_in(stage.back) as back:
        back.append_many("INBOX", mixed(20))
    settled(stage, "INBOX")
    front.select("INBOX")
    lines = {
        "NOOP": "OK",
        "UID FETCH 1:* (UID FLAGS)": "OK",
        "FETCH 1 (ENVELOPE BODYSTRUCTURE)": "OK",
        'STATUS "No such mailbox" (MESSAGES)': "NO",
        "NONSENSE": "BAD",
    }
    sent = {f"p{number}": line for number, line in zip(range(1000), cycle(lines), strict=False)}
    front.send("".join(f"{tag} {line}\r\n" for tag, line in sent.items()).encode())
    answered: dict[str, str] = {}
    rows = 0
    while len(answered) < len(sent):
        response = front.next_response()
        if isinstance(response, Fetched) and "FLAGS" in response.items:
            rows += 1
        elif isinstance(response, Status) and response.tag != "*":
            assert response.tag not in answered
            answered[response.tag] = response.kind
    assert answered == {tag: lines[line] for tag, line in sent.items()}
    assert rows == 200 * 20


def test_bodies_asked_for_all_at_once_are_sent_whole(stage: Stage, front: RawClient) -> None:
    """The server's output is far above what the socket holds before the client begins to read."""
    messages = [message(number, lines=3000) for number in range(1, 21)]
    with RawClient.logged_in(stage.back) as back:
        back.append_many("INBOX", messages)
    settled(stage, "INBOX")
    front.select("INBOX")
    front.send(b"".join(b"p%d UID FETCH %d BODY.PEEK[]\r\n" % (uid, uid) for uid in range(1, 21)))
    front.send(b"q UID FETCH 1:* BODY.PEEK[]\r\n")
    answered: dict[str, str] = {}
    rows: list[Value] = []
    while len(answered) < 21:
        response = front.next_response()
        if isinstance(response, Fetched):
            assert response.items["BODY[]"] == messages[response.number - 1]
            rows.append(response.items["UID"])
        elif isinstance(response, Status):
            answered[response.tag] = response.kind
    assert set(answered.values()) == {"OK"}
    assert Counter(rows) == dict.fromkeys(range(1, 21), 2)


def test_an_empty_line_before_a_command_does_no_harm(front: RawClient) -> None:
    front.send(b"\r\na NOOP\r\n")
    responses = []
    while not (isinstance(response := front.next_response(), Status) and response.tag == "a"):
        responses.append(response)
    assert response.kind == "OK"
    assert all(isinstance(item, Status) and item.kind == "BAD" for item in responses)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\xff\xfe\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\r\n",
        b"a FETCH 1 (((((((((((((((((\r\n",
        b'a LOGIN "unterminated\r\n',
        b"{9999999999999999999}\r\n",
        b"a" * 20_000 + b"\r\n",
    ],
)
def test_garbage_does_no_harm_to_anybody_else(stage: Stage, fresh: RawClient, garbage: bytes) -> None:
    fresh.greeting()
    fresh.send(garbage + b"z LOGOUT\r\n")
    kinds = {response.kind for response in fresh.read_to_end() if isinstance(response, Status)}
    assert kinds <= {"BAD", "BYE", "OK"}
    with RawClient.logged_in(stage.front) as client:
        assert client.select("INBOX").is_ok


def test_the_connection_goes_on_after_a_syntax_error(front: RawClient) -> None:
    for line in ("SELECT", "FETCH 1 (FLAGS", "UID", "STORE 1 +FLAGS", 'LIST "" "', "SEARCH CHARSET", "UID NOOP 1"):
        assert front.command(line).status.kind == "BAD", line
    assert front.ok("NOOP").is_ok


def test_a_client_that_vanishes_in_the_middle_of_a_literal_stores_nothing(stage: Stage) -> None:
    with RawClient.logged_in(stage.front) as front:
        front.send(b"a APPEND INBOX {1000+}\r\nSubject: cut short\r\n\r\n")
    with RawClient.logged_in(stage.front) as other:
        other.append("INBOX", message(1))
        assert list(contents(other, "INBOX").values()) == [message(1)]
    with RawClient.logged_in(stage.back) as back:
        assert list(contents(back, "INBOX").values()) == [message(1)]


def test_a_client_that_vanishes_while_it_is_sent_bodies_leaves_the_server_well(stage: Stage) -> None:
    with RawClient.logged_in(stage.back) as back:
        back.append_many("INBOX", [message(number, lines=5000) for number in range(5)])
    settled(stage, "INBOX")
    for _ in range(3):
        with RawClient.logged_in(stage.front) as front:
            front.select("INBOX")
            front.send(b"a UID FETCH 1:* BODY.PEEK[]\r\n")
            front.next_response()
    with RawClient.logged_in(stage.front) as front:
        front.select("INBOX")
        assert len(front.fetch("1:*", "(BODY.PEEK[])")) == 5


def test_a_client_that_only_closes_its_sending_side_gets_its_answers(stage: Stage) -> None:
    with socket.create_connection((stage.front.host, stage.front.port), 30) as sock:
        sock.sendall(login_line(stage) + b"b NOOP\r\nc LOGOUT\r\n")
        sock.shutdown(socket.SHUT_WR)
        received = b""
        while block := sock.recv(1 << 16):
            received += block
    assert b"\r\nb OK" in received
    assert b"\r\nc OK" in received


def test_done_without_idle_is_only_a_bad_command(front: RawClient) -> None:
    front.send(b"DONE\r\nb NOOP\r\n")
    first = front.next_response()
    assert isinstance(first, Status)
    assert first.kind == "BAD"
    assert front.read_until("b").is_ok


def test_two_hundred_selects_in_a_row(front: RawClient) -> None:
    front.send(b"".join(b"s%d SELECT INBOX\r\n" % number for number in range(200)))
    for number in range(200):
        assert front.read_until(f"s{number}").numbered("EXISTS") == [0]


def test_eighteen_connections_of_one_user_at_once(stage: Stage) -> None:
    clients: list[RawClient] = []
    try:
        for _ in range(18):
            clients.append(RawClient.logged_in(stage.front))
            clients[-1].select("INBOX")
        uid = clients[0].append("INBOX", message(1))
        for client in clients:
            client.ok("NOOP")
            assert client.search() == [uid]
    finally:
        for client in clients:
            client.close()


def test_logout_ends_the_connection(front: RawClient) -> None:
    reply = front.ok("LOGOUT")
    assert [item.kind for item in reply.untagged if isinstance(item, Status)] == ["BYE"]
    with pytest.raises(ConnectionEnded):
        front.next_response()
