"""Wrong passwords, at the gateway and at Dovecot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.e2e.backends import over_each_backend
from tests.e2e.client_scenarios import contents, flags
from tests.e2e.endpoint import Stage
from tests.e2e.gateway_process import GatewayFactory, new_account
from tests.e2e.raw_client import RawClient
from tests.e2e.raw_values import Status
from tests.e2e.seeds import message
from tests.e2e.settling import settled
from tests.e2e.stage_pool import StagePool
from tests.e2e.waiting import eventually
from tests.servers.cyrus import Cyrus


def refused(client: RawClient, login: str, password: str) -> Status:
    reply = client.command(f'LOGIN "{login}" "{password}"')
    assert reply.status.kind == "NO"
    return reply.status


def test_a_wrong_password_is_refused_and_the_right_one_taken_on_the_same_connection(stage: Stage) -> None:
    with RawClient(stage.front) as client:
        client.greeting()
        status = refused(client, stage.front.login, "wrong")
        assert status.code == "AUTHENTICATIONFAILED"
        assert client.command("SELECT INBOX").status.kind in ("BAD", "NO")
        client.login()
        assert client.select("INBOX").is_ok


def test_an_unknown_login_is_refused_as_a_wrong_password_is(stages: StagePool, gateways: GatewayFactory) -> None:
    (account,) = stages.accounts(1)
    front = gateways([account]).endpoint(account.login)
    with RawClient(front) as client:
        client.greeting()
        known = refused(client, front.login, "wrong")
        unknown = refused(client, "nobody", "wrong")
    assert (known.code, known.text) == (unknown.code, unknown.text)


def test_a_password_in_a_file_is_taken_and_still_is_after_a_restart(
    stages: StagePool, gateways: GatewayFactory
) -> None:
    (account,) = stages.accounts(1)
    gateway = gateways([account], has_password_files=True)
    for is_last in (False, True):
        with RawClient(gateway.endpoint(account.login)) as client:
            client.greeting()
            assert refused(client, account.login, "wrong").code == "AUTHENTICATIONFAILED"
            client.login()
            assert client.select("INBOX").is_ok
        gateway.stop()
        if not is_last:
            gateway.start()


@pytest.mark.parametrize("command", ["SELECT INBOX", "STATUS INBOX (MESSAGES)", "APPEND INBOX {}", "IDLE"])
def test_nothing_is_to_be_had_before_the_login(stage: Stage, command: str) -> None:
    with RawClient(stage.front) as client:
        client.greeting()
        reply = client.command(command, *([message(1)] if "{}" in command else []))
        assert reply.status.kind in ("BAD", "NO")


@over_each_backend
def test_a_password_that_the_server_refuses_leaves_the_user_in_and_says_so(
    stages: StagePool, gateways: GatewayFactory
) -> None:
    (account,) = stages.accounts(1)
    gateway = gateways([replace(account, backend=replace(account.backend, password="outdated"))])
    with RawClient(gateway.endpoint(account.login)) as front:
        front.greeting()
        said = front.login().untagged
        reply = front.command("APPEND INBOX {}", message(1))
        assert reply.status.kind == "NO"
        # The client's own password is right, so nothing may make it ask for another one (RFC 5530 section 3).
        assert "AUTHENTICATIONFAILED" not in reply.codes()
        said.extend(reply.untagged)

        def alerts() -> list[str]:
            said.extend(front.ok("NOOP").untagged)
            return [item.text for item in said if isinstance(item, Status) and item.code == "ALERT"]

        (text,) = eventually(alerts)
        assert "work" in text


def test_a_password_that_has_changed_at_the_server_leaves_known_mail_readable(
    cyrus: Cyrus, gateways: GatewayFactory
) -> None:
    """JMAP has no session that a login opens, so each request tells whether the password still is the one."""
    account = new_account(cyrus, "alice", "secret")
    with RawClient.logged_in(account.backend) as back:
        back.append("INBOX", message(1))
        gateway = gateways([account])
        stage = account.stage(gateway.endpoint(account.login))
        settled(stage, "INBOX")
        with RawClient.logged_in(stage.front) as front:
            assert contents(front, "INBOX") == {1: message(1)}
            cyrus.set_password(account.backend.login, "another")
            reply = eventually(lambda: front.command(r"UID STORE 1 +FLAGS (\Seen)"), lambda reply: not reply.is_ok)
            assert "AUTHENTICATIONFAILED" not in reply.codes()
            front.ok(r"UID FETCH 1 (FLAGS ENVELOPE)")
            assert contents(front, "INBOX") == {1: message(1)}
        # Put right by the operator.
        cyrus.set_password(account.backend.login, account.backend.password)
        gateway.stop()
        gateway.start()
        settled(stage, "INBOX")
        with RawClient.logged_in(stage.front) as front:
            front.select("INBOX")
            front.ok(r"UID STORE 1 +FLAGS (\Flagged)")
            assert "\\Flagged" in flags(back, "INBOX")[1]
