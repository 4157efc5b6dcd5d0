"""What the whole gateway asks of Microsoft Graph, counted by the stand-in: HTTP requests, and those in batches."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.graph import SPEC
from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import GatewayProcess
from tests.e2e.graph_server import GraphServer, running_graph_server
from tests.e2e.raw_client import RawClient
from tests.e2e.waiting import equals, eventually
from tests.fakes.graph import GraphOptions
from tests.fakes.graph.records import Folder
from tests.fakes.graph.stats import Stats

MESSAGES = 10_000
FOLDERS = 12
MOST_FOR_A_SKELETON = 25
LIMIT = 10_000
"""Requests that Graph grants an application and a mailbox, each in a batch counted, within ten minutes."""
WINDOW_S = 600
STORED = 1000
MOST_TO_STORE = 50
AT_ONCE = 4
HOUR_S = 3600
POLL_S = 2
STILL = 10
"""So many looks in a row, some hundredths of a second apart, at which nothing has been asked."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A gateway whose one account is at a stand-in that counts."""

    front: Endpoint
    server: GraphServer
    database: Path

    def client(self) -> RawClient:
        return RawClient.logged_in(self.front, timeout_s=60.0)

    @property
    def stats(self) -> Stats:
        return self.server.fake.stats

    def listed(self) -> tuple[int, int]:
        """Return how many mailboxes the gateway has still to list, and how many messages it knows of in all."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as store:
            (mailboxes,) = store.execute("SELECT count(*) FROM mailboxes WHERE NOT is_listed").fetchone()
            (messages,) = store.execute("SELECT count(*) FROM placements").fetchone()
        return mailboxes, messages

    def clear(self) -> None:
        """Count from here on, once nothing is under way any more."""
        seen = [0]

        def is_still() -> bool:
            now = self.stats.total_requests
            seen[:] = [*seen, now] if now == seen[-1] else [now]
            return len(seen) > STILL

        eventually(is_still, within_s=30)
        self.server.thread.call(self.stats.clear)

    def trees(self) -> int:
        """Return how often the tree was read, or what changed in it."""
        return self.calls("folders.list") + self.calls("folders.delta")

    def looks(self) -> int:
        """Return how often it was asked what changed in a folder."""
        return self.calls("messages.delta")

    def calls(self, operation: str) -> int:
        return self.stats.requests[operation] + self.stats.batched[operation]

    def spent(self) -> int:
        """Return how many requests count at Graph: each in a batch, and those that are none."""
        stats = self.stats
        return self.server.thread.call(lambda: stats.total_requests - stats.requests["$batch"] + stats.batch_items)


@contextmanager
def counting(directory: Path, options: GraphOptions, **settings: float) -> Iterator[Counted]:
    with running_graph_server(options) as server:
        account = server.declared("login", "password of login", options.address, **settings)
        gateway = GatewayProcess(directory, [account], prefetch="none")
        gateway.start()
        try:
            yield Counted(gateway.endpoint("login"), server, directory / "gateway.db")
        finally:
            gateway.stop()
        assert server.fake.stats.most_at_once <= AT_ONCE
        assert server.fake.stats.without_immutable_ids == 0


@pytest.fixture(scope="module")
def large(is_direct: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    """A large mailbox that nobody has opened yet."""
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    options = GraphOptions(messages=MESSAGES, folders=FOLDERS)
    with counting(tmp_path_factory.mktemp("large"), options, poll_interval_s=HOUR_S) as counted:
        yield counted


@pytest.fixture(scope="module")
def opened(large: Counted) -> Iterator[RawClient]:
    """A client, and every mailbox listed, for no more requests than that may cost."""
    fake = large.server.fake
    # Nobody asks for anything meanwhile: that would be a look more at each that is asked for.
    eventually(large.listed, equals((0, MESSAGES)), within_s=120)
    spent = large.stats.total_requests
    with large.client() as client:
        names = client.mailboxes()
        assert spent <= MOST_FOR_A_SKELETON + len(names)
        unseen = sum(not each.is_read for each in fake.mailbox.messages.values())
        told = [client.status(name, "MESSAGES", "UNSEEN") for name in names]
        assert sum(each["MESSAGES"] for each in told) == MESSAGES
        assert sum(each["UNSEEN"] for each in told) == unseen
        yield client


def test_the_skeleton_of_ten_thousand_messages_costs_few_requests(large: Counted, opened: RawClient) -> None:
    """The flags are among what was listed, answered and forwarded too."""
    messages = list(reversed(large.server.fake.mailbox.in_folder(large.server.fake.folder("inbox"))))
    large.clear()
    selected = opened.select("INBOX")
    assert selected.numbered("EXISTS") == [len(messages)]
    flags = opened.flags()
    assert large.stats.total_requests <= 2
    assert ["\\Seen" in flags[uid] for uid in sorted(flags)] == [each.is_read for each in messages]
    marked = [each.flag.get("flagStatus") == "flagged" for each in messages]
    assert ["\\Flagged" in flags[uid] for uid in sorted(flags)] == marked


def test_the_newest_fifty_envelopes_cost_three_batches(large: Counted, opened: RawClient) -> None:
    count = opened.select("INBOX").numbered("EXISTS")[0]
    large.clear()
    rows = opened.fetch(f"{count - 49}:{count}", "(UID INTERNALDATE ENVELOPE)")
    assert len(rows) == 50
    assert large.stats.requests["$batch"] <= 3
    assert large.stats.requests["messages.value"] == 0
    large.clear()
    assert opened.fetch(f"{count - 49}:{count}", "(UID INTERNALDATE ENVELOPE)") == rows
    assert large.stats.batch_items == 0


@pytest.mark.parametrize(
    ("change", "most"),
    [
        (r"+FLAGS.SILENT (\Seen)", MOST_TO_STORE),
        (r"-FLAGS.SILENT (\Seen)", MOST_TO_STORE),
        (r"+FLAGS.SILENT (\Flagged)", MOST_TO_STORE),
        # What is there has to be read first: else what Outlook shows as done would be lost.
        (r"-FLAGS.SILENT (\Flagged)", 2 * MOST_TO_STORE),
    ],
)
def test_a_thousand_flags_cost_fifty_batches(large: Counted, opened: RawClient, change: str, most: int) -> None:
    opened.select("INBOX")
    large.clear()
    assert opened.ok(f"UID STORE 1:{STORED} {change}").is_ok
    assert large.stats.total_requests <= most
    assert large.stats.most_at_once <= AT_ONCE
    stored = large.server.fake.mailbox.in_folder(inbox(large))[-STORED:]
    if "Seen" in change:
        assert {each.is_read for each in stored} == {change.startswith("+")}
    else:
        assert {each.flag.get("flagStatus") == "flagged" for each in stored} == {change.startswith("+")}


def inbox(counted: Counted) -> Folder:
    return counted.server.fake.folder("inbox")


def test_fifty_idle_folders_stay_within_a_tenth_of_what_graph_grants(tmp_path: Path, is_direct: bool) -> None:
    """As often as the default of `poll_interval_s` says, all that there is to be looked at is looked at."""
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    (interval_s,) = [setting.default for setting in SPEC.settings if setting.key == "poll_interval_s"]
    assert isinstance(interval_s, float)
    with counting(tmp_path, GraphOptions(messages=100, folders=45), poll_interval_s=POLL_S) as counted:
        with counted.client() as client:
            folders = client.mailboxes()
            assert len(folders) >= 50
            for name in folders:
                client.status(name, "MESSAGES")
            client.select("INBOX")
            tag = client.idle()
            trees = counted.trees()
            eventually(lambda: counted.trees() > trees + 1, within_s=30)
            counted.server.thread.call(counted.stats.clear)
            begun = time.monotonic()
            # Each look at the account begins with the tree.
            eventually(lambda: counted.trees() > 3, within_s=60)
            spent, looks_s = counted.spent(), time.monotonic() - begun
            assert counted.looks() >= 2 * len(folders)
            assert client.done(tag).is_ok
        assert spent * (WINDOW_S / interval_s) / (looks_s / POLL_S) <= LIMIT / 10
