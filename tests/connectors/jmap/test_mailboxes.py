"""The tree at the server: all or nothing, and no message lost with it."""

from __future__ import annotations

import httpx
import pytest
import respx

from connectors.api.errors import AlreadyExists, ConnectorError, Denied, NotFound, OutcomeUnknown, Unsupported
from connectors.api.types import MailboxRef, Role
from connectors.jmap.mail import Mail
from connectors.jmap.mailboxes import create_mailbox, delete_mailbox
from tests.conformance.rig import mail, paths
from tests.connectors.jmap.offline import API_URL, SESSION_URL, api_reply, make_client, session_document
from tests.connectors.jmap.rig import staged
from tests.fakes.jmap.options import FakeOptions, Quirk


async def test_more_mailboxes_than_one_call_gives_are_listed() -> None:
    async with staged(FakeOptions(max_objects_in_get=5)) as stage:
        for number in range(23):
            stage.fake.create_mailbox(f"Box {number}")
        listed = await stage.connector.list_mailboxes()
        assert len({info.ref for info in listed}) == len(listed) == 29


async def test_parents_are_made_in_the_same_request() -> None:
    async with staged() as stage:
        made = await stage.connector.create_mailbox(("A", "B", "C"), None)
        assert made.path == ("A", "B", "C")
        assert stage.fake.mailbox(("A", "B", "C")).id == made.ref
        assert stage.fake.stats.methods["Mailbox/set"] == 1


async def test_below_the_inbox_is_below_it_whatever_it_is_called() -> None:
    async with staged(FakeOptions(inbox_name="Posteingang")) as stage:
        made = await stage.connector.create_mailbox(("inbox", "Sub"), None)
        assert made.path == ("INBOX", "Sub")
        assert stage.fake.mailbox(("Posteingang", "Sub")).id == made.ref


async def test_another_inbox_can_be_used_by_its_own_name() -> None:
    async with staged(FakeOptions(inbox_name="Posteingang")) as stage:
        stage.fake.account().add_mailbox("Inbox", None)
        assert ("Inbox (2)",) in paths(await stage.connector.list_mailboxes())
        made = await stage.connector.create_mailbox(("Inbox (2)", "Sub"), None)
        assert made.path == ("Inbox (2)", "Sub")


async def test_a_slash_is_a_character_like_others() -> None:
    async with staged() as stage:
        made = await stage.connector.create_mailbox(("a/b", "c"), None)
        assert made.path == ("a/b", "c")


@pytest.mark.parametrize("path", [("Of use",), ("New", "Of use")])
async def test_a_role_is_given_once(path: tuple[str, ...]) -> None:
    async with staged() as stage:
        with pytest.raises(Unsupported):
            await stage.connector.create_mailbox(path, Role.TRASH)
        made = await stage.connector.create_mailbox(path, Role.IMPORTANT)
        assert made.role is Role.IMPORTANT


@pytest.mark.parametrize(
    ("options", "path", "role"),
    [
        (FakeOptions(quirks=frozenset({Quirk.ROLES_FIXED})), ("New", "Newer", "Of use"), Role.FLAGGED),
        (FakeOptions(forbidden_in_names="."), ("New", "a.b"), None),
        (FakeOptions(max_mailbox_depth=3), ("1", "2", "3", "4"), None),
        (FakeOptions(max_size_mailbox_name=100), ("New", "ü" * 51), None),
        (FakeOptions(may_create_top_level=False), ("New", "Newer"), None),
    ],
)
async def test_what_cannot_be_had_leaves_nothing_behind(
    options: FakeOptions, path: tuple[str, ...], role: Role | None
) -> None:
    async with staged(options) as stage:
        before = paths(await stage.connector.list_mailboxes())
        with pytest.raises((Unsupported, Denied)):
            await stage.connector.create_mailbox(path, role)
        assert paths(await stage.connector.list_mailboxes()) == before


async def test_a_rename_makes_the_parents_it_needs() -> None:
    async with staged() as stage:
        ref = MailboxRef(stage.fake.create_mailbox("Old"))
        renamed = await stage.connector.rename_mailbox(ref, ("New", "Newer", "Name"))
        assert (renamed.ref, renamed.path) == (ref, ("New", "Newer", "Name"))


async def test_a_rename_that_is_refused_leaves_nothing_behind() -> None:
    async with staged(FakeOptions(forbidden_in_names=".")) as stage:
        ref = MailboxRef(stage.fake.create_mailbox("Old"))
        before = paths(await stage.connector.list_mailboxes())
        with pytest.raises(Unsupported):
            await stage.connector.rename_mailbox(ref, ("New", "a.b"))
        assert paths(await stage.connector.list_mailboxes()) == before


async def test_renames_that_cannot_be_are_refused_before_anything_is_done() -> None:
    async with staged() as stage:
        ref = MailboxRef(stage.fake.create_mailbox("Old"))
        for path, kind in ((("Old", "Below"), Unsupported), (("Sent",), AlreadyExists), (("Old",), AlreadyExists)):
            with pytest.raises(kind):
                await stage.connector.rename_mailbox(ref, path)
        with pytest.raises(Unsupported):
            await stage.connector.rename_mailbox(stage.ref(), ("Elsewhere",))
        assert stage.fake.stats.methods["Mailbox/set"] == 0


async def test_deleting_ends_messages_that_are_nowhere_else_only() -> None:
    async with staged() as stage:
        ref = MailboxRef(stage.fake.create_mailbox("Old"))
        here = stage.fake.deliver("Old", mail(1))
        both = stage.fake.deliver("Old", mail(2), also_in=["INBOX"])
        await stage.connector.delete_mailbox(ref)
        assert here not in stage.fake.account().emails
        assert stage.fake.email(both).mailbox_ids == {stage.ref()}


@pytest.mark.parametrize("error", ["mailboxHasChild", "forbidden"])
async def test_a_refused_deletion_is_told(error: str) -> None:
    async with staged() as stage:
        stage.fake.fail_next("Mailbox/set", "set-error", error=error)
        with pytest.raises(ConnectorError) as caught:
            await stage.connector.delete_mailbox(stage.ref("Archive"))
        assert isinstance(caught.value, Unsupported if error == "mailboxHasChild" else Denied)
        assert stage.ref("Archive")


async def test_silence_is_no_success() -> None:
    router = respx.Router()
    router.get(SESSION_URL).mock(return_value=httpx.Response(200, json=session_document()))
    tree = (
        "Mailbox/get",
        {"list": [{"id": "B1", "name": "Inbox", "role": "inbox"}, {"id": "B2", "name": "Old"}]},
        "get",
    )
    router.post(API_URL).mock(return_value=api_reply(tree, ("Mailbox/set", {"newState": "2"}, "set")))
    client = make_client(router)
    await client.open()
    account = Mail(client, client.settings, client.clock)
    with pytest.raises(OutcomeUnknown):
        await delete_mailbox(account, MailboxRef("B2"))
    with pytest.raises(OutcomeUnknown):
        await create_mailbox(account, ("New",), None)
    await client.close()


async def test_only_what_is_there_can_be_subscribed() -> None:
    async with staged() as stage:
        await stage.connector.subscribe(stage.ref("Sent"), False)
        assert not stage.fake.mailbox("Sent").is_subscribed
        with pytest.raises(NotFound):
            await stage.connector.subscribe(MailboxRef("nowhere"), True)


async def test_a_shared_mailbox_shows_what_may_be_done() -> None:
    async with staged() as stage:
        stage.fake.deny("Archive", "mayAddItems", "mayRemoveItems", "maySetSeen", "maySetKeywords", "mayCreateChild")
        (info,) = [info for info in await stage.connector.list_mailboxes() if info.path == ("Archive",)]
        assert info.is_read_only
        assert not info.allows_children
        assert info.storable_flags == frozenset()
