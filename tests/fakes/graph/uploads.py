"""Upload sessions for large attachments: ranges in order, at most 4 MB each, at a URL that is its own authority."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from tests.fakes.graph.content import Attachment
from tests.fakes.graph.errors import ApiError, misuse, not_found
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.options import Clock
from tests.fakes.graph.records import Message

LARGEST_RANGE: Final = 4 * 1024 * 1024
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_LIFETIME: Final = timedelta(hours=24)


@dataclass(slots=True)
class Session:
    """One upload under way."""

    token: str
    url: str
    mailbox: Mailbox
    message: Message
    item: Mapping[str, Any]
    expires: datetime
    data: bytearray = field(default_factory=bytearray)

    def next_ranges(self) -> list[str]:
        """Return what is expected next."""
        return [f"{len(self.data)}-"]


class Uploads:
    """All sessions of one stand-in."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance
        self._sessions: dict[str, Session] = {}

    def start(self, mailbox: Mailbox, message: Message, item: Mapping[str, Any], origin: str) -> Session:
        """Begin an upload to a message."""
        token = self._chance.randbytes(24).hex()
        url = f"{origin}/upload/{token}/AttachmentSessions('{token[:12]}')?authtoken={token}"
        session = Session(token, url, mailbox, message, item, self._clock.now() + _LIFETIME)
        self._sessions[token] = session
        return session

    def find(self, token: str) -> Session:
        """Return a session. Raises ApiError (404) if it is unknown, done or expired."""
        session = self._sessions.get(token)
        if session is None or session.expires <= self._clock.now():
            raise not_found()
        return session

    def cancel(self, token: str) -> None:
        """End a session without a result."""
        self.find(token)
        del self._sessions[token]

    def forget(self) -> None:
        """Let all sessions be unknown."""
        self._sessions.clear()

    def receive(self, token: str, headers: Mapping[str, str], body: bytes) -> Attachment | Session:
        """Take a range; return the attachment once all is there, else the session. Raises ApiError (400, 404, 416)."""
        if "authorization" in headers:
            raise misuse("InvalidAuthenticationToken", "The upload URL takes no Authorization header.", 401)
        session = self.find(token)
        match = _RANGE.fullmatch(headers.get("content-range", ""))
        if match is None:
            raise misuse("ErrorInvalidRequest", "Content-Range is missing, or not bytes A-B/TOTAL.")
        first, last, total = map(int, match.groups())
        if last - first + 1 != len(body) or not body:
            raise misuse("ErrorInvalidRequest", f"Content-Range has {last - first + 1} octets, the body {len(body)}.")
        if total != session.item["size"] or last >= total:
            raise misuse("ErrorInvalidRequest", "Content-Range has another total than the session.")
        if len(body) > LARGEST_RANGE:
            raise misuse("ErrorInvalidRequest", "A range has at most 4 MB.")
        if first != len(session.data):
            # Also for what came already: the client lost the answer, and asks where the upload is.
            raise ApiError(416, "ErrorInvalidRange", f"Expected range starts at {len(session.data)}.")
        session.data += body
        if len(session.data) < total:
            return session
        del self._sessions[token]
        return Attachment(
            kind="file",
            name=session.item["name"],
            content_type=session.item.get("contentType") or "application/octet-stream",
            data=bytes(session.data),
            is_inline=bool(session.item.get("isInline")),
            content_id=session.item.get("contentId"),
            modified=self._clock.now(),
        )
