"""imapclient in front."""

from __future__ import annotations

import pytest

from tests.e2e.backends import over_gmail_too, over_graph
from tests.e2e.client_scenarios import BasicScenarios, Connect, IdlingClientScenarios
from tests.e2e.clients.imapclient_client import ImapclientClient
from tests.e2e.endpoint import Stage


@over_gmail_too
class TestImapclient(IdlingClientScenarios):
    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        return lambda: ImapclientClient(stage.front)


@over_graph
@pytest.mark.long
class TestImapclientOverGraph(BasicScenarios):
    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        return lambda: ImapclientClient(stage.front)
