"""Where messages are, as the changes and listings told so far, and what is to be looked at again.

Microsoft's changes lose moves where ids are immutable: a message that went from A to B may be told by A as gone and by
B never. Whoever finds such a message in B leaves it here as a stray, and the next reading of B asks for it by name.
How many messages a folder has to have by all that was told is compared with what the folder itself counts; for that it
is remembered, too, which messages were told to be where.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from connectors.api.types import MailboxRef, MessageRef

MAX_MESSAGES: Final = 150_000
"""About 35 MB; of more messages the oldest known are forgotten."""

MAX_STRAYS: Final = 5000
"""In one folder; with more of them it is read anew."""


class Known:
    """What this process has been told. Nothing here is a truth that outlives it; all can be found out again."""

    def __init__(self, limit: int = MAX_MESSAGES) -> None:
        self._limit = limit
        # Until it is told by both, a message that was moved is in two folders. Those of one folder share its tuple.
        self._folders_of: dict[MessageRef, tuple[MailboxRef, ...]] = {}
        self._alone: dict[MailboxRef, tuple[MailboxRef, ...]] = {}
        self._complete: set[MailboxRef] = set()
        self._strays: dict[MailboxRef, dict[MessageRef, None]] = {}
        self._due: set[MailboxRef] = set()

    # -- where messages are -------------------------------------------------------------------------------------------

    def was_in(self, ref: MessageRef, mailbox: MailboxRef) -> bool | None:
        """Whether the message was told to be there; None if that is not known."""
        if mailbox in self._folders_of.get(ref, ()):
            return True
        return False if mailbox in self._complete else None

    def folders_of(self, ref: MessageRef) -> tuple[MailboxRef, ...]:
        """Return the folders in which the message was told to be."""
        return self._folders_of.get(ref, ())

    def messages_in(self, mailbox: MailboxRef) -> list[MessageRef]:
        """Return the messages that were told to be in a folder, as far as they are known."""
        return [ref for ref, folders in self._folders_of.items() if mailbox in folders]

    def put(self, refs: Iterable[MessageRef], mailbox: MailboxRef) -> None:
        """Note that the gateway is told that the messages are there."""
        alone = self._alone.setdefault(mailbox, (mailbox,))
        for ref in refs:
            before = self._folders_of.pop(ref, ())
            if not before and len(self._folders_of) >= self._limit:
                self._complete.difference_update(self._folders_of.pop(next(iter(self._folders_of))))
            self._folders_of[ref] = before if mailbox in before else (*before, mailbox) if before else alone

    def drop(self, refs: Iterable[MessageRef], mailbox: MailboxRef) -> None:
        """Note that the gateway is told that the messages are not there."""
        for ref in refs:
            before = self._folders_of.get(ref, ())
            left = tuple(folder for folder in before if folder != mailbox)
            if left:
                self._folders_of[ref] = self._alone[left[0]] if len(left) == 1 else left
            elif before:
                del self._folders_of[ref]

    def listed(self, refs: Iterable[MessageRef], mailbox: MailboxRef) -> None:
        """Note that these are all messages of the folder, so that nothing in it is left to look at."""
        self.drop(self.messages_in(mailbox), mailbox)
        self._complete.add(mailbox)
        self.put(refs, mailbox)
        self._strays.pop(mailbox, None)
        self._due.discard(mailbox)

    # -- what is to be looked at again --------------------------------------------------------------------------------

    def stray(self, ref: MessageRef, mailbox: MailboxRef) -> None:
        """Note that the next reading of the folder should ask for this message by name."""
        strays = self._strays.setdefault(mailbox, {})
        if len(strays) >= MAX_STRAYS:
            self.make_due(mailbox)
        else:
            strays[ref] = None

    def strays(self, mailbox: MailboxRef) -> list[MessageRef]:
        """Return the messages that the next reading of the folder should ask for."""
        return list(self._strays.get(mailbox, ()))

    def settle(self, refs: Iterable[MessageRef], mailbox: MailboxRef) -> None:
        """Note that the messages were asked for, and the gateway told."""
        strays = self._strays.get(mailbox)
        if strays is not None:
            for ref in refs:
                strays.pop(ref, None)

    def make_due(self, mailbox: MailboxRef) -> None:
        """Note that the next reading of the folder should read it whole."""
        self._strays.pop(mailbox, None)
        self._due.add(mailbox)

    def is_due(self, mailbox: MailboxRef) -> bool:
        """Whether the next reading of the folder should read it whole."""
        return mailbox in self._due

    def forget_mailbox(self, mailbox: MailboxRef) -> None:
        """Let go of what is kept of a folder that is gone."""
        self._strays.pop(mailbox, None)
        self._due.discard(mailbox)
        self._complete.discard(mailbox)
        self.drop(self.messages_in(mailbox), mailbox)
        self._alone.pop(mailbox, None)
