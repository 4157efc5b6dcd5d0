"""The IMAP connector does what every connector must do, at a real Dovecot and at lesser servers."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.suite import ConnectorSuite
from tests.connectors.imap.lesser_server import CONDSTORE_ONLY, REV1_ONLY, lesser_server
from tests.connectors.imap.rig import DovecotRig
from tests.servers.dovecot import Dovecot


class TestImapAtDovecot(ConnectorSuite):
    @pytest.fixture
    def rig(self, dovecot: Dovecot) -> DovecotRig:
        return DovecotRig(dovecot)


class LesserSuite(ConnectorSuite):
    hidden: frozenset[str]

    @pytest.fixture
    async def rig(self, dovecot: Dovecot) -> AsyncIterator[DovecotRig]:
        async with lesser_server(dovecot, self.hidden) as port:
            rig = DovecotRig(dovecot)
            rig.port = port
            yield rig


class TestImapWithoutQresyncAndMove(LesserSuite):
    hidden = CONDSTORE_ONLY


class TestImapWithoutAnyExtension(LesserSuite):
    hidden = REV1_ONLY
