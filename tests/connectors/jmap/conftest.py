"""The servers that the tests of the JMAP connector talk to."""

from tests.servers.cyrus import cyrus

__all__ = ["cyrus"]
