"""The URLs of a JMAP server: templates filled in, and relative ones resolved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urljoin

_VARIABLE = re.compile(r"\{([A-Za-z0-9_.%]+)\}")


def expand(template: str, variables: Mapping[str, str]) -> str:
    """Fill in a level 1 URI template: each value with all but unreserved characters percent-encoded (RFC 6570).

    A variable that is not given becomes empty.
    """
    return _VARIABLE.sub(lambda match: quote(variables.get(match[1], ""), safe="-._~"), template)


def expand_event_source(template: str, variables: Mapping[str, str]) -> str:
    """Fill in `eventSourceUrl`; what the template does not name is added to its query.

    RFC 8620 section 2 demands the variables, yet session documents in the field come without.
    """
    named = set(_VARIABLE.findall(template))
    url = expand(template, variables)
    missing = [(name, value) for name, value in variables.items() if name not in named]
    if not missing:
        return url
    url, fragment, rest = url.partition("#")
    query = "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in missing)
    joint = "?" if "?" not in url else "" if url.endswith(("?", "&")) else "&"
    return f"{url}{joint}{query}{fragment}{rest}"


def resolve(base: str, reference: str) -> str:
    """Return the reference as an absolute URL; a template keeps its variables.

    Servers send paths only (Cyrus 3.6 does), which then belong to the URL that the session was read from.
    """
    return urljoin(base, reference)


def resolve_websocket(base: str, reference: str) -> str:
    """Like `resolve`, for a WebSocket: a bare path takes the scheme that fits the base's."""
    url = resolve(base, reference)
    scheme, separator, rest = url.partition(":")
    return {"https": "wss", "http": "ws"}.get(scheme.lower(), scheme) + separator + rest
