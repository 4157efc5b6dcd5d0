"""Cyrus behind JMAP, and another program that works on the same mail over IMAP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from connectors.api.connector import Connector
from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.jmap import SPEC as JMAP
from tests.e2e.endpoint import Endpoint
from tests.e2e.raw_client import RawClient
from tests.scenarios.outside import USUAL_MAILBOXES, MailboxPath, Outside
from tests.scenarios.samples import marker
from tests.servers.cyrus import Cyrus


class OutsideCyrus(Outside):
    """An account of its own at a Cyrus, which the gateway reaches by JMAP. `close` it at the end.

    What is expunged is destroyed, as with the other backends. Cutting it off stops the server for everyone.
    """

    connector_name = "jmap"
    spec = JMAP

    def __init__(self, server: Cyrus) -> None:
        user = server.fresh_user(USUAL_MAILBOXES)
        self._server = server
        self._credential = PasswordCredential(user, Secret(server.password))
        self._endpoint = Endpoint(server.host, server.imap_port, user, server.password)
        self._open_client: RawClient | None = None
        self.settings = {"url": server.jmap_url, "expunge": "destroy", "poll_interval_s": 3600.0}

    def connect(self, settings: Mapping[str, object]) -> Connector:
        return self.spec.build(settings, FixedCredential(self._credential))

    def deliver(self, mailbox: MailboxPath, data: bytes, flags: frozenset[str], date: datetime) -> None:
        moment = date.strftime("%d-%b-%Y %H:%M:%S %z")
        self._client.append(_name(mailbox), data, f"({' '.join(sorted(flags))})", moment)

    def remove(self, mailbox: MailboxPath, number: int) -> None:
        uid = self._find(mailbox, number)
        self._client.ok(rf"UID STORE {uid} +FLAGS.SILENT (\Deleted)")
        self._client.ok(f"UID EXPUNGE {uid}")

    def set_flags(self, mailbox: MailboxPath, number: int, flags: frozenset[str]) -> None:
        self._client.ok(f"UID STORE {self._find(mailbox, number)} FLAGS.SILENT ({' '.join(sorted(flags))})")

    def create(self, mailbox: MailboxPath) -> None:
        self._client.ok(f'CREATE "{_name(mailbox)}"')
        self._client.ok(f'SUBSCRIBE "{_name(mailbox)}"')

    def delete(self, mailbox: MailboxPath) -> None:
        self._client.ok(f'DELETE "{_name(mailbox)}"')

    def set_offline(self, is_offline: bool) -> None:
        self.close()
        if is_offline:
            self._server.stop()
        else:
            self._server.start()

    def close(self) -> None:
        """Hang up."""
        client, self._open_client = self._open_client, None
        if client is not None:
            client.close()

    @property
    def _client(self) -> RawClient:
        if self._open_client is None:
            self._open_client = RawClient.logged_in(self._endpoint)
        return self._open_client

    def _find(self, mailbox: MailboxPath, number: int) -> int:
        """Open the mailbox and return the UID of a message."""
        self._client.select(_name(mailbox))
        for uid, row in self._client.fetch("1:*", "(BODY.PEEK[])").items():
            body = row["BODY[]"]
            if isinstance(body, bytes) and marker(number) in body:
                return uid
        raise AssertionError(f"no message {number} in {mailbox}")


def _name(mailbox: MailboxPath) -> str:
    return "/".join(mailbox)
