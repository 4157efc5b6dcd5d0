"""What the whole gateway spends of Gmail's quota, counted in units by the stand-in.

The mailbox is a large one. But for the first test the gateway prefetches nothing: once mailboxes have been listed, what
prefetch reads is as much as the quota lets it, whatever a client asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.gmail import SPEC
from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import GatewayProcess
from tests.e2e.gmail_server import ALL_MAIL, GmailServer, running_gmail
from tests.e2e.raw_client import RawClient
from tests.e2e.raw_values import Fetched
from tests.e2e.waiting import eventually
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import FakeOptions
from tests.fakes.gmail.stats import Stats

MESSAGES = 100_000
LABELS = 30
UNITS_PER_MINUTE = 6000
"""Of projects registered since May 2026; the stand-in enforces it, and nothing here may wait for a minute to end."""

MOST_TO_SELECT = 1500
MOST_IN_AN_IDLE_HOUR = 200
HOUR_S = 3600
LISTED_S = 90.0
"""How long listing the large mailbox may take on a busy machine."""

UNITS_PER_LOOK = 3


@dataclass(frozen=True, slots=True)
class Counted:
    """A gateway whose one account is at a stand-in that counts."""

    front: Endpoint
    server: GmailServer

    def client(self) -> RawClient:
        return RawClient.logged_in(self.front)

    @property
    def stats(self) -> Stats:
        return self.server.fake.stats

    def calls(self, method: str) -> int:
        return self.stats.calls[f"gmail.users.{method}"]

    def clear(self) -> None:
        """Count from here on."""
        self.server.thread.call(self.stats.clear)

    def labels(self) -> list[frozenset[str]]:
        """Return the labels of each message that All Mail shows."""
        held = [message.labels for message in self.server.fake.mailbox.messages.values()]
        return [labels for labels in held if not labels & {"SPAM", "TRASH"}]


@contextmanager
def counting(
    directory: Path, messages: int, labels: int, *, prefetch: str = "none", **settings: float
) -> Iterator[Counted]:
    fake = FakeGmail(FakeOptions(messages=messages, labels=labels, units_per_minute=UNITS_PER_MINUTE))
    with running_gmail(fake) as server:
        account = server.declared("login", "password of login", fake.options.address, **settings)
        gateway = GatewayProcess(directory, [account], prefetch=prefetch)
        gateway.start()
        try:
            yield Counted(gateway.endpoint("login"), server)
        finally:
            gateway.stop()


@pytest.mark.timeout(300)
def test_with_the_default_settings_all_flags_are_read_before_anything_is_read_ahead(
    tmp_path: Path, is_direct: bool
) -> None:
    """As a gateway comes with no settings but the account's: it polls and reads ahead, and INBOX is listed too."""
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    limit = UNITS_PER_MINUTE
    with (
        counting(tmp_path, MESSAGES, LABELS, prefetch="headers", units_per_minute=limit, poll_interval_s=60) as counted,
        RawClient.logged_in(counted.front, timeout_s=120.0) as client,
    ):
        client.select("INBOX")
        read_all_flags(counted, client)


@pytest.fixture(scope="module")
def large(is_direct: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    """A large mailbox that nobody has opened yet."""
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    directory = tmp_path_factory.mktemp("large")
    with counting(directory, MESSAGES, LABELS, units_per_minute=UNITS_PER_MINUTE, poll_interval_s=HOUR_S) as counted:
        yield counted


@pytest.fixture(scope="module")
def opened(large: Counted) -> Iterator[RawClient]:
    """A client that has opened the mailbox and read all flags, for no more than `MOST_TO_SELECT` units."""
    with RawClient.logged_in(large.front, timeout_s=120.0) as client:
        read_all_flags(large, client)
        yield client


def read_all_flags(counted: Counted, client: RawClient) -> None:
    """Open All Mail and read all flags, which must be right and cost no more than `MOST_TO_SELECT` units."""
    there = counted.labels()
    # What is being listed for the first time is shown as it grows.
    selected = eventually(
        lambda: client.select(ALL_MAIL), lambda told: told.numbered("EXISTS") == [len(there)], within_s=LISTED_S
    )
    assert int(selected.codes()["UIDNEXT"]) == len(there) + 1
    assert int(selected.codes()["UNSEEN"]) == 1 + next(n for n, labels in enumerate(there) if "UNREAD" in labels)
    tag = client.next_tag()
    client.send(f"{tag} UID FETCH 1:* (FLAGS)\r\n".encode())
    rows = [row for row in client.read_until(tag).untagged if isinstance(row, Fetched)]
    assert counted.stats.total_units <= MOST_TO_SELECT
    assert [row.items["UID"] for row in rows] == list(range(1, len(there) + 1))
    assert [_is_marked(row, "\\Seen") for row in rows] == ["UNREAD" not in labels for labels in there]
    assert [_is_marked(row, "\\Flagged") for row in rows] == ["STARRED" in labels for labels in there]
    wanted = {"MESSAGES": len(there), "UNSEEN": sum("UNREAD" in labels for labels in there)}
    assert client.status(ALL_MAIL, *wanted) == wanted
    assert counted.stats.total_units <= MOST_TO_SELECT
    assert counted.calls("messages.get") == 0


def _is_marked(row: Fetched, flag: str) -> bool:
    flags = row.items["FLAGS"]
    assert isinstance(flags, tuple)
    return flag in flags


@pytest.mark.timeout(300)
def test_opening_the_newest_hundred_reads_each_once_in_few_requests(large: Counted, opened: RawClient) -> None:
    count = len(large.labels())
    large.clear()
    shown = f"{count - 99}:{count}", "(UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
    rows = opened.fetch(*shown)
    assert len(rows) == 100
    assert large.calls("messages.get") <= 100
    assert large.stats.requests <= 4
    large.clear()
    # All that is known then, bodies too.
    assert opened.fetch(*shown) == rows
    assert len(opened.fetch(shown[0], "(BODY.PEEK[])")) == 100
    with large.client() as other:
        other.select(ALL_MAIL)
        assert other.fetch(*shown) == rows
    assert large.calls("messages.get") == 0


def test_opening_another_mailbox_costs_its_own_ids(large: Counted, opened: RawClient) -> None:
    assert opened.endpoint == large.front
    label = large.server.fake.mailbox.labels.named("Project 2")
    assert label is not None
    held = [labels for labels in large.labels() if label.id in labels]
    large.clear()
    with large.client() as other:
        assert other.select("Project 2").numbered("EXISTS") == [len(held)]
    marked = [sum(mark in labels for labels in held) for mark in ("UNREAD", "STARRED")]
    pages = sum(math.ceil(max(count, 1) / 500) for count in (len(held), *marked))
    # Beside the lists a look at the history and the labels.
    assert large.stats.total_units <= 5 * pages + 6


def test_status_of_a_mailbox_that_nobody_has_opened_is_right(large: Counted, opened: RawClient) -> None:
    label = large.server.fake.mailbox.labels.named("Project 3")
    assert label is not None
    held = [labels for labels in large.labels() if label.id in labels]
    wanted = {"MESSAGES": len(held), "UNSEEN": sum("UNREAD" in labels for labels in held)}
    assert opened.status("Project 3", *wanted) == wanted


def test_a_thousand_flags_cost_one_call(large: Counted, opened: RawClient) -> None:
    large.clear()
    assert opened.ok(r"UID STORE 1:1000 +FLAGS.SILENT (\Seen)").is_ok
    assert large.stats.total_units == 50
    assert not any("UNREAD" in labels for labels in large.labels()[:1000])


def test_the_look_after_a_thousand_flags_reads_no_message(large: Counted, opened: RawClient) -> None:
    """Nothing is known of these messages but that they are in All Mail, and many of them have no label at all then."""
    there = large.labels()
    bare = sum(not labels - {"UNREAD"} for labels in there[1000:2000])
    label = large.server.fake.mailbox.labels.named("Project 4")
    assert label is not None
    held = [labels for labels in there if label.id in labels]
    large.clear()
    for how in ("-", "+"):
        assert opened.ok(rf"UID STORE 1001:2000 {how}FLAGS.SILENT (\Seen)").is_ok
    assert large.stats.total_units == 100
    with large.client() as other:
        # It is listed for the first time, and that brings a look at the history.
        other.select("Project 4")
    assert large.calls("history.list") > 0
    assert large.calls("messages.get") == 0
    # What is starred and what is a draft is listed for it, and the rest are looks and the mailbox itself.
    marked = [sum(mark in labels for labels in held) for mark in ("UNREAD", "STARRED")]
    starred = sum("STARRED" in labels for labels in there)
    pages = sum(math.ceil(max(count, 1) / 500) for count in (len(held), *marked, starred, 0))
    assert large.stats.total_units <= 100 + 5 * pages + 40
    assert large.stats.total_units - 100 < 20 * bare / 4


def test_an_idle_hour_costs_little(tmp_path: Path, is_direct: bool) -> None:
    """An hour's units are those of one look, as often as the default of `poll_interval_s` says."""
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    (interval_s,) = [setting.default for setting in SPEC.settings if setting.key == "poll_interval_s"]
    assert isinstance(interval_s, float)
    with counting(tmp_path, 50, 2, poll_interval_s=1) as counted, counted.client() as client:
        client.select("INBOX")
        tag = client.idle()
        eventually(lambda: counted.calls("history.list") > 1)
        counted.clear()
        eventually(lambda: counted.calls("history.list") >= 4)
        polls, units = counted.server.thread.call(lambda: (counted.calls("history.list"), counted.stats.total_units))
        # The first look may have been half done: its labels.list comes on top.
        assert units <= UNITS_PER_LOOK * polls + 1
        assert client.done(tag).is_ok
    assert HOUR_S / interval_s * UNITS_PER_LOOK <= MOST_IN_AN_IDLE_HOUR
