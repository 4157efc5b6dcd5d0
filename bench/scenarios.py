"""What is timed: each scenario is done by the same client on both servers, in turn."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench import loads
from bench.client import BenchClient
from bench.goals import Goal, Unit
from bench.targets import LARGE_OCTETS, Target

_TARGET_APPEND = "Bench"
_HEADERS = b"BODY.PEEK[HEADER.FIELDS (DATE FROM TO CC SUBJECT MESSAGE-ID REFERENCES)]"
_OTHER_HEADERS = b"BODY.PEEK[HEADER.FIELDS (SUBJECT LIST-ID X-MAILER)]"
_SUMMARY = b"(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"
_MESSAGE = (
    b"From: a@example.com\r\nSubject: bench\r\nMessage-ID: <bench@example.com>\r\n\r\n" + b"text, more of it\r\n" * 480
)


_EXISTS = re.compile(rb"^\* ([0-9]+) EXISTS", re.MULTILINE)
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_UNQUOTABLE = re.compile(rb"[\r\n\x00]")
_LONGEST_QUOTED = 4096
_FIRST_SELECT_S = 300.0


class WrongAnswer(RuntimeError):
    """A server answered something else than it should."""


@dataclass(slots=True)
class Seat:
    """A target and a client of it that has selected INBOX, with its `count` messages."""

    target: Target
    client: BenchClient
    count: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """`measure` is one round: it returns the figure per operation, in `unit`. `rounds` bounds how often it is done.

    `check` runs once before, untimed, and compares what both servers answer; it raises WrongAnswer. What is a matter of
    how the mail is kept (`is_of_storage`) is done again beside a Dovecot that keeps it alike.
    """

    name: str
    goal: Goal
    measure: Callable[[Seat], float]
    unit: Unit = Unit.MILLISECONDS
    rounds: int = 7
    check: Callable[[Seat, Seat], None] | None = None
    is_of_storage: bool = False


# -- measuring --------------------------------------------------------------------------------------------------------


def _timed(action: Callable[[], object], operations: int = 1) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000 / operations


def _commands(*commands: bytes, times: int = 1) -> Callable[[Seat], float]:
    """Time the commands, one after the other; the figure is that of one command."""

    def measure(seat: Seat) -> float:
        def run() -> None:
            for _ in range(times):
                for command in commands:
                    seat.client.command(command)

        return _timed(run, times * len(commands))

    return measure


def _log_in_and_out(seat: Seat) -> float:
    def run() -> None:
        client = seat.target.log_in()
        client.command(b"LOGOUT")
        client.close()

    return _timed(run)


def _first_select(seat: Seat) -> float:
    client = seat.target.log_in()
    figure = _timed(lambda: client.command(b"SELECT INBOX"))
    client.close()
    return figure


def _first_select_of_all(seat: Seat) -> float:
    """Time what the Dovecot itself takes to tell the skeleton of all messages, or a gateway that is new to have it.

    The gateway's time is from when it begins to read the account until a client that selects INBOX has been told of all
    messages.
    """
    if seat.target.anew is None:
        return _timed(lambda: seat.client.command(b"UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)"))
    with seat.target.anew() as fresh:
        client = fresh.target.log_in()
        known = max(map(int, _EXISTS.findall(client.answer(b"SELECT INBOX"))), default=0)
        while known < seat.count:
            if time.perf_counter() - fresh.started > _FIRST_SELECT_S:
                raise WrongAnswer(f"only {known} of {seat.count} messages after {_FIRST_SELECT_S:g} s")
            known = max(map(int, _EXISTS.findall(client.answer(b"NOOP"))), default=known)
        figure = (time.perf_counter() - fresh.started) * 1000
        client.close()
    return figure


def _large_body(seat: Seat) -> float:
    seat.client.command(b"SELECT Large")
    figure = _timed(lambda: seat.client.command(b"FETCH 1 (BODY.PEEK[])"))
    seat.client.command(b"SELECT INBOX")
    return figure


def _store(seat: Seat) -> float:
    last = min(seat.count, 10_000)
    return _commands(b"STORE 1:%d +FLAGS.SILENT ($bench)" % last, b"STORE 1:%d -FLAGS.SILENT ($bench)" % last)(seat)


def _append(count: int) -> Callable[[Seat], float]:
    command = b"APPEND %s {%d+}\r\n%s" % (_TARGET_APPEND.encode(), len(_MESSAGE), _MESSAGE)

    def run(seat: Seat) -> float:
        with _scratch(seat):
            return _commands(command, times=count)(seat)

    return run


def _append_many(count: int) -> Callable[[Seat], float]:
    messages = (b"X-Number: %d\r\n" % number + _MESSAGE for number in range(count))
    literals = b"".join(b" {%d+}\r\n%s" % (len(message), message) for message in messages)
    command = b"APPEND %s" % _TARGET_APPEND.encode() + literals

    def run(seat: Seat) -> float:
        with _scratch(seat):
            return _commands(command)(seat) / count

    return run


class _scratch:  # noqa: N801 - used as a statement
    """A mailbox for what is appended, made anew, so that it does not grow from round to round."""

    def __init__(self, seat: Seat) -> None:
        self._client = seat.client

    def __enter__(self) -> None:
        self._client.command(b"CREATE " + _TARGET_APPEND.encode())

    def __exit__(self, *_: object) -> None:
        self._client.command(b"DELETE " + _TARGET_APPEND.encode())


# -- checking ---------------------------------------------------------------------------------------------------------


def _same_rows(item: bytes) -> Callable[[Seat, Seat], None]:
    """Both give a row for each message."""

    def check(reference: Seat, ours: Seat) -> None:
        for seat in (reference, ours):
            rows = seat.client.answer(b"FETCH 1:* " + item).count(b" FETCH (")
            _expect(rows, seat.count, f"{seat.target.name}: rows of FETCH 1:* {item.decode()}")

    return check


def _same_samples(item: bytes, samples: int = 20) -> Callable[[Seat, Seat], None]:
    """Some messages are answered with the same octets."""

    def check(reference: Seat, ours: Seat) -> None:
        step = max(1, reference.count // samples)
        for number in range(1, reference.count + 1, step):
            command = b"FETCH %d (%s)" % (number, item)
            expected, given = (_quoted(_untagged(seat.client.answer(command))) for seat in (reference, ours))
            if expected != given:
                raise WrongAnswer(f"{command.decode()}: {given[:200]!r} in place of {expected[:200]!r}")

    return check


def _same_hits(command: bytes) -> Callable[[Seat, Seat], None]:
    """Both find the same messages."""

    def check(reference: Seat, ours: Seat) -> None:
        expected, given = (hits(seat.client.answer(command)) for seat in (reference, ours))
        if expected != given:
            raise WrongAnswer(f"{command.decode()}: {len(given) - 2} in place of {len(expected) - 2}")

    return check


def hits(answer: bytes) -> list[bytes]:
    """Return the words of the untagged lines, but for the signs of life that both servers give while they search."""
    lines = _untagged(answer).splitlines()
    return [word for line in lines if not line.startswith(b"* OK ") for word in line.split()]


def _both(*checks: Callable[[Seat, Seat], None]) -> Callable[[Seat, Seat], None]:
    def check(reference: Seat, ours: Seat) -> None:
        for one in checks:
            one(reference, ours)

    return check


def _count_is_right(reference: Seat, ours: Seat) -> None:
    for seat in (reference, ours):
        if b"* %d EXISTS" % seat.count not in seat.client.answer(b"SELECT INBOX"):
            raise WrongAnswer(f"{seat.target.name}: EXISTS is not {seat.count}")


def _untagged(answer: bytes) -> bytes:
    return answer[: answer.rfind(b"\n", 0, -1) + 1]


def _quoted(answer: bytes) -> bytes:
    """Return the answer with short literals written as quoted strings, since servers are free to choose."""
    done: list[bytes] = []
    while match := _LITERAL.search(answer):
        octets = int(match[1])
        text = answer[match.end() : match.end() + octets]
        done.append(answer[: match.start()])
        is_short = octets < _LONGEST_QUOTED and not _UNQUOTABLE.search(text)
        done.append(b'"' + re.sub(rb'(["\\\\])', rb"\\\1", text) + b'"' if is_short else match[0] + text)
        answer = answer[match.end() + octets :]
    return b"".join(done) + answer


def _expect(given: int, expected: int, what: str) -> None:
    if given != expected:
        raise WrongAnswer(f"{what}: {given} in place of {expected}")


# -- the table --------------------------------------------------------------------------------------------------------


def scenarios(count: int) -> tuple[Scenario, ...]:
    """Return what is done with a mailbox of `count` messages. Large ones are done less often."""
    is_large = count > 20_000
    slow = 3 if is_large else 5
    appends = 1000 if is_large else 200
    return (
        Scenario("LOGIN and LOGOUT", Goal(1.0, 0.5), _log_in_and_out, rounds=30),
        Scenario("LOGIN and LOGOUT, 50 at once", Goal(1.0, 0.5), lambda seat: loads.logins(seat.target, 50), rounds=5),
        Scenario("SELECT, new session", Goal(0.5, 0.2), _first_select, rounds=15, check=_count_is_right),
        Scenario("first SELECT of all", Goal(3.0, 2.0), _first_select_of_all, rounds=3),
        Scenario("SELECT again", Goal(1.5, 1.0), _commands(b"SELECT INBOX", times=20), rounds=15),
        Scenario("FETCH all FLAGS", Goal(0.8, 0.5), _commands(b"UID FETCH 1:* (FLAGS)"), check=_same_rows(b"(FLAGS)")),
        Scenario(
            "FETCH all ENVELOPE",
            Goal(0.5, 0.3) if is_large else Goal(0.6, 0.4),
            _commands(b"UID FETCH 1:* " + _SUMMARY),
            rounds=slow,
            check=_both(_same_rows(b"(ENVELOPE)"), _same_samples(b"RFC822.SIZE ENVELOPE")),
        ),
        Scenario(
            "FETCH all BODYSTRUCTURE",
            Goal(1.2, 0.8),
            _commands(b"UID FETCH 1:* (BODYSTRUCTURE)"),
            rounds=slow,
            check=_same_rows(b"(BODYSTRUCTURE)"),
        ),
        Scenario(
            "FETCH all, usual headers",
            Goal(1.0, 0.6),
            _commands(b"UID FETCH 1:* (" + _HEADERS + b")"),
            rounds=slow,
            check=_same_samples(_HEADERS),
        ),
        Scenario(
            "FETCH all, other headers",
            Goal(3.0, 2.0),
            _commands(b"UID FETCH 1:* (" + _OTHER_HEADERS + b")"),
            rounds=slow,
            check=_same_samples(_OTHER_HEADERS),
        ),
        Scenario(
            "FETCH 1,000 bodies",
            Goal(1.2, 0.9),
            _commands(b"FETCH 1:1000 (BODY.PEEK[])"),
            check=_same_samples(b"BODY.PEEK[]"),
        ),
        Scenario("FETCH a body of 25 MB", Goal(1.0, 0.7), _large_body, check=_large_is_whole),
        Scenario(
            "SEARCH UNSEEN", Goal(0.8, 0.5), _commands(b"SEARCH UNSEEN", times=5), check=_same_hits(b"SEARCH UNSEEN")
        ),
        Scenario(
            "SEARCH SUBJECT",
            Goal(0.2, 0.05),
            _commands(b'SEARCH SUBJECT "report"'),
            rounds=slow,
            check=_same_hits(b'SEARCH SUBJECT "report"'),
        ),
        Scenario(
            "SEARCH TEXT",
            Goal(0.5, 0.1),
            _commands(b'SEARCH TEXT "deadline budget"'),
            rounds=1 if is_large else 3,
            check=_same_hits(b'SEARCH TEXT "deadline budget"'),
        ),
        Scenario(
            "SORT DATE",
            Goal(0.8, 0.5),
            _commands(b"SORT (DATE) UTF-8 ALL"),
            check=_same_hits(b"SORT (DATE) UTF-8 ALL"),
        ),
        Scenario(
            "SORT SUBJECT",
            Goal(1.3, 1.1),
            _commands(b"SORT (SUBJECT) UTF-8 ALL"),
            check=_same_hits(b"SORT (SUBJECT) UTF-8 ALL"),
        ),
        Scenario(
            "THREAD REFERENCES",
            Goal(1.2, 0.8),
            _commands(b"THREAD REFERENCES UTF-8 ALL"),
            check=_same_hits(b"THREAD REFERENCES UTF-8 ALL"),
        ),
        Scenario("STORE of 10,000", Goal(1.5, 0.9), _store, rounds=slow, is_of_storage=True),
        Scenario("APPEND of 8 KB", Goal(0.8, 0.4), _append(appends), rounds=3, is_of_storage=True),
        Scenario("APPEND of 8 KB, many in one", Goal(0.8, 0.4), _append_many(appends), rounds=3, is_of_storage=True),
        Scenario("NOOP", Goal(1.0, 0.6), _commands(b"NOOP", times=500), rounds=9),
        Scenario("FETCH one row", Goal(2.0, 1.2), _commands(b"FETCH 7 (UID FLAGS)", times=500), rounds=9),
        Scenario(
            "NOOP beside a FETCH of all ENVELOPE",
            Goal(2.0, 1.0, is_absolute=True),
            lambda seat: loads.noop_beside(seat.target, b"UID FETCH 1:* " + _SUMMARY),
            rounds=3,
        ),
        Scenario(
            "50 mixed clients, one operation",
            Goal(1.2, 0.8),
            lambda seat: loads.mixed(seat.target, 50).mean_ms,
            rounds=3,
        ),
        Scenario(
            "50 mixed clients, slowest 1 %", Goal(0.6, 0.35), lambda seat: loads.mixed(seat.target, 50).p99_ms, rounds=3
        ),
        Scenario(
            "memory of an idle connection",
            Goal(20, 8, is_absolute=True),
            lambda seat: loads.memory_of_idlers(seat.target),
            unit=Unit.KILOBYTES,
            rounds=1,
        ),
        Scenario(
            "memory of an idle connection, TLS",
            Goal(50, 30, is_absolute=True),
            lambda seat: loads.memory_of_idlers(seat.target, over_tls=True),
            unit=Unit.KILOBYTES,
            rounds=1,
        ),
        Scenario(
            "APPEND until 80 idlers have EXISTS",
            Goal(100, 30, is_absolute=True),
            lambda seat: loads.announcement(seat.target, 80),
            rounds=3,
        ),
    )


def _large_is_whole(reference: Seat, ours: Seat) -> None:
    for seat in (reference, ours):
        seat.client.command(b"SELECT Large")
        octets = seat.client.command(b"FETCH 1 (BODY.PEEK[])")
        seat.client.command(b"SELECT INBOX")
        if octets < LARGE_OCTETS - 200:
            raise WrongAnswer(f"{seat.target.name}: {octets} octets of {LARGE_OCTETS}")
