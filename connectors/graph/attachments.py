"""Files attached to a message that is there already: small ones in one request, large ones by an upload session.

Source: Microsoft, "Attach large files to Outlook messages or events": from 3 MB up by a session, below that not.
"""

from __future__ import annotations

import asyncio
from typing import Final

from connectors.api.errors import ConnectorError, Rejected, TooLarge, Unavailable
from connectors.graph.client import GraphClient
from connectors.graph.errors import Refused
from connectors.graph.mail import message_path
from connectors.graph.parts import Part
from connectors.graph.structs import UploadSession
from connectors.transport.messages import Effect

MAX_OCTETS: Final = 150_000_000
"""Of one attachment, by whatever way."""

SESSION_OCTETS: Final = 3 * 1024 * 1024
"""From so many octets on an attachment is uploaded. What is just below may be too large in base64 nevertheless."""

_TOO_SMALL: Final = "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"


async def attach(client: GraphClient, message: str, part: Part) -> None:
    """Attach a file to the message of that id.

    Raises:
        OutcomeUnknown: it may be attached or not; to try again could attach it twice.
        TooLarge: the file is larger than Exchange takes.
    """
    size = await asyncio.to_thread(lambda: part.octets.size)
    if size > MAX_OCTETS:
        raise TooLarge(f"an attachment of {size} octets; Graph takes {MAX_OCTETS}")
    path = f"{message_path(message)}/attachments"
    is_small = size < SESSION_OCTETS
    first, second = (_post, _upload) if is_small else (_upload, _post)
    try:
        await first(client, path, part)
    except (TooLarge, Rejected) as error:
        if not _is_other_way(error):
            raise
        try:
            await second(client, path, part)
        except (TooLarge, Rejected) as other:
            raise (error if _is_other_way(other) else other) from None


def _is_other_way(error: ConnectorError) -> bool:
    """Whether an attachment was refused for its size in one way, and may be taken in the other."""
    return isinstance(error, TooLarge) or (isinstance(error, Refused) and error.refusal.has_code(_TOO_SMALL))


async def _post(client: GraphClient, path: str, part: Part) -> None:
    body = await asyncio.to_thread(part.as_json)
    await client.call("POST", path, body=body, effect=Effect.WRITE, accept=frozenset({201}))


async def _upload(client: GraphClient, path: str, part: Part) -> None:
    item: dict[str, object] = {
        "attachmentType": "file",
        "name": part.name,
        "size": part.octets.size,
        "contentType": part.content_type,
        "isInline": part.is_inline,
    }
    if part.content_id:
        item["contentId"] = part.content_id
    session = await client.call(
        "POST",
        f"{path}/createUploadSession",
        body={"AttachmentItem": item},
        reply=UploadSession,
        effect=Effect.IDEMPOTENT_WRITE,
    )
    if not session.upload_url:
        raise Unavailable("Graph made an upload session and does not say where")
    await client.upload(session.upload_url, part.octets)
