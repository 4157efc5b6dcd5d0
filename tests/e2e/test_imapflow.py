"""imapflow in front. It needs Node; `make e2e-client` installs the package that tests/e2e/package.json names."""

from __future__ import annotations

import pytest

from tests.e2e.back import Back
from tests.e2e.backends import over_gmail_too, over_graph
from tests.e2e.client_scenarios import BasicScenarios, Connect, IdlingClientScenarios
from tests.e2e.clients.imapflow_client import ImapflowClient, missing_part
from tests.e2e.endpoint import Stage
from tests.e2e.seeds import message, multipart
from tests.e2e.settling import settled


@over_gmail_too
@pytest.mark.skipif(missing_part() is not None, reason=missing_part() or "")
class TestImapflow(IdlingClientScenarios):
    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        return lambda: ImapflowClient(stage.front)

    def test_reads_envelope_and_structure(self, stage: Stage, back: Back, connect: Connect) -> None:
        back.append("INBOX", message(1))
        back.append("INBOX", multipart(2))
        settled(stage, "INBOX")
        with connect() as client:
            assert isinstance(client, ImapflowClient)
            assert client.call("structures", "INBOX") == {
                "1": {"type": "text/plain", "subject": "Message number 1"},
                "2": {"type": "multipart/mixed", "subject": 'Äpfel "quoted" 2'},
            }


@over_graph
@pytest.mark.skipif(missing_part() is not None, reason=missing_part() or "")
class TestImapflowOverGraph(BasicScenarios):
    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        return lambda: ImapflowClient(stage.front)
