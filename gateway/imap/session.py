"""What the server knows of one client: who it is, what it has selected and enabled, and what it has been told."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.imap.capability import Situation
from gateway.imap.connection import Connection
from gateway.imap.services import ImapServices
from gateway.mailbox.abilities import has_gmail_ids, jmap_url
from gateway.mailbox.user_mail import UserMail
from gateway.mailbox.view import FlagRow, View
from gateway.wire import write, write_code, write_fetch
from gateway.wire.codes import Code, Status
from gateway.wire.sequence_set import SequenceSet

if TYPE_CHECKING:
    from gateway.imap.notifier import Notifier
    from gateway.imap.updates import Updates


class State(enum.Enum):
    """RFC 9051 section 3."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


class Session:
    """One client, from greeting to logout. Handlers read and change it; `gateway.imap.conversation` runs them.

    `notifier` tells what was asked for by NOTIFY, once that was used. `updates` tells how results of searches change,
    once UPDATE was asked for, as long as the mailbox is selected.
    `user` and `login` are set from login on, `view` while a mailbox is selected. `saved` holds the UIDs of the last
    SEARCH with RETURN (SAVE) (RFC 5182). `tag` is the tag of the command in hand. `client` is the name the client
    has given by ID. `rev2`: it has enabled IMAP4rev2, `has_utf8_accept`: UTF8=ACCEPT,
    `utf8`: one of the two.
    """

    def __init__(self, connection: Connection, services: ImapServices) -> None:
        self.connection = connection
        self.services = services
        self.settings = services.settings
        self.state = State.NOT_AUTHENTICATED
        self.user: UserMail | None = None
        self.login: str | None = None
        self.client: str | None = None
        self.view: View | None = None
        self.saved: Sequence[int] = ()
        self.has_condstore = False
        self.has_qresync = False
        self.utf8 = False
        self.has_utf8_accept = False
        self.rev2 = False
        self.uid_only = False  # UIDONLY is enabled
        self.login_failures = 0
        self.stranger_since = connection.time()
        self.tag = ""
        self.is_inside_line = False
        self.notifier: Notifier | None = None
        self.updates: Updates | None = None
        self._output = connection.output
        self._told_alert: str | None = None
        self._has_untold_flags = False

    # -- what holds now ------------------------------------------------------------------------------------------------

    @property
    def can_log_in(self) -> bool:
        """A password may be sent: nobody can read along, or the operator does not mind."""
        return self.connection.is_tls or self.connection.is_loopback or self.settings.allow_plaintext_login

    @property
    def can_start_tls(self) -> bool:
        return self.services.tls is not None and not self.connection.is_tls

    @property
    def append_limit(self) -> int:
        """The largest message that APPEND takes, in octets, into whichever mailbox takes the largest."""
        return max(self._append_limits)

    @property
    def _append_limits(self) -> frozenset[int]:
        limit = self.settings.append_limit
        of_accounts = frozenset() if self.user is None else self.user.append_limits()
        return frozenset(min(limit, one) for one in of_accounts) or frozenset({limit})

    @property
    def situation(self) -> Situation:
        return Situation(
            is_authenticated=self.user is not None,
            can_start_tls=self.can_start_tls,
            can_log_in=self.can_log_in,
            append_limit=self.append_limit if len(self._append_limits) == 1 else None,
            is_compressed=self.connection.is_compressed,
            message_limit=self.settings.messages_per_command,
            has_gmail_ids=self.user is not None and has_gmail_ids(self.user),
            has_jmap=self.user is not None and jmap_url(self.user) is not None,
            added=self.settings.switches.added,
            disabled=self.disabled,
            has_scram=self.services.scram is not None and self.services.scram.is_complete,
            can_bind_channel=self.connection.server_end_point is not None,
            has_client_certificate=self.services.named is not None and bool(self.connection.client_names),
            takes_tokens=self.services.tokens is not None and self.services.named is not None,
        )

    @property
    def disabled(self) -> frozenset[str]:
        """The capabilities, in capitals, that the operator has switched off for this session."""
        switches = self.settings.switches
        if not switches.exemptions:
            return switches.disabled
        accounts = () if self.user is None else self.user.account_names
        return switches.disabled_for(self.client, self.login, accounts)

    def offers(self, name: str) -> bool:
        """Tell whether a capability is switched on for this session."""
        return self.services.offer.has(name, self.situation)

    def advertises(self, name: str) -> bool:
        """Tell whether a capability is in the list for this session as it is now."""
        return self.services.offer.is_advertised(name, self.situation)

    @property
    def capability_code(self) -> bytes:
        """The response code `CAPABILITY IMAP4rev1 ...` as it holds now."""
        return write_code.capability(self.services.offer.names(self.situation))

    def require_user(self) -> UserMail:
        """Return the user's mail; the command table lets only commands of a logged-in state here."""
        assert self.user is not None, "not logged in"
        return self.user

    def require_view(self) -> View:
        """Return the selected mailbox; the command table lets only commands of the selected state here."""
        assert self.view is not None, "nothing selected"
        return self.view

    async def forget_user(self) -> None:
        """Give back the user and all that depends on who it is; what came before login stays, and so do TLS and ID."""
        self.unselect()
        if self.notifier is not None:
            self.notifier.close()
            self.notifier = None
        user, login = self.user, self.login
        self.user = self.login = self._told_alert = None
        self.has_condstore = self.has_qresync = self.uid_only = False
        self.utf8 = self.connection.reader.utf8 = self.has_utf8_accept = self.rev2 = False
        self.state = State.NOT_AUTHENTICATED
        self.stranger_since = self.connection.time()
        self.connection.begin_login_time()
        self.connection.reader.append_octets = 0
        try:
            if user is not None:
                await user.close()
        finally:
            if login is not None:
                self.services.limits.release_user(login)

    # -- selecting -----------------------------------------------------------------------------------------------------

    def select(self, view: View) -> None:
        """Make `view` the selected mailbox; none may be selected."""
        assert self.view is None, "a mailbox is selected"
        view.shows_recent = not self.rev2
        self.view = view
        self.saved = ()
        self.state = State.SELECTED

    def unselect(self) -> None:
        """Leave the selected mailbox, if any, without touching its messages."""
        if self.view is not None:
            self.view.set_bell(None)
            self.view.close()
            self.view = None
            self.state = State.AUTHENTICATED
        self.saved = ()
        self.updates = None

    def resolve(self, numbers: SequenceSet, *, is_uid: bool) -> list[int]:
        """Return the UIDs meant, ascending, of messages this client knows of; `$` is the saved search result.

        Raises:
            BadSequence: a sequence number that does not exist. A UID that does not exist is left out.
        """
        view = self.require_view()
        if numbers.is_saved_result:
            return self.saved_uids()
        return view.select_uids(numbers, is_uid=is_uid)

    def saved_uids(self) -> list[int]:
        """Return the saved search result without what has been expunged since (RFC 5182 section 2.1)."""
        view = self.require_view()
        return [uid for uid in self.saved if view.sequence_number(uid) is not None]

    # -- telling -------------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Queue octets for the client."""
        self._output.write(data)

    async def drain(self) -> None:
        """Wait while the client is slower than we are."""
        await self._output.drain()

    @contextmanager
    def inside_line(self) -> Iterator[None]:
        """Mark that a response is half written, so that no other line may come between."""
        self.is_inside_line = True
        try:
            yield
        finally:
            self.is_inside_line = False

    def enable_condstore(self) -> None:
        """Note that the client knows of mod-sequences (RFC 7162 section 3.1); every later FETCH carries them."""
        if not self.has_condstore:
            self.has_condstore = True
            if self.view is not None:
                code = write_code.highestmodseq(self.view.highestmodseq)
                self.write(write.untagged_status(Status.OK, "Highest", code))

    def enable_utf8_accept(self) -> None:
        """Speak UTF-8 from now on: in names, and in quoted strings (RFC 6855 section 3)."""
        self.utf8 = self.connection.reader.utf8 = self.has_utf8_accept = True

    def enable_rev2(self) -> None:
        """Answer as IMAP4rev2 has it from now on, in UTF-8 and without what it has left out (RFC 9051 appendix E)."""
        self.rev2 = self.utf8 = self.connection.reader.utf8 = True
        if self.view is not None:
            self.view.shows_recent = False

    @property
    def takes_charset(self) -> bool:
        """SEARCH may name a charset: not after ENABLE UTF8=ACCEPT (RFC 6855 section 3), yet in IMAP4rev2."""
        return self.rev2 or not self.has_utf8_accept

    def fetch_line(self, sequence_number: int, uid: int, items: Iterable[bytes]) -> bytes:
        """Return a FETCH response with the UID ahead of `items`, or where UIDONLY is enabled a UIDFETCH response."""
        if self.uid_only:
            return write_fetch.uid_line(uid, items)
        return write_fetch.line(sequence_number, (write_fetch.uid(uid), *items))

    def tell_flags(self, rows: Sequence[FlagRow]) -> None:
        """Write FETCH responses with the flags of `rows`, with UID always and MODSEQ once the client knows of it."""
        if self.uid_only:
            modseqs = [b" MODSEQ (%d)" % row.modseq if self.has_condstore else b"" for row in rows]
            lines = [
                b"* %d UIDFETCH (FLAGS %b%b)\r\n" % (row.uid, row.flags, modseq)
                for row, modseq in zip(rows, modseqs, strict=True)
            ]
        elif self.has_condstore:
            lines = [
                b"* %d FETCH (UID %d FLAGS %b MODSEQ (%d))\r\n" % (row.sequence_number, row.uid, row.flags, row.modseq)
                for row in rows
            ]
        else:
            lines = [b"* %d FETCH (UID %d FLAGS %b)\r\n" % (row.sequence_number, row.uid, row.flags) for row in rows]
        if lines:
            self.write(b"".join(lines))

    def tell_changes(self, *, allow_expunge: bool, is_asked: bool = False) -> bool:
        """Write what happened in the selected mailbox since it was last told; return whether messages went.

        Only what NOTIFY has asked for, if it was used; messages that went if the client has asked for that just now.
        """
        self._has_untold_flags = False
        if self.view is None:
            return False
        if self.updates is not None:
            self.updates.tell_gone()
        wants_counts = self.notifier is None or self.notifier.wants_counts
        changes = self.view.catch_up(
            allow_expunge=allow_expunge and (wants_counts or is_asked),
            allow_new=wants_counts,
            allow_flags=self.notifier is None or self.notifier.wants_flags,
        )
        if self.notifier is not None:
            self.notifier.note_new(changes.new)
        if self.updates is not None:
            self.updates.note_new(changes.new)
        if changes.expunged:
            if self.has_qresync or self.uid_only:
                self.write(write.vanished(SequenceSet.from_numbers(uid for _, uid in changes.expunged)))
            else:
                self.write(b"".join(write.expunge(number) for number, _ in changes.expunged))
        if changes.exists is not None:
            self.write(write.exists(changes.exists))
        if changes.recent is not None and not self.rev2:
            self.write(write.recent(changes.recent))
        self.tell_flags(changes.flagged)
        self._has_untold_flags = changes.has_more
        return bool(changes.expunged)

    async def tell_rest(self) -> None:
        """Write what `tell_changes` has left: flags, where they are many, others having their turns, and then how the
        results of searches have changed by all of it (RFC 5465 sections 5.1 and 5.2).
        """
        while self._has_untold_flags:
            await self.drain()
            await asyncio.sleep(0)
            self.tell_changes(allow_expunge=False)
        if self.updates is not None:
            await self.updates.tell()

    def tell_alert(self) -> None:
        """Tell the user, once, that an account needs attention (RFC 9051 section 7.1, ALERT)."""
        alert = None if self.user is None else self.user.status_alert()
        if alert is not None and alert != self._told_alert:
            self.write(write.untagged_status(Status.OK, alert, Code.ALERT.value))
        self._told_alert = alert

    def say_bye(self, text: str, code: Code | None = None) -> None:
        """Write the farewell; the conversation ends after the command in hand."""
        self.write(write.untagged_status(Status.BYE, text, None if code is None else code.value))
        self.state = State.LOGOUT
