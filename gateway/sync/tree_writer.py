"""CREATE, DELETE, RENAME and SUBSCRIBE: at the backend first, then in the store."""

from __future__ import annotations

import contextlib
import logging

from connectors.api import errors
from connectors.api.abilities import MailboxAdmin, Subscriptions
from connectors.api.types import MailboxInfo, MailboxRef, Role
from gateway.store import mailboxes, subscribed_names
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.sync.context import AccountContext, ref_of
from gateway.sync.renaming import begin_rename, forget_rename
from gateway.sync.subscribed_names import keep_name
from gateway.sync.tree import insert_info, sync_tree_locked

log = logging.getLogger(__name__)

INBOX = ("INBOX",)


async def create_mailbox(context: AccountContext, path: tuple[str, ...], role: Role | None) -> tuple[MailboxRow, bool]:
    """Create a mailbox and return it, and whether the others were listed: some may have been made above it.

    Raises:
        ConnectorError: it was not created.
    """
    admin = await _admin(context)
    async with context.tree_lock:
        info = await admin.create_mailbox(path, role)
        await _subscribe_again(context, info)
        try:
            rows = await sync_tree_locked(context)
        except errors.ConnectorError as error:
            # It is there all the same, and what others have changed can wait.
            log.warning("account %s: not listed after CREATE: %s", context.account.name, error.operator_text)
            return await _add(context, info), False
    row = next((row for row in rows if row.ref == info.ref), None)
    if row is None:
        raise errors.OutcomeUnknown(f"the new mailbox {info.ref!r} is not in the backend's list")
    return row, True


async def _add(context: AccountContext, info: MailboxInfo) -> MailboxRow:
    """Store a mailbox that the backend has made, without knowing of any other."""
    account_id = context.account_id

    async def body(tx: Transaction) -> MailboxRow:
        known = await mailboxes.mailbox_by_ref(tx, account_id, info.ref)
        return known or await insert_info(tx, account_id, info)

    row = await context.store.write(body)
    context.bus.publish_tree(account_id)
    return row


async def delete_mailbox(context: AccountContext, row: MailboxRow, *, keeps_name: bool = True) -> None:
    """Delete a mailbox with its messages. If it was subscribed, its name stays so, but for one made by mistake.

    Raises:
        ConnectorError: it was not deleted.
    """
    admin = await _admin(context)
    async with context.tree_lock:
        try:
            await admin.delete_mailbox(ref_of(row))
        except errors.NotFound:
            await sync_tree_locked(context)
            raise
        if row.is_subscribed and keeps_name:
            # A backend may have unsubscribed from it by itself.
            await context.store.write(lambda tx: keep_name(tx, context.account_id, row.path))
        await sync_tree_locked(context)
        if not keeps_name:
            await _forget_name(context, row.path)


async def rename_mailbox(context: AccountContext, row: MailboxRow, path: tuple[str, ...]) -> None:
    """Rename a mailbox other than INBOX and what is below it; their UIDs stay.

    Raises:
        OutcomeUnknown: it may have been renamed, or was, but cannot be listed now. The next listing will tell.
        ConnectorError: it was not renamed.
    """
    connector = await _admin(context)
    async with context.tree_lock:
        made: MailboxInfo | None = None
        lost: errors.OutcomeUnknown | None = None
        rename = await begin_rename(context, row, path)
        try:
            made = await connector.rename_mailbox(ref_of(row), path)
        except errors.OutcomeUnknown as error:
            lost = error
        except errors.ConnectorError:
            await forget_rename(context, rename)
            raise
        if made is not None:
            rename.is_done = made.ref != row.ref
            await _subscribe_again(context, made)
        try:
            rows = await sync_tree_locked(context)
        except errors.ConnectorError as error:
            raise errors.OutcomeUnknown(f"renamed, but not listed: {error.operator_text}") from error
        if lost is not None and not any(other.path == path for other in rows):
            raise errors.Unavailable(lost.operator_text) from lost


async def subscribe(context: AccountContext, row: MailboxRow, *, is_subscribed: bool) -> None:
    """Subscribe to a mailbox or unsubscribe, at the backend if it keeps that.

    Raises:
        ConnectorError: nothing was changed.
    """
    async with context.tree_lock:
        if isinstance(context.account.connector, Subscriptions):
            await context.account.open()
            await context.account.connector.subscribe(ref_of(row), is_subscribed)

        async def body(tx: Transaction) -> None:
            await mailboxes.update_mailbox(tx, row.id, is_subscribed=is_subscribed)
            await subscribed_names.remove_names(tx, context.account_id, [row.path])

        await context.store.write(body)
    context.bus.publish_tree(context.account_id)


async def unsubscribe_name(context: AccountContext, path: tuple[str, ...]) -> None:
    """Unsubscribe from a name that has no mailbox, at the backend if it keeps that.

    Raises:
        ConnectorError: nothing was changed.
    """
    account_id = context.account_id
    async with context.tree_lock:
        ref = (await context.store.read(lambda tx: subscribed_names.names_of(tx, account_id))).get(path)
        if ref is not None and isinstance(context.account.connector, Subscriptions):
            await context.account.open()
            with contextlib.suppress(errors.NotFound):
                await context.account.connector.subscribe(MailboxRef(ref), False)
        await _forget_name(context, path)


async def _forget_name(context: AccountContext, path: tuple[str, ...]) -> None:
    account_id = context.account_id
    if await context.store.write(lambda tx: subscribed_names.remove_names(tx, account_id, [path])):
        context.bus.publish_tree(account_id)


async def _subscribe_again(context: AccountContext, info: MailboxInfo) -> None:
    """Subscribe to a mailbox that has got a subscribed name, where the backend keeps that with the mailbox.

    A backend that cannot is no reason to fail: what it says of the name is not all that counts (see `plan_names`).
    """
    connector = context.account.connector
    if info.is_subscribed or not isinstance(connector, Subscriptions):
        return
    names = await context.store.read(lambda tx: subscribed_names.names_of(tx, context.account_id))
    if info.path in names:
        try:
            await connector.subscribe(info.ref, True)
        except errors.ConnectorError as error:
            log.info("mailbox %r is subscribed here only: %s", info.path, error.operator_text)


async def _admin(context: AccountContext) -> MailboxAdmin:
    connector = await context.account.open()
    if not isinstance(connector, MailboxAdmin):
        raise errors.Unsupported(f"account {context.account.name}: mailboxes cannot be changed")
    return connector
