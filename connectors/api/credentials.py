"""How a connector gets at what it logs in with, without ever keeping or printing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from connectors.api.named import imported
from connectors.api.settings import SettingValue

T = TypeVar("T")


class Secret(Generic[T]):
    """A value that must not be printed: `repr`, `str` and formatting give `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value itself; call it only where it is sent or compared."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class PasswordCredential:
    """A user name and its password."""

    username: str
    password: Secret[str]


@dataclass(frozen=True, slots=True)
class BearerCredential:
    """A bearer token, and the user name that goes with it where the backend wants one; empty otherwise."""

    username: str
    token: Secret[str]


Credential = PasswordCredential | BearerCredential


class CredentialSource(Protocol):
    """Hands out the credential to use now."""

    async def get(self) -> Credential | None:
        """Return a credential believed good, refreshing it if need be; None if the backend needs none.

        Raises:
            AuthExpired: a person must log in again.
            Unavailable: the issuer of tokens cannot be reached.
        """

    async def refused(self, credential: Credential) -> None:
        """Take note that the backend refused it, so that the next `get` does not hand out the same token."""


@dataclass(frozen=True, slots=True)
class FixedCredential:
    """A source that always gives the same credential."""

    credential: Credential | None

    async def get(self) -> Credential | None:
        return self.credential

    async def refused(self, credential: Credential) -> None:
        return None


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One thing to be given for a login.

    In the configuration a secret field is given as `KEY_file` or `KEY_env`, any other as KEY; the command line asks for
    the secret ones. `key` is of a-z, 0-9 and underscores. `is_from_login` says that the form's `login` finds it out.
    """

    key: str
    help: str
    is_secret: bool = False
    is_required: bool = True
    is_from_login: bool = False


class LoginDialog(Protocol):
    """A person at a terminal, whom a login asks and tells. Any method may raise what ends the command."""

    async def tell(self, text: str) -> None:
        """Show a paragraph of text."""

    async def ask(self, question: str, *, is_secret: bool = False) -> str:
        """Return the answer, without spaces around it, "" perhaps; what `is_secret` is not shown while it is typed."""

    async def authorise(self, address: Callable[[str], str], is_answer: Callable[[str], bool]) -> str:
        """Send the person's browser to a page of consent, and return the URL that it is sent back to.

        `address` gives the page's address for a redirect URI on the loopback interface, `http://127.0.0.1:PORT`. The
        browser may be on another machine: then the person copies where it was sent to, and the URL comes that way.
        What `is_answer` does not hold for is passed over.
        """


@dataclass(frozen=True, slots=True)
class CredentialForm:
    """One way to log in: what has to be given, and what makes a credential of it.

    Of two forms of one connector each has a required field that the other lacks, since which of them is meant follows
    from the keys that are given. `source` is `package.module:callable`, imported when first needed; it is called with
    a `CredentialRecord` and returns a `CredentialSource`. `title` is what has to be given, in words.

    `login`, if set, is a `package.module:callable` too. It leads a person through a login that gives what is missing:
    it is called with the values given, the checked settings of the account and a `LoginDialog`, and returns, awaited,
    values for the fields that were missing. It raises the errors of the contract.
    """

    name: str
    title: str
    fields: tuple[CredentialField, ...]
    source: str
    login: str | None = None

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(field.key for field in self.fields)

    @property
    def required_keys(self) -> frozenset[str]:
        return frozenset(field.key for field in self.fields if field.is_required)

    @property
    def summary(self) -> str:
        """The keys in words: `token and, if you like, username`."""
        required = " and ".join(field.key for field in self.fields if field.is_required)
        optional = " and ".join(field.key for field in self.fields if not field.is_required)
        return f"{required} (and, if wanted, {optional})" if optional else required

    def build(self, record: CredentialRecord) -> CredentialSource:
        """Return what hands out credentials made of the record."""
        make: Callable[[CredentialRecord], CredentialSource] = imported(self.source)
        return make(record)

    async def log_in(
        self, values: Mapping[str, Secret[str]], settings: Mapping[str, SettingValue], dialog: LoginDialog
    ) -> Mapping[str, Secret[str]]:
        """Lead a person through the form's login; return `values` with what it has found out.

        Raises:
            ConnectorError: it came to nothing.
            ValueError: the form has no login.
        """
        if self.login is None:
            raise ValueError(f"form {self.name} has no login")
        login: Login = imported(self.login)
        return {**values, **await login(values, settings, dialog)}


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """What was given for one account.

    `values` holds every field that was given, by its key. `settings` are the checked settings of the account.
    `save` keeps values that have changed, a refreshed token for instance, beside the others; they are sealed, and on
    disk when it returns. It may raise `Unavailable` if that cannot be done now, or something else was saved meanwhile.
    `read`, if there is one, gives what is kept now: another process may have saved something, or a person have logged
    in anew. What is saved after that replaces what was read. It may raise `Unavailable` too.
    """

    values: Mapping[str, Secret[str]]
    settings: Mapping[str, SettingValue]
    save: Callable[[Mapping[str, Secret[str]]], Awaitable[None]]
    read: Callable[[], Awaitable[Mapping[str, Secret[str]]]] | None = None


Login = Callable[
    [Mapping[str, Secret[str]], Mapping[str, SettingValue], LoginDialog], Awaitable[Mapping[str, Secret[str]]]
]
"""What `CredentialForm.login` names."""
