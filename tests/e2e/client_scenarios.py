"""What every mail client must be able to do. Each client's test module runs these through its own driver.

The client speaks to the front of the stage; what it did, and what it ought to see, is checked on the server behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.back import Back, open_back
from tests.e2e.clients.mail_client import IdlingMailClient, MailClient
from tests.e2e.endpoint import Stage
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message, mixed
from tests.e2e.settling import settled
from tests.e2e.waiting import eventually

ANNOUNCED_S = 5.0

Connect = Callable[[], MailClient]


def contents(back: RawClient, mailbox: str) -> dict[int, bytes]:
    """Return what the server itself serves of a mailbox, UID to content."""
    back.select(mailbox)
    rows = back.fetch("1:*", "(BODY.PEEK[])")
    return {uid: body for uid, row in rows.items() if isinstance(body := row["BODY[]"], bytes)}


def flags(back: RawClient, mailbox: str) -> dict[int, frozenset[str]]:
    back.select(mailbox)
    return back.flags()


class BasicScenarios:
    """What shows that a client and a server understand each other at all. Subclasses give the fixture `connect`."""

    @pytest.fixture
    def back(self, stage: Stage) -> Iterator[Back]:
        with open_back(stage) as back:
            yield back

    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        raise AssertionError("each client's test module says how it connects")

    @pytest.fixture
    def client(self, connect: Connect) -> Iterator[MailClient]:
        with connect() as client:
            yield client

    def test_reads_every_message_octet_for_octet(self, stage: Stage, back: Back, connect: Connect) -> None:
        back.create("Box")
        back.append_many("INBOX", mixed(30))
        back.append_many("Box", mixed(5, first=100))
        settled(stage, "INBOX", "Box")
        with connect() as client:
            for mailbox in ("INBOX", "Box"):
                assert stage.agrees(client.messages(mailbox), back.contents(mailbox))

    def test_sees_flags_as_they_are_on_the_server(self, stage: Stage, back: Back, connect: Connect) -> None:
        back.append("INBOX", message(1), r"(\Seen \Answered)")
        back.append("INBOX", message(2), r"(\Flagged $Forwarded custom)")
        back.append("INBOX", message(3))
        settled(stage, "INBOX")
        with connect() as client:
            assert client.flags("INBOX") == {
                1: stage.held("\\Seen", "\\Answered"),
                2: stage.held("\\Flagged", "$Forwarded", "custom"),
                3: frozenset(),
            }

    def test_appends_a_message_octet_for_octet(self, stage: Stage, back: Back, client: MailClient) -> None:
        client.append("INBOX", message(1), ("\\Seen", "\\Flagged"))
        client.append("INBOX", message(2, lines=2000), ("\\Draft",))
        kept = [stage.gist(message(1)), stage.gist(message(2, lines=2000))]
        assert list(stage.gists(back.contents("INBOX")).values()) == kept
        assert list(back.flags_in("INBOX").values()) == [{"\\Seen", "\\Flagged"}, stage.held("\\Draft")]
        assert list(client.flags("INBOX").values()) == [{"\\Seen", "\\Flagged"}, {"\\Draft"}]
        assert list(client.messages("INBOX").values()) == [message(1), message(2, lines=2000)]

    def test_moves_a_message(self, stage: Stage, back: Back, client: MailClient) -> None:
        back.create("Box")
        first = back.append("INBOX", message(1), r"(\Flagged)")
        second = back.append("INBOX", message(2))
        settled(stage, "INBOX", "Box")
        client.move("INBOX", first, "Box")
        assert stage.gists(back.contents("INBOX")) == {second: stage.gist(message(2))}
        assert list(stage.gists(back.contents("Box")).values()) == [stage.gist(message(1))]
        assert list(back.flags_in("Box").values()) == [{"\\Flagged"}]
        assert stage.gists(client.messages("INBOX")) == {second: stage.gist(message(2))}
        assert stage.agrees(client.messages("Box"), back.contents("Box"))


class ClientScenarios(BasicScenarios):
    """Scenarios for a client that is told nothing while it waits."""

    def test_lists_the_mailboxes_of_the_server(self, stage: Stage, back: Back, connect: Connect) -> None:
        names = ["Archive/2023", "Entw&APw-rfe", "R&-D with space"]
        for name in names:
            back.create(name)
        settled(stage, *names)
        with connect() as client:
            assert client.mailboxes() == stage.mailboxes | {"Archive", "Archive/2023", "Entwürfe", "R&D with space"}

    def test_sets_and_removes_flags_on_the_server(self, stage: Stage, back: Back, client: MailClient) -> None:
        uid = back.append("INBOX", message(1), r"(\Answered)")
        other = back.append("INBOX", message(2))
        settled(stage, "INBOX")
        client.add_flags("INBOX", uid, "\\Seen", "\\Flagged", "custom")
        given = stage.held("\\Answered")
        changed = stage.held("\\Seen", "\\Flagged", "custom")
        assert back.flags_in("INBOX") == {uid: given | changed, other: frozenset()}
        assert client.flags("INBOX")[uid] == given | {"\\Seen", "\\Flagged", "custom"}
        client.remove_flags("INBOX", uid, "\\Answered", "custom")
        assert back.flags_in("INBOX")[uid] == {"\\Seen", "\\Flagged"}
        assert client.flags("INBOX")[uid] == {"\\Seen", "\\Flagged"}

    def test_copies_a_message(self, stage: Stage, back: Back, client: MailClient) -> None:
        back.create("Box")
        uid = back.append("INBOX", message(1), r"(\Flagged)")
        settled(stage, "INBOX", "Box")
        client.copy("INBOX", uid, "Box")
        assert stage.gists(back.contents("INBOX")) == {uid: stage.gist(message(1))}
        assert list(stage.gists(back.contents("Box")).values()) == [stage.gist(message(1))]
        assert list(back.flags_in("Box").values()) == [{"\\Flagged"}]
        assert stage.agrees(client.messages("Box"), back.contents("Box"))

    def test_deletes_a_message(self, stage: Stage, back: Back, client: MailClient) -> None:
        first = back.append("INBOX", message(1))
        second = back.append("INBOX", message(2))
        settled(stage, "INBOX")
        client.delete("INBOX", first)
        assert stage.gists(back.contents("INBOX")) == {second: stage.gist(message(2))}
        assert stage.gists(client.messages("INBOX")) == {second: stage.gist(message(2))}

    def test_finds_messages_by_subject(self, stage: Stage, back: Back, client: MailClient) -> None:
        back.append("INBOX", message(1, subject="the quarterly report"))
        back.append("INBOX", message(2, subject="lunch"))
        back.append("INBOX", message(3, subject="Re: The Quarterly Report"))
        settled(stage, "INBOX")
        assert client.search_subject("INBOX", "quarterly") == [1, 3]
        assert client.search_subject("INBOX", "nothing of the kind") == []

    def test_creates_renames_and_removes_mailboxes(self, stage: Stage, back: Back, client: MailClient) -> None:
        client.create("Straße")
        client.create("Straße/Süd")
        assert {"Stra&AN8-e", "Stra&AN8-e/S&APw-d"} <= set(back.mailboxes())
        client.append("Straße/Süd", message(1))
        client.rename("Straße", "Weg")
        assert {"Weg", "Weg/S&APw-d"} <= set(back.mailboxes())
        assert list(stage.gists(back.contents("Weg/S&APw-d")).values()) == [stage.gist(message(1))]
        assert list(client.messages("Weg/Süd").values()) == [message(1)]
        # A mailbox is left before it is removed: RFC 9051 lets the server say BYE otherwise.
        client.messages("INBOX")
        back.contents("INBOX")
        client.remove("Weg/Süd")
        client.remove("Weg")
        assert set(back.mailboxes()) == stage.mailboxes
        assert client.mailboxes() == stage.mailboxes

    def test_sees_what_changes_on_the_server(self, stage: Stage, back: Back, client: MailClient) -> None:
        back.append_many("INBOX", [message(1), message(2), message(3)])
        settled(stage, "INBOX")
        assert client.flags("INBOX") == {1: set(), 2: set(), 3: set()}
        back.store("INBOX", 1, add="\\Flagged")
        back.expunge("INBOX", 2)
        back.append("INBOX", message(4))
        eventually(lambda: client.flags("INBOX"), lambda seen: seen == {1: {"\\Flagged"}, 3: set(), 4: set()})
        assert stage.gists(client.messages("INBOX")) == {uid: stage.gist(message(uid)) for uid in (1, 3, 4)}


class IdlingClientScenarios(ClientScenarios):
    """Scenarios for a client that can idle."""

    def test_is_told_of_mail_delivered_to_the_server(self, stage: Stage, back: Back, client: MailClient) -> None:
        assert isinstance(client, IdlingMailClient)
        back.append("INBOX", message(1))
        settled(stage, "INBOX")
        announced = client.count_after("INBOX", lambda: back.append("INBOX", message(2)), within_s=ANNOUNCED_S)
        assert announced == 2
        assert stage.gists(client.messages("INBOX")) == {uid: stage.gist(message(uid)) for uid in (1, 2)}

    def test_is_told_of_mail_appended_by_another_client(self, stage: Stage, connect: Connect) -> None:
        with connect() as idler, connect() as other:
            assert isinstance(idler, IdlingMailClient)
            announced = idler.count_after("INBOX", lambda: other.append("INBOX", message(1)), within_s=ANNOUNCED_S)
            assert announced == 1
            assert list(idler.messages("INBOX").values()) == [message(1)]
