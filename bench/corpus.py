"""The mail that is served: realistic messages of 2 to 20 KB, a few of them large, in threads, always the same."""

from __future__ import annotations

from collections.abc import Iterator

from tests.corpus.generate import GeneratedMessage, messages

SEED = 20261120

_SMALLEST = 2 * 1024
_LARGEST = 20 * 1024
_LARGE_EVERY = 500
"""One message in so many may be of any size."""

_OVERFLOW = 3
"""How many messages are made for one that fits."""


def corpus(count: int) -> Iterator[GeneratedMessage]:
    """Yield `count` messages, oldest first. Those too small are given a longer text."""
    given = 0
    for number, message in enumerate(messages(count * _OVERFLOW, SEED)):
        if given == count:
            return
        if len(message.data) > _LARGEST and number % _LARGE_EVERY:
            continue
        given += 1
        yield message if len(message.data) >= _SMALLEST else _lengthened(message)
    raise AssertionError(f"of {count * _OVERFLOW} messages fewer than {count} are of a usual size")


def _lengthened(message: GeneratedMessage) -> GeneratedMessage:
    """Give a short message of text more of it; what has parts stays as it is."""
    header, _, body = message.data.partition(b"\r\n\r\n")
    if b"multipart/" in header.lower() or b"base64" in header.lower() or not body:
        return message
    times = _SMALLEST // len(body) + 1
    return GeneratedMessage(header + b"\r\n\r\n" + body * times, message.flags, message.internal_date, message.mailbox)


def large_message(octets: int) -> bytes:
    """Return a message with one attachment, `octets` long within a line."""
    header = (
        b"From: Alex <alex@example.com>\r\nTo: bo@example.org\r\nSubject: The recording\r\n"
        b"Date: Tue, 3 Nov 2026 09:00:00 +0000\r\nMessage-ID: <recording@example.com>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHere it is.\r\n'
        b"--b\r\nContent-Type: application/octet-stream; name=recording.bin\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
    )
    line = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\r\n"
    end = b"--b--\r\n"
    return header + line * ((octets - len(header) - len(end)) // len(line)) + end
