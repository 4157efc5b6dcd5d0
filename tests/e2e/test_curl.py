"""curl in front."""

from __future__ import annotations

import shutil

import pytest

from tests.e2e.back import Back
from tests.e2e.backends import over_gmail_too, over_graph
from tests.e2e.client_scenarios import BasicScenarios, ClientScenarios, Connect
from tests.e2e.clients.curl_client import CurlClient, CurlError
from tests.e2e.endpoint import Stage
from tests.e2e.seeds import message, multipart
from tests.e2e.settling import settled


@over_gmail_too
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
class TestCurl(ClientScenarios):
    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        return lambda: CurlClient(stage.front)

    def test_reads_sections(self, stage: Stage, back: Back) -> None:
        uid = back.append("INBOX", multipart(1))
        settled(stage, "INBOX")
        client = CurlClient(stage.front)
        header, _, text = multipart(1).partition(b"\r\n\r\n")
        assert client.message("INBOX", uid, section="TEXT") == text
        assert client.message("INBOX", uid, section="HEADER") == header + b"\r\n\r\n"
        assert client.message("INBOX", uid, section="1.1") == b"plain text"
        assert client.message("INBOX", uid, section="HEADER.FIELDS%20(SUBJECT)").startswith(b"Subject: =?utf-8?b?")

    def test_a_refused_command_is_an_error(self, stage: Stage, back: Back) -> None:
        back.append("INBOX", message(1))
        settled(stage, "INBOX")
        with pytest.raises(CurlError):
            CurlClient(stage.front).copy("INBOX", 1, "No such mailbox")
        with pytest.raises(CurlError):
            CurlClient(stage.front).message("No such mailbox", 1)

    def test_a_mailbox_is_selected_for_each_transfer(self, stage: Stage, back: Back) -> None:
        for number in (1, 2):
            back.append("INBOX", message(number))
        settled(stage, "INBOX")
        client = CurlClient(stage.front)
        assert [client.message("INBOX", uid) for uid in (1, 2)] == [message(1), message(2)]


@over_graph
@pytest.mark.long
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
class TestCurlOverGraph(BasicScenarios):
    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        return lambda: CurlClient(stage.front)
