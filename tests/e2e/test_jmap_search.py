"""SEARCH of text that the gateway has not read: the JMAP server looks into its index."""

from __future__ import annotations

from tests.e2e.gateway_process import GatewayFactory, new_account
from tests.e2e.raw_client import RawClient
from tests.e2e.settling import settled
from tests.servers.cyrus import Cyrus

WORDS = ("cucumber", "parsnip", "cucumber and parsnip")


def letter(word: str) -> bytes:
    return f"From: alex@example.org\r\nSubject: Vegetables\r\n\r\nThe word is {word}.\r\n".encode()


def test_text_of_unread_messages_is_found(cyrus: Cyrus, gateways: GatewayFactory) -> None:
    account = new_account(cyrus, "alice", "secret")
    with RawClient.logged_in(account.backend) as back:
        back.append_many("INBOX", map(letter, WORDS))
        back.append("Sent", letter("cucumber in another mailbox"))
    cyrus.index(account.backend.login)
    stage = account.stage(gateways([account]).endpoint(account.login))
    settled(stage, "INBOX", "Sent")
    with RawClient.logged_in(stage.front) as front:
        front.select("INBOX")
        assert front.search("BODY cucumber") == [1, 3]
        assert front.search("TEXT parsnip NOT TEXT cucumber") == [2]
        assert front.search("BODY aubergine") == []
        # What has been read since is looked through here, and letters may stand anywhere.
        front.fetch("1:*", "(BODY.PEEK[])")
        assert front.search("BODY ucumbe") == [1, 3]
