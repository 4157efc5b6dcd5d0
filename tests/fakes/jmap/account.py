"""One account: its mailboxes, Emails, threads and blobs. The methods here change them and keep the journals."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime

from tests.fakes.jmap.content import MESSAGE_ID, Content
from tests.fakes.jmap.journal import Change, Journal
from tests.fakes.jmap.options import Quirk
from tests.fakes.jmap.records import ByDate, Email, Mailbox

STATE_LETTERS = {"Email": "e", "Mailbox": "m", "Thread": "t", "EmailDelivery": "d", "Quota": "q"}
PUSHED_TYPES = tuple(STATE_LETTERS)
SCRAMBLE = 0x9E3779B1  # odd, so that each number up to 2^32 has an id of its own


class Account:
    """The state of one account. `published` is told the new states once a change is complete."""

    def __init__(self, account_id: str, name: str, published: Callable[[Account, dict[str, str]], None]) -> None:
        self.id = account_id
        self.name = name
        self.is_read_only = False
        self.mailboxes: dict[str, Mailbox] = {}
        self.emails: dict[str, Email] = {}
        self.by_date = ByDate()
        self.membership = 0
        self.threads: dict[str, list[str]] = {}
        self.blobs: dict[str, Content] = {}
        self.uploaded: set[str] = set()
        self.octets = 0
        self.journals = {name: Journal(letter) for name, letter in STATE_LETTERS.items()}
        self._published = published
        self._depth = 0
        self._email_numbers = 0
        self._mailbox_numbers = 0
        self.emails_of_blob: dict[str, list[str]] = {}
        self._thread_of: dict[bytes, str] = {}

    # -- states ------------------------------------------------------------------------------------------------------

    def state(self, kind: str) -> str:
        return self.journals[kind].state

    def states(self) -> dict[str, str]:
        return {name: journal.state for name, journal in self.journals.items()}

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Group changes: what is subscribed to hears of them once, after the last."""
        before = self.states() if not self._depth else {}
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                moved = {name: state for name, state in self.states().items() if state != before[name]}
                if moved:
                    self._published(self, moved)

    def record(self, kind: str, object_id: str, change: Change) -> None:
        self.journals[kind].record(object_id, change)

    # -- mailboxes ---------------------------------------------------------------------------------------------------

    def add_mailbox(
        self,
        name: str,
        parent_id: str | None = None,
        role: str | None = None,
        *,
        sort_order: int = 0,
        is_subscribed: bool = True,
    ) -> Mailbox:
        self._mailbox_numbers += 1
        mailbox = Mailbox(f"P{self._mailbox_numbers:x}", name, parent_id, role, sort_order, is_subscribed)
        if role == "inbox":
            mailbox.denied = {"mayRename", "mayDelete"}
        self.mailboxes[mailbox.id] = mailbox
        with self.changing():
            self.record("Mailbox", mailbox.id, Change.CREATED)
        return mailbox

    def touch_mailbox(self, mailbox: Mailbox) -> None:
        """Take note that a property of the mailbox was changed."""
        with self.changing():
            self.record("Mailbox", mailbox.id, Change.UPDATED)

    def destroy_mailbox(self, mailbox: Mailbox) -> None:
        """Remove a mailbox; Emails that are in no other are destroyed."""
        with self.changing():
            for email_id in mailbox.emails.page(0, len(mailbox.emails)):
                email = self.emails[email_id]
                if email.mailbox_ids == {mailbox.id}:
                    self.destroy_email(email)
                else:
                    self.update_email(email, mailbox_ids=email.mailbox_ids - {mailbox.id})
            del self.mailboxes[mailbox.id]
            self.record("Mailbox", mailbox.id, Change.DESTROYED)

    def children(self, mailbox_id: str | None) -> list[Mailbox]:
        return [mailbox for mailbox in self.mailboxes.values() if mailbox.parent_id == mailbox_id]

    def child(self, parent_id: str | None, name: str) -> Mailbox | None:
        return next((mailbox for mailbox in self.children(parent_id) if mailbox.name == name), None)

    def with_role(self, role: str) -> Mailbox | None:
        return next((mailbox for mailbox in self.mailboxes.values() if mailbox.role == role), None)

    def ancestors(self, mailbox: Mailbox) -> Iterator[Mailbox]:
        """Yield the parent, its parent and so on."""
        while mailbox.parent_id is not None:
            mailbox = self.mailboxes[mailbox.parent_id]
            yield mailbox

    def readable(self, email: Email) -> set[str]:
        """Return the mailboxes of an Email that may be read; without one the Email cannot be seen."""
        return {each for each in email.mailbox_ids if self.mailboxes[each].allows("mayReadItems")}

    @property
    def hides_some(self) -> bool:
        """Whether any mailbox may not be read."""
        return any(not mailbox.allows("mayReadItems") for mailbox in self.mailboxes.values())

    # -- Emails ------------------------------------------------------------------------------------------------------

    def new_email(
        self,
        content: Content,
        blob_id: str,
        mailbox_ids: Iterable[str],
        keywords: Iterable[str],
        received_at: datetime,
        quirks: Collection[Quirk] = (),
    ) -> Email:
        """Make the record of an Email and give it its ids; it is in no index yet."""
        self._email_numbers += 1
        email_id = f"M{self._email_numbers * SCRAMBLE & 0xFFFFFFFF:08x}"
        thread_id = email_id if Quirk.THREAD_IS_EMAIL in quirks else self._thread_for(content)
        self.blobs[blob_id] = content
        self.emails_of_blob.setdefault(blob_id, []).append(email_id)
        self.emails[email_id] = email = Email(
            email_id,
            self._email_numbers,
            blob_id,
            thread_id,
            content,
            content.size,
            received_at,
            set(mailbox_ids),
            set(keywords),
        )
        self.octets += email.size
        return email

    def add_email(self, email: Email, *, is_delivery: bool = False) -> None:
        """Take a new Email into the indexes and tell of it."""
        with self.changing():
            self.by_date.add(email)
            self.membership += 1
            siblings = self.threads.setdefault(email.thread_id, [])
            siblings.append(email.id)
            for mailbox_id in sorted(email.mailbox_ids):
                self.mailboxes[mailbox_id].include(email)
                self.record("Mailbox", mailbox_id, Change.COUNTED)
            self.record("Email", email.id, Change.CREATED)
            self.record("Thread", email.thread_id, Change.UPDATED if len(siblings) > 1 else Change.CREATED)
            self.record("Quota", "storage", Change.UPDATED)
            if is_delivery:
                self.record("EmailDelivery", email.id, Change.CREATED)

    def load(self, emails: Iterable[Email]) -> None:
        """Take in many new Emails at once, telling nobody: for the start."""
        members: dict[str, list[Email]] = {}
        for email in emails:
            self.threads.setdefault(email.thread_id, []).append(email.id)
            for mailbox_id in email.mailbox_ids:
                members.setdefault(mailbox_id, []).append(email)
        self.by_date = ByDate([email.order for email in self.emails.values()])
        for mailbox_id, found in members.items():
            mailbox = self.mailboxes[mailbox_id]
            mailbox.threads.update(email.thread_id for email in found)
            mailbox.unread_threads.update(email.thread_id for email in found if email.is_unread)
            mailbox.unread += sum(email.is_unread for email in found)
            present = [self.emails[email_id] for email_id in mailbox.emails.page(0, len(mailbox.emails))]
            mailbox.emails = ByDate([email.order for email in (*present, *found)])

    def update_email(
        self, email: Email, *, mailbox_ids: set[str] | None = None, keywords: set[str] | None = None
    ) -> None:
        """Give an Email other mailboxes, other keywords or both; equal ones change nothing."""
        old_ids, new_ids = email.mailbox_ids, email.mailbox_ids if mailbox_ids is None else mailbox_ids
        if new_ids == old_ids and keywords in (None, email.keywords):
            return
        with self.changing():
            was_unread = email.is_unread
            for mailbox_id in old_ids - new_ids:
                self.mailboxes[mailbox_id].exclude(email)
            email.mailbox_ids = set(new_ids)
            if keywords is not None:
                email.keywords = set(keywords)
            for mailbox_id in new_ids - old_ids:
                self.mailboxes[mailbox_id].include(email)
            touched = old_ids ^ new_ids
            if email.is_unread != was_unread:
                for mailbox_id in old_ids & new_ids:
                    self.mailboxes[mailbox_id].count_unread(email, 1 if email.is_unread else -1)
                touched |= new_ids
            for mailbox_id in sorted(touched):
                self.record("Mailbox", mailbox_id, Change.COUNTED)
            self.record("Email", email.id, Change.UPDATED)

    def destroy_email(self, email: Email) -> None:
        with self.changing():
            for mailbox_id in sorted(email.mailbox_ids):
                self.mailboxes[mailbox_id].exclude(email)
                self.record("Mailbox", mailbox_id, Change.COUNTED)
            self.by_date.remove(email)
            self.membership += 1
            self.octets -= email.size
            del self.emails[email.id]
            siblings = self.threads[email.thread_id]
            siblings.remove(email.id)
            if not siblings:
                del self.threads[email.thread_id]
            self.record("Email", email.id, Change.DESTROYED)
            self.record("Thread", email.thread_id, Change.UPDATED if siblings else Change.DESTROYED)
            self.record("Quota", "storage", Change.UPDATED)
            self._drop_blob(email)

    def _thread_for(self, content: Content) -> str:
        """Find the thread of a message by the ids it has and names (RFC 8621 section 3)."""
        named = [
            message_id
            for name, value in content.fields()
            if name.lower() in ("message-id", "in-reply-to", "references")
            for message_id in MESSAGE_ID.findall(value)
        ]
        known = next((self._thread_of[message_id] for message_id in named if message_id in self._thread_of), None)
        thread_id = known or f"T{self._email_numbers:x}"
        for message_id in named:
            self._thread_of.setdefault(message_id, thread_id)
        return thread_id

    # -- blobs -------------------------------------------------------------------------------------------------------

    def upload(self, content: Content) -> str:
        """Keep a blob that no Email has yet and return its id."""
        blob_id = content.blob_id()
        self.blobs.setdefault(blob_id, content)
        self.uploaded.add(blob_id)
        return blob_id

    def _drop_blob(self, email: Email) -> None:
        """Forget the blob of a destroyed Email, unless another has it or it was uploaded for whatever purpose."""
        users = self.emails_of_blob[email.blob_id]
        users.remove(email.id)
        if not users:
            del self.emails_of_blob[email.blob_id]
            if email.blob_id not in self.uploaded:
                del self.blobs[email.blob_id]
