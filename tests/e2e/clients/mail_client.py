"""What every client driver of the end-to-end tests can do, so that one set of scenarios runs through all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self


class MailClient(ABC):
    """A real client, logged in. Mailbox names are Unicode, `/` between levels; messages are named by UID.

    A command that the server refuses raises an exception of the client's own.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Log out."""

    @abstractmethod
    def mailboxes(self) -> set[str]: ...

    @abstractmethod
    def create(self, name: str) -> None: ...

    @abstractmethod
    def rename(self, name: str, new_name: str) -> None: ...

    @abstractmethod
    def remove(self, name: str) -> None: ...

    @abstractmethod
    def messages(self, mailbox: str) -> dict[int, bytes]:
        """Return the whole mailbox, UID to content."""

    @abstractmethod
    def flags(self, mailbox: str) -> dict[int, frozenset[str]]:
        """Return UID to flags, \\Recent left out."""

    @abstractmethod
    def search_subject(self, mailbox: str, text: str) -> list[int]: ...

    @abstractmethod
    def append(self, mailbox: str, content: bytes, flags: Sequence[str] = ()) -> None: ...

    @abstractmethod
    def add_flags(self, mailbox: str, uid: int, *flags: str) -> None: ...

    @abstractmethod
    def remove_flags(self, mailbox: str, uid: int, *flags: str) -> None: ...

    @abstractmethod
    def copy(self, mailbox: str, uid: int, destination: str) -> None: ...

    @abstractmethod
    def move(self, mailbox: str, uid: int, destination: str) -> None: ...

    @abstractmethod
    def delete(self, mailbox: str, uid: int) -> None:
        """Mark the message \\Deleted and expunge it."""


class IdlingMailClient(MailClient):
    """A client that can be told of changes."""

    @abstractmethod
    def count_after(self, mailbox: str, cause: Callable[[], object], *, within_s: float) -> int:
        """Idle on the mailbox, call `cause`, and return the number of messages announced after it.

        Raises:
            TimeoutError: nothing was announced within `within_s` seconds.
        """


def without_recent(flags: Iterable[str]) -> frozenset[str]:
    """Return the flags but for \\Recent, which is each session's own."""
    return frozenset(flag for flag in flags if flag.lower() != "\\recent")
