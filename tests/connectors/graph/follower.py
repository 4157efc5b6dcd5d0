"""What the gateway makes of what the connector tells: folders with messages and flags, brought up to date by polls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.api.errors import CursorExpired, NotFound
from connectors.api.priority import Priority, prioritised
from connectors.api.types import ChangePage, Cursor, MailboxRef, MessageRef, MessageState
from connectors.graph import changes, listing
from connectors.graph.looks import FRESH_S
from connectors.graph.mail import Mail
from tests.fakes.graph import mapi
from tests.fakes.graph.fake import FakeGraph

Flags = frozenset[str] | None


@dataclass(slots=True)
class Followed:
    """A folder as it was told: its messages in the order in which they were first told, and the cursor."""

    cursor: Cursor
    states: dict[MessageRef, Flags] = field(default_factory=dict)
    relisted: int = 0
    edited: list[MessageRef] = field(default_factory=list)
    removed: list[MessageRef] = field(default_factory=list)


class Follower:
    """Follows every folder of a mailbox, as the engine of the gateway does. `mail` may be changed for a fresh one."""

    def __init__(self, mail: Mail) -> None:
        self.mail = mail
        self.folders: dict[MailboxRef, Followed] = {}

    async def begin(self, *mailboxes: MailboxRef) -> None:
        """List these folders, or all."""
        tree = await self.mail.read_tree()
        for ref in mailboxes or [info.ref for info in tree.infos]:
            await self.relist(ref)

    async def relist(self, ref: MailboxRef) -> None:
        """Read one folder whole, and keep what is known of messages that are still there."""
        cursor = await listing.position(self.mail, ref)
        followed = self.folders.setdefault(ref, Followed(cursor))
        followed.cursor = cursor
        seen: set[MessageRef] = set()
        async for page in listing.listing(self.mail, ref):
            self._take(followed, page)
            seen.update(state.ref for state in page)
        self._remove(followed, [known for known in followed.states if known not in seen])
        # Some time passes until the next poll.
        await self.mail.clock.sleep(FRESH_S)

    async def poll(self, times: int = 1) -> None:
        """Read the tree and look at every folder, in the background."""
        with prioritised(Priority.BACKGROUND):
            for _ in range(times):
                tree = await self.mail.read_tree()
                for ref in self.folders.keys() - tree.folders.keys():
                    del self.folders[ref]
                for ref in tree.folders:
                    if ref in self.folders:
                        await self.look(ref)
                    else:
                        await self.relist(ref)

    async def look(self, ref: MailboxRef) -> list[ChangePage]:
        """Apply what happened in one folder; return it."""
        followed = self.folders[ref]
        pages: list[ChangePage] = []
        try:
            async for page in changes.changes(self.mail, ref, followed.cursor):
                pages.append(page)
                self._take(followed, page.changed)
                told = {state.ref for state in page.changed}
                gone = [known for known in page.removed if known not in told]
                if page.present is not None:
                    gone += [known for known in followed.states if known not in page.present | told]
                self._remove(followed, gone)
                followed.cursor = page.cursor or followed.cursor
        except CursorExpired:
            followed.relisted += 1
            await self.relist(ref)
        except NotFound:
            del self.folders[ref]
        return pages

    def messages(self) -> dict[MailboxRef, dict[MessageRef, Flags]]:
        """Return what is known: the messages of each folder with their flags."""
        return {ref: dict(followed.states) for ref, followed in self.folders.items()}

    def _take(self, followed: Followed, states: Sequence[MessageState]) -> None:
        for state in states:
            known = followed.states.get(state.ref)
            followed.states[state.ref] = state.flags if state.flags is not None else known
            if state.content_changed:
                followed.edited.append(state.ref)

    def _remove(self, followed: Followed, refs: Sequence[MessageRef]) -> None:
        for ref in refs:
            if followed.states.pop(ref, None) is not None:
                followed.removed.append(ref)


def truth(fake: FakeGraph, follower: Follower) -> dict[MailboxRef, dict[MessageRef, Flags]]:
    """Return what the stand-in has in the folders that are followed."""
    found: dict[MailboxRef, dict[MessageRef, Flags]] = {}
    for ref in follower.folders:
        found[ref] = {}
        for message_id in fake.ids_in(ref):
            message = fake.message(message_id)
            flags = {"\\Seen"} if message.is_read else set()
            flags |= {"\\Flagged"} if message.flag["flagStatus"] == "flagged" else set()
            flags |= {"\\Draft"} if message.is_draft else set()
            flags |= {follower.mail.categories.keyword(each) for each in message.categories}
            verb = (message.extended or {}).get(mapi.LAST_VERB, "")
            flags |= {"102": {"\\Answered"}, "104": {"$Forwarded"}}.get(verb, set())
            found[ref][MessageRef(message_id)] = frozenset(flags)
    return found
