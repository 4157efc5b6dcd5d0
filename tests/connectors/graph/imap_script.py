"""An IMAP server under TLS that says what a test has written down, and checks what it is told.

A script is a list of lines for each connection, in the order in which they come:

    C: PATTERN   a line of the client's, which the regular expression matches whole; `TAG` stands for a new tag
    S: TEXT      what is sent; `TAG` is the client's last
    C{n}         n octets of the client's, kept in `literals`
    END          the connection is closed

At the end of a script the connection stays open and the client is listened to until it closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import trustme

from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.graph.settings import AppendBy, GraphSettings

GREETING = ("S: * OK The Microsoft Exchange IMAP4 service is ready.",)
CAPABILITIES = (
    "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
)
ASKED = ("C: TAG CAPABILITY", f"S: * CAPABILITY {CAPABILITIES}", "S: TAG OK CAPABILITY completed.")
LOGIN = (*GREETING, *ASKED, "C: TAG AUTHENTICATE XOAUTH2 [A-Za-z0-9+/=]+", "S: TAG OK AUTHENTICATE completed.", *ASKED)
LISTED = ('C: TAG LIST "" ""', r'S: * LIST (\Noselect) "/" ""', "S: TAG OK LIST completed.")
READY = (*LOGIN, *LISTED)
STORED = (
    r'C: TAG APPEND "INBOX" \(.*\) "[^"]+" \{5\+\}',
    "C{5}",
    "C: ",
    "S: TAG OK [APPENDUID 7 42] APPEND completed.",
)
LOGOUT = (
    "C: TAG LOGOUT",
    "S: * BYE Microsoft Exchange Server IMAP4 server signing off.",
    "S: TAG OK LOGOUT completed.",
)


@dataclass
class ScriptedImap:
    """A running server. `faults` are what the client has done against the script; `is_played`: one is at its end."""

    port: int = 0
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    literals: list[bytes] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    connections: int = 0
    is_played: asyncio.Event = field(default_factory=asyncio.Event)

    def settings(self, **more: object) -> GraphSettings:
        """Return the settings of an account that stores messages here."""
        chosen = {"append": AppendBy.IMAP, "imap_host": "localhost", "imap_port": self.port, "timeout_s": 5.0, **more}
        return GraphSettings(verify=False, **chosen)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def scripted_imap(*scripts: tuple[str, ...]) -> AsyncIterator[ScriptedImap]:
    """Run a server; at the end it is asserted that the client has kept to the scripts and has used all of them."""
    server = ScriptedImap()
    waiting = list(scripts)
    authority = trustme.CA()
    authority.configure_trust(server.context)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(own)
    tasks: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        server.connections += 1
        try:
            await _play(server, waiting.pop(0) if waiting else ("END",), reader, writer)
            server.is_played.set()
            await reader.read()
        except (OSError, asyncio.IncompleteReadError) as exc:
            server.faults.append(f"the connection ended within the script: {exc!r}")
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=own, limit=1 << 20)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await asyncio.wait_for(asyncio.gather(*(task for task in tasks if task), return_exceptions=True), 10)
    assert server.faults == []
    assert waiting == []


async def _play(
    server: ScriptedImap, script: tuple[str, ...], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    tag = ""
    for step in script:
        if step == "END":
            writer.close()
            return
        if step.startswith("S: "):
            writer.write(step[3:].replace("TAG", tag).encode() + b"\r\n")
            await writer.drain()
        elif step.startswith("C{"):
            server.literals.append(await reader.readexactly(int(step[2:-1])))
        else:
            line = (await reader.readuntil(b"\r\n"))[:-2].decode()
            server.lines.append(line)
            if "TAG" in step:
                tag = line.partition(" ")[0]
            if not re.fullmatch(step[3:].replace("TAG", re.escape(tag)), line):
                server.faults.append(f"{line!r} is not {step!r}")
                writer.close()
                return


def token(text: str = "imap-1", username: str = "alex@example.org") -> BearerCredential:
    return BearerCredential(username, Secret(text))


class Tokens:
    """A source of tokens for Graph that has some for IMAP: each one that is refused is followed by the next."""

    def __init__(self, *tokens: BearerCredential, graph: str = "graph-1") -> None:
        self.graph = token(graph)
        self.left = list(tokens or [token()])
        self.refusals: list[object] = []

    async def get(self) -> BearerCredential:
        return self.graph

    async def refused(self, credential: object) -> None:
        raise AssertionError("the token for Graph was not refused")

    def imap(self) -> TokensForImap:
        return TokensForImap(self)


class TokensForImap:
    """The tokens for IMAP."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def get(self) -> BearerCredential:
        return self._tokens.left[0]

    async def refused(self, credential: object) -> None:
        self._tokens.refusals.append(credential)
        if len(self._tokens.left) > 1:
            del self._tokens.left[0]


NO_TOKENS = FixedCredential(token("graph-1"))
