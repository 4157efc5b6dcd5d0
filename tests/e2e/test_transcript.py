"""The gateway answers some hundred commands as Dovecot and Cyrus do, and where not, an RFC says who is right.

The commands are in `transcript/transcript.txt`; the differences, each under the sentence that settles it, in
`transcript/dovecot.txt` and `transcript/cyrus.txt`, and in `transcript/maildir.txt` those between gateways of
different backends. What is not listed there must not differ, and what is listed must.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import AnyAccount, GatewayProcess, MaildirAccount, new_account
from tests.e2e.raw_client import RawClient
from tests.e2e.transcript.listing import differences, left_out, read_list, shown
from tests.e2e.transcript.player import play
from tests.e2e.transcript.script import sections
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot, running_dovecot

LISTS = Path(__file__).parent / "transcript"
LOGIN = "somebody"
DOVECOT_EXTRAS = """
mail_attribute_dict = file:%h/attributes
mail_plugins = quota acl zlib
protocol imap {
  mail_plugins = quota imap_quota acl imap_acl imap_zlib
  imap_metadata = yes
}
plugin {
  acl = vfile
}
"""
"""What Dovecot needs for ACL, METADATA and COMPRESS."""


@pytest.fixture
def full_dovecot(is_direct: bool) -> Iterator[Dovecot]:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    with running_dovecot(extras=DOVECOT_EXTRAS) as server:
        yield server


def test_answers_are_those_of_dovecot(full_dovecot: Dovecot, tmp_path: Path) -> None:
    account = new_account(full_dovecot, LOGIN, "secret")
    server = new_account(full_dovecot, "", "").backend
    with gateway_to(account, tmp_path) as gateway:
        compare("dovecot", server, gateway)


def test_answers_are_those_of_cyrus(full_dovecot: Dovecot, cyrus: Cyrus, tmp_path: Path) -> None:
    account = new_account(full_dovecot, LOGIN, "secret")
    server = new_account(cyrus, "", "").backend
    with gateway_to(account, tmp_path) as gateway:
        compare("cyrus", server, gateway, may_miss_changes=True)


def test_answers_over_a_maildir_are_those_over_dovecot(full_dovecot: Dovecot, tmp_path: Path) -> None:
    maildir = tmp_path / "Maildir"
    for folder in ("cur", "new", "tmp"):
        (maildir / folder).mkdir(parents=True)
    with ExitStack() as stack:
        account = new_account(full_dovecot, LOGIN, "secret")
        over_dovecot = stack.enter_context(gateway_to(account, tmp_path / "dovecot"))
        over_maildir = stack.enter_context(gateway_to(MaildirAccount(LOGIN, "secret", maildir), tmp_path / "maildir"))
        with RawClient.logged_in(over_maildir) as client:
            client.ok("CREATE Sent")
        compare("maildir", over_dovecot, over_maildir)


@contextmanager
def gateway_to(account: AnyAccount, directory: Path) -> Iterator[Endpoint]:
    """Run a gateway of its own for an account."""
    gateway = GatewayProcess(directory / "gateway", [account])
    try:
        gateway.start()
        yield gateway.endpoint(LOGIN)
    finally:
        gateway.stop()


def compare(name: str, server: Endpoint, gateway: Endpoint, *, may_miss_changes: bool = False) -> None:
    """Play the transcript against both at once, and see that they differ where the list says so, and nowhere else."""
    script, known = sections(), read_list(LISTS / f"{name}.txt")
    common = capabilities(server) & capabilities(gateway)
    assert left_out(script, common) == known.left_out
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(play, server, script, common, may_miss_changes=may_miss_changes)
        ours = play(gateway, script, common)
        theirs = playing.result()
    found = differences(theirs, ours)
    unlisted = known.unlisted(found)
    assert not unlisted, f"not in {name}.txt\n\n{shown(unlisted)}"
    gone = known.gone(found)
    assert not gone, f"in {name}.txt and not found\n\n" + "\n\n".join(gone)


def capabilities(endpoint: Endpoint) -> frozenset[str]:
    """Return what a server offers, before login and after it; of APPENDLIMIT only the name."""
    with RawClient(endpoint) as client:
        client.greeting()
        before = client.capabilities()
        client.login()
        offered = before | client.capabilities()
    return frozenset("APPENDLIMIT" if name.startswith("APPENDLIMIT=") else name for name in offered)
