"""What the parts of the connector share: the client, the folders, and what is known of messages."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from connectors.api.errors import ConnectorError, NotFound
from connectors.api.types import MailboxRef, MessageRef, MessageState
from connectors.graph.categories import Categories
from connectors.graph.client import BatchItem, GraphClient
from connectors.graph.errors import Refused
from connectors.graph.finding import Unsettled
from connectors.graph.flags import EXPAND, SELECT, flags_of, size_of
from connectors.graph.folders import Folder, Tree, WellKnown, build_tree, read_folders, read_places
from connectors.graph.items import decode_item
from connectors.graph.known import Known
from connectors.graph.looks import Looks
from connectors.graph.settings import GraphSettings
from connectors.graph.structs import MailFolder, Message

PAGE: Final = 1000
"""Messages in one page, the most that Graph gives."""

PLACES_TTL_S: Final = 3600.0
"""For so long it is taken for granted which folders are well-known; one that was made since then gets its role late."""

MAX_TRACED: Final = 200
"""So many messages at most are looked for that a folder does not name any more: they are told elsewhere, mostly."""

PLACE_QUERY: Final = (("$select", "id,parentFolderId"),)
"""What tells where a message is."""

STATE_QUERY: Final = (("$select", SELECT), ("$expand", EXPAND))
"""What `Mail.state` needs of a message."""


class Mail:
    """One mailbox at Graph, in use by one connector."""

    def __init__(self, client: GraphClient, settings: GraphSettings) -> None:
        self.client = client
        self.settings = settings
        self.categories = Categories(settings.labels)
        self.known = Known()
        self.unsettled = Unsettled()
        self.clock = client.clock
        self.looks = Looks(client.clock, settings.poll_interval_s)
        self.page = PAGE
        """Messages in one page of a list; fewer once that took Graph too long."""
        self.drafted: dict[str, str] = {}
        """Digests of drafts that were made here, until a look has seen them (see `connectors.graph.edits`)."""
        self._aliases: dict[str, MailboxRef] = {}
        self._tree: Tree | None = None
        self._readings = 0
        self._reading = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._places: dict[WellKnown, MailFolder] | None = None
        self._places_until = 0.0

    # -- folders ------------------------------------------------------------------------------------------------------

    async def read_tree(self) -> Tree:
        """Read the folders anew: a request for each level of them, and now and then one for the well-known."""
        async with self._reading:
            folders = await read_folders(self.client, hidden=self.settings.hidden)
            there = {folder.id for folder in folders}
            if self._tree is not None and not there >= set(self._tree.folders):
                # A folder that is gone may have been made anew under another id.
                self._places = None
            places = await self._well_known()
            self._readings += 1
            tree = build_tree(folders, places, self._readings)
            for ref in set(self._tree.folders if self._tree is not None else ()) - set(tree.folders):
                self.known.forget_mailbox(ref)
                self.looks.forget(ref)
            self._tree = tree
            return tree

    async def read_places(self) -> None:
        """Find out anew which folders are well-known, in a batch."""
        self._places = await read_places(self.client)
        self._places_until = self.clock.monotonic() + PLACES_TTL_S

    async def _well_known(self) -> dict[WellKnown, MailFolder]:
        if self._places is None or self.clock.monotonic() >= self._places_until:
            await self.read_places()
        return self._places or {}

    async def tree(self) -> Tree:
        """Return the folders as they were last read, or read them, once for all who wait for that."""
        if self._tree is not None:
            return self._tree
        async with self._asking:
            return self._tree or await self.read_tree()

    def forget_tree(self) -> None:
        """Have the folders read anew when they are asked for next."""
        self._tree = None

    async def require(self, mailbox: MailboxRef) -> Folder:
        """Return the folder, as it was last seen.

        Raises:
            NotFound: there is none.
        """
        folder = (await self.tree()).folders.get(mailbox) or (await self.read_tree()).folders.get(mailbox)
        if folder is None:
            raise NotFound(f"there is no folder {mailbox!r} in {self.client.root}")
        return folder

    async def place(self, name: WellKnown) -> MailboxRef | None:
        """Return the id of a well-known folder; None if the mailbox has no such folder."""
        return (await self.tree()).places.get(name)

    async def is_place(self, mailbox: MailboxRef, *names: WellKnown) -> bool:
        """Whether the folder is one of these well-known ones."""
        places = (await self.tree()).places
        return mailbox in {places.get(name) for name in names}

    # -- messages -----------------------------------------------------------------------------------------------------

    def state(self, message: Message) -> MessageState:
        """Return the state of a message that was told with `STATE_QUERY`."""
        return MessageState(
            MessageRef(message.id),
            flags=flags_of(message, self.categories) if message.is_read is not None else None,
            internal_date=message.received_date_time,
            size=size_of(message),
            size_is_exact=False,
        )

    async def read_messages(
        self, refs: Iterable[MessageRef], query: Sequence[tuple[str, str]] = STATE_QUERY
    ) -> dict[MessageRef, Message]:
        """Ask for messages, wherever they are, in batches; those that are gone are left out.

        Raises:
            ConnectorError: one of them could not be had, but is not gone.
        """
        found, failed = await self.read_each(refs, query)
        for error in failed.values():
            raise error
        return found

    async def read_each(
        self, refs: Iterable[MessageRef], query: Sequence[tuple[str, str]] = STATE_QUERY
    ) -> tuple[dict[MessageRef, Message], dict[MessageRef, ConnectorError]]:
        """As `read_messages`, but return beside those that were found why others could not be had."""
        wanted = list(dict.fromkeys(refs))
        items = [BatchItem("GET", message_path(ref), query) for ref in wanted]
        found: dict[MessageRef, Message] = {}
        failed: dict[MessageRef, ConnectorError] = {}
        for ref, result in zip(wanted, await self.client.batch(items, msgspec.Raw) if items else (), strict=True):
            if not isinstance(result, ConnectorError):
                found[ref] = self.placed(decode_item(bytes(result), Message) or Message(ref))
            elif not is_gone(result):
                failed[ref] = result
        return found, failed

    async def trace(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> None:
        """Find out where the messages are that were in the folder and are not among these, which are all that are."""
        there = set(refs)
        left = [ref for ref in self.known.messages_in(mailbox) if ref not in there]
        found, _ = await self.read_each(left[-MAX_TRACED:], PLACE_QUERY)
        for ref, message in found.items():
            if message.parent_folder_id is not None and message.parent_folder_id != mailbox:
                self.leave_stray(ref, MailboxRef(message.parent_folder_id))

    def leave_stray(self, ref: MessageRef, mailbox: MailboxRef) -> None:
        """See to it that a message is told by the folder it was found in, if it is not known from there."""
        folder = self._tree.folders.get(mailbox) if self._tree is not None else None
        if folder is not None and not folder.is_search and self.known.was_in(ref, mailbox) is not True:
            self.known.stray(ref, mailbox)

    def placed(self, message: Message) -> Message:
        """Return the message with the id by which its folder is listed."""
        alias = self._aliases.get(message.parent_folder_id or "")
        return message if alias is None else msgspec.structs.replace(message, parent_folder_id=alias)

    def learn_alias(self, parents: Collection[str], mailbox: MailboxRef) -> None:
        """Take note of what the messages in a folder call it; an id has more than one form (AQMk..., AAMk...).

        If it were not known that both mean the same folder, all messages would seem to be elsewhere.
        """
        tree = self._tree
        if len(parents) != 1 or tree is None:
            return
        [parent] = parents
        if parent != mailbox and parent not in tree.folders and parent not in tree.places.values():
            self._aliases[parent] = mailbox

    def learn_whole(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> None:
        """Remember that the gateway was told that these are all messages of the folder."""
        self.learn(mailbox, refs, ())
        self.known.listed(refs, mailbox)

    def learn(self, mailbox: MailboxRef, here: Iterable[MessageRef], gone: Iterable[MessageRef]) -> None:
        """Remember that the gateway was told that messages are in the folder, and that others are not."""
        for ref in here:
            for other in self.known.folders_of(ref):
                if other != mailbox:
                    # That folder may never say that it has gone.
                    self.known.stray(ref, other)
            self.known.put([ref], mailbox)
        self.known.drop(gone, mailbox)


def message_path(ref: str) -> str:
    """Return the path of a message at Graph, wherever it is."""
    return f"/messages/{quote(ref, safe='')}"


def is_gone(error: ConnectorError) -> bool:
    """Tell whether a call failed because there is no such message: an id that cannot be one is refused otherwise."""
    if isinstance(error, NotFound):
        return True
    return isinstance(error, Refused) and error.refusal.has_code("ErrorInvalidIdMalformed", "ErrorItemNotFound")
