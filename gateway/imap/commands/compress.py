"""COMPRESS (RFC 4978)."""

from __future__ import annotations

from gateway.imap.capability import Capability, while_not_compressed
from gateway.imap.completion import Completion, bad
from gateway.imap.session import Session
from gateway.wire import commands
from gateway.wire.codes import Code, Status

CAPABILITIES = (
    Capability(
        "COMPRESS=DEFLATE",
        "RFC 4978",
        "After login, until it is active. At the fastest level; a connection takes about 200 KB more",
        while_not_compressed,
        is_used_by=lambda command: isinstance(command, commands.Compress),
    ),
)


async def compress(session: Session, _: commands.Compress) -> Completion:
    """Compress what follows the OK, in both directions; once only: BAD then (section 3, "Result")."""
    if session.connection.is_compressed:
        return bad("DEFLATE is active already", Code.COMPRESSIONACTIVE.value)

    async def begin() -> None:
        session.connection.begin_compression()

    return Completion(Status.OK, "DEFLATE active", after=begin)
