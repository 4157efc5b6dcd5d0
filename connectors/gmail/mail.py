"""What the parts of the connector share: the client, the mailbox tree, and what is known of messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connectors.api.errors import ConnectorError, NotFound, Rejected
from connectors.api.types import MailboxRef, MessageRef, MessageState
from connectors.gmail.batch import BatchCall
from connectors.gmail.client import GmailClient
from connectors.gmail.known import Known
from connectors.gmail.labels import Labels, Tree, build_tree, flags_of
from connectors.gmail.methods import GET_PROFILE, LABELS_LIST, MESSAGES_GET
from connectors.gmail.settings import GmailSettings
from connectors.gmail.structs import LabelList, Message, Profile

MAX_RESULTS = 500
"""Of a listing in one call."""

_STATE_QUERY = (("format", "minimal"), ("fields", "id,threadId,labelIds,internalDate"))


class Mail:
    """One mailbox at Gmail, in use by one connector."""

    def __init__(self, client: GmailClient, settings: GmailSettings) -> None:
        self.client = client
        self.settings = settings
        self.known = Known()
        self.address = ""
        self.drafts: dict[MessageRef, str] = {}
        """The draft that a message is the present content of."""
        self.deletes_for_good = True
        """Whether the login includes deleting for good, as far as is known."""
        self.listed: str | None = None
        """The digest of the mailboxes that the gateway has been given since it was last told to list them."""
        self._tree: Tree | None = None

    async def profile(self) -> tuple[str, int]:
        """Return the address and the newest position in the history (1 unit)."""
        found = await self.client.call(GET_PROFILE, reply=Profile)
        self.address = found.email_address
        return found.email_address, position_of(found.history_id)

    # -- mailboxes ----------------------------------------------------------------------------------------------------

    async def read_tree(self) -> Tree:
        """List the labels anew (1 unit)."""
        labels = (await self.client.call(LABELS_LIST, reply=LabelList)).labels
        self._tree = build_tree(labels, self.settings)
        return self._tree

    async def tree(self) -> Tree:
        """Return the mailboxes as they were last read, or read them."""
        return self._tree or await self.read_tree()

    def forget_tree(self) -> None:
        """Have the labels listed anew when they are asked for next."""
        self._tree = None

    async def require(self, mailbox: MailboxRef) -> Tree:
        """Make sure that the mailbox is there and can be selected, as far as is known; return all mailboxes.

        Raises:
            NotFound: it is not.
        """
        tree = await self.tree()
        if mailbox not in tree.shown:
            tree = await self.read_tree()
        if mailbox not in tree.shown:
            raise NotFound(f"there is no label {mailbox!r} in {self.address or 'the mailbox'}")
        return tree

    async def refused(self, error: Rejected, *mailboxes: MailboxRef) -> ConnectorError:
        """Return the error that a call for the mailboxes ended with; a label that is gone is refused like nonsense."""
        tree = await self.read_tree()
        for mailbox in mailboxes:
            if mailbox not in tree.shown:
                return NotFound(f"there is no label {mailbox!r} any more: {error.operator_text}")
        return error

    # -- messages -----------------------------------------------------------------------------------------------------

    def state(
        self, tree: Tree, message: Message, *, size: int | None = None, labels: Labels | None = None
    ) -> MessageState:
        """Return the state that a reply tells, which must have come with its labels."""
        held = message.labels if labels is None else labels
        return MessageState(
            MessageRef(message.id),
            mailboxes=tree.holders(held),
            flags=flags_of(held),
            internal_date=message.received,
            size=size if size is not None else self.known.size(message.id),
            email_id=message.id,
            thread_id=message.thread_id or None,
        )

    def state_known(self, tree: Tree, ref: MessageRef) -> MessageState:
        """Return what is known of a message without asking: its flags and mailboxes, or nothing."""
        labels = self.known.labels(ref)
        if labels is None:
            return MessageState(ref, email_id=ref)
        return MessageState(ref, mailboxes=tree.holders(labels), flags=flags_of(labels), email_id=ref)

    async def read_messages(self, refs: Iterable[MessageRef]) -> dict[MessageRef, Message]:
        """Read labels and dates, at the price of a message each; those that are gone are left out.

        Raises:
            ConnectorError: one of them could not be read.
        """
        wanted = list(dict.fromkeys(refs))
        calls = [BatchCall(MESSAGES_GET, {"id": ref}, _STATE_QUERY) for ref in wanted]
        found: dict[MessageRef, Message] = {}
        since = self.known.as_of
        for ref, result in zip(wanted, await self.client.batch(calls, Message) if calls else (), strict=True):
            if isinstance(result, Message):
                found[ref] = result
                self.known.learn(ref, result.labels, since)
            elif is_gone(result):
                self.known.forget([ref])
            else:
                raise result
        return found

    async def labels_of(self, refs: Sequence[MessageRef]) -> Mapping[MessageRef, Labels]:
        """Return the labels of the messages as they are known, and read the others; those that are gone are left out.

        Call `history.catch_up` before, if they are to be as they are now.
        """
        known = {ref: labels for ref in refs if (labels := self.known.labels(ref)) is not None}
        read = await self.read_messages(ref for ref in refs if ref not in known)
        return known | {ref: message.labels for ref, message in read.items()}


def is_gone(error: ConnectorError) -> bool:
    """Tell whether a call failed because there is no such message: an id that cannot be one is refused otherwise."""
    return isinstance(error, NotFound) or (isinstance(error, Rejected) and "Invalid id value" in error.operator_text)


def position_of(history_id: str) -> int:
    """Return a position in the history as a number; they rise, with gaps (Google, "Synchronize clients")."""
    return int(history_id) if history_id.isascii() and history_id.isdecimal() else 0
