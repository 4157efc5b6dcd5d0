"""What the server can do: each capability declared once, with its source and when it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Situation:
    """What the capabilities of a session depend on.

    `can_log_in`: a password would be accepted on this connection as it is now. `append_limit` is in octets.
    `has_gmail_ids`: one of the user's accounts is like Gmail.
    """

    is_authenticated: bool
    can_start_tls: bool
    can_log_in: bool
    append_limit: int
    has_gmail_ids: bool = False
    disabled: frozenset[str] = frozenset()


def _always(_: Situation) -> bool:
    return True


def _before_login(situation: Situation) -> bool:
    return not situation.is_authenticated


def _password_accepted(situation: Situation) -> bool:
    return not situation.is_authenticated and situation.can_log_in


def _tls_missing(situation: Situation) -> bool:
    return not situation.is_authenticated and situation.can_start_tls


def _password_refused(situation: Situation) -> bool:
    return not situation.is_authenticated and not situation.can_log_in


def _labels_exist(situation: Situation) -> bool:
    return situation.is_authenticated and situation.has_gmail_ids


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability. `can_be_enabled`: ENABLE takes it (RFC 5161)."""

    name: str
    source: str
    holds: Callable[[Situation], bool] = _always
    can_be_enabled: bool = False
    has_append_limit: bool = False

    def token(self, situation: Situation) -> str:
        """Return what stands in the CAPABILITY line."""
        return f"{self.name}={situation.append_limit}" if self.has_append_limit else self.name


# Those that hold in every state are told before login too: Python's imaplib asks once, before, and never again.
CAPABILITIES: tuple[Capability, ...] = (
    Capability("IMAP4rev1", "RFC 3501"),
    Capability("LITERAL+", "RFC 7888"),
    Capability("SASL-IR", "RFC 4959", _before_login),
    Capability("STARTTLS", "RFC 3501 section 6.2.1", _tls_missing),
    Capability("LOGINDISABLED", "RFC 3501 section 6.2.3", _password_refused),
    Capability("AUTH=PLAIN", "RFC 4616", _password_accepted),
    Capability("AUTH=LOGIN", "draft-murchison-sasl-login", _password_accepted),
    Capability("ID", "RFC 2971"),
    Capability("ENABLE", "RFC 5161"),
    Capability("NAMESPACE", "RFC 2342"),
    Capability("IDLE", "RFC 2177"),
    Capability("UNSELECT", "RFC 3691"),
    Capability("CHILDREN", "RFC 3348"),
    Capability("UIDPLUS", "RFC 4315"),
    Capability("MOVE", "RFC 6851"),
    Capability("LIST-EXTENDED", "RFC 5258"),
    Capability("LIST-STATUS", "RFC 5819"),
    Capability("SPECIAL-USE", "RFC 6154"),
    Capability("CREATE-SPECIAL-USE", "RFC 6154 section 3"),
    Capability("ESEARCH", "RFC 4731"),
    Capability("SEARCHRES", "RFC 5182"),
    Capability("WITHIN", "RFC 5032"),
    Capability("STATUS=SIZE", "RFC 8438"),
    Capability("CONDSTORE", "RFC 7162", can_be_enabled=True),
    Capability("QRESYNC", "RFC 7162", can_be_enabled=True),
    Capability("APPENDLIMIT", "RFC 7889", has_append_limit=True),
    Capability("OBJECTID", "RFC 8474"),
    Capability("X-GM-EXT-1", "Gmail's IMAP extensions", _labels_exist),
    # Outlook 2013 and 2016 find the special mailboxes only this way.
    Capability("XLIST", "Gmail's forerunner of RFC 6154"),
)


def advertised(situation: Situation) -> tuple[Capability, ...]:
    """Return the capabilities that hold, in the order they are listed."""
    return tuple(
        capability
        for capability in CAPABILITIES
        if capability.holds(situation) and capability.name.upper() not in situation.disabled
    )


def names(situation: Situation) -> list[str]:
    """Return what the CAPABILITY response and response code list."""
    return [entry.token(situation) for entry in advertised(situation)]


def enableable(situation: Situation) -> frozenset[str]:
    """Return the names ENABLE takes, in upper case: only what is advertised (RFC 5161 section 3.1)."""
    return frozenset(entry.name.upper() for entry in advertised(situation) if entry.can_be_enabled)
