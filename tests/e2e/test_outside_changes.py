"""What happens on Dovecot without the gateway's doing shows through it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.backends import Backend, over_each_backend
from tests.e2e.client_scenarios import contents, flags
from tests.e2e.endpoint import Stage
from tests.e2e.gateway_process import GatewayFactory
from tests.e2e.raw_client import RawClient, flag_set
from tests.e2e.raw_values import Listed
from tests.e2e.seeds import message, mixed
from tests.e2e.settling import settled
from tests.e2e.stage_pool import StagePool
from tests.e2e.waiting import equals, eventually

pytestmark = over_each_backend


@pytest.fixture
def back(stage: Stage) -> Iterator[RawClient]:
    with RawClient.logged_in(stage.back) as client:
        client.select("INBOX")
        yield client


@pytest.fixture
def front(stage: Stage) -> Iterator[RawClient]:
    with RawClient.logged_in(stage.front) as client:
        yield client


def seed(stage: Stage, back: RawClient, count: int) -> None:
    back.append_many("INBOX", [message(n) for n in range(1, count + 1)])
    settled(stage, "INBOX")


def test_new_mail_shows_at_noop(stage: Stage, back: RawClient, front: RawClient) -> None:
    seed(stage, back, 2)
    front.select("INBOX")
    back.append("INBOX", message(3), r"(\Flagged)")
    assert eventually(lambda: front.ok("NOOP").numbered("EXISTS"))[-1] == 3
    row = front.fetch("3", "(FLAGS BODY.PEEK[])")[3]
    assert flag_set(row["FLAGS"]) == {"\\Flagged"}
    assert row["BODY[]"] == message(3)


def test_changed_flags_show_at_noop(stage: Stage, back: RawClient, front: RawClient) -> None:
    seed(stage, back, 3)
    front.select("INBOX")
    back.ok(r"UID STORE 2 +FLAGS.SILENT (\Seen custom)")
    (row,) = eventually(lambda: front.ok("NOOP").fetched())
    assert (row.number, flag_set(row.items["FLAGS"])) == (2, frozenset({"\\Seen", "custom"}))
    assert front.ok("NOOP").untagged == []


def test_an_expunge_shows_at_noop_and_numbers_close_up(stage: Stage, back: RawClient, front: RawClient) -> None:
    seed(stage, back, 4)
    front.select("INBOX")
    back.ok(r"UID STORE 2:3 +FLAGS.SILENT (\Deleted)")
    back.ok("EXPUNGE")
    left = 4
    gone: list[int] = []
    while len(gone) < 2:
        gone += eventually(lambda: front.ok("NOOP").numbered("EXPUNGE"))
    # Numbers as of the moment each line was sent: 2 then 2 again, or 3 then 2.
    assert gone in ([2, 2], [3, 2])
    assert [row.items["UID"] for row in front.ok(f"FETCH 1:{left - 2} (UID)").fetched()] == [1, 4]


def test_an_expunge_is_held_back_while_a_client_fetches(stage: Stage, back: RawClient, front: RawClient) -> None:
    seed(stage, back, 3)
    front.select("INBOX")
    front.fetch("1:*", "(BODY.PEEK[])")
    back.ok(r"UID STORE 1 +FLAGS.SILENT (\Deleted)")
    back.ok("EXPUNGE")
    with RawClient.logged_in(stage.front) as other:
        eventually(lambda: other.status("INBOX", "MESSAGES"), equals({"MESSAGES": 2}))
    reply = front.ok("FETCH 2 (UID FLAGS)")
    assert reply.numbered("EXPUNGE") == []
    assert [row.items["UID"] for row in reply.fetched() if row.number == 2] == [2]
    eventually(lambda: front.ok("NOOP").numbered("EXPUNGE"), equals([1]))
    assert [row.items["UID"] for row in front.ok("FETCH 2 (UID)").fetched()] == [3]


def test_mail_shows_in_the_status_of_a_mailbox_that_nobody_has_open(
    stage: Stage, back: RawClient, front: RawClient
) -> None:
    back.ok('CREATE "Box"')
    settled(stage, "Box")
    back.append("Box", message(1))
    back.append("Box", message(2), r"(\Seen)")
    wanted = {"MESSAGES": 2, "UNSEEN": 1}
    eventually(lambda: front.status("Box", *wanted), equals(wanted))


def test_selecting_a_mailbox_shows_mail_that_has_just_come(stage: Stage, back: RawClient, front: RawClient) -> None:
    back.ok('CREATE "Box"')
    settled(stage, "Box")
    back.append_many("Box", mixed(10))
    eventually(lambda: front.select("Box").numbered("EXISTS"), equals([10]))
    assert stage.agrees(contents(front, "Box"), contents(back, "Box"))


def test_a_created_mailbox_is_listed(back: RawClient, front: RawClient) -> None:
    front.mailboxes()
    back.ok('CREATE "New &AOQ-/Below"')
    eventually(lambda: set(front.mailboxes()), equals({"INBOX", "Sent", "New &AOQ-", "New &AOQ-/Below"}))


def test_a_renamed_mailbox_keeps_its_messages_and_uids(stage: Stage, back: RawClient, front: RawClient) -> None:
    back.ok('CREATE "Old"')
    back.append_many("Old", mixed(5))
    settled(stage, "Old")
    front.select("Old")
    front.ok("UNSELECT")
    back.ok('RENAME "Old" "Renamed"')
    eventually(lambda: set(front.mailboxes()), equals({"INBOX", "Sent", "Renamed"}))
    settled(stage, "Renamed")
    assert stage.agrees(contents(front, "Renamed"), contents(back, "Renamed"))
    assert not front.command('STATUS "Old" (MESSAGES)').is_ok


def test_a_deleted_mailbox_is_no_longer_listed(stage: Stage, back: RawClient, front: RawClient) -> None:
    back.ok('CREATE "Doomed"')
    back.append("Doomed", message(1))
    settled(stage, "Doomed")
    back.ok('DELETE "Doomed"')
    eventually(lambda: set(front.mailboxes()), equals({"INBOX", "Sent"}))
    assert front.command('SELECT "Doomed"').status.kind == "NO"


def test_a_mailbox_made_anew_under_its_old_name_has_another_uidvalidity(
    stage: Stage, back: RawClient, front: RawClient
) -> None:
    back.ok('CREATE "Box"')
    back.append_many("Box", [message(1), message(2)])
    settled(stage, "Box")
    before = front.status("Box", "UIDVALIDITY")
    back.ok('DELETE "Box"')
    # Dovecot 2.3.19 loses what is appended to a mailbox made anew while another session still has the old one open.
    eventually(lambda: set(front.mailboxes()), equals({"INBOX", "Sent"}))
    back.ok('CREATE "Box"')
    back.append("Box", message(3))
    settled(stage, "Box")
    assert front.status("Box", "UIDVALIDITY") != before
    assert contents(front, "Box") == {1: message(3)}


def test_a_moved_message_shows_in_both_mailboxes(stage: Stage, back: RawClient, front: RawClient) -> None:
    back.ok('CREATE "Box"')
    seed(stage, back, 2)
    settled(stage, "Box")
    back.ok('UID MOVE 1 "Box"')
    settled(stage, "INBOX", "Box")
    assert contents(front, "INBOX") == {2: message(2)}
    assert contents(front, "Box") == {1: message(1)}


def test_subscriptions_made_on_dovecot_show(back: RawClient, front: RawClient) -> None:
    back.ok('CREATE "Box"')
    back.ok('SUBSCRIBE "Box"')

    def subscribed() -> bool:
        return any(getattr(item, "name", "") == "Box" for item in front.ok('LSUB "" "*"').untagged)

    eventually(subscribed)


def subscribed_names(client: RawClient) -> dict[str, bool]:
    """Return the subscribed names but for those of a new account, and whether there is a mailbox of the name."""
    listed = [item for item in client.ok('LIST (SUBSCRIBED) "" "*"').untagged if isinstance(item, Listed)]
    names = {item.name: "\\NonExistent" not in item.attributes for item in listed}
    return {name: exists for name, exists in names.items() if name not in ("INBOX", "Sent")}


def test_names_stay_subscribed_as_the_backend_has_it(stage: Stage, back: RawClient, front: RawClient) -> None:
    if stage.backend is not Backend.DOVECOT:
        pytest.skip("JMAP has no subscribed names without a mailbox")
    for name in ("Old", "Doomed"):
        back.ok(f'CREATE "{name}"')
        back.ok(f'SUBSCRIBE "{name}"')
    eventually(lambda: subscribed_names(front), equals({"Old": True, "Doomed": True}))
    # As Thunderbird does it.
    back.ok('RENAME "Old" "New"')
    back.ok('SUBSCRIBE "New"')
    back.ok('UNSUBSCRIBE "Old"')
    back.ok('DELETE "Doomed"')
    eventually(lambda: subscribed_names(front), equals({"New": True, "Doomed": False}))
    front.ok('RENAME "New" "Newer"')
    assert subscribed_names(front) == subscribed_names(back) == {"New": False, "Doomed": False}
    front.ok('DELETE "Newer"')
    front.ok('UNSUBSCRIBE "Doomed"')
    assert subscribed_names(front) == subscribed_names(back) == {"New": False}
    front.ok('CREATE "New"')
    assert subscribed_names(front) == subscribed_names(back) == {"New": True}
    front.ok('DELETE "New"')
    back.ok('UNSUBSCRIBE "New"')
    eventually(lambda: subscribed_names(front), equals({}))


def test_what_changed_while_the_gateway_was_down_shows_after_its_start(
    stages: StagePool, gateways: GatewayFactory
) -> None:
    (account,) = stages.accounts(1)
    gateway = gateways([account])
    with RawClient.logged_in(account.backend) as back:
        # JMAP may have the same octets in two mailboxes as one message, whose flags are then the same.
        for mailbox, first in (("Box", 100), ("Gone", 200), ("Old", 300)):
            back.ok(f'CREATE "{mailbox}"')
            back.append_many(mailbox, mixed(3, first=first))
        back.append_many("INBOX", mixed(6))
        stage = account.stage(gateway.endpoint(account.login))
        settled(stage, "INBOX", "Box", "Gone", "Old")
        with RawClient.logged_in(stage.front) as front:
            validity = front.status("INBOX", "UIDVALIDITY")
            assert stage.agrees(contents(front, "INBOX"), contents(back, "INBOX"))
        gateway.stop()
        back.select("INBOX")
        back.ok(r"UID STORE 1 +FLAGS.SILENT (\Seen)")
        back.ok(r"UID STORE 3 +FLAGS.SILENT (\Deleted)")
        back.ok("EXPUNGE")
        back.append("INBOX", message(50))
        back.ok('DELETE "Gone"')
        back.ok('RENAME "Old" "Now"')
        back.ok('CREATE "Fresh"')
        back.append("Box", message(51))
        gateway.start()
        settled(stage, "INBOX", "Box", "Now", "Fresh")
        with RawClient.logged_in(stage.front) as front:
            assert set(front.mailboxes()) == {"INBOX", "Sent", "Box", "Now", "Fresh"}
            assert front.status("INBOX", "UIDVALIDITY") == validity
            for mailbox in ("INBOX", "Box", "Now", "Fresh"):
                assert stage.agrees(contents(front, mailbox), contents(back, mailbox))
                assert stage.agrees(flags(front, mailbox), flags(back, mailbox))
