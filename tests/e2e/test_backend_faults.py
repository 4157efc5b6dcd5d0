"""IMAP goes wrong between the gateway and Dovecot: what is known is served, what is done is done once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.e2e.client_scenarios import contents
from tests.e2e.http_backends import Held, Write, held
from tests.e2e.imap_lines import BlockingImapProxy, ImapLine, ImapLines
from tests.e2e.loop_thread import LoopThread
from tests.e2e.raw_client import RawClient
from tests.e2e.raw_values import Numbered, Reply, Response
from tests.e2e.seeds import message
from tests.e2e.waiting import equals, eventually
from tests.servers.dovecot import Dovecot
from tests.servers.faults import Drop, LoseReply
from tests.servers.imap_faults import (
    CONNECT,
    Cut,
    Hang,
    ImapFault,
    Rewrite,
    Say,
    SeenCommand,
    Slow,
    WhenCommand,
    any_command,
    but,
    fetches,
    lengths_off_by,
    named,
    other_uidvalidity,
)

BOUND_S = 10.0
"""Longest that a client waits for an answer, whatever the server does; its time-outs are a second."""
RECOVERY_S = 25.0
KEPT = [message(1), message(2), message(3)]
"""What is in INBOX, with UIDs from 1 on, read before anything goes wrong."""
NEW = message(7)
NEWS = message(8)
LARGE = message(9, lines=4000)
LINES = 50
GARBAGE = b"\x00\xff\x16\x03\x01 {99999999}\r\n* 0x FETCH ((\r\n))\r\n{tag} MAYBE\r\n+++ATH\r\n"

Outage = Callable[[BlockingImapProxy], AbstractContextManager[None]]
PLAIN: frozenset[str] = frozenset()
FLAGGED = frozenset({"\\Flagged"})
MAILBOXES = ("INBOX", "Filed")
COMMANDS = {
    Write.STORE: r"UID STORE 1 +FLAGS (\Flagged)",
    Write.COPY: "UID COPY 1 Filed",
    Write.MOVE: "UID MOVE 2 Filed",
    Write.EXPUNGE: "UID EXPUNGE 3",
    Write.APPEND: "APPEND Filed {}",
}
UPSTREAM = {
    Write.STORE: named("UID STORE"),
    Write.COPY: named("UID COPY"),
    Write.MOVE: named("UID MOVE"),
    Write.EXPUNGE: named("UID EXPUNGE"),
    Write.APPEND: named("APPEND"),
}
"""What each write is at the server."""

BEFORE: dict[str, Held] = {"INBOX": [(content, PLAIN) for content in KEPT], "Filed": []}
_, SECOND, THIRD = BEFORE["INBOX"]
_STORED = (KEPT[0], FLAGGED)
DONE_UP_TO: dict[Write, dict[str, Held]] = {
    Write.STORE: {"INBOX": [_STORED, SECOND, THIRD], "Filed": []},
    Write.COPY: {"INBOX": [_STORED, SECOND, THIRD], "Filed": [_STORED]},
    Write.MOVE: {"INBOX": [_STORED, THIRD], "Filed": [_STORED, SECOND]},
    Write.EXPUNGE: {"INBOX": [_STORED], "Filed": [_STORED, SECOND]},
    Write.APPEND: {"INBOX": [_STORED], "Filed": [_STORED, SECOND, (NEW, PLAIN)]},
}
"""What the server holds after all writes up to this one."""


@pytest.fixture(scope="module")
def thread() -> Iterator[LoopThread]:
    with LoopThread() as thread:
        yield thread


@pytest.fixture(scope="module")
def lines(
    thread: LoopThread, dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory, is_direct: bool
) -> Iterator[ImapLines]:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    lines = ImapLines(tmp_path_factory.mktemp("lines"), thread, dovecot, LINES)
    yield lines
    lines.gateway.stop()


@pytest.fixture
def line(lines: ImapLines) -> Iterator[ImapLine]:
    yield prepared(lines.take())
    lines.gateway.check_log()


def prepared(line: ImapLine) -> ImapLine:
    """Put three messages into INBOX and have the gateway read them."""
    for content in KEPT:
        line.deliver("INBOX", content)
    line.settle(*MAILBOXES)
    return line


# -- what a client does ------------------------------------------------------------------------------------------------


def send(client: RawClient, write: Write, bound_s: float = BOUND_S) -> Reply:
    """Do the write, in INBOX; the answer comes within bounds, and the connection can be used afterwards."""
    begun = time.monotonic()
    reply = client.command(COMMANDS[write], *([NEW] if write is Write.APPEND else []))
    assert time.monotonic() - begun < bound_s
    assert client.ok("NOOP").is_ok
    return reply


def mark(client: RawClient) -> None:
    """Mark the message that is to be expunged."""
    client.ok(r"UID STORE 3 +FLAGS.SILENT (\Deleted)")


def code_of(reply: Reply) -> str:
    return reply.status.code.partition(" ")[0]


def octets(messages: Held) -> list[bytes]:
    return [content for content, _ in messages]


def is_any_exists(response: Response) -> bool:
    return isinstance(response, Numbered) and response.kind == "EXISTS"


def marked_or_not(state: dict[str, Held]) -> dict[str, Held]:
    """Return it without marks of deletion, which an EXPUNGE that failed may have left."""
    return {
        mailbox: sorted(((content, flags - {"\\Deleted"}) for content, flags in messages), key=lambda item: item[0])
        for mailbox, messages in state.items()
    }


# -- everything fails --------------------------------------------------------------------------------------------------


def failing(fault: ImapFault, when: WhenCommand = any_command) -> Outage:
    return lambda proxy: proxy.failing(fault, when)


LOGGING_IN = (CONNECT, "LOGIN", "AUTHENTICATE", "CAPABILITY", "ID", "ENABLE")

REFUSALS: dict[str, tuple[Outage, frozenset[str]]] = {
    "NO": (failing(Say(b"{tag} NO not today\r\n"), but(*LOGGING_IN)), frozenset({"", "UNAVAILABLE"})),
    "NO for now": (failing(Say(b"{tag} NO [UNAVAILABLE] later\r\n"), but(CONNECT)), frozenset({"UNAVAILABLE"})),
    "BAD": (failing(Say(b"{tag} BAD what\r\n"), but(*LOGGING_IN)), frozenset({"", "UNAVAILABLE"})),
}
"""Answers to everything, and the codes with which writes are refused then."""

UNREACHABLE: dict[str, Outage] = {
    "refused": lambda proxy: proxy.refusing(),
    "dropped": failing(Drop()),
    "silent": failing(Hang()),
    "silent from login on": failing(Hang(), but(CONNECT)),
    "BYE at once": failing(Say(b"* BYE full\r\n", is_last=True)),
    "BYE": failing(Say(b"* BYE going down\r\n", is_last=True), but(*LOGGING_IN)),
    "garbage": failing(Say(GARBAGE)),
    "garbage from login on": failing(Say(GARBAGE), but(*LOGGING_IN)),
    "somebody else's tag": failing(Say(b"x{tag} OK done\r\n"), but(*LOGGING_IN)),
    "out of turn": failing(Say(b"+ go ahead\r\n"), but(*LOGGING_IN)),
}
AFTER_THE_WORK: dict[str, Outage] = {
    "closed when done": failing(LoseReply(), but(*LOGGING_IN)),
    "silent when done": failing(LoseReply(is_silent=True), but(*LOGGING_IN)),
    "cut": failing(Cut(5), but(*LOGGING_IN)),
    "garbage when done": failing(Say(GARBAGE, is_work_done=True), but(*LOGGING_IN)),
    "BYE when done": failing(Say(b"* BYE x\r\n", is_work_done=True, is_last=True), but(*LOGGING_IN)),
    "tagged line cut off": failing(Rewrite(lambda answer: answer[:-3]), but(*LOGGING_IN)),
}
UNAVAILABLE = frozenset({"UNAVAILABLE"})


def go_through(fresh: ImapLine, outage: Outage, codes: frozenset[str], *, is_undone: bool) -> None:
    """See that known mail is read during the outage and writes are refused, and that all is well again afterwards."""
    line = prepared(fresh)
    with line.client() as front, line.client() as idler:
        idler.select("INBOX")
        idling = idler.idle()
        front.select("INBOX")
        mark(front)
        known = held(front, "INBOX")
        with outage(line.proxy):
            for write in Write:
                reply = send(front, write)
                assert (reply.status.kind, code_of(reply) in codes) == ("NO", True), reply.status
            with line.client() as another:
                assert another.status("INBOX", "MESSAGES")["MESSAGES"] == 3
                assert octets(held(another, "INBOX")) == octets(known)
                assert set(another.mailboxes()) >= {"INBOX", "Filed"}
        line.deliver("INBOX", NEWS)
        idler.wait_for(is_any_exists, within_s=RECOVERY_S)
        assert idler.done(idling).is_ok
    if is_undone:
        assert marked_or_not(line.held(*MAILBOXES)) == with_news(BEFORE)
    repeat_all(line)


def repeat_all(line: ImapLine) -> None:
    """Do every write again, as a client does that was refused, and see that each has been done once in all."""
    line.settle(*MAILBOXES, within_s=RECOVERY_S)
    with line.client() as front:
        front.select("INBOX")
        mark(front)
        for write in Write:
            assert send(front, write).is_ok
    line.settle(*MAILBOXES)
    assert line.held(*MAILBOXES) == with_news(DONE_UP_TO[Write.APPEND])


def with_news(held_before: dict[str, Held]) -> dict[str, Held]:
    return {**held_before, "INBOX": [*held_before["INBOX"], (NEWS, PLAIN)]}


@pytest.fixture(scope="module")
def outcomes(lines: ImapLines) -> Iterator[dict[str, Future[None]]]:
    """All outages at the same time, each on a line of its own: most of it is waiting."""
    with ThreadPoolExecutor(len(REFUSALS) + len(UNREACHABLE) + len(AFTER_THE_WORK)) as pool:

        def begin(outage: Outage, codes: frozenset[str] = UNAVAILABLE, *, is_undone: bool) -> Future[None]:
            return pool.submit(go_through, lines.take(), outage, codes, is_undone=is_undone)

        yield {
            **{name: begin(outage, codes, is_undone=True) for name, (outage, codes) in REFUSALS.items()},
            **{name: begin(outage, is_undone=True) for name, outage in UNREACHABLE.items()},
            **{name: begin(outage, is_undone=False) for name, outage in AFTER_THE_WORK.items()},
        }
    lines.gateway.check_log()


@pytest.mark.parametrize("name", [*REFUSALS, *UNREACHABLE])
def test_nothing_is_done_while_nothing_gets_through(outcomes: dict[str, Future[None]], name: str) -> None:
    outcomes[name].result()


@pytest.mark.parametrize("name", AFTER_THE_WORK)
def test_nothing_is_lost_or_doubled_while_no_answer_gets_through(outcomes: dict[str, Future[None]], name: str) -> None:
    outcomes[name].result()


# -- one answer is lost ------------------------------------------------------------------------------------------------

LOSSES: dict[str, ImapFault] = {
    "closed": LoseReply(),
    "silent": LoseReply(is_silent=True),
    "cut": Cut(5),
    "garbage": Say(GARBAGE, is_work_done=True),
    "BYE": Say(b"* BYE x\r\n", is_work_done=True, is_last=True),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_what_was_done_is_found_out_when_its_answer_is_lost(line: ImapLine, loss: ImapFault) -> None:
    with line.client() as front, line.client() as other:
        front.select("INBOX")
        for write in Write:
            if write is Write.EXPUNGE:
                mark(front)
            rule = line.proxy.fail(loss, when=UPSTREAM[write])
            reply = send(front, write)
            rule.wait_for_hits()
            if write is Write.APPEND:
                # It was looked for and found.
                uid = int(reply.codes()["APPENDUID"].split()[1])
                assert contents(other, "Filed")[uid] == NEW
            elif not reply.is_ok:
                assert (reply.status.kind, code_of(reply)) == ("NO", "UNAVAILABLE")
            line.settle(*MAILBOXES)
            assert line.held(*MAILBOXES) == DONE_UP_TO[write]


@pytest.mark.parametrize("is_repeated", [False, True])
def test_an_append_whose_outcome_cannot_be_learnt_is_stored_once(line: ImapLine, is_repeated: bool) -> None:
    with line.client() as front:
        with ExitStack() as outage:
            appended: list[SeenCommand] = []

            def is_after_append(command: SeenCommand) -> bool:
                appended.extend([command] if command.name == "APPEND" else [])
                return bool(appended) and command.name != "APPEND"

            outage.enter_context(line.proxy.failing(Drop(), is_after_append))
            rule = line.proxy.fail(LoseReply(), when=named("APPEND"))
            assert code_of(send(front, Write.APPEND)) == "UNAVAILABLE"
            assert rule.hits == 1
        if is_repeated:
            eventually(lambda: send(front, Write.APPEND).is_ok, within_s=RECOVERY_S)
    line.settle(*MAILBOXES, within_s=RECOVERY_S)
    assert line.held("Filed") == {"Filed": [(NEW, PLAIN)]}


# -- octets ------------------------------------------------------------------------------------------------------------

BODY = fetches(b"BODY.PEEK[])")
BROKEN_BODIES: dict[str, ImapFault] = {
    "nothing": Cut(0),
    "cut before its octets": Cut(0, in_literal=True),
    "cut in the middle": Cut(len(LARGE) // 2, in_literal=True),
    "cut before the last octet": Cut(len(LARGE) - 1, in_literal=True),
    "cut behind the octets": Cut(len(LARGE) + 3, in_literal=True),
    "a shorter literal stated": lengths_off_by(-10),
    "a longer literal stated": lengths_off_by(10),
    "a little longer literal stated": lengths_off_by(1),
    "an endless literal stated": lengths_off_by(1 << 40),
    "NO": Say(b"{tag} NO [UNAVAILABLE] later\r\n"),
    "BAD": Say(b"{tag} BAD what\r\n"),
    "OK and nothing else": Say(b"{tag} OK done\r\n"),
    "nothing there": Say(b"* 4 FETCH (UID 4 BODY[] NIL)\r\n{tag} OK done\r\n"),
    "another message": Rewrite(lambda answer: answer.replace(b"(UID ", b"(UID 9")),
}


@pytest.fixture(scope="module")
def long_line(lines: ImapLines) -> ImapLine:
    """An account as that of `line`, whose INBOX grows from test to test."""
    return prepared(lines.take())


@pytest.mark.parametrize("fault", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
def test_octets_are_never_served_wrong(long_line: ImapLine, fault: ImapFault) -> None:
    rule = long_line.proxy.fail(fault, when=BODY)
    with long_line.client() as front:
        uid = uid_of_large(long_line, front)
        eventually(lambda: is_read_whole(front, uid), within_s=RECOVERY_S)
    assert rule.hits == 1


def uid_of_large(line: ImapLine, front: RawClient) -> int:
    """Let a large message arrive, and return its UID once it is there."""
    uid = front.status("INBOX", "UIDNEXT")["UIDNEXT"]
    line.deliver("INBOX", LARGE)
    front.select("INBOX")
    eventually(lambda: front.search(f"UID {uid}"), equals([uid]), within_s=RECOVERY_S)
    return uid


def is_read_whole(front: RawClient, uid: int) -> bool:
    """Read the large message; tell whether it came. It comes whole or not at all."""
    begun = time.monotonic()
    reply = front.command(f"UID FETCH {uid} (UID BODY.PEEK[])")
    assert time.monotonic() - begun < BOUND_S
    assert [row.items["BODY[]"] for row in reply.fetched()] in ([], [LARGE])
    assert reply.status.kind in ("OK", "NO")
    return bool(reply.fetched())


@pytest.mark.parametrize("section", [b"BODY.PEEK[HEADER]", b"FLAGS"])
@pytest.mark.parametrize(
    "fault", [Cut(10, in_literal=True), lengths_off_by(-7), lengths_off_by(7)], ids=["cut", "shorter", "longer"]
)
def test_a_first_reading_that_breaks_is_made_again(line: ImapLine, section: bytes, fault: ImapFault) -> None:
    line.proxy.fail(fault, when=fetches(section), times=2)
    for number in (11, 12, 13):
        line.deliver("Filed", message(number))
    line.settle("Filed")
    with line.client() as front, RawClient.logged_in(line.back) as back:
        for client in (front, back):
            client.select("Filed")
        envelopes = [client.fetch("1:*", "(UID FLAGS RFC822.SIZE ENVELOPE)") for client in (front, back)]
    assert envelopes[0] == envelopes[1]


def test_a_slow_server_is_waited_for_while_others_are_served(line: ImapLine, long_line: ImapLine) -> None:
    """At a kilobyte a second, and with a time-out of a second: silence ends a connection, slowness does not."""
    small = message(20, lines=60)
    line.deliver("INBOX", small)
    line.settle("INBOX")
    slow = line.proxy.fail(Slow(1024), when=any_command, times=None)
    line.deliver("INBOX", small.replace(b"20", b"21"))
    with line.client() as front, line.client() as other, long_line.client() as neighbour:
        front.select("INBOX")
        eventually(lambda: front.search("UID 5"), equals([5]), within_s=60)
        front.send(b"slow UID FETCH 5 (BODY.PEEK[])\r\n")
        other.select("INBOX")
        neighbour.select("INBOX")
        while not front.has_input():
            assert [row["BODY[]"] for row in other.fetch("1:3", "BODY.PEEK[]").values()] == KEPT
            assert neighbour.ok("NOOP").is_ok
        assert [row.items["BODY[]"] for row in front.read_until("slow").fetched()] == [small.replace(b"20", b"21")]
        assert send(front, Write.STORE, bound_s=60).is_ok
        slow.cancel()
    line.settle(*MAILBOXES, within_s=60)


# -- what nobody asked for ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        GARBAGE,
        b"* BYE idle for too long\r\n",
        b"* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n* 9 EXPUNGE\r\n",
        b"* 99 EXISTS\r\n* 4294967295 EXISTS\r\n",
        b"* VANISHED 1:4294967295\r\n",
        b"* 77 FETCH (FLAGS (\\Deleted))\r\n* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\n",
        b"* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 1] x\r\n* OK [HIGHESTMODSEQ 99999999] x\r\n",
        b"* 2 FETCH (UID 2 BODY[] {3000000000}\r\n",
        b"* CAPABILITY IMAP4rev1\r\n",
        b"+ idling still\r\n",
    ],
    ids=repr,
)
def test_what_is_said_to_an_idler_is_looked_into_and_not_believed(line: ImapLine, said: bytes) -> None:
    with line.client() as idler:
        idler.select("INBOX")
        idling = idler.idle()
        eventually(lambda: line.proxy.say_to_idlers(said))
        line.deliver("INBOX", NEWS)
        idler.wait_for(is_any_exists, within_s=RECOVERY_S)
        assert idler.done(idling).is_ok
        assert octets(held(idler, "INBOX")) == [*KEPT, NEWS]
    line.settle(*MAILBOXES)


def test_another_uidvalidity_is_taken_over_and_no_message_lost(line: ImapLine) -> None:
    with line.client() as front:
        before = front.status("INBOX", "UIDVALIDITY")["UIDVALIDITY"]
        with line.proxy.failing(other_uidvalidity(7), but(*LOGGING_IN)):
            eventually(
                lambda: front.status("INBOX", "UIDVALIDITY"),
                equals({"UIDVALIDITY": before + 7}),
                within_s=RECOVERY_S,
            )
            with line.client() as another:
                eventually(lambda: another.command("SELECT INBOX").is_ok, within_s=RECOVERY_S)
                eventually(lambda: octets(held(another, "INBOX")), equals(KEPT), within_s=RECOVERY_S)
                for write in (Write.STORE, Write.APPEND):
                    assert send(another, write).is_ok
    line.settle(*MAILBOXES, within_s=RECOVERY_S)
    assert line.held("Filed") == {"Filed": [(NEW, PLAIN)]}


def test_a_uidvalidity_that_changes_amid_a_write_lets_nothing_be_done_to_other_messages(line: ImapLine) -> None:
    with line.client() as front:
        front.select("INBOX")
        mark(front)
        with line.proxy.failing(other_uidvalidity(7), named("SELECT")):
            line.proxy.say_to_idlers(b"* BYE x\r\n")
            for write in (Write.MOVE, Write.COPY):
                reply = front.command(COMMANDS[write])
                assert reply.status.kind in ("NO", "OK")
    line.settle(*MAILBOXES, within_s=RECOVERY_S)
    total = line.held(*MAILBOXES)
    assert {content for messages in total.values() for content, _ in messages} == set(KEPT)
