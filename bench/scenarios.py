"""What is timed: each scenario is done by the same client on both servers, in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.client import BenchClient

Run = Callable[[BenchClient], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`run` is timed on a connection that has selected INBOX; `operations` is how many of it one time stands for."""

    name: str
    run: Run
    operations: int = 1


def _once(command: str) -> Run:
    return lambda client: _ignore(client.command(command.encode()))


def _often(command: str, times: int) -> Run:
    def run(client: BenchClient) -> None:
        octets = command.encode()
        for _ in range(times):
            client.command(octets)

    return run


def _ignore(_: int) -> None:
    return None


_HEADERS = "BODY.PEEK[HEADER.FIELDS (DATE FROM TO CC SUBJECT MESSAGE-ID REFERENCES)]"
_MESSAGE = b"From: a@example.com\r\nSubject: bench\r\nMessage-ID: <bench@example.com>\r\n\r\n" + b"text\r\n" * 600


def _append(client: BenchClient) -> None:
    for _ in range(20):
        client.command(b"APPEND Sent {%d+}\r\n%s" % (len(_MESSAGE), _MESSAGE))


def _flag(client: BenchClient) -> None:
    client.command(b"STORE 1:500 +FLAGS.SILENT ($bench)")
    client.command(b"STORE 1:500 -FLAGS.SILENT ($bench)")


SCENARIOS = (
    Scenario("NOOP", _often("NOOP", 200), 200),
    Scenario("SELECT again", _often("SELECT INBOX", 20), 20),
    Scenario("STATUS", _often("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", 100), 100),
    Scenario("FETCH one message's FLAGS", _often("FETCH 7 (UID FLAGS)", 200), 200),
    Scenario("FETCH all FLAGS", _once("UID FETCH 1:* (FLAGS)")),
    Scenario("FETCH all ENVELOPE", _once("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)")),
    Scenario("FETCH all BODYSTRUCTURE", _once("UID FETCH 1:* (BODYSTRUCTURE)")),
    Scenario("FETCH all usual headers", _once(f"UID FETCH 1:* ({_HEADERS})")),
    Scenario("FETCH 300 bodies", _once("FETCH 1:300 (BODY.PEEK[])")),
    Scenario("SEARCH UNSEEN", _often("SEARCH UNSEEN", 20), 20),
    Scenario("SEARCH SUBJECT", _once('SEARCH SUBJECT "report"')),
    Scenario("STORE 500, twice (goes to the backend)", _flag),
    Scenario("APPEND 20 of 4 KB (goes to the backend)", _append, 20),
)
