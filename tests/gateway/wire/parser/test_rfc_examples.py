"""Every command that the RFCs show is understood, and what their grammars exclude is refused, however it comes in."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.wire.codes import Status
from gateway.wire.commands import Command
from gateway.wire.reader import BadCommand
from tests.gateway.wire.reading import Stored, parse, refusal

_VECTORS = Path(__file__).parents[3] / "vectors" / "wire"


def lines_of(name: str) -> Iterator[object]:
    rfc = ""
    for line in (_VECTORS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("# RFC "):
            rfc = line[6:]
        elif line and not line.startswith("#"):
            yield pytest.param(line, id=f"{rfc}: {line}")


EXAMPLES = list(lines_of("rfc_commands.txt"))
EXCLUDED = list(lines_of("bad_commands.txt"))
WITH_LITERALS = list(lines_of("rfc_literals.txt"))


def test_there_are_many() -> None:
    assert len(EXAMPLES) > 250
    assert len(EXCLUDED) > 90


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_of_an_rfc_is_understood(line: str) -> None:
    command: Command = parse(line.encode())
    # Names are the same in any case.
    name, _, rest = line.partition(" ")
    assert parse(f"{name.swapcase()} {rest}".rstrip().encode()) == command


@pytest.mark.parametrize("line", EXCLUDED)
def test_what_a_grammar_excludes_is_bad(line: str) -> None:
    refused: BadCommand = refusal(line.encode())
    assert refused.status is Status.BAD


@pytest.mark.parametrize(
    "line",
    [
        "XPIG-LATIN",  # RFC 9051 section 7.1.3
        "SETACL INBOX/Drafts John lrQswicda",  # RFC 4314 section 3.1
        "SETACL INBOX/Drafts John lrqswicda",
        # RFC 5465 section 5.2 wants MessageNew and MessageExpunge together; these of its examples have only one.
        "NOTIFY SET (mailboxes misc (MessageNew))",
        # RFC 7377 section 2 shows it, and its section 6 has no such command.
        'UID ESEARCH FROM "frobozz" 1:100',
        # RELEVANCY (RFC 6203 section 4) needs scores.
        'SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT "Helo"',
        'SORT (RELEVANCY) UTF-8 FUZZY SUBJECT "Helo"',
        # RFC 5267 section 4.3 leaves out what the grammar of SORT wants.
        "SORT RETURN (UPDATE) FLAGGED",
    ],
)
def test_what_they_refuse_or_get_wrong_is_bad(line: str) -> None:
    refused: BadCommand = refusal(line.encode())
    assert refused.status is Status.BAD


@pytest.mark.parametrize("line", WITH_LITERALS)
def test_an_example_with_literals_is_understood(line: str) -> None:
    """Whatever the octets are, each literal is what was announced."""
    sizes = [int(size) for size in re.findall(r"{(\d+)\+?}…", line)]
    octets = [bytes(65 + at % 26 for at in range(size)) for size in sizes]
    parts = line.encode().split("…".encode())
    whole = b"".join(part + b"\r\n" + text for part, text in zip(parts, octets, strict=False)) + parts[-1]
    found = list(_texts(parse(whole)))
    assert [text for text in found if text in octets] == octets


def _texts(value: object) -> Iterator[bytes]:
    """Yield all texts in a command, in the order of its fields."""
    if isinstance(value, Stored):
        yield value.data
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, str):
        yield value.encode()
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _texts(getattr(value, field.name))
