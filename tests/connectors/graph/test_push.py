"""An account that is told of changes: which folders, how long, and what becomes of it when something is wrong."""

from __future__ import annotations

import functools
import json
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from connectors.api.errors import AuthExpired
from connectors.api.types import MailboxRef
from connectors.graph import push
from connectors.graph.news import BURST, EACH_S
from connectors.graph.push import MAX_WATCHED, MISCONFIGURED_S, SETTLE_S
from connectors.graph.settings import ListenAddress
from connectors.graph.subscriptions import LIFETIME
from tests.connectors.graph.push_rig import Street, Watched, street, until
from tests.connectors.transport.jumping_clock import settle

DAY_S = 24 * 3600.0


@pytest.fixture
async def place() -> AsyncIterator[Street]:
    async with street() as place:
        yield place


@pytest.fixture
async def account(place: Street) -> Watched:
    """An account that is told of its INBOX."""
    account = place.account()
    account.begin()
    await account.is_told(account.inbox)
    place.clock.advance(2.0)
    return account


async def post(place: Street, body: object) -> int:
    """Post something to the door, as a stranger may."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.post(f"http://{place.listen}/graph", content=json.dumps(body))).status_code


def _are_watched(account: Watched, mailboxes: frozenset[MailboxRef]) -> bool:
    return mailboxes <= account.watched()


# -- what is told -----------------------------------------------------------------------------------------------------


async def test_a_delivery_is_told(place: Street, account: Watched) -> None:
    account.deliver()
    assert await place.posted() == [202]
    await account.is_told(account.inbox)


async def test_the_next_look_at_a_folder_that_was_told_of_is_not_left_out(place: Street, account: Watched) -> None:
    tree = await account.mail.read_tree()
    inbox = tree.folders[account.inbox]
    account.mail.looks.looked(inbox, is_listing=True)
    account.deliver()
    await account.is_told(account.inbox)
    assert not account.mail.looks.may_wait(inbox, 1)


async def test_many_changes_are_told_few_times(place: Street, account: Watched) -> None:
    for number in range(100):
        account.deliver(number)
    await place.posted()
    await settle()
    assert 1 <= len(account.told) <= BURST
    place.clock.advance(EACH_S)
    await settle()
    place.clock.advance(EACH_S)
    await settle()
    assert len(account.told) <= BURST + 1
    assert set(account.told) == {account.inbox}


async def test_a_wrong_secret_has_no_effect(place: Street, account: Watched) -> None:
    (made,) = account.subscriptions()
    made.given["clientState"] = "guessed"
    account.deliver()
    assert await place.posted() == [202]
    await settle()
    await account.is_told()


async def test_a_stranger_that_does_not_know_the_secret_has_no_effect(place: Street, account: Watched) -> None:
    (made,) = account.subscriptions()
    assert await post(place, {"value": [{"subscriptionId": made.id, "lifecycleEvent": "subscriptionRemoved"}]}) == 202
    assert await post(place, ["garbage"]) == 400
    await settle()
    await account.is_told()
    account.deliver()
    await account.is_told(account.inbox)


async def test_two_accounts_share_a_listener(place: Street, account: Watched) -> None:
    other = place.account("other@example.com")
    other.begin()
    await other.is_told(other.inbox)
    place.clock.advance(2.0)
    other.deliver()
    await other.is_told(other.inbox)
    await account.is_told()
    await other.close()
    account.deliver()
    assert await place.posted() == [202, 202]
    await account.is_told(account.inbox)


# -- which folders ----------------------------------------------------------------------------------------------------


async def test_folders_that_somebody_has_open_are_watched_too(place: Street, account: Watched) -> None:
    archive = account.folder("archive")
    account.push.set_interest(frozenset({archive, account.inbox}))
    await settle()
    place.clock.advance(SETTLE_S)
    await account.is_told(archive)
    assert account.watched() == {account.inbox, archive}
    place.clock.advance(2.0)
    account.deliver(1, "archive")
    await account.is_told(archive)


async def test_a_client_that_opens_one_folder_after_the_other_has_few_of_them_watched(
    place: Street, account: Watched
) -> None:
    refs = [account.folder(name) for name in ("archive", "drafts", "sentitems")]
    for ref in refs:
        account.push.set_interest(frozenset({ref}))
        await settle()
    place.clock.advance(SETTLE_S)
    await account.is_told(refs[-1])
    assert account.watched() == {account.inbox, refs[-1]}


async def test_no_more_folders_are_watched_than_the_bound(place: Street, account: Watched) -> None:
    refs = [MailboxRef(account.fake.create_folder(f"Folder {number:02}")) for number in range(MAX_WATCHED + 5)]
    first, later = frozenset(refs[: MAX_WATCHED - 1]), frozenset(refs[-3:])
    for interest in (first, later):
        account.push.set_interest(interest)
        await settle()
        place.clock.advance(SETTLE_S)
        await until(functools.partial(_are_watched, account, interest))
    assert account.inbox in account.watched()
    assert len(account.subscriptions()) == MAX_WATCHED
    account.push.set_interest(frozenset(refs))
    await settle()
    place.clock.advance(SETTLE_S)
    await until(lambda: account.watched() - {account.inbox} == set(sorted(refs)[: MAX_WATCHED - 1]))
    assert len(account.subscriptions()) == MAX_WATCHED


async def test_a_folder_that_nobody_has_open_any_more_is_not_renewed(place: Street, account: Watched) -> None:
    archive = account.folder("archive")
    account.push.set_interest(frozenset({archive}))
    await settle()
    place.clock.advance(SETTLE_S)
    await account.is_told(archive)
    account.push.set_interest(frozenset())
    for _ in range(3):
        place.forget()
        place.clock.advance(DAY_S)
        await until(lambda: place.asked("patch") == 1)
        await settle()
    assert account.watched() == {account.inbox}


async def test_a_folder_that_cannot_be_watched_leaves_the_others(place: Street, account: Watched) -> None:
    gone = account.folder("archive")
    drafts = account.folder("drafts")
    account.fake.fail_next("subscriptions.create", status=404, code="ErrorItemNotFound")
    account.push.set_interest(frozenset({gone, drafts}))
    await settle()
    place.clock.advance(SETTLE_S)
    await until(lambda: account.told)
    await settle()
    assert len(account.watched()) == 2
    place.clock.advance(MISCONFIGURED_S)
    await until(lambda: len(account.watched()) == 3)


# -- how long ---------------------------------------------------------------------------------------------------------


async def test_a_subscription_is_renewed_long_before_it_expires(place: Street, account: Watched) -> None:
    (made,) = account.subscriptions()
    for _ in range(5):
        place.forget()
        place.clock.advance(LIFETIME.total_seconds() / 2)
        await until(lambda: place.asked("patch") == 1)
        await settle()
        assert [each.id for each in account.subscriptions()] == [made.id]
        assert made.expires == place.clock.now() + LIFETIME
    assert place.asked("create") == 0
    await account.is_told()


async def test_it_is_not_renewed_before_half_of_its_life(place: Street, account: Watched) -> None:
    place.forget()
    for _ in range(20):
        place.clock.advance(LIFETIME.total_seconds() / 50)
        await settle()
    assert place.asked("patch") == 0


async def test_one_that_is_gone_is_made_anew_and_its_folder_read(place: Street, account: Watched) -> None:
    (old,) = account.subscriptions()
    account.fake.subscriptions.end(old.id)
    place.clock.advance(DAY_S)
    await account.is_told(account.inbox)
    (made,) = account.subscriptions()
    assert made.id != old.id
    place.clock.advance(2.0)
    account.deliver()
    await account.is_told(account.inbox)


async def test_one_that_ran_out_while_the_machine_slept_is_made_anew(place: Street, account: Watched) -> None:
    # As after a suspend: the time of day has gone on, and whoever slept wakes up late.
    place.clock.set_back(-3 * DAY_S)
    assert account.subscriptions() == []
    place.clock.advance(push.LONGEST_NAP_S)
    await account.is_told(account.inbox)
    assert len(account.subscriptions()) == 1


async def test_a_renewal_that_fails_for_a_moment_is_tried_again(place: Street, account: Watched) -> None:
    (made,) = account.subscriptions()
    account.fake.fail_next("subscriptions.patch", times=1, status=500, code="InternalServerError")
    place.forget()
    place.clock.advance(DAY_S)
    await until(lambda: place.asked("patch") == 1)
    for _ in range(10):
        await settle()
        place.clock.advance(1.0)
    await until(lambda: place.asked("patch") >= 2 and made.expires > place.clock.now() + LIFETIME * 0.9)
    assert [each.id for each in account.subscriptions()] == [made.id]


# -- lifecycle --------------------------------------------------------------------------------------------------------


async def test_everything_is_read_when_graph_says_that_something_was_missed(place: Street, account: Watched) -> None:
    account.fake.subscriptions.lifecycle("missed")
    await account.is_told(None)
    assert len(account.subscriptions()) == 1


async def test_a_subscription_that_graph_removed_is_made_anew_and_everything_read(
    place: Street, account: Watched
) -> None:
    account.fake.subscriptions.lifecycle("subscriptionRemoved")
    await account.is_told(None)
    assert account.subscriptions() == []
    place.clock.advance(SETTLE_S)
    await account.is_told(account.inbox)
    assert len(account.subscriptions()) == 1


async def test_a_subscription_is_renewed_when_graph_wants_to_see_the_login_again(
    place: Street, account: Watched
) -> None:
    place.forget()
    account.fake.subscriptions.lifecycle("reauthorizationRequired")
    await place.posted()
    await settle()
    place.clock.advance(SETTLE_S)
    await until(lambda: place.asked("patch") == 1)
    await account.is_told()


async def test_a_lifecycle_event_that_is_not_known_has_everything_read(place: Street, account: Watched) -> None:
    (made,) = account.subscriptions()
    body = {"subscriptionId": made.id, "clientState": made.given["clientState"], "lifecycleEvent": "somethingNew"}
    assert await post(place, {"value": [body]}) == 202
    await account.is_told(None)


# -- beginning and end ------------------------------------------------------------------------------------------------


async def test_the_subscriptions_are_ended_at_close(place: Street, account: Watched) -> None:
    await account.close()
    assert account.subscriptions() == []
    with pytest.raises(httpx.ConnectError):
        await post(place, {"value": []})
    await account.close()


async def test_closing_takes_no_longer_than_graph_is_given(
    place: Street, account: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "CLOSING_S", 0.05)
    async with account.fake.held():
        await account.push.close()
        assert len(account.subscriptions()) == 1
    await account.push.close()
    assert account.subscriptions() == []


async def test_a_watch_that_begins_again_takes_up_what_it_has(place: Street, account: Watched) -> None:
    await account.stop()
    place.forget()
    account.begin()
    await until(lambda: place.asked("list") == 1)
    await settle()
    account.deliver()
    await account.is_told(account.inbox)
    assert place.asked("create") == place.asked("delete") == 0


async def test_a_refused_login_ends_the_watch(place: Street) -> None:
    account = place.account()
    await account.mail.read_tree()
    account.fake.expire_access_tokens()
    account.begin()
    with pytest.raises(AuthExpired):
        await account.ended()


# -- when it does not work --------------------------------------------------------------------------------------------


async def test_an_address_that_does_not_lead_here_is_told_once_and_tried_again(
    place: Street, caplog: pytest.LogCaptureFixture
) -> None:
    account = place.account()
    account.fake.fail_next("subscriptions.create", times=2, status=400, code="ValidationError", message="No answer.")
    account.begin()
    await until(lambda: caplog.records)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    for part in (
        f"http://{place.listen}/graph can be reached",
        "passed on to",
        str(place.listen),
        "polled",
        "No answer",
    ):
        assert part in record.getMessage()
    place.clock.advance(MISCONFIGURED_S)
    await until(lambda: place.asked("create") == 2)
    await settle()
    assert len(caplog.records) == 1
    assert account.subscriptions() == []
    place.clock.advance(MISCONFIGURED_S)
    await account.is_told(account.inbox)
    assert len(caplog.records) == 2
    assert "come in again" in caplog.records[1].getMessage()


async def test_an_application_that_may_not_is_told_so(place: Street, caplog: pytest.LogCaptureFixture) -> None:
    account = place.account()
    account.fake.fail_next("subscriptions.create", status=403, code="ErrorAccessDenied")
    account.begin()
    await until(lambda: caplog.records)
    assert "the login may not have them" in caplog.records[0].getMessage()


async def test_a_port_that_is_taken_is_told_once_and_tried_again(
    place: Street, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        account = place.account(listen=ListenAddress("127.0.0.1", taken.getsockname()[1]))
        account.begin()
        await until(lambda: caplog.records)
        place.clock.advance(MISCONFIGURED_S)
        await settle()
        assert len(caplog.records) == 1
        assert "notification_listen" in caplog.records[0].getMessage()
    place.clock.advance(MISCONFIGURED_S)
    await account.is_told(account.inbox)


async def test_an_outage_at_the_beginning_is_waited_out(place: Street, caplog: pytest.LogCaptureFixture) -> None:
    account = place.account()
    account.fake.fail_next("subscriptions.create", times=1, status=500, code="InternalServerError")
    account.begin()
    await until(lambda: place.asked("create") == 1)
    for _ in range(10):
        await settle()
        place.clock.advance(1.0)
    await account.is_told(account.inbox)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
