"""Uploads of large attachments, in pieces that can be resumed.

Source: Microsoft, "Attach large files to Outlook messages or events".
"""

from __future__ import annotations

from typing import Final

import msgspec

from connectors.api.errors import ConnectorError, NotFound, OutcomeUnknown, Unavailable
from connectors.api.types import MessageContent
from connectors.graph.patience import PAUSES
from connectors.graph.sending import Outgoing, Sender
from connectors.graph.structs import UploadSession
from connectors.transport.messages import Effect, Reply
from connectors.transport.origins import MalformedUrl, Origin
from connectors.transport.pieces import PieceReader

PIECE_OCTETS: Final = 12 * 320 * 1024
"""Below the 4 MB that a piece may have, and a multiple of 320 KiB as Microsoft asks for."""

_CREATED: Final = 201
_STANDSTILLS: Final = 5
_PIECE_STATUSES: Final = frozenset({200, 201, 202})


class Uploader:
    """Uploads of one mailbox."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def run(self, url: str, content: MessageContent) -> None:
        """Upload; see `GraphClient.upload`."""
        self._check(url)
        what = f"the upload of {content.size} octets to Graph"
        source = PieceReader(content)
        offset = standstills = 0
        try:
            while True:
                piece = await source.read(offset, PIECE_OCTETS)
                is_last = offset + len(piece) == content.size
                try:
                    reply = await self._put(what, url, offset, piece, content.size)
                except (Unavailable, OutcomeUnknown) as error:
                    await self._sender.clock.sleep(PAUSES.delay(standstills + 1, 0.0))
                    reply = await self._inquire(what, url, is_last=is_last, lost=error)
                arrived = _arrived(reply)
                if arrived is None:
                    if reply.status == _CREATED or is_last:
                        return
                    raise Unavailable(f"{what}: Graph does not say which octets it waits for")
                standstills = 0 if arrived > offset else standstills + 1
                if standstills >= _STANDSTILLS or arrived > content.size:
                    raise Unavailable(f"{what} does not get on at octet {arrived}")
                offset = arrived
        finally:
            await source.close()

    def _check(self, url: str) -> None:
        """Make sure that the mail does not go where it could be read along.

        Raises:
            Unavailable: it would.
        """
        try:
            origin = Origin.of(url)
            is_private = origin.is_private or origin == Origin.of(self._sender.settings.api_root)
        except MalformedUrl:
            is_private = False
        if not is_private:
            raise Unavailable("Graph gave no address that an attachment could be uploaded to")

    async def _put(self, what: str, url: str, offset: int, piece: bytes, total: int) -> Reply:
        headers = {
            "Content-Range": f"bytes {offset}-{offset + len(piece) - 1}/{total}",
            "Content-Type": "application/octet-stream",
        }
        # A piece is not repeated blindly: how much of it arrived is asked for first.
        return await self._sender.send(
            Outgoing(
                what,
                "PUT",
                url,
                Effect.WRITE,
                headers=headers,
                content=piece,
                accept=_PIECE_STATUSES,
                # The address is a secret of its own.
                is_authorised=False,
            )
        )

    async def _inquire(self, what: str, url: str, *, is_last: bool, lost: ConnectorError) -> Reply:
        """Ask which octets are waited for after a piece was lost; `is_last` says that it was the last one."""
        outgoing = Outgoing(what, "GET", url, Effect.READ, accept=frozenset({200}), is_authorised=False)
        try:
            return await self._sender.send(outgoing)
        except NotFound as exc:
            # The session ends when all of it is there.
            if is_last and isinstance(lost, OutcomeUnknown):
                raise OutcomeUnknown(f"{what}: the end was lost, and Graph no longer knows of it") from exc
            raise Unavailable(f"{what} was ended by Graph") from lost
        except ConnectorError as exc:
            if is_last and isinstance(lost, OutcomeUnknown):
                raise OutcomeUnknown(f"{what}: the end was lost, and then: {exc.operator_text}") from exc
            raise


def _arrived(reply: Reply) -> int | None:
    """Return the first octet that is still waited for; None if the reply names none."""
    try:
        ranges = msgspec.json.decode(reply.body, type=UploadSession).next_expected_ranges or []
        return min(int(text.partition("-")[0]) for text in ranges) if ranges else None
    except (msgspec.MsgspecError, ValueError):
        return None
