"""What is in the mailboxes in the end, asked of the gateway, of Dovecot itself, and of the files of a Maildir."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.soak.ledger import Flags, Found, Ledger, Verdict
from bench.soak.mail import message_id_of
from bench.soak.visitor import MAILBOXES
from tests.e2e.async_client import AsyncClient
from tests.e2e.endpoint import Endpoint
from tests.e2e.raw_client import flag_set

_LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_STEP_S = 0.5


@dataclass(frozen=True, slots=True)
class Held:
    """A message as a mailbox has it."""

    message_id: str
    content: bytes
    flags: Flags


@dataclass(frozen=True, slots=True)
class Contents:
    """A mailbox: its UIDVALIDITY and its messages by UID."""

    uidvalidity: int
    messages: Mapping[int, Held]


Contained = dict[str, Contents]
"""All mailboxes of an account, by name."""


async def contents(endpoint: Endpoint) -> Contained:
    """Read all mailboxes of an account.

    Raises:
        AssertionError: something was refused.
    """
    found: Contained = {}
    async with await AsyncClient.connected(endpoint) as client:
        await client.ok(f'LOGIN "{endpoint.login}" "{endpoint.password}"')
        for name in MAILBOXES:
            selected = await client.ok(f'EXAMINE "{name}"')
            messages: dict[int, Held] = {}
            if selected.numbered("EXISTS")[-1]:
                for row in (await client.ok("UID FETCH 1:* (UID FLAGS BODY.PEEK[])")).fetched():
                    uid, content = row.items.get("UID"), row.items.get("BODY[]")
                    if isinstance(uid, int) and isinstance(content, bytes):
                        messages[uid] = Held(message_id_of(content), content, flag_set(row.items["FLAGS"]))
            found[name] = Contents(int(selected.codes()["UIDVALIDITY"]), messages)
        await client.ok("LOGOUT")
    return found


async def settled(front: Endpoint, back: Endpoint, within_s: float) -> tuple[Contained, Contained]:
    """Return what both ends have, once it is the same, or once the time is over."""
    end = time.monotonic() + within_s
    while True:
        ours, theirs = await contents(front), await contents(back)
        if ours == theirs or time.monotonic() > end:
            return ours, theirs
        await asyncio.sleep(_STEP_S)


def differences(account: str, ours: Contained, theirs: Contained, wanted: str) -> Iterator[str]:
    """Yield a line for each message that is not the same in `theirs`, which is what `wanted` names."""
    for name in MAILBOXES:
        if ours[name].uidvalidity != theirs[name].uidvalidity:
            yield f"{account} {name}: UIDVALIDITY {ours[name].uidvalidity}, {wanted} {theirs[name].uidvalidity}"
        left, right = ours[name].messages, theirs[name].messages
        for uid in sorted(left.keys() | right.keys()):
            if left.get(uid) != right.get(uid):
                yield f"{account} {name} UID {uid}: {_told(left.get(uid))}, {wanted} {_told(right.get(uid))}"


def _told(held: Held | None) -> str:
    return (
        "none" if held is None else f"{held.message_id}, {len(held.content)} octets, ({' '.join(sorted(held.flags))})"
    )


def compared(ledger: Ledger, found: Contained) -> Verdict:
    """Hold what the server has against what clients were told; bindings and octets go into the ledger's report."""
    rows: dict[str, list[Found]] = defaultdict(list)
    for name, mailbox in found.items():
        ledger.saw_mailbox(name, mailbox.uidvalidity)
        for uid, held in mailbox.messages.items():
            ledger.saw_content(name, uid, held.message_id, held.content)
            rows[held.message_id].append(Found(name, uid, held.flags))
    return ledger.compare(rows)


def differences_from_files(account: str, ours: Contained, path: Path) -> Iterator[str]:
    """Yield a line for each mailbox that has other messages or system flags than the files of the Maildir."""
    for name in MAILBOXES:
        shown = Counter(
            (held.content, held.flags & frozenset(_LETTERS.values())) for held in ours[name].messages.values()
        )
        stored = Counter(_files(path if name == "INBOX" else path / f".{name.replace('/', '.')}"))
        for content, flags in (shown - stored) + (stored - shown):
            side = "not in the Maildir" if (content, flags) in shown - stored else "only in the Maildir"
            yield f"{account} {name}: {message_id_of(content)} ({' '.join(sorted(flags))}) is {side}"


def _files(folder: Path) -> Iterator[tuple[bytes, Flags]]:
    for place in ("cur", "new"):
        for file in (folder / place).iterdir():
            letters = file.name.partition(":2,")[2]
            content = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            yield content, frozenset(_LETTERS[letter] for letter in letters if letter in _LETTERS)
