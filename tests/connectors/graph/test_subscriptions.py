"""What is subscribed to at Graph: asked for as the reference says, renewed, ended, and cleared up after a kill."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from connectors.api.errors import NotFound, Rejected
from connectors.graph.notifications import Door
from connectors.graph.structs import Notification
from connectors.graph.subscriptions import LIFETIME, Held, Subscriptions
from tests.connectors.graph.ports import free_address
from tests.connectors.graph.push_rig import Street, Watched, street


class Rig:
    """The subscriptions of one account, with somebody at the door."""

    def __init__(self, place: Street, account: Watched, door: Door) -> None:
        self.street = place
        self.account = account
        self.door = door
        self.told: list[tuple[Held, Notification]] = []
        self.subscriptions = self.another()

    def another(self) -> Subscriptions:
        """Return what another process, or one that was started again, would have."""
        made = Subscriptions(self.account.client, lambda held, notification: self.told.append((held, notification)))
        made.attach(self.door)
        return made


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with street() as place:
        account = place.account()
        async with place.listeners.joined(place.listen) as door:
            yield Rig(place, account, door)


async def test_a_folder_is_subscribed_to(rig: Rig) -> None:
    held = await rig.subscriptions.begin(rig.account.inbox)
    (made,) = rig.account.subscriptions()
    assert made.is_immutable
    assert made.given["changeType"] == "created,updated,deleted"
    assert made.given["resource"] == f"me/mailFolders('{rig.account.inbox}')/messages"
    assert (
        made.given["notificationUrl"] == made.given["lifecycleNotificationUrl"] == f"http://{rig.street.listen}/graph"
    )
    assert made.given["clientState"] == held.client_state
    assert made.expires == rig.street.clock.now() + LIFETIME
    assert held.renew_at == rig.street.clock.now() + LIFETIME / 2
    assert timedelta(minutes=4230) > LIFETIME


async def test_each_subscription_has_a_secret_of_its_own(rig: Rig) -> None:
    secrets = {
        (await rig.subscriptions.begin(rig.account.folder(name))).client_state
        for name in ("inbox", "drafts", "archive")
    }
    assert len(secrets) == 3
    assert all(40 <= len(secret) <= 128 for secret in secrets)


async def test_what_is_told_is_handed_over_with_its_folder(rig: Rig) -> None:
    held = await rig.subscriptions.begin(rig.account.inbox)
    rig.account.deliver()
    assert await rig.street.posted() == [202]
    assert [(each, told.lifecycle_event) for each, told in rig.told] == [(held, None)]


async def test_nothing_is_handed_over_while_nobody_is_at_the_door(rig: Rig) -> None:
    await rig.subscriptions.begin(rig.account.inbox)
    rig.subscriptions.detach()
    rig.account.deliver()
    assert await rig.street.posted() == [202]
    assert rig.told == []
    rig.subscriptions.attach(rig.door)
    rig.account.deliver(2)
    await rig.street.posted()
    assert len(rig.told) == 1


async def test_a_subscription_that_is_renewed_lives_longer(rig: Rig) -> None:
    held = await rig.subscriptions.begin(rig.account.inbox)
    rig.street.clock.advance(LIFETIME.total_seconds() - 1)
    await rig.subscriptions.renew(held)
    (made,) = rig.account.subscriptions()
    assert made.expires == held.expires_at == rig.street.clock.now() + LIFETIME


async def test_one_that_has_expired_is_not_found(rig: Rig) -> None:
    held = await rig.subscriptions.begin(rig.account.inbox)
    rig.street.clock.advance(LIFETIME.total_seconds() + 1)
    with pytest.raises(NotFound):
        await rig.subscriptions.renew(held)


async def test_a_folder_that_is_gone_cannot_be_subscribed_to(rig: Rig) -> None:
    rig.account.fake.create_folder("Old")
    ref = rig.account.folder("Old")
    rig.account.fake.delete_folder("Old")
    with pytest.raises(NotFound):
        await rig.subscriptions.begin(ref)
    assert not len(rig.subscriptions)


async def test_a_door_that_nobody_opens_is_refused(rig: Rig) -> None:
    elsewhere = rig.street.account(listen=rig.street.listen._replace(port=1))
    with pytest.raises(Rejected, match="ValidationError"):
        await Subscriptions(elsewhere.client, lambda held, notification: None).begin(elsewhere.inbox)


async def test_all_are_ended_and_those_that_cannot_be_are_kept(rig: Rig) -> None:
    for name in ("inbox", "drafts", "archive"):
        await rig.subscriptions.begin(rig.account.folder(name))
    rig.account.fake.subscriptions.end(rig.account.subscriptions()[0].id)
    rig.account.fake.fail_next("subscriptions.delete", skip=1, status=403, code="ErrorAccessDenied")
    await rig.subscriptions.end_all()
    assert len(rig.subscriptions) == len(rig.account.subscriptions()) == 1
    await rig.subscriptions.end_all()
    assert len(rig.subscriptions) == len(rig.account.subscriptions()) == 0


async def test_what_a_killed_process_left_of_this_mailbox_is_ended(rig: Rig) -> None:
    await rig.subscriptions.begin(rig.account.inbox)
    other = rig.street.account("other@example.com")
    await Subscriptions(other.client, lambda held, notification: None).begin(other.inbox)
    rig.street.clock.advance(60.0)
    rig.door = Door()
    afterwards = rig.another()
    here = await afterwards.begin(rig.account.folder("archive"))
    await afterwards.end_strays()
    assert [each.id for each in rig.account.subscriptions()] == [here.id]
    assert len(other.subscriptions()) == 1


async def test_what_another_account_of_the_same_mailbox_has_is_left(rig: Rig) -> None:
    await rig.another().begin(rig.account.inbox)
    rig.street.clock.advance(60.0)
    await rig.subscriptions.end_strays()
    assert len(rig.account.subscriptions()) == 1


async def test_what_another_account_of_the_same_mailbox_is_about_to_have_is_left(rig: Rig) -> None:
    rig.street.clock.advance(60.0)
    held = await rig.another().begin(rig.account.inbox)
    rig.door.dismiss(held.id)
    await rig.subscriptions.end_strays()
    assert len(rig.account.subscriptions()) == 1


async def test_what_is_told_at_another_address_is_left(rig: Rig) -> None:
    await rig.subscriptions.begin(rig.account.inbox)
    rig.street.clock.advance(60.0)
    elsewhere = rig.street.account(listen=free_address())
    afterwards = Subscriptions(elsewhere.client, lambda held, notification: None)
    afterwards.attach(Door())
    await afterwards.end_strays()
    assert len(rig.account.subscriptions()) == 1


async def test_the_mailbox_of_somebody_else_is_named(rig: Rig) -> None:
    named = rig.street.account(mailbox=rig.account.user)
    await Subscriptions(named.client, lambda held, notification: None).begin(named.inbox)
    (made,) = rig.account.subscriptions()
    assert made.given["resource"] == f"users/{rig.account.user}/mailFolders('{named.inbox}')/messages"
