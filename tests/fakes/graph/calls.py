"""A request as it came, an operation of the API, one call of it, and an answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.fakes.graph.errors import misuse
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.tokens import Grant
from tests.fakes.graph.views import View

if TYPE_CHECKING:
    from tests.fakes.graph.fake import FakeGraph

Json = dict[str, Any]
_PREFERENCE: Final = re.compile(r'\s*([\w.-]+)\s*(?:=\s*(?:"([^"]*)"|([^\s,;"]+)))?\s*(?:,|;|$)')


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request. `path` is still percent-encoded and begins with a slash; header names are in lower case."""

    verb: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class Prefer:
    """What the Prefer header asks for (RFC 7240, and Graph's pages)."""

    is_immutable: bool = False
    page_size: int | None = None
    text_bodies: bool = False
    applied: tuple[str, ...] = ()


def parse_prefer(value: str | None) -> Prefer:
    """Read a Prefer header. Raises ApiError (400) for a preference Graph's mail does not have."""
    is_immutable, page_size, text_bodies, applied = False, None, False, []
    position = 0
    text = value or ""
    while position < len(text):
        match = _PREFERENCE.match(text, position)
        if match is None:
            raise misuse("ErrorInvalidRequest", f"The Prefer header {text!r} cannot be read.")
        position = match.end()
        name, said = match[1].lower(), match[2] if match[2] is not None else match[3]
        if name == "idtype" and said == "ImmutableId":
            is_immutable = True
        elif name == "odata.maxpagesize" and (said or "").isdecimal() and int(said):
            page_size = int(said)
        elif name == "outlook.body-content-type" and said in {"text", "html"}:
            text_bodies = said == "text"
        elif name in {"outlook.allow-unsafe-html", "outlook.timezone", "return", "include-unknown-enum-members"}:
            pass
        else:
            raise misuse("ErrorInvalidRequest", f"The preference {match[0].strip()} is not known.")
        applied.append(match[0].strip(" ,;"))
    return Prefer(is_immutable, page_size, text_bodies, tuple(applied))


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is written. `type_name`: of the entity, or of the items of `value`; None: checked by nobody.

    `body` None: no content. `stream`: octets instead of JSON.
    """

    status: int = 200
    body: Json | None = None
    type_name: str | None = None
    is_collection: bool = False
    stream: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, let in and read. `ids`: parameters of the path by name. `body` is checked against its type."""

    fake: FakeGraph
    operation: Operation
    grant: Grant
    mailbox: Mailbox
    ids: Mapping[str, str]
    query: Mapping[str, str]
    prefer: Prefer
    http: HttpCall
    body: Json

    @property
    def view(self) -> View:
        """How the client wants resources shown."""
        return View(self.mailbox, self.prefer.is_immutable, self.prefer.text_bodies)

    @property
    def root(self) -> str:
        """The URL of the mailbox, as links in replies begin."""
        base = f"{self.http.origin}/v1.0"
        return f"{base}/me" if self.http.path.startswith("/v1.0/me") else f"{base}/users('{self.mailbox.address}')"

    @property
    def is_mime(self) -> bool:
        """Whether the body is MIME in base64, not JSON."""
        return self.http.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/plain"


Handler = Callable[[Call], "Reply | Awaitable[Reply]"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: what is done to which path, with what.

    `path` begins below the mailbox, or at the root if it starts with `/`; `{f}`, `{m}`, ... are parameters.
    `request`: the type of the body, "" for none; `parameters`: those of an action, with their types, and which must be
    there. `scopes`: any one of them suffices. `takes_mime`: a body of text/plain is MIME in base64.
    """

    id: str
    verb: str
    path: str
    handler: Handler
    query: frozenset[str] = frozenset()
    request: str = ""
    parameters: Mapping[str, str] | None = None
    required: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    takes_mime: bool = False


@dataclass(slots=True)
class HttpAnswer:
    """What goes back. `is_streamed`: without a Content-Length. `cut_at`: the connection breaks after so many octets."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_streamed: bool = False
    json: Json | None = None
    cut_at: int | None = None
