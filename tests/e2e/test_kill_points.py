"""kill -9 at commits of the store, and at random, during a sync, an APPEND, a STORE and a MOVE of 1,000 messages.

After each restart every message is there once, at both ends, under the UID and UIDVALIDITY it had; what was answered OK
is done; a client that knows the mailbox from before learns of all that happened by QRESYNC. At the end mbsync has
nothing to undo, and the store is sound. By default at one commit of each; `make test-long` goes through all of them.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.e2e.client_scenarios import contents, flags
from tests.e2e.clients.mbsync import NOTHING, Mbsync
from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import Account, MaildirAccount
from tests.e2e.mortal_gateway import Death, MortalGateway
from tests.e2e.qresync_client import QresyncClient
from tests.e2e.raw_client import ConnectionEnded, RawClient
from tests.e2e.raw_values import Status, WireError
from tests.e2e.seeds import message
from tests.e2e.sound_store import assert_sound
from tests.e2e.stage_pool import StagePool
from tests.e2e.waiting import equals, eventually

MESSAGES = 1000
BOXES = ("INBOX", "Box")
SETTLED_S = 30.0

Contents = Counter[bytes]


class Behind(ABC):
    """Where the mail is: what is there is the truth that the gateway's answers are held against."""

    account: Account | MaildirAccount

    @abstractmethod
    def fill(self, messages: list[bytes]) -> None:
        """Put messages into INBOX, and make the mailbox Box."""

    @abstractmethod
    def contents(self) -> dict[str, Contents]:
        """Return what is in each mailbox."""


class DovecotBehind(Behind):
    """Reached by IMAP; its UIDs pass through."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._endpoint = account.backend

    def fill(self, messages: list[bytes]) -> None:
        with RawClient.logged_in(self._endpoint) as back:
            back.ok('CREATE "Box"')
            back.append_many("INBOX", messages)

    def contents(self) -> dict[str, Contents]:
        with RawClient.logged_in(self._endpoint) as back:
            return {box: Counter(contents(back, box).values()) for box in BOXES}


class MaildirBehind(Behind):
    """Files; UIDs are the gateway's."""

    def __init__(self, path: Path) -> None:
        self.account = MaildirAccount("alice", "secret", path)
        self._path = path

    def fill(self, messages: list[bytes]) -> None:
        for folder in (self._path, self._path / ".Box"):
            for sub in ("cur", "new", "tmp"):
                (folder / sub).mkdir(parents=True)
        for number, data in enumerate(messages):
            path = self._path / "cur" / f"{1_700_000_000 + number}.M{number}.host:2,"
            path.write_bytes(data)
            os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))

    def contents(self) -> dict[str, Contents]:
        folders = {"INBOX": self._path, "Box": self._path / ".Box"}
        return {box: Counter(_files(folder)) for box, folder in folders.items()}


def _files(folder: Path) -> Iterator[bytes]:
    for sub in ("cur", "new"):
        for path in (folder / sub).iterdir():
            yield path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture(params=["dovecot", pytest.param("maildir", marks=pytest.mark.long)])
def behind(request: pytest.FixtureRequest, tmp_path: Path, is_direct: bool) -> Behind:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    if request.param == "maildir":
        return MaildirBehind(tmp_path / "Maildir")
    stages: StagePool = request.getfixturevalue("stages")
    return DovecotBehind(stages.accounts(1)[0])


class Scene:
    """A gateway, and all that has been seen through it."""

    def __init__(self, behind: Behind, directory: Path) -> None:
        self.behind = behind
        self.gateway = MortalGateway(directory / "gateway", [behind.account], prefetch="none")
        self.front = self.gateway.endpoint(behind.account.login)
        self._directory = directory
        self._known: dict[str, dict[int, bytes]] = {}
        self._clients = {box: QresyncClient(self.front, box) for box in BOXES}
        self._mbsync: Mbsync | None = None

    def fill(self, count: int = MESSAGES) -> None:
        self.behind.fill([message(number, lines=1) for number in range(1, count + 1)])

    def begin(self) -> None:
        """Start the gateway, and let every client see everything."""
        self.gateway.start()
        self.settle()
        self.look()
        for client in self._clients.values():
            client.learn()
        if shutil.which("mbsync") is not None:
            self._mbsync = Mbsync(self.front, self._directory / "mbsync")
            self._mbsync.run()

    def everything(self) -> Contents:
        """Return what is behind the gateway, wherever."""
        return sum(self.behind.contents().values(), Contents())

    def settle(self) -> dict[str, Contents]:
        """Wait until the gateway has what is behind it, and return that."""
        there = self.behind.contents()
        wanted = {box: sum(there[box].values()) for box in BOXES}
        with RawClient.logged_in(self.front) as front:
            eventually(lambda: _counts(front), equals(wanted), within_s=SETTLED_S)
        return there

    def look(self) -> dict[str, dict[int, bytes]]:
        """Read everything, and see that no UID stands for anything else than it did."""
        with RawClient.logged_in(self.front) as front:
            now = {box: contents(front, box) for box in BOXES}
        for box, before in self._known.items():
            kept = before.keys() & now[box].keys()
            assert {uid: now[box][uid] for uid in kept} == {uid: before[uid] for uid in kept}
            known_content = {content: uid for uid, content in before.items()}
            for uid, content in now[box].items():
                # A message that left and came back may have another UID; one that stayed has not.
                assert content not in known_content or known_content[content] == uid or uid > max(before)
        self._known = now
        return now

    def after_restart(self, everything: Contents) -> dict[str, dict[int, bytes]]:
        """Start the gateway again, and see that nothing is lost or doubled and every client learns of what happened."""
        self.gateway.bury()
        self.gateway.start()
        there = self.settle()
        assert there["INBOX"] + there["Box"] == everything
        now = self.look()
        assert {box: Counter(now[box].values()) for box in BOXES} == there
        with RawClient.logged_in(self.front) as front:
            for box, client in self._clients.items():
                client.resync()
                assert client.flags == flags(front, box)
        return now

    def finish(self) -> None:
        """See that mbsync agrees, has nothing left to do, and that the store is sound."""
        if self._mbsync is not None:
            self._mbsync.run()
            assert self._mbsync.run() == NOTHING
            there = self.behind.contents()
            for box in BOXES:
                assert Counter(self._mbsync.contents(box)) == there[box]
        self.gateway.stop()
        assert_sound(self.gateway.directory)


def _counts(front: RawClient) -> dict[str, int] | None:
    replies = [front.command(f'STATUS "{box}" (MESSAGES)') for box in BOXES]
    if not all(reply.is_ok for reply in replies):
        return None
    return {box: front.status(box, "MESSAGES")["MESSAGES"] for box in BOXES}


@pytest.fixture
def scene(behind: Behind, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(behind, tmp_path)
    yield scene
    scene.gateway.kill()


def told(endpoint: Endpoint, mailbox: str, commands: bytes) -> list[Status]:
    """Send commands, and return the tagged answers that came before the end."""
    answers: list[Status] = []
    count = commands.count(b" APPEND ") or commands.count(b"\r\n")
    try:
        with RawClient.logged_in(endpoint) as client:
            client.select(mailbox)
            client.send(commands)
            while len(answers) < count:
                response = client.next_response()
                if isinstance(response, Status) and response.tag != "*":
                    answers.append(response)
    except (ConnectionEnded, WireError, ConnectionError):
        # The last line may be cut off; the commit that is waited for may also be one of the sync.
        pass
    return answers


MANY = [Death(commit, is_after) for commit in range(1, 5) for is_after in (False, True)]
"""More commits than one command has."""


def sync_first(scene: Scene, death: Death, count: int = MESSAGES) -> Contents:
    """Have the gateway die while it lists the mailbox for the first time; return what is there."""
    scene.fill(count)
    scene.gateway.start(death)
    # It dies by itself.
    eventually(scene.gateway.is_dead, within_s=SETTLED_S)
    scene.gateway.bury()
    scene.begin()
    everything = scene.everything()
    assert Counter(scene.look()["INBOX"].values()) == everything
    return everything


def store_all(scene: Scene, everything: Contents, deaths: Sequence[Death]) -> None:
    for number, death in enumerate(deaths):
        flag = ("\\Flagged", "\\Answered", "\\Seen", "\\Draft")[number % 4]
        sign = "+" if number % 8 < 4 else "-"
        scene.gateway.doom(death)
        answers = told(scene.front, "INBOX", f"s UID STORE 1:* {sign}FLAGS.SILENT ({flag})\r\n".encode())
        scene.after_restart(everything)
        if answers:
            with RawClient.logged_in(scene.front) as front:
                assert all((flag in marks) is (sign == "+") for marks in flags(front, "INBOX").values())


def move_all(scene: Scene, everything: Contents, deaths: Sequence[Death]) -> None:
    source, destination = BOXES
    for death in deaths:
        scene.gateway.doom(death)
        answers = told(scene.front, source, f'm UID MOVE 1:* "{destination}"\r\n'.encode())
        now = scene.after_restart(everything)
        if answers:
            assert now[source] == {}
        if not now[source]:
            source, destination = destination, source


def append_many(scene: Scene, everything: Contents, deaths: Sequence[Death], count: int) -> None:
    for number, death in enumerate(deaths):
        new = {f"a{index}": message(10_000 * (number + 1) + index, lines=1) for index in range(count)}
        # Far into them, as each takes two commits.
        scene.gateway.doom(Death(death.commit + count, death.is_after))
        answers = told(scene.front, "INBOX", _appends(new))
        scene.gateway.bury()
        there = scene.behind.contents()["INBOX"]
        everything = everything + Counter(content for content in new.values() if there[content])
        now = scene.after_restart(everything)
        assert {answer.kind for answer in answers} <= {"OK"}
        for answer in answers:
            assert now["INBOX"][int(answer.code.split()[2])] == new[answer.tag]
        # The client repeats what it got no answer to, at once: what was under way is not stored again.
        unanswered = {tag: content for tag, content in new.items() if tag not in {answer.tag for answer in answers}}
        repeated = told(scene.front, "INBOX", _appends(unanswered))
        assert [answer.kind for answer in repeated] == ["OK"] * len(unanswered)
        everything = scene.everything()
        assert all(everything[content] for content in new.values())
        # What was done, and its answer lost with the process, no server can tell from a second message of the kind.
        untold = Counter(new[tag] for tag in unanswered if there[new[tag]])
        assert all(everything[content] <= 1 + untold[content] for content in new.values())


def _appends(messages: Mapping[str, bytes]) -> bytes:
    return b"".join(
        b"%s APPEND INBOX {%d+}\r\n%s\r\n" % (tag.encode(), len(content), content) for tag, content in messages.items()
    )


def work_at_random(scene: Scene, everything: Contents, rounds: int) -> None:
    moments = random.Random(rounds)
    for _ in range(rounds):
        source, destination = BOXES if moments.random() < 0.5 else BOXES[::-1]
        work = moments.choice([r"UID STORE 1:* +FLAGS (\Flagged)", r"UID STORE 1:* -FLAGS (\Flagged)"])
        with RawClient.logged_in(scene.front) as client:
            client.select(source)
            client.send(f'a {work}\r\nb UID MOVE 1:* "{destination}"\r\n'.encode())
            # What is to be hit cannot be waited for: it is any moment of the work.
            time.sleep(moments.uniform(0.0, 0.4))
            scene.gateway.kill()
        scene.after_restart(everything)


@pytest.mark.timeout(300)
def test_killed_once_in_each_of_them(scene: Scene) -> None:
    # Once with all of them; what the other kind of UIDs adds shows with fewer too.
    count = MESSAGES if isinstance(scene.behind, DovecotBehind) else 100
    everything = sync_first(scene, Death(3, is_after=True), count)
    append_many(scene, everything, [Death(5, is_after=False)], 20)
    everything = scene.everything()
    store_all(scene, everything, [Death(1, is_after=True)])
    move_all(scene, everything, [Death(1, is_after=False)])
    work_at_random(scene, everything, 1)
    scene.finish()


@pytest.mark.long
@pytest.mark.parametrize("death", [Death(commit, after) for commit in range(1, 9) for after in (False, True)], ids=str)
def test_killed_during_the_first_sync(scene: Scene, death: Death) -> None:
    sync_first(scene, death)
    scene.finish()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_at_each_commit_of_a_store_of_all(scene: Scene) -> None:
    scene.fill()
    scene.begin()
    store_all(scene, scene.everything(), MANY)
    scene.finish()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_at_each_commit_of_a_move_of_all(scene: Scene) -> None:
    scene.fill()
    scene.begin()
    move_all(scene, scene.everything(), MANY)
    scene.finish()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_during_a_thousand_appends(scene: Scene) -> None:
    scene.fill(20)
    scene.begin()
    append_many(scene, scene.everything(), MANY[:3], MESSAGES)
    scene.finish()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_at_random_moments(scene: Scene) -> None:
    scene.fill()
    scene.begin()
    work_at_random(scene, scene.everything(), 12)
    scene.finish()
