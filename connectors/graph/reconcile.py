"""When a folder is to be read whole though its changes could be read, and reading it so.

Changes alone are not enough: moves get lost where ids are immutable. So it is reckoned how many items a folder must
have by what was told of it, and compared with how many it says it has. The number comes with the tree, some time before
the changes are read, and what happens in between is in one and not in the other; both bounds allow for that. A number
that is out of bounds twice in a row, with another one each time, means that something was not told.

It takes knowing which messages were in the folder before, or else an altered one may be a new one. So the first time
that something changes in a folder of which this process knows little, it is read whole too, as soon as nobody waits for
it. And for all that no number shows, two losses that cancel each other, that is done now and then in any case.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from connectors.api.priority import Priority, current_priority
from connectors.api.types import ChangePage, MailboxRef, MessageRef
from connectors.graph import edits
from connectors.graph.cursors import Mark
from connectors.graph.folders import Tree
from connectors.graph.known import Known
from connectors.graph.listing import list_whole, mark_of, take_prime
from connectors.graph.mail import PAGE, Mail

WHOLE_INTERVAL_S: Final = 12 * 3600.0
"""How often a folder is read whole whatever the numbers say, and up to half as long again, lest all fall together."""


@dataclass(frozen=True, slots=True)
class Tally:
    """By how many messages a reading of changes made a folder grow and shrink, for sure and perhaps.

    What is perhaps was not known to be there before, nor not to be there.
    """

    added: int = 0
    perhaps_added: int = 0
    removed: int = 0
    perhaps_removed: int = 0

    @classmethod
    def of(cls, known: Known, mailbox: MailboxRef, here: Iterable[MessageRef], gone: Iterable[MessageRef]) -> Tally:
        """Count, by what is known so far, what is told of messages that are in the folder or not."""
        before_here = [known.was_in(ref, mailbox) for ref in here]
        before_gone = [known.was_in(ref, mailbox) for ref in gone]
        return cls(before_here.count(False), before_here.count(None), before_gone.count(True), before_gone.count(None))

    @property
    def is_sure(self) -> bool:
        """Whether it is all known."""
        return not self.perhaps_added and not self.perhaps_removed

    def advance(self, least: int, most: int) -> tuple[int, int]:
        """Return how many there are afterwards, at least and at most."""
        return least + self.added - self.removed - self.perhaps_removed, (
            most + self.added + self.perhaps_added - self.removed
        )

    def allows(self, least: int, most: int, count: int) -> bool:
        """Whether there may have been so many at some moment between before and after."""
        grown, shrunk = self.added + self.perhaps_added, self.removed + self.perhaps_removed
        return least - shrunk <= count <= most + grown


def is_due(mail: Mail, mailbox: MailboxRef, mark: Mark) -> bool:
    """Whether the folder is to be read whole before anything was asked.

    What need not be at once waits until nobody waits for it.
    """
    if mail.known.is_due(mailbox):
        return True
    if current_priority() is not Priority.BACKGROUND:
        return False
    if mail.looks.is_unsure(mailbox):
        return True
    interval_s = WHOLE_INTERVAL_S * (1 + (crc32(mailbox.encode()) % 1000) / 2000)
    return mail.clock.now().timestamp() - mark.whole_at >= interval_s


def is_in_doubt(mail: Mail, tree: Tree, mailbox: MailboxRef, mark: Mark, tally: Tally) -> bool:
    """Compare with the folder's own number, if there is a newer one; tell whether it has been wrong too often."""
    count = mail.looks.fresh_count(mailbox, tree)
    if count is None or mark.least is None or mark.most is None:
        return False
    if tally.allows(mark.least, mark.most, count):
        mail.looks.trust(mailbox)
        return False
    return mail.looks.doubt(mailbox)


async def read_whole(mail: Mail, mailbox: MailboxRef, before: Mark) -> AsyncGenerator[ChangePage, None]:
    """Yield the state of every message in the folder, and with the last page that these are all.

    `before` is the position that the gateway has.

    Raises:
        NotFound: no such folder.
    """
    prime = await take_prime(mail, mailbox)
    states = edits.compared(mail, before.drafts, prime.drafts, await list_whole(mail, mailbox, prime))
    await mail.trace(mailbox, [state.ref for state in states])
    cursor = mark_of(mail, prime).encode()
    present = frozenset(state.ref for state in states)
    mail.looks.begin(mailbox, await mail.tree())
    last = max(len(states) - 1, 0) // PAGE * PAGE
    for start in range(0, last, PAGE):
        yield ChangePage(changed=tuple(states[start : start + PAGE]))
    yield ChangePage(changed=tuple(states[last:]), present=present, cursor=cursor)
    mail.learn_whole(mailbox, [state.ref for state in states])
