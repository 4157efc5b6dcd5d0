"""Header blocks, rebuilt exactly or not at all; at a real Cyrus, of every message of the vectors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.api.errors import Rejected, Unavailable
from connectors.api.types import BytesContent, MessageRef
from connectors.jmap import header
from gateway.message.headers import header_block
from tests.conformance.rig import INBOX, find_mailbox
from tests.connectors.jmap.rig import CyrusRig
from tests.servers.cyrus import Cyrus

VECTORS = Path(__file__).parents[2] / "vectors" / "mail"
FIELDS = [
    ("From", " Ann <ann@example.org>"),
    ("Date", " Fri, 17 May 2019 08:30:15 +0000"),
    ("Message-ID", " <1@example.org>"),
]
USUAL = "".join(f"{name}:{value}\r\n" for name, value in FIELDS).encode()


def message(*fields: tuple[str, str], body: int = 10, **properties: Any) -> header.Header:
    """Return what a server tells of a message with these fields behind the usual ones and a plain body."""
    given = [*FIELDS, *fields]
    length = sum(len(name) + len(value.encode()) + 3 for name, value in given) + 2
    told: dict[str, Any] = {
        "id": "M1",
        "size": length + body,
        "headers": [{"name": name, "value": value} for name, value in given],
        "from": [{"name": "Ann", "email": "ann@example.org"}],
        "sentAt": "2019-05-17T08:30:15Z",
        "messageId": ["1@example.org"],
        "bodyStructure": {"partId": "1", "type": "text/plain", "size": body},
    }
    return msgspec.convert(told | properties, header.Header)


@pytest.mark.parametrize(
    "value",
    ["", " ", " one", "no blank", " folded\r\n over\r\n\tlines", " trailing  ", " \r\n ", " Grüße 日本語 🙂", "\ttab"],
)
def test_a_value_goes_back_as_it_came(value: str) -> None:
    assert header.rebuild(message(("Subject", value))) == USUAL + f"Subject:{value}\r\n\r\n".encode()


@pytest.mark.parametrize(
    "value", ["a\ufffdb", "a\nb", "a\r\nb", "a\rb", "a\0b", "a\x7fb", "a\x85b", "end\r\n", "\r\n\r\n x"]
)
def test_a_value_that_cannot_be_trusted_is_not_rebuilt(value: str) -> None:
    assert header.rebuild(message(("X", value))) is None


@pytest.mark.parametrize("name", ["", "two words", "Größe", "a:b", "tab\t"])
def test_a_name_that_cannot_be_is_not_rebuilt(name: str) -> None:
    assert header.rebuild(message((name, " x"))) is None


def test_a_body_sent_as_it_is_proves_the_length() -> None:
    whole = message()
    assert header.rebuild(whole) is not None
    assert whole.size is not None
    assert header.rebuild(message(size=whole.size + 1)) is None
    assert header.rebuild(message(size=whole.size - 11)) is None


@pytest.mark.parametrize("encoding", ["base64", "Quoted-Printable"])
def test_an_encoded_body_proves_nothing(encoding: str) -> None:
    field = ("Content-Transfer-Encoding", f" {encoding}")
    assert header.rebuild(message(field, bodyStructure={"type": "text/plain", "size": 3})) is not None


def test_a_type_that_the_fields_do_not_give_tells_that_one_is_missing() -> None:
    multipart = {"type": "multipart/mixed"}
    assert header.rebuild(message(bodyStructure=multipart)) is None
    assert header.rebuild(message(("Content-Type", " multipart/mixed; boundary=b"), bodyStructure=multipart))


@pytest.mark.parametrize(
    "told", [{"subject": "Gr??e"}, {"to": [{"email": "a@b.example"}]}, {"references": ["x@y"]}, {"sender": [{}]}]
)
def test_a_meaning_without_its_field_tells_that_it_is_missing(told: dict[str, Any]) -> None:
    assert header.rebuild(message(**told)) is None


@pytest.mark.parametrize("missing", ["From", "Date", "Message-ID"])
def test_a_field_that_hardly_any_message_lacks_is_looked_for(missing: str) -> None:
    fields = [{"name": name, "value": value} for name, value in FIELDS if name != missing]
    assert header.rebuild(message(headers=fields)) is None


def test_nothing_is_made_of_nothing() -> None:
    assert header.rebuild(message(headers=[])) is None
    assert header.rebuild(message(headers=None)) is None
    assert header.rebuild(message(bodyStructure=None)) is None
    assert header.rebuild(message(size=None)) is None


def octets_of(path: Path) -> bytes:
    return path.read_bytes()


# -- cutting ----------------------------------------------------------------------------------------------------------


class Slow:
    """Content in pieces of one size, which remembers how many were asked for."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data = data
        self._step = step
        self.given = 0
        self.is_closed = False

    @property
    def size(self) -> int:
        return len(self._data)

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            for start in range(0, len(self._data), self._step):
                self.given += 1
                yield self._data[start : start + self._step]
        finally:
            self.is_closed = True


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    "path", [*sorted(VECTORS.glob("header-*.eml")), VECTORS / "empty.eml"], ids=lambda path: path.stem
)
async def test_a_header_is_cut_as_the_gateway_cuts_it(path: Path, step: int) -> None:
    data = octets_of(path)
    content = Slow(data, step)
    assert await header.cut(content) == header_block(data)
    assert content.is_closed or not data


async def test_no_more_is_read_than_that_takes() -> None:
    content = Slow(b"Subject: x\r\n\r\n" + b"y" * 100_000, 100)
    assert await header.cut(content) == b"Subject: x\r\n\r\n"
    assert content.given == 1


# -- at a real server -------------------------------------------------------------------------------------------------


async def test_headers_at_cyrus_are_those_of_the_messages(cyrus: Cyrus) -> None:
    connector = CyrusRig(cyrus).connector()
    await connector.open()
    inbox = (await find_mailbox(connector, INBOX)).ref
    kept: dict[MessageRef, bytes] = {}
    for path in sorted(VECTORS.glob("*.eml")):
        data = octets_of(path)
        usual = USUAL.replace(b"<1@", f"<{path.stem}@".encode())
        for version in (data, usual + data):
            try:
                state = await connector.append(inbox, BytesContent(version), frozenset(), None)
            except (Rejected, Unavailable):
                # Cyrus 3.6 takes no NUL, no bare LF, no odd field names, and fails at nothing at all.
                continue
            kept[state.ref] = version
    assert len(kept) > 250
    refs, limit = list(kept), connector.capabilities.outline_limit
    found = {
        outline.ref: outline.header
        for start in range(0, len(refs), limit)
        async for outline in connector.outlines(inbox, refs[start : start + limit])
    }
    assert found == {ref: header_block(data) for ref, data in kept.items()}
    await connector.close()
