"""The servers that the tests of the IMAP connector talk to."""

from tests.servers.dovecot import dovecot

__all__ = ["dovecot"]
