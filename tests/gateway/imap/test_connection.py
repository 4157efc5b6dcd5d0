from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from gateway.imap.connection import Connection
from gateway.imap.endings import ConnectionLost, InputTimeout, ShuttingDown
from gateway.imap.settings import ImapSettings
from gateway.imap.turnstile import AT_ONCE, Turnstile
from gateway.wire import commands
from gateway.wire.reader import BadCommand, ReadCommand
from tests.gateway.imap.rig import Rig, Wire

LONG_S = 3600.0


def name_of(event: object) -> str:
    return event.name if isinstance(event, ReadCommand) else type(event).__name__


async def test_commands_that_came_in_one_packet_are_read_one_by_one() -> None:
    seen: list[str] = []

    async def serve(connection: Connection) -> None:
        seen.extend([name_of(await connection.read_event(LONG_S)) for _ in range(3)])

    rig = Rig(serve)
    rig.connection.data_received(b"a NOOP\r\nb CAPABILITY\r\nc LOGO")
    rig.connection.data_received(b"UT\r\n")
    await rig.end()
    assert seen == ["NOOP", "CAPABILITY", "LOGOUT"]
    assert rig.wire.is_closed


async def test_of_many_that_speak_or_hang_up_at_once_each_turn_serves_some() -> None:
    served: list[str] = []

    async def serve(connection: Connection) -> None:
        try:
            served.append(name_of(await connection.read_event(LONG_S)))
        except ConnectionLost:
            served.append("gone")

    turnstile = Turnstile()
    rigs = [Rig(serve, turnstile=turnstile) for _ in range(3 * AT_ONCE)]
    await asyncio.sleep(0)
    for rig in rigs[: 2 * AT_ONCE]:
        rig.connection.data_received(b"a NOOP\r\n")
    for rig in rigs[2 * AT_ONCE :]:
        rig.connection.connection_lost(None)
    counts = [0]
    while counts[-1] < len(rigs):
        await asyncio.sleep(0)
        counts.append(len(served))
    assert served == ["NOOP"] * (2 * AT_ONCE) + ["gone"] * AT_ONCE
    assert max(later - earlier for earlier, later in pairwise(counts)) == AT_ONCE
    for rig in rigs:
        await rig.end()


async def test_a_synchronising_literal_is_invited() -> None:
    seen: list[object] = []

    async def serve(connection: Connection) -> None:
        seen.append(await connection.read_event(LONG_S))

    rig = Rig(serve)
    rig.connection.data_received(b"a LOGIN alex {6}\r\n")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert rig.written == b"+ OK\r\n"
    rig.connection.data_received(b"secret\r\n")
    await rig.end()
    (event,) = seen
    assert isinstance(event, ReadCommand)
    assert event.command == commands.Login("alex", b"secret")


async def test_lines_and_commands_are_taken_from_one_stream() -> None:
    seen: list[object] = []

    async def serve(connection: Connection) -> None:
        seen.append(name_of(await connection.read_event(LONG_S)))
        seen.append(await connection.read_line(LONG_S))
        seen.append(name_of(await connection.read_event(LONG_S)))

    rig = Rig(serve)
    rig.connection.data_received(b"a IDLE\r\nDONE\r\nb NOOP\r\n")
    await rig.end()
    assert seen == ["IDLE", b"DONE", "NOOP"]


async def test_reading_stops_while_much_waits_and_goes_on_when_it_is_wanted() -> None:
    gate = asyncio.Event()

    async def serve(connection: Connection) -> None:
        await gate.wait()
        while name_of(await connection.read_event(LONG_S)) != "LOGOUT":
            pass

    rig = Rig(serve, ImapSettings(input_high_water=1000))
    rig.connection.data_received(b"a NOOP\r\n" * 10)
    assert rig.wire.is_reading()
    rig.connection.data_received(b"a NOOP\r\n" * 200)
    assert not rig.wire.is_reading()
    gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert rig.wire.is_reading()
    rig.connection.data_received(b"z LOGOUT\r\n")
    await rig.end()


async def ended_with(error: type[Exception], happen: Callable[[Rig], object], *, timeout_s: float = LONG_S) -> Rig:
    raised: list[bool] = []

    async def serve(connection: Connection) -> None:
        with pytest.raises(error):
            await connection.read_event(timeout_s)
        raised.append(True)

    rig = Rig(serve)
    await asyncio.sleep(0)
    happen(rig)
    await rig.end()
    assert raised == [True]
    return rig


async def test_the_loss_of_the_client_ends_the_wait() -> None:
    await ended_with(ConnectionLost, lambda rig: rig.connection.connection_lost(None))


async def test_the_end_of_input_ends_the_wait() -> None:
    await ended_with(ConnectionLost, lambda rig: rig.connection.eof_received())


async def test_silence_ends_the_wait() -> None:
    await ended_with(InputTimeout, lambda _: None, timeout_s=0.001)


async def test_a_command_that_trickles_in_does_not_stretch_the_time() -> None:
    await ended_with(InputTimeout, lambda rig: rig.connection.data_received(b"a NO"), timeout_s=0.001)


async def test_shutdown_ends_the_wait_but_not_a_command_that_has_come() -> None:
    seen: list[str] = []

    async def serve(connection: Connection) -> None:
        seen.append(name_of(await connection.read_event(LONG_S)))
        with pytest.raises(ShuttingDown):
            await connection.read_event(LONG_S)

    rig = Rig(serve)
    rig.connection.data_received(b"a NOOP\r\n")
    rig.connection.begin_shutdown()
    await rig.end()
    assert seen == ["NOOP"]


async def test_what_came_before_the_end_of_input_is_still_answered() -> None:
    seen: list[str] = []

    async def serve(connection: Connection) -> None:
        seen.extend([name_of(await connection.read_event(LONG_S)) for _ in range(2)])

    rig = Rig(serve)
    rig.connection.data_received(b"a NOOP\r\nb LOGOUT\r\n")
    assert rig.connection.eof_received()
    await rig.end()
    assert seen == ["NOOP", "LOGOUT"]


async def test_a_ring_ends_the_wait_for_a_line_at_once_and_is_not_lost() -> None:
    seen: list[object] = []

    async def serve(connection: Connection) -> None:
        connection.ring()
        seen.append(await connection.wait_for_line(LONG_S))
        seen.append(await connection.wait_for_line(0.001))
        seen.append(await connection.wait_for_line(LONG_S))

    rig = Rig(serve)
    await asyncio.sleep(0.01)
    rig.connection.data_received(b"DONE\r\n")
    await rig.end()
    assert seen == [None, None, b"DONE"]


async def test_an_unfinished_upload_is_given_back_when_the_client_goes() -> None:
    async def serve(connection: Connection) -> None:
        await connection.read_event(LONG_S)

    rig = Rig(serve)
    rig.connection.data_received(b"a APPEND INBOX {1000+}\r\nSubject: half")
    await asyncio.sleep(0)
    rig.connection.connection_lost(None)
    # A spool that is not closed would be told as a warning, which is an error here.
    await rig.end()


async def test_a_refused_connection_is_not_served() -> None:
    served: list[Connection] = []

    async def serve(connection: Connection) -> None:
        served.append(connection)

    def admit(connection: Connection) -> bool:
        connection.refuse(b"* BYE full\r\n")
        return False

    connection = Connection(asyncio.get_running_loop(), ImapSettings(), serve, is_tls=False, admit=admit)
    wire = Wire()
    connection.connection_made(wire)
    await asyncio.sleep(0)
    assert connection.task is None
    assert not served
    assert wire.writes == [b"* BYE full\r\n"]
    assert wire.is_closed


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True), ("192.0.2.1", False)],
)
async def test_the_own_machine_is_known_by_its_address(address: str, is_loopback: bool) -> None:
    async def serve(connection: Connection) -> None:
        assert connection.is_loopback is is_loopback

    await Rig(serve, address=address).end()


async def test_a_session_that_fails_is_logged_and_the_connection_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def serve(_: Connection) -> None:
        raise LookupError("unforeseen")

    rig = Rig(serve)
    await rig.end()
    assert rig.wire.is_closed
    assert "unforeseen" in caplog.text


async def test_garbage_is_told_as_such() -> None:
    seen: list[object] = []

    async def serve(connection: Connection) -> None:
        seen.append(await connection.read_event(LONG_S))

    rig = Rig(serve)
    rig.connection.data_received(b"\x16\x03\x01\x02\x00\r\n")
    await rig.end()
    assert isinstance(seen[0], BadCommand)


async def test_what_comes_compressed_is_expanded_a_piece_at_a_time() -> None:
    gate = asyncio.Event()
    waiting: list[int] = []

    async def serve(connection: Connection) -> None:
        connection.begin_compression()
        await gate.wait()
        while name_of(await connection.read_event(LONG_S)) != "LOGOUT":
            waiting.append(connection.reader.buffered_octets)

    rig = Rig(serve, ImapSettings(input_high_water=1000))
    await asyncio.sleep(0)
    client = zlib.compressobj(6, zlib.DEFLATED, -15)
    rig.connection.data_received(client.compress(b"a NOOP\r\n" * 5000) + client.flush(zlib.Z_SYNC_FLUSH))
    # It is counted as it came.
    assert rig.wire.is_reading()
    rig.connection.data_received(client.compress(Random(1).randbytes(2000) + b"\r\n") + client.flush(zlib.Z_SYNC_FLUSH))
    assert not rig.wire.is_reading()
    rig.connection.data_received(client.compress(b"z LOGOUT\r\n") + client.flush(zlib.Z_SYNC_FLUSH))
    gate.set()
    await rig.end()
    assert len(waiting) > 5000
    assert max(waiting) <= 1000 + 8
