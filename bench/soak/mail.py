"""Messages of which no two are alike."""

from __future__ import annotations

import random
import re

_WORDS = (
    "Grüße",
    "meeting",
    "invoice",
    "Zahlung",
    "draft",
    "agenda",
    "résumé",
    "soak",
    "list",
    "Köln",
    "report",
    "none",
)
_MESSAGE_ID = re.compile(rb"^Message-ID: (<[^>\r\n]+>)\r\n", re.MULTILINE)
_LARGE = 0.01
_LARGE_OCTETS = 200_000
_USUAL_OCTETS = (600, 12_000)


def new_message(name: str, chance: random.Random) -> tuple[str, bytes]:
    """Return a Message-ID and a message that has it; some are large."""
    message_id = f"<{name}@soak.example.org>"
    octets = _LARGE_OCTETS if chance.random() < _LARGE else chance.randint(*_USUAL_OCTETS)
    line = " ".join(chance.choices(_WORDS, k=9))
    head = (
        f"From: {name} <sender@example.org>\r\n"
        f"To: receiver@example.net\r\n"
        f"Subject: soak {name} {chance.choice(('agenda', 'invoice', 'report'))}\r\n"
        f"Date: {chance.randint(1, 28):02} Feb 2024 10:{chance.randint(0, 59):02}:00 +0100\r\n"
        f"Message-ID: {message_id}\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n"
        "\r\n"
    )
    text = f"{line}\r\n".encode()
    return message_id, head.encode() + text * (octets // len(text) + 1)


def message_id_of(content: bytes) -> str:
    """Return the Message-ID of a message, or what it has instead of one."""
    found = _MESSAGE_ID.search(content)
    return found[1].decode() if found else f"no Message-ID in {content[:80]!r}"
