"""What a capability is, and which of them hold for a session. Each is declared beside the code that implements it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gateway.wire.commands import Command


@dataclass(frozen=True, slots=True)
class Situation:
    """What the capabilities of a session depend on.

    `can_log_in`: a password would be accepted on this connection as it is now. `append_limit` is in octets.
    `has_client_certificate`: the client has shown one, and it is valid. `takes_tokens`: there is an identity provider.
    `has_scram`: every password can be proven by SCRAM. `can_bind_channel`: the certificate in use can be named.
    `has_gmail_ids`: one of the user's accounts is like Gmail. `added` and `disabled` are names in capitals, as the
    operator has set them for this client and these accounts.
    `is_compressed`: COMPRESS is active. `message_limit` is how many messages a command may be about, 0: any number.
    `append_limit` is None where it depends on the mailbox. `has_jmap`: the same mail can be had by JMAP.
    """

    is_authenticated: bool
    can_start_tls: bool
    can_log_in: bool
    append_limit: int | None
    is_compressed: bool = False
    message_limit: int = 0
    has_jmap: bool = False
    has_gmail_ids: bool = False
    added: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    has_scram: bool = False
    can_bind_channel: bool = False
    has_client_certificate: bool = False
    takes_tokens: bool = False


def always(_: Situation) -> bool:
    """In every state: Python's imaplib asks once, before login, and never again."""
    return True


def before_login(situation: Situation) -> bool:
    """As long as nobody has logged in."""
    return not situation.is_authenticated


def after_login(situation: Situation) -> bool:
    """Once somebody has logged in."""
    return situation.is_authenticated


def while_passwords_are_taken(situation: Situation) -> bool:
    """Before login, where a password would be accepted."""
    return not situation.is_authenticated and situation.can_log_in


def while_tls_can_start(situation: Situation) -> bool:
    """Before login, on a connection in the clear that can be upgraded."""
    return not situation.is_authenticated and situation.can_start_tls


def while_passwords_are_refused(situation: Situation) -> bool:
    """Before login, where a password would not be accepted."""
    return not situation.is_authenticated and not situation.can_log_in


def where_messages_are_limited(situation: Situation) -> bool:
    """In every state, where a command may not be about any number of messages."""
    return situation.message_limit > 0


def while_not_compressed(situation: Situation) -> bool:
    """In every state, until COMPRESS is active."""
    return not situation.is_compressed


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability, with the document that defines it, and for users what to know about it here (Markdown).

    `holds` says in which situations it is offered. `can_be_enabled`: ENABLE takes it (RFC 5161).
    `is_unasked` is False for those that are offered only if the operator adds them, in place of `replaces` if that is
    set. `needs` are capabilities without which it is not offered either; of `needs_one_of`, if there are any, one is
    enough.
    `is_used_by` tells of a command whether it needs the capability; such a command is refused where it is switched off.
    """

    name: str
    source: str
    about: str
    holds: Callable[[Situation], bool] = always
    can_be_enabled: bool = False
    has_append_limit: bool = False
    has_message_limit: bool = False
    is_unasked: bool = True
    replaces: str | None = None
    needs: tuple[str, ...] = ()
    needs_one_of: tuple[str, ...] = ()
    is_used_by: Callable[[Command], bool] | None = None

    @property
    def key(self) -> str:
        """The name in capitals, by which it is switched on and off."""
        return self.name.upper()

    def token(self, situation: Situation) -> str:
        """Return what stands in the CAPABILITY line."""
        if self.has_message_limit:
            return f"{self.name}={situation.message_limit}"
        if self.has_append_limit and situation.append_limit is not None:
            return f"{self.name}={situation.append_limit}"
        return self.name


class Offer:
    """All the capabilities there are, in the order in which they are listed."""

    def __init__(self, capabilities: Iterable[Capability]) -> None:
        self._capabilities = tuple(capabilities)
        self._by_key = {capability.key: capability for capability in self._capabilities}
        self._instead_of = {entry.replaces: entry.key for entry in self._capabilities if entry.replaces is not None}
        assert len(self._by_key) == len(self._capabilities), "each is declared once"

    def __iter__(self) -> Iterator[Capability]:
        return iter(self._capabilities)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.upper() in self._by_key

    def advertised(self, situation: Situation) -> tuple[Capability, ...]:
        """Return those that hold, in order."""
        return tuple(entry for entry in self._capabilities if self._is_on(entry, situation) and entry.holds(situation))

    def _is_on(self, entry: Capability, situation: Situation) -> bool:
        """Tell whether it and all that it needs is switched on, whatever the state of the session."""
        if entry.key in situation.disabled or not (entry.is_unasked or entry.key in situation.added):
            return False
        if self._instead_of.get(entry.name) in situation.added:
            return False
        if entry.needs_one_of and not any(self._is_on(self._by_key[name], situation) for name in entry.needs_one_of):
            return False
        return all(self._is_on(self._by_key[name], situation) for name in entry.needs)

    def is_advertised(self, name: str, situation: Situation) -> bool:
        """Tell whether the capability of that name, in whatever case, is in the list now."""
        entry = self._by_key.get(name.upper())
        return entry is not None and self._is_on(entry, situation) and entry.holds(situation)

    def names(self, situation: Situation) -> list[str]:
        """Return what the CAPABILITY response and response code list."""
        return [entry.token(situation) for entry in self.advertised(situation)]

    def has(self, name: str, situation: Situation) -> bool:
        """Tell whether the capability of that name, in whatever case, is switched on."""
        entry = self._by_key.get(name.upper())
        return entry is not None and self._is_on(entry, situation)

    def enableable(self, situation: Situation) -> frozenset[str]:
        """Return the names ENABLE takes, in capitals: only what is advertised (RFC 5161 section 3.1)."""
        return frozenset(entry.key for entry in self.advertised(situation) if entry.can_be_enabled)

    def missing(self, command: Command, situation: Situation) -> str | None:
        """Return the name of a capability that the command needs and that is switched off; None if there is none."""
        for entry in self._capabilities:
            if entry.is_used_by is not None and entry.is_used_by(command) and not self._is_on(entry, situation):
                return entry.name
        return None
