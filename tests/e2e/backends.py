"""The servers that hold the mail in end-to-end tests."""

from __future__ import annotations

import enum

import pytest


class Backend(enum.Enum):
    """Which server holds the mail, and what the gateway speaks to it."""

    DOVECOT = "dovecot"
    """IMAP: UIDs are the server's own at both ends."""
    CYRUS = "cyrus"
    """JMAP: UIDs at the front are the gateway's, since JMAP has none."""
    GMAIL = "gmail"
    """The stand-in for Gmail over its API: UIDs are the gateway's, and so are all flags but three."""

    GRAPH = "graph"
    """The stand-in for Microsoft Graph, which composes messages anew: what it serves is not what it was given."""


_SERVERS = (Backend.DOVECOT, Backend.CYRUS)

over_each_backend = pytest.mark.parametrize("backend", _SERVERS, ids=lambda backend: backend.value, indirect=True)
"""Runs a test or a class of them once with each server that speaks IMAP as well."""

over_gmail_too = pytest.mark.parametrize(
    "backend", [*_SERVERS, Backend.GMAIL], ids=lambda backend: backend.value, indirect=True
)
"""Runs a test or a class of them once with each of these, and with the stand-in for Gmail."""

over_stand_ins_too = pytest.mark.parametrize("backend", list(Backend), ids=lambda backend: backend.value, indirect=True)
"""Runs a test or a class of them once with each of these, and with the stand-ins for Gmail and Graph."""

over_graph = pytest.mark.parametrize("backend", [Backend.GRAPH], ids=["graph"], indirect=True)
"""Runs a test or a class of them with the stand-in for Graph only."""
