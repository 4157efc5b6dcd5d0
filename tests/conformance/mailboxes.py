"""What every connector must do with the mailbox tree."""

from __future__ import annotations

import pytest

from connectors.api.abilities import MailboxAdmin, Push, Subscriptions
from connectors.api.connector import Connector
from connectors.api.errors import AlreadyExists, Denied, NotFound, Rejected, Unsupported
from connectors.api.types import MailboxRef, Role
from tests.conformance.base import Suite, require, require_admin, require_quota, require_subscriptions
from tests.conformance.rig import INBOX, Ability, Path, Probe, Rig, find_mailbox, mail, paths

NAMES = [
    "Two words",
    "R&D",
    "a&-b",
    'say "hi"',
    "back\\slash",
    "Größe",
    "Отправленные",
    "日本語",
    "🙂 emoji",
    "100%*",
    "(brackets) {5}",
    "&",
    "INBOX copy",
]
SEPARATORS = ["a/b", "a.b", ".a", "a.", "a^b", "..", "cur", "~home"]
REFUSALS = (Unsupported, Rejected, Denied)


class MailboxSuite(Suite):
    """Names, roles, creation, renaming, deletion, subscriptions."""

    async def test_parents_come_before_children(self, connector: Connector) -> None:
        admin = require_admin(connector)
        await admin.create_mailbox(("Work", "2024", "May"), None)
        listed = paths(await connector.list_mailboxes())
        assert len(set(listed)) == len(listed)
        for index, path in enumerate(listed):
            assert path[:-1] not in listed[index:]

    @pytest.mark.parametrize("name", NAMES)
    async def test_any_name_comes_back_as_it_was_given(self, rig: Rig, connector: Connector, name: str) -> None:
        admin = require_admin(connector)
        try:
            created = await admin.create_mailbox((name,), None)
        except Unsupported:
            require(rig, Ability.ANY_NAME)
            raise
        assert created.path == (name,)
        mailbox = Probe(connector, (await find_mailbox(connector, (name,))).ref)
        assert mailbox.ref == created.ref
        state = await mailbox.append(mail(1))
        assert await mailbox.refs() == [state.ref]

    @pytest.mark.parametrize("name", SEPARATORS)
    async def test_a_separator_in_a_name_is_kept_or_refused(self, connector: Connector, name: str) -> None:
        admin = require_admin(connector)
        before = paths(await connector.list_mailboxes())
        try:
            created = await admin.create_mailbox((name, "below"), None)
        except REFUSALS:
            assert paths(await connector.list_mailboxes()) == before
        else:
            assert created.path == (name, "below")
            assert (await find_mailbox(connector, (name, "below"))).ref == created.ref

    async def test_a_name_that_exists_is_told(self, connector: Connector) -> None:
        admin = require_admin(connector)
        await admin.create_mailbox(("Work",), None)
        with pytest.raises(AlreadyExists):
            await admin.create_mailbox(("Work",), None)
        with pytest.raises(AlreadyExists):
            await admin.create_mailbox(INBOX, None)

    async def test_a_role_is_kept_or_refused(self, connector: Connector) -> None:
        admin = require_admin(connector)
        taken = {info.role for info in await connector.list_mailboxes()}
        free = [role for role in (Role.FLAGGED, Role.ARCHIVE, Role.IMPORTANT, Role.ALL) if role not in taken]
        if not free:
            pytest.skip("lacks the ability: mailboxes can be created with a role, as each role is taken")
        role = free[0]
        try:
            created = await admin.create_mailbox(("Of use",), role)
        except REFUSALS:
            pytest.skip("lacks the ability: mailboxes can be created with a role")
        assert created.role is role
        assert (await find_mailbox(connector, ("Of use",))).role is role

    async def test_inbox_has_the_role_of_inbox(self, connector: Connector) -> None:
        assert (await find_mailbox(connector, INBOX)).role in (None, Role.INBOX)

    async def test_a_renamed_mailbox_keeps_its_messages_and_children(self, connector: Connector) -> None:
        admin = require_admin(connector)
        parent = Probe(connector, (await admin.create_mailbox(("Old",), None)).ref)
        child = Probe(connector, (await admin.create_mailbox(("Old", "Child"), None)).ref)
        await parent.append(mail(1))
        await child.append(mail(2))
        await admin.create_mailbox(("Older",), None)
        renamed = await admin.rename_mailbox(parent.ref, ("New",))
        assert renamed.path == ("New",)
        listed = paths(await connector.list_mailboxes())
        assert {("New",), ("New", "Child"), ("Older",)} <= set(listed)
        assert not {("Old",), ("Old", "Child")} & set(listed)
        assert len(await Probe(connector, renamed.ref).refs()) == 1
        assert len(await Probe(connector, (await find_mailbox(connector, ("New", "Child"))).ref).refs()) == 1

    async def test_a_mailbox_can_be_renamed_below_another(self, connector: Connector) -> None:
        admin = require_admin(connector)
        await admin.create_mailbox(("Top",), None)
        mailbox = await admin.create_mailbox(("Wanderer",), None)
        await Probe(connector, mailbox.ref).append(mail(1))
        renamed = await admin.rename_mailbox(mailbox.ref, ("Top", "Größe"))
        assert renamed.path == ("Top", "Größe")
        assert len(await Probe(connector, renamed.ref).refs()) == 1

    async def test_renaming_onto_a_name_that_exists_changes_nothing(self, connector: Connector) -> None:
        admin = require_admin(connector)
        one = await admin.create_mailbox(("One",), None)
        await admin.create_mailbox(("Two",), None)
        with pytest.raises(AlreadyExists):
            await admin.rename_mailbox(one.ref, ("Two",))
        assert (await find_mailbox(connector, ("One",))).ref == one.ref

    async def test_deleting_a_mailbox_leaves_its_children(self, rig: Rig, connector: Connector) -> None:
        admin = require_admin(connector)
        require(rig, Ability.PARENTS_GO)
        parent = await admin.create_mailbox(("Parent",), None)
        child = Probe(connector, (await admin.create_mailbox(("Parent", "Child"), None)).ref)
        state = await child.append(mail(1))
        await Probe(connector, parent.ref).append(mail(2))
        await admin.delete_mailbox(parent.ref)
        left = {info.path: info for info in await connector.list_mailboxes()}
        assert ("Parent",) not in left or not left["Parent",].is_selectable
        assert await Probe(connector, left["Parent", "Child"].ref).refs() == [state.ref]

    async def test_a_mailbox_with_children_stays_whole_where_it_cannot_be_deleted(
        self, rig: Rig, connector: Connector
    ) -> None:
        admin = require_admin(connector)
        if Ability.PARENTS_GO in rig.abilities:
            pytest.skip("has the ability: " + Ability.PARENTS_GO.value)
        parent = Probe(connector, (await admin.create_mailbox(("Parent",), None)).ref)
        child = Probe(connector, (await admin.create_mailbox(("Parent", "Child"), None)).ref)
        states = [await parent.append(mail(1)), await child.append(mail(2))]
        with pytest.raises(REFUSALS):
            await admin.delete_mailbox(parent.ref)
        assert {("Parent",), ("Parent", "Child")} <= set(paths(await connector.list_mailboxes()))
        assert [await parent.refs(), await child.refs()] == [[state.ref] for state in states]

    async def test_a_deleted_mailbox_is_gone_with_its_messages(self, rig: Rig, connector: Connector) -> None:
        admin = require_admin(connector)
        require(rig, Ability.DELETED_MAILBOXES_GO)
        mailbox = Probe(connector, (await admin.create_mailbox(("Brief",), None)).ref)
        await mailbox.append(mail(1))
        await admin.delete_mailbox(mailbox.ref)
        assert ("Brief",) not in paths(await connector.list_mailboxes())
        with pytest.raises(NotFound):
            await mailbox.listing()
        with pytest.raises(NotFound):
            await admin.delete_mailbox(mailbox.ref)
        again = Probe(connector, (await admin.create_mailbox(("Brief",), None)).ref)
        assert await again.refs() == []

    async def test_a_deleted_mailbox_is_in_the_trash_where_it_does_not_go(self, rig: Rig, connector: Connector) -> None:
        admin = require_admin(connector)
        if Ability.DELETED_MAILBOXES_GO in rig.abilities:
            pytest.skip("has the ability: " + Ability.DELETED_MAILBOXES_GO.value)
        mailbox = Probe(connector, (await admin.create_mailbox(("Brief",), None)).ref)
        state = await mailbox.append(mail(1))
        await admin.delete_mailbox(mailbox.ref)
        mailboxes = await connector.list_mailboxes()
        (trash,) = [info for info in mailboxes if info.role is Role.TRASH]
        assert ("Brief",) not in paths(mailboxes)
        assert (await find_mailbox(connector, (*trash.path, "Brief"))).ref == mailbox.ref
        assert await mailbox.refs() == [state.ref]
        again = Probe(connector, (await admin.create_mailbox(("Brief",), None)).ref)
        assert await again.refs() == []

    async def test_inbox_cannot_be_deleted(self, inbox: Probe) -> None:
        admin = require_admin(inbox.connector)
        await inbox.append(mail(1))
        with pytest.raises(REFUSALS):
            await admin.delete_mailbox(inbox.ref)
        assert len(await inbox.refs()) == 1

    async def test_an_unknown_mailbox_cannot_be_renamed_or_deleted(self, connector: Connector) -> None:
        admin = require_admin(connector)
        with pytest.raises(NotFound):
            await admin.delete_mailbox(MailboxRef("no-such-mailbox"))
        with pytest.raises(NotFound):
            await admin.rename_mailbox(MailboxRef("no-such-mailbox"), ("New",))

    @pytest.mark.parametrize("path", [(), ("",), ("a", "", "b"), ("../a",), ("a\0b",), ("a\r\nb",)])
    async def test_a_name_that_cannot_be_is_refused_or_harmless(self, connector: Connector, path: Path) -> None:
        admin = require_admin(connector)
        try:
            created = await admin.create_mailbox(path, None)
        except REFUSALS:
            return
        assert created.path == path
        assert (await find_mailbox(connector, path)).ref == created.ref

    async def test_mailboxes_made_and_deleted_outside_are_seen(self, rig: Rig, connector: Connector) -> None:
        require(rig, Ability.OUTSIDE_MAILBOXES)
        await rig.create_mailbox(("Outside",))
        await rig.deliver(("Outside",), mail(1))
        outside = Probe(connector, (await find_mailbox(connector, ("Outside",))).ref)
        assert len(await outside.refs()) == 1
        await rig.delete_mailbox(("Outside",))
        assert ("Outside",) not in paths(await connector.list_mailboxes())
        with pytest.raises(NotFound):
            await outside.listing()

    async def test_subscriptions_are_kept(self, rig: Rig, connector: Connector, other: Probe) -> None:
        subscriptions = require_subscriptions(connector)
        for is_subscribed in (False, True, True, False):
            await subscriptions.subscribe(other.ref, is_subscribed)
            assert (await find_mailbox(connector, ("Other",))).is_subscribed == is_subscribed
        await subscriptions.subscribe(other.ref, True)
        fresh = rig.connector()
        await fresh.open()
        assert (await find_mailbox(fresh, ("Other",))).is_subscribed
        await fresh.close()

    async def test_subscribing_one_leaves_the_others(self, connector: Connector, other: Probe) -> None:
        subscriptions = require_subscriptions(connector)
        before = {info.path: info.is_subscribed for info in await connector.list_mailboxes()}
        await subscriptions.subscribe(other.ref, not before["Other",])
        after = {info.path: info.is_subscribed for info in await connector.list_mailboxes()}
        assert after == before | {("Other",): not before["Other",]}

    async def test_a_name_stays_subscribed_without_its_mailbox(self, rig: Rig, connector: Connector) -> None:
        admin, subscriptions = require_admin(connector), require_subscriptions(connector)

        async def names() -> dict[Path, MailboxRef]:
            existing = set(paths(await connector.list_mailboxes()))
            told = await subscriptions.names_without_mailbox() or {}
            return {path: ref for path, ref in told.items() if path not in existing}

        doomed = await admin.create_mailbox(("Doomed",), None)
        await subscriptions.subscribe(doomed.ref, True)
        if await subscriptions.names_without_mailbox() is None:
            pytest.skip("the backend keeps no names without mailboxes")
        assert await names() == {}
        await admin.delete_mailbox(doomed.ref)
        assert set(await names()) == {("Doomed",)}
        again = await admin.create_mailbox(("Doomed",), None)
        assert (await find_mailbox(connector, ("Doomed",))).is_subscribed
        await admin.rename_mailbox(again.ref, ("Other name",))
        await subscriptions.subscribe((await names())["Doomed",], False)
        assert await names() == {}

    async def test_quota_counts_octets(self, inbox: Probe) -> None:
        quota = require_quota(inbox.connector)
        if not await quota.quota():
            pytest.skip("the backend keeps no quota")
        before = sum(root.used_octets for root in await quota.quota())
        await inbox.append(mail(1, b"x" * 70_000 + b"\r\n"))
        roots = await quota.quota()
        assert sum(root.used_octets for root in roots) >= before + 60_000
        assert all(root.limit_octets is None or root.limit_octets >= 0 for root in roots)

    async def test_abilities_are_inherited_not_imitated(self, connector: Connector) -> None:
        for ability, method in ((MailboxAdmin, "create_mailbox"), (Subscriptions, "subscribe"), (Push, "watch")):
            assert isinstance(connector, ability) == hasattr(connector, method)
