"""Clients that are broken or mean harm: no traceback, no hang, bounded memory, and nobody else notices.

What a client gets that behaves is told by order and number: it is served while the attack goes on.
"""

from __future__ import annotations

import random
import resource
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.hostile_gateway import LOGIN, MESSAGES, PASSWORD, PER_ADDRESS, PER_USER, HostileGateway, is_over, read_to
from tests.e2e.raw_client import RawClient
from tests.e2e.waiting import eventually
from tests.hostile import AFTER_LOGIN, BEFORE_LOGIN, hostile_inputs

GROWTH_MIB = 48.0
"""How much more memory an attack may cost than was in use before. Unbounded, each would take far more."""
RECOVERY_S = 30.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, is_direct: bool) -> Iterator[HostileGateway]:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    gateway = HostileGateway(tmp_path_factory.mktemp("hostile") / "gateway", messages=1000)
    gateway.start()
    gateway.settle(1000)
    yield gateway
    gateway.stop()


@contextmanager
def unharmed(gateway: HostileGateway) -> Iterator[Callable[[], None]]:
    """See that a client beside the block is served, before, within and after it, and that nothing is left of the rest.

    What is yielded is to be called while the attack goes on.
    """
    with gateway.victim() as victim:
        assert victim.is_served()
        files, memory = gateway.open_files(), gateway.memory()

        def look() -> None:
            assert victim.is_served()
            assert gateway.memory() < memory + GROWTH_MIB

        yield look
        look()
        eventually(lambda: gateway.open_files() <= files + 2, within_s=RECOVERY_S)
        with gateway.victim() as another:
            assert another.is_served()
    gateway.check_log()


def vanish(sock: socket.socket) -> None:
    """Break the connection off with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def say_and_leave(sock: socket.socket, data: bytes) -> None:
    """Send everything, and no more after that; read until the server has had enough."""
    with sock:
        sender = threading.Thread(target=_send, args=(sock, data))
        sender.start()
        assert is_over(sock)
        sender.join()


def _send(sock: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)


# -- garbage -----------------------------------------------------------------------------------------------------------

_GUESSES = (b"LOGIN", b"AUTHENTICATE")
STRANGE = tuple(command for command in (*BEFORE_LOGIN, *AFTER_LOGIN) if not command.startswith(_GUESSES))
"""Guesses at passwords are answered slowly, which is another matter."""
AT_ONCE = 50


@pytest.mark.parametrize("count", [2_000, pytest.param(50_000, marks=pytest.mark.long)])
def test_garbage_before_login(gateway: HostileGateway, count: int) -> None:
    inputs = list(hostile_inputs(random.Random(1), count, STRANGE))
    with unharmed(gateway) as look:
        for start in range(0, count, AT_ONCE):
            say_and_leave(gateway.attack(), b"".join(inputs[start : start + AT_ONCE]))
            if start % 1000 == 0:
                look()


@pytest.mark.parametrize("count", [5_000, pytest.param(50_000, marks=pytest.mark.long)])
def test_garbage_after_login(gateway: HostileGateway, count: int) -> None:
    inputs = list(hostile_inputs(random.Random(2), count))
    with unharmed(gateway) as look:
        for start in range(0, count, AT_ONCE):
            say_and_leave(gateway.intrude(), b"\r\n".join(inputs[start : start + AT_ONCE]))
            if start % 1000 == 0:
                look()


# -- half of something -------------------------------------------------------------------------------------------------

HALVES = {
    "nothing": b"",
    "half a tag": b"a",
    "half a command": b"a LOGIN alice",
    "a literal that does not come": b"a LOGIN {5}\r\n",
    "half a literal": b"a LOGIN {50+}\r\nhalf",
    "half an exchange": b"a AUTHENTICATE PLAIN\r\nAGFs",
    "STARTTLS": b"a STARTTLS\r\n",
    "half a handshake": b"a STARTTLS\r\n\x16\x03\x01",
    "half a line that is too long": b"a " + b"x" * 200_000,
}
HALVES_AFTER_LOGIN = {
    "IDLE": b"a IDLE\r\n",
    "half of DONE": b"a IDLE\r\nDO",
    "half a message": b"a APPEND INBOX {1000000+}\r\n" + b"x" * 500_000,
    "a message that does not come": b"a APPEND INBOX {1000000}\r\n",
    "answers nobody reads": b"a UID FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)\r\n" * 20,
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_who_vanishes_before_login_leaves_nothing_behind(gateway: HostileGateway, half: bytes) -> None:
    with unharmed(gateway) as look:
        for _ in range(2 * PER_ADDRESS):
            with suppress(OSError):
                sock = gateway.attack()
                sock.sendall(half)
                vanish(sock)
        look()
        eventually(lambda: is_greeted(gateway), within_s=RECOVERY_S)


@pytest.mark.parametrize("half", HALVES_AFTER_LOGIN.values(), ids=HALVES_AFTER_LOGIN)
def test_who_vanishes_after_login_leaves_nothing_behind(gateway: HostileGateway, half: bytes) -> None:
    with unharmed(gateway) as look:
        for _ in range(2):
            socks = [room_for_another(gateway) for _ in range(PER_USER)]
            for sock in socks:
                sock.sendall(half)
            look()
            for sock in socks:
                vanish(sock)
        with room_for_another(gateway) as last:
            last.sendall(b"z NOOP\r\n")
            read_to(last, b"z OK")


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_who_does_half_and_stays_is_sent_away_in_time(gateway: HostileGateway, half: bytes) -> None:
    with unharmed(gateway) as look, ExitStack() as stack:
        socks = [stack.enter_context(gateway.attack()) for _ in range(5)]
        for sock in socks:
            sock.sendall(half)
        look()
        assert all(map(is_over, socks))


def test_a_login_octet_by_octet_does_not_last_for_ever(gateway: HostileGateway) -> None:
    with unharmed(gateway) as look, gateway.attack() as sock:
        sock.settimeout(0.1)
        said = iter(b"a LOGIN alice {1000+}\r\n" + b"x" * 1000)
        assert any(is_refused(sock, octet) for octet in said)
        look()
        assert next(said, None) is not None


def is_refused(sock: socket.socket, octet: int) -> bool:
    """Send an octet, and tell whether the connection has ended."""
    try:
        sock.sendall(bytes([octet]))
        return b"BYE" in sock.recv(1000)
    except TimeoutError:
        return False
    except OSError:
        return True


def is_greeted(gateway: HostileGateway) -> bool:
    with suppress(OSError), gateway.attack() as sock:
        return sock.recv(5) == b"* OK "
    return False


def room_for_another(gateway: HostileGateway) -> socket.socket:
    """Return a session of the attacker's, as soon as there may be one more."""
    found: list[socket.socket] = []

    def attempt() -> bool:
        sock = intruder(gateway)
        found.extend([sock] if sock is not None else [])
        return bool(found)

    eventually(attempt, within_s=RECOVERY_S)
    return found[0]


def intruder(gateway: HostileGateway) -> socket.socket | None:
    """Return a session of the attacker's; None while those before it still count."""
    sock = gateway.attack()
    try:
        sock.sendall(f'l LOGIN {LOGIN} "{PASSWORD}"\r\n'.encode())
        answer = read_to(sock, b"\r\nl ")
        while not answer.endswith(b"\r\n"):
            answer += sock.recv(1000)
        if b"\r\nl OK" in answer:
            sock.sendall(b"s SELECT INBOX\r\n")
            read_to(sock, b"\r\ns ")
            return sock
    except (OSError, AssertionError):
        pass
    sock.close()
    return None


# -- without end -------------------------------------------------------------------------------------------------------

MIB = b"x" * (1 << 20)


@pytest.mark.parametrize(
    "beginning",
    [b"", b"a ", b"a LOGIN alice {100000000+}\r\n", b"a APPEND INBOX {400000000+}\r\n", b'a LOGIN "', b"(" * 1000],
    ids=["a line", "a line with a tag", "a literal", "a message", "a string", "a list"],
)
@pytest.mark.parametrize("is_intruder", [False, True], ids=["stranger", "intruder"])
def test_what_never_ends_is_not_kept(gateway: HostileGateway, beginning: bytes, is_intruder: bool) -> None:
    with unharmed(gateway) as look, gateway.intrude() if is_intruder else gateway.attack() as sock, suppress(OSError):
        sock.sendall(beginning)
        for number in range(96):
            sock.sendall(MIB)
            if number % 32 == 0:
                look()


def test_a_literal_beyond_all_reason_ends_the_connection(gateway: HostileGateway) -> None:
    with unharmed(gateway), gateway.intrude() as sock:
        sock.sendall(b"a APPEND INBOX {99999999999+}\r\n")
        read_to(sock, b"* BYE")
        assert is_over(sock)


def test_ten_thousand_commands_at_once_are_answered_while_others_are_served(gateway: HostileGateway) -> None:
    kinds = (b"NOOP", b"UID SEARCH ALL", b"UID FETCH 1:5 (FLAGS ENVELOPE)", b"FROB", b"STATUS INBOX (MESSAGES)")
    with unharmed(gateway) as look, RawClient.logged_in(gateway.endpoint(LOGIN)) as client:
        client.select("INBOX")
        served = 0
        sender = threading.Thread(
            target=client.send,
            args=(b"".join(b"c%d %b\r\n" % (number, kinds[number % len(kinds)]) for number in range(10_000)),),
        )
        sender.start()
        sender.join()
        for number in range(10_000):
            reply = client.read_until(f"c{number}")
            assert reply.status.kind == ("BAD" if number % len(kinds) == 3 else "OK")
            if number % 1000 == 0:
                look()
                served += 1
        assert served == 10


def test_who_takes_no_answers_is_dropped_and_costs_little(gateway: HostileGateway) -> None:
    with unharmed(gateway) as look, ExitStack() as stack:
        socks = [stack.enter_context(gateway.intrude(window=4096)) for _ in range(PER_USER)]
        for sock in socks:
            sock.sendall(b"a UID FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])\r\n" * 100)
        for _ in range(20):
            look()
        # They read nothing until there is room for as many again, so it is time that has ended them.
        for _ in range(PER_USER):
            stack.enter_context(room_for_another(gateway))
        assert all(map(is_over, socks))


# -- many --------------------------------------------------------------------------------------------------------------


def test_two_thousand_connections_as_fast_as_they_can_be_made(gateway: HostileGateway) -> None:
    with unharmed(gateway) as look:
        for number in range(2_000):
            with suppress(OSError):
                vanish(gateway.attack())
            if number % 250 == 0:
                look()
        eventually(lambda: is_greeted(gateway), within_s=RECOVERY_S)


def test_no_address_has_more_than_its_share(gateway: HostileGateway) -> None:
    with unharmed(gateway) as look, ExitStack() as stack:
        socks = [stack.enter_context(gateway.attack()) for _ in range(PER_ADDRESS + 10)]
        greetings = [sock.recv(100)[:5] for sock in socks]
        assert greetings == [b"* OK "] * PER_ADDRESS + [b"* BYE"] * 10
        look()


def test_no_user_has_more_than_a_users_share(gateway: HostileGateway) -> None:
    with unharmed(gateway) as look, ExitStack() as stack:
        for _ in range(PER_USER):
            stack.enter_context(gateway.intrude())
        with gateway.attack() as sock:
            sock.sendall(f'l LOGIN {LOGIN} "{PASSWORD}"\r\n'.encode())
            read_to(sock, b"l NO [UNAVAILABLE]")
        look()


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02", b"a NOOP\r\n", b"\x80" * 100_000], ids=repr)
def test_handshakes_that_stall_are_counted_and_ended(gateway: HostileGateway, hello: bytes) -> None:
    with unharmed(gateway) as look, ExitStack() as stack:
        socks = [stack.enter_context(gateway.attack(tls=True)) for _ in range(PER_ADDRESS)]
        for sock in socks:
            with suppress(OSError):
                sock.sendall(hello)
        greets_by_tls(gateway)
        look()
        assert all(map(is_over, socks))


def test_a_connection_too_many_costs_no_handshake(gateway: HostileGateway) -> None:
    with unharmed(gateway) as look, ExitStack() as stack:
        for _ in range(PER_ADDRESS):
            stack.enter_context(gateway.attack(tls=True))
        with gateway.attack(tls=True) as sock:
            assert sock.recv(1) == b""
        greets_by_tls(gateway)
        look()


def greets_by_tls(gateway: HostileGateway) -> None:
    """See that others are greeted over TLS."""
    with (
        socket.create_connection(("127.0.0.1", gateway.tls_port), 30) as plain,
        gateway.trusting().wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        assert secured.recv(5) == b"* OK "


def test_handshakes_of_clients_that_trust_nobody_leave_no_trace(gateway: HostileGateway) -> None:
    with unharmed(gateway):
        for _ in range(20):
            with gateway.attack(tls=True) as sock, pytest.raises(ssl.SSLError):
                ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")


# -- more than there is ------------------------------------------------------------------------------------------------


def test_a_process_that_may_open_no_more_files_serves_whom_it_has(tmp_path: Path, is_direct: bool) -> None:
    """No limit of ours is reached here first: the room for files is taken away from a process that counted on it."""
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    gateway = HostileGateway(tmp_path / "gateway")
    gateway.start()
    gateway.settle(MESSAGES)
    with ExitStack() as stack:
        victim = stack.enter_context(gateway.victim())
        assert victim.is_served()
        most = gateway.open_files() + 8
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (most, most))
        with ExitStack() as attack:
            for tls in (False, True):
                for _ in range(30):
                    with suppress(OSError):
                        attack.enter_context(gateway.attack(tls=tls))
            for _ in range(20):
                assert victim.ok("NOOP").is_ok
                assert len(victim.fetch("1:*", "(FLAGS RFC822.SIZE)")) == MESSAGES
        eventually(lambda: is_greeted(gateway), within_s=RECOVERY_S)
        eventually(lambda: is_greeted_by_tls(gateway), within_s=RECOVERY_S)
        assert victim.is_served()
    gateway.stop()


def is_greeted_by_tls(gateway: HostileGateway) -> bool:
    with suppress(OSError):
        greets_by_tls(gateway)
        return True
    return False


@pytest.mark.long
def test_readers_that_stop_in_the_middle_of_a_hundred_thousand_messages(tmp_path: Path, is_direct: bool) -> None:
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    gateway = HostileGateway(tmp_path / "gateway", messages=100_000)
    gateway.start()
    gateway.settle(100_000)
    # The mailbox is held in memory as long as somebody has it open, once for all.
    with gateway.intrude(), unharmed(gateway) as look, ExitStack() as stack:
        socks = [stack.enter_context(gateway.intrude(window=4096)) for _ in range(10)]
        for sock in socks:
            sock.sendall(b"a FETCH 1:* (FLAGS UID INTERNALDATE)\r\n" * 5)
        for sock in socks:
            assert sock.recv(100).startswith(b"* 1 FETCH ")
        for _ in range(100):
            look()
        for _ in range(PER_USER - 1):
            stack.enter_context(room_for_another(gateway))
        assert all(map(is_over, socks))
    gateway.stop()
