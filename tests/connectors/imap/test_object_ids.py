"""EMAILID and THREADID of a server that has OBJECTID (RFC 8474) come through; Dovecot 2.3 has none, Cyrus has."""

from __future__ import annotations

from connectors.api.credentials import FixedCredential, PasswordCredential, Secret
from connectors.api.types import MailboxRef
from connectors.imap import SPEC
from tests.servers.cyrus import Cyrus, cyrus

__all__ = ["cyrus"]


async def test_the_ids_of_cyrus_come_through(cyrus: Cyrus) -> None:
    user = cyrus.fresh_user()
    for number in range(2):
        cyrus.deliver(user, "INBOX", f"Subject: {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\nx\r\n".encode())
    settings = {"host": cyrus.host, "port": cyrus.imap_port, "tls": "none", "timeout_s": 20.0}
    connector = SPEC.build(settings, FixedCredential(PasswordCredential(user, Secret(cyrus.password))))
    await connector.open()
    try:
        with cyrus.client(user) as client:
            client.select("INBOX")
            emails = client.fetch("1:2", "(EMAILID THREADID)")[1]
        states = [state async for page in connector.listing(MailboxRef("INBOX")) for state in page]
        for state, line in zip(states, emails, strict=True):
            assert isinstance(line, bytes)
            assert f"EMAILID ({state.email_id}) THREADID ({state.thread_id})".encode() in line
        copied = await connector.copy(MailboxRef("INBOX"), [state.ref for state in states], MailboxRef("Archive"))
        assert len(copied.done) == 2
        copies = [state async for page in connector.listing(MailboxRef("Archive")) for state in page]
        assert [copy.email_id for copy in copies] == [state.email_id for state in states]
    finally:
        await connector.close()
