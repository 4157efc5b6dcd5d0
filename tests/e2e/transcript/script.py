"""The transcript as text: sections of commands, each for servers with certain capabilities.

    [sort] SORT                a section, and the capabilities without which it is not played
    MAIL: box                  a mailbox with the messages of `tests.e2e.transcript.mails`, their UIDs 1 to 6
    1 NOOP                     connection 1 sends a command and waits for its end. 1 to 4 are logged in, 5 to 9 are not
    (ESORT) 1 SORT ...         the same, with servers that have this capability
    1+ IDLE                    begin a command that waits for more
    1? EXISTS                  wait until the server has said so
    1. DONE                    end the command

In commands `{short}` is a text of `MAILS`, sent as a literal once the server says `+`; `{short+}` is sent without
waiting, `~{short}` is a literal8. `<uidvalidity>`, `<modseq>`, `<mailboxid>`, `<emailid>` and `<threadid>` are what the
connection was told last, `<user>`, `<password>` and `<plain>`, the answer of SASL's PLAIN, are the login.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TRANSCRIPT = Path(__file__).with_name("transcript.txt")

_SECTION = re.compile(r"\[([a-z0-9-]+)\] ?(.*)")
_STEP = re.compile(r"(?:\(([^)]+)\) )?([1-9])([ +?.]) ?(.*)")


@dataclass(frozen=True, slots=True)
class Step:
    """What one connection does. `kind` is a blank for a whole command, else `+`, `?` or `.` as in the transcript."""

    name: str
    client: int
    kind: str
    text: str
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Section:
    """Steps that are played from the beginning, and the mailboxes that are filled before."""

    name: str
    needs: frozenset[str]
    mailboxes: tuple[str, ...]
    steps: tuple[Step, ...]


def sections(path: Path = TRANSCRIPT) -> list[Section]:
    """Read a transcript.

    Raises:
        ValueError: a line makes no sense.
    """
    found: list[Section] = []
    for block in re.split(r"^(?=\[)", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if not lines:
            continue
        head = _SECTION.fullmatch(lines[0])
        if head is None:
            raise ValueError(f"no section: {lines[0]}")
        mailboxes = [name for line in lines if line.startswith("MAIL: ") for name in line.split()[1:]]
        steps: list[Step] = []
        for line in lines[1:]:
            if not line.startswith("MAIL: "):
                steps.append(_step(head[1], line, steps))
        found.append(Section(head[1], frozenset(head[2].upper().split()), tuple(mailboxes), tuple(steps)))
    return found


def _step(section: str, line: str, before: list[Step]) -> Step:
    """Read a step; one with the words of another before it is numbered."""
    match = _STEP.fullmatch(line)
    if match is None:
        raise ValueError(f"no step: {line}")
    needs, client, kind, text = match.groups()
    name = f"{section}: {client}{kind.strip()} {text}"
    count = sum(each.name == name or each.name.startswith(f"{name} #") for each in before)
    if count:
        name += f" #{count + 1}"
    return Step(name, int(client), kind, text, frozenset((needs or "").upper().split()))
