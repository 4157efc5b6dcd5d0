"""aioimaplib in front."""

from __future__ import annotations

import pytest

from tests.e2e.backends import over_gmail_too, over_graph
from tests.e2e.client_scenarios import BasicScenarios, Connect, IdlingClientScenarios
from tests.e2e.clients.aioimaplib_client import AioimaplibClient
from tests.e2e.endpoint import Stage


@over_gmail_too
class TestAioimaplib(IdlingClientScenarios):
    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        return lambda: AioimaplibClient(stage.front)


@over_graph
@pytest.mark.long
class TestAioimaplibOverGraph(BasicScenarios):
    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        return lambda: AioimaplibClient(stage.front)
