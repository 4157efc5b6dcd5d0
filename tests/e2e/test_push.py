"""News through the gateway against news from the server itself: at most two seconds later.

Cyrus does not push, so these are found by looking every second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.e2e.backends import over_each_backend
from tests.e2e.endpoint import Stage
from tests.e2e.raw_client import RawClient, is_exists, is_expunge, is_flag_change, wait_for_all
from tests.e2e.raw_values import Response
from tests.e2e.seeds import message
from tests.e2e.settling import settled

pytestmark = over_each_backend

BEHIND_S = 2.0
BURST_S = 10.0
BACK_S = 75.0
"""What one announcement may take at the back: Cyrus looks once a minute for what was not signalled to it. The front is
held to `BEHIND_S` after that."""


@pytest.fixture
def back(stage: Stage) -> Iterator[RawClient]:
    with RawClient.logged_in(stage.back) as client:
        yield client


@pytest.fixture
def front(stage: Stage) -> Iterator[RawClient]:
    with RawClient.logged_in(stage.front) as client:
        yield client


def announced_behind(
    stage: Stage,
    mailbox: str,
    cause: Callable[[], object],
    accept: Callable[[Response], bool],
) -> float:
    """Idle at both ends, call `cause`, and return by how many seconds the front told later than the back."""
    with RawClient.logged_in(stage.front) as front, RawClient.logged_in(stage.back) as watcher:
        tags = []
        for client in (front, watcher):
            client.select(mailbox)
            tags.append(client.idle())
        cause()
        at_front, at_back = wait_for_all([front, watcher], accept, within_s=BACK_S)
        for client, tag in zip((front, watcher), tags, strict=True):
            assert client.done(tag).is_ok
    return at_front - at_back


def test_new_mail_is_announced_within_two_seconds_of_the_server(stage: Stage, back: RawClient) -> None:
    for count in range(1, 6):
        behind = announced_behind(stage, "INBOX", partial(back.append, "INBOX", message(count)), is_exists(count))
        assert behind <= BEHIND_S


def test_new_mail_in_another_mailbox_is_announced_while_it_is_open(stage: Stage, back: RawClient) -> None:
    back.ok('CREATE "Lists/Announce"')
    settled(stage, "Lists/Announce")
    behind = announced_behind(stage, "Lists/Announce", lambda: back.append("Lists/Announce", message(1)), is_exists(1))
    assert behind <= BEHIND_S


def test_changed_flags_are_announced_within_two_seconds_of_the_server(stage: Stage, back: RawClient) -> None:
    uid = back.append("INBOX", message(1))
    settled(stage, "INBOX")
    back.select("INBOX")
    behind = announced_behind(
        stage,
        "INBOX",
        lambda: back.ok(rf"UID STORE {uid} +FLAGS.SILENT (\Flagged $Done)"),
        is_flag_change("\\Flagged", "$Done"),
    )
    assert behind <= BEHIND_S


def test_an_expunge_is_announced_within_two_seconds_of_the_server(stage: Stage, back: RawClient) -> None:
    uid = back.append("INBOX", message(1))
    settled(stage, "INBOX")
    back.select("INBOX")

    def expunge() -> None:
        back.ok(rf"UID STORE {uid} +FLAGS.SILENT (\Deleted)")
        back.ok(f"UID EXPUNGE {uid}")

    assert announced_behind(stage, "INBOX", expunge, is_expunge) <= BEHIND_S


def test_a_burst_of_mail_is_announced_to_the_last_message(stage: Stage, back: RawClient) -> None:
    """Measured from the end of the burst: Cyrus itself may tell of the last messages a minute later."""
    with RawClient.logged_in(stage.front) as front:
        front.select("INBOX")
        tag = front.idle()
        back.append_many("INBOX", [message(n) for n in range(60)])
        front.wait_for(is_exists(60), within_s=BURST_S)
        assert front.done(tag).is_ok


def test_what_one_client_does_is_announced_to_another(stage: Stage, front: RawClient) -> None:
    with RawClient.logged_in(stage.front) as idler:
        idler.select("INBOX")
        tag = idler.idle()
        uid = front.append("INBOX", message(1))
        idler.wait_for(is_exists(1), within_s=BEHIND_S)
        front.select("INBOX")
        front.ok(rf"UID STORE {uid} +FLAGS (\Deleted \Seen)")
        idler.wait_for(is_flag_change("\\Deleted", "\\Seen"), within_s=BEHIND_S)
        front.ok("EXPUNGE")
        idler.wait_for(is_expunge, within_s=BEHIND_S)
        assert idler.done(tag).is_ok


def test_mail_that_came_before_idle_is_announced_at_its_start(stage: Stage, back: RawClient, front: RawClient) -> None:
    front.select("INBOX")
    back.append("INBOX", message(1))
    settled(stage, "INBOX")
    tag = front.next_tag()
    front.send(f"{tag} IDLE\r\n".encode())
    front.wait_for(is_exists(1), within_s=BEHIND_S)
    assert front.done(tag).is_ok


def test_idle_ends_where_done_and_the_next_command_come_together(
    stage: Stage, back: RawClient, front: RawClient
) -> None:
    back.append("INBOX", message(1))
    settled(stage, "INBOX")
    front.select("INBOX")
    tag = front.idle()
    front.send(b"DONE\r\nnext1 UID FETCH 1:* (FLAGS)\r\nnext2 NOOP\r\n")
    assert front.read_until(tag).is_ok
    assert [row.items["UID"] for row in front.read_until("next1").fetched()] == [1]
    assert front.read_until("next2").is_ok
