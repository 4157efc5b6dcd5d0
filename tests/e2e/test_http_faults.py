"""HTTP goes wrong between the gateway and a backend: what is known is served, what is done is done once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

import pytest

from tests.e2e.client_scenarios import contents
from tests.e2e.http_backends import (
    CyrusOverJmap,
    FakeOverGmail,
    FakeOverGraph,
    FakeOverJmap,
    Held,
    HttpBackend,
    Write,
    held,
)
from tests.e2e.http_lines import HttpLines, Line
from tests.e2e.loop_thread import BlockingProxy, LoopThread
from tests.e2e.raw_client import RawClient
from tests.e2e.raw_values import Fetched, Numbered, Reply, Response
from tests.e2e.seeds import message
from tests.e2e.waiting import equals, eventually
from tests.servers.faults import (
    Answer,
    Cut,
    Drop,
    Fault,
    Hang,
    LoseReply,
    Rewrite,
    Trickle,
    WrongLength,
    broken_json,
    html_page,
    throttled,
    truncated_json,
)

BOUND_S = 10.0
"""Longest that a client waits for an answer, whatever the backend does; its time-outs are a second."""
RECOVERY_S = 20.0
KEPT = [message(1), message(2), message(3)]
"""What is in INBOX, with UIDs from 1 on, read before anything goes wrong."""
NEWS = message(8)
LARGE = message(9, lines=4000)


@pytest.fixture(scope="module")
def thread() -> Iterator[LoopThread]:
    with LoopThread() as thread:
        yield thread


MakeBackend = Callable[[pytest.FixtureRequest, LoopThread], HttpBackend]
BACKENDS: dict[str, MakeBackend] = {
    "cyrus": lambda request, _: CyrusOverJmap(request.getfixturevalue("cyrus")),
    "fake": lambda _, thread: FakeOverJmap(thread),
    "gmail": lambda _, thread: FakeOverGmail(thread),
    "graph": lambda _, thread: FakeOverGraph(thread),
}


LONG = ("fake", "graph")
"""These take long; what the stand-in for JMAP shows, Cyrus shows too."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.long) if name in LONG else name for name in BACKENDS],
)
def lines(
    request: pytest.FixtureRequest, thread: LoopThread, tmp_path_factory: pytest.TempPathFactory, is_direct: bool
) -> Iterator[HttpLines]:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    backend = BACKENDS[request.param](request, thread)
    lines = HttpLines(tmp_path_factory.mktemp("lines"), thread, backend)
    yield lines
    lines.close()


@pytest.fixture
def line(lines: HttpLines) -> Iterator[Line]:
    yield prepared(lines.take())
    lines.check()


@pytest.fixture(scope="module")
def long_line(lines: HttpLines) -> Line:
    """An account as that of `line`, whose INBOX grows from test to test."""
    return prepared(lines.take())


def prepared(line: Line) -> Line:
    """Put three messages into INBOX and have the gateway read them."""
    for content in KEPT:
        line.account.deliver("INBOX", content)
    line.settle("INBOX")
    return line


# -- what a client does ------------------------------------------------------------------------------------------------

NEW = message(7)
COMMANDS = {
    Write.STORE: r"UID STORE 1 +FLAGS (\Flagged)",
    Write.COPY: "UID COPY 1 Filed",
    Write.MOVE: "UID MOVE 2 Filed",
    Write.EXPUNGE: "UID EXPUNGE 3",
    Write.APPEND: "APPEND Filed {}",
}
PLAIN: frozenset[str] = frozenset()
FLAGGED = frozenset({"\\Flagged"})
BEFORE: dict[str, Held] = {"INBOX": [(content, PLAIN) for content in KEPT], "Filed": [], "Trash": []}
_, SECOND, THIRD = BEFORE["INBOX"]
_STORED = (KEPT[0], FLAGGED)
DONE_UP_TO: dict[Write, dict[str, Held]] = {
    Write.STORE: {**BEFORE, "INBOX": [_STORED, SECOND, THIRD]},
    Write.COPY: {**BEFORE, "INBOX": [_STORED, SECOND, THIRD], "Filed": [_STORED]},
    Write.MOVE: {**BEFORE, "INBOX": [_STORED, THIRD], "Filed": [_STORED, SECOND]},
    Write.EXPUNGE: {"INBOX": [_STORED], "Filed": [_STORED, SECOND], "Trash": [THIRD]},
    Write.APPEND: {"INBOX": [_STORED], "Filed": [_STORED, SECOND, (NEW, PLAIN)], "Trash": [THIRD]},
}
"""What the backend holds after all writes up to this one."""
ALL_DONE = DONE_UP_TO[Write.APPEND]
APPENDED: dict[str, Held] = {**BEFORE, "Filed": [(NEW, PLAIN)]}


def send(client: RawClient, write: Write, bound_s: float = BOUND_S) -> Reply:
    """Do the write, in INBOX; the answer comes within bounds, and the connection can be used afterwards."""
    if write is Write.EXPUNGE:
        client.ok(r"UID STORE 3 +FLAGS.SILENT (\Deleted)")
    begun = time.monotonic()
    reply = client.command(COMMANDS[write], *([NEW] if write is Write.APPEND else []))
    assert time.monotonic() - begun < bound_s
    assert client.ok("NOOP").is_ok
    return reply


def assert_refused(reply: Reply) -> None:
    assert (reply.status.kind, reply.status.code.partition(" ")[0]) == ("NO", "UNAVAILABLE")


def octets(messages: Held) -> list[bytes]:
    return [content for content, _ in messages]


def is_any_exists(response: Response) -> bool:
    return isinstance(response, Numbered) and response.kind == "EXISTS"


def stored(line: Line) -> dict[str, Held]:
    """Return what the backend holds."""
    return {mailbox: line.account.held(mailbox) for mailbox in BEFORE}


def kept(line: Line, expected: dict[str, Held]) -> dict[str, Held]:
    """Return what the backend is to hold, as it holds it."""
    return {mailbox: line.backend.kept(messages) for mailbox, messages in expected.items()}


# -- everything fails --------------------------------------------------------------------------------------------------

Outage = Callable[[BlockingProxy], AbstractContextManager[None]]


def failing(fault: Fault) -> Outage:
    return lambda proxy: proxy.failing(fault)


BEFORE_THE_WORK: dict[str, Outage] = {
    "refused": lambda proxy: proxy.refusing(),
    "dropped": failing(Drop()),
    "silent": failing(Hang()),
    "status 500": failing(Answer(500)),
    "status 503": failing(Answer(503)),
    "broken JSON": failing(broken_json()),
    "HTML": failing(html_page()),
}
AFTER_THE_WORK: dict[str, Outage] = {
    "closed when done": failing(LoseReply()),
    "silent when done": failing(LoseReply(is_silent=True)),
    "cut": failing(Cut(20, is_reset=True)),
    "truncated JSON": failing(truncated_json()),
}


def go_through(line: Line, outage: Outage, *, is_undone: bool) -> None:
    """See that known mail is read during the outage and writes are refused, and that all is well again afterwards."""
    with line.client() as front, line.client() as idler:
        idler.select("INBOX")
        idling = idler.idle()
        known = held(front, "INBOX")
        with outage(line.proxy):
            for write in Write:
                assert_refused(send(front, write))
            with line.client() as another:
                assert another.status("INBOX", "MESSAGES") == {"MESSAGES": 3}
                assert octets(held(another, "INBOX")) == octets(known)
        line.account.deliver("INBOX", NEWS)
        idler.wait_for(is_any_exists, within_s=RECOVERY_S)
        assert idler.done(idling).is_ok
    if is_undone:
        assert stored(line) == kept(line, with_news(BEFORE))
    repeat_all(line)


def repeat_all(line: Line) -> None:
    """Do every write again, as a client does that was refused, and see that each has been done once in all."""
    with line.client() as front:
        front.select("INBOX")
        for write in Write:
            assert send(front, write).is_ok
    line.settle(*BEFORE)
    assert stored(line) == kept(line, with_news(ALL_DONE))


def with_news(held_before: dict[str, Held]) -> dict[str, Held]:
    return {**held_before, "INBOX": [*held_before["INBOX"], (NEWS, PLAIN)]}


@pytest.fixture(scope="module")
def outcomes(lines: HttpLines) -> Iterator[dict[str, Future[None]]]:
    """All outages at the same time, each on a line of its own: most of it is waiting."""
    with ThreadPoolExecutor(len(BEFORE_THE_WORK) + len(AFTER_THE_WORK)) as pool:

        def begin(outage: Outage, *, is_undone: bool) -> Future[None]:
            return pool.submit(go_through, prepared(lines.take()), outage, is_undone=is_undone)

        undone = {name: begin(outage, is_undone=True) for name, outage in BEFORE_THE_WORK.items()}
        yield undone | {name: begin(outage, is_undone=False) for name, outage in AFTER_THE_WORK.items()}
    lines.check()


@pytest.mark.parametrize("name", BEFORE_THE_WORK)
def test_nothing_is_done_while_nothing_gets_through(outcomes: dict[str, Future[None]], name: str) -> None:
    outcomes[name].result()


@pytest.mark.parametrize("name", AFTER_THE_WORK)
def test_nothing_is_lost_or_doubled_while_no_answer_gets_through(outcomes: dict[str, Future[None]], name: str) -> None:
    outcomes[name].result()


# -- one answer is lost ------------------------------------------------------------------------------------------------

LOSSES: dict[str, Fault] = {
    "closed": LoseReply(),
    "silent": LoseReply(is_silent=True),
    "status 502": Answer(502, is_work_done=True),
    "HTML": replace(html_page(), is_work_done=True),
    "cut": Cut(20),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_what_was_done_is_found_out_when_its_answer_is_lost(line: Line, loss: Fault) -> None:
    with line.client() as front, line.client() as other:
        front.select("INBOX")
        for write in Write:
            rule = line.proxy.fail(loss, when=line.backend.kinds.writes[write])
            reply = send(front, write)
            assert rule.hits == 1
            if write is Write.APPEND:
                # It was looked for and found.
                uid = int(reply.codes()["APPENDUID"].split()[1])
                assert contents(other, "Filed")[uid] == NEW
            elif not reply.is_ok:
                assert_refused(reply)
            line.settle(*BEFORE)
            assert stored(line) == kept(line, DONE_UP_TO[write])


UPLOAD_FAULTS = (LoseReply(), broken_json())
MORE_UPLOAD_FAULTS = (LoseReply(is_silent=True), Answer(502))


@pytest.mark.parametrize(
    "fault",
    [*UPLOAD_FAULTS, *(pytest.param(fault, marks=pytest.mark.long) for fault in MORE_UPLOAD_FAULTS)],
    ids=repr,
)
def test_an_upload_that_fails_is_made_again(line: Line, fault: Fault) -> None:
    rule = line.proxy.fail(fault, when=line.backend.kinds.uploads)
    with line.client() as front:
        reply = send(front, Write.APPEND, line.backend.bound_s)
        if not reply.is_ok:
            assert_refused(reply)
            assert send(front, Write.APPEND, line.backend.bound_s).is_ok
    assert rule.hits == 1
    line.settle(*BEFORE)
    assert stored(line) == kept(line, APPENDED)


@pytest.mark.parametrize("is_repeated", [False, True])
def test_an_append_whose_outcome_cannot_be_learnt_is_stored_once(line: Line, is_repeated: bool) -> None:
    import_ = line.backend.kinds.writes[Write.APPEND]
    with line.client() as front:
        with ExitStack() as outage:
            rule = line.proxy.fail(LoseReply(), when=import_)
            outage.enter_context(
                line.proxy.failing(Answer(500), when=lambda request: not import_(request) and rule.hits > 0)
            )
            assert_refused(send(front, Write.APPEND, line.backend.bound_s))
            assert rule.hits == 1
        if is_repeated:
            eventually(lambda: send(front, Write.APPEND).is_ok, within_s=RECOVERY_S)
    line.settle(*BEFORE)
    assert stored(line) == kept(line, APPENDED)


def test_the_same_octets_appended_twice_are_what_the_backend_makes_of_them(line: Line) -> None:
    with line.client() as front:
        uids = [front.append("Filed", NEW), front.append("Filed", NEW)]
    line.settle("Filed")
    assert len(set(uids)) == len(stored(line)["Filed"]) == (1 if line.backend.keeps_one else 2)


# -- asked to wait -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, pytest.param(503, marks=pytest.mark.long)])
def test_a_write_waits_as_long_as_it_is_asked_to(line: Line, status: int) -> None:
    with line.client() as front:
        front.select("INBOX")
        for write in Write:
            rule = line.proxy.fail(throttled(1, status), when=line.backend.kinds.writes[write])
            begun = time.monotonic()
            reply = send(front, write)
            if write is Write.APPEND and status == 503 and line.backend.doubts_503:
                # It was looked for and not found, and that is no promise that it will not come.
                assert_refused(reply)
                reply = send(front, write)
            else:
                assert time.monotonic() - begun >= 1
            assert reply.is_ok
            assert rule.hits == 1
    line.settle(*BEFORE)
    assert stored(line) == kept(line, ALL_DONE)


def test_nothing_is_asked_of_a_backend_that_wants_a_long_rest(line: Line) -> None:
    rule = line.proxy.fail(throttled(3600), times=None)
    with line.client() as front:
        known = held(front, "INBOX")
        for write in Write:
            assert_refused(send(front, write))
        assert octets(held(front, "INBOX")) == octets(known)
    assert 1 <= rule.hits <= line.backend.at_once


# -- octets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Cut(0),
        Cut(100),
        Cut(len(LARGE) // 2),
        Cut(len(LARGE) - 1, is_reset=True),
        Rewrite(lambda body: body[:-1]),
        Rewrite(lambda body: body + b"more"),
        WrongLength(-10),
        WrongLength(10),
        Answer(500),
        html_page(),
    ],
    ids=["none", "start", "half", "all but one", "shorter", "longer", "less stated", "more stated", "500", "HTML"],
)
def test_octets_are_never_served_wrong(long_line: Line, fault: Fault) -> None:
    is_proper = isinstance(fault, Rewrite) or (isinstance(fault, WrongLength) and fault.by < 0)
    if is_proper and not long_line.backend.tells_sizes:
        pytest.skip("lacks the ability: sizes that can be compared")
    rule = long_line.proxy.fail(fault, when=long_line.backend.kinds.downloads)
    with long_line.client() as front:
        uid = uid_of_large(long_line, front)
        eventually(lambda: is_read_whole(long_line, front, uid), within_s=RECOVERY_S)
    assert rule.hits == 1


def uid_of_large(line: Line, front: RawClient) -> int:
    """Let a large message arrive, and return its UID once it is there."""
    uid = front.status("INBOX", "UIDNEXT")["UIDNEXT"]
    line.account.deliver("INBOX", LARGE + b"%d\r\n" % uid)
    front.select("INBOX")
    eventually(lambda: front.search(f"UID {uid}"), equals([uid]), within_s=RECOVERY_S)
    return uid


def is_read_whole(line: Line, front: RawClient, uid: int) -> bool:
    """Read the large message; tell whether it came. It comes whole or not at all."""
    begun = time.monotonic()
    reply = front.command(f"UID FETCH {uid} (UID BODY.PEEK[])")
    assert time.monotonic() - begun < BOUND_S
    if reply.is_ok:
        assert [gist_in(line, row) for row in reply.fetched()] == [line.backend.gist(LARGE + b"%d\r\n" % uid)]
    else:
        assert_refused(reply)
        assert reply.fetched() == []
    return reply.is_ok


def gist_in(line: Line, row: Fetched) -> bytes:
    octets = row.items["BODY[]"]
    assert isinstance(octets, bytes)
    return line.backend.gist(octets)


def test_a_slow_download_is_waited_for_while_others_are_served(long_line: Line) -> None:
    gate = long_line.proxy.gate()
    long_line.proxy.fail(Trickle(len(LARGE) // 10, gate.gate), when=long_line.backend.kinds.downloads)
    with long_line.client() as front, long_line.client() as other:
        other.select("INBOX")
        uid = uid_of_large(long_line, front)
        front.send(b"slow UID FETCH %d (UID BODY.PEEK[])\r\n" % uid)
        for piece in range(1, 6):
            gate.wait_for_arrivals(piece)
            rows = other.fetch("1:3", "BODY.PEEK[]").values()
            assert [long_line.backend.gist(octets) for row in rows if isinstance(octets := row["BODY[]"], bytes)] == [
                long_line.backend.gist(octets) for octets in KEPT
            ]
            gate.let_on()
        gate.open()
        slow = front.read_until("slow").fetched()
        assert [gist_in(long_line, row) for row in slow] == [long_line.backend.gist(LARGE + b"%d\r\n" % uid)]
