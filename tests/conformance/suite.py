"""The whole conformance suite as one class to inherit."""

from __future__ import annotations

from tests.conformance.accounts import AccountSuite
from tests.conformance.lifecycle import LifecycleSuite
from tests.conformance.mailboxes import MailboxSuite
from tests.conformance.reading import ReadingSuite
from tests.conformance.syncing import SyncingSuite
from tests.conformance.writing import WritingSuite


class ConnectorSuite(ReadingSuite, SyncingSuite, WritingSuite, MailboxSuite, AccountSuite, LifecycleSuite):
    """Everything a connector must do.

    A subclass gives the fixture `rig`: a fresh `Rig` for each test, with an empty account.
    """
