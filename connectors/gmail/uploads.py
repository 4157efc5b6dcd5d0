"""Uploads of messages: small ones in one request, large ones in pieces that can be resumed.

Source: Google, "Upload attachments" of the Gmail API (uploadType=multipart, uploadType=resumable).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from connectors.api.errors import ConnectorError, NotFound, OutcomeUnknown, TooLarge, Unavailable
from connectors.api.types import MessageContent
from connectors.gmail.methods import Method
from connectors.gmail.sending import PAUSES, Outgoing, Sender, decode, encode
from connectors.transport.messages import SUCCESS, Effect, Reply
from connectors.transport.origins import MalformedUrl, Origin
from connectors.transport.pieces import PieceReader

T = TypeVar("T")

SIMPLE_OCTETS: Final = 5 * 1024 * 1024
"""Up to this size a message goes in one request, as the guide recommends."""

PIECE_OCTETS: Final = 16 * 256 * 1024
"""Of a large message; but for the last, pieces have a multiple of 256 KiB."""

_RESUME: Final = 308
_RANGE: Final = re.compile(r"bytes=0-(\d+)")


@dataclass(frozen=True, slots=True)
class _Upload:
    """What is to be uploaded, and with which method."""

    method: Method
    metadata: bytes
    content: MessageContent
    url: str

    @property
    def what(self) -> str:
        return f"the upload of {self.content.size} octets with Gmail's {self.method.name}"


class Uploader:
    """Uploads of one mailbox."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def run(
        self,
        method: Method,
        metadata: object,
        content: MessageContent,
        reply: type[T],
        path: Mapping[str, str],
        query: Sequence[tuple[str, str]],
    ) -> T:
        """Upload a message; see `GmailClient.upload`."""
        if content.size > method.upload_octets:
            raise TooLarge(f"Gmail's {method.name} takes {method.upload_octets} octets; the message has {content.size}")
        kind = "multipart" if content.size <= SIMPLE_OCTETS else "resumable"
        target = self._sender.target(method, path, [*query, ("uploadType", kind)], is_upload=True)
        upload = _Upload(method, encode(metadata) or b"{}", content, self._sender.settings.api_root + target)
        answer = await (self._at_once(upload) if kind == "multipart" else self._in_pieces(upload))
        return decode(answer.body, reply, upload.what, method.effect)

    # -- in one request -----------------------------------------------------------------------------------------------

    async def _at_once(self, upload: _Upload) -> Reply:
        boundary = f"message_{secrets.token_hex(16)}"
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode("ascii")
            + upload.metadata
            + f"\r\n--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n".encode("ascii")
        )
        tail = f"\r\n--{boundary}--\r\n".encode("ascii")

        async def body() -> AsyncIterator[bytes]:
            yield head
            async for chunk in upload.content.chunks():
                yield chunk
            yield tail

        return await self._sender.send(
            Outgoing(
                what=upload.what,
                verb=upload.method.verb,
                url=upload.url,
                effect=upload.method.effect,
                headers={"Content-Type": f"multipart/related; boundary={boundary}", "Accept": "application/json"},
                content=body,
                content_octets=len(head) + upload.content.size + len(tail),
                cost=self._sender.cost(upload.method),
            )
        )

    # -- in pieces ----------------------------------------------------------------------------------------------------

    async def _in_pieces(self, upload: _Upload) -> Reply:
        """Upload in pieces, going on where it stopped.

        Raises:
            OutcomeUnknown: the last piece was lost, and Gmail no longer knows of the upload.
        """
        url = await self._start(upload)
        content = upload.content
        source = PieceReader(content)
        offset = standstills = 0
        try:
            while True:
                piece = await source.read(offset, PIECE_OCTETS)
                try:
                    answer = await self._put(upload, url, offset, piece)
                except NotFound as error:
                    raise Unavailable(f"{upload.what} was ended by Gmail: {error.operator_text}") from error
                except (Unavailable, OutcomeUnknown) as error:
                    await self._sender.clock.sleep(PAUSES.delay(standstills + 1, 0.0))
                    is_complete = offset + len(piece) == content.size
                    answer = await self._inquire(upload, url, is_complete=is_complete, lost=error)
                if answer.status != _RESUME:
                    return answer
                arrived = _arrived(answer)
                standstills = 0 if arrived > offset else standstills + 1
                if standstills >= PAUSES.attempts:
                    raise Unavailable(f"{upload.what} does not get on at octet {arrived}")
                offset = arrived
        finally:
            await source.close()

    async def _start(self, upload: _Upload) -> str:
        """Begin an upload and return the address to send it to. What is begun and not ended is nothing to anybody."""
        answer = await self._sender.send(
            Outgoing(
                what=upload.what,
                verb=upload.method.verb,
                url=upload.url,
                effect=Effect.IDEMPOTENT_WRITE,
                headers={
                    "Content-Type": "application/json; charset=UTF-8",
                    "X-Upload-Content-Type": "message/rfc822",
                    "X-Upload-Content-Length": str(upload.content.size),
                },
                content=upload.metadata,
                cost=self._sender.cost(upload.method),
            )
        )
        location = answer.headers.get("location", "")
        try:
            # The mail goes there: not where it could be read along.
            is_private = Origin.of(location).is_private or Origin.of(location) == Origin.of(upload.url)
        except MalformedUrl:
            is_private = False
        if not is_private:
            raise Unavailable(f"{upload.what} was not given an address that it could go to")
        return location

    async def _put(self, upload: _Upload, url: str, offset: int, piece: bytes) -> Reply:
        total = upload.content.size
        content_range = f"bytes {offset}-{offset + len(piece) - 1}/{total}"
        # A piece is not repeated blindly: how much of it arrived is asked for first.
        return await self._sender.send(self._outgoing(upload, url, content_range, piece, Effect.WRITE))

    async def _inquire(self, upload: _Upload, url: str, *, is_complete: bool, lost: ConnectorError) -> Reply:
        """Ask how much has arrived after a piece was lost; `is_complete` says that it was the last one."""
        content_range = f"bytes */{upload.content.size}"
        try:
            return await self._sender.send(self._outgoing(upload, url, content_range, b"", Effect.READ))
        except NotFound as exc:
            if is_complete:
                text = f"{upload.what}: the end was lost, and Gmail no longer knows of it"
                raise OutcomeUnknown(text) from exc
            raise Unavailable(f"{upload.what} was ended by Gmail") from lost
        except ConnectorError as exc:
            if is_complete and isinstance(lost, OutcomeUnknown):
                raise OutcomeUnknown(f"{upload.what}: the end was lost, and then: {exc.operator_text}") from exc
            raise

    def _outgoing(self, upload: _Upload, url: str, content_range: str, content: bytes, effect: Effect) -> Outgoing:
        return Outgoing(
            what=upload.what,
            verb="PUT",
            url=url,
            effect=effect,
            headers={"Content-Range": content_range, "Content-Type": "message/rfc822"},
            content=content,
            accept=SUCCESS | {_RESUME},
        )


def _arrived(answer: Reply) -> int:
    """Return how many octets have arrived, by the Range of a 308; none if it has no Range."""
    match = _RANGE.fullmatch(answer.headers.get("range", "").replace("bytes 0-", "bytes=0-"))
    return int(match[1]) + 1 if match else 0
