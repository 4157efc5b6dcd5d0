"""Following redirects (RFC 9110 section 15.4) without carrying a request where it must not go."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin

from connectors.transport.messages import Effect, Request, shown
from connectors.transport.origins import MalformedUrl, Origin
from connectors.transport.retry import AttemptFailed, Trouble

MAX_REDIRECTS = 5

STATUSES = frozenset({301, 302, 303, 307, 308})
_SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Hop:
    """Where a request goes now. `has_content` false means that its body stays behind, as after 303."""

    method: str
    url: str
    has_content: bool

    @classmethod
    def first(cls, request: Request) -> Hop:
        return cls(request.method, request.url, request.content is not None)


def next_hop(hop: Hop, status: int, location: str | None, effect: Effect) -> Hop | None:
    """Return where the reply sends the request; None if it is no redirect.

    301 and 302 keep the method: the address of an API has moved. Browsers make a GET of a POST there, so for a WRITE
    it is not known which of the two the server means, and whether it has done what was asked.

    Raises:
        AttemptFailed: the redirect cannot or must not be followed.
    """
    if status not in STATUSES or location is None:
        return None
    try:
        url = urljoin(hop.url, location.strip()).partition("#")[0]
        before, after = Origin.of(hop.url), Origin.of(url)
    except MalformedUrl as exc:
        raise AttemptFailed(Trouble.UNUSABLE, f"{shown(hop.url)} redirects to {exc}") from None
    except ValueError:
        raise AttemptFailed(Trouble.UNUSABLE, f"{shown(hop.url)} redirects to a malformed address") from None
    if before.scheme == "https" and after.scheme != "https":
        raise AttemptFailed(Trouble.UNUSABLE, f"{shown(hop.url)} redirects from https to {after}")
    if status == 303:
        return Hop("HEAD" if hop.method == "HEAD" else "GET", url, has_content=False)
    if effect is Effect.WRITE and status in (301, 302) and hop.method not in _SAFE_METHODS:
        raise AttemptFailed(Trouble.UNUSABLE, f"{hop.method} {shown(hop.url)} was answered {status}, to {shown(url)}")
    return Hop(hop.method, url, hop.has_content)
